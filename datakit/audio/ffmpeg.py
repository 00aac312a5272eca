"""Sound files that only FFmpeg reads, by torchcodec where it is installed.

A part is decoded from the start of the file on: where the time stamps of a file are rounded, as those of WebM and of
videos, a seek lands some samples beside what was asked for.
"""

from __future__ import annotations

import re
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from datakit.audio.limits import check_finite, check_format, check_values, counted
from datakit.audio.wav import Floats
from datakit.errors import CorruptDataError, DatakitError

SIGNATURES = {
    "M4A": re.compile(rb"....ftyp", re.DOTALL),
    "AAC": re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"),
    "WebM": re.compile(rb"\x1a\x45\xdf\xa3"),
    "WMA": re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    "AMR": re.compile(rb"#!AMR"),
}
"""Formats by their first bytes; playlists, which would make FFmpeg open other files, are none of them."""


_MISSING = 4096  # frames by which a header may be wrong: what encoders put before and behind, and roundings


class _Stream(NamedTuple):
    decoder: Any
    rate: int  # Hz
    channels: int
    frames: int  # as the file says; the decoder may give some more or fewer
    begin: float  # seconds at which the first sample is played
    codec: str


def read(file: BinaryIO, kind: str, start: int, frames: int | None, max_values: int) -> tuple[Floats, int]:
    """Frames from `start` on, (frames, channels), `float32`, and the sample rate, Hz.

    Raises:
        DatakitError: torchcodec is not installed.
        CorruptDataError: the file cannot be decoded, ends before it says, or holds too many samples.
        ValueError: `start` is behind the end.
    """
    stream = _opened(file, kind)
    most = max_values // stream.channels
    check_values(min(stream.frames, start + (stream.frames if frames is None else frames)), stream.channels, max_values)
    wanted = most + 1 if frames is None else min(start + frames, most + 1)
    data = _decoded(stream, kind, wanted)
    check_values(len(data), stream.channels, max_values)
    if len(data) < wanted and len(data) < stream.frames - _MISSING:
        raise CorruptDataError(f"this {kind} ends after {len(data):,} of {stream.frames:,} frames")
    count = counted(len(data), start, frames) if len(data) < wanted else wanted - start
    values: Floats = np.ascontiguousarray(data[start : start + count], np.float32)
    check_finite(values, start)
    return values, stream.rate


def _decoded(stream: _Stream, kind: str, frames: int) -> Floats:
    """As many frames as that from the start on, (frames, channels), or as there are."""
    try:
        margin = 1.0  # s: time stamps may begin anywhere near 0
        stop = stream.begin + frames / stream.rate + margin
        data = stream.decoder.get_samples_played_in_range(stream.begin, stop).data
    except Exception as error:
        raise CorruptDataError(f"broken {kind}: {_said(error)}") from error
    if not data.shape[1]:
        raise CorruptDataError(f"broken {kind}: nothing is decoded")
    values: Floats = data.numpy().T[:frames]
    return values


def describe(file: BinaryIO, kind: str) -> tuple[int, int, int, str, str]:
    """Sample rate, frames, channels, format and encoding, as the header says.

    Raises:
        DatakitError: torchcodec is not installed.
        CorruptDataError: the header is broken.
    """
    stream = _opened(file, kind)
    return stream.rate, stream.frames, stream.channels, kind, stream.codec.upper()


def _opened(file: BinaryIO, kind: str) -> _Stream:
    try:
        from torchcodec.decoders import AudioDecoder
    except (ImportError, RuntimeError, OSError) as error:  # it is not there, or finds no FFmpeg
        raise DatakitError(
            f"{kind} is read by torchcodec on FFmpeg, which cannot be imported ({_said(error)}); get it with\n"
            'pip install "datakit[codec]"'
        ) from error
    file.seek(0)
    try:
        decoder = AudioDecoder(file.read())  # bytes: a name could be taken for an address
        about = decoder.metadata
        rate, channels = int(about.sample_rate), int(about.num_channels)
        seconds = about.duration_seconds_from_header or about.duration_seconds  # of the container
        frames, begin = round(float(seconds) * rate), float(about.begin_stream_seconds_from_header or 0)
    except Exception as error:
        raise CorruptDataError(f"broken {kind}: {_said(error)}") from error
    check_format(channels, rate)
    if frames <= 0:
        raise CorruptDataError(f"this {kind} holds no frames")
    return _Stream(decoder, rate, channels, frames, begin, str(about.codec))


def _said(error: Exception) -> str:
    """The first line of an error, and its kind."""
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0][:200]}"
