"""What references of speech share: log-mel features of a padded batch on its device, and convolutions over frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from datakit.audio.features import Cmvn, Fbank
from datakit.audio.features.batches import inside

RATE = 8000  # Hz, of the recordings


class LogMel(nn.Module):
    """Log energies in mel bands, each of mean 0 and deviation 1 over the frames of a recording.

    Args:
        rate: of the samples, Hz.
        bands: how many.

    Examples:
        >>> import torch
        >>> from datakit.reference.speech import LogMel
        >>> features, frames = LogMel()(torch.randn(2, 1, 4000), torch.tensor([4000, 2000]))
        >>> features.shape, frames
        (torch.Size([2, 48, 40]), tensor([48, 23]))
    """

    def __init__(self, rate: int = RATE, bands: int = 40, norm_vars: bool = True) -> None:
        super().__init__()
        self.fbank = Fbank(sample_frequency=float(rate), num_mel_bins=bands, dither=0.0)
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
        self.norms = nn.ModuleList(nn.LayerNorm(many) for many in channels[1:])
        self.strides = tuple(strides)

    def forward(self, features: torch.Tensor, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N', channels[-1]) and counts (B,), of features (B, N, channels[0]) and theirs."""
        for layer, norm, stride in zip(self.layers, self.norms, self.strides, strict=True):
            features = norm(layer(features.transpose(1, 2)).transpose(1, 2)).relu()
            frames = (frames + stride - 1) // stride
            features = torch.where(inside(frames, features.shape[1]), features, 0.0)
        return features, frames
