"""What can be seen to be wrong with one record by itself, as it was loaded."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from datakit.inspection.moments import is_flat, planes_of
from datakit.inspection.picture import image_in
from datakit.inspection.record_checks import troubles
from datakit.inspection.seen import Inspected
from datakit.inspection.text import texts_in
from datakit.inspection.trouble import LOADED, Trouble, numbers, values_of
from datakit.sample import SEQUENCES

_OFF = 1.5  # pixels by which a box may miss its mask: one that ends at the last pixel misses by 1
_NO_TEXT = 0.3  # of the characters
_CONTROL = {"Cc", "Cn", "Co", "Cs"}  # categories of Unicode
_BLANKS = "\t\n\r\f\v"


def troubles_of(record: Inspected, classes: Sequence[str]) -> Iterator[Trouble]:
    """All that is wrong with a record of the one stage `loaded`.

    Args:
        record: as loaded.
        classes: names of the labels; empty where they are not known.
    """
    sample = record.stages[0].sample
    yield from troubles(record, classes=classes)
    yield from _flat(sample)
    values = values_of(sample)
    yield from _without_values(values)
    yield from _points(values)
    yield from _boxes(values)
    yield from _masks(values)
    for key, text in texts_in(sample).items():
        if (odd := _no_text(text)) > _NO_TEXT:
            yield Trouble("not text", key, LOADED, count=round(odd * len(text)), of=len(text))


def _flat(sample: Any) -> Iterator[Trouble]:
    image = image_in(sample)
    if image is None:
        return
    planes = planes_of(image)
    if is_flat(planes):
        yield Trouble("flat", "image", LOADED, detail=", ".join(f"{value:g}" for value in planes[:, 0, 0]))


def _without_values(values: dict[str, Any]) -> Iterator[Trouble]:
    for key in ("image", *SEQUENCES):
        array = numbers(values.get(key))
        if array is not None and not array.size and not key.endswith("tokens"):
            yield Trouble("no values", key, LOADED, detail=str(array.shape))


def _points(values: dict[str, Any]) -> Iterator[Trouble]:
    points = numbers(values.get("landmarks"))
    if points is not None and points.ndim == 2 and len(points) > 1:
        repeated = len(points) - len(np.unique(points, axis=0))
        if repeated == len(points) - 1:
            yield Trouble("one point", "landmarks", LOADED)
        elif repeated:
            yield Trouble("same points", "landmarks", LOADED, count=repeated, of=len(points))


def _boxes(values: dict[str, Any]) -> Iterator[Trouble]:
    boxes, labels = numbers(values.get("boxes")), numbers(values.get("labels"))
    if boxes is None or boxes.ndim != 2 or len(boxes) < 2:
        return
    has_labels = labels is not None and labels.ndim == 1 and len(labels) == len(boxes)
    whole = np.column_stack([boxes.astype(np.float64), labels]) if has_labels else boxes  # type: ignore[list-item]
    repeated = len(boxes) - len(np.unique(whole, axis=0))
    if repeated:
        yield Trouble("same boxes", "boxes", LOADED, count=repeated, of=len(boxes))


def _masks(values: dict[str, Any]) -> Iterator[Trouble]:
    masks, boxes = numbers(values.get("masks")), numbers(values.get("boxes"))
    if masks is None or masks.ndim != 3 or not masks.size:
        return
    across, down = (masks != 0).any(1), (masks != 0).any(2)  # (N, W), (N, H)
    is_empty = ~across.any(1)
    if is_empty.any():
        yield Trouble("no pixels", "masks", LOADED, count=int(is_empty.sum()), of=len(masks))
    if boxes is None or boxes.shape != (len(masks), 4):
        return
    ends = [across.argmax(1), down.argmax(1), across.shape[1] - across[:, ::-1].argmax(1),
            down.shape[1] - down[:, ::-1].argmax(1)]  # fmt: skip
    off = np.abs(np.stack(ends, 1) - boxes).max(1)
    far = (off > _OFF) & ~is_empty
    if far.any():
        most = float(off[far].max())
        yield Trouble("other box", "masks", LOADED, _OFF, most, int(far.sum()), len(masks))


def _no_text(text: str) -> float:
    """The share of characters that no text has: control characters, replacement signs, none of Unicode's."""
    odd = sum(
        character == "\ufffd" or (unicodedata.category(character) in _CONTROL and character not in _BLANKS)
        for character in text
        if character > "\x7e" or character < " "
    )
    return odd / max(1, len(text))
