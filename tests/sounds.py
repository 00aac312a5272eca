"""Waveforms for the tests of what is done with sound."""

import numpy as np
import pytest
import soundfile
import torch


def noise(channels, steps, seed=0):
    """Even noise in [-1, 1), (channels, steps)."""
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (channels, steps)).astype(np.float32))


def sound(channels, steps, seed=0):
    """Noise that dies away, (channels, steps)."""
    return noise(channels, steps, seed) * torch.exp(-torch.arange(steps) / (steps / 4)) * 0.5


def speech_of(shared):
    """A real sentence, 22,050 Hz, as soundfile reads it."""
    path = shared / "audio" / "LJ002-0020.wav"
    if not path.exists():
        pytest.skip(f"{path.name} is not among the real datasets")
    values, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return {"waveform": torch.from_numpy(np.ascontiguousarray(values.T)), "sample_rate": rate}
