"""What a picture looks like, in bits, and its grey values at any size."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from datakit.check.alike.bits import PICTURE, SIDE, cosines, packed, plane_bits
from datakit.inspection.moments import planes_of

LUMA = (0.299, 0.587, 0.114)
"""Of red, green and blue, ITU-R BT.601."""

FAINT = 0.01
"""Standard deviation of grey, of the full range, below which there is nothing to compare: a night, a blank page."""

_SMALLEST = 8  # pixels of a side
_ENOUGH = 512  # pixels of a side: of larger ones every second, every third, ... pixel is looked at


def picture_sketch(image: Any) -> np.ndarray | None:
    """Of an image as `inspection.picture.image_in` finds it; None where it is tiny or all of one grey."""
    planes = values_of(image)
    _, height, width = planes.shape
    if min(height, width) < _SMALLEST:
        return None
    planes = planes[:, :: max(1, height // _ENOUGH), :: max(1, width // _ENOUGH)]
    grey = grey_of(planes)
    if grey.std() < FAINT:
        return None
    return packed(PICTURE, plane_bits(cosines(SIDE, grey.shape[0]) @ grey @ cosines(SIDE, grey.shape[1]).T))


def values_of(image: Any) -> np.ndarray:
    """The channels (C, H, W) of an image, as they are stored."""
    return planes_of(image)


def grey_of(planes: np.ndarray) -> np.ndarray:
    """Grey values, float32 (H, W), unsigned integers as [0, 1], what is not finite as 0; alpha is not looked at."""
    full = np.iinfo(planes.dtype).max if planes.dtype.kind == "u" else 1
    weights = np.array(LUMA if len(planes) >= len(LUMA) else (1.0,), np.float32) / np.float32(full)
    pixels = planes[: len(weights)].transpose(1, 2, 0)  # as arrays have them in memory
    grey = pixels.astype(np.float32) @ weights
    return np.nan_to_num(grey, nan=0.0, posinf=0.0, neginf=0.0) if planes.dtype.kind == "f" else grey


def shrunk(grey: np.ndarray, height: int, width: int) -> np.ndarray:
    """Grey values at another size, each the mean of the area that it covers: float32 (height, width)."""
    return np.asarray(areas(height, grey.shape[0]) @ grey @ areas(width, grey.shape[1]).T)


@lru_cache(maxsize=4096)
def areas(count: int, length: int) -> np.ndarray:
    """What makes `count` means of `length` values: float32 (count, length), rows add up to 1."""
    return between(np.linspace(0, length, count + 1), length)


def between(edges: np.ndarray, length: int) -> np.ndarray:
    """What makes means of values between rising edges: float32 (len(edges) - 1, length); 0 outside of the values."""
    steps = np.arange(length)
    low, high = edges[:-1, None], edges[1:, None]
    covered = np.minimum(high, steps + 1) - np.maximum(low, steps)
    return np.asarray(np.maximum(covered, 0) / (high - low), np.float32)
