"""Frames as Kaldi cuts them out of a waveform: how many, where each begins, and the window upon it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

Window: TypeAlias = Literal["hamming", "hanning", "povey", "rectangular", "sine", "blackman"]
WINDOWS: tuple[Window, ...] = ("hamming", "hanning", "povey", "rectangular", "sine", "blackman")
Segment: TypeAlias = tuple[int, int, int]
Count = TypeVar("Count", int, torch.Tensor)


def steps(sample_frequency: float, milliseconds: float) -> int:
    """Whole samples in a time, cut off as in `FrameExtractionOptions::WindowSize` of Kaldi's `feature-window.h`.

    A product that misses a whole number by rounding alone counts as that number: 400 samples of 44.1 kHz, written as
    a decimal fraction of milliseconds, are 400.
    """
    return int(sample_frequency * 0.001 * milliseconds + 1e-9)


def padded_size(size: int, round_to_power_of_two: bool) -> int:
    """Points of the FFT for a window of `size` samples."""
    return 1 << (size - 1).bit_length() if round_to_power_of_two else size


def frame_count(length: Count, size: int, shift: int, snip_edges: bool) -> Count:
    """How many frames `length` samples have: `NumFrames` of Kaldi's `feature-window.cc`."""
    if not snip_edges:
        return (length + shift // 2) // shift
    count = (length - size + shift) // shift
    return count.clamp(min=0) if isinstance(count, torch.Tensor) else max(count, 0)


def window_values(kind: Window, size: int, blackman_coeff: float) -> NDArray[np.float64]:
    """The window, (size,): `FeatureWindowFunction` of Kaldi's `feature-window.cc`."""
    angle = 2 * np.pi * np.arange(size) / (size - 1)
    hann = 0.5 - 0.5 * np.cos(angle)
    return {
        "hanning": hann,
        "sine": np.sin(angle / 2),
        "hamming": 0.54 - 0.46 * np.cos(angle),
        "povey": hann**0.85,
        "rectangular": np.ones(size),
        "blackman": blackman_coeff - 0.5 * np.cos(angle) + (0.5 - blackman_coeff) * np.cos(2 * angle),
    }[kind]


def reflected(index: torch.Tensor, length: torch.Tensor | int) -> torch.Tensor:
    """Where steps before the start and behind the end of `length` samples come from: mirrored, the end one twice.

    -1 is 0, -2 is 1, and `length` is `length - 1`, as often as is needed: `ExtractWindow` of Kaldi's
    `feature-window.cc` for `snip_edges=False`.
    """
    place = torch.remainder(index, 2 * length)
    return torch.minimum(place, 2 * length - 1 - place)


def frames_of(waveform: torch.Tensor, size: int, shift: int, snip_edges: bool) -> torch.Tensor:
    """The frames of one waveform (T,) as a view (frames, size) of it, or of its mirrored copy."""
    length = len(waveform)
    count = frame_count(length, size, shift, snip_edges)
    if count == 0:
        return waveform.new_zeros(0, size)
    if snip_edges:
        return waveform.unfold(0, size, shift)
    first = shift // 2 - size // 2
    before = torch.arange(min(first, 0), 0, device=waveform.device)
    behind = torch.arange(length, max(first + (count - 1) * shift + size, length), device=waveform.device)
    mirrored = [waveform[reflected(place, length)] for place in (before, behind)]
    return torch.cat((mirrored[0], waveform, mirrored[1]))[max(first, 0) :].unfold(0, size, shift)[:count]


def frames_of_batch(
    waveforms: torch.Tensor, lengths: torch.Tensor, first: int, last: int, size: int, shift: int, snip_edges: bool
) -> torch.Tensor:
    """Frames `first` to `last` of each of (B, T) waveforms, (B, last - first, size); of padding they are zeros."""
    members, count = waveforms.shape[0], last - first
    start = torch.arange(first, last, device=waveforms.device) * shift
    if not snip_edges:
        start = start + (shift // 2 - size // 2)
    place = (start[:, None] + torch.arange(size, device=waveforms.device)).expand(members, count, size)
    ends = lengths[:, None, None]
    inside = place < ends if snip_edges else ends > 0
    if not snip_edges:
        place = reflected(place, ends.clamp(min=1))
    place = place.clamp(max=waveforms.shape[1] - 1)
    taken = waveforms[torch.arange(members, device=waveforms.device)[:, None, None], place]
    return torch.where(inside, taken, 0.0)


def segments(counts: list[int], most: int) -> Iterator[list[Segment]]:
    """Frames of all members in pieces (member, first, last), gathered to chunks of at most `most` frames.

    A member is parted at multiples of `most` of its own, whatever stands before it.
    """
    chunk: list[Segment] = []
    filled = 0
    for member, count in enumerate(counts):
        for first in range(0, count, most):
            last = min(first + most, count)
            if chunk and filled + last - first > most:
                yield chunk
                chunk, filled = [], 0
            chunk.append((member, first, last))
            filled += last - first
    if chunk:
        yield chunk
