"""Cores, threads, memory and processes against what a loader asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from datakit.doctor.fitting import memory_bytes
from datakit.doctor.limits import Memory
from datakit.doctor.model import Check, Load
from datakit.doctor.wording import memory, plural


def cores_check(usable: int, there: int, load: Load, smaller: str = "") -> Check:
    """Cores that may be used, against those that are there and the workers; `smaller` as of `memory_check`."""
    figures = {"usable": usable, "there": there, "workers": load.workers}
    found = f"{usable} of {there} may be used" if usable != there else f"{plural(usable, 'core')}, all may be used"
    if load.workers > usable:
        why = f"{plural(load.workers, 'worker')} take turns on them, and the training waits for its turn too"
        return Check("cores", "warning", found, why, smaller or f"Loader(…, num_workers={usable})", figures=figures)
    if usable < there:
        why = "a quota or an affinity holds; programs that count cores start too many threads and workers"
        return Check("cores", "note", found, why, figures=figures)
    return Check("cores", "ok", found, figures=figures)


def threads_check(threads: int | None, environment: Mapping[str, str], usable: int, load: Load) -> Check:
    """Threads of torch and of what uses OpenMP, against the cores.

    Args:
        threads: of torch in a process that did nothing about them; None where torch did not say it.
        environment: with OMP_NUM_THREADS, perhaps.
        usable: cores.
        load: of the loader. torch gives each of its workers one thread.
    """
    typed = environment.get("OMP_NUM_THREADS", "")
    says = f"OMP_NUM_THREADS={typed}" if typed else "OMP_NUM_THREADS is not set"
    fix = f"export OMP_NUM_THREADS={usable}"
    if typed and not all(part.strip().isdigit() and int(part) for part in typed.split(",")):
        return Check("threads", "warning", f"{says} is no number of threads", "it is ignored", fix)
    count = threads if threads is not None else int(typed.split(",")[0]) if typed else None
    if count is None:
        return Check("threads", "note", f"{says}; torch did not say how many it has")
    found = f"torch has {plural(count, 'thread')}, {says}"
    if count > usable:
        why = f"{count} threads on {plural(usable, 'core')}: those that wait for one burn the time of the others"
        return Check("threads", "warning", found, why, fix, figures={"threads": count})
    if typed and int(typed.split(",")[0]) > 1 and load.workers * int(typed.split(",")[0]) > 2 * usable:
        why = "torch takes one thread in a worker, but NumPy, OpenCV and others take that many in each"
        return Check("threads", "note", found, why, "export OMP_NUM_THREADS=1", figures={"threads": count})
    return Check("threads", "ok", found, figures={"threads": count})


def memory_check(has: Memory, load: Load, smaller: str = "") -> Check:
    """Memory that is left, against workers and the batches in flight.

    Args:
        has: what there is.
        load: of the loader.
        smaller: what to write for a load that fits, as `fitting.as_arguments` has it.
    """
    needed = memory_bytes(load)
    found = f"{memory(has.available)} available of {memory(has.limit)}"
    if has.limit < has.total:
        found += f", the limit of the container ({memory(has.total)} in the machine)"
    found += f"; swap {memory(has.swap_used)} of {memory(has.swap)}" if has.swap else "; no swap"
    figures = {name: getattr(has, name) for name in ("total", "limit", "available", "swap", "swap_used")}
    figures["needed"] = needed
    if not has.total:
        return Check("memory", "note", "nothing says how much there is")
    if needed > has.available:
        what = f"{plural(load.workers, 'worker')} and {plural(load.in_flight, 'batch')}"
        why = f"{what} take {memory(needed)} or more: the kernel kills one of them"
        return Check("memory", "broken", found, why, smaller, figures=figures)
    if has.available < 0.1 * has.limit:
        why = "little is left, and the files of the dataset find no room in the cache of the system"
        return Check("memory", "warning", found, why, "ps aux --sort=-rss | head", figures=figures)
    return Check("memory", "ok", found, figures=figures)


def processes_check(limit: int | None, used: int, load: Load) -> Check:
    """Whether the workers, with a few threads each, may be started."""
    if limit is None:
        return Check("processes", "ok", "no limit")
    needed = 4 * load.workers + 8
    found = f"{max(limit - used, 0):,} more of {limit:,}, about {needed:,} needed"
    if used + needed <= limit:
        return Check("processes", "ok", found)
    why = "workers, or their threads, cannot be started: “Resource temporarily unavailable”"
    fix = f"ulimit -u {limit + 4096}\ndocker run --pids-limit={limit + 4096} …"
    return Check("processes", "broken", found, why, fix)


def system_checks(root: Path = Path("/")) -> Iterator[Check]:
    """Kernel and C library, whether this is a container, and the clock."""
    import os
    import time

    release, machine = os.uname().release, os.uname().machine
    kind = _container(root)
    try:
        library = os.confstr("CS_GNU_LIBC_VERSION") or "unknown C library"
    except (ValueError, OSError):
        library = "no glibc"
    where = f"Linux {release} on {machine}, {library}"
    if library == "no glibc":
        why = "the wheels of torch are built for glibc"
        yield Check("system", "warning", where, why, "docker run python:3.12-slim …")
    elif "microsoft" in release.lower():
        why = "files below /mnt/c are slow to open: keep datasets inside the Linux file system"
        yield Check("system", "note", f"{where}, in WSL", why)
    else:
        yield Check("system", "ok", where + (f", in a container ({kind})" if kind else ""))
    if time.time() < 1_735_689_600:  # 2025
        why = "certificates are not valid yet, so downloads fail, and files seem to be of the future"
        yield Check(
            "clock", "warning", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), why, "sudo timedatectl set-ntp true"
        )


def _container(root: Path) -> str:
    """What kind of container this is; empty for none, as far as files say it."""
    for file, kind in ((".dockerenv", "docker"), ("run/.containerenv", "podman")):
        if (root / file).exists():
            return kind
    try:
        if (root / "proc/1/environ").read_bytes().find(b"container=") >= 0:
            return "systemd"
    except OSError:
        pass
    return "kubernetes" if (root / "var/run/secrets/kubernetes.io").exists() else ""
