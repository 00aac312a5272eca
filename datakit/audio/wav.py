"""WAV files of plain samples, read directly: the header is held against the file, and samples are scaled once.

Format: Microsoft, Multimedia Programming Interface and Data Specifications 1.0, and WAVEFORMATEXTENSIBLE.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from datakit.audio.limits import check_finite, check_format
from datakit.errors import CorruptDataError

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
ENCODINGS = {
    (PCM, 8): "PCM_U8", (PCM, 16): "PCM_16", (PCM, 24): "PCM_24", (PCM, 32): "PCM_32",
    (FLOAT, 32): "FLOAT", (FLOAT, 64): "DOUBLE",
}  # fmt: skip
"""Names as in libsndfile, by tag and bits; what is not here is left to others."""

_DTYPES = {"PCM_U8": "u1", "PCM_16": "<i2", "PCM_24": "u1", "PCM_32": "<i4", "FLOAT": "<f4", "DOUBLE": "<f8"}
_MAX_CHUNKS = 1000
_OPEN_ENDED = (0, 0xFFFFFFFF)  # what is written where the length is not known yet

Floats = npt.NDArray[np.float32]


class Wav(NamedTuple):
    """Where the samples of a file are, and what they are."""

    encoding: str
    sample_rate: int
    channels: int
    frames: int
    offset: int  # bytes from the start of the file to the first frame
    width: int  # bytes a frame


def read_header(file: BinaryIO, size: int, *, streamed: bool = False) -> Wav | None:
    """What the header of a RIFF WAVE file says; None where the samples are not plain ones.

    Args:
        file: a whole file, of which `RIFF....WAVE` has been seen.
        size: of the whole file, bytes.
        streamed: take what follows for samples where the length is open.

    Raises:
        CorruptDataError: with the offset, where the header is broken or does not agree with the file.
    """
    at, format = 12, None
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        name, length = _chunk(file.read(8))
        if name == b"data":
            return _found(format, at + 8, length, size, streamed)
        if name == b"fmt ":
            format = _read_format(file.read(min(length, 40)), at)
        at += 8 + length + length % 2
        if not name or at >= size:
            break
    raise CorruptDataError(f"truncated WAV: no samples before byte {min(at, size):,}")


def read_frames(file: BinaryIO, wav: Wav, start: int, frames: int) -> Floats:
    """Frames from `start` on, (frames, channels), `float32`, [-1, 1]; floats are taken as they are.

    Raises:
        CorruptDataError: the file ends before them, or one is not a finite number.
    """
    file.seek(wav.offset + start * wav.width)
    data = file.read(frames * wav.width)
    if len(data) < frames * wav.width:
        raise CorruptDataError(f"truncated WAV: ends at byte {wav.offset + start * wav.width + len(data):,}")
    values = scaled(np.frombuffer(data, _DTYPES[wav.encoding]), wav.encoding).reshape(frames, wav.channels)
    if wav.encoding in ("FLOAT", "DOUBLE"):
        check_finite(values, start)
    return values


def scaled(raw: npt.NDArray[Any], encoding: str) -> Floats:
    """Samples as they are in the file, as `float32` in [-1, 1]: integers of b bits are divided by 2^(b-1)."""
    if encoding == "PCM_16":
        return _times(raw, 2**-15)
    if encoding == "PCM_24":
        padded = np.zeros((raw.size // 3, 4), np.uint8)
        padded[:, 1:] = raw.reshape(-1, 3)
        raw, encoding = padded.view("<i4")[:, 0], "PCM_32"
    if encoding == "PCM_32":
        return _times(raw, 2**-31)
    if encoding == "PCM_U8":
        return _times(raw.astype(np.int16) - 128, 2**-7)
    with np.errstate(over="ignore", invalid="ignore"):
        return raw.astype(np.float32)


def _times(raw: npt.NDArray[Any], scale: float) -> Floats:
    values: Floats = np.multiply(raw, np.float32(scale), dtype=np.float32, casting="unsafe")
    return values


def _chunk(head: bytes) -> tuple[bytes, int]:
    return (head[:4], int.from_bytes(head[4:], "little")) if len(head) == 8 else (b"", 0)


def _read_format(body: bytes, at: int) -> tuple[int, int, int, int, int]:
    """Tag, channels, rate, bytes a frame, bits."""
    if len(body) < 16:
        raise CorruptDataError(f"broken WAV: the format at byte {at:,} has {len(body)} bytes, not 16 or more")
    tag, channels, rate, _, width, bits = struct.unpack("<HHIIHH", body[:16])
    if tag == EXTENSIBLE and len(body) >= 26:
        tag = int.from_bytes(body[24:26], "little")
    check_format(channels, rate)
    return tag, channels, rate, width, bits


def _found(
    format: tuple[int, int, int, int, int] | None, offset: int, length: int, size: int, streamed: bool
) -> Wav | None:
    if format is None:
        raise CorruptDataError(f"broken WAV: samples at byte {offset:,}, and no format before them")
    tag, channels, rate, width, bits = format
    plain, held = (tag, bits) in ENCODINGS, max(0, size - offset)
    if plain and width != channels * bits // 8:
        raise CorruptDataError(f"broken WAV: {channels} channels of {bits} bits, and {width} bytes a frame")
    if not held:
        raise CorruptDataError("this WAV holds no frames")
    if length in _OPEN_ENDED:
        if not streamed:
            raise CorruptDataError(
                f"the header leaves the length open ({length:,} bytes), {held:,} bytes follow at byte {offset:,}: "
                "written to a pipe? Pass streamed=True to read to the end of the file"
            )
        length = held - held % max(1, width)
    if length > held:
        raise CorruptDataError(
            f"truncated WAV: the header says {length:,} bytes of samples at byte {offset:,}, the file has {held:,}"
        )
    if not plain:
        return None
    if length % width:
        raise CorruptDataError(f"broken WAV: {length:,} bytes of samples at byte {offset:,}, of {width} a frame")
    return Wav(ENCODINGS[tag, bits], rate, channels, length // width, offset, width)
