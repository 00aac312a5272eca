"""What happened in a run, step by step and epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datakit.errors import UnknownNameError


class History:
    """The losses of every step and the figures of every epoch.

    Attributes:
        losses: values by name, one a step.
        ends: the number of steps at the end of each epoch.
        epochs: the figures after each epoch.
        seconds: time spent, over all stretches of a run that was taken up again.
    """

    def __init__(self) -> None:
        self.losses: dict[str, list[float]] = {}
        self.ends: list[int] = []
        self.epochs: list[dict[str, float]] = []
        self.seconds = 0.0

    @property
    def steps(self) -> int:
        """Steps so far."""
        return max(map(len, self.losses.values()), default=0)

    def add(self, losses: Mapping[str, float]) -> None:
        """Another step."""
        for name, value in losses.items():
            self.losses.setdefault(name, []).append(float(value))

    def end_epoch(self, figures: Mapping[str, float]) -> None:
        """The epoch is over, and these are its figures."""
        self.ends.append(self.steps)
        self.epochs.append({name: float(value) for name, value in figures.items()})

    def mean(self, name: str, epoch: int) -> float:
        """The mean of a loss over an epoch, counted from 0."""
        values = self.losses[name][self.ends[epoch - 1] if epoch else 0 : self.ends[epoch]]
        return sum(values) / max(len(values), 1)

    def last(self, name: str) -> float | None:
        """A figure after the last epoch, None before the first one.

        Raises:
            UnknownNameError: where `evaluate` gives no such one.
        """
        return self.after(len(self.epochs), name) if self.epochs else None

    def after(self, epoch: int, name: str) -> float | None:
        """A figure after epoch 1, 2 …; None where the run was shorter. Errors as of `last`."""
        if len(self.epochs) < epoch:
            return None
        if name not in self.epochs[epoch - 1]:
            raise UnknownNameError.of("figure of evaluate()", name, self.epochs[epoch - 1])
        return self.epochs[epoch - 1][name]

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As it was saved."""
        vars(self).update(state)
