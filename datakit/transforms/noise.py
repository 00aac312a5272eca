"""Other sounds in the waveform (C, T): noise at a ratio, and the echo of a room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from datakit.chain import same
from datakit.foreign import seeded
from datakit.sample import Sample
from datakit.transforms.base import Random, check_probability
from datakit.transforms.sound import Range, as_range, check_range, drawn, functional, replaced, waveform_of


class Sounds(tuple[Any, ...]):
    """Waveforms (C, T), or samples that have one, which compare by value and print by their number."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sounds) and same(tuple(self), tuple(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((Sounds, len(self)))

    def __repr__(self) -> str:
        return f"[{len(self)} sound{'s' * (len(self) != 1)}]"

    def __reduce__(self) -> tuple[Any, ...]:
        return Sounds, (tuple(self),)


Source: TypeAlias = torch.Tensor | Sequence[Any]
"""A waveform, several of them, or a dataset whose samples have one."""


class _Drawn(NamedTuple):
    """Which sound, from where in it (a share of where it may begin), at what ratio, dB, and a seed for the rest."""

    which: int
    place: float
    ratio: float
    seed: int


class _WithSounds(Random):
    """What transforms that draw one of several sounds have in common."""

    p: float

    def _draw(self, count: int, ratio: tuple[float, float], rng: np.random.Generator) -> _Drawn | None:
        if self.p < 1 and rng.random() >= self.p:
            return None
        return _Drawn(int(rng.integers(count)), float(rng.random()), drawn(rng, ratio), int(rng.integers(2**63)))

    def _sound(self, source: Any, params: _Drawn, sample: Sample) -> torch.Tensor:
        """The waveform that was drawn, with channels and rate that fit those of the sample."""
        if isinstance(source, Sounds):
            item = source[params.which]
        else:
            with seeded(np.random.default_rng(params.seed)):  # a dataset may have random transforms of its own
                item = source[params.which]
            _check_sound(type(self).__name__, params.which, item)
        if not isinstance(item, dict):
            return item  # type: ignore[no-any-return]
        rates = (item.get("sample_rate"), sample.get("sample_rate"))
        if rates[0] != rates[1]:
            raise ValueError(
                f"{self}: sound {params.which} has {rates[0]} Hz, the sample {rates[1]} Hz; Resample brings both to one"
            )
        return item["waveform"]  # type: ignore[no-any-return]


@dataclass(frozen=True, repr=False)
class AddNoise(_WithSounds):
    """Add noise at a ratio of signal to noise: `torchaudio.functional.add_noise`, each channel at this ratio.

    Noise that is longer is cut at a random place; noise that is shorter goes round, from a random place. A waveform of
    silence stays silence. The sum may leave [-1, 1]; nothing is clipped, as that would change the ratio.

    Args:
        noise: "white" (Gaussian), "pink" (power falls as 1 / frequency), a waveform (C, T), a list of them, or a
            dataset with `waveform` and `sample_rate`. One channel serves all channels of the sample.
        snr: dB, or (low, high) to draw from.
        p: probability of noise.

    Raises:
        ValueError: for noise of silence, of another number of channels, or of another rate.

    Examples:
        >>> import torch
        >>> from datakit.transforms import AddNoise
        >>> sound = torch.rand(1, 16000) - 0.5
        >>> noise = AddNoise("pink", snr=10.0)({"waveform": sound})["waveform"] - sound
        >>> ratio = 10 * torch.log10(sound.square().sum() / noise.square().sum())
        >>> f"{ratio:.2f} dB"
        '10.00 dB'
        >>> AddNoise([torch.rand(1, 8000)], snr=(5.0, 20.0), p=0.5)
        AddNoise([1 sound], (5.0, 20.0), p=0.5)
    """

    noise: str | Source
    snr: Range
    p: float = 1.0

    def __post_init__(self) -> None:
        check_range(self, "snr", "number of dB as snr")
        check_probability("AddNoise", self.p)
        if isinstance(self.noise, str):
            if self.noise not in ("white", "pink"):
                raise ValueError(f"AddNoise needs 'white', 'pink' or sounds as noise, got noise={self.noise!r}")
        else:
            object.__setattr__(self, "noise", _sounds("AddNoise", self.noise))

    def draw(self, sample: Sample, rng: np.random.Generator) -> _Drawn | None:
        """Which noise, from where, and at what ratio, or None."""
        count = 1 if isinstance(self.noise, str) else len(self.noise)
        return self._draw(count, as_range("AddNoise", "number of dB as snr", self.snr), rng)

    def apply(self, sample: Sample, params: _Drawn | None) -> Sample:
        """The sample with this noise."""
        if params is None:
            return sample
        waveform = waveform_of(sample, self)
        noise = self._noise(waveform, params, sample)
        if not bool((noise != 0).any(-1).all()):
            raise ValueError(f"{self}: the piece of sound {params.which} that was drawn is silent; no ratio can be had")
        snr = torch.full(waveform.shape[:1], params.ratio, dtype=waveform.dtype, device=waveform.device)
        return {**sample, "waveform": functional("add_noise", waveform, noise, snr)}

    def _noise(self, waveform: torch.Tensor, params: _Drawn, sample: Sample) -> torch.Tensor:
        """(C, T) as the waveform."""
        channels, steps = waveform.shape
        if isinstance(self.noise, str):
            values = np.random.default_rng(params.seed).standard_normal((channels, steps))
            values = _pink(values) if self.noise == "pink" else values
            return torch.from_numpy(values.astype(np.float32)).to(waveform.device)
        sound = self._sound(self.noise, params, sample).to(waveform.device)
        if len(sound) not in (1, channels):
            raise ValueError(f"{self}: noise {tuple(sound.shape)} does not fit a waveform {tuple(waveform.shape)}")
        room = sound.shape[1] - steps
        if room >= 0:
            begin = int(params.place * (room + 1))
            return sound[:, begin : begin + steps].expand(channels, -1)
        begin = int(params.place * sound.shape[1])
        return sound[:, (begin + torch.arange(steps, device=sound.device)) % sound.shape[1]].expand(channels, -1)


@dataclass(frozen=True, repr=False)
class Reverb(_WithSounds):
    """Put the waveform into a room: convolve it with an impulse response, by `torchaudio.functional.fftconvolve`.

    The response is scaled to an energy of 1, as in torchaudio's tutorial. The result begins at the response's largest
    value, the direct sound, so that the waveform keeps its place and, but for `tail`, its length. It may leave [-1, 1].

    Args:
        responses: an impulse response (C, T) at the rate of the samples, a list of them, or a dataset with `waveform`
            and `sample_rate`. One channel serves all; several make as many of a waveform of one channel.
        p: probability of an echo.
        tail: let the echo go on to its end: T + its steps after the direct sound.

    Raises:
        ValueError: for a response of silence, of a number of channels that does not fit, or of another rate.

    Examples:
        >>> import torch
        >>> from datakit.transforms import Reverb
        >>> echo = torch.tensor([[0.0, 0.8, 0.0, 0.6]])
        >>> click = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
        >>> (Reverb(echo)({"waveform": click})["waveform"] * 10).round().int().tolist()
        [[8, 0, 6, 0]]
    """

    responses: Source
    p: float = 1.0
    tail: bool = False

    def __post_init__(self) -> None:
        check_probability("Reverb", self.p)
        object.__setattr__(self, "responses", _sounds("Reverb", self.responses))

    def draw(self, sample: Sample, rng: np.random.Generator) -> _Drawn | None:
        """Which response, or None."""
        return self._draw(len(self.responses), (0.0, 0.0), rng)

    def apply(self, sample: Sample, params: _Drawn | None) -> Sample:
        """The sample in this room."""
        if params is None:
            return sample
        waveform = waveform_of(sample, self)
        response = self._sound(self.responses, params, sample).to(waveform.device)
        if 1 not in (len(response), len(waveform)) and len(response) != len(waveform):
            raise ValueError(
                f"{self}: response {tuple(response.shape)} does not fit a waveform {tuple(waveform.shape)}"
            )
        energy = torch.linalg.vector_norm(response)
        direct = int(response.abs().amax(0).argmax())
        full = functional("fftconvolve", waveform, response / energy)
        new = full[:, direct:] if self.tail else full[:, direct : direct + waveform.shape[1]]
        return replaced(sample, "waveform", "waveform", new)


def _sounds(name: str, given: Any) -> Any:
    """A waveform or a list of them as `Sounds`; a dataset as it is.

    Raises:
        ValueError: for none, and for what is no waveform with a sound in it.
        TypeError: for what is neither.
    """
    if isinstance(given, torch.Tensor):
        given = [given]
    if not (hasattr(given, "__len__") and hasattr(given, "__getitem__")):
        raise TypeError(f"{name} needs a waveform, a list of them or a dataset, got {type(given).__name__}")
    if len(given) == 0:
        raise ValueError(f"{name} needs one sound at least, got an empty {type(given).__name__}")
    if not isinstance(given, list | tuple):
        return given
    for index, sound in enumerate(given):
        _check_sound(name, index, sound)
    return Sounds(given)


def _check_sound(name: str, index: int, sound: Any) -> None:
    sample = sound if isinstance(sound, dict) else {"waveform": sound}
    waveform = waveform_of(sample, f"{name}: sound {index}")
    if not bool(waveform.any()):
        raise ValueError(
            f"{name} needs sounds that are not silent, got silence as sound {index}, {tuple(waveform.shape)}"
        )


def _pink(white: np.ndarray) -> np.ndarray:
    """Gaussian noise (C, T) whose power falls as 1 / frequency; the constant part is as strong as the lowest wave."""
    spectrum = np.fft.rfft(white)
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(spectrum.shape[1]), 1)), white.shape[1])
