"""Pillow images to arrays: the one place that says how each kind of pixel becomes 8 bits."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from datakit.errors import CorruptDataError, UnknownNameError

if TYPE_CHECKING:
    from PIL.Image import Image

PixelMode: TypeAlias = Literal["RGB", "L"]
Pixels: TypeAlias = "np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]"

_BAND = 2**20  # pixels turned at a time: fits the caches, and bounds what alpha and palettes need on top of the result
_DEEP_GREY = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION_TAG = 0x0112
_LONG = 4


def to_array(image: Image, mode: PixelMode = "RGB", *, orientation: int = 1) -> Pixels:
    """The pixels of a Pillow image as 8-bit RGB or grey, by this table and nothing else.

    | pixels | what they become |
    | --- | --- |
    | RGB, 8-bit grey | as they are; grey is repeated in three channels, RGB becomes grey by ITU-R 601 (as in Pillow) |
    | 1 bit | 0 and 255 |
    | palette | its colours |
    | alpha, a transparent colour or palette entry | laid over white |
    | CMYK, YCbCr, LAB, HSV | RGB, by Pillow, without colour profiles |
    | 16-bit grey (I;16, and I from PNG and PPM) | the high byte; 16-bit RGB already comes so from Pillow |
    | 32-bit integers (I from any other format), floats (F) | refused: they have no agreed range |

    Args:
        image: any Pillow image; of several frames the current one. It is loaded if it was not.
        mode: `RGB` for three channels, `L` for one.
        orientation: the EXIF orientation (1 to 8) to undo. The EXIF data of `image` itself is not looked at.

    Returns:
        (H, W, 3) or (H, W, 1), `uint8`, [0, 255], C-contiguous, writable and the caller's own.

    Raises:
        CorruptDataError: the pixels are floats, 32-bit integers or of a kind that Pillow cannot turn into RGB.
        UnknownNameError: `mode` is neither `RGB` nor `L`.
    """
    if mode not in ("RGB", "L"):
        raise UnknownNameError.of("mode", mode, ("RGB", "L"))
    _refuse_rangeless(image)
    image.load()
    width, height = image.size
    out = np.empty((height, width, len(mode)), np.uint8)
    if orientation >= 5:
        out = out.reshape(width, height, len(mode))
    stored = _as_stored(out, orientation)
    rows = max(1, _BAND // max(1, width))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        band = image if rows >= height else image.crop((0, top, width, bottom))
        pixels = _band_pixels(band, mode)
        if pixels.ndim == 3:
            stored[top:bottom] = pixels
        else:
            for channel in range(len(mode)):
                stored[top:bottom, :, channel] = pixels
    return out


def exif_orientation(exif: bytes) -> int:
    """The orientation that a block of EXIF data names.

    Read here, since Pillow's reader warns about damage in tags that nobody asked for.

    Args:
        exif: the block, with or without its `Exif` prefix; may be empty or damaged.

    Returns:
        1 to 8 as EXIF 2.3 (CIPA DC-008) numbers them; 1, upright, where nothing valid is said.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", tiff, entry)
            if tag == _ORIENTATION_TAG:
                (value,) = struct.unpack_from(order + ("I" if kind == _LONG else "H"), tiff, entry + 8)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def _refuse_rangeless(image: Image) -> None:
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        kind = "float" if image.mode == "F" else "integer"
        raise CorruptDataError(
            f"32-bit {kind} pixels have no agreed range; read them with skimage.io.imread and scale them to uint8"
        )


def _as_stored(out: Pixels, orientation: int) -> Pixels:
    """`out` seen in the order in which the file stores its pixels, so that writing there turns them upright."""
    stored: Any = out.swapaxes(0, 1) if orientation >= 5 else out
    if orientation in (3, 4, 6, 7):
        stored = stored[::-1]
    if orientation in (2, 3, 7, 8):
        stored = stored[:, ::-1]
    return stored  # type: ignore[no-any-return]


def _band_pixels(band: Image, mode: PixelMode) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(h, w) grey or (h, w, 3) colour for some rows of an image."""
    if band.mode in _DEEP_GREY:
        values = np.asarray(band)
        grey = (values >> 8).astype(np.uint8)
        if "transparency" in band.info:
            grey[values == band.info["transparency"]] = 255
        return grey
    if band.has_transparency_data:
        band = _over_white(band)
    if band.mode not in ("L", "RGB"):
        band = band.convert("RGB")
    return np.asarray(band if band.mode in ("L", mode) else band.convert(mode))


def _over_white(band: Image) -> Image:
    from PIL import Image as images

    rgba = band.convert("RGBA")
    white = images.new("RGB", rgba.size, (255, 255, 255))
    white.paste(rgba, mask=rgba)
    return white
