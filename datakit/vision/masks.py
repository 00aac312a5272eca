"""Instance masks: one channel in which 0 is background and every other value is one object."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from datakit.errors import CorruptDataError
from datakit.sample import Sample
from datakit.vision.io import decoded

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_BLOCK = 2**20  # pixels counted at a time
_MOST = 2**29  # bytes of all masks of an image
_MODES = ("1", "L", "P", "I", "I;16", "I;16B")  # of PNG files Pillow gives I for 16 bits only


def read_instances(path: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """Read an instance mask from a PNG, as it is stored: of a palette the indices, not the colours.

    Checks and limits are those of `read_image`.

    Args:
        path: the file.

    Returns:
        (H, W), unsigned integers of 8 or 16 bits.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: it is no PNG, broken, too large, or has more than one channel.
    """
    return decoded(path, lambda image, _: _values(image))


def _values(image: ImageFile) -> np.ndarray[Any, Any]:
    if image.format != "PNG":
        raise CorruptDataError(f"a mask is a PNG, which keeps its values exactly; found {image.format}")
    if image.mode not in _MODES:
        raise CorruptDataError(
            f"a mask has one channel with the number of the object, found {image.mode}; save it as 8- or 16-bit grey"
        )
    values = np.array(image)
    return values.astype(np.uint16 if image.mode.startswith("I") else np.uint8, copy=False)


def objects(instances: np.ndarray[Any, Any]) -> Sample:
    """The objects of an instance mask, in the order of their values.

    Args:
        instances: (H, W), unsigned integers, 0 for the background.

    Returns:
        `masks` (N, H, W) `uint8`, `boxes` (N, 4) `float32`, tight, and `area` (N,) `float32`, pixels of the mask.

    Raises:
        CorruptDataError: the masks would take more than 512 MiB.
    """
    pixels = _counts(instances)
    values = np.flatnonzero(pixels)
    if len(values) * instances.size > _MOST:
        height, width = instances.shape
        raise CorruptDataError(
            f"{len(values):,} objects in a mask of {height} x {width} (height x width) need more than "
            f"{_MOST // 2**20} MiB; is it an instance mask?"
        )
    masks = instances == values.astype(instances.dtype)[:, None, None]
    (left, right), (top, bottom) = _ends(masks.any(1)), _ends(masks.any(2))
    return {
        "boxes": np.stack([left, top, right, bottom], 1).astype(np.float32),
        "masks": masks.view(np.uint8),
        "area": pixels[values].astype(np.float32),
    }


def _counts(instances: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Pixels of each value, none for 0; in blocks, since `bincount` makes 64-bit integers of what it counts."""
    flat, length = instances.ravel(), np.iinfo(instances.dtype).max + 1
    counts = np.zeros(length, np.int64)
    for start in range(0, flat.size, _BLOCK):
        counts += np.bincount(flat[start : start + _BLOCK], minlength=length)
    counts[0] = 0
    return counts


def _ends(is_in: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Where rows (N, L) are first true, and behind where they are last; each is true somewhere."""
    return is_in.argmax(1), is_in.shape[1] - is_in[:, ::-1].argmax(1)
