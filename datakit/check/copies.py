"""Records whose content is that of another one, bit for bit: duplicates, contradictions, leaks across splits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import numpy.typing as npt

from datakit.check.corpus import FIRST, All, are, records_of
from datakit.check.facts import NO_LABEL, TEXT
from datakit.check.findings import Finding, Offender, Severity

Groups = list[npt.NDArray[np.int64]]


def copies(records: All) -> Iterator[Finding]:
    """What there is to say about records of equal content. Blank ones and those of one value are left out."""
    groups = groups_of(records)
    yield from _duplicates(records, groups)
    yield from _contradictions(records, groups)
    yield from _leaks(records, groups)


def groups_of(records: All) -> Groups:
    """Rows of equal content, two and more in each, in the order of their first one."""
    rows = np.flatnonzero(~records.rows["is_plain"])
    content = records.rows["content"][rows]
    order = np.lexsort((rows, content[:, 1], content[:, 0]))
    content, rows = content[order], rows[order]
    is_same = (content[1:] == content[:-1]).all(1)
    begins = np.flatnonzero(np.r_[True, ~is_same])
    sizes = np.diff(np.r_[begins, len(rows)])
    found = [rows[begin : begin + size] for begin, size in zip(begins, sizes, strict=True) if size > 1]
    return sorted(found, key=lambda group: int(group[0]))


def _duplicates(records: All, groups: Groups) -> Iterator[Finding]:
    """Copies within a part that are annotated alike."""
    annotation = records.rows["annotation"]
    for number, part in enumerate(records.parts):
        count, sets, offenders = 0, 0, list[Offender]()
        for group in groups:
            inside = group[records.part[group] == number]
            first = {int(annotation[row]): int(row) for row in inside[::-1]}
            kept = set(first.values())
            copies_ = [int(row) for row in inside if int(row) not in kept]
            count, sets = count + len(copies_), sets + bool(copies_)
            for row in copies_[: FIRST - len(offenders)]:
                offenders.append(
                    Offender(records.place(row), records.text(row), (records.place(first[int(annotation[row])]),))
                )
        if count:
            of = len(part.table.read)
            level: Severity | None = "note" if _is_text(records, number) else None
            text = f"{records_of(count)}{part.of} {are(count)} a copy of an earlier one, bit for bit, in {_sets(sets)}"
            yield Finding("duplicate", text, count, of, tuple(offenders), level=level)


def _contradictions(records: All, groups: Groups) -> Iterator[Finding]:
    annotation = records.rows["annotation"]
    differing = [group for group in groups if len(np.unique(annotation[group])) > 1]
    if not differing:
        return
    offenders = [
        Offender(
            records.place(int(group[0])), _said(records, group), tuple(records.place(int(row)) for row in group[1:6])
        )
        for group in differing[:FIRST]
    ]
    records_in_all = sum(len(group) for group in differing)
    has_labels = bool((records.rows["label"][np.concatenate(differing)] != NO_LABEL).all())
    yield Finding(
        "contradiction",
        f"{records_of(records_in_all)} have the content of another one and are annotated otherwise, in "
        f"{_sets(len(differing))}",
        len(differing),
        len(records.rows),
        tuple(offenders),
        level=None if has_labels else "note",
    )


def _said(records: All, group: npt.NDArray[np.int64]) -> str:
    """The text of a group, and its labels, by name where they have one."""
    text = records.text(int(group[0]))
    labels = records.rows["label"][group]
    if (labels == NO_LABEL).any():
        return text
    names = records.parts[int(records.part[group[0]])].dataset.classes
    different = dict.fromkeys(labels.tolist())
    said = ", ".join(str(names[label]) if 0 <= label < len(names) else str(label) for label in different)
    return f"{text}: {said}" if text else said


def _leaks(records: All, groups: Groups) -> Iterator[Finding]:
    for one, other in combinations(range(len(records.parts)), 2):
        offenders, count = list[Offender](), 0
        for group in groups:
            here, there = (group[records.part[group] == number] for number in (one, other))
            if not len(here) or not len(there):
                continue
            count += len(there)
            for row in there[: FIRST - len(offenders)]:
                offenders.append(Offender(records.place(int(row)), records.text(row), (records.place(int(here[0])),)))
        if count:
            first, second = records.parts[one], records.parts[other]
            of = len(second.table.read)
            text = f"{count:,} of {of:,} records{second.of} {are(count)} in {first.name} too, bit for bit"
            yield Finding("leak", text, count, of, tuple(offenders))


def _is_text(records: All, part: int) -> bool:
    """Whether its records are texts: some are said more than once."""
    modality = records.rows["modality"][records.part == part]
    return bool(len(modality)) and bool((modality == TEXT).all())


def _sets(count: int) -> str:
    return f"{count:,} set{'s' * (count != 1)}"
