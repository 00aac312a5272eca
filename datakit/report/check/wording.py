"""What a check found, in words that the terminal and the page share."""

from __future__ import annotations

from datakit.check.findings import SEVERITIES, Finding, Part, Place, Report
from datakit.phrasing import number
from datakit.report.text.writing import readable


def clean(text: str) -> str:
    """A text of data in one line, its control characters as signs: it may stand in a terminal and on a page.

    Examples:
        >>> clean("a\\x1b[31m\\nb")
        'aU+001B[31m b'
    """
    return readable(" ".join(text.split()))


def path_in(path: str) -> str:
    """A path as `clean` has texts, its blanks as they are; line ends are signs too."""
    return readable(path.replace("\n", "⏎").replace("\t", "⇥"))


def name_of(place: Place) -> str:
    """The record without its path: `train[17]`, or `record 17` where there is one part only."""
    return f"{clean(place.part)}[{place.index}]" if place.part else f"record {place.index}"


def counted(report: Report) -> str:
    """How many findings of each severity there are, such as `2 errors, 1 warning`; `nothing` for none."""
    counts = ((report.count(severity), severity) for severity in SEVERITIES)
    return ", ".join(f"{count} {one}{'s' * (count != 1)}" for count, one in counts if count) or "nothing"


def share(finding: Finding) -> str:
    """How many records show it, such as `3 of 244`; empty where it is not about records."""
    if not finding.count:
        return ""
    return f"{number(finding.count)} of {number(finding.of)}" if finding.of else number(finding.count)


def checked(report: Report) -> str:
    """What was looked at, such as `12,000 records of train and 2,000 of test`.

    Where not all of a part was read, both numbers stand there.
    """
    parts = [_records(part, is_first=not place) for place, part in enumerate(report.parts)]
    if len(parts) < 2:
        return parts[0] if parts else "no records"
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def summary(report: Report) -> str:
    """The check in one sentence.

    Examples:
        >>> from datakit.check.findings import Part, Report
        >>> parts = Part("train", "Data", 12000, 12000), Part("test", "Data", 2000, 500)
        >>> summary(Report("data", parts, ()))
        'nothing found in 12,000 records of train and 500 of 2,000 of test'
    """
    found = counted(report)
    so_far = " so far" if report.interrupted else ""
    return f"{found}{so_far} in {checked(report)}" if report.findings else f"{found} found{so_far} in {checked(report)}"


def unlisted(finding: Finding, shown: int) -> int:
    """How many more records show it than are shown."""
    return max(0, max(finding.count, len(finding.offenders)) - shown)


def _records(part: Part, is_first: bool) -> str:
    many = number(part.records)
    if part.read < part.records:
        many = f"{number(part.read)} of {many}"
    noun = f" record{'s' * (part.records != 1)}" if is_first else ""
    return f"{many}{noun}" + (f" of {clean(part.name)}" if part.name else "")
