"""Whether landmarks and boxes lie in their image, and whether objects are whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from datakit.inspection.moments import planes_of
from datakit.inspection.seen import Inspected
from datakit.inspection.trouble import LOADED, Trouble, numbers, values_of
from datakit.sample import per_object

_ROUNDING = 1e-2  # pixels

_Count = Callable[[np.ndarray, tuple[float, float]], int]


def places(record: Inspected) -> Iterator[Trouble]:
    """Landmarks and boxes outside the image, as loaded, or else where the chain brings it about.

    Coordinates are continuous: a box may end at W, and W itself is still inside.
    """
    for key, width, count in (("landmarks", 2, _points_outside), ("boxes", 4, _boxes_outside)):
        yield from _first(record, key, width, "outside", count)


def empty_boxes(record: Inspected) -> Iterator[Trouble]:
    """Boxes that end before they begin."""
    yield from _first(record, "boxes", 4, "empty", _empty, needs_image=False)


def _first(
    record: Inspected, key: str, width: int, kind: str, count: _Count, needs_image: bool = True
) -> Iterator[Trouble]:
    """The data's own trouble where there is some, else what is there at the end, from the stage that it came from."""
    found: Trouble | None = None
    for stage in record.stages:
        values = values_of(stage.sample)
        array, image = numbers(values.get(key)), values.get("image")
        if array is None or array.ndim != 2 or array.shape[1] != width or (needs_image and image is None):
            continue
        height, across = (0, 0) if image is None else planes_of(image).shape[1:]
        bad = count(array.astype(np.float64), (float(across), float(height)))
        where = stage.name if found is None else found.stage
        found = Trouble(kind, key, where, count=bad, of=len(array)) if bad else None  # type: ignore[arg-type]
        if bad and stage.name == LOADED:
            break
    if found is not None:
        yield found


def _points_outside(points: np.ndarray, size: tuple[float, float]) -> int:
    return int(((points < -_ROUNDING) | (points > np.array(size) + _ROUNDING)).any(1).sum())


def _boxes_outside(boxes: np.ndarray, size: tuple[float, float]) -> int:
    return int(((boxes < -_ROUNDING) | (boxes > np.array(size * 2) + _ROUNDING)).any(1).sum())


def _empty(boxes: np.ndarray, size: tuple[float, float]) -> int:
    return int((boxes[:, 2:] <= boxes[:, :2]).any(1).sum())


def broken_objects(record: Inspected) -> Iterator[Trouble]:
    """Per-object keys of different lengths, and boxes without labels, at the first stage that has such."""
    known: set[str] = set()
    for stage in record.stages:
        values = values_of(stage.sample)
        counts = {key: len(values[key]) for key in per_object(values) if hasattr(values[key], "__len__")}
        if len(set(counts.values())) > 1 and "lengths" not in known:
            known.add("lengths")
            detail = ", ".join(f"{key} {count}" for key, count in counts.items())
            yield Trouble("lengths", "boxes", stage.name, detail=detail)
        if "boxes" in counts and "labels" not in counts and "label" not in values and "unlabelled" not in known:
            known.add("unlabelled")
            yield Trouble("unlabelled", "boxes", stage.name)
