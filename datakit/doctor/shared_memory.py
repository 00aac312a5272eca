"""Shared memory against the batches that lie in it, and the open files that they cost."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datakit.doctor.model import Check, Load, Status
from datakit.doctor.wording import megabytes, memory, plural

TYPICAL = 3 * 224 * 224 * 4
"""Bytes of an image of 3 x 224 x 224 in float32, for a batch that nobody has measured."""
_OF_PROGRAM, _OF_WORKER = 8, 4  # files that a loader opens: by itself, and for each worker
_SPARE = 64  # files that a program has open beside its loader: logs, data, sockets


@dataclass(frozen=True)
class Share:
    """A folder of shared memory.

    Attributes:
        path: of it, `/dev/shm`.
        size: bytes; 0 where there is no such folder.
        free: bytes.
        is_writable: whether files can be made in it.
    """

    path: str
    size: int
    free: int
    is_writable: bool


def read_share(path: Path = Path("/dev/shm")) -> Share:
    """What the kernel says about the folder that torch shares tensors in."""
    try:
        found = os.statvfs(path)
    except OSError:
        return Share(str(path), 0, 0, False)
    is_writable = path.is_dir() and os.access(path, os.W_OK | os.X_OK) and not found.f_flag & os.ST_RDONLY
    return Share(str(path), found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, is_writable)


def share_check(share: Share, load: Load) -> Check:
    """Whether the batches in flight fit into shared memory."""
    if not share.size or not share.is_writable:
        what = "is not there" if not share.size else "is not writable"
        why = "workers cannot hand a tensor over, and the semaphores of Python need it"
        fix = f"docker run --shm-size={megabytes(_needed(load))} …\nsudo mount -t tmpfs -o size=2g shm {share.path}"
        return Check("/dev/shm", "broken" if load.workers else "warning", f"{share.path} {what}", why, fix)
    has = f"{memory(share.free)} free of {memory(share.size)}"
    needed = _needed(load)
    figures = {"size": share.size, "free": share.free, "needed": needed, "in_flight": load.in_flight}
    if not load.workers:
        return Check("/dev/shm", "ok", f"{has}; without workers none of it is needed", figures=figures)
    says = f"{memory(needed)} needed: {load.in_flight} batches of {memory(_batch(load))}{_source(load)}"
    if needed <= share.free:
        is_tight = needed > 0.8 * share.free
        why = "another program that shares memory, or a larger batch, makes it too small" if is_tight else ""
        fix = _remedies(share, load, 2 * needed) if is_tight else ""
        return Check("/dev/shm", "warning" if is_tight else "ok", f"{has}, {says}", why, fix, figures=figures)
    status: Status = "warning" if load.batch_bytes is None else "broken"
    why = "once it is full a worker dies with a bus error, or cannot “allocate shared memory”"
    return Check("/dev/shm", status, f"{has}, {says}", why, _remedies(share, load, needed), figures=figures)


def _source(load: Load) -> str:
    return f", {load.source}" if load.source else ""


def _batch(load: Load) -> int:
    return load.batch_size * TYPICAL if load.batch_bytes is None else load.batch_bytes


def _needed(load: Load) -> int:
    """Bytes of the batches in flight, each tensor in whole pages."""
    return load.in_flight * (_batch(load) + 4096 * load.batch_tensors)


def _remedies(share: Share, load: Load, needed: int) -> str:
    """Commands that make room, and the numbers of workers and batches ahead that do with what there is."""
    used = share.size - share.free
    size = megabytes(1.25 * needed + used)
    lines = [f"docker run --shm-size={size} …", f"sudo mount -o remount,size={size} {share.path}"]
    batches = math.floor(share.free / (_batch(load) + 4096 * load.batch_tensors))
    fewer = (batches - 2) // load.prefetch
    if 0 < fewer < load.workers:
        lines.append(f"Loader(…, num_workers={fewer})")
    if load.prefetch > 1 and batches >= load.workers + 2:
        lines.append(f"Loader(…, num_workers={load.workers}, prefetch_factor=1)")
    return "\n".join(lines)


def files_needed(load: Load, opened: int) -> int:
    """Files that the training process has open at most while it shares tensors by file descriptors.

    Each piece of memory behind a tensor is one, from its arrival until the loop lets go of it; the workers' pipes and
    what is open already come on top.
    """
    per_worker = _OF_WORKER * load.workers
    return opened + _OF_PROGRAM + per_worker + load.in_flight * load.batch_tensors


def files_check(soft: int, hard: int, opened: int, load: Load, strategy: str = "file_descriptor") -> Check:
    """Whether the limit of open files is enough for a loader.

    Args:
        soft: the limit, RLIMIT_NOFILE; -1 for none.
        hard: how far a user may raise it; -1 for no end.
        opened: files that a process has open before it begins.
        load: of the loader.
        strategy: how torch shares tensors; `file_system` keeps no file open.
    """
    if strategy == "file_system":
        needed = opened + _OF_PROGRAM + _OF_WORKER * load.workers
    else:
        needed = files_needed(load, opened)
    shown = "no limit" if soft < 0 else f"{soft:,} at most"
    found = f"{shown}, about {needed:,} needed by {plural(load.workers, 'worker')} ({strategy})"
    figures = {"soft": soft, "hard": hard, "needed": needed}
    if soft < 0 or needed + _SPARE <= soft:
        return Check("open files", "ok", found, figures=figures)
    wanted = max(4096, 2 ** math.ceil(math.log2(2 * needed)))
    status: Status = "broken" if needed > soft else "warning"
    why = "the loader fails with “Too many open files” when its workers are ahead of the loop"
    return Check("open files", status, found, why, _raise(wanted, hard), figures=figures)


def _raise(wanted: int, hard: int) -> str:
    lines = [] if 0 <= hard < wanted else [f"ulimit -n {wanted}"]
    if not lines:
        lines = [f"ulimit -n {hard}", f"docker run --ulimit nofile={wanted}:{wanted} …"]
    return "\n".join([*lines, "torch.multiprocessing.set_sharing_strategy('file_system')"])


def strategy_check(strategy: str | None) -> Iterator[Check]:
    """How torch shares tensors between processes; nothing where torch did not say it."""
    if strategy == "file_system":
        why = "a program that is killed leaves its tensors in /dev/shm"
        yield Check("sharing", "note", "torch shares tensors by file_system", why)
    elif strategy:
        yield Check("sharing", "ok", f"torch shares tensors by {strategy}")
