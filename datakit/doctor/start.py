"""How workers are started, and whether they are."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from datakit.doctor.child import Outcome
from datakit.doctor.model import Check


def start_checks(outcomes: Mapping[str, Outcome], has_gpu: bool = False) -> Iterator[Check]:
    """Semaphores, start methods, and whether `spawn` really starts a process.

    Args:
        outcomes: of the stages of `workers_probe`.
        has_gpu: whether torch can use a GPU: then a program may have begun CUDA before it forks.
    """
    import multiprocessing

    semaphores = outcomes["semaphores"]
    if not semaphores.is_good:
        why = "a loader with workers needs semaphores: their folder is /dev/shm, and the kernel must have them"
        yield Check("semaphores", "broken", f"making one {semaphores.error}", why, "ls -ld /dev/shm\nmount | grep shm")
    known = multiprocessing.get_all_start_methods()
    spawned = outcomes["started spawn"]
    others = ", ".join(name for name in known[1:])
    found = f"{known[0]} by default of Python {sys.version_info[0]}.{sys.version_info[1]}; also {others}"
    if not spawned.is_good or spawned.value["exitcode"]:
        ended = spawned.error if not spawned.is_good else f"ends with {spawned.value['exitcode']}"
        why = "workers that are spawned, as a program with CUDA needs them, do not start"
        yield Check("start method", "broken", f"{found}; spawn {ended}", why, f"{sys.executable} -c 1")
        return
    found += f"; spawn takes {1000 * spawned.value['seconds']:.0f} ms"
    if known[0] == "fork" and has_gpu:
        why = "a worker that is forked after CUDA was begun cannot use it; spawn and forkserver are safe"
        yield Check("start method", "note", found, why, 'Loader(…, multiprocessing_context="spawn")')
    else:
        yield Check("start method", "ok", found)
