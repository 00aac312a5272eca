"""The sounds of a sample, whatever its type: waveforms, their codes, spectrograms and features."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from datakit.chain import same

KEYS = ("waveform", "codes", "spectrogram", "features")
"""Keys that hold a sound, in the order in which transforms make them of each other."""

_AXES = {"waveform": 2, "codes": 2, "spectrogram": 3, "features": 2}
_CHANNELS, _RATES = 64, range(100, 10**6)  # of what a tuple may hold without a name: (C, T), Hz


@dataclass(frozen=True)
class Sound:
    """One of them.

    Attributes:
        key: one of `KEYS`.
        values: (C, T) of a waveform or its codes; (C, F, T) of features or a spectrogram, as magnitude if complex.
        rate: samples a second of the waveform, or of the one behind it; None where it is not known.
        valid: steps or frames that are no padding.
        is_complex: whether the values had phases.
    """

    key: str
    values: np.ndarray
    rate: int | None
    valid: int
    is_complex: bool = False

    @property
    def is_wave(self) -> bool:
        """Whether it is (C, T)."""
        return self.values.ndim == 2

    @property
    def seconds(self) -> float | None:
        """How long a waveform lasts, without its padding; None where the rate is not known."""
        return self.valid / self.rate if self.is_wave and self.rate else None


def sounds_in(sample: Any) -> list[Sound]:
    """The sounds of a sample: those of its `KEYS`, or the first waveform (C, T) with a rate behind it of a tuple."""
    if isinstance(sample, dict):
        rate = _rate(sample.get("sample_rate"))
        present = [key for key in KEYS if key in sample]
        found = (_sound(key, sample[key], rate, _length(sample, key, place)) for place, key in enumerate(present))
    elif isinstance(sample, list | tuple):
        found = (_sound("waveform", value, rate, None) for value, rate in _pairs(sample))
    else:
        return []
    return [sound for sound in found if sound is not None]


def sound_in(sample: Any) -> Sound | None:
    """What the model gets of them: the one that is furthest from the waveform; None without any."""
    return next(reversed(sounds_in(sample)), None)


def changed(sample: Any, before: Any) -> list[Sound]:
    """The sounds of a stage that the one before it has not; the last one where nothing changed."""
    sounds = sounds_in(sample)
    known = {sound.key: sound for sound in sounds_in(before)}
    new = [sound for sound in sounds if sound.key not in known or not _equal(sound, known[sound.key])]
    return new or sounds[-1:]


def _equal(one: Sound, other: Sound) -> bool:
    return one.rate == other.rate and one.valid == other.valid and same(one.values, other.values)


def _sound(key: str, value: Any, rate: int | None, length: int | None) -> Sound | None:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    is_known = isinstance(value, np.ndarray) and value.ndim == _AXES[key] and value.dtype.kind in "biufc"
    if not is_known or not value.size:
        return None
    is_complex = value.dtype.kind == "c"
    values = np.abs(value) if is_complex else value
    values = values.T[None] if key == "features" else values
    steps = values.shape[-1]
    return Sound(key, values, rate, steps if length is None else min(max(length, 0), steps), is_complex)


def _length(sample: dict[str, Any], key: str, place: int) -> int | None:
    """The valid steps that `collate.pad` says of a key: `length` is that of the first one."""
    value = sample.get(f"{key}_length" if place else "length")
    value = value.item() if isinstance(value, torch.Tensor | np.ndarray) and value.ndim == 0 else value
    return int(value) if isinstance(value, int | np.integer) else None


def _rate(value: Any) -> int | None:
    value = value.item() if isinstance(value, torch.Tensor | np.ndarray) and value.ndim == 0 else value
    is_rate = isinstance(value, int | float | np.number) and not isinstance(value, bool) and value > 0
    return int(value) if is_rate else None


def _pairs(values: list[Any] | tuple[Any, ...]) -> list[tuple[Any, int]]:
    return [
        (value, rate)
        for value, rate in pairwise(values)
        if isinstance(rate, int)
        and rate in _RATES
        and isinstance(value, torch.Tensor)
        and value.is_floating_point()
        and value.ndim == 2
        and 0 < value.shape[0] <= min(_CHANNELS, value.shape[1])
    ][:1]
