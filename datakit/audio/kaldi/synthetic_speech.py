"""Spoken digits that are tones, in the layout of a Kaldi data directory with segments and features."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from datakit.audio.kaldi.data_writing import write_data_dir
from datakit.audio.kaldi.writing import write_mat_ark

WORDS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
_RATE, _SHIFT, _WINDOW, _BANDS = 8000, 80, 200, 8
_WORD = 0.4  # seconds
_PER_RECORDING, _PER_SPEAKER = 3, 6
_ARK = "data/raw_bands.1.ark"


def write_speech(root: Path, n: int, rng: np.random.Generator) -> None:
    """Write `n` utterances of one to three digits; a digit is a tone, an octave lower where the speaker is male."""
    files: dict[str, dict[str, object]] = {name: {} for name in ("utt2spk", "text", "segments", "utt2dur", "wav.scp")}
    files.update({name: {} for name in ("spk2gender", "utt2num_frames", "reco2dur", "feats.scp")})
    features = {}
    (root / "data").mkdir(parents=True)
    for first in range(0, n, _PER_RECORDING):
        speaker = f"s{first // _PER_SPEAKER:03d}"
        gender = "fm"[(first // _PER_SPEAKER) % 2]
        recording, pieces, second = f"{speaker}-r{first // _PER_RECORDING:04d}", [_silence(rng)], 0.25
        for place in range(first, min(first + _PER_RECORDING, n)):
            utterance = f"{recording}-{place:05d}"
            digits = rng.integers(0, 10, rng.integers(1, 4))
            sound = _spoken(digits, gender, rng)
            duration = len(sound) / _RATE
            features[utterance] = _band_energies(sound)
            files["utt2spk"][utterance], files["spk2gender"][speaker] = speaker, gender
            files["text"][utterance] = " ".join(WORDS[digit] for digit in digits)
            files["segments"][utterance] = (recording, f"{second:.2f}", f"{second + duration:.2f}")
            files["utt2dur"][utterance] = f"{duration:.2f}"
            files["utt2num_frames"][utterance] = len(features[utterance])
            pieces += [sound, _silence(rng)]
            second += duration + 0.25
        files["wav.scp"][recording], files["reco2dur"][recording] = f"data/{recording}.wav", f"{second:.2f}"
        _write_wav(root / "data" / f"{recording}.wav", np.concatenate(pieces))
    write_mat_ark(root / _ARK, features, scp=root / "feats.scp", compressed=True)
    for line in (root / "feats.scp").read_text().splitlines():
        utterance, entry = line.split(" ", 1)
        files["feats.scp"][utterance] = f"{_ARK}:{entry.rpartition(':')[2]}"
    (root / "feats.scp").unlink()
    write_data_dir(root / "lists", files)
    for path in (root / "lists").iterdir():
        path.rename(root / path.name)
    (root / "lists").rmdir()


def _silence(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(0, 0.002, _RATE // 4)


def _spoken(digits: np.ndarray, gender: str, rng: np.random.Generator) -> np.ndarray:
    time = np.arange(int(_WORD * _RATE)) / _RATE
    swell = np.sin(np.pi * time / _WORD) ** 0.5
    tones = [np.sin(2 * np.pi * (600 if gender == "f" else 300) * 1.15**digit * time) for digit in digits]
    sound = np.concatenate([0.4 * swell * tone for tone in tones])
    return sound + rng.normal(0, 0.002, len(sound))


def _band_energies(sound: np.ndarray) -> np.ndarray:
    """Log energies of 8 bands of equal width: (F, 8) float32; windows of 25 ms every 10 ms."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, _WINDOW)[::_SHIFT] * np.hanning(_WINDOW)
    power = np.abs(np.fft.rfft(frames, axis=1))[:, :-1] ** 2
    bands = power[:, : power.shape[1] // _BANDS * _BANDS].reshape(len(frames), _BANDS, -1).sum(axis=2)
    energies: np.ndarray = np.log(bands + 1e-6).astype(np.float32)
    return energies


def _write_wav(path: Path, sound: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
