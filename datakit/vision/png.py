"""What Pillow does not check in a PNG: every checksum, and that the pixels are all there."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from datakit.errors import CorruptDataError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_BLOCK = 2**20  # bytes read at a time
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def _blocks(file: BinaryIO, *, verify: bool) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the chunks, in blocks; without `verify`, the pixels and all checksums are passed over."""
    file.seek(8)
    kind = b""
    while kind != b"IEND":
        start = file.tell()
        head = file.read(8)
        length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        if kind == b"IDAT" and not verify:
            length -= file.seek(length, os.SEEK_CUR) - start - 8
        crc = zlib.crc32(kind)
        while length and (block := file.read(min(length, _BLOCK))):
            crc, length = zlib.crc32(block, crc), length - len(block)
            yield kind, block
        expected = file.read(4)
        if length or len(expected) < 4:
            raise CorruptDataError(f"truncated PNG: the file ends in its chunk at byte {start}")
        if verify and crc != int.from_bytes(expected, "big"):
            raise CorruptDataError(f"PNG chunk {kind.decode('latin-1')} fails its checksum at byte {start}")


def exif(file: BinaryIO, *, verify: bool) -> bytes:
    """The EXIF block, which may come after the pixels; on the way every chunk is checked."""
    seen: dict[bytes, bytes] = {}
    for kind, block in _blocks(file, verify=verify):
        if kind in (b"IHDR", b"PLTE", b"eXIf"):
            seen.setdefault(kind, block)
    if seen.get(b"IHDR", b"")[9:10] == b"\x03" and b"PLTE" not in seen:
        raise CorruptDataError("broken PNG: it has no palette")
    return seen.get(b"eXIf", b"")


def ends_early(image: ImageFile, file: BinaryIO) -> bool:
    """Whether there are fewer pixels than the header says, which Pillow leaves black."""
    interlaced = image.info.get("interlace")
    if not interlaced and np.asarray(image.crop((0, image.height - 1, *image.size))).any():
        return False  # the last row was written
    file.seek(16)
    width, height, depth, colour = struct.unpack(">IIBB", file.read(10))
    bits = depth * {2: 3, 4: 2, 6: 4}.get(colour, 1)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    sizes = [(-((x - width) // dx), -((y - height) // dy)) for x, y, dx, dy in passes]
    expected = sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns > 0 and rows > 0)
    inflate, length = zlib.decompressobj(), 0
    for kind, block in _blocks(file, verify=True):
        while kind == b"IDAT" and block:
            length += len(inflate.decompress(block, _BLOCK))
            block = inflate.unconsumed_tail
    return bool(length + len(inflate.flush()) < expected)
