"""Where the time of a sample goes: hooks in the reading of samples that do nothing until a recorder is put here.

`recorder` is None in ordinary use, and a hook is then one look at a global. `datakit bench` puts a `Recorder` there, in
this process or in each worker, for passes of its own that it does not count as speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from time import perf_counter
from typing import Any

OTHER = "other"
"""What lies between the stages of a batch: keys, generators, error handling."""
IDLE = "idle"
"""What lies between two batches of a worker."""


class Recorder:
    """Adds up the seconds of each stage; a stage within another counts for itself alone.

    Reports of other threads than the one that made it are left out: their time runs beside that of this one.
    """

    def __init__(self) -> None:
        self._seconds: dict[Any, float] = {}
        self._named: dict[int, Any] = {}  # transforms by id: they need not be hashable
        self._open: list[Any] = []
        self._mark = perf_counter()
        self._between = IDLE
        self._thread = get_ident()

    def enter(self, stage: Any) -> None:
        """A stage begins: its name, or the transform that is one."""
        if get_ident() != self._thread:
            return
        key = stage
        if not isinstance(stage, str):
            key = id(stage)
            self._named[key] = stage
        self._charge()
        self._between = OTHER
        self._open.append(key)
        self._seconds.setdefault(key, 0.0)

    def leave(self) -> None:
        """The stage that began last ends."""
        if get_ident() == self._thread:
            self._charge()
            self._open.pop()

    def _charge(self) -> None:
        now = perf_counter()
        stage = self._open[-1] if self._open else self._between
        self._seconds[stage] = self._seconds.get(stage, 0.0) + now - self._mark
        self._mark = now

    def take(self, name_of: Callable[[Any], str]) -> dict[str, float]:
        """Seconds of each stage since the last time, in the order in which they began; a batch is complete.

        Args:
            name_of: from a transform to the name of its stage.
        """
        self._charge()
        self._between = IDLE
        named: dict[str, float] = {}
        for key, seconds in self._seconds.items():
            name = key if isinstance(key, str) else name_of(self._named[key])
            named[name] = named.get(name, 0.0) + seconds
        self._seconds = {}
        return named


recorder: Recorder | None = None
"""Where the hooks report to; None in ordinary use."""


@contextmanager
def stage(name: Any) -> Iterator[None]:
    """A stage of its own, for code that is not in anybody's way; hooks in hot code call the recorder themselves."""
    current = recorder
    if current is not None:
        current.enter(name)
    try:
        yield
    finally:
        if current is not None:
            current.leave()
