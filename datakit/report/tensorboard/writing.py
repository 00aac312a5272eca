"""A `SummaryWriter`, or what to install for it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from datakit.errors import DatakitError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def require() -> None:
    """Find out before the work whether TensorBoard is there.

    Raises:
        DatakitError: where it is not, with the line that installs it.
    """
    if find_spec("tensorboard") is None:
        raise DatakitError('TensorBoard is not installed; get it with\npip install "datakit[tensorboard]"')


def writer(folder: str | Path) -> SummaryWriter:
    """A `torch.utils.tensorboard.SummaryWriter` for one run; a context manager that closes it.

    Args:
        folder: of the run, such as `runs/faces`; made where it is not there. `tensorboard --logdir runs` shows the runs
            side by side.

    Raises:
        DatakitError: where TensorBoard is not installed.

    Examples:
        >>> from datakit.report import tensorboard
        >>> with tensorboard.writer("runs/first") as writer:
        ...     writer.add_scalar("loss", 0.7, global_step=0)
    """
    require()
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))
