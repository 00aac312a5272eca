"""From waveforms to spectrograms (C, F, T), on torchaudio's transforms.

A spectrogram takes the place of the waveform unless `keep`; `sample_rate` stays and is that of the sound behind it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from datakit.sample import Sample
from datakit.transforms.base import Shown
from datakit.transforms.frames import Padding, Stft, Window
from datakit.transforms.sound import (
    check_among,
    check_positive,
    check_whole,
    rate_of,
    replaced,
    run,
    spectrogram_of,
)

Norm: TypeAlias = Literal["slaney"] | None


@dataclass(frozen=True, repr=False)
class Spectrogram(Stft):
    """The short-time Fourier transform: `waveform` (C, T) becomes `spectrogram` (C, n_fft // 2 + 1, frames).

    `torchaudio.transforms.Spectrogram`. With `center` there are T // hop + 1 frames, the first centred on step 0.

    Args:
        n_fft: steps of the FFT; its bins are sample_rate / n_fft Hz apart.
        win_length: steps of the window; `n_fft` by default.
        hop_length: steps between frames; half the window by default.
        pad: steps of silence on both sides.
        window: shape of the window.
        power: 2 for power, 1 for magnitude, None for the complex spectrum, `complex64`.
        normalized: divide by the window's norm (True, "window") or by the root of its length ("frame_length").
        center: pad so that frames are centred; otherwise they begin at their step.
        pad_mode: how `center` pads; "reflect" needs more than n_fft // 2 steps.
        keep: leave the waveform in the sample.

    Raises:
        ValueError: for a waveform too short for one frame.

    Examples:
        >>> import torch
        >>> from datakit.transforms import Spectrogram
        >>> out = Spectrogram(n_fft=400)({"waveform": torch.rand(2, 16000), "sample_rate": 16000})
        >>> list(out), out["spectrogram"].shape
        (['spectrogram', 'sample_rate'], torch.Size([2, 201, 81]))
    """

    n_fft: int = 400
    win_length: int | None = None
    hop_length: int | None = None
    pad: int = 0
    window: Window = "hann"
    power: float | None = 2.0
    normalized: bool | Literal["window", "frame_length"] = False
    center: bool = True
    pad_mode: Padding = "reflect"
    keep: bool = False

    def __post_init__(self) -> None:
        self.check_stft()

    def __call__(self, sample: Sample) -> Sample:
        """The sample with `spectrogram`."""
        waveform = self.long_enough(sample)
        return replaced(sample, "waveform", "spectrogram", run("Spectrogram", waveform, **self.stft()), keep=self.keep)


@dataclass(frozen=True, repr=False)
class MelSpectrogram(Stft):
    """Power in mel bands: `waveform` (C, T) becomes `spectrogram` (C, n_mels, frames).

    `torchaudio.transforms.MelSpectrogram` at the sample's own rate: torchaudio takes 16 kHz unless it is told.
    torchaudio warns where a band is so narrow that no bin of the FFT falls into it: its row is zeros.

    Args:
        n_fft: as for `Spectrogram`; so are `win_length`, `hop_length`, `pad`, `window`, `normalized`, `center`,
            `pad_mode` and `keep`.
        n_mels: number of bands.
        f_min: Hz, lower end of the lowest band.
        f_max: Hz, upper end of the highest band; half the sample's rate by default.
        power: 2 for power, 1 for magnitude.
        norm: "slaney" divides each band by its width.
        mel_scale: "htk" or "slaney".

    Raises:
        ValueError: for a waveform too short for one frame, and for f_max above half the sample's rate.

    Examples:
        >>> import torch
        >>> from datakit.transforms import MelSpectrogram
        >>> MelSpectrogram(n_mels=40)({"waveform": torch.rand(1, 16000), "sample_rate": 16000})["spectrogram"].shape
        torch.Size([1, 40, 81])
    """

    n_fft: int = 400
    win_length: int | None = None
    hop_length: int | None = None
    n_mels: int = 128
    f_min: float = 0.0
    f_max: float | None = None
    pad: int = 0
    window: Window = "hann"
    power: float = 2.0
    normalized: bool | Literal["window", "frame_length"] = False
    center: bool = True
    pad_mode: Padding = "reflect"
    norm: Norm = None
    mel_scale: Literal["htk", "slaney"] = "htk"
    keep: bool = False

    def __post_init__(self) -> None:
        self.check_stft()
        _check_bands(self)

    def __call__(self, sample: Sample) -> Sample:
        """The sample with `spectrogram`."""
        waveform = self.long_enough(sample)
        mel = run("MelSpectrogram", waveform, sample_rate=rate_of_bands(self, sample), **self.parameters())
        return replaced(sample, "waveform", "spectrogram", mel, keep=self.keep)

    def parameters(self) -> dict[str, Any]:
        """Torchaudio's names for all but the rate."""
        own = {key: getattr(self, key) for key in ("n_mels", "f_min", "f_max", "norm", "mel_scale")}
        return {**self.stft(), **own}


@dataclass(frozen=True, repr=False)
class MelScale(Shown):
    """Sum the bins of a spectrogram into mel bands: (C, F, T) becomes (C, n_mels, T).

    `torchaudio.transforms.MelScale` at the sample's own rate and number of bins. Arguments as for `MelSpectrogram`.

    Examples:
        >>> import torch
        >>> from datakit.transforms import MelScale
        >>> MelScale(n_mels=40)({"spectrogram": torch.rand(1, 201, 81), "sample_rate": 16000})["spectrogram"].shape
        torch.Size([1, 40, 81])
    """

    n_mels: int = 128
    f_min: float = 0.0
    f_max: float | None = None
    norm: Norm = None
    mel_scale: Literal["htk", "slaney"] = "htk"

    def __post_init__(self) -> None:
        _check_bands(self)

    def __call__(self, sample: Sample) -> Sample:
        """The sample with its spectrogram in mel bands."""
        spectrogram = spectrogram_of(sample, self)
        parameters = {key: getattr(self, key) for key in ("n_mels", "f_min", "f_max", "norm", "mel_scale")}
        rate, bins = rate_of_bands(self, sample), spectrogram.shape[1]
        return {**sample, "spectrogram": run("MelScale", spectrogram, sample_rate=rate, n_stft=bins, **parameters)}


@dataclass(frozen=True, repr=False)
class AmplitudeToDB(Shown):
    """A spectrogram in decibels: 10 log10 of power or 20 log10 of magnitude, which are clamped at 1e-10 before.

    `torchaudio.transforms.AmplitudeToDB`; it takes any scale but "power" for magnitude, this one only the two.

    Args:
        scale: what the spectrogram holds.
        top_db: dB; what is further below the loudest value of this sample is raised to there. A piece of a sound
            is therefore not the same piece of the whole sound's spectrogram.

    Examples:
        >>> import torch
        >>> from datakit.transforms import AmplitudeToDB
        >>> AmplitudeToDB(top_db=80.0)({"spectrogram": torch.tensor([[[1.0, 0.01, 0.0]]])})["spectrogram"].tolist()
        [[[0.0, -20.0, -80.0]]]
    """

    scale: Literal["power", "magnitude"] = "power"
    top_db: float | None = None

    def __post_init__(self) -> None:
        check_among("AmplitudeToDB", "scale", self.scale, ("power", "magnitude"))
        check_positive("AmplitudeToDB", top_db=self.top_db)

    def __call__(self, sample: Sample) -> Sample:
        """The sample with its spectrogram in dB."""
        spectrogram = spectrogram_of(sample, self)
        return {**sample, "spectrogram": run("AmplitudeToDB", spectrogram, stype=self.scale, top_db=self.top_db)}


def _check_bands(mel: MelSpectrogram | MelScale) -> None:
    name = type(mel).__name__
    check_whole(name, n_mels=mel.n_mels)
    check_among(name, "norm", mel.norm, (None, "slaney"))
    check_among(name, "mel_scale", mel.mel_scale, ("htk", "slaney"))
    if not 0 <= mel.f_min < (math.inf if mel.f_max is None else mel.f_max):
        raise ValueError(f"{name} needs 0 <= f_min < f_max, got f_min={mel.f_min!r}, f_max={mel.f_max!r}")


def rate_of_bands(mel: MelSpectrogram | MelScale, sample: Sample) -> int:
    """The sampling rate of a sample, Hz; raises ValueError where the bands lie above half of it."""
    rate = rate_of(sample, mel)
    if mel.f_min >= rate // 2 or (mel.f_max or 0) > rate / 2:
        raise ValueError(
            f"{mel} needs bands below half the sampling rate, got f_min={mel.f_min}, f_max={mel.f_max} Hz at {rate} Hz"
        )
    return rate
