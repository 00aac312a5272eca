"""What `inspect` finds in sounds: which values they are, what their axes mean, what is wrong, how long they are."""

import numpy as np
import pytest
import soundfile
import torch
from sounds import noise

from datakit import Concat, Loader, Mapped, Subset, collate
from datakit.audio import AudioFiles, SpokenDigits, features, save
from datakit.audio.features import Cmvn, Deltas, Fbank, Mfcc, OnSample
from datakit.errors import DatakitError
from datakit.inspection.batch import padding_of, split
from datakit.inspection.look import look
from datakit.inspection.sound import changed, sound_in, sounds_in
from datakit.inspection.spectrum import UNKNOWN, Spectrum, share_of, spectrum_after, steps_by_name
from datakit.inspection.survey import Sounds
from datakit.inspection.surveying import survey
from datakit.targets import Target
from datakit.transforms import (
    MFCC,
    AmplitudeToDB,
    Compose,
    ComputeDeltas,
    Features,
    FrequencyMasking,
    Gain,
    MelScale,
    MelSpectrogram,
    MuLawEncoding,
    PeakNormalize,
    Resample,
    Spectrogram,
)

RATE = 8000


def sample(steps=800, channels=1, rate=RATE, seed=0):
    return {"waveform": noise(channels, steps, seed) / 2, "sample_rate": rate}


def seen_in(samples, *steps, **options):
    dataset = samples if hasattr(samples, "trace") else Mapped(samples)
    dataset = dataset.with_transform(Compose(steps)) if steps else dataset
    dataset.collate_fn = collate.pad
    return look(Target("sounds", dataset), **{"draws": 0, "survey_records": 0, **options})


# --- which values they are


def test_the_sounds_of_a_sample_in_the_order_in_which_they_are_made():
    chain = Compose([MelSpectrogram(n_fft=200, n_mels=20, keep=True), Features(keep=True)])
    wave, mel, turned = sounds_in(chain(sample(channels=1)))
    assert [one.key for one in (wave, mel, turned)] == ["waveform", "spectrogram", "features"]
    assert [one.values.shape for one in (wave, mel, turned)] == [(1, 800), (1, 20, 9), (1, 20, 9)]
    np.testing.assert_array_equal(turned.values, mel.values)
    assert (wave.rate, wave.valid, wave.seconds) == (RATE, 800, 0.1)
    assert (mel.valid, mel.seconds) == (9, None)
    assert sound_in(chain(sample())).key == "features"
    assert sound_in({"label": 3}) is sound_in((1, "a")) is sound_in(None) is None


def test_complex_spectrograms_as_magnitudes():
    made = Spectrogram(n_fft=64, power=None)(sample())
    (sound,) = sounds_in(made)
    assert sound.is_complex
    np.testing.assert_allclose(sound.values, made["spectrogram"].abs().numpy(), rtol=1e-6)


def test_a_tuple_as_torchaudio_has_it():
    (sound,) = sounds_in((torch.rand(2, 300), 16000, "a text", 7, 1, 3))
    assert (sound.key, sound.values.shape, sound.rate) == ("waveform", (2, 300), 16000)
    for other in [
        (torch.rand(300, 2), 16000),
        (torch.rand(2, 300), 3),
        (torch.rand(2, 300), "x"),
        (torch.rand(3), 8000),
    ]:
        assert sounds_in(other) == []


@pytest.mark.parametrize("value", [torch.rand(3), torch.zeros(1, 0), "text", None, np.array([["a"]])])
def test_what_is_no_waveform_is_passed_over(value):
    assert sounds_in({"waveform": value, "sample_rate": RATE}) == []


@pytest.mark.parametrize("rate", [None, 0, -5, "8000", True])
def test_a_rate_that_is_none(rate):
    (sound,) = sounds_in({**sample(), "sample_rate": rate})
    assert sound.rate is sound.seconds is None


def test_what_a_stage_changed():
    first = sample()
    louder = Gain(3.0)(first)
    assert [one.key for one in changed(louder, first)] == ["waveform"]
    kept = Spectrogram(n_fft=64, keep=True)(louder)
    assert [one.key for one in changed(kept, louder)] == ["spectrogram"]
    assert [one.key for one in changed({**kept, "label": 1}, kept)] == ["spectrogram"]  # nothing: the last one
    assert [one.key for one in changed({**first, "sample_rate": 16000}, first)] == ["waveform"]
    assert changed({"label": 1}, first) == []


def test_the_samples_of_a_batch_know_their_lengths():
    lengths = [500, 800, 100]
    batch = collate.pad([sample(steps, seed=steps) for steps in lengths])
    parts = [sound_in(one) for one in split(batch)]
    assert [(one.values.shape, one.valid) for one in parts] == [((1, 800), steps) for steps in lengths]
    both = [Spectrogram(n_fft=64, keep=True)(sample(steps)) for steps in lengths]
    frames = [steps // 32 + 1 for steps in lengths]
    assert [sound_in(one).valid for one in split(collate.pad(both))] == frames
    assert [sounds_in(one)[0].valid for one in split(collate.pad(both))] == lengths
    assert split({"number": torch.arange(3)}) == []


@pytest.mark.parametrize(
    ("step", "shape"), [(MuLawEncoding(), (1, 800)), (Spectrogram(n_fft=64), (1, 33, 26)), (None, (1, 800))]
)
def test_batches_of_every_key(step, shape):
    batch = collate.stack([sample() if step is None else step(sample()) for _ in range(3)])
    assert [sound_in(one).values.shape for one in split(batch)] == [shape] * 3


# --- what the axes mean


def after(*steps):
    dataset = Mapped([sample()], transform=Compose(steps))
    return spectrum_after([stage for stage, _ in dataset.trace(0)], steps_by_name(dataset))


def test_the_meaning_follows_the_chain():
    mel = MelSpectrogram(n_fft=200, n_mels=20, f_min=50.0, f_max=3000.0, mel_scale="slaney")
    assert after(Gain(1.0)) == UNKNOWN
    assert after(Spectrogram(n_fft=200)) == Spectrum("Hz", "power", 100, 0.0)
    assert after(Spectrogram(n_fft=200, hop_length=80, power=1.0, center=False, pad=7)) == Spectrum(
        "Hz", "magnitude", 80, 93.0
    )
    assert after(mel) == Spectrum("mel", "power", 100, 0.0, 50.0, 3000.0, "slaney")
    assert after(Spectrogram(n_fft=200), MelScale(20), AmplitudeToDB()) == Spectrum("mel", "dB", 100)
    assert after(mel, AmplitudeToDB()).values == "dB"
    assert after(MFCC(13, mel=mel)) == Spectrum("coefficient", "value", 100, 0.0)
    assert after(MFCC(13, mel=mel), ComputeDeltas(append=True)).bins == "bin"
    assert after(MFCC(13, mel=mel), ComputeDeltas()).bins == "coefficient"


def test_the_meaning_comes_from_inner_datasets_too():
    inner = Mapped([sample()], transform=Spectrogram(n_fft=200))
    outer = Concat([inner]).with_transform(AmplitudeToDB())
    assert spectrum_after([stage for stage, _ in outer.trace(0)], steps_by_name(outer)) == Spectrum("Hz", "dB", 100)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_mel_is_torchaudios(scale):
    from torchaudio.functional.functional import _hz_to_mel

    spectrum, high = Spectrum("mel", low=40.0, mel_scale=scale), 7600.0
    for hertz in (40.0, 333.0, 1000.0, 2500.0, 7600.0):
        low, at, top = (_hz_to_mel(value, scale) for value in (40.0, hertz, high))
        assert share_of(hertz, spectrum, high) == pytest.approx((at - low) / (top - low), abs=1e-9)


# --- what may be wrong


def texts(seen):
    return [found.text for found in seen.findings]


def test_real_looking_digits_are_clean():
    digits = SpokenDigits.synthetic(n=16)
    assert texts(seen_in(digits)) == []
    assert texts(seen_in(digits, Gain((-6.0, 0.0)), MelSpectrogram(n_fft=200, n_mels=20))) == []
    normalized = Compose([MelSpectrogram(n_fft=200, n_mels=20), AmplitudeToDB(), MeanOfZero()])
    assert texts(seen_in(digits, normalized)) == []


class MeanOfZero:
    """Padding with 0 is in the middle of such values."""

    def __call__(self, sample):
        values = sample["spectrogram"]
        return {**sample, "spectrogram": (values - values.mean()) / values.std()}


def test_silence_is_found_as_loaded_and_after_a_transform():
    samples = [sample(seed=seed) for seed in range(4)]
    (text,) = texts(seen_in([*samples[:3], {**samples[3], "waveform": torch.zeros(1, 800)}]))
    assert text.startswith("waveform has one value only as loaded, in 1 of 4 samples")

    def mute(sample):
        return {**sample, "waveform": sample["waveform"] * 0}

    (text,) = texts(seen_in(samples, mute))
    assert "after " in text
    assert "in 4 of 4 samples" in text


def test_several_rates_are_found_unless_they_are_made_one():
    samples = [sample(rate=rate, seed=place) for place, rate in enumerate([8000, 16000, 8000, 8000])]
    seen = seen_in(samples)
    (found,) = seen.findings
    assert "2 sample rates at the end of the chain: 8,000 Hz (3), 16,000 Hz (1)" in found.text
    assert "Resample(8000)" in found.hint
    assert found.indices == (1,)
    assert texts(seen_in(samples, Resample(8000))) == []


def test_padding_louder_than_the_sound_is_found():
    samples = [sample(steps, seed=steps) for steps in (400, 800)]
    chain = (Gain(-40.0), Spectrogram(n_fft=64), AmplitudeToDB())
    (text,) = texts(seen_in(samples, *chain))
    assert text.startswith("the batch pads spectrogram with 0, which is louder than ")
    assert texts(seen_in([samples[0]] * 2, *chain)) == []  # nothing is padded
    (text,) = texts(seen_in(samples, *chain, Features()))
    assert text.startswith("the batch pads features with 0")
    quiet = Mapped(samples, transform=Compose(chain))
    loader = Loader(quiet, 2, collate_fn=lambda batch: collate.pad(batch, value=-100.0))
    assert look(Target("quiet", quiet, loader), draws=0, survey_records=0).findings == ()


# --- how long they are


def test_padding_is_the_share_of_steps_that_hold_nothing():
    batch = collate.pad([sample(steps) for steps in (100, 400, 200)])
    padding = padding_of(batch)
    assert (padding.key, padding.lengths.tolist(), padding.steps, padding.rate) == (
        "waveform",
        [100, 400, 200],
        400,
        RATE,
    )
    assert padding.share == pytest.approx(1 - 700 / 1200)
    tokens = collate.pad([{"tokens": torch.arange(3)}, {"tokens": torch.arange(1)}])
    assert (padding_of(tokens).key, padding_of(tokens).share) == ("tokens", pytest.approx(1 / 3))
    mixed = collate.pad([sample(100), sample(400, rate=16000)])
    assert padding_of(mixed).rate is None
    for other in (None, [], {}, {"length": torch.arange(3)}, {"waveform": torch.rand(2, 1, 8)}):
        assert padding_of(other) is None


def test_durations_are_those_of_soundfile(tmp_path):
    for place, (steps, channels, rate) in enumerate([(800, 1, 8000), (1600, 2, 16000), (4000, 1, 8000)]):
        save(tmp_path / f"{place}.wav", noise(channels, steps), rate)
    sounds = survey(AudioFiles(tmp_path), records=None).sounds
    truth = sorted(soundfile.info(path).duration for path in tmp_path.glob("*.wav"))
    np.testing.assert_allclose(sorted(sounds.durations), truth, rtol=1e-12)
    assert (sounds.rates, sounds.channels) == (((8000, 2), (16000, 1)), ((1, 2), (2, 1)))
    assert isinstance(sounds, Sounds)


def test_the_survey_is_of_the_sounds_as_loaded():
    dataset = Mapped([sample(400)], transform=Compose([Resample(16000), PeakNormalize(), Spectrogram(n_fft=64)]))
    assert survey(dataset).sounds.durations.tolist() == [0.05]
    assert survey(Mapped([{"label": 1}])).sounds is None


def test_what_a_gain_cut_off_is_found_and_a_loud_file_is_not():
    samples = [sample(seed=seed) for seed in range(3)]
    (text,) = texts(seen_in(samples, Gain(20.0)))
    assert text.startswith("waveform is cut off at ±1 after Gain(20.0), in 3 of 3 samples: ")
    assert texts(seen_in(samples, Gain(3.0))) == []
    assert texts(seen_in([{**one, "waveform": one["waveform"].sign()} for one in samples])) == []  # so as loaded


def test_a_mask_of_0_in_decibels_is_found_and_one_of_the_mean_is_not():
    chain = (Gain(-40.0), Spectrogram(n_fft=64), AmplitudeToDB())
    samples = [sample(seed=seed) for seed in range(3)]
    (text,) = texts(seen_in(samples, *chain, FrequencyMasking(20)))
    assert text.startswith("the mask of spectrogram is 0 after FrequencyMasking(20), in ")
    assert texts(seen_in(samples, *chain, FrequencyMasking(20, value=None))) == []
    assert texts(seen_in(samples, Spectrogram(n_fft=64), FrequencyMasking(20))) == []


def test_masks_do_not_hide_loud_padding():
    samples = [sample(steps, seed=steps) for steps in (400, 800)]
    found = texts(seen_in(samples, Gain(-40.0), Spectrogram(n_fft=64), AmplitudeToDB(), FrequencyMasking(33)))
    assert any(text.startswith("the batch pads spectrogram with 0") for text in found)


def test_channels_that_differ_are_said_whether_or_not_there_is_a_chain():
    samples = [sample(channels=channels) for channels in (1, 2)]
    assert "Mono()" in seen_in(samples).notes[0]
    (found,) = seen_in(samples, Gain(0.0)).findings
    assert "keeps the batch from being made" in found.text
    assert "Mono()" in found.hint


def test_a_chain_that_fails_on_all_is_not_blamed_on_the_records():
    seen = look(Target("x", Mapped([sample()] * 12, transform=Features())), draws=0)
    (found,) = [one for one in seen.findings if "could not be read" in one.text]
    assert "look at the chain" in found.hint


def test_lengths_of_parts_of_datasets():
    digits = SpokenDigits.synthetic(n=16)
    part = Subset(digits, [5, 2, 9])
    assert part.lengths().tolist() == digits.lengths()[[5, 2, 9]].tolist()
    np.testing.assert_array_equal(Concat([part, digits]).durations()[:3], part.durations())
    with pytest.raises(DatakitError, match=r"Mapped\(list\): 1 records has no lengths\(\)"):
        Subset(Mapped([sample()]), [0]).lengths()


def test_the_axes_of_kaldis_features():
    fbank = Fbank(sample_frequency=8000.0, low_freq=50.0, high_freq=-500.0, num_mel_bins=20, dither=0.0)
    assert after(OnSample(fbank)) == Spectrum("mel", "log", 80, 100.0, 50.0, 3500.0)
    assert after(OnSample(fbank), OnSample(Cmvn())) == Spectrum("mel", "value", 80, 100.0, 50.0, 3500.0)
    centred = Spectrum("coefficient", "value", 80, 40.0)
    assert after(OnSample(Mfcc(sample_frequency=8000.0, snip_edges=False, dither=0.0))) == centred
    power = features.Spectrogram(sample_frequency=8000.0, dither=0.0)
    assert after(OnSample(power)) == Spectrum("Hz", "log", 80, 100.0)
    assert after(OnSample(power, Deltas())).bins == "bin"
    assert after(OnSample(Fbank(sample_frequency=8000.0, use_energy=True, dither=0.0))).bins == "bin"
