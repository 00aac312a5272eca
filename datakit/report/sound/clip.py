"""A waveform to listen to on the page: WAV of 16 bits as a data URI.

FLAC would be half as large, but Chromium cannot go back to the start of a short one.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np

from datakit.inspection.sound import Sound

SECONDS = 30.0
"""Of a clip, at most."""

_RATES = range(3000, 384_001)  # Hz, that browsers play
_CHANNELS = 2  # that every browser plays


@dataclass(frozen=True)
class Clip:
    """Something to listen to.

    Attributes:
        src: the data URI; empty where no browser plays it.
        note: how it differs from the waveform; empty where it does not.
    """

    src: str
    note: str = ""


def clip_of(sound: Sound, steps: int) -> Clip | None:
    """The waveform without its padding; None for what is no waveform, has no rate or no steps.

    Args:
        sound: what is heard; of more than two channels their mean.
        steps: of a clip, at most, times its channels.
    """
    if sound.key != "waveform" or not sound.rate or not sound.valid:
        return None
    if sound.rate not in _RATES:
        return Clip("", f"browsers do not play {sound.rate:,} Hz")
    values, notes = sound.values[:, : sound.valid], []
    if len(values) > _CHANNELS:
        notes.append(f"the mean of {len(values)} channels")
        values = values.mean(0, keepdims=True)
    most = min(int(SECONDS * sound.rate), max(1, steps // len(values)))
    if values.shape[1] > most:
        notes.append(f"the first {most / sound.rate:.3g} s")
        values = values[:, :most]
    values = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=1.0, neginf=-1.0)
    if np.abs(values).max() > 1:
        notes.append("cut off at ±1")
    return Clip(_data_uri(values, sound.rate), ", ".join(notes))


def _data_uri(values: np.ndarray, rate: int) -> str:
    import soundfile

    whole = np.round(values.T.clip(-1, 32767 / 32768) * 32768).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, whole, rate, format="WAV", subtype="PCM_16")
    return f"data:audio/wav;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
