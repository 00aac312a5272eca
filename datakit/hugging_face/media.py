"""Images and sounds as the bytes of files: the original's where it is the sample still, else without loss."""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from datakit.audio import io as sound
from datakit.audio.saving import save as save_sound
from datakit.errors import DatakitError
from datakit.pixels import PixelMode, to_array
from datakit.vision.io import decoded, image_size

if TYPE_CHECKING:
    from PIL.Image import Image

_LARGEST = 2**28  # bytes of a file that is compared with the sample


def is_picture(value: Any) -> bool:
    """Whether this is what `read_image` gives: `uint8` (H, W, 3) or (H, W, 1)."""
    is_array = isinstance(value, np.ndarray) and value.dtype == np.uint8
    return is_array and value.ndim == 3 and value.shape[2] in (1, 3) and value.size > 0


def is_sound(value: Any) -> bool:
    """Whether this is what `audio.load` gives: a `float32` tensor (C, T)."""
    is_tensor = isinstance(value, torch.Tensor) and value.dtype == torch.float32
    return is_tensor and value.ndim == 2 and value.numel() > 0


def picture_bytes(image: np.ndarray, path: Any) -> bytes:
    """An image file that holds these pixels.

    It is the file at `path`, where that gives the same pixels to datakit and to Pillow, which treats transparency, CMYK
    and 16 bits otherwise; else a PNG.

    Args:
        image: `uint8` (H, W, 3) or (H, W, 1).
        path: the `path` of the sample.
    """
    original = _file_at(path)
    if original is not None and _is_of(original, image):
        return original
    from PIL import Image as images

    buffer = io.BytesIO()
    images.fromarray(image if image.shape[2] == 3 else image[:, :, 0]).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def sound_bytes(waveform: torch.Tensor, rate: int, path: Any) -> bytes:
    """A sound file that holds this waveform: the one at `path` where it does, else a WAV of `float32`.

    Args:
        waveform: `float32` (C, T).
        rate: Hz.
        path: the `path` of the sample.

    Raises:
        ValueError: samples that are not finite, or a rate that no file has.
    """
    original = _file_at(path)
    if original is not None:
        try:
            found, its_rate = sound.load(original)
        except DatakitError:
            its_rate = -1
        if its_rate == rate and torch.equal(found, waveform):
            return original
    buffer = io.BytesIO()
    save_sound(buffer, waveform, rate, format="wav", encoding="FLOAT")
    return buffer.getvalue()


def _file_at(path: Any) -> bytes | None:
    """The contents of a regular file; None where there is none that can be read."""
    if not isinstance(path, str) or "\0" in path:
        return None
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode) or not 0 < about.st_size <= _LARGEST:
            return None
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def _is_of(data: bytes, image: np.ndarray) -> bool:
    mode: PixelMode = "RGB" if image.shape[2] == 3 else "L"

    def equal(found: Image, orientation: int) -> bool:
        is_plain = found.mode in ("RGB", "L", "1", "P") and not found.has_transparency_data
        return is_plain and np.array_equal(to_array(found, mode, orientation=orientation), image)

    try:
        return image_size(data) == image.shape[:2] and decoded(data, equal)
    except DatakitError:
        return False
