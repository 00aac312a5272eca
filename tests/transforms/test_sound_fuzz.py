"""Whatever parameters and sounds meet: finite numbers, or a ValueError that was meant."""

import numpy as np
import pytest
import torch
from sounds import noise

import datakit.transforms as T
from datakit.errors import SampleError


class Fuzz:
    """Draws transforms with odd parameters."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def pick(self, *options):
        return options[int(self.rng.integers(len(options)))]

    def frames(self):
        return {
            "n_fft": self.pick(4, 9, 16, 64, 101, 400), "win_length": self.pick(None, None, 3, 16, 60),
            "hop_length": self.pick(None, None, 1, 7, 50, 500),
            "window": self.pick("hann", "hamming", "bartlett", "kaiser"),
        }  # fmt: skip

    def stft(self):
        return {
            **self.frames(), "pad": self.pick(0, 0, 5), "normalized": self.pick(False, True, "frame_length"),
            "center": self.pick(True, True, False),
            "pad_mode": self.pick("reflect", "constant", "replicate", "circular"),
        }  # fmt: skip

    def bands(self):
        return {
            "n_mels": self.pick(1, 5, 40), "f_min": self.pick(0.0, 30.0), "f_max": self.pick(None, None, 500.0, 9000.0),
            "norm": self.pick(None, "slaney"), "mel_scale": self.pick("htk", "slaney"),
        }  # fmt: skip

    def mel(self):
        return T.MelSpectrogram(**self.stft(), **self.bands())

    def deltas(self):
        return T.ComputeDeltas(self.pick(3, 4, 9), self.pick("replicate", "reflect", "circular", "constant"))

    def sounds(self):
        return noise(self.pick(1, 2), self.pick(1, 3, 2000))

    def steps(self):
        power, same = self.pick(0.5, 1.0, 2.0), self.frames()
        return self.pick(
            lambda: [T.Spectrogram(**self.stft(), power=power), T.MelScale(**self.bands()), T.AmplitudeToDB(),
                     self.deltas()],
            lambda: [self.mel()],
            lambda: [T.MFCC(self.pick(1, 5), mel=self.mel())],
            lambda: [T.Spectrogram(**self.stft(), power=None), T.TimeStretch((0.3, 3.0), self.pick(None, 5))],
            lambda: [T.Spectrogram(**self.stft()), T.GriffinLim(**self.frames(), n_iter=2,
                                                                 length=self.pick(None, 100))],
            lambda: [T.Spectrogram(**same), T.GriffinLim(**same, n_iter=2)],
            lambda: [T.Resample(self.pick(1, 7, 8000, 44100))],
            lambda: [T.SpeedPerturb((self.pick(0.01, 0.5, 0.9, 3.0, 50.0),))],
            lambda: [T.PitchShift((-24.0, 24.0), n_fft=self.pick(8, 9, 64, 512))],
            lambda: [T.AddNoise(self.pick("white", "pink", self.sounds()), (-50.0, 50.0))],
            lambda: [T.Reverb(self.sounds(), tail=self.pick(True, False))],
            lambda: [T.Dither(self.pick("TPDF", "RPDF", "GPDF"), as_torchaudio=self.pick(True, False))],
            lambda: [T.Equalizer(self.pick(1.0, 3000.0), self.pick(-50.0, 50.0)),
                     T.LowPass(self.pick(1.0, 3000.0), 5.0)],
            lambda: [T.RandomClip(self.pick(1, 100), pad=self.pick(True, False)), T.Gain((-90.0, 90.0))],
            lambda: [T.Spectrogram(**self.stft()), T.TimeMasking(self.pick(1, 50), p=self.pick(0.0, 0.5, 1.0)),
                     T.FrequencyMasking(self.pick(1, 500), value=None, iid_masks=True)],
            lambda: [T.Mono(), T.Spectrogram(**self.stft()), T.Features(), T.TimeMasking(self.pick(1, 50), p=0.3)],
            lambda: [T.MuLawEncoding(self.pick(2, 256)), T.MuLawDecoding(256)],
        )()  # fmt: skip

    def sample(self):
        wave = noise(self.pick(1, 2, 3), self.pick(1, 2, 3, 10, 57, 200, 1000))
        return {"waveform": wave, "sample_rate": self.pick(1, 8000, 16000, 44100)}


@pytest.mark.filterwarnings("ignore:At least one mel filterbank has all zero values")
def test_odd_parameters_and_sounds_give_finite_numbers_or_an_error_that_was_meant():
    good, causes = 0, {}
    for seed in range(500):
        fuzz = Fuzz(seed)
        try:
            chain = T.Compose(fuzz.steps())
        except ValueError:
            continue
        sample = fuzz.sample()
        place = f"seed {seed}: {chain} of {tuple(sample['waveform'].shape)} at {sample['sample_rate']} Hz"
        try:
            out = chain(sample, np.random.default_rng(seed))
        except SampleError as error:
            causes.setdefault(type(error.__cause__), place)
            continue
        tensors = [value for value in out.values() if isinstance(value, torch.Tensor)]
        assert all(value.numel() and value.isfinite().all() for value in tensors), place
        good += 1
    assert causes.keys() == {ValueError}, causes
    assert good > 250
