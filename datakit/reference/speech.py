"""What references of speech share: log-mel features of a padded batch on its device, and convolutions over frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from datakit.audio.features import Cmvn, Fbank
from datakit.audio.features.batches import inside
from datakit.inspection.sound import Sound
from datakit.inspection.spectrum import Spectrum
from datakit.report.sound.drawing import draw_sound

BANDS = 40


class LogMel(nn.Module):
    """Log energies in mel bands, each of mean 0 over the frames of a recording.

    Args:
        rate: of the samples, Hz.
        bands: how many.
        norm_vars: divide each by its deviation over the frames too.

    Examples:
        >>> import torch
        >>> from datakit.reference.speech import LogMel
        >>> features, frames = LogMel(8000)(torch.randn(2, 1, 4000), torch.tensor([4000, 2000]))
        >>> features.shape, frames
        (torch.Size([2, 48, 40]), tensor([48, 23]))
    """

    def __init__(self, rate: float, bands: int = BANDS, *, norm_vars: bool = False) -> None:
        super().__init__()
        self.fbank = Fbank(sample_frequency=rate, num_mel_bins=bands, dither=0.0)
        self.cmvn = Cmvn(norm_vars=norm_vars)

    def forward(self, waveform: torch.Tensor, length: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (B, N, bands) and frame counts (B,), of waveforms (B, 1, T) and their lengths (B,) in samples."""
        features, frames = self.cmvn(*self.fbank(waveform[:, 0], length))
        return features, frames


class Convolutions(nn.Module):
    """Convolutions over frames that never see padding: it is zero before each of them, as what lies beyond an end is.

    Args:
        channels: of the features, and after each convolution.
        strides: frames, of each.
        width: frames that each sees; odd.

    Examples:
        >>> import torch
        >>> from datakit.reference.speech import Convolutions
        >>> found, frames = Convolutions((40, 8, 8), (1, 2))(torch.randn(2, 9, 40), torch.tensor([9, 4]))
        >>> found.shape, frames
        (torch.Size([2, 5, 8]), tensor([5, 2]))
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], width: int = 5) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(few, many, width, stride, width // 2)
            for few, many, stride in zip(channels[:-1], channels[1:], strides, strict=True)
        )
        self.strides = tuple(strides)

    def forward(self, features: torch.Tensor, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N', channels[-1]) and counts (B,), of features (B, N, channels[0]) and theirs; N' is 1 at least."""
        if not features.shape[1]:  # all are shorter than a window
            features = nn.functional.pad(features, (0, 0, 0, 1))
        for layer, stride in zip(self.layers, self.strides, strict=True):
            features = layer(features.transpose(1, 2)).relu().transpose(1, 2)
            frames = (frames + stride - 1) // stride
            features = torch.where(inside(frames, features.shape[1]), features, 0.0)
        return features, frames


def everything(batch: dict[str, Any]) -> torch.Tensor:
    """What a pipeline that ignores lengths takes them for, (B,): all members are as long as the longest one."""
    return torch.full_like(batch["length"], batch["waveform"].shape[-1])


@torch.inference_mode()
def picture(mel: LogMel, waveform: torch.Tensor, side: int) -> np.ndarray:
    """The log energies of a waveform (1, T), before their mean is taken, over seconds and Hz: (H, side, 3) `uint8`."""
    fbank = mel.fbank
    features, _ = fbank(waveform[0])
    rate = round(fbank.sample_frequency)
    sound = Sound("features", features.T[None].numpy(), rate, len(features))
    middle = fbank.size / 2
    spectrum = Spectrum("mel", "log", fbank.shift, middle, low=fbank.low_freq, high=rate / 2)
    return np.asarray(draw_sound(sound, spectrum, side).image)
