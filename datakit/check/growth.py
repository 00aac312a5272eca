"""Whether memory grows with every sample that is read."""

from __future__ import annotations

import ctypes
import functools
import gc
import itertools
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from datakit.check.children import ProbeError, attended
from datakit.check.findings import Finding
from datakit.check.objects import held
from datakit.dataset import Dataset
from datakit.phrasing import size
from datakit.sampling import Key

_SECONDS = 4.0
_EARLY = 1.0  # seconds after which a process that has not grown is let go
_PATIENCE = 15.0
_POINTS = 16  # readings of the memory in that time
_LEAST = 2e6  # bytes of growth that are no chance
_A_THOUSAND = 1e6  # bytes for 1,000 samples, below which an epoch does not matter
_MOST = 2e9  # bytes of growth at which the probe ends
_NAMED = 3  # containers in a sentence


def growing(dataset: Dataset, indices: Sequence[int] | np.ndarray, seed: int = 0) -> Iterator[Finding]:
    """A finding where the memory of a process that reads records grows steadily, in MB for 1,000 samples.

    A forked process reads records for some seconds. What is measured is its anonymous memory, which neither a mapped
    file nor the reference counts of inherited objects add to; garbage is collected and free pages are given back before
    each reading. Steady is: the later half grows at least half as fast as the first one, after a warm-up.

    Args:
        dataset: whose records are read.
        indices: of the records, in the order in which they are read, again and again under the keys of further epochs.
        seed: of the keys.
    """
    if not len(indices):
        return
    points: list[tuple[int, int]] = []
    grown: list[Grown] = []
    with suppress(ProbeError):  # a record that hangs, or a process that dies, is a finding of another check
        for one in attended(lambda: _readings(dataset, indices, seed), _PATIENCE):
            if isinstance(one, Grown):
                grown.append(one)
            else:
                points.append(one)
    slope = steady_growth(np.array(points, np.float64).reshape(-1, 2))
    if slope is None:
        return
    is_bounded = bool(grown) and all(one.limit is not None for one in grown)
    yield Finding(
        "memory",
        f"a process that reads records grows by {size(int(slope * 1000))} for every 1,000 samples (seen over "
        f"{points[-1][0]:,}): {size(int(slope * len(dataset)))} in an epoch, shared out among its workers"
        f"{''.join(f'; {one}' for one in grown[:_NAMED])}",
        advice="do not keep samples: look for a list or dict that is added to, and for functools.cache without a limit",
        level="note" if is_bounded else None,
    )


class Grown(NamedTuple):
    """A container or cache that had more entries after reading than before, and how many it takes at most."""

    path: str
    before: int
    after: int
    limit: int | None

    def __str__(self) -> str:
        limit = "" if self.limit is None else f" of {self.limit:,}, where it ends"
        return f"{self.path} went from {self.before:,} to {self.after:,} entries{limit}"


def _sizes(dataset: Dataset) -> dict[str, tuple[int, int | None]]:
    """(entries, limit) of the containers and caches that a dataset holds, by path."""
    found: dict[str, tuple[int, int | None]] = {}
    for one in held(dataset, "dataset"):
        if isinstance(one.value, list | dict | set | deque):
            found[one.path] = len(one.value), getattr(one.value, "maxlen", None)
        elif isinstance(one.value, functools._lru_cache_wrapper):
            info = one.value.cache_info()
            found[one.path] = info.currsize, info.maxsize
    return found


def _readings(dataset: Dataset, indices: Sequence[int] | np.ndarray, seed: int) -> Iterator[tuple[int, int] | Grown]:
    """(samples read, bytes of anonymous memory), again and again, and at the end what has grown."""
    sizes = _sizes(dataset)
    start = time.monotonic()
    due, first = start + _SECONDS / _POINTS, 0
    for count, key in enumerate(_epochs(indices, seed), 1):
        with suppress(Exception):
            dataset[key]
        now = time.monotonic()
        if now < due:
            continue
        memory = _anonymous()
        yield count, memory
        first = first or memory
        due = max(due, now) + _SECONDS / _POINTS
        is_flat = now - start > _EARLY and memory - first < _LEAST / 4
        if now - start > _SECONDS or is_flat or memory - first > _MOST:
            break
    for path, (entries, limit) in _sizes(dataset).items():
        before = sizes.get(path, (0, None))[0]
        if entries > before + count // 4:
            yield Grown(path, before, entries, limit)


def _epochs(indices: Sequence[int] | np.ndarray, seed: int) -> Iterator[Key]:
    return (Key(seed, epoch, int(index)) for epoch in itertools.count() for index in indices)


def _anonymous() -> int:
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        with suppress(OSError, StopIteration):
            status = Path("/proc/self/status").read_text().splitlines()
            return 1024 * int(next(line for line in status if line.startswith("RssAnon")).split()[1])
    return int(psutil.Process().memory_full_info().uss)


def steady_growth(points: np.ndarray) -> float | None:
    """Bytes a sample, of (n, 2) readings of (samples, bytes); None where the memory does not grow steadily.

    Examples:
        >>> import numpy as np
        >>> from datakit.check.growth import steady_growth
        >>> samples = np.arange(0, 1600, 100.0)
        >>> steady_growth(np.stack([samples, 5e7 + 20_000 * samples], axis=1))
        20000.0
        >>> steady_growth(np.stack([samples, 5e7 + 20_000 * np.minimum(samples, 500)], axis=1))  # a cache that is full
    """
    points = points[len(points) // 4 :]
    if len(points) < 5:
        return None
    middle = len(points) // 2
    first, last = _slope(points[: middle + 1]), _slope(points[middle:])
    steps = np.diff(points[:, 1])
    slope = _slope(points)
    has_grown = points[-1, 1] - points[0, 1] > _LEAST and slope * 1000 > _A_THOUSAND
    is_steady = first > 0 and last > 0.5 * first and (steps > 0).mean() > 0.6 and steps.max() < 0.6 * steps.sum()
    return float(slope) if has_grown and is_steady else None


def _slope(points: np.ndarray) -> float:
    """The median of the slopes between all pairs of points: H. Theil, 1950; P. K. Sen, 1968."""
    one, other = np.triu_indices(len(points), 1)
    steps = points[other] - points[one]
    return float(np.median(steps[:, 1] / np.maximum(steps[:, 0], 1)))
