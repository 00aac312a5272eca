"""Whether values other than those of the image are what their keys promise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from datakit.inspection.seen import Inspected
from datakit.inspection.summary import fields
from datakit.inspection.trouble import Trouble, each, finite, numbers

_ROUNDING = 1e-3


def not_finite(record: Inspected) -> Iterator[Trouble]:
    """Values that are NaN or infinite, of every key, at the first stage that has some."""
    known: set[str] = set()
    for stage in record.stages:
        for name, value in fields(stage.sample):
            array = numbers(value)
            if name in known or array is None or array.dtype.kind != "f":
                continue
            if missing := int(array.size - np.isfinite(array).sum()):
                known.add(name)
                yield Trouble("not finite", name, stage.name, count=missing, of=array.size)


def loud_waveform(record: Inspected) -> Iterator[Trouble]:
    """A waveform with values outside [-1, 1]."""
    for stage, array in each(record.stages, "waveform"):
        values = finite(array)
        if values.size and (values.min() < -1 - _ROUNDING or values.max() > 1 + _ROUNDING):
            yield Trouble("loud", "waveform", stage, float(values.min()), float(values.max()))
            return


def unknown_labels(record: Inspected, classes: int) -> Iterator[Trouble]:
    """Class numbers below 0, or too great for the number of classes, where that is known."""
    for key in ("label", "labels") if classes else ():
        for stage, array in each(record.stages, key):
            if array.dtype.kind not in "iu" or array.ndim != (0 if key == "label" else 1):
                continue
            outside = array[(array < 0) | (array >= classes)]
            if outside.size:
                low, high = float(outside.min()), float(outside.max())
                yield Trouble("label", key, stage, low, high, int(outside.size), int(array.size), str(classes))
                break


def grey_masks(record: Inspected) -> Iterator[Trouble]:
    """Masks with other values than 0 and 1."""
    for stage, array in each(record.stages, "masks"):
        others = array[(array != 0) & (array != 1)]
        if others.size:
            yield Trouble("masks", "masks", stage, float(array.min()), float(array.max()), int(others.size), array.size)
            return
