"""Transforms of the waveform mean what torchaudio does, and what their words say."""

import dataclasses
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import signal, stats
from sounds import noise, sound, speech_of

import datakit.transforms as T
from datakit.errors import SampleError

RATE = 16000


@pytest.fixture(scope="module")
def speech(shared):
    return speech_of(shared)


@pytest.mark.parametrize(("old", "new"), [(44100, 16000), (16000, 8000), (8000, 22050), (44100, 4410)])
@pytest.mark.parametrize("options", [
    {}, {"lowpass_filter_width": 16, "rolloff": 0.9}, {"method": "sinc_interp_kaiser", "beta": 12.0},
])  # fmt: skip
def test_resampling_equals_torchaudio(torchaudio, old, new, options):
    wave = noise(2, 5001)
    out = T.Resample(new, **options)({"waveform": wave, "sample_rate": old, "label": 3})
    theirs = {"resampling_method" if key == "method" else key: value for key, value in options.items()}
    assert torch.equal(out["waveform"], torchaudio.transforms.Resample(old, new, **theirs)(wave))
    assert out["waveform"].shape == (2, math.ceil(5001 * new / old))
    assert (out["sample_rate"], out["label"]) == (new, 3)
    assert list(out) == ["waveform", "sample_rate", "label"]


def test_resampled_speech_is_what_scipy_makes_of_it(speech):
    out = T.Resample(11025, lowpass_filter_width=200)(speech)["waveform"][0].numpy()
    sharp = signal.firwin(2001, 0.495)  # at 0.99 of the lower Nyquist frequency
    truth = signal.resample_poly(speech["waveform"][0].double().numpy(), 1, 2, window=sharp)
    error = (out - truth)[200:-200]
    assert 20 * np.log10(np.std(truth) / np.std(error)) > 40  # dB


def test_resampling_takes_the_rate_of_the_sample_and_any_strides(torchaudio):
    wave = noise(1000, 2).T
    assert not wave.is_contiguous()
    out = T.Resample(8000)({"waveform": wave, "sample_rate": np.int64(RATE)})
    assert torch.equal(out["waveform"], torchaudio.transforms.Resample(RATE, 8000)(wave.contiguous()))
    same = {"waveform": wave, "sample_rate": 8000}
    assert T.Resample(8000)(same) is same


def test_rates_without_a_common_divisor_are_refused_before_any_memory_is_taken():
    with pytest.raises(ValueError, match=r"from 44100 Hz to 44099 Hz needs a kernel of 44099 x \d+ numbers"):
        T.Resample(44099)({"waveform": noise(1, 100), "sample_rate": 44100})
    with pytest.raises(ValueError, match="needs a kernel of"):
        T.SpeedPerturb((0.99993,))({"waveform": noise(1, 100), "sample_rate": 44100})


def test_mono_is_the_mean():
    wave = noise(3, 100)
    out = T.Mono()({"waveform": wave})["waveform"]
    np.testing.assert_allclose(out.numpy(), wave.double().numpy().mean(0, keepdims=True), atol=1e-7)
    assert out.dtype == torch.float32
    one = {"waveform": wave[:1]}
    assert T.Mono()(one) is one


@pytest.mark.parametrize("db", [-6.0, 0.0, 3.5, 40.0])
def test_gain_equals_torchaudio(torchaudio, db):
    wave = noise(2, 100)
    out = T.Gain(db)({"waveform": wave})["waveform"]
    assert torch.equal(out, torchaudio.transforms.Vol(db, "db")(wave))
    amplitude = torchaudio.transforms.Vol(10 ** (db / 20))(wave)
    torch.testing.assert_close(out, amplitude)


def test_gain_draws_evenly_from_its_range():
    gain, rng = T.Gain((-6.0, 3.0)), np.random.default_rng(0)
    drawn = [gain.draw({}, rng) for _ in range(500)]
    assert stats.kstest(drawn, stats.uniform(-6, 9).cdf).pvalue > 1e-3


def test_the_peak_is_the_one_asked_for(speech):
    for peak in (1.0, 0.25):
        out = T.PeakNormalize(peak)(speech)["waveform"]
        assert out.abs().max().item() == peak
        torch.testing.assert_close(out / out.norm(), speech["waveform"] / speech["waveform"].norm())
    silence = {"waveform": torch.zeros(2, 10)}
    assert torch.equal(T.PeakNormalize()(silence)["waveform"], silence["waveform"])
    faint = T.PeakNormalize()({"waveform": torch.full((1, 4), 1e-42)})["waveform"]
    assert torch.equal(faint, torch.ones(1, 4))


def test_a_fixed_length_cuts_and_pads_the_end():
    wave = noise(2, 10)
    assert torch.equal(T.FixLength(4)({"waveform": wave})["waveform"], wave[:, :4])
    padded = T.FixLength(13)({"waveform": wave})["waveform"]
    assert torch.equal(padded[:, :10], wave)
    assert padded[:, 10:].abs().max() == 0
    assert torch.equal(T.FixLength(10)({"waveform": wave})["waveform"], wave)


def test_every_place_of_a_clip_is_equally_likely_and_none_is_outside():
    sample, rng, clip = {"waveform": torch.arange(12.0)[None]}, np.random.default_rng(0), T.RandomClip(8)
    firsts = []
    for _ in range(2000):
        out = clip(sample, rng)["waveform"]
        assert torch.equal(out[0], torch.arange(8.0) + out[0, 0])
        firsts.append(int(out[0, 0]))
    assert stats.chisquare(np.bincount(firsts, minlength=5)).pvalue > 1e-4


def test_a_short_waveform_is_said_or_placed_in_silence():
    sample = {"waveform": torch.arange(1.0, 4.0)[None]}
    with pytest.raises(SampleError, match=r"has 3 steps, the clip 5; pass pad=True") as caught:
        T.Compose([T.RandomClip(5)])(sample)
    assert caught.value.stage == "RandomClip(5)"
    seen = {
        tuple(T.RandomClip(5, pad=True)(sample, np.random.default_rng(n))["waveform"][0].tolist()) for n in range(50)
    }
    assert seen == {(1, 2, 3, 0, 0), (0, 1, 2, 3, 0), (0, 0, 1, 2, 3)}


@pytest.mark.parametrize("channels", [256, 2, 1000])
def test_mu_law_equals_torchaudio_and_comes_back(torchaudio, channels):
    wave = noise(2, 4000)
    coded = T.MuLawEncoding(channels)({"waveform": wave, "sample_rate": RATE})
    assert list(coded) == ["codes", "sample_rate"]
    assert torch.equal(coded["codes"], torchaudio.transforms.MuLawEncoding(channels)(wave))
    back = T.MuLawDecoding(channels)(coded)
    assert list(back) == ["waveform", "sample_rate"]
    assert torch.equal(back["waveform"], torchaudio.transforms.MuLawDecoding(channels)(coded["codes"]))
    kept = T.MuLawEncoding(channels, keep=True)({"waveform": wave})
    assert list(kept) == ["waveform", "codes"]


def test_mu_law_says_what_it_cannot_code():
    for value in (1.01, -1.5, math.nan):
        with pytest.raises(ValueError, match=r"in \[-1, 1\], got values from"):
            T.MuLawEncoding()({"waveform": torch.tensor([[0.0, value]])})
    with pytest.raises(ValueError, match=r"in \[0, 16\), got 3 to 16"):
        T.MuLawDecoding(16)({"codes": torch.tensor([[3, 16]])})
    with pytest.raises(ValueError, match=r"got torch.float32 \(1, 2\)"):
        T.MuLawDecoding()({"codes": torch.zeros(1, 2)})


def test_torchaudio_is_imported_when_it_is_used():
    code = "import sys, datakit.transforms; print(sorted({'torchaudio', 'scipy', 'soundfile'} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


FILTERS = [
    (T.LowPass(1000.0), "lowpass_biquad", (1000.0, 0.707)),
    (T.HighPass(300.0, q=2.0), "highpass_biquad", (300.0, 2.0)),
    (T.Equalizer(1000.0, db=-9.0, q=1.5), "equalizer_biquad", (1000.0, -9.0, 1.5)),
]


@pytest.mark.parametrize(("ours", "name", "arguments"), FILTERS, ids=lambda item: repr(item)[:9])
def test_filters_equal_torchaudio(torchaudio, ours, name, arguments):
    wave = noise(2, 3000) * 0.3
    out = ours({"waveform": wave, "sample_rate": RATE})["waveform"]
    assert torch.equal(out, getattr(torchaudio.functional, name)(wave, RATE, *arguments))


@pytest.mark.parametrize(("ours", "frequency", "db"), [
    (T.LowPass(1000.0), 1000.0, -3.01), (T.HighPass(1000.0), 1000.0, -3.01),
    (T.Equalizer(1000.0, db=-9.0), 1000.0, -9.0),
    (T.LowPass(1000.0), 50.0, 0.0), (T.HighPass(1000.0), 6000.0, 0.0),
])  # fmt: skip
def test_filters_do_in_db_at_their_frequency_what_they_say(ours, frequency, db):
    tone = torch.sin(2 * math.pi * frequency / RATE * torch.arange(RATE, dtype=torch.float64)).float()[None] * 0.5
    out = ours({"waveform": tone, "sample_rate": RATE})["waveform"]
    measured = 20 * math.log10(out[0, 4000:].norm() / tone[0, 4000:].norm())
    assert measured == pytest.approx(db, abs=0.05)


@pytest.mark.parametrize("transform", [ours for ours, _, _ in FILTERS], ids=repr)
def test_a_filter_above_half_the_rate_is_refused(transform):
    with pytest.raises(ValueError, match=r"below half the sampling rate, got \d+.0 Hz at 400 Hz"):
        transform({"waveform": noise(1, 100), "sample_rate": 400})


@pytest.mark.parametrize(("sample", "message"), [
    ({"sample_rate": 8000}, r"needs 'waveform' \(C, T\); the sample has sample_rate"),
    ({}, "the sample has no keys"),
    ({"waveform": np.zeros((1, 5), np.float32)}, "needs a tensor .*got ndarray"),
    ({"waveform": torch.zeros(5)}, r"got \(5,\)"),
    ({"waveform": torch.zeros(1, 0)}, r"got \(1, 0\)"),
    ({"waveform": torch.zeros(0, 5)}, r"got \(0, 5\)"),
    ({"waveform": torch.zeros(2, 1, 5)}, r"got \(2, 1, 5\)"),
    ({"waveform": torch.zeros(1, 5, dtype=torch.float64)}, r"of torch.float32, got torch.float64 \(1, 5\)"),
    ({"waveform": torch.zeros(1, 5, dtype=torch.int16)}, "got torch.int16"),
])  # fmt: skip
@pytest.mark.parametrize("transform", [
    T.Resample(4000), T.Mono(), T.FixLength(3), T.RandomClip(3), T.Gain(1.0), T.PeakNormalize(), T.MuLawEncoding(),
    T.LowPass(9.0), T.SpeedPerturb(), T.PitchShift(2.0), T.AddNoise("white", 10.0), T.Dither(), T.Spectrogram(8),
    T.MelSpectrogram(8), T.MFCC(2), T.Reverb(sound(1, 4)),
], ids=repr)  # fmt: skip
def test_what_is_no_waveform_is_said(transform, sample, message):
    with pytest.raises(SampleError, match=message) as caught:
        T.Compose([transform])({"sample_rate": 8000, **sample} if sample else sample)
    assert caught.value.stage == repr(transform)


@pytest.mark.parametrize("rate", [None, 0, -1, 8000.0, "8000", True])
@pytest.mark.parametrize(
    "transform", [T.Resample(4000), T.LowPass(9.0), T.SpeedPerturb(), T.MelSpectrogram(8)], ids=repr
)
def test_a_rate_that_is_none_is_said(transform, rate):
    with pytest.raises(ValueError, match=r"needs 'sample_rate', a whole number of Hz above 0, got"):
        transform(
            {"waveform": noise(1, 100), "sample_rate": rate}, *([np.random.default_rng()] * hasattr(transform, "draw"))
        )


@pytest.mark.parametrize("transform", [T.Resample(4000), T.FixLength(3), T.Spectrogram(8)], ids=repr)
def test_a_length_that_would_no_longer_hold_is_said(transform):
    with pytest.raises(ValueError, match="length=7 of 100 steps.*would no longer hold"):
        transform({"waveform": noise(1, 100), "sample_rate": 8000, "length": 7})


@pytest.mark.parametrize("wrong", [
    lambda: T.Resample(0), lambda: T.Resample(8000.5), lambda: T.Resample(8000, rolloff=1.5),
    lambda: T.Resample(8, method="x"),
    lambda: T.FixLength(0), lambda: T.RandomClip(-3), lambda: T.RandomClip(2.0), lambda: T.Gain(math.nan),
    lambda: T.Gain((3.0, 1.0)), lambda: T.PeakNormalize(0), lambda: T.PeakNormalize(2.0), lambda: T.MuLawEncoding(1),
    lambda: T.MuLawDecoding(0), lambda: T.LowPass(0.0), lambda: T.HighPass(10.0, q=0), lambda: T.Equalizer(-1.0, 3.0),
    lambda: T.Equalizer(1.0, math.inf), lambda: T.SpeedPerturb(()), lambda: T.SpeedPerturb((0.0,)),
    lambda: T.PitchShift(30.0), lambda: T.PitchShift((2.0, 1.0)), lambda: T.PitchShift(1.0, p=2),
    lambda: T.AddNoise("brown", 10.0), lambda: T.AddNoise([], 10.0), lambda: T.AddNoise(torch.zeros(1, 9), 10.0),
    lambda: T.AddNoise("white", math.nan), lambda: T.AddNoise("white", 3.0, p=-1),
    lambda: T.AddNoise(torch.ones(9), 10.0),
    lambda: T.Reverb([]), lambda: T.Reverb([{"waveform": torch.zeros(1, 5)}]),
    lambda: T.Reverb(torch.zeros(1, 5)), lambda: T.Reverb(torch.ones(1, 2), p=2),
    lambda: T.Dither("x"), lambda: T.Dither(noise_shaping=True),
    lambda: T.Spectrogram(0), lambda: T.Spectrogram(1), lambda: T.Spectrogram(400, win_length=500),
    lambda: T.Spectrogram(pad=-1), lambda: T.Spectrogram(window="flat"), lambda: T.Spectrogram(power=0.0),
    lambda: T.Spectrogram(pad_mode="x"), lambda: T.Spectrogram(normalized="x"), lambda: T.MelSpectrogram(n_mels=0),
    lambda: T.MelSpectrogram(f_min=10.0, f_max=5.0), lambda: T.MelScale(norm="x"), lambda: T.MelScale(mel_scale="x"),
    lambda: T.MFCC(41, mel=T.MelSpectrogram(n_mels=40)), lambda: T.AmplitudeToDB("db"),
    lambda: T.AmplitudeToDB(top_db=-1.0),
    lambda: T.ComputeDeltas(2), lambda: T.ComputeDeltas(mode="x"), lambda: T.TimeStretch(0.0),
    lambda: T.TimeStretch((0.0, 2.0)),
    lambda: T.GriffinLim(momentum=1.0), lambda: T.GriffinLim(n_iter=0),
    lambda: T.GriffinLim(400, hop_length=400),
    lambda: T.GriffinLim(400, win_length=100, hop_length=101), lambda: T.FrequencyMasking(0),
    lambda: T.TimeMasking(10, p=1.5),
])  # fmt: skip
def test_impossible_values_are_refused_at_once_and_named(wrong):
    with pytest.raises(ValueError, match=r"needs .*got |at least, got"):
        wrong()


def test_noise_is_a_waveform_or_sounds():
    with pytest.raises(TypeError, match="a waveform, a list of them or a dataset, got int"):
        T.AddNoise(3, 10.0)


ALL = [
    T.Resample(4000), T.Mono(), T.FixLength(3000), T.FixLength(100), T.RandomClip(700), T.Gain((-6.0, 6.0)),
    T.PeakNormalize(0.5), T.MuLawEncoding(), T.Compose([T.MuLawEncoding(), T.MuLawDecoding()]), T.LowPass(900.0),
    T.HighPass(100.0), T.Equalizer(500.0, 3.0), T.SpeedPerturb(), T.SpeedPerturb((0.9,)), T.PitchShift((-2.0, 2.0)),
    T.AddNoise("white", (0.0, 9.0)), T.AddNoise("pink", 3.0), T.AddNoise([sound(2, 50), sound(1, 5000)], 3.0, p=0.5),
    T.Reverb([sound(1, 90)]), T.Reverb(sound(2, 90), tail=True), T.Dither(),
    *(T.Dither(density, as_torchaudio=True, noise_shaping=True) for density in ("TPDF", "RPDF", "GPDF")),
    T.Spectrogram(), T.Spectrogram(128, window="hamming", power=None, keep=True), T.MelSpectrogram(n_mels=20),
    T.MFCC(13, mel=T.MelSpectrogram(n_mels=20)),
    T.Compose([T.Spectrogram(), T.MelScale(20), T.AmplitudeToDB(top_db=80.0), T.ComputeDeltas(append=True)]),
    T.Compose([T.Spectrogram(power=None), T.TimeStretch((0.8, 1.2))]),
    T.Compose([T.Spectrogram(), T.GriffinLim(n_iter=2)]),
    T.Compose([T.Spectrogram(), T.FrequencyMasking(50, iid_masks=True), T.TimeMasking(5, value=None)]),
    T.Compose([T.Mono(), T.Spectrogram(), T.Features(), T.TimeMasking(5, p=0.3), T.FrequencyMasking(9)]),
]  # fmt: skip


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_no_transform_changes_its_input_and_all_are_values(transform):
    sample = {"waveform": sound(2, 2000), "sample_rate": 8000, "path": "x.wav"}
    before = pickle.dumps(sample)
    one = T.Compose([transform])(sample, np.random.default_rng(0))
    assert pickle.dumps(sample) == before
    copy = pickle.loads(pickle.dumps(transform))
    assert copy == transform
    assert hash(copy) == hash(transform)
    other = T.Compose([copy])(sample, np.random.default_rng(0))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one if isinstance(one[key], torch.Tensor))
    assert one["path"] == "x.wav"


@pytest.mark.parametrize(("transform", "text"), [
    (T.Resample(16000), "Resample(16000)"), (T.Gain((-6.0, 6.0)), "Gain((-6.0, 6.0))"),
    (T.MelSpectrogram(n_mels=80), "MelSpectrogram(n_mels=80)"), (T.MFCC(13), "MFCC(n_mfcc=13)"),
    (T.MFCC(mel=T.MelSpectrogram(n_mels=40)), "MFCC(mel=MelSpectrogram(n_mels=40))"),
    (T.AddNoise([sound(1, 4)] * 3, snr=(5.0, 20.0)), "AddNoise([3 sounds], (5.0, 20.0))"),
    (T.TimeMasking(30, p=0.2), "TimeMasking(30, p=0.2)"), (T.Features(), "Features()"),
])  # fmt: skip
def test_transforms_print_as_they_were_typed(transform, text):
    assert repr(transform) == text


def test_other_sounds_are_another_transform():
    one, other = sound(1, 40), sound(1, 40) + 0.25
    assert T.AddNoise([one], 3.0) == T.AddNoise([one.clone()], 3.0)
    assert T.AddNoise([one], 3.0) != T.AddNoise([other], 3.0)
    assert T.Reverb(one) != T.Reverb(other)
    samples = [{"waveform": one, "sample_rate": rate} for rate in (8000, RATE)]
    assert T.Reverb(samples[:1]) != T.Reverb(samples[1:])
    assert hash(T.Reverb(samples)) == hash(T.Reverb(list(samples)))
    assert dataclasses.replace(T.Reverb(one), p=0.5) != T.Reverb(one)
