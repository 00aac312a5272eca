"""The pages of an Ogg file: that all are there, and whole. libsndfile leaves out in silence what is not.

Format: RFC 3533, section 6.
"""

from __future__ import annotations

import os
import zlib
from typing import BinaryIO, NamedTuple

from datakit.errors import CorruptDataError

_LARGEST = 27 + 255 + 255 * 255  # bytes of a page
_FIRST, _LAST = 2, 4  # flags
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Page(NamedTuple):
    """One page."""

    at: int  # bytes
    size: int  # bytes
    flags: int
    serial: int
    number: int
    sound: bool  # passes its checksum


def check(file: BinaryIO, size: int, *, whole: bool, streamed: bool) -> None:
    """Look at all pages, or only at the last.

    Raises:
        CorruptDataError: with the offset, where a page is damaged, missing or cut, the last is not marked so and
            `streamed` is false, or a second recording follows.
    """
    last = _walk(file) if whole else _last_page(file, size)
    if last.at + last.size < size and not streamed:
        raise CorruptDataError(f"truncated Ogg: no whole page behind byte {last.at + last.size:,}, of {size:,}")
    if not last.flags & _LAST and not streamed:
        raise CorruptDataError(
            f"truncated Ogg: the page at byte {last.at:,} is the last and not marked so; pass streamed=True to read a "
            "file whose end was never written"
        )


def _walk(file: BinaryIO) -> Page:
    """The last whole page, after a look at all."""
    file.seek(0)
    data, at, last = file.read(), 0, None
    expected: dict[int, int] = {}
    while page := _page(data, at):
        if not page.sound:
            raise CorruptDataError(f"broken Ogg: the page at byte {at:,} fails its checksum")
        if page.flags & _FIRST and last and not last.flags & _FIRST:
            raise CorruptDataError(f"a second recording begins at byte {at:,} of this Ogg; only one a file is read")
        if page.number != expected.setdefault(page.serial, page.number):
            raise CorruptDataError(
                f"broken Ogg: page {page.number:,} at byte {at:,}, where page {expected[page.serial]:,} should be"
            )
        expected[page.serial] += 1
        at, last = at + page.size, page
    if last is None:
        raise CorruptDataError("truncated Ogg: ends within its first page")
    if at < len(data) and not data.startswith(b"OggS"[: len(data) - at], at):
        raise CorruptDataError(f"broken Ogg: no page at byte {at:,}")
    return last


def _last_page(file: BinaryIO, size: int) -> Page:
    start = max(0, size - 2 * _LARGEST)
    file.seek(start, os.SEEK_SET)
    tail = file.read()
    at = len(tail)
    while (at := tail.rfind(b"OggS", 0, at)) >= 0:
        if (page := _page(tail, at)) and page.sound:
            return page._replace(at=start + at)
    raise CorruptDataError(f"broken Ogg: no whole page in the last {len(tail):,} bytes")


def _page(data: bytes, at: int) -> Page | None:
    """The whole page at `at`; None where there is none."""
    head = data[at : at + 27]
    if len(head) < 27 or head[:4] != b"OggS":
        return None
    size = 27 + head[26] + sum(data[at + 27 : at + 27 + head[26]])
    if at + size > len(data):
        return None
    crc = _crc(head[:22] + b"\0\0\0\0" + data[at + 26 : at + size])
    said, serial, number = (int.from_bytes(head[a : a + 4], "little") for a in (22, 14, 18))
    return Page(at, size, head[5], serial, number, crc == said)


def _crc(data: bytes) -> int:
    """Ogg's checksum: that of zlib with the bits of every byte and of the result the other way round, without its
    inversions.
    """
    mirrored = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
