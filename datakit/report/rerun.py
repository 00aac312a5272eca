"""Draw a page in a fresh process, so that the user's code is read anew, and say which files it came from."""

from __future__ import annotations

import functools
import multiprocessing
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import datakit
from datakit.errors import DatakitError

Draw: TypeAlias = Callable[[str], str]
"""From the address of the events to the page; sent to another process, so a function at the top of a module."""

_PRELOAD = ["datakit.report.page", "datakit.transforms", "datakit.vision"]  # torch is imported once, not every time
_FRAMES = 4  # of a traceback, the innermost


@dataclass(frozen=True)
class Drawn:
    """What a run gave.

    Attributes:
        page: HTML; None where it failed.
        error: why it failed.
        files: the user's own files that it read as code, or stumbled over.
        cause: the error itself, where it is one of datakit's.
    """

    page: str | None
    error: str
    files: frozenset[str]
    cause: DatakitError | None = None


class Run:
    """One drawing under way in a process of its own."""

    def __init__(self, draw: Draw, events: str) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOAD)
        self.receiver, sender = context.Pipe(duplex=False)
        self.process = context.Process(target=_draw, args=(sender, draw, events, os.getcwd()))
        self.process.start()
        sender.close()

    def result(self, timeout: float) -> Drawn | None:
        """What it gave, or None where it is not done after `timeout` seconds."""
        if not self.receiver.poll(timeout):
            return None
        try:
            drawn: Drawn = self.receiver.recv()
        except EOFError:
            self.process.join()
            drawn = Drawn(None, f"the process that drew the page died (exit code {self.process.exitcode})", frozenset())
        self.end()
        return drawn

    def end(self) -> None:
        """Stop it, where it still runs."""
        self.process.terminate()
        self.process.join()
        self.receiver.close()


def _draw(sender: Connection, draw: Draw, events: str, folder: str) -> None:
    os.chdir(folder)
    try:
        drawn = Drawn(draw(events), "", frozenset(own_files()))
    except BaseException as error:  # whatever the user's code raises, SystemExit too
        cause = error if isinstance(error, DatakitError) else None
        drawn = Drawn(None, _told(error), frozenset([*own_files(), *_files_of(error)]), cause)
    sender.send(drawn)


def own_files() -> Iterator[str]:
    """Files of the modules that are loaded, without Python's own, datakit's, and installed packages."""
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path and _is_own(path):
            yield os.path.realpath(path)


def _is_own(path: str) -> bool:
    return os.path.isabs(path) and path.endswith(".py") and not os.path.realpath(path).startswith(_installed())


@functools.cache
def _installed() -> tuple[str, ...]:
    """Folders of Python, of installed packages and of datakit."""
    places = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")]
    places.append(str(Path(datakit.__file__).parent))
    return tuple(os.path.realpath(place) + os.sep for place in places)


def _files_of(error: BaseException) -> Iterator[str]:
    """Where an error came from: a module that does not even compile is not among the loaded ones."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, SyntaxError) and link.filename:
            yield os.path.realpath(link.filename)
        for frame in traceback.extract_tb(link.__traceback__):
            if _is_own(frame.filename):
                yield os.path.realpath(frame.filename)
        link = link.__cause__ or link.__context__


def _told(error: BaseException) -> str:
    if isinstance(error, DatakitError) and not isinstance(error.__cause__, Exception):
        return str(error)
    cause: Any = error.__cause__ if isinstance(error, DatakitError) else error
    told = "".join(traceback.format_exception(type(cause), cause, cause.__traceback__, limit=-_FRAMES))
    return told.strip() if cause is error else f"{error}\n{told.strip()}"
