"""What a child process of `doctor` runs: the stages of a probe, each told before it begins and after it ends."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from typing import IO, Any

_LONGEST = 400  # characters of a message in one line


def serve() -> None:
    """Run the stages named on the command line; what they print goes to stderr."""
    import resource

    _watch()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    module, stages = sys.argv[2], json.loads(sys.argv[3])
    probe = import_module(module)
    for name, arguments in stages.items():
        _tell(said, {"begin": name})
        outcome = _outcome(getattr(probe, name.partition(" ")[0]), arguments)
        _tell(said, {"end": name, "outcome": outcome})
    said.close()
    os._exit(0)  # nothing that the imports have registered runs now


def _watch() -> None:
    """End this process and all that it starts once the one that started it is gone, which may have been killed.

    A process of its own waits for the end of stdin: a thread would not run while a library that hangs holds the lock of
    the interpreter. It is of this group, and is ended with it.
    """
    with suppress(OSError):  # no more processes are allowed: then without it
        if os.fork() == 0:
            with suppress(BaseException):
                os.read(0, 1)
                os.killpg(0, signal.SIGKILL)
            os._exit(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _tell(said: IO[str], what: dict[str, Any]) -> None:
    said.write(json.dumps(what) + "\n")
    said.flush()


def _outcome(function: Any, arguments: list[Any]) -> dict[str, Any]:
    try:
        return {"how": "returned", "value": function(*arguments)}
    except BaseException as error:  # also SystemExit: it is what importing that module does
        return {
            "how": "raised",
            "error": f"raises {type(error).__name__}: {one_line(error)}",
            "kind": type(error).__name__,
            "name": getattr(error, "name", None) or "",
            "text": str(error),
        }


def one_line(error: BaseException) -> str:
    """The message of an error, and of what it came from, in one line."""
    parts: list[str] = []
    current: BaseException | None = error
    while current is not None:
        text = " ".join(str(current).split())
        if text and not any(text in part for part in parts):
            parts.append(text)
        current = current.__cause__
    line = " … ".join(parts) or "no message"
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
