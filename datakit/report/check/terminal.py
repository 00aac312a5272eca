"""What `check` prints: the findings one by one, the worst first, then all of them in a table, and the sum.

The table stands at the end, where a person looks first after a command has run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from datakit.check.findings import Finding, Offender, Part, Place, Report, Severity
from datakit.check.kinds import KINDS
from datakit.phrasing import number, shorten
from datakit.report.check.wording import clean, name_of, path_in, share, summary, unlisted
from datakit.report.styles import styled
from datakit.report.terminal import aligned
from datakit.report.text.writing import wide

STYLES: dict[Severity, str] = {"error": "alarm", "warning": "look", "note": "special"}

_LISTED = 3  # offenders of a finding
_RELATED = 3  # records that one of them goes with
_TABLE = 3  # findings from which on a table is worth its lines
_WHAT = 24  # columns that the table has for texts, at least
_DETAIL = 240  # characters
_NARROW, _WIDE = 40, 110  # columns of a line: fewer are not tried, and longer lines are hard to read


def lines(report: Report, width: int = 80, colour: bool = True) -> list[str]:
    """The check as a terminal shows it.

    Args:
        report: what was found.
        width: columns of the terminal. A path that is longer stays in one piece, so that it can be copied.
        colour: whether severities are coloured too; their words stand there in any case.

    Examples:
        >>> from datakit.check.findings import Finding, Offender, Part, Place, Report
        >>> found = Finding("leak", "1 record of test is in train too", 1, 9, (Offender(Place("test", 3, "b.png")),))
        >>> print("\\n".join(lines(Report("data", (Part("test", "Data: 9 records", 9, 9),), (found,)), colour=False)))
        data
          test  Data: 9 records
        <BLANKLINE>
        error leak: 1 record of test is in train too
          why  the test is easier than it says: the model has seen these
          do   take them out of the training split, or make the split by groups
          ·    test[3] b.png
        <BLANKLINE>
        1 error in 9 records of test
    """
    room = min(max(width, _NARROW), _WIDE)
    found = [*_head(report, room), ""]
    for place, finding in enumerate(report.findings):
        said = {(one.why, one.hint) for one in report.findings[:place]}
        found += [*_finding(finding, room, is_said=(finding.why, finding.hint) in said), ""]
    if len(report.findings) > _TABLE:
        found += [*_table(report.findings, room), ""]
    for note in report.notes:
        found += _folded(f"note: {clean(note)}", room, after=2)
    if report.interrupted:
        stopped = f"stopped at {clean(report.interrupted)}: this is what was found so far, and not all"
        found += [styled("look", line) for line in _folded(stopped, room, after=2)]
    elif not report.findings and report.notes:
        found += [""]
    found += _folded(summary(report), room, after=2)
    return found if colour else [click.unstyle(line) for line in found]


def _head(report: Report, width: int) -> Iterator[str]:
    """What was checked."""
    yield styled("title", clean(report.target))
    rows = [(clean(part.name) or "data", clean(part.dataset) + _known(part)) for part in report.parts]
    if report.chain:
        looked = f", on {number(report.looked)} record{'s' * (report.looked != 1)}" if report.looked else ""
        rows.append(("chain", " → ".join(map(clean, report.chain)) + looked))
    if report.seconds:
        rows.append(("time", f"{report.seconds:.1f} s"))
    margin = max((wide(name) for name, _ in rows), default=0)
    for name, text in rows:
        before = f"  {name}{' ' * (margin - wide(name))}  "
        yield from _folded(before + text, width, after=wide(before))


def _known(part: Part) -> str:
    """How many records were read, where that is not all of them, and how many were known before."""
    read = "" if part.read == part.records else f"; {number(part.read)} of them read"
    return read + (f"; {number(part.cached)} known from an earlier run" if part.cached else "")


def _finding(finding: Finding, width: int, is_said: bool) -> Iterator[str]:
    """What was found, why it matters and what to do where that was not said already, and the first offenders."""
    label = f"{finding.severity} {finding.kind}:"
    first, *others = _folded(f"{label} {clean(finding.text)}", width, after=2)
    severity, _, rest = first.partition(" ")
    kind, _, text = rest.partition(" ")
    yield f"{styled(STYLES[finding.severity], severity)} {styled('title', kind)} {text}".rstrip()
    yield from others
    for name, said in () if is_said else (("why", finding.why), ("do", clean(finding.hint))):
        head, *more = _folded(f"  {name.ljust(3)}  {said}", width, after=7)
        yield styled("quiet", head[:7]) + head[7:]
        yield from more
    shown = finding.offenders[:_LISTED]
    for offender in shown:
        yield from _offender(offender, width)
    if shown and (more_of := unlisted(finding, len(shown))):
        yield styled("quiet", f"       and {number(more_of)} more")


def _offender(offender: Offender, width: int) -> Iterator[str]:
    detail = shorten(clean(offender.detail), _DETAIL)
    where = _where(offender.place)
    yield from _folded(f"  ·    {where}" + (f": {detail}" if detail else ""), width, after=9)
    for place in offender.related[:_RELATED]:
        yield from _folded(f"         with {_where(place)}", width, after=11)
    if (others := len(offender.related) - _RELATED) > 0:
        yield f"         and {number(others)} more"


def _where(place: Place) -> str:
    return name_of(place) + (f" {path_in(place.path)}" if place.path else "")


def _table(findings: Sequence[Finding], width: int) -> Iterator[str]:
    """A line for each finding: in general terms, or with its figures where there are several of one kind."""
    kinds = [one.kind for one in findings]
    rows = [["", "finding", "records"], *([one.severity, one.kind, share(one)] for one in findings)]
    head, *others = aligned(rows, right=(2,))
    taken = max(map(len, (head, *others)))
    room = width - taken - 2
    yield styled("head", head)
    for line, finding in zip(others, findings, strict=True):
        title = KINDS[finding.kind].title if kinds.count(finding.kind) == 1 else clean(finding.text)
        what = f"{line.ljust(taken)}  {_cut(title, room)}" if room >= _WHAT else line
        severity = f"  {finding.severity}"
        yield styled(STYLES[finding.severity], severity) + what[len(severity) :]


def _cut(text: str, width: int) -> str:
    """`text` in so many columns, with an ellipsis where it is wider."""
    if wide(text) <= width:
        return text
    while wide(text) > width - 1:
        text = text[:-1]
    return text.rstrip() + "…"


def _folded(text: str, width: int, after: int) -> list[str]:
    """`text` in lines of `width` columns, broken at blanks only; those after the first begin `after` columns in."""
    start = len(text) - len(text.lstrip(" "))
    found, line = list[str](), text[:start]
    is_empty = True
    for word in text[start:].split(" "):
        if not is_empty and wide(line) + 1 + wide(word) > width:
            found.append(line.rstrip())
            line, is_empty = " " * after, True
        line += word if is_empty else f" {word}"
        is_empty = False
    return [*found, line.rstrip()]
