"""idx files, the format of MNIST: a short header, then the bytes of one array."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from datakit.errors import CorruptDataError
from datakit.files.file_array import Bytes, map_opened
from datakit.files.opening import open_regular

MOST_UNPACKED = 2**28
"""Bytes that a compressed file may hold; a plain file of any size is mapped."""

_UBYTE = 8
_BLOCK = 2**20
_AGAIN = "delete it and get it again"


def read_idx(path: str | Path, ndim: int) -> Bytes:
    """The array of an idx file of unsigned bytes, plain or gzip-compressed (told by the ending `.gz`).

    A plain file is mapped into memory: nothing is read before it is used, and processes share its pages. It must not
    be cut short while it is in use. A compressed one is unpacked into memory.

    Args:
        path: the file.
        ndim: axes that the array must have; 3 for images, 1 for labels.

    Returns:
        `uint8` with `ndim` axes, read-only.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: another format, element type or number of axes; sizes that do not match the file; damaged or
            truncated compression; more than `MOST_UNPACKED` bytes in a compressed file.

    Source: the description of the format at http://yann.lecun.com/exdb/mnist/.

    Examples:
        >>> from pathlib import Path
        >>> from datakit.vision.idx import read_idx
        >>> Path("labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
        11
        >>> read_idx("labels-idx1-ubyte", ndim=1)
        array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    with open_regular(str(path), "an idx file") as file:
        return _unpacked(file, path, ndim) if path.suffix == ".gz" else _mapped(file, path, ndim)


def write_idx(path: Path, array: Bytes) -> None:
    """Write an array of `uint8` as a plain idx file."""
    dims = np.array(array.shape, ">u4").tobytes()
    path.write_bytes(bytes([0, 0, _UBYTE, array.ndim]) + dims + array.astype(np.uint8).tobytes())


def _mapped(file: BinaryIO, path: Path, ndim: int) -> Bytes:
    whole = map_opened(file, path)
    start = 4 + 4 * ndim
    shape = _shape(whole[:start].tobytes(), path, ndim)
    if len(whole) != start + math.prod(shape):
        raise _wrong_size(path, shape, f"the file has {len(whole) - start:,}")
    return whole[start:].reshape(shape)


def _unpacked(file: BinaryIO, path: Path, ndim: int) -> Bytes:
    try:
        with gzip.GzipFile(fileobj=file) as stream:
            shape = _shape(stream.read(4 + 4 * ndim), path, ndim)
            size = math.prod(shape)
            if size > MOST_UNPACKED:
                raise CorruptDataError(
                    f"{path}: its header says {_times(shape)} bytes, more than {MOST_UNPACKED:,}; unpack it: "
                    f"a plain file is not read into memory"
                )
            contents = _read(stream, size + 1)  # one more: so is the checksum reached, and anything that follows seen
    except (OSError, EOFError, zlib.error) as error:
        raise CorruptDataError(f"{path}: damaged or truncated gzip file ({error}); {_AGAIN}") from error
    if len(contents) != size:
        raise _wrong_size(path, shape, f"the file has {'more' if len(contents) > size else f'{len(contents):,}'}")
    array = np.frombuffer(contents, np.uint8).reshape(shape)
    array.flags.writeable = False
    return array


def _read(stream: gzip.GzipFile, size: int) -> bytearray:
    """Up to `size` bytes; memory grows with what is there, not with what a header promises."""
    contents = bytearray()
    while len(contents) < size and (block := stream.read(min(_BLOCK, size - len(contents)))):
        contents += block
    return contents


def _shape(header: bytes, path: Path, ndim: int) -> tuple[int, ...]:
    if header[:2] == b"\x1f\x8b":
        raise CorruptDataError(f"{path}: is compressed with gzip; unpack it, or add .gz to its name")
    if len(header) < 4 or header[:2] != b"\0\0":
        raise CorruptDataError(f"{path}: not an idx file, it begins with {header[:4]!r}; {_AGAIN}")
    if header[2] != _UBYTE:
        raise CorruptDataError(f"{path}: elements of type 0x{header[2]:02x}, expected 0x08 (unsigned byte); {_AGAIN}")
    if header[3] != ndim:
        raise CorruptDataError(f"{path}: an array of {header[3]} axes, expected {ndim}; {_AGAIN}")
    if len(header) < 4 + 4 * ndim:
        raise CorruptDataError(f"{path}: truncated in its header; {_AGAIN}")
    shape = tuple(np.frombuffer(header, ">u4", ndim, 4).tolist())
    if not all(shape):
        raise CorruptDataError(f"{path}: its header says {_times(shape)}, which is no data; {_AGAIN}")
    return shape


def _wrong_size(path: Path, shape: tuple[int, ...], found: str) -> CorruptDataError:
    return CorruptDataError(
        f"{path}: its header says {_times(shape)} = {math.prod(shape):,} bytes, {found} after it; {_AGAIN}"
    )


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
