"""What synthetic copies of corpora hold: words told by their formants, in voices told by their pitch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datakit.audio.saving import save

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NAMES = ("ada", "ben", "cleo", "dan", "eva", "finn", "gus", "hana", "ivo", "june")
"""Of speakers."""

_FORMANTS = np.array(  # Hz, two at the start of a word and two at its end
    [
        *[(350, 2200, 450, 900), (500, 900, 350, 1900), (320, 1500, 350, 1000), (400, 1200, 300, 2400)],
        *[(450, 800, 550, 1100), (700, 1200, 400, 2000), (400, 1950, 350, 2500), (550, 1850, 500, 1300)],
        *[(600, 2100, 300, 2700), (750, 1300, 320, 2300)],
    ],
    np.float64,
)
_WIDTH, _LOUD, _NOISE = 120.0, 0.35, 0.003  # Hz; of full scale
_HIGHEST, _RATE, _STEP = 3000, 8000, 16  # Hz, of the harmonics; Hz, what they are computed at; samples

Values = npt.NDArray[np.float64]


def spoken(
    words: Sequence[int], pitch: float, sample_rate: int, rng: np.random.Generator, *, seconds: float = 0.4
) -> Values:
    """A waveform, (T,), in [-1, 1]: harmonics of the pitch, with the word's formants gliding from its start to its end.

    Args:
        words: places in `WORDS`.
        pitch: of the voice, Hz.
        sample_rate: Hz.
        rng: draws small differences of pitch, formants and loudness, and noise.
        seconds: of each word.
    """
    slow = np.concatenate([_word(word, pitch, rng, seconds) for word in words])
    length = round(len(slow) * sample_rate / _RATE)
    sound = np.fft.irfft(np.fft.rfft(slow), length) * (length / len(slow)) if length != len(slow) else slow
    return np.clip(sound + rng.normal(0, _NOISE, len(sound)), -1, 1)


def _word(word: int, pitch: float, rng: np.random.Generator, seconds: float) -> Values:
    time = np.arange(round(seconds * _RATE)) / _RATE
    glide = time / seconds
    formants = _FORMANTS[word] * rng.uniform(0.96, 1.04, 4)
    pitch = pitch * rng.uniform(0.97, 1.03)
    harmonics = pitch * np.arange(1, int(_HIGHEST / pitch), dtype=np.float64)[:, None]
    centres = (formants[:2, None] + (formants[2:] - formants[:2])[:, None] * glide[::_STEP])[:, None]
    weights = np.exp(-0.5 * ((harmonics - centres) / _WIDTH) ** 2).sum(0)
    phases = rng.uniform(0, 2 * np.pi, harmonics.shape)
    waves = np.sin(2 * np.pi * harmonics * time + phases)
    total = (np.repeat(weights, _STEP, 1)[:, : len(time)] * waves).sum(0)
    loud = _LOUD * rng.uniform(0.7, 1) * np.sin(np.pi * glide) ** 0.5
    return np.asarray(loud * total / max(1.0, float(np.abs(total).max())))


def pitch_of(speaker: int) -> float:
    """The pitch of a voice, Hz: 95 to 240, apart from each other as far as they go round."""
    return 95.0 + 145.0 * ((speaker * 0.618034) % 1)


def text_of(words: Sequence[int]) -> str:
    """The words with blanks between them."""
    return " ".join(WORDS[word] for word in words)


def write_sound(path: Path, sound: Values, sample_rate: int) -> None:
    """Write a waveform, (T,), in the format that the suffix says; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, sound, sample_rate)


def balanced(n: int, count: int, rng: np.random.Generator) -> list[int]:
    """`n` numbers below `count`, each as often as the others, in random order."""
    return list(map(int, rng.permutation(np.arange(n) % count)))
