"""Filters of the waveform: torchaudio's biquads."""

from __future__ import annotations

from dataclasses import dataclass

from datakit.sample import Sample
from datakit.transforms.base import Shown
from datakit.transforms.sound import as_range, check_positive, functional, rate_of, waveform_of


@dataclass(frozen=True, repr=False)
class LowPass(Shown):
    """Take away what is above a frequency: torchaudio's `lowpass_biquad`, 12 dB an octave, as SoX designs it.

    torchaudio clips the result to [-1, 1].

    Args:
        cutoff: Hz, where the filter is 3 dB down (at the default `q`); below half the sample's rate.
        q: quality factor; above 0.707 there is a peak at the cutoff.

    Raises:
        ValueError: for a cutoff that is not below half the sample's rate.

    Examples:
        >>> import torch
        >>> from datakit.transforms import LowPass
        >>> sample = {"waveform": torch.tensor([[0.5, -0.5] * 400]), "sample_rate": 16000}
        >>> bool(LowPass(1000.0)(sample)["waveform"][0, 100:].abs().max() < 1e-6)
        True
    """

    cutoff: float
    q: float = 0.707

    def __post_init__(self) -> None:
        check_positive("LowPass", cutoff=self.cutoff, q=self.q)

    def __call__(self, sample: Sample) -> Sample:
        """The filtered sample."""
        return _filtered(self, sample, "lowpass_biquad", self.cutoff, self.q)


@dataclass(frozen=True, repr=False)
class HighPass(Shown):
    """Take away what is below a frequency: torchaudio's `highpass_biquad`. Otherwise as `LowPass`.

    Examples:
        >>> import torch
        >>> from datakit.transforms import HighPass
        >>> sample = {"waveform": torch.full((1, 800), 0.5), "sample_rate": 16000}
        >>> bool(HighPass(1000.0)(sample)["waveform"][0, 100:].abs().max() < 1e-6)
        True
    """

    cutoff: float
    q: float = 0.707

    def __post_init__(self) -> None:
        check_positive("HighPass", cutoff=self.cutoff, q=self.q)

    def __call__(self, sample: Sample) -> Sample:
        """The filtered sample."""
        return _filtered(self, sample, "highpass_biquad", self.cutoff, self.q)


@dataclass(frozen=True, repr=False)
class Equalizer(Shown):
    """Raise or lower the frequencies around one: torchaudio's `equalizer_biquad`, as SoX designs it.

    torchaudio clips the result to [-1, 1].

    Args:
        center: Hz; below half the sample's rate.
        db: gain at the centre, dB.
        q: quality factor; the band is about center / q wide.

    Raises:
        ValueError: for a centre that is not below half the sample's rate.

    Examples:
        >>> import torch
        >>> from datakit.transforms import Equalizer
        >>> sample = {"waveform": torch.rand(1, 800) - 0.5, "sample_rate": 16000}
        >>> Equalizer(1000.0, db=-12.0)(sample)["waveform"].shape
        torch.Size([1, 800])
    """

    center: float
    db: float
    q: float = 0.707

    def __post_init__(self) -> None:
        check_positive("Equalizer", center=self.center, q=self.q)
        as_range("Equalizer", "number of dB", self.db)

    def __call__(self, sample: Sample) -> Sample:
        """The filtered sample."""
        return _filtered(self, sample, "equalizer_biquad", self.center, self.db, self.q)


def _filtered(who: object, sample: Sample, name: str, frequency: float, *rest: float) -> Sample:
    waveform, rate = waveform_of(sample, who), rate_of(sample, who)
    if frequency >= rate / 2:
        raise ValueError(f"{who} needs a frequency below half the sampling rate, got {frequency} Hz at {rate} Hz")
    return {**sample, "waveform": functional(name, waveform, rate, frequency, *rest)}
