"""The values of a spectrogram as shares of a range that is drawn in colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datakit.inspection.sound import Sound
from datakit.inspection.spectrum import Spectrum

_LEAST = 1e-10  # of power, as AmplitudeToDB has it
_DEEP = 80.0  # dB below the loudest that are told apart


@dataclass(frozen=True)
class Levels:
    """Values ready to be drawn.

    Attributes:
        shares: (C, F, T), float32, [0, 1]: from `low` to `high`.
        low: what is drawn as the darkest; less is as dark.
        high: the greatest value.
        least: the least value.
        unit: of all of them; empty for numbers without one.
        note: what was done to them to show them.
    """

    shares: np.ndarray
    low: float
    high: float
    least: float
    unit: str
    note: str


def levels_of(sound: Sound, spectrum: Spectrum) -> Levels:
    """The values in dB, of which the greatest 80 are drawn, or as they are where they are neither power nor magnitude.

    Padding does not count for the range.

    Args:
        sound: a spectrogram or features.
        spectrum: what it holds.
    """
    values, unit, note = sound.values.astype(np.float32), "", ""
    kind = "magnitude" if sound.is_complex else spectrum.values
    if kind in ("power", "magnitude"):
        factor, least = (10, _LEAST) if kind == "power" else (20, _LEAST**0.5)
        with np.errstate(invalid="ignore"):
            values = factor * np.log10(np.maximum(values, least))
        unit, note = "dB", f"{kind}, shown in dB"
    elif kind in ("dB", "log"):
        unit = kind
    heard = values[..., : sound.valid or None]
    finite = heard[np.isfinite(heard)]
    least, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    low = max(least, high - _DEEP) if unit == "dB" else least
    shares = np.nan_to_num((values - low) / ((high - low) or 1.0), nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    return Levels(shares, low, high, least, unit, note)
