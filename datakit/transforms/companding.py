"""Waveforms as codes of mu-law, and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from datakit.sample import Sample
from datakit.sounds import check_is_sample
from datakit.transforms.base import Shown
from datakit.transforms.sound import check_whole, functional, replaced, waveform_of


@dataclass(frozen=True, repr=False)
class MuLawEncoding(Shown):
    """Compand the waveform and quantise it: `waveform` becomes `codes`, `int64` (C, T) in [0, channels).

    torchaudio's `mu_law_encoding`; ITU-T G.711 with µ = channels - 1, in floating point.

    Args:
        channels: number of codes.
        keep: leave the waveform in the sample.

    Raises:
        ValueError: for a waveform outside [-1, 1], to which torchaudio gives codes that do not exist.

    Examples:
        >>> import torch
        >>> from datakit.transforms import MuLawEncoding
        >>> MuLawEncoding()({"waveform": torch.tensor([[-1.0, 0.0, 1.0]])})["codes"].tolist()
        [[0, 128, 255]]
    """

    channels: int = 256
    keep: bool = False

    def __post_init__(self) -> None:
        _check_channels(self)

    def __call__(self, sample: Sample) -> Sample:
        """The sample with `codes`."""
        waveform = waveform_of(sample, self)
        low, high = (bound.item() for bound in waveform.aminmax())
        if not (low >= -1 and high <= 1):
            raise ValueError(
                f"{self} needs a waveform in [-1, 1], got values from {low:.4g} to {high:.4g}; "
                "put PeakNormalize() before it"
            )
        return replaced(
            sample, "waveform", "codes", functional("mu_law_encoding", waveform, self.channels), keep=self.keep
        )


@dataclass(frozen=True, repr=False)
class MuLawDecoding(Shown):
    """Undo `MuLawEncoding`: `codes` become `waveform`; what the quantisation took, 1 % or so, is lost.

    Args:
        channels: number of codes.
        keep: leave the codes in the sample.

    Raises:
        ValueError: for codes outside [0, channels).

    Examples:
        >>> import torch
        >>> from datakit.transforms import MuLawDecoding
        >>> MuLawDecoding()({"codes": torch.tensor([[0, 255]])})["waveform"].tolist()
        [[-1.0, 1.0]]
    """

    channels: int = 256
    keep: bool = False

    def __post_init__(self) -> None:
        _check_channels(self)

    def __call__(self, sample: Sample) -> Sample:
        """The sample with `waveform`."""
        check_is_sample(sample, self, "codes")
        codes = sample.get("codes")
        if not isinstance(codes, torch.Tensor) or codes.dtype != torch.int64 or codes.ndim != 2 or 0 in codes.shape:
            found = f"{codes.dtype} {tuple(codes.shape)}" if isinstance(codes, torch.Tensor) else type(codes).__name__
            raise ValueError(f"{self} needs 'codes', an int64 tensor (C, T), got {found}")
        low, high = (int(bound) for bound in codes.aminmax())
        if low < 0 or high >= self.channels:
            raise ValueError(f"{self} needs codes in [0, {self.channels}), got {low} to {high}")
        return replaced(
            sample, "codes", "waveform", functional("mu_law_decoding", codes, self.channels), keep=self.keep
        )


def _check_channels(law: MuLawEncoding | MuLawDecoding) -> None:
    check_whole(type(law).__name__, channels=law.channels)
    if law.channels < 2:
        raise ValueError(f"{type(law).__name__} needs two channels at least, got channels={law.channels!r}")
