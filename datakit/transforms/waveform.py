"""Transforms of the waveform (C, T): rate, channels, length, loudness.

Each takes and returns a sample dict and changes none. Where torchaudio has the operation, it is torchaudio's own.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

import numpy as np
import torch.nn.functional as F

from datakit.sample import Sample
from datakit.transforms.base import Random, Shown
from datakit.transforms.sound import (
    Range,
    as_range,
    check_among,
    check_kernel,
    check_range,
    check_whole,
    drawn,
    functional,
    rate_of,
    replaced,
    run,
    waveform_of,
)


@dataclass(frozen=True, repr=False)
class Resample(Shown):
    """Bring the waveform to another sampling rate; `sample_rate` follows. A sample at that rate stays as it is.

    `torchaudio.transforms.Resample`, which computes its kernel in `float64`; torchaudio's function computes it in
    `float32`, so the last bits differ. T steps become ceil(T × rate / old rate).

    Args:
        rate: Hz, of the result. The present rate is the sample's.
        lowpass_filter_width: zero crossings of the filter on each side; more is sharper and slower.
        rolloff: where the filter begins, as a share of the lower Nyquist frequency, in (0, 1].
        method: window of the filter.
        beta: shape of the Kaiser window; 14.77 by default.

    Raises:
        ValueError: for two rates with so small a common divisor that the kernel would not fit into 64 MiB.

    Examples:
        >>> import torch
        >>> from datakit.transforms import Resample
        >>> out = Resample(8000)({"waveform": torch.zeros(1, 44101), "sample_rate": 44100})
        >>> out["waveform"].shape, out["sample_rate"]
        (torch.Size([1, 8001]), 8000)
    """

    rate: int
    _: KW_ONLY
    lowpass_filter_width: int = 6
    rolloff: float = 0.99
    method: Literal["sinc_interp_hann", "sinc_interp_kaiser"] = "sinc_interp_hann"
    beta: float | None = None

    def __post_init__(self) -> None:
        check_whole("Resample", rate=self.rate, lowpass_filter_width=self.lowpass_filter_width)
        check_among("Resample", "method", self.method, ("sinc_interp_hann", "sinc_interp_kaiser"))
        if not 0 < self.rolloff <= 1:
            raise ValueError(f"Resample needs a rolloff in (0, 1], got rolloff={self.rolloff!r}")

    def __call__(self, sample: Sample) -> Sample:
        """The sample at the new rate."""
        waveform, rate = waveform_of(sample, self), rate_of(sample, self)
        if rate == self.rate:
            return sample
        check_kernel(self, rate, self.rate, self.lowpass_filter_width, self.rolloff)
        new = run(
            "Resample",
            waveform,
            orig_freq=rate,
            new_freq=self.rate,
            resampling_method=self.method,
            lowpass_filter_width=self.lowpass_filter_width,
            rolloff=self.rolloff,
            beta=self.beta,
        )
        return {**replaced(sample, "waveform", "waveform", new), "sample_rate": self.rate}


@dataclass(frozen=True, repr=False)
class Mono(Shown):
    """The mean of all channels: (C, T) becomes (1, T).

    Examples:
        >>> import torch
        >>> from datakit.transforms import Mono
        >>> Mono()({"waveform": torch.tensor([[0.5, 0.0], [0.25, 1.0]])})["waveform"].tolist()
        [[0.375, 0.5]]
    """

    def __call__(self, sample: Sample) -> Sample:
        """The sample with one channel."""
        waveform = waveform_of(sample, self)
        return sample if len(waveform) == 1 else {**sample, "waveform": waveform.mean(0, keepdim=True)}


@dataclass(frozen=True, repr=False)
class FixLength(Shown):
    """Cut the waveform at its end, or pad it there with silence, to a fixed length.

    Args:
        length: steps of the result; seconds × sampling rate.

    Examples:
        >>> import torch
        >>> from datakit.transforms import FixLength
        >>> FixLength(4)({"waveform": torch.ones(1, 3)})["waveform"].tolist()
        [[1.0, 1.0, 1.0, 0.0]]
    """

    length: int

    def __post_init__(self) -> None:
        check_whole("FixLength", length=self.length)

    def __call__(self, sample: Sample) -> Sample:
        """The sample with `length` steps."""
        waveform = waveform_of(sample, self)
        new = F.pad(waveform, (0, self.length - waveform.shape[1]))  # a negative number of zeros cuts
        return replaced(sample, "waveform", "waveform", new)


@dataclass(frozen=True, repr=False)
class RandomClip(Random):
    """Cut a piece of a fixed length from a random place; every place that fits is equally likely.

    Args:
        length: steps of the piece; seconds × sampling rate.
        pad: place a waveform that is shorter than the piece at random in silence, instead of raising.

    Raises:
        ValueError: for a waveform shorter than the piece, unless `pad`.

    Examples:
        >>> import torch
        >>> from datakit.transforms import RandomClip
        >>> RandomClip(16000)({"waveform": torch.zeros(2, 48000)})["waveform"].shape
        torch.Size([2, 16000])
    """

    length: int
    pad: bool = False

    def __post_init__(self) -> None:
        check_whole("RandomClip", length=self.length)

    def draw(self, sample: Sample, rng: np.random.Generator) -> int:
        """The step at which the piece begins; negative for so much silence before the waveform."""
        steps = waveform_of(sample, self).shape[1]
        room = steps - self.length
        if room < 0 and not self.pad:
            raise ValueError(
                f"the waveform has {steps} steps, the clip {self.length}; pass pad=True to fill up with silence"
            )
        return int(rng.integers(min(0, room), max(0, room) + 1))

    def apply(self, sample: Sample, params: int) -> Sample:
        """The piece that was drawn."""
        waveform = waveform_of(sample, self)
        new = F.pad(waveform, (-params, params + self.length - waveform.shape[1]))
        return replaced(sample, "waveform", "waveform", new)


@dataclass(frozen=True, repr=False)
class Gain(Random):
    """Make the waveform louder or softer. As `torchaudio.transforms.Vol`, what leaves [-1, 1] is clipped there.

    Args:
        db: dB, or (low, high) to draw from; 6 dB double the amplitude, -6 dB halve it. Vol's `amplitude` a is
            20 log10 a here, its `power` p is 10 log10 p.

    Examples:
        >>> import torch
        >>> from datakit.transforms import Gain
        >>> Gain(20.0)({"waveform": torch.tensor([[0.05, 0.5]])})["waveform"].tolist()
        [[0.5, 1.0]]
    """

    db: Range

    def __post_init__(self) -> None:
        check_range(self, "db", "number of dB")

    def draw(self, sample: Sample, rng: np.random.Generator) -> float:
        """A gain, dB."""
        return drawn(rng, as_range("Gain", "number of dB", self.db))

    def apply(self, sample: Sample, params: float) -> Sample:
        """The sample with this gain."""
        new = functional("gain", waveform_of(sample, self), params).clamp(-1, 1)
        return {**sample, "waveform": new}


@dataclass(frozen=True, repr=False)
class PeakNormalize(Shown):
    """Scale the waveform so that its largest absolute value, over all channels, is `peak`. Silence stays silence.

    Args:
        peak: in (0, 1].

    Examples:
        >>> import torch
        >>> from datakit.transforms import PeakNormalize
        >>> PeakNormalize(0.5)({"waveform": torch.tensor([[0.25, -0.125]])})["waveform"].tolist()
        [[0.5, -0.25]]
    """

    peak: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.peak <= 1:
            raise ValueError(f"PeakNormalize needs a peak in (0, 1], got peak={self.peak!r}")

    def __call__(self, sample: Sample) -> Sample:
        """The sample at this peak."""
        waveform = waveform_of(sample, self)
        loudest = waveform.abs().amax()
        new = (waveform / loudest).mul_(self.peak) if loudest > 0 else waveform
        return {**sample, "waveform": new}
