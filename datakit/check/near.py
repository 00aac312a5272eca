"""Records that are nearly the same as others: candidates by their sketches, each looked at again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from datakit.check.alike import candidates, confirm
from datakit.check.copies import groups_of
from datakit.check.corpus import FIRST, All, are
from datakit.check.findings import Finding, Offender
from datakit.sampling import Key

_MOST = 20_000  # pairs that are looked at
_KEPT = 64  # samples in memory


def near_copies(
    records: All, notes: list[str], progress: Callable[[str, int, int], None] = lambda what, done, total: None
) -> Iterator[Finding]:
    """Findings for records that are nearly the same, within a part and across parts; also at Ctrl-C, which goes on.

    Args:
        records: of all parts.
        notes: where it is said what was left out.
        progress: called with what is done, how many pairs are, and how many there are.
    """
    progress("comparing records", 0, 1)
    sketches = records.rows["sketch"].copy()
    for group in groups_of(records):  # copies bit for bit are said by themselves
        sketches[group[1:]] = 0
    found = candidates(sketches, most=_MOST)
    pairs = [(int(a), int(b)) for a, b in found.pairs]
    if found.note:
        notes.append(found.note)
    load = lru_cache(maxsize=_KEPT)(lambda row: _loaded(records, row))
    by_parts: dict[tuple[int, int], list[tuple[int, int, str]]] = {}
    stopped: KeyboardInterrupt | None = None
    try:
        for number, (a, b) in enumerate(pairs):
            progress("looking at pairs that may be nearly the same", number, len(pairs))
            one, other = load(a), load(b)
            likeness = None if one is None or other is None else confirm(one, other)
            if likeness is not None:
                parts = (int(records.part[a]), int(records.part[b]))
                by_parts.setdefault(parts, []).append((a, b, str(likeness)))
    except KeyboardInterrupt as error:  # what was found so far is said first
        stopped = error
    for parts, alike in sorted(by_parts.items()):
        yield _finding(records, parts, alike)
    if stopped is not None:
        raise stopped


def _loaded(records: All, row: int) -> Any:
    part, index = records.parts[int(records.part[row])], int(records.index[row])
    try:
        return next(part.dataset.trace(Key(0, 0, index)))[1]
    except (Exception, SystemExit):  # a file that went away since it was read: there is nothing to compare
        return None


def _finding(records: All, parts: tuple[int, int], alike: list[tuple[int, int, str]]) -> Finding:
    first, second = (records.parts[number] for number in parts)
    offenders = tuple(
        Offender(records.place(b), _said(records, b, detail), (records.place(a),))
        for a, b, detail in sorted(alike)[:FIRST]
    )
    count, of = len({b for _, b, _ in alike}), len(second.table.read)
    if parts[0] == parts[1]:
        text = f"{count:,} of {of:,} records{first.of} {are(count)} nearly the same as another one"
        return Finding("near-duplicate", text, count, of, offenders)
    text = f"{count:,} of {of:,} records{second.of} {are(count)} nearly the same as one of {first.name}"
    return Finding("near-leak", text, count, of, offenders)


def _said(records: All, row: int, detail: str) -> str:
    text = records.text(row)
    return f"{text}: {detail}" if text else detail
