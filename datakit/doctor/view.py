"""The report on a terminal: what is well in one line each, the rest with its reason and its remedy."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import click

from datakit.doctor.model import Check, Load, Report, Status
from datakit.doctor.wording import plural

_COLOURS: dict[Status, str] = {"ok": "green", "note": "blue", "warning": "yellow", "broken": "red"}
_NAME, _STATUS = 14, 8  # columns
_TITLES = {
    "python": "Python and what datakit requires",
    "torch": "torch, torchvision, torchaudio",
    "machine": "The machine",
    "loader": "What a loader needs",
    "codecs": "What reads pictures and sounds",
    "places": "Folders and mirrors",
}


def title(group: str) -> str:
    """A line above the checks of a group."""
    return click.style(_TITLES[group], bold=True)


def lines_of(check: Check, width: int) -> Iterator[str]:
    """A check in lines of at most `width` columns, but for its commands, which are whole.

    Args:
        check: what to show.
        width: columns, 40 at least.
    """
    status = click.style(f"{check.status:{_STATUS}}", fg=_COLOURS[check.status], bold=check.status == "broken")
    indent = 2 + _STATUS + _NAME + 1
    first, *rest = _wrapped(check.found, width - indent)
    yield f"  {status}{_cut(check.name):{_NAME}} {first}"
    yield from (f"{'':{indent}}{line}" for line in rest)
    if check.status == "ok":
        return
    yield from (f"{'':{indent}}{line}" for line in _wrapped(check.why, width - indent) if line)
    yield from (f"      $ {line}" if _is_shell(line) else f"      > {line}" for line in check.fix.splitlines())


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of a text; a path longer than a line is cut over several, at any place."""
    return textwrap.wrap(" ".join(text.split()), max(width, 20), break_on_hyphens=False) or [""]


def _cut(name: str) -> str:
    return name if len(name) <= _NAME else name[: _NAME - 1] + "…"


def _is_shell(line: str) -> bool:
    """Whether a remedy is a command of the shell; else it is Python."""
    return not line.startswith(("Loader(", "torch."))


def about(load: Load) -> str:
    """What the machine was held against."""
    if not load.workers:
        return "held against a loader without workers"
    ahead = plural(load.prefetch, "batch")
    return f"held against {plural(load.workers, 'worker')}, {ahead} of {load.batch_size} ahead of each"


def last_line(report: Report, load: Load) -> str:
    """The sum of it; of a report that was interrupted only what it has come to."""
    worst: Status = next((status for status, count in report.counts().items() if count), "ok")
    said = report.summary()
    if report.interrupted:
        return click.style(f"interrupted; so far {said}", fg=_COLOURS[worst], bold=True)
    said += {
        "broken": ": mend what is broken first, the rest may follow from it",
        "warning": ": nothing breaks for certain; what the warnings say may, or costs time",
    }.get(worst, "")
    return click.style(said, fg=_COLOURS[worst], bold=True) + f"\n({about(load)})"
