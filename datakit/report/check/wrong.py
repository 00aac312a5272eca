"""Which boxes, masks and points of a sample a finding is about, so that the picture can point at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datakit.inspection.moments import planes_of
from datakit.inspection.picture import image_in
from datakit.report.objects import Objects, array_of, objects_of

_ROUNDING = 1e-2  # pixels
_APART = 1.5  # of a box from its mask, as the check has it: one that ends at the last pixel misses by 1


@dataclass(frozen=True)
class Wrong:
    """What is to be marked.

    Attributes:
        objects: all of the sample.
        points: (M, 2) of landmarks and labelled key points, pixels.
        bad_objects: bool (N,).
        bad_points: bool (M,).
    """

    objects: Objects
    points: np.ndarray
    bad_objects: np.ndarray
    bad_points: np.ndarray

    @property
    def in_words(self) -> str:
        """What is marked, such as `2 of 9 boxes`."""
        what = "masks" if self.objects.boxes is None else "boxes"
        marked = ((self.bad_objects, what), (self.bad_points, "points"))
        said = [f"{int(bad.sum())} of {len(bad)} {name}" for bad, name in marked if bad.any()]
        return " and ".join(said)


def wrong_in(sample: Any, kind: str, classes: Sequence[str] = ()) -> Wrong | None:
    """What a finding of this kind is about in a sample; None where nothing of it can be pointed at.

    Args:
        sample: at some stage of the chain.
        kind: of the finding.
        classes: names of the labels.
    """
    image = image_in(sample)
    if image is None or not isinstance(sample, dict) or kind not in _OBJECTS.keys() | _POINTS.keys():
        return None
    height, width = planes_of(image).shape[1:]
    size = np.array([width, height], np.float64)
    objects, points = objects_of(sample, classes), _points(sample)
    if objects.boxes is not None and objects.boxes.shape[1] != 4:
        return None
    bad_objects, bad_points = np.zeros(objects.count, bool), np.zeros(len(points), bool)
    if kind in _OBJECTS and objects.count:
        bad_objects = _OBJECTS[kind](objects, size) if kind != "unknown-label" else _unknown(sample, objects, classes)
    if kind in _POINTS and len(points):
        bad_points = _POINTS[kind](points, size)
    if not bad_objects.any() and not bad_points.any():
        return None
    return Wrong(objects, points, bad_objects, bad_points)


def _points(sample: dict[str, Any]) -> np.ndarray:
    """Landmarks, and the labelled key points of all objects."""
    landmarks, keypoints = array_of(sample.get("landmarks"), 2), array_of(sample.get("keypoints"), 3)
    found = [np.zeros((0, 2))]
    if landmarks is not None and landmarks.shape[1] == 2:
        found.append(landmarks)
    if keypoints is not None and keypoints.shape[2] == 3:
        found.append(keypoints[keypoints[:, :, 2] > 0][:, :2])
    return np.concatenate(found).astype(np.float64)


def _outside(objects: Objects, size: np.ndarray) -> np.ndarray:
    boxes = objects.boxes
    return _none(objects) if boxes is None else np.asarray(_beyond(boxes.reshape(-1, 2, 2), size).any(1))


def _beyond(places: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Of (…, 2), which are outside of the image; (…,)."""
    return np.asarray(((places < -_ROUNDING) | (places > size + _ROUNDING)).any(-1))


def _empty(objects: Objects, size: np.ndarray) -> np.ndarray:
    boxes = objects.boxes
    return _none(objects) if boxes is None else np.asarray((boxes[:, 2:] <= boxes[:, :2]).any(1))


def _twice(objects: Objects, size: np.ndarray) -> np.ndarray:
    return _none(objects) if objects.boxes is None else _repeated(objects.boxes)


def _repeated(rows: np.ndarray) -> np.ndarray:
    """Which rows stand there more than once; none of those that are not finite."""
    _, places, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    return np.asarray((counts[places.reshape(-1)] > 1) & np.isfinite(rows).all(1))


def _maskless(objects: Objects, size: np.ndarray) -> np.ndarray:
    return _none(objects) if objects.masks is None else np.asarray(~objects.masks.any((1, 2)))


def _mismatched(objects: Objects, size: np.ndarray) -> np.ndarray:
    """Boxes that end elsewhere than their masks; where all are near, the farthest."""
    if objects.boxes is None or objects.masks is None:
        return _none(objects)
    full = np.flatnonzero(objects.masks.any((1, 2)))
    apart = np.zeros(objects.count)
    for place in full:
        extent = extent_of(objects.masks[place])
        apart[place] = np.nan_to_num(np.abs(objects.boxes[place] - extent).max(), nan=np.inf)
    least = _APART if (apart > _APART).any() else max(float(apart.max()), _ROUNDING)
    return np.asarray(apart >= least)


def extent_of(mask: np.ndarray) -> np.ndarray:
    """The box around a mask that is not empty: (4,), its ends behind the last pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def _unknown(sample: dict[str, Any], objects: Objects, classes: Sequence[str]) -> np.ndarray:
    labels = array_of(sample.get("labels"), 1)
    if labels is None or len(labels) != objects.count or not classes:
        return _none(objects)
    return np.asarray((labels < 0) | (labels >= len(classes)))


def _none(objects: Objects, size: np.ndarray | None = None) -> np.ndarray:
    return np.zeros(objects.count, bool)


def _same(points: np.ndarray, size: np.ndarray) -> np.ndarray:
    return _repeated(points)


_OBJECTS: dict[str, Callable[[Objects, np.ndarray], np.ndarray]] = {
    "box-outside": _outside,
    "box-empty": _empty,
    "box-twice": _twice,
    "mask-empty": _maskless,
    "mask-mismatch": _mismatched,
    "unknown-label": _none,
}
_POINTS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "point-outside": _beyond,
    "identical-points": _same,
}
