"""What is done with a spectrogram (C, F, T): deltas, other speeds, the way back to a waveform, features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from datakit.cores import one_thread
from datakit.foreign import seeded
from datakit.sample import Sample
from datakit.transforms.base import Random, Shown
from datakit.transforms.frames import PADDINGS, WINDOWS, Frames, Padding, Window
from datakit.transforms.sound import (
    Range,
    as_range,
    check_among,
    check_positive,
    check_range,
    check_whole,
    drawn,
    module,
    replaced,
    run,
    spectrogram_of,
)


@dataclass(frozen=True, repr=False)
class ComputeDeltas(Shown):
    """How a spectrogram or coefficients change in time, by regression over a few frames.

    `torchaudio.functional.compute_deltas`: d(t) = Σ n (c(t+n) - c(t-n)) / 2 Σ n², n up to (win_length - 1) // 2, so
    that an even length counts as the odd one below it.

    Args:
        win_length: frames; 3 at least.
        mode: how the ends are padded.
        append: put the deltas below the spectrogram, (C, 2F, T), instead of in its place.

    Examples:
        >>> import torch
        >>> from datakit.transforms import ComputeDeltas
        >>> ComputeDeltas()({"spectrogram": torch.arange(7.0).view(1, 1, 7)})["spectrogram"][0, 0, 2:5].tolist()
        [1.0, 1.0, 1.0]
    """

    win_length: int = 5
    mode: Padding = "replicate"
    append: bool = False

    def __post_init__(self) -> None:
        check_whole("ComputeDeltas", win_length=self.win_length)
        check_among("ComputeDeltas", "mode", self.mode, PADDINGS)
        if self.win_length < 3:
            raise ValueError(f"ComputeDeltas needs a window of 3 frames at least, got win_length={self.win_length}")

    def __call__(self, sample: Sample) -> Sample:
        """The sample with deltas."""
        spectrogram = spectrogram_of(sample, self)
        least = {"reflect": (self.win_length - 1) // 2 + 1, "circular": (self.win_length - 1) // 2}.get(self.mode, 1)
        if spectrogram.shape[2] < least:
            raise ValueError(f"{self} needs {least} frames at least, got a spectrogram {tuple(spectrogram.shape)}")
        deltas = run("ComputeDeltas", spectrogram, win_length=self.win_length, mode=self.mode)
        return {**sample, "spectrogram": torch.cat([spectrogram, deltas], 1) if self.append else deltas}


@dataclass(frozen=True, repr=False)
class TimeStretch(Random):
    """Play a complex spectrogram faster or slower without a change of pitch: T frames become ceil(T / rate).

    The phase vocoder of `torchaudio.transforms.TimeStretch`; it goes on, with a warning, on a spectrogram that is not
    complex, where its result means nothing: here that is an error.

    Args:
        rate: above 1 is faster; or (low, high) to draw from.
        hop_length: of the spectrogram; by default n_fft // 2, as `Spectrogram` has by default.

    Raises:
        ValueError: for a spectrogram that is not complex.

    Examples:
        >>> import torch
        >>> from datakit.transforms import Compose, Spectrogram, TimeStretch
        >>> stretch = Compose([Spectrogram(power=None), TimeStretch(1.25)])
        >>> stretch({"waveform": torch.rand(1, 16000)})["spectrogram"].shape
        torch.Size([1, 201, 65])
    """

    rate: Range
    hop_length: int | None = None

    def __post_init__(self) -> None:
        low, _ = check_range(self, "rate", "rate")
        if low <= 0:
            raise ValueError(f"TimeStretch needs rates above 0, got rate={self.rate!r}")
        check_whole("TimeStretch", hop_length=self.hop_length)

    def draw(self, sample: Sample, rng: np.random.Generator) -> float:
        """A rate."""
        return drawn(rng, as_range("TimeStretch", "rate", self.rate))

    def apply(self, sample: Sample, params: float) -> Sample:
        """The sample at this rate."""
        spectrogram = spectrogram_of(sample, self, is_complex=True)
        with one_thread():
            stretch = module("TimeStretch", spectrogram.device, hop_length=self.hop_length, n_freq=spectrogram.shape[1])
            new = stretch(spectrogram, params)
        return replaced(sample, "spectrogram", "spectrogram", new)


@dataclass(frozen=True, repr=False)
class GriffinLim(Frames, Random):
    """A waveform for a spectrogram without phases: `spectrogram` (C, n_fft // 2 + 1, T) becomes `waveform`.

    `torchaudio.transforms.GriffinLim`: the fast algorithm of Perraudin, Balazs and Søndergaard (2013). The spectrogram
    must come from the same `n_fft`, `win_length`, `hop_length`, `window` and `power`, centred and not normalised.

    Args:
        n_fft: as for `Spectrogram`; so are `win_length`, `hop_length` and `window`.
        n_iter: iterations.
        power: exponent of the spectrogram.
        momentum: in [0, 1); 0 is the algorithm of Griffin and Lim (1984).
        length: steps of the waveform; (T - 1) × hop by default, and up to hop - 1 more have these frames too.
        rand_init: begin with phases drawn from the sample's generator instead of zeros. (torchaudio draws real and
            imaginary part evenly from [0, 1): phases of the first quadrant, magnitudes not of 1.)
        keep: leave the spectrogram in the sample.

    Raises:
        ValueError: for windows that do not overlap; for a spectrogram with another number of bins, or shorter than one
            window; for a length that has another number of frames.

    Examples:
        >>> import torch
        >>> from datakit.transforms import Compose, GriffinLim, Spectrogram
        >>> there_and_back = Compose([Spectrogram(), GriffinLim(n_iter=4)])
        >>> there_and_back({"waveform": torch.rand(1, 16000)})["waveform"].shape
        torch.Size([1, 16000])
    """

    n_fft: int = 400
    n_iter: int = 32
    win_length: int | None = None
    hop_length: int | None = None
    window: Window = "hann"
    power: float = 2.0
    momentum: float = 0.99
    length: int | None = None
    rand_init: bool = True
    keep: bool = False

    def __post_init__(self) -> None:
        self.check_frames()
        self._check_overlap()
        check_whole("GriffinLim", n_iter=self.n_iter, length=self.length)
        check_positive("GriffinLim", power=self.power)
        if not 0 <= self.momentum < 1:
            raise ValueError(f"GriffinLim needs a momentum in [0, 1), got momentum={self.momentum!r}")

    def draw(self, sample: Sample, rng: np.random.Generator) -> int | None:
        """A seed for the first phases."""
        return int(rng.integers(2**63)) if self.rand_init else None

    def apply(self, sample: Sample, params: int | None) -> Sample:
        """The sample with the waveform that grew from these phases."""
        spectrogram = spectrogram_of(sample, self)
        if spectrogram.shape[1] != self.n_fft // 2 + 1:
            raise ValueError(
                f"{self} needs {self.n_fft // 2 + 1} bins, n_fft // 2 + 1, got a spectrogram {tuple(spectrogram.shape)}"
            )
        self._check_length(spectrogram.shape[2])
        own = {key: getattr(self, key) for key in ("n_iter", "power", "momentum", "length", "rand_init")}
        with seeded(None if params is None else np.random.default_rng(params)):
            made = run("GriffinLim", spectrogram, **self.frames(), **own)
        return replaced(sample, "spectrogram", "waveform", made, keep=self.keep)

    def _check_overlap(self) -> None:
        """Steps on which no window has any weight cannot be had back."""
        weights = WINDOWS[self.window](self.win_length or self.n_fft).square()
        weights = torch.nn.functional.pad(weights, (0, -len(weights) % self.hop))
        if weights.view(-1, self.hop).sum(0).min() < 1e-10:
            raise ValueError(
                f"GriffinLim needs windows that overlap, got {self.window!r} windows of "
                f"{self.win_length or self.n_fft} steps, {self.hop} apart"
            )

    def _check_length(self, frames: int) -> None:
        steps = (frames - 1) * self.hop if self.length is None else self.length
        if steps // self.hop + 1 != frames:
            raise ValueError(
                f"{self} needs a length of {frames} frames, that is {(frames - 1) * self.hop} to "
                f"{frames * self.hop - 1} steps, got length={self.length}"
            )
        if steps <= self.n_fft // 2:
            raise ValueError(f"{self} needs more than {self.n_fft // 2} steps, got {frames} frames of {steps} steps")


@dataclass(frozen=True, repr=False)
class Features(Shown):
    """Turn a spectrogram of one channel into features for a sequence model: (1, F, T) becomes `features` (T, F).

    Args:
        keep: leave the spectrogram in the sample.

    Raises:
        ValueError: for several channels.

    Examples:
        >>> import torch
        >>> from datakit.transforms import Features
        >>> Features()({"spectrogram": torch.rand(1, 80, 101)})["features"].shape
        torch.Size([101, 80])
    """

    keep: bool = False

    def __call__(self, sample: Sample) -> Sample:
        """The sample with `features`."""
        spectrogram = spectrogram_of(sample, self)
        if len(spectrogram) != 1:
            raise ValueError(
                f"{self} needs one channel, got a spectrogram {tuple(spectrogram.shape)}; "
                "put Mono() before the spectrogram"
            )
        out = replaced(sample, "spectrogram", "features", spectrogram[0], keep=self.keep)
        return {**out, "features": spectrogram[0].T.contiguous()}
