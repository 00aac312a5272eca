"""Perceptual linear prediction: `compute-plp-feats`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from datakit.audio.features.base import EPSILON, Warp
from datakit.audio.features.cepstra import CepstralFeatures
from datakit.audio.features.workspace import Workspace

_LEAST = 1e-30  # of energies of bands, before their root: digital silence has features too


@dataclass(kw_only=True, eq=False, repr=False)
class Plp(CepstralFeatures):
    """Cepstra of perceptual linear prediction, as Kaldi's `compute-plp-feats` computes them.

    Called as `Fbank` is. F is `num_ceps`. Frames of digital silence are finite; Kaldi gives NaN without dither.

    Args:
        lpc_order: order of the prediction.
        num_ceps: number of coefficients with the zeroth, at most `lpc_order + 1`.
        compress_factor: power that energies in bands are raised to.
        cepstral_lifter: as for `Mfcc`; so is `use_energy`.
        cepstral_scale: factor of all coefficients but the energy.
        htk_compat: put the zeroth last, as HTK.
        num_mel_bins: as for `Fbank`; so are `low_freq`, `high_freq`, `vtln_low`, `vtln_high` and `vtln_warp`.
        sample_frequency: as for `Spectrogram`; so are `frame_length`, `frame_shift`, `dither`,
            `preemphasis_coefficient`, `remove_dc_offset`, `window_type`, `blackman_coeff`, `round_to_power_of_two`,
            `snip_edges`, `raw_energy`, `energy_floor`, `subtract_mean`, `min_duration`, `scale` and `exact_fft`.

    Raises:
        ValueError: for options that are impossible, alone or together, and for waveforms that are none.

    Examples:
        >>> import torch
        >>> from datakit.audio.features import Plp
        >>> features, frames = Plp(dither=0.0)(torch.rand(2, 16000) - 0.5)
        >>> features.shape, frames
        (torch.Size([2, 98, 13]), tensor([98, 98]))
    """

    lpc_order: int = 12
    compress_factor: float = 0.33333
    cepstral_scale: float = 1.0

    def check(self) -> None:
        """Raise ValueError for options that are impossible, alone or together."""
        super().check()
        self.refuse(self.lpc_order < 1, "lpc_order >= 1", "lpc_order")
        needed = "1 <= num_ceps <= lpc_order + 1"
        self.refuse(not 1 <= self.num_ceps <= self.lpc_order + 1, needed, "num_ceps", "lpc_order")
        self.refuse(not self.compress_factor > 0, "compress_factor > 0", "compress_factor")

    def constants(self) -> dict[str, torch.Tensor]:
        """What is made once of the options, in float64."""
        _, centres = self.mel.banks(torch.tensor([self.vtln_warp], dtype=torch.float64))
        own = {"loudness": equal_loudness(centres[0]), "lifted": self.lifter() * self.cepstral_scale}
        return {**super().constants(), **own, "idft": idft_bases(self.lpc_order + 1, self.num_mel_bins + 2)}

    def _cepstra(
        self,
        spectrum: torch.Tensor,
        energy: torch.Tensor | None,
        made: dict[str, torch.Tensor],
        warp: Warp,
        space: Workspace,
    ) -> torch.Tensor:
        bands = self.mel_energies(spectrum, made, warp, space)
        loudness = made["loudness"]
        if warp is not None:
            of_member = equal_loudness(self.mel.banks(warp.to(bands.device))[1]).to(bands.dtype)
            loudness = of_member.repeat_interleave(len(bands) // len(warp), 0)
        heard = (bands * loudness).clamp(min=_LEAST) ** self.compress_factor
        heard = torch.cat((heard[:, :1], heard, heard[:, -1:]), 1)
        coefficients, residual = durbin(heard @ made["idft"])
        cepstra = torch.cat((residual.log().clamp(min=EPSILON)[:, None], cepstrum_of(coefficients)), 1)
        cepstra = cepstra[:, : self.num_ceps] * made["lifted"]
        return self.ordered(cepstra[:, 0] if energy is None else energy, cepstra[:, 1:])


def equal_loudness(hertz: torch.Tensor) -> torch.Tensor:
    """Weight of bands by the centre of each: `GetEqualLoudnessVector` of Kaldi's `mel-computations.cc`."""
    square = hertz**2
    return (square / (square + 1.6e5)) ** 2 * (square + 1.44e6) / (square + 9.61e6)


def idft_bases(count: int, size: int) -> torch.Tensor:
    """From a power spectrum of `size` points to `count` autocorrelations, (size, count), float64: `InitIdftBases`."""
    points = torch.arange(size, dtype=torch.float64)[:, None]
    bases = (math.pi / (size - 1) * points * torch.arange(count, dtype=torch.float64)).cos() / (size - 1)
    bases[0] /= 2
    bases[-1] /= 2
    return bases


def durbin(autocorrelation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Prediction coefficients (N, n) and what is left of the energy (N,), of autocorrelations (N, n + 1).

    Durbin's recursion, with Kaldi's floor of 1e-5 under the part that each step leaves (`Durbin`).
    """
    error = autocorrelation[:, 0].clamp(min=torch.finfo(autocorrelation.dtype).tiny)
    found = autocorrelation[:, :0]
    for order in range(autocorrelation.shape[1] - 1):
        backward = autocorrelation[:, 1 : order + 1].flip(1)
        reflection = (autocorrelation[:, order + 1] + (found * backward).sum(1)) / error
        error = error * (1 - reflection**2).clamp(min=1e-5)
        found = torch.cat((found - reflection[:, None] * found.flip(1), -reflection[:, None]), 1)
    return found, error


def cepstrum_of(coefficients: torch.Tensor) -> torch.Tensor:
    """Cepstrum (N, n) of prediction coefficients (N, n): `Lpc2Cepstrum`."""
    found = coefficients[:, :0]
    for order in range(coefficients.shape[1]):
        weight = torch.arange(order, 0, -1, device=found.device, dtype=found.dtype)
        earlier = (weight * coefficients[:, :order] * found.flip(1)).sum(1)
        found = torch.cat((found, (-coefficients[:, order] - earlier / (order + 1))[:, None]), 1)
    return found
