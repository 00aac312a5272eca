"""What Kaldi's features share: the options of the frames, batches in and out, and how frames become power."""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import torch
from torch import nn

from datakit.audio.features import conf
from datakit.audio.features.batches import as_batch, lengths_of, padded
from datakit.audio.features.fourier import mirror_factors, spectrum_of
from datakit.audio.features.framing import (
    WINDOWS,
    Window,
    frame_count,
    frames_of,
    frames_of_batch,
    padded_size,
    segments,
    steps,
    window_values,
)
from datakit.audio.features.workspace import Workspace

Waveforms: TypeAlias = "torch.Tensor | Sequence[torch.Tensor]"
Warp: TypeAlias = "torch.Tensor | None"
EPSILON = torch.finfo(torch.float32).eps  # Kaldi's floor under every logarithm, in float64 too
CHUNK = 500  # frames that are computed together on a CPU: what they need stays in its cache
CHUNK_ELSEWHERE = 2**17  # frames on other devices: half a gigabyte


@dataclass(kw_only=True, eq=False, repr=False)
class KaldiFeatures(nn.Module):
    """A module from waveforms to frames of features. `Spectrogram`, `Fbank`, `Mfcc` and `Plp` are such."""

    sample_frequency: float = 16000.0
    frame_length: float = 25.0
    frame_shift: float = 10.0
    dither: float = 1.0
    preemphasis_coefficient: float = 0.97
    remove_dc_offset: bool = True
    window_type: Window = "povey"
    blackman_coeff: float = 0.42
    round_to_power_of_two: bool = True
    snip_edges: bool = True
    raw_energy: bool = True
    energy_floor: float = 0.0
    subtract_mean: bool = False
    min_duration: float = 0.0
    scale: float = 32768.0
    exact_fft: bool = False

    def __post_init__(self) -> None:
        super().__init__()
        self.size = steps(self.sample_frequency, self.frame_length)
        self.shift = steps(self.sample_frequency, self.frame_shift)
        self.check()
        self.points = padded_size(self.size, self.round_to_power_of_two)
        self._install(torch.device("cpu"))

    @classmethod
    def from_conf(cls, path: str | Path, **options: Any) -> Self:
        """The features of a Kaldi configuration file, such as `conf/mfcc.conf`: lines `--name=value`.

        Args:
            path: the file.
            options: further ones, which go before those of the file.

        Raises:
            MissingDataError: there is no such file.
            UnknownNameError: naming the line, for an option that these features do not have.
            CorruptDataError: naming the line, for what is no option or has a value of another kind.
            ValueError: for options that do not fit together.
        """
        return cls(**{**conf.read(path, cls), **options})

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Features of a frame."""

    @property
    def _wants_energy(self) -> bool:
        return True

    @abstractmethod
    def _features(
        self,
        spectrum: torch.Tensor,
        energy: torch.Tensor | None,
        made: dict[str, torch.Tensor],
        warp: Warp,
        space: Workspace,
    ) -> torch.Tensor:
        """(N, dimension) of a spectrum (N, 2 bins), real and imaginary parts in turn, and of log energy (N,)."""

    def check(self) -> None:
        """Raise ValueError for options that are impossible, alone or together."""
        self.refuse(not self.sample_frequency > 0, "sample_frequency > 0")
        self.refuse(self.size < 2, "a window of 2 samples or more", "frame_length", "sample_frequency")
        self.refuse(self.shift < 1, "a shift of 1 sample or more", "frame_shift", "sample_frequency")
        uneven = not self.round_to_power_of_two and self.size % 2 == 1
        self.refuse(uneven, f"an even window, not {self.size} samples", "frame_length", "round_to_power_of_two")
        self.refuse(self.window_type not in WINDOWS, f"one of {', '.join(WINDOWS)}", "window_type")
        unit = 0 <= self.preemphasis_coefficient <= 1
        self.refuse(not unit, "0 <= preemphasis_coefficient <= 1", "preemphasis_coefficient")
        self.refuse(not 0 <= self.dither < math.inf, "dither >= 0", "dither")
        self.refuse(not 0 <= self.energy_floor < math.inf, "energy_floor >= 0", "energy_floor")
        self.refuse(not 0 <= self.min_duration < math.inf, "min_duration >= 0", "min_duration")
        self.refuse(not 0 < self.scale < math.inf, "scale > 0", "scale")

    def refuse(self, wrong: bool, needed: str, *names: str) -> None:
        """Raise ValueError with what is needed and the values of the options `names`, where something is wrong."""
        if wrong:
            given = ", ".join(f"{name}={getattr(self, name)!r}" for name in names or ("sample_frequency",))
            raise ValueError(f"{type(self).__name__} needs {needed}, got {given}")

    def constants(self) -> dict[str, torch.Tensor]:
        """What is made once of the options, in float64."""
        values = window_values(self.window_type, self.size, self.blackman_coeff)
        sign = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(self.points // 2 + 1)
        window = torch.from_numpy(values) * self.scale
        return {"window": window, "errors": mirror_factors(self.points), "sign": sign}

    def extra_repr(self) -> str:
        """The options that are not as by default."""
        shown = [(f.name, getattr(self, f.name), f.default) for f in dataclasses.fields(self)]
        return ", ".join(f"{name}={value!r}" for name, value, default in shown if value != default)

    def _install(self, device: torch.device) -> None:
        dtype = torch.float32 if device.type == "mps" else torch.float64
        for name, value in self.constants().items():
            self.register_buffer(f"_{name}", value.to(device, dtype), persistent=False)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        """Moves what was made of the options with the module, but keeps it precise when a model becomes half."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._install(self._buffers["_window"].device)  # type: ignore[union-attr]
        return self

    def _made(self, like: torch.Tensor, dtype: torch.dtype | None = None) -> dict[str, torch.Tensor]:
        named = {name.removeprefix("_"): value for name, value in self._buffers.items() if value is not None}
        return {name: value.to(like.device, dtype or like.dtype) for name, value in named.items()}

    def _run(
        self,
        waveforms: Waveforms,
        lengths: torch.Tensor | None,
        warp: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        name = type(self).__name__
        batch, is_single = as_batch(name, waveforms)
        kind = batch.device.type if isinstance(batch, torch.Tensor) else batch[0].device.type
        with torch.autocast(kind, enabled=False):
            if isinstance(batch, torch.Tensor) and (kind != "cpu" or torch.compiler.is_compiling()):
                ends = lengths_of(name, batch, lengths)
                features, frames = self._together(batch, ends, warp, generator)
            else:
                features, frames = self._one_by_one(name, batch, lengths, warp, generator)
            if self.subtract_mean:
                features = _without_mean(features, frames)
        return (features[0], frames[0]) if is_single else (features, frames)

    def _counts(self, lengths: torch.Tensor) -> torch.Tensor:
        counts = frame_count(lengths, self.size, self.shift, self.snip_edges)
        return torch.where(lengths < self.min_duration * self.sample_frequency, 0, counts)

    def _together(
        self,
        waveforms: torch.Tensor,
        lengths: torch.Tensor,
        warp: torch.Tensor | None,
        generator: torch.Generator | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """All members with their padding, without waiting for the device: (B, frames of T, dimension)."""
        made, counts = self._made(waveforms), self._counts(lengths)
        size, most = waveforms.shape[0], frame_count(waveforms.shape[1], self.size, self.shift, self.snip_edges)
        rows, columns = size, most
        if not torch.compiler.is_compiling():
            if most == 0:
                return waveforms.new_zeros(size, 0, self.dimension), counts
            rows, columns = max(1, CHUNK_ELSEWHERE // most), min(most, CHUNK_ELSEWHERE)
        space = Workspace(waveforms, 0, used=False)
        pieces = []
        for row in (0,) if rows is size else range(0, size, rows):
            is_all = rows is size
            some, ends = (waveforms, lengths) if is_all else (waveforms[row : row + rows], lengths[row : row + rows])
            factor = warp if warp is None or is_all else warp[row : row + rows]
            for first in (0,) if columns is most else range(0, most, columns):
                last = most if columns is most else min(first + columns, most)
                frames = frames_of_batch(some, ends, first, last, self.size, self.shift, self.snip_edges)
                cut = self._dithered(frames.flatten(0, 1), generator)
                done = self._compute(cut, made, factor, space)
                pieces.append(done.reshape(some.shape[0], last - first, self.dimension))
        features = _assembled(pieces, size, most, rows, columns)
        inside = torch.arange(most, device=counts.device) < counts[:, None]
        return torch.where(inside[..., None], features, 0.0), counts

    def _one_by_one(
        self,
        name: str,
        batch: torch.Tensor | list[torch.Tensor],
        lengths: torch.Tensor | None,
        warp: torch.Tensor | None,
        generator: torch.Generator | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The frames of all members behind each other, in chunks, without any padding."""
        ends = lengths_of(name, batch, lengths)
        members = [member[:end] for member, end in zip(batch, ends.tolist(), strict=True)]
        counts = self._counts(ends)
        most = max((frame_count(len(m), self.size, self.shift, self.snip_edges) for m in batch), default=0)
        made = self._made(members[0])
        factors = [None] * len(members) if warp is None else warp.tolist()
        seeds = _seeds(len(members), generator) if self.dither else [0] * len(members)
        parts: list[list[torch.Tensor]] = [[] for _ in members]
        for factor in dict.fromkeys(factors):
            chosen = [place for place, value in enumerate(factors) if value == factor]
            self._some(members, counts.tolist(), chosen, made, factor, seeds, parts)
        rows = [torch.cat(part) if part else made["window"].new_zeros(0, self.dimension) for part in parts]
        return padded(rows, most), counts.to(members[0].device)

    def _some(
        self,
        members: list[torch.Tensor],
        counts: list[int],
        chosen: list[int],
        made: dict[str, torch.Tensor],
        factor: float | None,
        seeds: list[int],
        parts: list[list[torch.Tensor]],
    ) -> None:
        """Computes the chosen members, which are warped alike, and adds what it finds to their `parts`."""
        frames = {m: frames_of(members[m], self.size, self.shift, self.snip_edges) for m in chosen if counts[m]}
        noise = {m: torch.Generator().manual_seed(seeds[m]) for m in frames} if self.dither else {}
        warp = None if factor is None else made["window"].new_tensor([factor], dtype=torch.float64)
        like = made["window"]
        space = Workspace(like, CHUNK, used=not (torch.is_grad_enabled() and any(m.requires_grad for m in members)))
        for chunk in segments([counts[m] for m in chosen], CHUNK):
            named = [(chosen[place], first, last) for place, first, last in chunk]
            cut = torch.cat([frames[m][first:last] for m, first, last in named])
            if self.dither:
                drawn = [torch.randn(b - a, self.size, generator=noise[m], dtype=cut.dtype) for m, a, b in named]
                cut = cut + torch.cat(drawn).to(cut.device) * (self.dither / self.scale)
            done = self._compute(cut, made, warp, space)
            for (m, _, _), rows in zip(named, done.split([last - first for _, first, last in named]), strict=True):
                parts[m].append(rows)

    def _compute(
        self,
        frames: torch.Tensor,
        made: dict[str, torch.Tensor],
        warp: Warp,
        space: Workspace,
    ) -> torch.Tensor:
        """Features of frames (N, size): `ProcessWindow` of Kaldi's `feature-window.cc`, the FFT, and what follows."""
        if self.remove_dc_offset:
            out = space.out("centred", *frames.shape)
            frames = torch.sub(frames, frames.mean(1, keepdim=True), out=out)
        energy = self._log_energy(frames, self.scale) if self._wants_energy and self.raw_energy else None
        windowed = self._windowed(frames, made["window"], space)
        if self._wants_energy and not self.raw_energy:
            energy = self._log_energy(windowed, 1.0)
        errors = None if self.exact_fft or frames.dtype == torch.float64 else made["errors"]
        spectrum = spectrum_of(windowed, self.points, errors, made["sign"], space)
        return self._features(spectrum, energy, made, warp, space)

    def _dithered(self, frames: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        if not self.dither:
            return frames
        noise = torch.randn(frames.shape, generator=generator, dtype=frames.dtype, device=frames.device)
        return frames + noise * (self.dither / self.scale)

    def _windowed(self, frames: torch.Tensor, window: torch.Tensor, space: Workspace) -> torch.Tensor:
        """Frames (N, size) after pre-emphasis, under the window; in a workspace padded for the FFT."""
        out = space.out("windowed", frames.shape[0], self.points)
        if self.preemphasis_coefficient:  # rounded, and once more when it is subtracted, as in Kaldi
            before = torch.mul(frames, self.preemphasis_coefficient, out=space.out("before", *frames.shape))
            if out is None:
                frames = torch.cat((frames[:, :1] - before[:, :1], frames[:, 1:] - before[:, :-1]), 1)
            else:
                torch.sub(frames[:, :1], before[:, :1], out=out[:, :1])
                torch.sub(frames[:, 1:], before[:, :-1], out=out[:, 1 : self.size])
                frames = out[:, : self.size]
        if out is None:
            return frames * window
        torch.mul(frames, window, out=out[:, : self.size])
        return out

    def _log_energy(self, frames: torch.Tensor, scale: float) -> torch.Tensor:
        energy = (frames * scale).square().sum(1).clamp(min=EPSILON).log()
        return energy.clamp(min=math.log(self.energy_floor)) if self.energy_floor else energy


def _assembled(pieces: list[torch.Tensor], size: int, most: int, rows: int, columns: int) -> torch.Tensor:
    """Pieces of (B, frames, F), which came row by row, in their places."""
    if len(pieces) == 1:
        return pieces[0]
    across = math.ceil(most / columns)
    return torch.cat([torch.cat(pieces[start : start + across], 1) for start in range(0, len(pieces), across)])


def _without_mean(features: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """Less the mean over the frames of each member."""
    inside = (torch.arange(features.shape[1], device=frames.device) < frames[:, None])[..., None]
    mean = features.sum(1, keepdim=True) / frames.clamp(min=1)[:, None, None]
    return torch.where(inside, features - mean, 0.0)


def _seeds(count: int, generator: torch.Generator | None) -> list[int]:
    """A seed for the noise of each member, so that it depends on the members before it alone, not on their length."""
    device = "cpu" if generator is None else generator.device
    drawn = torch.randint(2**62, (count,), generator=generator, device=device)
    return [int(seed) for seed in np.asarray(drawn.cpu())]
