"""Image files to arrays: a few formats, limits before anything is decoded, and errors that name the file."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from datakit import probe
from datakit.errors import CorruptDataError, UnknownNameError
from datakit.files.opening import Source, opened
from datakit.pixels import PixelMode, Pixels, exif_orientation, to_array
from datakit.vision import png

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

T = TypeVar("T")

IMAGE_SUFFIXES: tuple[str, ...] = (
    *(".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".mpo", ".pbm", ".pgm"),
    *(".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)
"""Suffixes, lower case and with their dots, of the files that `read_image` reads; for scans of folders."""

_SIGNATURES = {
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "GIF": re.compile(rb"GIF8[79]a"),
    "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "TIFF": re.compile(rb"II[*+]\0|MM\0[*+]"),
    "PPM": re.compile(rb"P[1-6f]\s"),
    "BMP": re.compile(rb"BM"),
}
_BLOCK = 2**20  # bytes read at a time
_BYTES, _HUNGRY = 7, {"WEBP": 16, "progressive JPEG": 12}  # memory a pixel, measured: Pillow's image and ours, and more
_JPEG_RATIO = 1024  # no byte of a JPEG holds more pixels: one bit for each 8x8 block, with any subsampling
_MAX_WORK = 2**32  # pixels times scans; about 3 s
_QUIET = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


def read_image(source: Source, mode: PixelMode = "RGB", *, max_pixels: int = 2**26) -> Pixels:
    """Decode one image, upright, as 8-bit RGB or grey.

    JPEG (and MPO), PNG, GIF, BMP, WebP, TIFF and PPM/PGM/PBM are read, told by their first bytes and never by the
    suffix; nothing else is tried. What each kind of pixel becomes is the table of `datakit.pixels.to_array`. Besides:

    | file | what is read |
    | --- | --- |
    | EXIF orientation (JPEG, PNG, WebP, TIFF) | applied: the array is upright |
    | several frames or pages | the first |
    | PNG | every checksum is verified, also of chunks without pixels |
    | the other formats | have no checksums: damage that still decodes gives wrong pixels, and no error |

    Any number of threads may read at the same time; nothing global in Pillow is changed or relied on, and none of its
    warnings get out. As many pixels as the limit allows take up to 512 MB.

    Args:
        source: a path, the bytes of a file, or a binary file object, which is read from its start and left open.
        mode: `RGB` for three channels, `L` for one.
        max_pixels: width times height above which an image is refused before it is decoded; 7/16 of it for WebP and
            7/12 for progressive JPEG, whose decoders need more memory. Above twice `PIL.Image.MAX_IMAGE_PIXELS`, GIF,
            TIFF and WebP are refused by Pillow too.

    Returns:
        (H, W, 3) or (H, W, 1), `uint8`, [0, 255], C-contiguous and writable.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: the file is a folder, empty, in no known format, broken, truncated or too large.
        UnknownNameError: `mode` is neither `RGB` nor `L`.

    Examples:
        >>> import numpy as np
        >>> from PIL import Image
        >>> from datakit.vision import read_image
        >>> Image.fromarray(np.full((20, 30), 128, np.uint8)).save("grey.png")
        >>> read_image("grey.png").shape, read_image("grey.png", mode="L").shape
        ((20, 30, 3), (20, 30, 1))
        >>> read_image(b"<html>not found</html>")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        datakit.errors.CorruptDataError: <bytes>: not an image in a format that datakit reads ...
    """
    return decoded(source, lambda image, orientation: to_array(image, mode, orientation=orientation), max_pixels)


def decoded(source: Source, turn: Callable[[ImageFile, int], T], max_pixels: int = 2**26) -> T:
    """What `turn` makes of the image and the EXIF orientation that is still to be undone; checks, limits and errors
    are those of `read_image`.
    """
    with opened(source, "an image") if probe.recorder is None else _opened_whole(source) as (file, name), _quiet():
        image, orientation = _open_image(file, name, verify=True)
        try:
            _check_pixels(image, max_pixels)
            _check_room(image, file)
            image.load()
            if image.format == "PNG" and png.ends_early(image, file):
                raise CorruptDataError("truncated PNG: the data end before the last row")
            return turn(image, orientation)
        except CorruptDataError as error:
            raise CorruptDataError(f"{name}: {error}") from None
        except UnknownNameError:
            raise
        except Exception as error:
            raise _broken(name, image.format, "while decoding", error) from error


def image_size(source: Source) -> tuple[int, int]:
    """Height and width of the array that `read_image` would give, from the file's header alone.

    Args:
        source: as for `read_image`.

    Returns:
        (height, width), pixels, after the EXIF orientation.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: the file is a folder, empty, in no known format, or its header is broken.

    Examples:
        >>> from PIL import Image
        >>> from datakit.vision import image_size
        >>> Image.new("RGB", (30, 20)).save("wide.png")
        >>> image_size("wide.png")
        (20, 30)
    """
    with opened(source, "an image") as (file, name), _quiet():
        image, orientation = _open_image(file, name, verify=False)
        return (image.width, image.height) if orientation >= 5 else (image.height, image.width)


@contextlib.contextmanager
def _opened_whole(source: Source) -> Iterator[tuple[BinaryIO, str]]:
    """As `opened`, with the file read into memory at once, so that reading and decoding can be told apart.

    Only while `probe` records. Ordinarily Pillow reads block by block between decoding; the bytes are the same, also
    their number for every whole image, and the cost of either way differs by less than can be seen in a pass.
    """
    if isinstance(source, bytes):
        yield io.BytesIO(source), "<bytes>"
        return
    with probe.stage("read"), opened(source, "an image") as (file, name):
        file.seek(0)
        whole = io.BytesIO(file.read())
    yield whole, name


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow's warnings in, in any number of threads.

    Not by `warnings.catch_warnings`: it puts back a list that other threads may have changed meanwhile, and makes
    warnings that show once show up again after every image.
    """
    filters = cast("list[Any]", warnings.filters)
    filters.insert(0, _QUIET)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            filters.remove(_QUIET)


@functools.cache
def _readers() -> dict[str, Callable[[BinaryIO], ImageFile]]:
    from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, PpmImagePlugin, TiffImagePlugin
    from PIL.WebPImagePlugin import WebPImageFile

    return {
        "JPEG": JpegImagePlugin.JpegImageFile,
        "PNG": PngImagePlugin.PngImageFile,
        "GIF": GifImagePlugin.GifImageFile,
        "WEBP": WebPImageFile,
        "TIFF": TiffImagePlugin.TiffImageFile,
        "PPM": PpmImagePlugin.PpmImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
    }


def _open_image(file: BinaryIO, name: str, *, verify: bool) -> tuple[ImageFile, int]:
    """The image, not yet decoded, and the EXIF orientation that is still to be undone."""
    file.seek(0)
    head = file.read(16)
    if not head:
        raise CorruptDataError(f"{name}: empty file")
    format = next((known for known, signature in _SIGNATURES.items() if signature.match(head)), None)
    if format is None:
        start, known = head[:11].decode("latin-1"), ", ".join(_SIGNATURES)
        raise CorruptDataError(
            f"{name}: not an image in a format that datakit reads (starts with {start!r}); reads {known}"
        )
    try:
        exif = png.exif(file, verify=verify) if format == "PNG" else None
        file.seek(0)
        # Not `Image.open`: it refuses by a global limit before this module can, and without saying the size.
        image = _readers()[format](file)
        _fit_transparent_colour(image)
    except CorruptDataError as error:
        raise CorruptDataError(f"{name}: {error}") from None
    except Exception as error:
        raise _broken(name, format, "in its header", error) from error
    # Of a TIFF no EXIF block is found: Pillow turns those itself, and says the size that they have then.
    return image, exif_orientation(image.info.get("exif", b"") if exif is None else exif)


def _fit_transparent_colour(image: ImageFile) -> None:
    """Bring a PNG's transparent colour to the 8 bits to which Pillow brings the pixels, but not the colour."""
    key = image.info.get("transparency")
    packing = image.tile[0].args if image.format == "PNG" and image.tile else None
    if isinstance(key, int) and packing in ("L;2", "L;4"):
        image.info["transparency"] = key * (85 if packing == "L;2" else 17)
    elif isinstance(key, tuple) and packing == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _broken(name: str, format: str | None, when: str, error: Exception) -> CorruptDataError:
    text = str(error).replace("not identified by this driver", "no size, or a size of 0")
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return CorruptDataError(f"{name}: truncated {format} {when}")
    return CorruptDataError(f"{name}: broken {format} {when} ({type(error).__name__}: {text})")


def _check_pixels(image: ImageFile, max_pixels: int) -> None:
    kind = "progressive JPEG" if image.info.get("progressive") else str(image.format)
    limit = max_pixels * _BYTES // _HUNGRY.get(kind, _BYTES)
    if image.width * image.height > limit:
        raise CorruptDataError(
            f"{image.width} x {image.height} pixels are over the limit of {limit:,} for {kind}; pass max_pixels="
        )


def _check_room(image: ImageFile, file: BinaryIO) -> None:
    """Refuse sizes that the file cannot fill, which Pillow would leave grey or black, and endless repetition."""
    pixels = room = work = image.width * image.height
    most = 8 * pixels
    if image.format == "JPEG":
        length = file.seek(0, os.SEEK_END)
        room, most = length * _JPEG_RATIO, max(_MAX_WORK, 64 * pixels)
        if pixels * length > 16 * most:  # a scan takes more than 16 bytes
            file.seek(0)
            work *= sum(block.count(b"\xff\xda") for block in iter(lambda: file.read(_BLOCK), b""))
    elif image.format == "TIFF":
        extents = [tile.extents or (0, 0, 0, 0) for tile in image.tile]
        room = work = sum((right - left) * (low - top) for left, top, right, low in extents)
    if pixels > room:
        size = f"{image.width} x {image.height}"
        raise CorruptDataError(
            f"truncated {image.format}: the header says {size} pixels, and there is less in the file"
        )
    if work > most:
        raise CorruptDataError(f"broken {image.format}: the same pixels are written {work // pixels:,} times")
