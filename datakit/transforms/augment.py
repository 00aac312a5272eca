"""Random changes of the waveform (C, T) that torchaudio has: speed, pitch, dither."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

import numpy as np
import torch

from datakit.cores import one_thread
from datakit.foreign import seeded
from datakit.sample import Sample
from datakit.transforms.base import Random, check_probability
from datakit.transforms.sound import (
    Range,
    as_range,
    check_among,
    check_kernel,
    check_range,
    drawn,
    functional,
    module,
    rate_of,
    replaced,
    waveform_of,
)


@dataclass(frozen=True, repr=False)
class SpeedPerturb(Random):
    """Play the waveform faster or slower, pitch and all, by a factor drawn from a few (Ko et al., 2015).

    `torchaudio.transforms.Speed`: the waveform is resampled as if it had rate × factor, truncated to whole Hz;
    `sample_rate` stays. T steps become ceil(T / factor).

    Args:
        factors: each is as likely; above 1 is faster. Kaldi's three by default.

    Raises:
        ValueError: for a factor that needs a kernel of more than 64 MiB at the sample's rate.

    Examples:
        >>> import torch
        >>> from datakit.transforms import SpeedPerturb
        >>> SpeedPerturb((0.8,))({"waveform": torch.rand(1, 16000), "sample_rate": 16000})["waveform"].shape
        torch.Size([1, 20000])
    """

    factors: tuple[float, ...] = (0.9, 1.0, 1.1)

    def __post_init__(self) -> None:
        if not isinstance(self.factors, Iterable):
            raise TypeError(
                f"SpeedPerturb needs a tuple of factors, such as ({self.factors!r},) or (0.9, 1.0, 1.1), "
                f"got {self.factors!r}"
            )
        object.__setattr__(self, "factors", tuple(self.factors))
        if not self.factors or not all(math.isfinite(factor) and factor > 0 for factor in self.factors):
            raise ValueError(f"SpeedPerturb needs factors above 0, got {self.factors}")

    def draw(self, sample: Sample, rng: np.random.Generator) -> float:
        """One of the factors."""
        return self.factors[int(rng.integers(len(self.factors)))]

    def apply(self, sample: Sample, params: float) -> Sample:
        """The sample at this speed."""
        waveform, rate = waveform_of(sample, self), rate_of(sample, self)
        if int(rate * params) < 1:
            raise ValueError(f"{self} cannot slow {rate} Hz down by {params}: less than 1 Hz is left")
        check_kernel(self, int(rate * params), rate)
        with one_thread():
            new, _ = module("Speed", waveform.device, orig_freq=rate, factor=params)(waveform)
        return replaced(sample, "waveform", "waveform", new)


@dataclass(frozen=True, repr=False)
class PitchShift(Random):
    """Raise or lower the pitch and keep the length, by the phase vocoder of `torchaudio.functional.pitch_shift`.

    torchaudio resamples from int(rate × 2^(steps / 12)) Hz to the rate. These have no common divisor as a rule: one
    second at 16 kHz then needs a kernel of 1 GiB. Only the ratio matters, so here it is a fraction with a
    denominator up to 512, within 2 cents of the one asked for: 4 MiB at most. The sample's rate is not asked.

    Args:
        steps: semitones, or (low, high) to draw from; negative is lower. Within 24 of 0.
        p: probability of a shift.
        n_fft: steps of the vocoder's frames, a quarter of which is its hop; the waveform must have more than half.

    Examples:
        >>> import torch
        >>> from datakit.transforms import PitchShift
        >>> PitchShift((-2.0, 2.0))({"waveform": torch.rand(1, 8000), "sample_rate": 8000})["waveform"].shape
        torch.Size([1, 8000])
    """

    steps: Range
    p: float = 1.0
    n_fft: int = 512

    def __post_init__(self) -> None:
        low, high = check_range(self, "steps", "number of semitones")
        check_probability("PitchShift", self.p)
        if max(abs(low), abs(high)) > 24:
            raise ValueError(f"PitchShift needs steps within two octaves, 24 semitones, got steps={self.steps!r}")
        if self.n_fft < 8:
            raise ValueError(f"PitchShift needs frames of 8 steps at least, got n_fft={self.n_fft!r}")

    def draw(self, sample: Sample, rng: np.random.Generator) -> float | None:
        """A shift, semitones, or None."""
        if self.p < 1 and rng.random() >= self.p:
            return None
        return drawn(rng, as_range("PitchShift", "number of semitones", self.steps))

    def apply(self, sample: Sample, params: float | None) -> Sample:
        """The sample at this pitch."""
        if params is None or params == 0:
            return sample
        waveform = waveform_of(sample, self)
        if waveform.shape[1] <= self.n_fft // 2:
            raise ValueError(
                f"{self} needs more than {self.n_fft // 2} steps, got a waveform {tuple(waveform.shape)}; "
                "FixLength fills up a short one"
            )
        rate, steps = near_shift(params)
        new = functional("pitch_shift", waveform, rate, steps, n_fft=self.n_fft)
        return {**sample, "waveform": new}


@lru_cache(maxsize=4096)
def near_shift(steps: float) -> tuple[int, float]:
    """(rate, semitones) that torchaudio is given for a shift: it then resamples by a fraction of small numbers."""
    ratio = Fraction(2.0 ** (steps / 12)).limit_denominator(512)
    above = ratio.numerator + 1e-6  # torchaudio truncates to whole Hz
    return ratio.denominator, 12 * math.log2(above / ratio.denominator)


@dataclass(frozen=True, repr=False)
class Dither(Random):
    """Round the waveform to 16 bits after adding noise of about a step of them, so that the error is no distortion.

    By default noise is drawn for every value, which is what dither means. With `as_torchaudio` it is
    `torchaudio.functional.dither`, of which one should know that it draws next to nothing: "TPDF" adds the same
    triangle over time to every waveform, "RPDF" one value of the waveform to all, and so does "GPDF", only for
    several channels, and it changes its input; each value is scaled by 32766 and back by 32768.

    Args:
        density: of the noise: "TPDF" triangular in ±1 step, "RPDF" even in ±½, "GPDF" Gaussian with deviation ½.
        as_torchaudio: torchaudio's function.
        noise_shaping: of torchaudio's function: add to each value the error of the one before it, unrounded.

    Raises:
        ValueError: for "GPDF" as torchaudio on one channel, which torchaudio cannot do, and for `noise_shaping` alone.

    Examples:
        >>> import torch
        >>> from datakit.transforms import Dither
        >>> dithered = Dither()({"waveform": torch.full((1, 800), 0.3 / 32768)})["waveform"]
        >>> sorted(set((dithered * 32768).int().flatten().tolist())) == [-1, 0, 1]
        True
    """

    density: Literal["TPDF", "RPDF", "GPDF"] = "TPDF"
    as_torchaudio: bool = False
    noise_shaping: bool = False

    def __post_init__(self) -> None:
        check_among("Dither", "density", self.density, ("TPDF", "RPDF", "GPDF"))
        if self.noise_shaping and not self.as_torchaudio:
            raise ValueError("Dither needs as_torchaudio=True for noise_shaping=True, got as_torchaudio=False")

    def draw(self, sample: Sample, rng: np.random.Generator) -> int:
        """A seed for the noise."""
        return int(rng.integers(2**63))

    def apply(self, sample: Sample, params: int) -> Sample:
        """The sample with the noise of this seed."""
        waveform, rng = waveform_of(sample, self), np.random.default_rng(params)
        if self.as_torchaudio:
            return {**sample, "waveform": self._as_torchaudio(waveform, rng)}
        noise = torch.from_numpy(self._noise(rng, tuple(waveform.shape))).to(waveform.device)
        new = (waveform * 32768).add_(noise).round_().clamp_(-32768, 32767).div_(32768)
        return {**sample, "waveform": new}

    def _noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """In steps of 16 bits, `float32`."""
        if self.density == "GPDF":
            return rng.standard_normal(shape, np.float32) / 2
        first = rng.random(shape, np.float32) - np.float32(0.5)
        return first + rng.random(shape, np.float32) - np.float32(0.5) if self.density == "TPDF" else first

    def _as_torchaudio(self, waveform: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        if self.density == "GPDF" and 1 in waveform.shape:
            raise ValueError(f"{self} needs several channels and steps, got a waveform {tuple(waveform.shape)}")
        with seeded(rng):
            return functional("dither", waveform.clone(), self.density, self.noise_shaping)
