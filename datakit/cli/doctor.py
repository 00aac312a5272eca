"""`datakit doctor`."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from datakit.cli.group import FAILURE, debug_option
from datakit.cli.options import json_option, optional_target_options
from datakit.cli.output import print_json

if TYPE_CHECKING:
    from datakit.doctor import Asked, Check, Examination

_WIDEST = 110  # columns


def groups(text: str) -> tuple[str, ...]:
    """Names of groups of checks, with commas between them."""
    from datakit.doctor import GROUPS
    from datakit.errors import suggest

    found = tuple(part.strip() for part in text.split(","))
    for name in found:
        if name not in GROUPS:
            raise click.BadParameter(f"unknown group {name!r}; {suggest(name, GROUPS)}")
    return found


@click.command(short_help="Say what is wrong with this machine and this installation, and how to mend it.")
@optional_target_options
@click.option("--batch-size", type=click.IntRange(1), metavar="N", help="Samples a batch.  [default: 32]")
@click.option(
    "--workers", type=click.IntRange(0), metavar="N", help="Worker processes.  [default: one a core, at most 8]"
)
@click.option(
    "--prefetch", type=click.IntRange(1), metavar="N", help="Batches that each worker makes ahead.  [default: 2]"
)
@click.option(
    "--only",
    type=groups,
    metavar="NAME,NAME…",
    help="Groups of checks: python, torch, machine, loader, codecs, places.",
)
@click.option("--network", is_flag=True, help="Ask the addresses of DATAKIT_MIRROR too.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="What takes longer to import or to start counts as hung.",
)
@json_option
@debug_option
@click.pass_context
def doctor(ctx: click.Context, /, as_json: bool, **options: Any) -> None:
    """Say what is wrong with this machine and this installation before a training does, and how to mend it.

    It looks at Python and what datakit requires, at torch, torchvision and torchaudio together, at cores and memory,
    at what the workers of a loader need, at what reads pictures and sounds, and at folders and mirrors. It works where
    torch is missing or broken: what may crash or hang is tried in other processes.

    TARGET, as `datakit bench` takes it, is read for one batch, which shared memory is then held against. With --root,
    the space that a dataset of the catalog needs is looked at too.

    The exit code is 1 where something will break, else 0.

    \b
      datakit doctor
      datakit doctor faces --root data -t "Rescale((512, 512))" -t ToTensor --batch-size 64 --workers 8
      datakit doctor mycode.train:loader
      datakit doctor --json > machine.json
    """
    from datakit.doctor import Examination, Report

    checks: list[Check] = []
    is_interrupted = False
    with _asked_to_stop(), _progress() as show, Examination(_asked(options), show) as examination:
        try:
            _collect(examination, checks, as_json)
        except KeyboardInterrupt:
            is_interrupted = True
    report = Report(tuple(checks), is_interrupted)
    ctx.meta[FAILURE] = report.exit_code
    _conclude(report, examination, as_json)
    ctx.exit(report.exit_code)


def _asked(options: dict[str, Any]) -> Asked:
    from datakit.doctor import GROUPS, Asked

    _check_name(options["target"])
    names = ("target", "root", "synthetic", "records", "split", "typed", "transform", "seed", "batch_size")
    target = {name: options[name] for name in names} if options["target"] is not None else None
    given = [name for name in ("synthetic", "split", "typed", "transform", "seed") if options[name]]
    if target is None and given:
        flag = {"typed": "-t"}.get(given[0], f"--{given[0]}")
        raise click.UsageError(f"{flag} goes with a TARGET")
    kept = {name: options[name] for name in ("root", "workers", "prefetch", "batch_size", "network")}
    return Asked(target, groups=options["only"] or GROUPS, limit=options["timeout"], **kept)


def _check_name(name: str | None) -> None:
    """Find out before anything is looked at whether a target is of a form that there is.

    Raises:
        click.UsageError: where it is neither a dataset of the catalog, nor there, nor an object of a module.
    """
    from pathlib import Path

    from datakit import catalog
    from datakit.errors import suggest

    if name is None or name in catalog.names() or ":" in name or (name and Path(name).exists()):
        return
    if os.sep in name or name.startswith("."):
        raise click.UsageError(f"there is no folder {Path(name).absolute()}")
    raise click.UsageError(
        f"unknown dataset {name!r}; {suggest(name, catalog.names())}; a target is also a folder, a text file, or "
        "package.module:object"
    )


def _collect(examination: Examination, checks: list[Check], as_json: bool) -> None:
    """Make the checks, and on a terminal print each as it comes."""
    from datakit.doctor.view import lines_of, title

    width = max(40, min(shutil.get_terminal_size().columns, _WIDEST))
    group = ""
    for check in examination.checks():
        checks.append(check)
        if as_json:
            continue
        if check.group != group:
            _say(("\n" if group else "") + title(check.group))
            group = check.group
        _say("\n".join(lines_of(check, width)))


def _say(text: str) -> None:
    _clear()
    click.echo(text)
    sys.stdout.flush()


def _conclude(report: Any, examination: Examination, as_json: bool) -> None:
    from datakit import __version__
    from datakit.doctor.view import last_line

    if not as_json:
        _say(("\n" if report.checks else "") + last_line(report, examination.load))
        return
    print_json(
        {
            "datakit": __version__,
            "python": sys.version.split()[0],
            "exit_code": report.exit_code,
            "interrupted": report.interrupted,
            "summary": report.counts(),
            "load": examination.load.document() if _is_known(report) else None,
            "checks": [check.document() for check in report.checks],
        }
    )


def _is_known(report: Any) -> bool:
    """Whether the load is that which the machine was held against: a batch of the target may not have been made."""
    return not report.interrupted or any(check.name == "/dev/shm" for check in report.checks)


def _clear() -> None:
    """Take the line of progress away."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)


@contextmanager
def _asked_to_stop() -> Iterator[None]:
    """SIGTERM and SIGHUP, as of `timeout` or a terminal that is closed, are Ctrl-C; the second one changes nothing."""
    asked: list[int] = []

    def stop(number: int, frame: Any) -> None:
        asked.append(number)
        if len(asked) == 1:
            raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():  # elsewhere there are no handlers
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # by nohup
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A line on stderr where that is a terminal: called with what is looked at next."""

    def show(what: str) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[Klooking at {what} …", nl=False, err=True)

    try:
        yield show
    finally:
        _clear()
