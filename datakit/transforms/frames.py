"""Windowed frames of a waveform: what the short-time transforms have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import torch

from datakit.sample import Sample
from datakit.transforms.base import Shown
from datakit.transforms.sound import check_among, check_positive, check_whole, waveform_of

Window: TypeAlias = Literal["hann", "hamming", "blackman", "bartlett", "kaiser"]
Padding: TypeAlias = Literal["reflect", "constant", "replicate", "circular"]
Norm: TypeAlias = Literal["slaney"] | None

WINDOWS: dict[str, Callable[..., torch.Tensor]] = {
    name: getattr(torch, f"{name}_window") for name in ("hann", "hamming", "blackman", "bartlett", "kaiser")
}
PADDINGS = ("reflect", "constant", "replicate", "circular")


class Frames(Shown):
    """What transforms with windowed frames have in common."""

    n_fft: int
    win_length: int | None
    hop_length: int | None
    window: Window

    @property
    def hop(self) -> int:
        """Steps of the waveform between two frames."""
        return self.hop_length or (self.win_length or self.n_fft) // 2

    def check_frames(self) -> None:
        """Raise ValueError for lengths that no transform can have."""
        name = type(self).__name__
        check_whole(name, n_fft=self.n_fft, win_length=self.win_length, hop_length=self.hop_length)
        check_among(name, "window", self.window, tuple(WINDOWS))
        if (self.win_length or self.n_fft) > self.n_fft:
            raise ValueError(
                f"{name} needs a window no longer than the FFT, got win_length={self.win_length}, n_fft={self.n_fft}"
            )
        if self.hop < 1:
            raise ValueError(f"{name} needs a hop of one step at least, got n_fft={self.n_fft} without hop_length")

    def frames(self) -> dict[str, Any]:
        """Torchaudio's names for them."""
        return {
            "n_fft": self.n_fft,
            "win_length": self.win_length,
            "hop_length": self.hop,
            "window_fn": WINDOWS[self.window],
        }


class Stft(Frames):
    """What transforms from the waveform to frames have in common."""

    pad: int
    power: float | None
    normalized: bool | Literal["window", "frame_length"]
    center: bool
    pad_mode: Padding

    def check_stft(self) -> None:
        """Raise ValueError for parameters that no transform can have."""
        self.check_frames()
        name = type(self).__name__
        check_among(name, "pad_mode", self.pad_mode, PADDINGS)
        check_positive(name, power=self.power)
        check_among(name, "normalized", self.normalized, (False, True, "window", "frame_length"))
        if self.pad < 0:
            raise ValueError(f"{name} needs a pad of 0 steps or more, got pad={self.pad!r}")

    def stft(self) -> dict[str, Any]:
        """Torchaudio's names for all of them."""
        own = {key: getattr(self, key) for key in ("pad", "power", "normalized", "center", "pad_mode")}
        return {**self.frames(), **own}

    def long_enough(self, sample: Sample) -> torch.Tensor:
        """The waveform of a sample.

        Raises:
            ValueError: where it is too short for one frame.
        """
        waveform = waveform_of(sample, self)
        least = 1
        if not self.center:
            least = self.n_fft
        elif self.pad_mode in ("reflect", "circular"):
            least = self.n_fft // 2 + (self.pad_mode == "reflect")
        if waveform.shape[1] + 2 * self.pad < least:
            raise ValueError(
                f"{self} needs {least} steps at least, got a waveform {tuple(waveform.shape)}; "
                "FixLength fills up a short one"
            )
        return waveform
