"""What a check found: what it is, how bad, how many records, the first of them, why it matters, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from datakit.check.kinds import KINDS

Severity: TypeAlias = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""The worst first."""


@dataclass(frozen=True)
class Place:
    """Where a record is.

    Attributes:
        part: the split, or the dataset among several; empty where there is one only.
        index: in that dataset.
        path: the file behind it, where there is one.

    Examples:
        >>> from datakit.check import Place
        >>> str(Place("test", 3, "bees/16838648_415acd9e3f.jpg")), str(Place("", 3))
        ('test[3] bees/16838648_415acd9e3f.jpg', '[3]')
    """

    part: str
    index: int
    path: str | None = None

    def __str__(self) -> str:
        return f"{self.part}[{self.index}]" + (f" {self.path}" if self.path else "")


@dataclass(frozen=True)
class Offender:
    """A record that shows a finding.

    Attributes:
        place: where it is.
        detail: what is special about this one; may be empty.
        related: records that it goes with, such as those that it is a copy of.

    Examples:
        >>> from datakit.check import check
        >>> splits = {"train": [{"text": "to be"}], "test": [{"text": "or not"}, {"text": "to be"}]}
        >>> (finding,) = check(splits, only=["leak"]).findings
        >>> for offender in finding.offenders:
        ...     print(offender.place, offender.detail, "is", *offender.related)
        test[1] 'to be' is train[0]
    """

    place: Place
    detail: str = ""
    related: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One kind of trouble.

    Attributes:
        kind: a name of `KINDS`, such as `near-duplicate`.
        text: what was found, with figures, in one sentence.
        count: how many records show it; 0 where it is not about records.
        of: how many were looked at for it.
        offenders: the first of them.
        advice: what to do, where that is more than `KINDS` says of all such findings.
        level: how bad this one is, where that is not as `KINDS` says.

    Examples:
        >>> from datakit.check import check
        >>> (finding,) = check([{"text": "to be"}, {"text": " "}], only=["empty"]).findings
        >>> finding.kind, finding.severity, finding.count, finding.of, [one.place.index for one in finding.offenders]
        ('empty', 'warning', 1, 2, [1])
        >>> finding.text
        'text is empty as loaded, in 1 of 2 samples'
        >>> finding.hint
        'leave such records out: there is nothing to learn from'
    """

    kind: str
    text: str
    count: int = 0
    of: int = 0
    offenders: tuple[Offender, ...] = ()
    advice: str = ""
    level: Severity | None = None

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return self.level or KINDS[self.kind].severity

    @property
    def why(self) -> str:
        """Why it matters."""
        return KINDS[self.kind].why

    @property
    def hint(self) -> str:
        """What to do."""
        return self.advice or KINDS[self.kind].hint


@dataclass(frozen=True)
class Part:
    """A dataset that was checked: a split of the target, or all of it.

    Attributes:
        name: of the split; empty where there is one only.
        dataset: its `repr`.
        records: how many it has.
        read: how many of them are known, those from the cache included.
        cached: how many were known from an earlier run.

    Examples:
        >>> from datakit.check import check
        >>> report = check({"train": [{"label": 0}] * 9, "test": [{"label": 0}] * 3}, only=["unreadable"], at_most=4)
        >>> [(part.name, part.records, part.read) for part in report.parts]
        [('train', 9, 4), ('test', 3, 3)]
    """

    name: str
    dataset: str
    records: int
    read: int = 0
    cached: int = 0


@dataclass(frozen=True)
class Report:
    """What is known after a check.

    Attributes:
        target: as it was typed.
        parts: what was checked.
        findings: the worst first.
        chain: names of the transforms.
        looked: how many records were run through the transforms, of the part with most of them.
        seconds: how long it took.
        notes: what else is to be known, such as what was not checked, and why.
        interrupted: what was being done when it was stopped; empty where it came to its end.

    Examples:
        >>> from datakit.check import check
        >>> report = check([{"text": "to be"}, {"text": " "}], only=["empty"])
        >>> report.count("error"), report.count("warning"), report.fails("error"), report.fails("warning")
        (0, 1, False, True)
    """

    target: str
    parts: tuple[Part, ...]
    findings: tuple[Finding, ...]
    chain: tuple[str, ...] = ()
    looked: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    interrupted: str = ""

    def __str__(self) -> str:
        lines = [f"{finding.severity} {finding.kind}: {finding.text}" for finding in self.findings]
        return "\n".join(lines) if lines else "nothing found"

    def count(self, severity: Severity) -> int:
        """How many findings are of this severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def fails(self, severity: Severity) -> bool:
        """Whether one is as bad as this, or worse."""
        return any(self.count(one) for one in SEVERITIES[: SEVERITIES.index(severity) + 1])
