"""Shared memory against the batches that lie in it, and the open files that they cost."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datakit.doctor.fitting import SPARE, TIGHT, batch_bytes, files_needed, shared_bytes
from datakit.doctor.model import Check, Load, Status
from datakit.doctor.wording import megabytes, memory, plural

_FAR = 2  # times what is free: a typical batch is not off by that much


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


def share_check(share: Share, load: Load, ram: int = 0, smaller: str = "") -> Check:
    """Whether the batches in flight fit into shared memory.

    Args:
        share: that there is.
        load: of the loader.
        ram: bytes of memory that the machine, or the container, has; shared memory is of it. 0 where nobody knows.
        smaller: what to write for a load that fits, as `fitting.as_arguments` has it.
    """
    needed = shared_bytes(load)
    if not share.size or not share.is_writable:
        what = "is not there" if not share.size else "is not writable"
        why = "workers cannot hand a tensor over, and the semaphores of Python need it"
        fix = "\n".join(_larger(share, needed, ram) or ["Loader(…, num_workers=0)"])
        return Check("/dev/shm", "broken" if load.workers else "warning", f"{share.path} {what}", why, fix)
    has = f"{memory(share.free)} free of {memory(share.size)}"
    figures = {"size": share.size, "free": share.free, "needed": needed, "in_flight": load.in_flight}
    if not load.workers:
        return Check("/dev/shm", "ok", f"{has}; without workers none of it is needed", figures=figures)
    source = f", {load.source}" if load.source else ""
    found = f"{has}, {memory(needed)} needed: {load.in_flight} batches of {memory(batch_bytes(load))}{source}"
    if needed <= TIGHT * share.free:
        return Check("/dev/shm", "ok", found, figures=figures)
    larger = _larger(share, needed, ram)
    why = "once it is full a worker dies with a bus error, or cannot “allocate shared memory”"
    if needed <= share.free:
        why = "another program that shares memory, or a larger batch, makes it too small"
    elif not larger and ram:
        why += f"; it is of the memory, and {memory(ram)} of that are too few for more"
    fix = "\n".join(filter(None, [*larger, smaller])) or f"df -h {share.path}"
    return Check("/dev/shm", _status(share, load), found, why, fix, figures=figures)


def _status(share: Share, load: Load) -> Status:
    """Of what does not fit well: a batch that nobody measured breaks nothing unless it is by far too much."""
    needed = shared_bytes(load)
    if needed <= share.free:
        return "warning"
    by_far = needed > _FAR * share.free or batch_bytes(load) > share.free
    return "warning" if load.batch_bytes is None and not by_far else "broken"


def _larger(share: Share, needed: int, ram: int) -> list[str]:
    """Commands that make it large enough; none where that were more than half of the memory, of which it is."""
    used = share.size - share.free
    size = megabytes(1.25 * needed + used)
    if ram and int(size[:-1]) * (2**30 if size.endswith("g") else 2**20) > ram / 2:
        return []
    if not share.size:
        return [f"docker run --shm-size={size} …", f"sudo mount -t tmpfs -o size={size} shm {share.path}"]
    return [f"docker run --shm-size={size} …", f"sudo mount -o remount,size={size} {share.path}"]


def files_check(
    soft: int, hard: int, opened: int, load: Load, strategy: str = "file_descriptor", smaller: str = ""
) -> Check:
    """Whether the limit of open files is enough for a loader.

    Args:
        soft: the limit, RLIMIT_NOFILE; -1 for none.
        hard: how far a user may raise it; -1 for no end.
        opened: files that a process has open before it begins.
        load: of the loader.
        strategy: how torch shares tensors; `file_system` keeps no file open.
        smaller: what to write for a load that fits, as `fitting.as_arguments` has it.
    """
    needed = files_needed(load, opened, strategy)
    shown = "no limit" if soft < 0 else f"{soft:,} at most"
    found = f"{shown}, about {needed:,} needed by {plural(load.workers, 'worker')} ({strategy})"
    figures = {"soft": soft, "hard": hard, "needed": needed}
    if soft < 0 or needed + SPARE <= soft:
        return Check("open files", "ok", found, figures=figures)
    status: Status = "broken" if needed > soft else "warning"
    why = "the loader fails with “Too many open files” when its workers are ahead of the loop"
    if 0 <= hard < needed + SPARE:
        why += f"; {hard:,} is the hard limit, which only root raises"
    return Check("open files", status, found, why, _raise(needed, hard, smaller), figures=figures)


def _raise(needed: int, hard: int, smaller: str) -> str:
    """How there come to be more: by the user as far as the hard limit lets, else by root, or by needing fewer."""
    wanted = max(4096, 2 ** math.ceil(math.log2(2 * needed)))
    by_system = "torch.multiprocessing.set_sharing_strategy('file_system')"
    if hard < 0 or needed + SPARE <= hard:
        return f"ulimit -n {wanted if hard < 0 else min(wanted, hard)}\n{by_system}"
    by_root = [f"sudo prlimit --nofile={wanted}:{wanted} --pid $$", f"docker run --ulimit nofile={wanted}:{wanted} …",
               f'echo "$USER - nofile {wanted}" | sudo tee -a /etc/security/limits.conf']  # fmt: skip
    return "\n".join(filter(None, [*by_root, smaller, by_system]))


def strategy_check(strategy: str | None) -> Iterator[Check]:
    """How torch shares tensors between processes; nothing where torch did not say it."""
    if strategy == "file_system":
        why = "a program that is killed leaves its tensors in /dev/shm"
        yield Check("sharing", "note", "torch shares tensors by file_system", why)
    elif strategy:
        yield Check("sharing", "ok", f"torch shares tensors by {strategy}")
