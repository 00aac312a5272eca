"""The loop around every reference: epochs, checkpoints, figures, pictures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from datakit.errors import DatakitError, MissingDataError, StateError
from datakit.files.writing import write_whole
from datakit.reference import checkpoint
from datakit.reference.base import Reference
from datakit.reference.checks import Check, Result, placeless, shown
from datakit.reference.curve import draw_curve
from datakit.reference.history import History

CURVE = "curve.png"


def train(
    reference: Reference,
    out: str | Path,
    *,
    epochs: int | None = None,
    resume: bool = False,
    save_every: float = 60.0,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    tell: Callable[[str], None] = lambda line: None,
) -> Result:
    """Train a reference to its end, and hold it against its bar.

    A run that was stopped, at whatever step, and is taken up by `resume` comes to the same weights and figures as an
    unbroken one: bit for bit on a CPU with the same number of threads, and on a GPU as far as its kernels repeat
    themselves.

    Args:
        reference: not yet built.
        out: folder for the checkpoint, the curve and the other pictures; made if it is not there.
        epochs: how many; by default as the reference says.
        resume: go on with the run in `out`.
        save_every: seconds between two checkpoints within an epoch; there is one after each epoch in any case.
        progress: called with what is being done, how much is done, and of how much.
        tell: called with each line that a person may want to read while it runs.

    Raises:
        MissingDataError: where the data are not there or too few, or nothing to go on with.
        StateError: where the run in `out` is another one.
        DatakitError: where the reference does not give what it should.

    Examples:
        >>> from datakit.reference import find, train
        >>> result = train(find("data-parallel")(), "runs/data-parallel")
        >>> result.passed
        True
    """
    folder = Path(out)
    history = History()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if reference.device.type == "cuda" else []):
        torch.manual_seed(reference.seed)
        reference.build()
        _check_built(reference)
        epochs = epochs or reference.usual_epochs
        tell(f"{reference.name}: {placeless(reference.data)}, on {_place(reference.device)}")
        for note in reference.notes:
            tell(f"note: {note}")
        if resume:
            checkpoint.restore(folder, reference, history)
            made = len(history.epochs)
            if made > epochs:
                raise StateError(f"the run in {folder} has {made} epochs already, more than {epochs}")
            what = "has all its epochs" if made == epochs else f"goes on in epoch {made + 1}"
            tell(f"{what}, after {history.steps} steps")
        folder.mkdir(parents=True, exist_ok=True)
        run = _Run(reference, folder, epochs, history, save_every, progress, tell)
        while len(history.epochs) < epochs and run.epoch():
            pass
        return run.result()


class _Run:
    def __init__(
        self,
        reference: Reference,
        folder: Path,
        epochs: int,
        history: History,
        save_every: float,
        progress: Callable[[str, int, int], None],
        tell: Callable[[str], None],
    ) -> None:
        self.reference, self.folder, self.epochs, self.history = reference, folder, epochs, history
        self.save_every, self.progress, self.tell = save_every, progress, tell
        self.clock = self.saved = time.monotonic()
        self.broken: list[Check] = []

    def epoch(self) -> bool:
        """One epoch, or what is left of it; False where the training must not go on."""
        reference, history = self.reference, self.history
        began, total = history.seconds, len(reference.loader)
        done = history.steps - (history.ends[-1] if history.ends else 0)
        what = f"epoch {len(history.epochs) + 1}/{self.epochs}"
        for batch in reference.loader:
            losses = _figures(reference.step(batch), "step")
            history.add(losses)
            done += 1
            self.progress(f"{what}  {_losses(losses)}", done, max(total, done))
            if not all(map(math.isfinite, losses.values())):
                return self._diverged(losses)
            self._save_if_due()
        self.progress(f"{what}  evaluation", done, done)
        history.end_epoch(_figures(reference.evaluate(), "evaluate"))
        self._count_time()
        self._save(done=len(history.epochs) >= self.epochs)
        self.tell(self._line(history.seconds - began))
        return True

    def result(self) -> Result:
        """Figures, bars and pictures."""
        reference, history = self.reference, self.history
        checks = (*reference.checks(history), *self.broken)
        curve = {CURVE: draw_curve(reference, history, checks)} if reference.learns else {}
        contents = {**curve, **reference.pictures(history)}
        for name, content in contents.items():
            write_whole(self.folder / name, content)
        self._count_time()
        return Result(
            reference.name,
            reference.bug,
            reference.data,
            checks,
            len(history.epochs),
            history.seconds,
            tuple(reference.lines()),
            tuple(reference.notes),
            tuple(self.folder / name for name in contents),
        )

    def _save_if_due(self) -> None:
        is_end = self.reference.loader.state_dict()["samples"] == 0  # the next epoch; the figures of this one are due
        if not is_end and time.monotonic() - self.saved >= self.save_every:
            self._save()

    def _save(self, *, done: bool = False) -> None:
        self._count_time()
        checkpoint.save(self.folder, self.reference, self.history, done=done)
        self.saved = time.monotonic()

    def _count_time(self) -> None:
        now = time.monotonic()
        self.history.seconds += now - self.clock
        self.clock = now

    def _diverged(self, losses: Mapping[str, float]) -> bool:
        self.reference.notes.append(f"stopped at step {self.history.steps}: {_losses(losses)}")
        self.tell(f"note: {self.reference.notes[-1]}")
        self.broken = [Check("steps whose loss is no finite number", 1, 0, "low")]  # a figure of before may be good
        return False

    def _line(self, seconds: float) -> str:
        history, units = self.history, self.reference.units
        number = len(history.epochs)
        means = {name: history.mean(name, number - 1) for name in history.losses}
        figures = [f"{name} {shown(value, units.get(name, ''))}" for name, value in history.epochs[-1].items()]
        parts = [_losses(means), *figures, f"{seconds:.1f} s"]
        return f"epoch {number:{len(str(self.epochs))}}/{self.epochs}  " + "  ".join(filter(None, parts))


def _check_built(reference: Reference) -> None:
    if not isinstance(getattr(reference, "loader", None), DataLoader):
        raise DatakitError(f"{type(reference).__name__}.build must set self.loader, what the training loop reads")
    if not len(reference.loader):
        raise MissingDataError(f"{reference.name}: there is not one batch to learn from")


def _figures(values: Any, method: str) -> dict[str, float]:
    """What a step or an evaluation gave, as numbers."""
    try:
        return {
            str(name): float(value.detach() if isinstance(value, torch.Tensor) else value)
            for name, value in values.items()
        }
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise DatakitError(f"{method} must return a dict of numbers by name, got {values!r:.80}") from error


def _losses(losses: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in losses.items())


def _place(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    processor = "1 thread of the processor" if threads == 1 else f"{threads} threads of the processor"
    return processor if device.type == "cpu" else device.type
