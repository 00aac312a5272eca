"""Where results go: files that may be written, a bar on a terminal, JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click


def check_place(path: Path, *, may_replace: bool, endings: tuple[str, ...] = (), kind: str = "page") -> None:
    """Find out before the work whether its result, a page or another kind, can be written."""
    if endings and path.suffix.lower() not in endings:
        raise click.UsageError(f"{path} must end in {', '.join(endings)}")
    if not path.absolute().parent.is_dir():
        raise click.UsageError(f"there is no folder {path.absolute().parent} to write {path.name} to")
    if not os.access(path.absolute().parent, os.W_OK):
        raise click.UsageError(f"{path.absolute().parent} is not writable")
    if path.exists() and not may_replace:
        raise click.UsageError(f"{path} exists and is no {kind} of datakit's; --force overwrites it")


def check_writable(out: Path) -> None:
    """Find out likewise whether the folder that `--out` names is there or can be made, and be written to."""
    there = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise click.UsageError(f"--out {out}: {there} is {'not writable' if there.is_dir() else 'a file'}")


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr where that is a terminal: called with what is done next, how much is done, and of how much."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    import threading

    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread and no process of its own: workers are forked beside it
    tqdm.set_lock(threading.RLock())
    with tqdm(total=1, file=sys.stderr, leave=False, bar_format="{n}/{total} {bar:24} {desc}") as bar:

        def show(what: str, done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.set_description_str(what)

        yield show


def say(line: str, file: TextIO) -> None:
    """Print a line while a bar is shown."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(line, file=file)
    else:
        click.echo(line, file=file)
    file.flush()


def print_json(document: Any) -> None:
    """The whole of stdout, for programs."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
