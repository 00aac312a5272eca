"""Whether two sounds are nearly the same, by their samples."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from datakit.check.alike.likeness import Likeness
from datakit.check.alike.sounds import mono
from datakit.inspection.sound import Sound

NEAR = 0.9
"""Correlation of the waveforms, one laid over the other: takes of a word by one speaker reach 0.96."""

EVEN = 0.77
"""The same with all frequencies equally strong, so that a few loud ones do not decide."""

_EVEN_OVER, _FLOOR = 100, 1e-3  # Hz; of the strongest: what is weaker than -30 dB is noise and stays weak
_LOWEST, _HIGHEST = 60.0, 0.9  # Hz: hum and offset are no content; of half the lower rate, where filters end
_FINER = 6  # shifts in a period of the highest frequency, at least
_LOUDER = 1.0  # dB
_SHIFTED = 0.005  # s
_LONGEST = 1 << 23  # steps of each that are looked at, the first ones: an hour at 2 kHz, eight minutes at 16 kHz


class Overlaid(NamedTuple):
    """Two sounds laid over each other where they are most alike.

    Attributes:
        whole: correlation, -1 … 1, of the frequencies that both can have.
        even: the same of all frequencies made equally strong.
        shift: seconds by which the second is later.
        gain: of the second.
    """

    whole: float
    even: float
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
    if abs(found.whole) < NEAR or found.even < EVEN:
        return None
    return Likeness("sound", _ways(found, one, other), min(abs(found.whole), 1.0))


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
    if not min(_power(one), _power(two)):
        return Overlaid(0.0, 0.0, 0.0, 1.0)
    whole = _correlations(one, two, low)
    place = int(np.abs(whole).argmax())
    even = _correlations(_evened(one, span), _evened(two, span), low)
    near = np.arange(place - _FINER, place + _FINER + 1) % len(even)
    late = place if place <= len(whole) // 2 else place - len(whole)
    gain = math.sqrt(_power(two) / _power(one))
    return Overlaid(float(whole[place]), float(np.abs(even[near]).max()), late * span / len(whole), gain)


def _correlations(one: np.ndarray, two: np.ndarray, low: int) -> np.ndarray:
    """For every shift, from two spectra that begin at place `low`."""
    top = low + len(one)
    steps = 1 << (_FINER * top - 1).bit_length()
    product = np.zeros(steps // 2 + 1, np.complex128)
    product[low:top] = two * one.conj()
    return np.asarray(np.fft.irfft(product, steps) * (steps / 2 / math.sqrt(_power(one) * _power(two))))


def _power(spectrum: np.ndarray) -> float:
    return float((spectrum.real**2 + spectrum.imag**2).sum())


def _evened(spectrum: np.ndarray, span: int) -> np.ndarray:
    """A spectrum over its strength nearby."""
    sums = np.concatenate([[0.0], np.cumsum(spectrum.real**2 + spectrum.imag**2)])
    places = np.arange(len(spectrum))
    reach = _EVEN_OVER * span // 2
    near = sums[np.minimum(places + reach + 1, len(spectrum))] - sums[np.maximum(places - reach, 0)]
    return np.asarray(spectrum / np.sqrt(near + _FLOOR * near.max()))


def _ways(found: Overlaid, one: Sound, other: Sound) -> tuple[str, ...]:
    louder = 20 * math.log10(found.gain)
    ways = {
        f"louder by {louder:.1f} dB": louder > _LOUDER,
        f"quieter by {-louder:.1f} dB": louder < -_LOUDER,
        "with its sign turned": found.whole < 0,
        f"at {other.rate:,} Hz instead of {one.rate:,}": one.rate != other.rate,
        f"shifted by {1000 * found.shift:.0f} ms": abs(found.shift) > _SHIFTED,
        "of another number of channels": len(one.values) != len(other.values),
    }
    return tuple(way for way, is_so in ways.items() if is_so) or ("compressed or saved again",)
