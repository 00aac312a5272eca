"""Whether two sounds are nearly the same, by their samples."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from datakit.check.alike.likeness import Likeness
from datakit.check.alike.sounds import mono
from datakit.inspection.sound import Sound

NEAR = 0.9
"""Correlation of the waveforms, one laid over the other."""

_LOWEST, _HIGHEST = 60.0, 0.9  # Hz: hum and offset are no content; of half the lower rate, where filters end
_FINER = 4  # places between samples that a shift may have
_LOUDER = 1.0  # dB
_SHIFTED = 0.005  # s
_LONGEST = 1 << 23  # steps of each that are looked at, the first ones: an hour at 2 kHz, eight minutes at 16 kHz


class Overlaid(NamedTuple):
    """Two sounds laid over each other where they are most alike.

    Attributes:
        correlation: -1 … 1, of the frequencies that both can have.
        shift: seconds by which the second is later.
        gain: of the second.
    """

    correlation: float
    shift: float
    gain: float


def sound_likeness(one: Sound, other: Sound) -> Likeness | None:
    """How the second of two waveforms is the first one again; None where it is another one, if by the same speaker."""
    is_same = one.rate == other.rate and one.values.shape == other.values.shape
    if is_same and one.valid == other.valid and np.array_equal(one.values, other.values):
        return Likeness("sound", ("identical",), 1.0)
    first, second = mono(one), mono(other)
    if first is None or second is None or one.rate is None or other.rate is None:
        return None
    found = overlaid(first, second, one.rate, other.rate)
    if abs(found.correlation) < NEAR:
        return None
    return Likeness("sound", _ways(found, one, other), abs(found.correlation))


def overlaid(first: np.ndarray, second: np.ndarray, rate: int, other_rate: int) -> Overlaid:
    """Two waveforms (T,) of any rates, laid over each other.

    Both are transformed over the same span of time, so that a frequency has the same place in both, whatever their
    rates; their product is the correlation for every shift.
    """
    first, second = first[:_LONGEST], second[:_LONGEST]
    span = math.ceil(len(first) / rate + len(second) / other_rate)
    top = int(_HIGHEST * min(rate, other_rate) / 2 * span)
    low = int(_LOWEST * span)
    one = np.fft.rfft(first, span * rate)[low:top] / rate
    two = np.fft.rfft(second, span * other_rate)[low:top] / other_rate
    powers = [float((np.abs(each) ** 2).sum()) for each in (one, two)]
    if not min(powers):
        return Overlaid(0.0, 0.0, 1.0)
    product = np.zeros(top * _FINER // 2 + 1, np.complex128)
    product[low:top] = two * one.conj()
    steps = 2 * (len(product) - 1)
    waves = np.fft.irfft(product, steps) * steps / 2 / math.sqrt(powers[0] * powers[1])
    place = int(np.abs(waves).argmax())
    late = place if place <= steps // 2 else place - steps
    return Overlaid(float(waves[place]), late * span / steps, math.sqrt(powers[1] / powers[0]))


def _ways(found: Overlaid, one: Sound, other: Sound) -> tuple[str, ...]:
    louder = 20 * math.log10(found.gain)
    ways = {
        f"louder by {louder:.1f} dB": louder > _LOUDER,
        f"quieter by {-louder:.1f} dB": louder < -_LOUDER,
        "with its sign turned": found.correlation < 0,
        f"at {other.rate:,} Hz instead of {one.rate:,}": one.rate != other.rate,
        f"shifted by {1000 * found.shift:.0f} ms": abs(found.shift) > _SHIFTED,
        "of another number of channels": len(one.values) != len(other.values),
    }
    return tuple(way for way, is_so in ways.items() if is_so) or ("compressed or saved again",)
