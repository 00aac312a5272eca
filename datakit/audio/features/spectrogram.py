"""Log power spectra: `compute-spectrogram-feats`."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from datakit.audio.features.base import EPSILON, KaldiFeatures, Warp, Waveforms
from datakit.audio.features.fourier import power_of
from datakit.audio.features.workspace import Workspace


@dataclass(kw_only=True, eq=False, repr=False)
class Spectrogram(KaldiFeatures):
    """The log power spectrum of each frame, as Kaldi's `compute-spectrogram-feats` computes it.

    `forward(waveforms, lengths=None, *, generator=None)` takes waveforms (B, T), float, in [-1, 1] with `lengths` (B,),
    in samples, or a list of waveforms (T,) or (1, T), or a single one (T,). It gives the features (B, frames, F),
    zero where a member has ended, and the frame counts (B,), `int64`; of a single waveform (frames, F) and a count.
    There are as many frames as T samples have, whatever the lengths. Padding is never looked at: a batch is its members
    one by one. Computed in float32, or in float64 where the waveform is; autocast changes nothing.

    F is `points // 2 + 1`: the log energy of the frame, then the log power of each bin of the FFT but the zeroth.

    Args:
        sample_frequency: Hz.
        frame_length: ms.
        frame_shift: ms.
        dither: standard deviation of the normal noise that is added to each sample of each frame, in steps of 16 bits;
            0 for none. Drawn from `generator` or else from torch's global one. On a CPU a member's noise depends on
            its place in the batch, on no padding; on other devices and compiled on the shape of the batch too.
        preemphasis_coefficient: in [0, 1].
        remove_dc_offset: subtract its mean from each frame.
        window_type: "hamming", "hanning", "povey", "rectangular", "sine" or "blackman".
        blackman_coeff: of the Blackman window.
        round_to_power_of_two: pad the window with zeros up to a power of two for the FFT.
        snip_edges: only frames that fit into the waveform; otherwise one for every shift, and the waveform is mirrored
            at its start and at each member's own end.
        raw_energy: take the energy before pre-emphasis and window, not after.
        energy_floor: least energy, 0 for none.
        subtract_mean: subtract the mean over the utterance; `Cmvn` does it afterwards, and more.
        min_duration: seconds; shorter waveforms have no frames.
        scale: what samples are multiplied with: 32768 makes values of 16 bits of [-1, 1]. 1 for waveforms that hold
            such values.
        exact_fft: leave out an error of Kaldi's own FFT, 1e-6 of the bin that mirrors a bin at a quarter of the rate;
            it is nearer to the truth and further from Kaldi, and faster. float64 never has it.
        return_raw_fft: give the FFT itself, (B, frames, points): real parts of the first and of the last bin, then real
            and imaginary part of the others in turn.

    Raises:
        ValueError: for options that are impossible, alone or together, and for waveforms that are none.

    Examples:
        >>> import torch
        >>> from datakit.audio.features import Spectrogram
        >>> Spectrogram(dither=0.0)
        Spectrogram(dither=0.0)
        >>> features, frames = Spectrogram(dither=0.0)(torch.rand(2, 16000) - 0.5, torch.tensor([16000, 8000]))
        >>> features.shape, frames
        (torch.Size([2, 98, 257]), tensor([98, 48]))
    """

    return_raw_fft: bool = False

    def forward(
        self,
        waveforms: Waveforms,
        lengths: torch.Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and frame counts of a batch."""
        return self._run(waveforms, lengths, None, generator)

    @property
    def dimension(self) -> int:
        """Features of a frame."""
        return self.points if self.return_raw_fft else self.points // 2 + 1

    def _features(
        self,
        spectrum: torch.Tensor,
        energy: torch.Tensor | None,
        made: dict[str, torch.Tensor],
        warp: Warp,
        space: Workspace,
    ) -> torch.Tensor:
        if self.return_raw_fft:
            return torch.cat((spectrum[:, :1], spectrum[:, -2:-1], spectrum[:, 2:-2]), 1)
        power = power_of(spectrum).clamp(min=EPSILON).log()
        return power if energy is None else torch.cat((energy[:, None], power[:, 1:]), 1)
