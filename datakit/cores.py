"""How many cores this process may use, which in a container is not how many there are, and how to use one alone."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def usable_cores(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Cores that this process may use: its affinity, and the CPU quota of its cgroup and those above (v2 and v1).

    A quota of one and a half cores counts as two.
    """
    cores = float(len(os.sched_getaffinity(0)))
    for quota, period in _quotas(groups, own):
        cores = min(cores, quota / period)
    return max(1, math.ceil(cores))


def _quotas(groups: Path, own: Path) -> Iterator[tuple[float, float]]:
    """(quota, period) of every limit that holds, microseconds."""
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "cpu", "cpu,cpuacct"):
            continue
        base = groups / controllers if controllers else groups
        for folder in (base / path.lstrip("/"), *(base / path.lstrip("/")).parents):
            maximum = _text(folder / "cpu.max").split()
            maximum = maximum or [
                *_text(folder / "cpu.cfs_quota_us").split(),
                *_text(folder / "cpu.cfs_period_us").split(),
            ]
            if len(maximum) == 2 and maximum[0].isdigit():
                yield float(maximum[0]), float(maximum[1])
            if folder == base:
                break


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread for a while, so that the last bits do not depend on how many there are."""
    import torch

    threads = torch.get_num_threads()
    if threads > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if threads > 1:
            torch.set_num_threads(threads)
