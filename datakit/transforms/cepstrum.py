"""Mel-frequency cepstral coefficients, on torchaudio's transform."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from datakit.cores import one_thread
from datakit.sample import Sample
from datakit.sounds import check_is_sample
from datakit.transforms.base import Shown
from datakit.transforms.sound import check_whole, replaced
from datakit.transforms.spectrogram import MelSpectrogram, rate_of_bands

_MEL = MelSpectrogram()


@dataclass(frozen=True, repr=False)
class MFCC(Shown):
    """Mel-frequency cepstral coefficients: `waveform` (C, T) becomes `spectrogram` (C, n_mfcc, frames).

    `torchaudio.transforms.MFCC` at the sample's own rate: the DCT-II, orthonormal, of the mel spectrogram in dB, cut
    80 dB below its loudest value. As torchaudio says, that is librosa's way, not the textbook's or Kaldi's; with `log`
    it is the natural logarithm, after adding 1e-6.

    Args:
        n_mfcc: number of coefficients; at most the bands of `mel`.
        mel: the mel spectrogram, such as `MelSpectrogram(n_mels=40)`; its `keep` is not asked.
        log: natural logarithm instead of dB.
        keep: leave the waveform in the sample.

    Examples:
        >>> import torch
        >>> from datakit.transforms import MFCC, MelSpectrogram
        >>> mfcc = MFCC(13, mel=MelSpectrogram(n_mels=40))
        >>> mfcc({"waveform": torch.rand(1, 16000), "sample_rate": 16000})["spectrogram"].shape
        torch.Size([1, 13, 81])
    """

    n_mfcc: int = 40
    mel: MelSpectrogram = _MEL
    log: bool = False
    keep: bool = False

    def __post_init__(self) -> None:
        check_whole("MFCC", n_mfcc=self.n_mfcc)
        if self.n_mfcc > self.mel.n_mels:
            raise ValueError(f"MFCC needs n_mfcc <= n_mels, got n_mfcc={self.n_mfcc}, n_mels={self.mel.n_mels}")

    def __call__(self, sample: Sample) -> Sample:
        """The sample with coefficients as its `spectrogram`."""
        check_is_sample(sample, self, "waveform")
        waveform = self.mel.long_enough(sample)
        rate = rate_of_bands(self.mel, sample)
        with one_thread():
            made = _mfcc(waveform.device, rate, self.n_mfcc, self.log, self.mel)(waveform)
        return replaced(sample, "waveform", "spectrogram", made, keep=self.keep)


@lru_cache(maxsize=16)
def _mfcc(device: torch.device, rate: int, n_mfcc: int, log: bool, mel: MelSpectrogram) -> Any:
    """Torchaudio's module, built once; its other parameters come as a dict, which no cache can compare."""
    from torchaudio.transforms import MFCC

    return MFCC(rate, n_mfcc=n_mfcc, log_mels=log, melkwargs=mel.parameters()).to(device)
