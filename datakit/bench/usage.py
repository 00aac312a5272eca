"""Memory and CPU of this process and the workers of one loader."""

from __future__ import annotations

from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import Any

import psutil
from torch.utils.data import DataLoader


class MemoryWatch:
    """Reads the memory at batches 1, 2, 4, 8 … of a pass and keeps the greatest counts.

    A reading walks all pages of all processes and takes some milliseconds, so it belongs into a warm-up.

    Attributes:
        private: bytes that a process has for itself (USS), summed over this process and the workers.
        shared: the rest of its proportional share (PSS - USS), or of what is resident where PSS is not known, summed.
    """

    def __init__(self) -> None:
        self.private = self.shared = 0

    def __call__(self, iterator: Any, batches: int) -> None:
        """Look, after so many batches."""
        if batches & (batches - 1):
            return
        read = [_memory(process) for process in [None, *worker_processes(iterator)]]
        self.private = max(self.private, sum(private for private, _ in read))
        self.shared = max(self.shared, sum(shared for _, shared in read))


def worker_processes(iterator: Any) -> list[int]:
    """Process ids of the workers of a pass, datakit's or torch's; none where it has none or hides them."""
    inner = getattr(iterator, "packets", iterator)
    return [worker.pid for worker in getattr(inner, "_workers", ())]


def _memory(process: int | None) -> tuple[int, int]:
    try:
        read = psutil.Process(process).memory_full_info()
    except psutil.Error:  # a worker that has ended meanwhile
        return 0, 0
    return read.uss, max(0, getattr(read, "pss", read.rss) - read.uss)


def cpu_seconds(loader: DataLoader[Any]) -> float:
    """CPU seconds so far, user and system, of this process and of children that have ended.

    Workers of a fork server are its children and not ours; their time is read from the server.
    """
    total = sum(usage.ru_utime + usage.ru_stime for usage in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN)))
    context = loader.multiprocessing_context
    if context is not None and context.get_start_method() == "forkserver":
        total += sum(sum(child.cpu_times()[2:4]) for child in psutil.Process().children())
    return total
