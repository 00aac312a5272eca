"""What shows only in all records together: classes, sizes far from the rest, forms and ranges that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from datakit.check.corpus import FIRST, Read
from datakit.check.drift import AS_LOADED, FormCounts
from datakit.check.facts import IMAGE, NO_LABEL, SOUND, TEXT
from datakit.check.findings import Finding
from datakit.inspection.labels import class_counts
from datakit.phrasing import number

_FAR = 8.0  # robust standard deviations of the logarithm
_TIMES = 4.0  # the median, at least
_LEAST = 20  # records of which a size is said to be far from the rest
_APART = 10.0  # times as many records in the greatest class as in the least
_FEW = 5  # records a class, on average, from which on one without any is worth a word
_SHOWN = 8  # classes that are named

Values = npt.NDArray[np.float64]


def classes_of(part: Read) -> Iterator[Finding]:
    """Classes without records, and classes far apart in size."""
    rows = part.table.rows[part.table.read]
    labels = rows["label"][rows["label"] != NO_LABEL]
    key, counts = "label", Counter(labels.tolist())
    if not counts:
        key, counts = "labels", Counter(label for one in part.table.labels.values() for label in one)
    names = list(map(str, part.dataset.classes))
    total = sum(counts.values())
    if not counts or not names or part.table.known < len(part.table.rows):
        return
    known = class_counts(key, counts, names, of_all=True)
    of_class = {name: count for name, count in zip(known.names, known.counts, strict=True) if name in names}
    what = "records" if key == "label" else "objects"
    empty = [name for name, count in of_class.items() if not count]
    if empty and total >= _FEW * len(of_class):
        text = f"{len(empty):,} of {len(of_class):,} classes have no {what}{part.of}: {_named(empty)}"
        yield Finding("empty-class", text)
    filled = sorted((count, name) for name, count in of_class.items() if count)
    if len(filled) > 1 and filled[-1][0] >= _APART * filled[0][0] and filled[-1][0] >= _LEAST:
        (least, rare), (most, frequent) = filled[0], filled[-1]
        text = (
            f"{frequent} has {most:,} {what}{part.of} ({most / total:.0%}), {rare} has {least:,}: "
            f"{number(round(most / least))} times as many"
        )
        yield Finding("imbalance", text)


def _named(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")


def class_lists(parts: Sequence[Read]) -> Iterator[Finding]:
    """Parts whose classes are not those of the first one that has any."""
    named = [part for part in parts if len(part.dataset.classes)]
    for part in named[1:]:
        first, other = (list(map(str, one.dataset.classes)) for one in (named[0], part))
        if first == other:
            continue
        moved = next((place for place, (a, b) in enumerate(zip(first, other, strict=False)) if a != b), None)
        text = f"{named[0].name} has the classes {_named(first)}, and {part.name} has {_named(other)}"
        if moved is not None:
            text += f": label {moved} is {first[moved]} in one and {other[moved]} in the other"
        yield Finding("classes", text, level=None if moved is not None else "warning")


def outliers(part: Read) -> Iterator[Finding]:
    """Durations, lengths of text and sizes of images far from those of the others."""
    for what, unit, indices, values in _sizes(part):
        if len(values) < _LEAST:
            continue
        logs = np.log(values)
        middle = float(np.median(logs))
        spread = 1.4826 * float(np.median(np.abs(logs - middle)))  # the standard deviation of a normal distribution
        off = np.abs(logs - middle)
        far = np.flatnonzero((off > _FAR * spread) & (off > np.log(_TIMES)))
        if 0 < len(far) <= max(_FEW, 0.05 * len(values)):  # more are no exception
            far = far[np.argsort(-off[far], kind="stable")]
            details = {int(indices[place]): f"{_size(values[place])} {unit}" for place in far}
            ends = dict.fromkeys((_size(values[far].min()), _size(values[far].max())))
            text = (
                f"{what} of {len(far):,} of {len(values):,} records{part.of} is far from that of the rest: "
                f"{' to '.join(ends)} {unit}, the median is {_size(float(np.exp(middle)))} {unit}"
            )
            yield Finding("outlier", text, len(far), len(values), part.offenders(indices[far].tolist(), details))


def _size(value: float) -> str:
    return number(float(f"{value:.3g}")) if value < 1000 else f"{round(value):,}"


def _sizes(part: Read) -> Iterator[tuple[str, str, npt.NDArray[np.int64], Values]]:
    """(what, unit, indices, values above 0) of what can be far from the rest."""
    indices = part.table.read
    indices = indices[~part.table.rows["is_plain"][indices]]
    rows = part.table.rows[indices]
    size = rows["size"].astype(np.float64)
    sounds = (rows["modality"] == SOUND) & (size[:, 1] > 0) & (size[:, 0] > 0)
    yield "the duration", "s", indices[sounds], size[sounds, 0] / size[sounds, 1]
    texts = (rows["modality"] == TEXT) & (size[:, 0] > 0)
    yield "the length", "characters", indices[texts], size[texts, 0]
    images = (rows["modality"] == IMAGE) & (size[:, :2] > 0).all(1)
    yield "the size", "pixels", indices[images], size[images, 0] * size[images, 1]


def drifts(part: Read) -> Iterator[Finding]:
    """Keys, types, shapes and ranges that are not the same in all records."""
    indices = part.table.read
    rows = part.table.rows[indices]
    digests, inverse, amounts = np.unique(rows["form"], return_inverse=True, return_counts=True)
    if len(digests) > 1:
        counts = FormCounts()
        for number_ in np.argsort(-amounts, kind="stable").tolist():
            first = indices[np.flatnonzero(inverse == number_)[:FIRST]].tolist()
            forms = {tuple(key.split("\0")): how for key, how in part.table.forms[int(digests[number_])].items()}
            counts.add_all([part.place(index) for index in first], int(amounts[number_]), forms)  # type: ignore[arg-type]
        yield from counts.findings(f"{AS_LOADED}{part.name and f' in {part.name}'}")
    yield from _without_grey(part, indices, rows)


def _without_grey(part: Read, indices: npt.NDArray[np.int64], rows: npt.NDArray[np.void]) -> Iterator[Finding]:
    """Images that were made whole numbers too early."""
    images = rows["modality"] == IMAGE
    is_dark = images & rows["is_whole"] & (rows["high"] <= 1) & (rows["high"] > rows["low"])
    if is_dark.any():
        shown = indices[is_dark].tolist()
        text = f"{len(shown):,} of {int(images.sum()):,} images{part.of} are whole numbers, none of them above 1"
        advice = "they look scaled to 0 … 1 before they became whole numbers: all grey is lost; write them again"
        yield Finding("range", text, len(shown), int(images.sum()), part.offenders(shown), advice)
