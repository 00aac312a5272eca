"""The graph of a model."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import torch

from datakit.errors import DatakitError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def graph(writer: SummaryWriter, model: torch.nn.Module, batch: Any, *, inputs: Sequence[str] = ("image",)) -> None:
    """The graph of a model, as it is traced in evaluation mode with a batch.

    Args:
        writer: of the run.
        model: on any device; it is as it was afterwards.
        batch: what the model is called with: a tensor, such as images (B, C, H, W); or a dict, as a collate function
            makes it.
        inputs: the keys of a dict that the model takes, in its order: `model(batch["image"])`.

    Raises:
        DatakitError: for a batch without these keys, and for a model that cannot be called with it or be traced.

    Examples:
        >>> import torch
        >>> from datakit.report import tensorboard
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 2))
        >>> with tensorboard.writer("runs/graph") as writer:
        ...     tensorboard.graph(writer, model, {"image": torch.rand(4, 3, 8, 8)})
    """
    values = _inputs(batch, inputs)
    device = next((value.device for value in [*model.parameters(), *model.buffers()]), torch.device("cpu"))
    said = io.StringIO()
    try:
        with torch.no_grad(), warnings.catch_warnings(), redirect_stdout(said):  # it prints its errors, and raises them
            warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)  # SummaryWriter's own use of it
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
            writer.add_graph(model, tuple(value.to(device) for value in values), use_strict_trace=False)
    except Exception as error:
        shapes = ", ".join(f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}" for value in values)
        text = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise DatakitError(f"the graph of {type(model).__name__} cannot be traced with {shapes}: {text}") from error


def _inputs(batch: Any, keys: Sequence[str]) -> list[torch.Tensor]:
    if isinstance(batch, torch.Tensor):
        return [batch]
    if not isinstance(batch, dict):
        raise DatakitError(f"graph takes a tensor or a dict of tensors, got a {type(batch).__name__}")
    if missing := [key for key in keys if key not in batch]:
        raise DatakitError(
            f"graph: the batch has no {missing}, it has {sorted(map(str, batch))}; name them: inputs=(…)"
        )
    values = [batch[key] for key in keys]
    for key, value in zip(keys, values, strict=True):
        if not isinstance(value, torch.Tensor):
            raise DatakitError(
                f"graph: {key!r} of the batch is a {type(value).__name__}, no tensor; end with ToTensor()"
            )
    return values
