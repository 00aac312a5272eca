"""What the kernel says that this process may use: memory, processes, and shared memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NONE = 2**60  # what cgroups v1 say where there is no limit is a little below 2**63


@dataclass(frozen=True)
class Memory:
    """Memory, in bytes.

    Attributes:
        total: what the machine has.
        limit: what this process and those beside it in its container may use; at most `total`.
        available: what is left of that.
        swap: of the machine.
        swap_used: of that.
    """

    total: int
    limit: int
    available: int
    swap: int
    swap_used: int


def group_limits(
    controller: str, names: tuple[tuple[str, str], ...], groups: Path, own: Path
) -> Iterator[tuple[int, int]]:
    """(limit, used) of every cgroup that holds for this process: its own and those above, v2 and v1.

    Args:
        controller: of v1, such as `memory`.
        names: files with the limit and what is used, of v2 and of v1.
        groups: where cgroups are mounted, `/sys/fs/cgroup`.
        own: which cgroups are this process's, `/proc/self/cgroup`.
    """
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        base = groups / controllers if controllers else groups
        for folder in (base / path.lstrip("/"), *(base / path.lstrip("/")).parents):
            for maximum, current in names:
                limit, used = _text(folder / maximum).strip(), _text(folder / current).strip()
                if limit.isdigit() and int(limit) < _NONE:
                    yield int(limit), int(used) if used.isdigit() else 0
            if folder == base:
                break


def read_memory(
    proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> Memory:
    """Memory of the machine, and of the container that this process is in."""
    table = {}
    for line in _text(proc / "meminfo").splitlines():
        name, _, value = line.partition(":")
        words = value.split()
        table[name] = int(words[0]) * 1024 if words and words[0].isdigit() else 0
    total = table.get("MemTotal", 0)
    limit, available = total, table.get("MemAvailable", total)
    files = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
    for maximum, used in group_limits("memory", files, groups, own):
        limit, available = min(limit, maximum), min(available, max(maximum - used, 0))
    swap = table.get("SwapTotal", 0)
    return Memory(total, limit, available, swap, swap - table.get("SwapFree", swap))


def read_processes(
    groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup"), soft: int | None = None
) -> tuple[int | None, int]:
    """(limit, used) of processes and threads, the tighter of the cgroup's and the user's; (None, 0) without a limit.

    Args:
        groups: where cgroups are mounted.
        own: which cgroups are this process's.
        soft: limit of the user's processes, by default RLIMIT_NPROC, which does not hold for root.
    """
    import resource

    found = list(group_limits("pids", (("pids.max", "pids.current"),), groups, own))
    if soft is None:
        soft = resource.getrlimit(resource.RLIMIT_NPROC)[0] if os.geteuid() else resource.RLIM_INFINITY
    if soft != resource.RLIM_INFINITY:
        found.append((soft, 0))
    return min(found, key=lambda pair: pair[0] - pair[1], default=(None, 0))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
