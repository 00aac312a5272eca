"""From the troubles of single records, as `datakit.inspection` finds them, to findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from datakit.check.findings import Finding, Offender, Place, Severity
from datakit.inspection.record_checks import merged, worded
from datakit.inspection.trouble import Kind, Trouble
from datakit.inspection.wording import CROP
from datakit.phrasing import number

KIND_OF: dict[Kind, str] = {
    "not finite": "not-finite",
    "bytes": "range",
    "range": "range",
    "twice": "normalized",
    "far": "normalized",
    "statistics": "normalized",
    "constant": "constant",
    "silent": "constant",
    "loud": "range",
    "loud mask": "distorted",
    "clipped": "distorted",
    "label": "unknown-label",
    "masks": "mask-values",
    "outside": "box-outside",
    "empty": "box-empty",
    "lengths": "objects",
    "unlabelled": "objects",
    "no text": "empty",
    "no tokens": "empty",
    "token type": "tokens",
    "no number": "tokens",
    "pad inside": "tokens",
    "no shift": "tokens",
    "flat": "constant",
    "no values": "empty",
    "same points": "identical-points",
    "one point": "identical-points",
    "same boxes": "box-twice",
    "other box": "mask-mismatch",
    "no pixels": "mask-empty",
    "not text": "unreadable-text",
}
"""The kind of finding that a kind of trouble is; `slug` tells points from boxes."""

_LEVEL: dict[Kind, Severity] = {"same points": "note", "pad inside": "warning", "no shift": "warning"}
_KEPT = 20  # offenders of a finding


def slug(trouble: Trouble) -> str:
    """The name in `KINDS` of the finding that a trouble is part of.

    Examples:
        >>> from datakit.inspection.trouble import Trouble
        >>> slug(Trouble("outside", "boxes", "loaded")), slug(Trouble("outside", "landmarks", "loaded"))
        ('box-outside', 'point-outside')
    """
    is_point = trouble.kind == "outside" and trouble.key != "boxes"
    return "point-outside" if is_point else KIND_OF[trouble.kind]


@dataclass
class _Group:
    """One kind of trouble of one key at one stage: all of it in one, and the first records."""

    total: Trouble
    records: int = 0
    offenders: list[Offender] = field(default_factory=list)


class Troubles:
    """Collects the troubles of records as they come; what it keeps does not grow with their number.

    Examples:
        >>> from datakit.check.findings import Place
        >>> from datakit.inspection.trouble import Trouble
        >>> found = Troubles()
        >>> found.add(Place("", 3), [Trouble("not finite", "landmarks", "loaded", count=2, of=136)])
        >>> found.add(Place("", 7), [])
        >>> [finding.text for finding in found.findings()]
        ['landmarks has 2 values that are not finite as loaded, in 1 of 2 samples']
    """

    def __init__(self) -> None:
        self.samples = 0
        self._groups: dict[tuple[str, str, str], _Group] = {}

    def add(self, place: Place, troubles: Iterable[Trouble]) -> None:
        """Count a record and what is wrong with it; for a clean one that is nothing."""
        self.samples += 1
        for trouble in troubles:
            self._note(place, trouble)

    def _note(self, place: Place, trouble: Trouble) -> None:
        key = (trouble.kind, trouble.key, trouble.stage)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(trouble)
        else:
            group.total = merged(group.total, trouble)
        group.records += 1
        if len(group.offenders) < _KEPT:
            group.offenders.append(Offender(place, detail_of(trouble)))

    def findings(self) -> Iterator[Finding]:
        """One for each kind of trouble, key and stage, in the order in which they were met."""
        for group in self._groups.values():
            said = worded(group.total, group.records, self.samples)
            if said is not None:
                yield _finding(group, *said, self.samples)


def _finding(group: _Group, text: str, hint: str, samples: int) -> Finding:
    offenders = tuple(sorted(group.offenders, key=lambda one: (one.place.part, one.place.index)))
    trouble = group.total
    is_usual = trouble.kind == "range" and group.records == samples  # in all of them: a normalisation of its own
    level: Severity | None = "note" if is_usual or hint == CROP else _LEVEL.get(trouble.kind)
    return Finding(slug(trouble), text, group.records, samples, offenders, hint, level)


def detail_of(trouble: Trouble) -> str:
    """What is special about one record: how many of its values, or from where to where they go.

    Examples:
        >>> from datakit.inspection.trouble import Trouble
        >>> detail_of(Trouble("outside", "boxes", "loaded", count=2, of=5))
        '2 of 5'
    """
    if trouble.of:
        return f"{trouble.count:,} of {trouble.of:,}"
    if trouble.low or trouble.high:
        return f"{number(trouble.low)} … {number(trouble.high)}"
    return trouble.detail
