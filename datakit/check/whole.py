"""What shows only in all records together: classes, sizes far from the rest, forms and ranges that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from datakit.check.corpus import Read, records_of
from datakit.check.facts import IMAGE, NO_LABEL, SOUND, TEXT
from datakit.check.findings import Finding
from datakit.inspection.labels import class_counts
from datakit.phrasing import number

_FAR = 8.0  # robust standard deviations of the logarithm
_TIMES = 4.0  # the median, at least
_LEAST = 20  # records of which a size is said to be far from the rest
_APART = 10.0  # times as many records in the greatest class as in the least
_FEW = 5  # records a class, on average, from which on one without any is worth a word
_UNIT, _BYTES = 1.001, 16.0  # floating-point images at most this are in 0 … 1, above that in 0 … 255
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
        if len(far) and len(far) <= 0.05 * len(values):
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
    if len(indices) < 2:
        return
    rows = part.table.rows[indices]
    yield from _forms(part, indices, rows["form"])
    yield from _ranges(part, indices, rows)
    yield from _rates(part, indices, rows)


def _forms(part: Read, indices: npt.NDArray[np.int64], digests: npt.NDArray[np.uint64]) -> Iterator[Finding]:
    digest, inverse, counts = np.unique(digests, return_inverse=True, return_counts=True)
    if len(digest) < 2:
        return
    forms = [part.table.forms[int(one)] for one in digest]
    for key in sorted({key for form in forms for key in form}):
        amount: Counter[str | None] = Counter()
        for form, count in zip(forms, counts.tolist(), strict=True):
            amount[form.get(key)] += count
        amount_missing = amount.pop(None, 0)
        if amount_missing:
            lacking = [place for place, form in enumerate(forms) if key not in form]
            shown = indices[np.isin(inverse, lacking)].tolist()
            text = f"{key} is missing in {amount_missing:,} of {len(indices):,} records{part.of}"
            yield Finding("missing-key", text, amount_missing, len(indices), part.offenders(shown))
        if len(amount) > 1:
            common = amount.most_common()
            rare = [place for place, form in enumerate(forms) if form.get(key) not in (common[0][0], None)]
            shown = indices[np.isin(inverse, rare)].tolist()
            said = ", ".join(f"{form} in {records_of(count)}" for form, count in common[:4])
            text = f"{key} is not of one form{part.of}: {said}"
            yield Finding("drift", text, len(shown), len(indices), part.offenders(shown))


def _ranges(part: Read, indices: npt.NDArray[np.int64], rows: npt.NDArray[np.void]) -> Iterator[Finding]:
    """Images that were made whole numbers too early, or of two ranges."""
    images = rows["modality"] == IMAGE
    forms = part.table.forms
    floating = [form for form in np.unique(rows["form"]) if forms[int(form)].get("image", "").startswith("float")]
    is_float = images & np.isin(rows["form"], floating)
    is_dark = images & ~is_float & (rows["high"] <= 1) & (rows["high"] > rows["low"])
    if is_dark.any():
        shown = indices[is_dark].tolist()
        text = f"{len(shown):,} of {int(images.sum()):,} images{part.of} are whole numbers, none of them above 1"
        advice = "they look scaled to 0 … 1 before they became whole numbers: all grey is lost; write them again"
        yield Finding("range", text, len(shown), int(images.sum()), part.offenders(shown), advice)
    yield from _units(part, indices, rows, is_float)


def _units(
    part: Read, indices: npt.NDArray[np.int64], rows: npt.NDArray[np.void], images: npt.NDArray[np.bool_]
) -> Iterator[Finding]:
    """Floating-point images of two ranges."""
    is_unit, is_bytes = images & (rows["high"] <= _UNIT), images & (rows["high"] > _BYTES)
    if is_unit.any() and is_bytes.any():
        fewer = is_unit if is_unit.sum() < is_bytes.sum() else is_bytes
        shown = indices[fewer].tolist()
        text = (
            f"the image is in 0 … 1 in {int(is_unit.sum()):,} records{part.of} and in 0 … 255 in "
            f"{int(is_bytes.sum()):,}"
        )
        yield Finding("drift", text, len(shown), len(indices), part.offenders(shown))


def _rates(part: Read, indices: npt.NDArray[np.int64], rows: npt.NDArray[np.void]) -> Iterator[Finding]:
    """Sounds of several sample rates."""
    sounds = (rows["modality"] == SOUND) & (rows["size"][:, 1] > 0)
    common = Counter(rows["size"][sounds, 1].tolist()).most_common()
    if len(common) > 1:
        shown = indices[sounds & (rows["size"][:, 1] != common[0][0])].tolist()
        text = f"there are {len(common)} sample rates{part.of}: " + ", ".join(
            f"{rate:,} Hz in {records_of(count)}" for rate, count in common[:4]
        )
        advice = f"a model hears them at other speeds; Resample({common[0][0]}) brings all to one rate"
        yield Finding("drift", text, len(shown), int(sounds.sum()), part.offenders(shown), advice, level="note")
