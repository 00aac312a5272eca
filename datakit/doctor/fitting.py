"""The largest load that a machine bears, as arguments of a loader: the same ones in every check of a report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from datakit.doctor.model import Load

WORKER = 200_000_000
"""Bytes that a worker has for itself at least: those of torch, by fork; about twice as much by spawn."""
TYPICAL = 3 * 224 * 224 * 4
"""Bytes of an image of 3 x 224 x 224 in float32, for a batch that nobody has measured."""
TIGHT = 0.8
"""Share of what is free in shared memory that batches may take without a warning."""
OF_PROGRAM, OF_WORKER = 8, 4  # files that a loader opens: by itself, and for each worker
SPARE = 64  # files that a program has open beside its loader: logs, data, sockets
_PAGE = 4096


def batch_bytes(load: Load) -> int:
    """Bytes of a batch, of a typical one where none was measured."""
    return load.batch_size * TYPICAL if load.batch_bytes is None else load.batch_bytes


def shared_bytes(load: Load) -> int:
    """Bytes of the batches in flight, each tensor in whole pages."""
    return load.in_flight * (batch_bytes(load) + _PAGE * load.batch_tensors)


def memory_bytes(load: Load) -> int:
    """Bytes of memory that workers and the batches in flight take; shared memory is of it."""
    return load.workers * WORKER + load.in_flight * batch_bytes(load)


def files_needed(load: Load, opened: int, strategy: str = "file_descriptor") -> int:
    """Files that the training process has open at most while it shares tensors by file descriptors.

    Each piece of memory behind a tensor is one, from its arrival until the loop lets go of it; the workers' pipes and
    what is open already come on top. By `file_system` no tensor keeps one open.
    """
    tensors = 0 if strategy == "file_system" else load.in_flight * load.batch_tensors
    return opened + OF_PROGRAM + OF_WORKER * load.workers + tensors


@dataclass(frozen=True)
class Room:
    """What there is for a loader.

    Attributes:
        shared: bytes free in shared memory.
        memory: bytes of memory that are left.
        files: that a process may have open, as far as a user can raise that; -1 for no end.
        opened: files that it has open before.
        cores: that may be used.
        strategy: how torch shares tensors.
    """

    shared: int
    memory: int
    files: int = -1
    opened: int = 8
    cores: int = 2**30
    strategy: str = "file_descriptor"

    def holds(self, load: Load) -> bool:
        """Whether there is enough of everything."""
        if not load.workers:
            return True
        files = files_needed(load, self.opened, self.strategy) + SPARE
        has_files = self.files < 0 or files <= self.files
        return shared_bytes(load) <= TIGHT * self.shared and memory_bytes(load) <= self.memory and has_files


def fitting(load: Load, room: Room) -> Load:
    """The load that there is room for and that is nearest to this one.

    First fewer batches ahead, then fewer workers, then, of a single worker with one batch ahead, smaller batches; last
    no workers at all.

    Examples:
        >>> from datakit.doctor.fitting import Room, fitting
        >>> from datakit.doctor.model import Load
        >>> found = fitting(Load(8, batch_bytes=100_000_000), Room(shared=1_000_000_000, memory=64_000_000_000))
        >>> found.workers, found.prefetch
        (5, 1)
    """
    return next(one for one in _smaller(load, room.cores) if room.holds(one))


def _smaller(load: Load, cores: int) -> Iterator[Load]:
    for workers in range(max(min(load.workers, cores), 1), 0, -1):
        for prefetch in range(load.prefetch, 0, -1):
            yield replace(load, workers=workers, prefetch=prefetch)
    for size in range(load.batch_size - 1, 0, -1):
        share = batch_bytes(load) * size // load.batch_size
        yield replace(load, workers=1, prefetch=1, batch_size=size, batch_bytes=share)
    yield replace(load, workers=0)


def as_arguments(wanted: Load, fits: Load) -> str:
    """What to write for the load that fits; empty where that is the wanted one."""
    if not fits.workers:
        return "Loader(…, num_workers=0)" if wanted.workers else ""
    names = {"batch_size": "batch_size", "workers": "num_workers", "prefetch": "prefetch_factor"}
    words = [f"{word}={getattr(fits, name)}" for name, word in names.items()
             if getattr(fits, name) != getattr(wanted, name) or (name == "workers" and fits != wanted)]  # fmt: skip
    return f"Loader(…, {', '.join(words)})" if words else ""
