"""Kaldi's mel filter banks, with or without a vocal tract length that warps them (VTLN)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class MelOptions:
    """What a filter bank is made of: `MelBanksOptions` of Kaldi's `mel-computations.h`, in Hz.

    Attributes:
        points: of the FFT.
        rate: samples a second.
        bands: how many triangles.
        low: lower end of the lowest band.
        high: upper end of the highest band.
        vtln_low: lower inflection point of the warping.
        vtln_high: upper inflection point of the warping.
    """

    points: int
    rate: float
    bands: int
    low: float
    high: float
    vtln_low: float
    vtln_high: float

    def banks(self, warp: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights and centres of the bands for each warping factor (B,): `MelBanks::MelBanks` of Kaldi.

        Returns:
            weights: (B, points // 2 + 1, bands); the highest bin of the FFT has no weight, as in Kaldi.
            centres: (B, bands), Hz.
        """
        low, high = mel(self.low), mel(self.high)
        step = (high - low) / (self.bands + 1)
        edges = low + step * torch.arange(self.bands + 2, dtype=warp.dtype, device=warp.device)
        warped = mel_of(self.warped(hertz_of(edges), warp[:, None]))
        edges = torch.where((warp == 1)[:, None], edges, warped)
        left, centre, right = (edges[:, None, place : place + self.bands] for place in range(3))
        bins = torch.arange(self.points // 2 + 1, dtype=warp.dtype, device=warp.device)
        at = mel_of(self.rate / self.points * bins)[None, :, None]
        weights = torch.where(at <= centre, (at - left) / (centre - left), (right - at) / (right - centre))
        inside = (at > left) & (at < right) & (bins < self.points // 2)[None, :, None]
        return torch.where(inside, weights, 0.0), hertz_of(centre[:, 0])

    def warped(self, hertz: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        """Frequencies under a warping of three straight pieces: `MelBanks::VtlnWarpFreq` of Kaldi."""
        lower = self.vtln_low * factor.clamp(min=1)
        upper = self.vtln_high * factor.clamp(max=1)
        left = (lower / factor - self.low) / (lower - self.low)
        right = (self.high - upper / factor) / (self.high - upper)
        inner = torch.where(hertz < upper, hertz / factor, self.high + right * (hertz - self.high))
        moved = torch.where(hertz < lower, self.low + left * (hertz - self.low), inner)
        return torch.where((hertz < self.low) | (hertz > self.high), hertz, moved)


def mel(hertz: float) -> float:
    """Mel of a frequency, by the formula of HTK and Kaldi."""
    return 1127.0 * math.log(1.0 + hertz / 700.0)


def mel_of(hertz: torch.Tensor) -> torch.Tensor:
    """`mel` of a tensor."""
    return 1127.0 * (1.0 + hertz / 700.0).log()


def hertz_of(mels: torch.Tensor) -> torch.Tensor:
    """The inverse of `mel_of`."""
    return 700.0 * ((mels / 1127.0).exp() - 1.0)


def narrow_bands(bank: torch.Tensor, parts: int) -> list[tuple[int, int, int, int]]:
    """Parts of a filter bank (bins, bands) that hold all its weight: first and last bin, first and last band.

    Most of a filter bank is zero: a product with the parts, beside each other, takes a third of the time.
    """
    bands = bank.shape[1]
    cuts = sorted({round(part * bands / parts) for part in range(parts + 1)})
    found = []
    for first, last in itertools.pairwise(cuts):
        bins = bank[:, first:last].any(1).nonzero().flatten().tolist() or [0]
        found.append((bins[0], bins[-1] + 1, first, last))
    return found
