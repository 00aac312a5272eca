"""The audio behind an entry of `wav.scp`, or a segment of it, cut as Kaldi's `extract-segments` does.

Source: https://github.com/kaldi-asr/kaldi/blob/master/src/featbin/extract-segments.cc
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from datakit.audio import io as audio_io
from datakit.audio.kaldi.scp import Place, located, named, opened, output_of
from datakit.errors import CorruptDataError

if TYPE_CHECKING:
    import torch

MAX_OVERSHOOT = 0.5  # seconds
_Root = str | os.PathLike[str] | None


class Segment(NamedTuple):
    """Part of a recording: seconds; -1 as the end for the recording's, and as the channel for none that is named."""

    start: float
    end: float
    channel: int


def read_recording(
    place: Place, segment: Segment | None, root: _Root, beside: _Root, *, max_overshoot: float
) -> tuple[torch.Tensor, int]:
    """The waveform, (C, T) float32 in [-1, 1], and its rate in Hz.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: with the line of the entry: it is no audio, or the segment is not in it.
    """
    if place.range is not None:
        raise CorruptDataError(f"{place.said}: a range, [{place.range}], and audio has none; use segments")
    if place.command is not None:
        with named(place.said, place.command, root, beside):
            return _cut_whole(output_of(place.command, place.said), place, segment, max_overshoot)
    path = located(place, root, beside)
    with named(place.said, path, root, beside):
        if place.offset is not None:
            return _cut_whole(_member(place, root, beside), place, segment, max_overshoot)
        return _cut_file(path, place, segment, max_overshoot)


def _cut_file(path: str, place: Place, segment: Segment | None, max_overshoot: float) -> tuple[torch.Tensor, int]:
    if segment is None:
        return audio_io.load(path)
    info = audio_io.info(path)
    start, end = _span(segment, info.sample_rate, info.frames, place, max_overshoot)
    waveform, rate = audio_io.load(path, start=start, frames=end - start)
    return _channel(waveform, segment, place), rate


def _cut_whole(data: bytes, place: Place, segment: Segment | None, max_overshoot: float) -> tuple[torch.Tensor, int]:
    """Of bytes that came from a command or out of an archive; what writes to a pipe cannot know the length before."""
    source: BinaryIO = io.BytesIO(data)
    waveform, rate = audio_io.load(source, streamed=True)
    if segment is None:
        return waveform, rate
    start, end = _span(segment, rate, waveform.shape[1], place, max_overshoot)
    return _channel(waveform[:, start:end].clone(), segment, place), rate


def _member(place: Place, root: _Root, beside: _Root) -> bytes:
    """The WAV at an offset of an archive, by the length that its RIFF header says."""
    with opened(place, root, beside) as source:
        head = source.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            source.fail(f"a WAV is due here, and there is {bytes(head)!r}", source.place - 12)
        return bytes(head + source.read(int.from_bytes(head[4:8], "little") - 4))


def _span(segment: Segment, rate: int, length: int, place: Place, max_overshoot: float) -> tuple[int, int]:
    """First sample of a segment, and the one after its last."""
    start, end = int(segment.start * rate), length if segment.end == -1 else int(segment.end * rate)
    if start >= length:
        raise CorruptDataError(
            f"{place.said}: the segment begins at {segment.start} s, and the recording has {length / rate:.3f} s"
        )
    if end > length:
        if end >= length + int(max_overshoot * rate):
            raise CorruptDataError(
                f"{place.said}: the segment ends at {segment.end} s, and the recording has {length / rate:.3f} s; only "
                f"less than max_overshoot={max_overshoot} s is cut off"
            )
        end = length
    if end <= start:
        raise CorruptDataError(
            f"{place.said}: the segment {segment.start} … {segment.end} s has no sample at {rate} Hz"
        )
    return start, end


def _channel(waveform: torch.Tensor, segment: Segment, place: Place) -> torch.Tensor:
    if segment.channel == -1:
        return waveform
    if segment.channel >= len(waveform):
        raise CorruptDataError(
            f"{place.said}: the segment names channel {segment.channel}, and the recording has {len(waveform)}"
        )
    return waveform[segment.channel : segment.channel + 1].clone()
