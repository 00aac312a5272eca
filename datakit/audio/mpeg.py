"""The frames of an MP3 file, counted from their headers: how long it is, and whether it was cut.

libsndfile guesses the length of a file without a Xing header from the size of its first frame, and reads no further;
such a file gets one here before it is decoded.

Source: ISO/IEC 11172-3 and 13818-3, 2.4.1.3 and 2.4.2.3; the Xing, Info and VBRI headers and LAME's tag as in
http://gabriel.mp3-tech.org/mp3infotag.html and https://www.codeproject.com/Articles/8295/MPEG-Audio-Frame-Header.
"""

from __future__ import annotations

import contextlib
import functools
from array import array
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datakit.errors import CorruptDataError

_KBITS = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}  # by version (2 for 2.5 too) and layer
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by the version's bits
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3")  # that may stand behind the last frame
_ROOM = 120  # bytes that a Xing header with LAME's tag needs

DECODER_DELAY = 529
"""Samples that libmpg123 leaves out at the start where there is a Xing header."""


class Frame(NamedTuple):
    """What the header of one frame says."""

    size: int  # bytes
    samples: int  # of each channel
    rate: int  # Hz
    channels: int
    layer: int
    side: int  # bytes of side information, behind which a Xing header stands

    @property
    def kind(self) -> tuple[int, int, int, int]:
        """What is the same in all frames of a file."""
        return self[1:5]


class Said(NamedTuple):
    """What a first frame without sound says."""

    frames: int  # MPEG frames behind it; 0 where it does not say
    size: int  # bytes from it to the end; 0 where it does not say
    delay: int  # samples that the encoder put in front, by LAME's tag; 0 without one
    padding: int  # samples that it put behind, by the same
    xing: bool  # else the header is a VBRI


class Start(NamedTuple):
    """How an MP3 begins."""

    at: int  # where its first frame begins, bytes
    first: Frame
    said: Said | None  # None where the first frame holds sound


class Mpeg(NamedTuple):
    """What to give to the decoder, and what to take of it."""

    data: bytes
    lead: int  # samples at the start that are not the file's
    frames: int | None  # samples of each channel behind them; None where the decoder knows


@functools.lru_cache(4096)
def frame(head: bytes) -> Frame | None:
    """What the first 4 bytes of a frame say; None where they begin none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    kbits, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or rate == 3 or kbits in (0, 15):
        return None
    channels, first = 1 + (head[3] >> 6 != 3), version == 3
    hz, bits = _RATES[version][rate], 1000 * _KBITS[1 if first else 2, layer][kbits]
    if layer == 1:
        return Frame((12 * bits // hz + padding) * 4, 384, hz, channels, 1, 0)
    samples = 576 if layer == 3 and not first else 1152
    side = (17 if first else 9) if channels == 1 else (32 if first else 17)
    return Frame(samples // 8 * bits // hz + padding, samples, hz, channels, layer, side)


def opening(data: bytes, at: int) -> Start:
    """How the file begins.

    Args:
        data: an MP3 file.
        at: where its first frame begins, behind tags; zeros in between are passed over.

    Raises:
        CorruptDataError: with the offset, where no frame begins; the file is shorter than its Xing header says.
    """
    at = len(data) - len(data[at:].lstrip(b"\0")) if data[at : at + 1] == b"\0" else at
    first = frame(data[at : at + 4])
    if first is None:
        raise CorruptDataError(f"broken MP3: no frame at byte {at:,}")
    said = _said(data[at : at + 256], first)
    if said is not None and said.frames and said.size > len(data) - at:
        raise CorruptDataError(f"truncated MP3: its header says {said.size:,} bytes, {len(data) - at:,} are there")
    return Start(at, first, said)


def prepared(data: bytes, at: int, *, whole: bool) -> Mpeg:
    """The file in the form in which libsndfile reads all of it.

    Args:
        data: an MP3 file.
        at: where its first frame begins, behind tags; zeros in between are passed over.
        whole: hold the number of frames against the one in the file; else it is believed where there is one.

    Raises:
        CorruptDataError: as `opening` and `places`.
    """
    start = opening(data, at)
    if start.said is not None and start.said.frames:
        if whole:
            places(data, start)
        return Mpeg(data[start.at :], 0, None)
    found = places(data, start)
    frames, begin, first = len(found) - 1, int(found[0]), start.first
    if first.layer != 3:
        return Mpeg(data[begin:], 0, frames * first.samples)
    head = data[start.at : start.at + 4]
    lead = first.samples - DECODER_DELAY
    return Mpeg(with_length(head, frames + 1) + silent(head) + data[begin:], lead, frames * first.samples)


def places(data: bytes, start: Start) -> npt.NDArray[np.int64]:
    """Where the frames that hold sound begin, bytes, and at last where the last of them ends.

    Raises:
        CorruptDataError: with the offset, where the file ends within a frame, frames are unlike each other or do not
            follow each other, or are not as many as the Xing header says.
    """
    found = _followed(data, start.at)
    if start.said is None:
        return found
    frames = len(found) - 2
    if start.said.frames and frames != start.said.frames:
        what = "truncated" if frames < start.said.frames else "broken"
        raise CorruptDataError(f"{what} MP3: its header says {start.said.frames:,} MPEG frames, {frames:,} are there")
    return found[1:]


def are_frames(data: bytes | bytearray, found: npt.NDArray[np.int64], head: bytes) -> npt.NDArray[np.bool_]:
    """Whether at each place in `data` a frame of the kind of `head` begins that ends at the next place.

    Args:
        data: bytes, 4 at least behind each place but the last.
        found: places, ascending, one more than there are frames.
        head: the first 4 bytes of any frame of the file.
    """
    raw, at = np.frombuffer(data, np.uint8), found[:-1]
    alike: npt.NDArray[np.bool_] = (
        (raw[at] == 0xFF) & (raw[at + 1] | 1 == head[1] | 1) & ((raw[at + 3] >= 0xC0) == (head[3] >= 0xC0))
    )
    sizes = np.array(_sizes(head[1] | 1, head[2] & 0x0C))
    alike &= sizes[raw[at + 2]] == np.diff(found)
    return alike


def with_length(head: bytes, frames: int) -> bytes:
    """A frame that says how many frames follow, all like `head`, which are its first 4 bytes."""
    made, info = silent(head), b"Info" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")
    at = 4 + side_bytes(head)
    return made[:at] + info + made[at + len(info) :]


def _followed(data: bytes, at: int) -> npt.NDArray[np.int64]:
    """Where frames begin from `at` to the end of the file or to a tag, and where the last of them ends."""
    head, found, third = data[at : at + 4], array("q"), at + 2
    add, sizes = found.append, _sizes(head[1] | 1, head[2] & 0x0C)
    with contextlib.suppress(IndexError):  # of `data`; a loop that asks for the end takes half as long again
        while size := sizes[data[third]]:  # the other bytes of the headers are looked at afterwards
            add(third)
            third += size
    add(third)
    known = np.frombuffer(found, np.int64) - 2
    known = known[: len(known) - int(known[-2] > len(data) - 4)]
    alike = are_frames(data, known, head)
    if not alike.all():
        known = known[: 1 + int(alike.argmin())]
    _check_end(data, known, head)
    return known


def _check_end(data: bytes, found: npt.NDArray[np.int64], head: bytes) -> None:
    """Refuse what is behind the last frame, if it is neither nothing nor a tag."""
    end, begin = int(found[-1]), int(found[-2])
    if end < len(data):
        if data.startswith(_TAGS, end) or not data[end:].strip(b"\0"):
            return
        now = frame(data[end : end + 4])
        if now is not None or len(data) - end >= 4:
            what = "no MPEG frame" if now is None else "an MPEG frame of another kind"
            raise CorruptDataError(f"broken MP3: {what} at byte {end:,}")
    if end != len(data):
        raise CorruptDataError(f"truncated MP3: ends at byte {len(data):,}, within the MPEG frame at byte {begin:,}")


@functools.lru_cache(64)
def _sizes(second: int, rate: int) -> tuple[int, ...]:
    """Bytes of a frame by the third byte of its header; 0 where that begins none of the same sample rate."""
    heads = (frame(bytes([0xFF, second, third, 0])) for third in range(256))
    return tuple(known.size if known and third & 0x0C == rate else 0 for third, known in enumerate(heads))


def _said(data: bytes, first: Frame) -> Said | None:
    """What the first frame says, if it holds no sound."""
    if data[36:40] == b"VBRI":
        return Said(int.from_bytes(data[50:54], "big"), int.from_bytes(data[46:50], "big"), 0, 0, xing=False)
    for start in (4 + first.side, 6 + first.side):  # the second behind a CRC
        if first.layer == 3 and data[start : start + 4] in (b"Xing", b"Info"):
            flags, *numbers = (
                int.from_bytes(data[place : place + 4], "big") for place in range(start + 4, start + 16, 4)
            )
            has_frames, has_bytes = flags & 1, flags >> 1 & 1
            lame = start + 8 + 4 * has_frames + 4 * has_bytes + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
            gaps = int.from_bytes(data[lame + 21 : lame + 24], "big") if data[lame : lame + 1].strip(b"\0") else 0
            return Said(numbers[0] * has_frames, numbers[has_frames] * has_bytes, gaps >> 12, gaps & 0xFFF, xing=True)
    return None


def side_bytes(head: bytes) -> int:
    """Bytes of side information of a frame of layer III, by the first 4 bytes of any of the file."""
    mono = head[3] >= 0xC0
    return (17 if mono else 32) if head[1] & 8 else (9 if mono else 17)


@functools.lru_cache(64)
def silent(head: bytes) -> bytes:
    """A frame of silence like `head`, the first 4 bytes of any frame of the file."""
    for index in range(1, 15):
        like = bytes([head[0], head[1] | 1, index << 4 | head[2] & 0x0C, head[3]])
        found = frame(like)
        if found and found.size >= _ROOM:
            return like + bytes(found.size - 4)
    raise CorruptDataError("broken MP3: no bit rate has room for a header")
