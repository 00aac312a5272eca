"""Log energies in mel bands: `compute-fbank-feats`."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from datakit.audio.features.base import EPSILON, KaldiFeatures, Warp, Waveforms
from datakit.audio.features.fourier import power_of
from datakit.audio.features.mel import MelOptions, narrow_bands
from datakit.audio.features.workspace import Workspace

PARTS = 4  # of the filter bank: more are less work in smaller, slower products


@dataclass(kw_only=True, eq=False, repr=False)
class MelFeatures(KaldiFeatures):
    """What `Fbank`, `Mfcc` and `Plp` share: energies in mel bands."""

    num_mel_bins: int = 23
    low_freq: float = 20.0
    high_freq: float = 0.0
    vtln_low: float = 100.0
    vtln_high: float = -500.0
    vtln_warp: float = 1.0
    use_energy: bool = False
    htk_compat: bool = False

    def forward(
        self,
        waveforms: Waveforms,
        lengths: torch.Tensor | None = None,
        *,
        vtln_warp: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and frame counts of a batch; `vtln_warp` (B,) is a warping factor for each member."""
        if vtln_warp is not None:
            many = len(waveforms) if not isinstance(waveforms, torch.Tensor) or waveforms.ndim > 1 else 1
            if vtln_warp.numel() != many:
                raise ValueError(
                    f"{type(self).__name__} takes a factor of VTLN for each member, got {tuple(vtln_warp.shape)} for "
                    f"{many}"
                )
            vtln_warp = vtln_warp.reshape(-1).to(torch.float64)
        return self._run(waveforms, lengths, vtln_warp, generator)

    @property
    def _wants_energy(self) -> bool:
        return self.use_energy

    @property
    def mel(self) -> MelOptions:
        """The filter bank's options, in Hz: `high_freq` and `vtln_high` count from half the rate where negative."""
        half = self.sample_frequency / 2
        high = self.high_freq if self.high_freq > 0 else self.high_freq + half
        vtln_high = self.vtln_high + half if self.vtln_high < 0 else self.vtln_high
        points, low = self.points, self.low_freq
        return MelOptions(points, self.sample_frequency, self.num_mel_bins, low, high, self.vtln_low, vtln_high)

    def check(self) -> None:
        """Raise ValueError for options that are impossible, alone or together."""
        super().check()
        self.refuse(self.num_mel_bins < 3, "num_mel_bins >= 3", "num_mel_bins")
        half = self.sample_frequency / 2
        high = self.high_freq if self.high_freq > 0 else self.high_freq + half
        wrong = not 0 <= self.low_freq < high <= half
        needed = f"0 <= low_freq < high_freq <= {half:g} Hz, half the rate"
        self.refuse(wrong, needed, "low_freq", "high_freq")
        self.refuse(not self.vtln_warp > 0, "vtln_warp > 0", "vtln_warp")
        if self.vtln_warp != 1:
            vtln_high = self.vtln_high + half if self.vtln_high < 0 else self.vtln_high
            between = self.low_freq < self.vtln_low < vtln_high < high
            names = ("vtln_low", "vtln_high", "low_freq", "high_freq")
            self.refuse(not between, "low_freq < vtln_low < vtln_high < high_freq", *names)
            low, up = self.vtln_low * max(1.0, self.vtln_warp), vtln_high * min(1.0, self.vtln_warp)
            self.refuse(low >= up, "inflection points in order", "vtln_low", "vtln_high", "vtln_warp")

    def constants(self) -> dict[str, torch.Tensor]:
        """What is made once of the options, in float64."""
        bank, _ = self.mel.banks(torch.tensor([self.vtln_warp], dtype=torch.float64))
        empty = (bank[0] == 0).all(0)
        if empty.any():
            names = ("num_mel_bins", "low_freq", "frame_length")
            self.refuse(True, f"a bin of the FFT in each band (band {int(empty.float().argmax())} has none)", *names)
        self.parts = narrow_bands(bank[0], PARTS)
        return {**super().constants(), "bank": bank[0].repeat_interleave(2, 0)}

    def mel_energies(
        self,
        spectrum: torch.Tensor,
        made: dict[str, torch.Tensor],
        warp: Warp,
        space: Workspace,
        *,
        power: bool = True,
    ) -> torch.Tensor:
        """(N, num_mel_bins) of a spectrum (N, 2 bins): energies, or sums of magnitudes."""
        if power:
            squares = torch.square(spectrum, out=space.out("squares", *spectrum.shape))
        else:
            squares = power_of(spectrum).sqrt().repeat_interleave(2, 1) / 2
        if warp is not None:
            banks = self.mel.banks(warp.to(squares.device))[0].repeat_interleave(2, 1).to(squares.dtype)
            return torch.bmm(squares.unflatten(0, (warp.shape[0], -1)), banks).flatten(0, 1)
        out = space.out("bands", squares.shape[0], self.num_mel_bins)
        products = [
            torch.mm(
                squares[:, 2 * low : 2 * high],
                made["bank"][2 * low : 2 * high, first:last],
                out=None if out is None else out[:, first:last],
            )
            for low, high, first, last in self.parts
        ]
        return torch.cat(products, 1) if out is None else out


@dataclass(kw_only=True, eq=False, repr=False)
class Fbank(MelFeatures):
    """Log energies in mel bands, as Kaldi's `compute-fbank-feats` computes them.

    Called as `Spectrogram` is, with `vtln_warp` (B,) for a factor of each member. F is `num_mel_bins`, and one more
    with `use_energy`, at the front, or at the end with `htk_compat`.

    Args:
        num_mel_bins: number of bands.
        low_freq: Hz, lower end of the lowest band.
        high_freq: Hz, upper end of the highest band; 0 or less counts from half the rate.
        vtln_low: Hz, lower inflection point of the VTLN warping.
        vtln_high: Hz, upper inflection point; negative counts from half the rate.
        vtln_warp: factor of the VTLN warping for all.
        use_energy: add the log energy of the frame.
        htk_compat: put the energy last, as HTK.
        use_log_fbank: logarithms, else the energies themselves.
        use_power: sum power in each band, else magnitudes.
        sample_frequency: as for `Spectrogram`; so are `frame_length`, `frame_shift`, `dither`,
            `preemphasis_coefficient`, `remove_dc_offset`, `window_type`, `blackman_coeff`, `round_to_power_of_two`,
            `snip_edges`, `raw_energy`, `energy_floor`, `subtract_mean`, `min_duration`, `scale` and `exact_fft`.

    Raises:
        ValueError: for options that are impossible, alone or together, and for waveforms that are none.

    Examples:
        >>> import torch
        >>> from datakit.audio.features import Fbank
        >>> fbank = Fbank(num_mel_bins=80, dither=0.0)
        >>> features, frames = fbank([torch.rand(16000) - 0.5, torch.rand(300) - 0.5])
        >>> features.shape, frames
        (torch.Size([2, 98, 80]), tensor([98,  0]))
        >>> Fbank(low_freq=5000.0, high_freq=-4000.0)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: Fbank needs 0 <= low_freq < high_freq <= 8000 Hz, ... got low_freq=5000.0, high_freq=-4000.0
    """

    use_log_fbank: bool = True
    use_power: bool = True

    @property
    def dimension(self) -> int:
        """Features of a frame."""
        return self.num_mel_bins + self.use_energy

    def _features(
        self,
        spectrum: torch.Tensor,
        energy: torch.Tensor | None,
        made: dict[str, torch.Tensor],
        warp: Warp,
        space: Workspace,
    ) -> torch.Tensor:
        bands = self.mel_energies(spectrum, made, warp, space, power=self.use_power)
        if self.use_log_fbank:
            bands = bands.clamp(min=EPSILON).log()
        if energy is None:
            return bands if self.use_log_fbank else bands.clone()  # what is in a workspace does not stay
        return torch.cat((bands, energy[:, None]) if self.htk_compat else (energy[:, None], bands), 1)
