"""Stages of a child process that start processes of their own, as the workers of a loader are started."""

from __future__ import annotations

import time
from typing import Any


def semaphores() -> bool:
    """Make a semaphore and a queue, which the workers of a loader need."""
    import multiprocessing
    import multiprocessing.synchronize

    multiprocessing.Semaphore(1).acquire()
    multiprocessing.get_context("spawn").Queue().close()
    return True


def started(method: str) -> dict[str, Any]:
    """Start a process that does nothing: how it ended, and how long that took, in seconds."""
    import multiprocessing

    process: Any = multiprocessing.get_context(method).Process(target=len, args=("",))  # type: ignore[attr-defined]
    begun = time.monotonic()
    process.start()
    process.join()
    return {"exitcode": process.exitcode, "seconds": time.monotonic() - begun}
