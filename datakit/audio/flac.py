"""The length of a FLAC file, held against its last frame.

Format: RFC 9639, sections 8.2 (STREAMINFO) and 9.1 (frame headers).
"""

from __future__ import annotations

import os
from typing import BinaryIO, NamedTuple

from datakit.errors import CorruptDataError

_TAIL = 2**18  # bytes in which the last frame is looked for where its greatest size is not said
_ID3 = 128


class StreamInfo(NamedTuple):
    """What is used of the first block of metadata."""

    max_block: int  # samples of each channel
    max_frame: int  # bytes; 0 where it is not known
    total: int  # samples of each channel; 0 where it is not known


def check(file: BinaryIO, size: int, *, streamed: bool) -> tuple[int, bool]:
    """Samples of each channel, after a look at the last frame, and whether the header says them too.

    Where no frame ends with the file, what stands at its start is believed: the decoder sees a file that was cut.

    Raises:
        CorruptDataError: the header is broken, says another number than the last frame, or leaves it open and
            `streamed` is false or the file ends within a frame.
    """
    info = _stream_info(file)
    if not info.total and not streamed:
        raise CorruptDataError(
            "the header leaves the length open: written to a pipe? Pass streamed=True to read to the end of the file"
        )
    end = _last_sample(file, size, info)
    if end is None:
        if not info.total:
            raise CorruptDataError(f"truncated FLAC: no frame ends with the file, at byte {size:,}")
        return info.total, True
    if info.total and end != info.total:
        raise CorruptDataError(f"broken FLAC: the header says {info.total:,} samples, the last frame ends at {end:,}")
    return end, info.total > 0


def with_total(data: bytes, total: int) -> bytes:
    """The file with the number of samples in its header."""
    return data[:21] + bytes([data[21] & 0xF0 | total >> 32]) + (total & 0xFFFFFFFF).to_bytes(4, "big") + data[26:]


def _stream_info(file: BinaryIO) -> StreamInfo:
    file.seek(0)
    head = file.read(42)
    if len(head) < 42 or head[4] & 0x7F or head[5:8] != b"\0\0\x22":
        raise CorruptDataError("broken FLAC: no STREAMINFO at byte 4")
    block, largest, total = (int.from_bytes(head[a:b], "big") for a, b in ((10, 12), (15, 18), (21, 26)))
    return StreamInfo(block, largest, total & 0xFFFFFFFFF)


def _last_sample(file: BinaryIO, size: int, info: StreamInfo) -> int | None:
    """Where the last frame ends, in samples; None where no frame ends with the file.

    A frame whose header agrees with the total is taken at once; any other must also pass its checksum.
    """
    length = min(size, (info.max_frame or _TAIL) + _ID3)
    file.seek(size - length, os.SEEK_SET)
    tail = file.read(length)
    if tail[-_ID3:].startswith(b"TAG"):
        tail = tail[:-_ID3]
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        end = _frame_end(tail[at : at + 16], info)
        if end is not None and (end == info.total or _crc16(tail[at:]) == 0):
            return end
    return None


def _frame_end(head: bytes, info: StreamInfo) -> int | None:
    """The sample behind a frame, from the frame's first bytes; None where they begin none."""
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    block, rate = head[2] >> 4, head[2] & 15
    more = next((n for n in range(8) if not head[4] << n & 0x80), 8)  # leading ones of the coded number
    more = max(1, more)
    at = 4 + more
    extra = {6: 1, 7: 2}.get(block, 0)
    stop = at + extra + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if not block or more == 8 or stop >= len(head) or _crc8(head[: stop + 1]):
        return None
    number = head[4] & (0x7F if more == 1 else (1 << (7 - more)) - 1)
    for byte in head[5:at]:
        number = number << 6 | byte & 63
    samples = _samples(block, int.from_bytes(head[at : at + extra], "big"))
    return (number if head[1] & 1 else number * info.max_block) + samples


def _samples(code: int, extra: int) -> int:
    if code == 1:
        return 192
    if code <= 5:
        return 144 << code
    return extra + 1 if code <= 7 else 1 << code


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x107 if crc & 0x80 else crc << 1) & 0xFF
    return crc


def _crc16(data: bytes) -> int:
    """Zero over a whole frame, at whose end its checksum stands."""
    crc = 0
    for byte in data:
        crc = (crc << 8 ^ _CRC16[crc >> 8 ^ byte]) & 0xFFFF
    return crc


def _table() -> list[int]:
    values = []
    for value in range(256):
        crc = value << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x8005 if crc & 0x8000 else crc << 1) & 0xFFFF
        values.append(crc)
    return values


_CRC16 = _table()
