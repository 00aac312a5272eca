"""torchaudio's own transforms and functions between ours: the same numbers, at the right rate, under the key."""

import functools
import inspect
import re

import numpy as np
import pytest
import torch
from sounds import noise

import datakit.transforms as ours
from datakit import Mapped
from datakit.chain import Compose, name_of, same
from datakit.errors import SampleError
from datakit.inspection.spectrum import spectrum_after, steps_by_name
from datakit.sampling import Key

torchaudio = pytest.importorskip("torchaudio")
F, T = torchaudio.functional, torchaudio.transforms

RATE = 8000
MEL = {"n_fft": 256, "n_mels": 20}
WAVE = noise(2, 4000)
VALUES = {
    "waveform": WAVE,
    "codes": F.mu_law_encoding(WAVE, 256),
    "power": T.Spectrogram(256)(WAVE),
    "complex": T.Spectrogram(256, power=None)(WAVE),
    "mel": T.MelSpectrogram(RATE, **MEL)(WAVE),
}

TAKEN = {
    "AmplitudeToDB": ("power", lambda: T.AmplitudeToDB(top_db=60.0), "spectrogram"),
    "ComputeDeltas": ("mel", lambda: T.ComputeDeltas(), "spectrogram"),
    "Deemphasis": ("waveform", lambda: T.Deemphasis(), "waveform"),
    "Fade": ("waveform", lambda: T.Fade(300, 500), "waveform"),
    "FrequencyMasking": ("mel", lambda: T.FrequencyMasking(15), "spectrogram"),
    "GriffinLim": ("power", lambda: T.GriffinLim(256, n_iter=3), "waveform"),
    "InverseMelScale": ("mel", lambda: T.InverseMelScale(129, 20, RATE), "spectrogram"),
    "InverseSpectrogram": ("complex", lambda: T.InverseSpectrogram(256), "waveform"),
    "LFCC": ("waveform", lambda: T.LFCC(RATE, n_filter=20, n_lfcc=13, speckwargs={"n_fft": 256}), "spectrogram"),
    "MFCC": ("waveform", lambda: T.MFCC(RATE, n_mfcc=13, melkwargs=MEL), "spectrogram"),
    "MelScale": ("power", lambda: T.MelScale(20, RATE, n_stft=129), "spectrogram"),
    "MelSpectrogram": ("waveform", lambda: T.MelSpectrogram(RATE, **MEL), "spectrogram"),
    "MuLawDecoding": ("codes", lambda: T.MuLawDecoding(), "waveform"),
    "MuLawEncoding": ("waveform", lambda: T.MuLawEncoding(), "codes"),
    "PitchShift": ("waveform", lambda: T.PitchShift(RATE, 12), "waveform"),
    "Preemphasis": ("waveform", lambda: T.Preemphasis(), "waveform"),
    "Resample": ("waveform", lambda: T.Resample(RATE, 5000), "waveform"),
    "SlidingWindowCmn": ("mel", lambda: T.SlidingWindowCmn(10), "spectrogram"),
    "SpecAugment": ("mel", lambda: T.SpecAugment(2, 10, 2, 8), "spectrogram"),
    "SpectralCentroid": ("waveform", lambda: T.SpectralCentroid(RATE, 256), "spectrogram"),
    "Spectrogram": ("waveform", lambda: T.Spectrogram(256), "spectrogram"),
    "Speed": ("waveform", lambda: T.Speed(RATE, 1.25), "waveform"),
    "SpeedPerturbation": ("waveform", lambda: T.SpeedPerturbation(RATE, [0.8, 1.25, 0.5, 1.0]), "waveform"),
    "TimeMasking": ("mel", lambda: T.TimeMasking(20), "spectrogram"),
    "TimeStretch": ("complex", lambda: T.TimeStretch(n_freq=129, fixed_rate=1.3), "spectrogram"),
    "Vad": ("waveform", lambda: T.Vad(RATE), "waveform"),
    "Vol": ("waveform", lambda: T.Vol(3.0), "waveform"),
}
REFUSED = {
    "AddNoise": (lambda: T.AddNoise(), "datakit.transforms.AddNoise"),
    "Convolve": (lambda: T.Convolve(), "datakit.transforms.Reverb"),
    "FFTConvolve": (lambda: T.FFTConvolve(), "datakit.transforms.Reverb"),
    "Loudness": (lambda: T.Loudness(RATE), "gives a number, not a sound"),
    "MVDR": (lambda: T.MVDR(), "takes masks or matrices besides the spectrogram"),
    "PSD": (lambda: T.PSD(), "gives a matrix of channels"),
    "RNNTLoss": (lambda: T.RNNTLoss(), "is a loss"),
    "RTFMVDR": (lambda: T.RTFMVDR(), "takes masks or matrices besides the spectrogram"),
    "SoudenMVDR": (lambda: T.SoudenMVDR(), "takes masks or matrices besides the spectrogram"),
}


def sample(kind="waveform"):
    key = kind if kind in ("waveform", "codes") else "spectrogram"
    return {"label": 3, key: VALUES[kind].clone(), "sample_rate": RATE, "text": "kept"}


def message(step, given=None):
    with pytest.raises(SampleError) as caught:
        Compose([step])(sample() if given is None else given)
    return str(caught.value)


# --- the classes


@pytest.mark.parametrize("name", T.__all__)
def test_a_transform_does_what_it_does_to_the_tensor(name):
    """A class that a new version of torchaudio brings is in neither table, and fails here."""
    if name in REFUSED:
        build, text = REFUSED[name]
        assert text in message(build())
        return
    kind, build, key = TAKEN[name]
    given = sample(kind)
    torch.manual_seed(1)
    truth = build()(VALUES[kind])
    truth = truth[0] if isinstance(truth, tuple) else truth
    torch.manual_seed(1)
    out = Compose([build()])(given)
    assert torch.equal(out[key].squeeze(1) if name == "SpectralCentroid" else out[key], truth)
    assert not out[key].requires_grad
    assert out[key].ndim == (3 if key == "spectrogram" else 2)
    assert list(out) == ["label", key, "sample_rate", "text"]
    assert out["sample_rate"] == (5000 if name == "Resample" else RATE)
    assert same(given, sample(kind))  # what was given is as it was


@pytest.mark.parametrize("name", [name for name in T.__all__ if name not in REFUSED])
def test_another_rate_is_refused_by_what_was_built_for_one(name):
    kind, build, _ = TAKEN[name]
    has_rate = {"sample_rate", "orig_freq"} & set(inspect.signature(getattr(T, name)).parameters)
    given = {**sample(kind), "sample_rate": 11025}
    if not has_rate:
        Compose([build()])(given)
        return
    text = message(build(), given)
    assert f"torchaudio's {name} was built for {has_rate.pop()}=8000, the sample has 11025 Hz" in text
    assert ("take Resample(5000) of" if name == "Resample" else "put Resample(8000) of") in text
    assert "needs 'sample_rate', a whole number of Hz above 0, got None" in message(
        build(), {key: value for key, value in given.items() if key != "sample_rate"}
    )


@pytest.mark.parametrize("name", [name for name in T.__all__ if name not in REFUSED])
def test_a_sample_without_the_right_key_is_refused(name):
    kind, build, _ = TAKEN[name]
    key = kind if kind in ("waveform", "codes") else "spectrogram"
    assert f"torchaudio's {name} needs {key!r}" in message(build(), {"text": "", "sample_rate": RATE})
    assert f"takes a sample, a dict with {key!r}, got Tensor (1, 800)" in message(build(), noise(1, 800))
    assert "needs a tensor" in message(build(), {key: np.zeros((1, 800)), "sample_rate": RATE})


def test_phases_are_asked_for_and_refused():
    assert "of torch.complex64, got torch.float32 (2, 129, 32); put one with power=None before it" in message(
        T.InverseSpectrogram(256), sample("power")
    )
    assert "put one with power=2.0 before it" in message(T.AmplitudeToDB(), sample("complex"))


def test_a_length_that_would_no_longer_hold_is_refused():
    assert "length=3000 of 4000 steps" in message(T.Spectrogram(256), {**sample(), "length": 3000})


def test_torch_has_one_thread_for_them_and_the_old_number_after():
    step, seen = T.MFCC(RATE, melkwargs=MEL, n_mfcc=13), []
    step.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        Compose([step])(sample())
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("name", ["FrequencyMasking", "TimeMasking", "SpecAugment", "GriffinLim", "SpeedPerturbation"])
def test_what_is_random_follows_the_key_and_leaves_the_global_generator(name):
    kind, build, _ = TAKEN[name]
    chain = Compose([build()])
    torch.manual_seed(0)
    state = torch.get_rng_state()
    runs = [chain(sample(kind), Key(0, 0, index).generator()) for index in (1, 1, 2, 3, 4)]
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    assert same(runs[0], runs[1])
    assert same(runs[0], chain(sample(kind), Key(0, 0, 1).generator()))
    assert not all(same(runs[0], other) for other in runs[2:])


def test_a_subclass_is_torchaudios_unless_it_has_a_forward_of_its_own():
    class Louder(T.Vol):
        def __init__(self):
            super().__init__(2.0)

    class OfSamples(T.Vol):
        def forward(self, sample):
            return {**sample, "waveform": super().forward(sample["waveform"])}

    assert torch.equal(Compose([Louder()])(sample())["waveform"], T.Vol(2.0)(WAVE))
    assert torch.equal(Compose([OfSamples(2.0)])(sample())["waveform"], T.Vol(2.0)(WAVE))


def test_they_stand_between_ours_in_a_dataset():
    chain = Compose([ours.Mono(), T.Resample(RATE, 4000), ours.Gain(-6.0), T.MelSpectrogram(4000, 128, n_mels=10)])
    out = Mapped([sample()], transform=chain)[0]
    halved = T.Vol(-6.0, "db")(T.Resample(RATE, 4000)(WAVE.mean(0, keepdim=True)))
    assert torch.equal(out["spectrogram"], T.MelSpectrogram(4000, 128, n_mels=10)(halved))
    assert out["sample_rate"] == 4000
    assert "\n" not in name_of(chain.transforms[-1])


# --- nn.Sequential


def test_a_sequence_is_its_members_one_after_another():
    inner = torch.nn.Sequential(T.MelSpectrogram(RATE, **MEL), T.AmplitudeToDB())
    whole = torch.nn.Sequential(T.Vol(0.5), inner, T.FrequencyMasking(10))
    torch.manual_seed(2)
    truth = whole(WAVE)
    torch.manual_seed(2)
    out = Compose([whole])(sample())
    assert torch.equal(out["spectrogram"], truth)
    assert list(out) == ["label", "spectrogram", "sample_rate", "text"]
    resampled = torch.nn.Sequential(T.Resample(RATE, 4000), T.MelSpectrogram(4000, 128, n_mels=10))
    assert torch.equal(Compose([resampled])(sample())["spectrogram"], resampled(WAVE))
    late = torch.nn.Sequential(T.Resample(RATE, 4000), T.MelSpectrogram(RATE, **MEL))
    assert "MelSpectrogram was built for sample_rate=8000, the sample has 4000 Hz" in message(late)


# --- functions and modules that take a tensor


class Own(torch.nn.Module):
    def forward(self, given):
        return given.relu()


HINT = 'lambda sample: {**sample, "waveform": f(sample["waveform"])}, or a named function where workers are spawned'


@pytest.mark.parametrize(
    "step",
    [
        functools.partial(F.gain, gain_db=5.0),
        functools.partial(functools.partial(F.lowpass_biquad, sample_rate=RATE), cutoff_freq=100.0),
        F.dither,
        F.compute_deltas,
        torch.abs,
        torch.fft.rfft,
        torch.nn.functional.relu,
        torch.nn.Conv1d(2, 1, 3),
        torch.nn.Sequential(T.Vol(0.5), torch.nn.ReLU()),
        torch.nn.Sequential(torch.nn.Identity(), torch.nn.BatchNorm1d(2)),
    ],
    ids=lambda step: re.sub(r" at 0x\w+", "", name_of(step)),  # of a partial too, the same in every process
)
def test_an_error_of_what_wants_a_tensor_says_how_to_give_it_one(step):
    text = message(step)
    assert HINT in text
    assert text.startswith("sample: TypeError: ")
    assert "\n" not in text
    assert HINT.replace("waveform", "spectrogram") in message(step, sample("power"))
    image = {"image": np.zeros((8, 8, 3), np.uint8)}
    assert "lambda" not in message(step, image)


@pytest.mark.parametrize(
    "step",
    [
        lambda sample: sample.relu(),
        functools.partial(lambda by, sample: sample * by, 3),
        Own(),
        torch.nn.Sequential(Own(), torch.nn.ReLU()),
        torch.nn.Sequential(torch.nn.Identity(), Own()),
    ],
)
def test_the_error_of_somebodys_own_stays_as_it_is(step):
    assert "dict" in message(step)
    assert "a transform takes the sample" not in message(step)


def test_another_error_of_torchs_stays_as_it_is():
    assert "a transform takes the sample" not in message(functools.partial(F.gain, decibels=5.0))
    assert "a transform takes the sample" not in message(torch.abs, noise(1, 80).numpy())


def test_a_function_in_a_lambda_does_what_the_hint_says():
    chain = Compose([lambda sample: {**sample, "waveform": F.gain(sample["waveform"], 5.0)}])
    assert torch.equal(chain(sample())["waveform"], F.gain(WAVE, 5.0))


# --- ours on a tensor, and with arguments that are nearly right

OF_SOUND = [
    *(ours.Resample(4000), ours.Mono(), ours.FixLength(8), ours.RandomClip(8), ours.Gain(3.0), ours.PeakNormalize()),
    *(ours.LowPass(100.0), ours.HighPass(100.0), ours.Equalizer(100.0, 3.0), ours.SpeedPerturb(), ours.Dither()),
    *(ours.PitchShift(2.0), ours.AddNoise("pink", 5.0), ours.Reverb(WAVE), ours.MuLawEncoding(), ours.MuLawDecoding()),
    *(ours.Spectrogram(), ours.MelSpectrogram(), ours.MelScale(), ours.MFCC(), ours.AmplitudeToDB()),
    *(ours.ComputeDeltas(), ours.TimeStretch(1.1), ours.GriffinLim(), ours.Features()),
    *(ours.FrequencyMasking(3), ours.TimeMasking(3)),
]


@pytest.mark.parametrize("step", OF_SOUND, ids=name_of)
def test_ours_say_that_they_take_a_sample(step):
    with pytest.raises(TypeError, match=r" takes a sample, a dict with '\w+', got Tensor \(1, 800\)$") as caught:
        step(noise(1, 800))
    assert type(step).__name__ in str(caught.value)


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (ours.Gain, "db"),
        (ours.PitchShift, "steps"),
        (functools.partial(ours.AddNoise, "pink"), "snr"),
        (ours.TimeStretch, "rate"),
    ],
)
def test_a_list_is_a_pair(build, field):
    assert build([1, 2]) == build((1, 2))
    assert hash(build([1, 2])) == hash(build((1, 2)))
    assert getattr(build([1, 2]), field) == (1, 2)
    for wrong in ([1, 2, 3], [], [2, 1], ["1", "2"], "12", None):
        with pytest.raises(ValueError, match="needs a finite .*, got "):
            build(wrong)


def test_speed_says_that_it_needs_factors():
    with pytest.raises(TypeError, match=r"needs a tuple of factors, such as \(1.1,\) .*, got 1.1$"):
        ours.SpeedPerturb(1.1)
    assert ours.SpeedPerturb([1.1]) == ours.SpeedPerturb((1.1,))


# --- what the axes mean


def meaning(*steps):
    dataset = Mapped([sample()], transform=Compose(steps))
    return spectrum_after([stage for stage, _ in dataset.trace(0)], steps_by_name(dataset))


@pytest.mark.parametrize(
    ("theirs", "mine"),
    [
        ([T.Spectrogram(256)], [ours.Spectrogram(256)]),
        (
            [T.Spectrogram(256, hop_length=80, power=1.0, center=False, pad=7)],
            [ours.Spectrogram(256, hop_length=80, power=1.0, center=False, pad=7)],
        ),
        (
            [T.MelSpectrogram(RATE, f_min=50.0, f_max=3000.0, mel_scale="slaney", **MEL)],
            [ours.MelSpectrogram(f_min=50.0, f_max=3000.0, mel_scale="slaney", **MEL)],
        ),
        (
            [
                torch.nn.Sequential(T.Spectrogram(256), T.MelScale(20, RATE, f_max=3000.0, n_stft=129)),
                T.AmplitudeToDB(),
            ],
            [ours.Spectrogram(256), ours.MelScale(20, f_max=3000.0), ours.AmplitudeToDB()],
        ),
        ([T.MFCC(RATE, 13, melkwargs=MEL)], [ours.MFCC(13, mel=ours.MelSpectrogram(**MEL))]),
    ],
)
def test_the_axes_are_those_of_our_transforms(theirs, mine):
    assert meaning(*theirs) == meaning(*mine)
