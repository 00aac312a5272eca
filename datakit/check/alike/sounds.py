"""What a sound is like, in bits that know nothing of its loudness, its sample rate and the silence around it."""

from __future__ import annotations

import numpy as np

from datakit.check.alike.bits import SIDE, SOUND, cosines, packed, plane_bits
from datakit.check.alike.pictures import between
from datakit.inspection.sound import Sound

FAINT = 1e-4
"""Standard deviation of a waveform in [-1, 1], below which it is silence: 3 steps of 16 bits."""

SHORTEST = 0.05
"""Seconds of sound below which there is nothing to compare."""

_BANDS, _LOWEST, _HIGHEST = 24, 100.0, 3600.0  # Hz: what 8 kHz have too
_STEP, _WINDOW = 0.01, 0.025  # s
_TIMES, _REACH = 64, 2.5  # steps of time, and how many standard deviations from the centre they reach
_LOUDNESS = 0.3  # energy to this power, about as loud as it seems: S. S. Stevens, The measurement of loudness, 1955
_BLOCK = 4096  # frames at once


def sound_sketch(sound: Sound) -> np.ndarray | None:
    """Of a waveform with a known rate; None where it is silent, or too short.

    The loudness in bands of frequency, over time that is counted from the centre of the energy in units of its
    standard deviation: a gain, silence at the ends and another sample rate leave that as it is. Then as of a picture.
    """
    wave = mono(sound)
    if wave is None or sound.rate is None:
        return None
    energy = _energies(wave, sound.rate)
    total = energy.sum(0)
    whole = total.sum()
    times = np.arange(len(total)) + 0.5
    centre = (times * total).sum() / whole
    spread = max(float(np.sqrt(((times - centre) ** 2 * total).sum() / whole)), 1.0)
    edges = np.linspace(centre - _REACH * spread, centre + _REACH * spread, _TIMES + 1)
    loudness = (energy / (whole / (4 * spread * _BANDS))) ** _LOUDNESS @ between(edges, len(total)).T
    return packed(SOUND, plane_bits(cosines(SIDE, _BANDS) @ loudness @ cosines(SIDE, _TIMES).T))


def mono(sound: Sound) -> np.ndarray | None:
    """The valid steps, the mean of the channels, float64 (T,), centred; None where there is nothing to hear."""
    if sound.key != "waveform" or not sound.rate or sound.valid < SHORTEST * sound.rate:
        return None
    values = sound.values[:, : sound.valid]
    full = np.iinfo(values.dtype).max if values.dtype.kind in "iu" else 1
    wave = np.nan_to_num(values.mean(0, dtype=np.float64) / full, nan=0.0, posinf=0.0, neginf=0.0)
    wave -= wave.mean()
    return wave if wave.std() > FAINT else None


def _energies(wave: np.ndarray, rate: int) -> np.ndarray:
    """Energy of frames in bands of equal ratio, float64 (_BANDS, frames)."""
    size, hop = max(int(_WINDOW * rate), 4), max(_STEP * rate, 1.0)
    wave = np.pad(wave, size // 2)
    starts = (np.arange(int((len(wave) - size) / hop) + 1) * hop).astype(np.int64)
    length = 1 << (2 * size - 1).bit_length()  # so that each band has a frequency of its own
    hertz = np.fft.rfftfreq(length, 1 / rate)
    to_bands = _bands(hertz)
    frames = np.lib.stride_tricks.sliding_window_view(wave, size)
    blocks = []
    for first in range(0, len(starts), _BLOCK):
        piece = frames[starts[first : first + _BLOCK]] * np.hanning(size)
        blocks.append(to_bands @ (np.abs(np.fft.rfft(piece, length)) ** 2).T)
    return np.concatenate(blocks, 1)


def _bands(hertz: np.ndarray) -> np.ndarray:
    """Triangles between the neighbouring centres, (_BANDS, frequencies)."""
    centres = np.geomspace(_LOWEST, _HIGHEST, _BANDS + 2)
    places = np.interp(np.log(np.maximum(hertz, 1e-3)), np.log(centres), np.arange(_BANDS + 2))
    return np.asarray(np.maximum(0, 1 - np.abs(places - np.arange(1, _BANDS + 1)[:, None])))
