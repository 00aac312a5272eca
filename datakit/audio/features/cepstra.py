"""Cepstra of mel energies: `compute-mfcc-feats`."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch

from datakit.audio.features.base import EPSILON, Warp
from datakit.audio.features.filterbank import MelFeatures
from datakit.audio.features.workspace import Workspace


@dataclass(kw_only=True, eq=False, repr=False)
class CepstralFeatures(MelFeatures):
    """What `Mfcc` and `Plp` share: how many coefficients, their lifter, and where the energy stands."""

    use_energy: bool = True
    num_ceps: int = 13
    cepstral_lifter: float = 22.0

    @property
    def dimension(self) -> int:
        """Features of a frame."""
        return self.num_ceps

    def _features(
        self,
        spectrum: torch.Tensor,
        energy: torch.Tensor | None,
        made: dict[str, torch.Tensor],
        warp: Warp,
        space: Workspace,
    ) -> torch.Tensor:
        """In float64, but for devices without it, so that the sums do not depend on how many frames there are."""
        wide = torch.float32 if spectrum.device.type == "mps" else torch.float64
        energy = None if energy is None else energy.to(wide)
        own = Workspace(spectrum, 0, used=False)
        return self._cepstra(spectrum.to(wide), energy, self._made(spectrum, wide), warp, own).to(spectrum.dtype)

    @abstractmethod
    def _cepstra(
        self,
        spectrum: torch.Tensor,
        energy: torch.Tensor | None,
        made: dict[str, torch.Tensor],
        warp: Warp,
        space: Workspace,
    ) -> torch.Tensor:
        """As `_features`."""

    def lifter(self) -> torch.Tensor:
        """Factors of the coefficients, (num_ceps,), float64: `ComputeLifterCoeffs` of Kaldi's `mel-computations.cc`."""
        if not self.cepstral_lifter:
            return torch.ones(self.num_ceps, dtype=torch.float64)
        angle = math.pi * torch.arange(self.num_ceps, dtype=torch.float64) / self.cepstral_lifter
        return 1 + self.cepstral_lifter / 2 * angle.sin()

    def ordered(self, first: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
        """The zeroth coefficient or energy (N,) before the others (N, num_ceps - 1), or behind them as in HTK."""
        return torch.cat((rest, first[:, None]) if self.htk_compat else (first[:, None], rest), 1)


@dataclass(kw_only=True, eq=False, repr=False)
class Mfcc(CepstralFeatures):
    """Mel-frequency cepstral coefficients, as Kaldi's `compute-mfcc-feats` computes them.

    Called as `Fbank` is. F is `num_ceps`. The zeroth is the log energy of the frame with `use_energy`, which is Kaldi's
    default; torchaudio's is False.

    Args:
        num_ceps: number of coefficients with the zeroth, at most `num_mel_bins`.
        cepstral_lifter: Q of the lifter 1 + Q / 2 sin(pi i / Q), 0 for none.
        use_energy: the log energy of the frame in place of the zeroth coefficient.
        htk_compat: put the zeroth last, times the root of 2 unless it is the energy, as HTK.
        num_mel_bins: as for `Fbank`; so are `low_freq`, `high_freq`, `vtln_low`, `vtln_high` and `vtln_warp`.
        sample_frequency: as for `Spectrogram`; so are `frame_length`, `frame_shift`, `dither`,
            `preemphasis_coefficient`, `remove_dc_offset`, `window_type`, `blackman_coeff`, `round_to_power_of_two`,
            `snip_edges`, `raw_energy`, `energy_floor`, `subtract_mean`, `min_duration`, `scale` and `exact_fft`.

    Raises:
        ValueError: for options that are impossible, alone or together, and for waveforms that are none.

    Examples:
        >>> from pathlib import Path
        >>> import torch
        >>> from datakit.audio.features import Mfcc
        >>> size = Path("mfcc.conf").write_text("--use-energy=false  # only non-default option.")
        >>> mfcc = Mfcc.from_conf("mfcc.conf", dither=0.0)
        >>> mfcc
        Mfcc(dither=0.0, use_energy=False)
        >>> mfcc(torch.rand(4, 8000) - 0.5)[0].shape
        torch.Size([4, 48, 13])
    """

    def check(self) -> None:
        """Raise ValueError for options that are impossible, alone or together."""
        super().check()
        needed = "1 <= num_ceps <= num_mel_bins"
        self.refuse(not 1 <= self.num_ceps <= self.num_mel_bins, needed, "num_ceps", "num_mel_bins")

    def constants(self) -> dict[str, torch.Tensor]:
        """What is made once of the options, in float64; `dct` is (num_mel_bins, num_ceps), with the lifter in it."""
        bands = torch.arange(self.num_mel_bins, dtype=torch.float64)[:, None]
        order = torch.arange(self.num_ceps, dtype=torch.float64)
        dct = math.sqrt(2 / self.num_mel_bins) * (math.pi / self.num_mel_bins * (bands + 0.5) * order).cos()
        dct[:, 0] = math.sqrt(1 / self.num_mel_bins)
        return {**super().constants(), "dct": dct * self.lifter()}

    def _cepstra(
        self,
        spectrum: torch.Tensor,
        energy: torch.Tensor | None,
        made: dict[str, torch.Tensor],
        warp: Warp,
        space: Workspace,
    ) -> torch.Tensor:
        bands = self.mel_energies(spectrum, made, warp, space).clamp(min=EPSILON).log()
        cepstra = bands @ made["dct"]
        if energy is None:
            energy = cepstra[:, 0] * (math.sqrt(2) if self.htk_compat else 1.0)
        return self.ordered(energy, cepstra[:, 1:])
