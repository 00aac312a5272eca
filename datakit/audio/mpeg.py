"""The frames of an MP3 file, counted from their headers: how long it is, and whether it was cut.

libsndfile guesses the length of a file without a Xing header from the size of its first frame, and reads no further;
such a file gets one here before it is decoded.

Source: ISO/IEC 11172-3 and 13818-3, 2.4.1.3 and 2.4.2.3; the Xing, Info and VBRI headers and LAME's tag as in
http://gabriel.mp3-tech.org/mp3infotag.html and https://www.codeproject.com/Articles/8295/MPEG-Audio-Frame-Header.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

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
_DECODER_DELAY = 529  # samples that libmpg123 leaves out at the start where there is a Xing header
_ROOM = 120  # bytes that a Xing header with LAME's tag needs


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


def prepared(data: bytes, at: int, *, whole: bool) -> Mpeg:
    """The file in the form in which libsndfile reads all of it.

    Args:
        data: an MP3 file.
        at: where its first frame begins, behind tags; zeros in between are passed over.
        whole: hold the number of frames against the one in the file; else it is believed where there is one.

    Raises:
        CorruptDataError: with the offset, where the file ends within a frame, frames are unlike each other or do not
            follow each other, or are not as many as the Xing header says.
    """
    at = len(data) - len(data[at:].lstrip(b"\0"))
    first = frame(data[at : at + 4])
    if first is None:
        raise CorruptDataError(f"broken MP3: no frame at byte {at:,}")
    said = _said(data, at, first)
    if said is not None and said[0]:
        frames, size = said
        if size > len(data) - at:
            raise CorruptDataError(f"truncated MP3: its header says {size:,} bytes, {len(data) - at:,} are there")
        if whole and (found := count(data, at) - 1) != frames:
            what = "truncated" if found < frames else "broken"
            raise CorruptDataError(f"{what} MP3: its header says {frames:,} MPEG frames, {found:,} are there")
        return Mpeg(data[at:], 0, None)
    found, begin = count(data, at), at
    if said is not None:  # a header without a number; it holds no sound
        found, begin = found - 1, at + first.size
    if first.layer != 3:
        return Mpeg(data[begin:], 0, found * first.samples)
    silent = _silent(data[at : at + 4], first)
    head = b"Info" + (1).to_bytes(4, "big") + (found + 1).to_bytes(4, "big")
    start = 4 + first.side
    xing = silent[:start] + head + silent[start + len(head) :]
    return Mpeg(xing + silent + data[begin:], first.samples - _DECODER_DELAY, found * first.samples)


def count(data: bytes, at: int) -> int:
    """MPEG frames from `at` to the end of the file, or to a tag.

    Raises:
        CorruptDataError: as `prepared`.
    """
    found, kind, begin = 0, (first := frame(data[at : at + 4])) and first.kind, at
    while at < len(data):
        now = frame(data[at : at + 4])
        if now is None or now.kind != kind:
            if data.startswith(_TAGS, at) or not data[at:].strip(b"\0"):
                return found
            if now is None and len(data) - at < 4:
                break
            what = "no MPEG frame" if now is None else "an MPEG frame of another kind"
            raise CorruptDataError(f"broken MP3: {what} at byte {at:,}")
        found, begin, at = found + 1, at, at + now.size
    if at != len(data):
        raise CorruptDataError(f"truncated MP3: ends at byte {len(data):,}, within the MPEG frame at byte {begin:,}")
    return found


def _said(data: bytes, at: int, first: Frame) -> tuple[int, int] | None:
    """MPEG frames and bytes that the first frame says there are, 0 for what it does not; None where it holds sound."""
    if data[at + 36 : at + 40] == b"VBRI":
        return int.from_bytes(data[at + 50 : at + 54], "big"), int.from_bytes(data[at + 46 : at + 50], "big")
    for start in (at + 4 + first.side, at + 6 + first.side):  # the second behind a CRC
        if first.layer == 3 and data[start : start + 4] in (b"Xing", b"Info"):
            numbers = [int.from_bytes(data[place : place + 4], "big") for place in range(start + 4, start + 16, 4)]
            has_frames, has_bytes = numbers[0] & 1, numbers[0] >> 1 & 1
            return numbers[1] * has_frames, numbers[1 + has_frames] * has_bytes
    return None


def _silent(head: bytes, first: Frame) -> bytes:
    """A frame of silence like the first, which the decoder keeps nothing of."""
    for index in range(1, 15):
        like = bytes([head[0], head[1] | 1, index << 4 | head[2] & 0x0C, head[3]])
        found = frame(like)
        if found and found.size >= _ROOM:
            return like + bytes(found.size - 4)
    raise CorruptDataError(f"broken MP3: no frame at {first.rate:,} Hz has room for a header")
