"""Work in a process of its own, watched: it may hang, die or eat memory, and nothing of it stays."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import torch

from datakit.errors import DatakitError
from datakit.phrasing import describe

T = TypeVar("T")

_PDEATHSIG = 1  # of prctl: which signal a process gets when its parent ends
_is_child = False


class ProbeError(DatakitError, RuntimeError):
    """The process of a probe did not come back in time, died, or failed."""


def attended(work: Callable[[], Iterable[T]], patience: float) -> Iterator[T]:
    """What `work` yields in a forked process, which is killed with all that it started when this ends in any way.

    Args:
        work: gives small values that can be pickled.
        patience: seconds to wait for the next value.

    Raises:
        ProbeError: nothing came for so long, the process died, or `work` failed.

    Examples:
        >>> from datakit.check.children import attended
        >>> list(attended(lambda: range(3), patience=10))
        [0, 1, 2]
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(work, sender))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which all workers do
            process.start()
        sender.close()
        yield from _received(receiver, process, patience)
    finally:
        sender.close()
        receiver.close()
        _end(process)


def _received(receiver: Connection, process: BaseProcess, patience: float) -> Iterator[Any]:
    while True:
        if not receiver.poll(patience):
            raise ProbeError(f"nothing came back for {patience:g} seconds")
        try:
            what, value = receiver.recv()
        except EOFError:
            process.join(patience)
            raise ProbeError(f"its process ended with {_exit(process.exitcode)}") from None
        if what == "end":
            return
        if what == "error":
            raise ProbeError(value)
        yield value


def _exit(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {-code} ({signal.Signals(-code).name})"
    return f"exit code {code}"


def _work(work: Callable[[], Iterable[Any]], sender: Connection) -> None:
    _settle()
    try:
        for value in work():
            sender.send(("value", value))
        sender.send(("end", None))
    except BrokenPipeError:
        pass
    except BaseException as error:
        with suppress(OSError):
            sender.send(("error", describe(error)))
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(0)  # no handlers, and no waiting for threads that the work left behind


def _settle() -> None:
    """A group of its own, so that all of it can be killed and Ctrl-C does not reach it; gone when its parent is."""
    global _is_child
    if not _is_child:
        os.setsid()
    _is_child = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    torch.set_num_threads(1)  # as in workers: the threads of the parent are not here


def _end(process: BaseProcess) -> None:
    if process.pid is None:
        return
    if not _is_child:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()
    process.close()
