"""Random changes of sound draw from the sample's key alone, and do what they say."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import signal, stats
from sounds import noise, sound, speech_of

import datakit.transforms as T
from datakit import Key, Mapped
from datakit.errors import SampleError
from datakit.testing import assert_one_stream

RATE = 16000
SAMPLE = {"waveform": sound(2, 4000), "sample_rate": RATE}


def snr_of(clean, noisy):
    """dB, of every channel, in float64."""
    clean, noisy = clean.double(), noisy.double()
    return 10 * torch.log10(clean.square().sum(1) / (noisy - clean).square().sum(1))


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1, 0.5, 2.0, 1.25])
def test_speed_equals_torchaudio(torchaudio, factor):
    out = T.SpeedPerturb((factor,))(SAMPLE, np.random.default_rng(0))
    truth, _ = torchaudio.transforms.Speed(RATE, factor)(SAMPLE["waveform"])
    assert torch.equal(out["waveform"], truth)
    assert out["waveform"].shape == (2, math.ceil(4000 * RATE / int(RATE * factor)))
    assert out["sample_rate"] == RATE


def test_speed_draws_each_factor_as_often():
    speed, rng = T.SpeedPerturb([0.9, 1.0, 1.1]), np.random.default_rng(0)
    counts = np.unique([speed.draw({}, rng) for _ in range(3000)], return_counts=True)[1]
    assert stats.chisquare(counts).pvalue > 1e-3
    assert hash(speed) == hash(T.SpeedPerturb())


def frequency_of(wave, rate):
    """Of a tone, from the phase of its largest component in two halves of the middle, Hz."""
    steps = np.arange(len(wave))
    window = signal.windows.hann(len(wave))
    bins = np.abs(np.fft.rfft(wave * window, 16 * len(wave)))
    near = np.argmax(bins) * rate / (16 * len(wave))
    half = len(wave) // 2
    mixed = wave * np.exp(-2j * np.pi * near * steps / rate)
    parts = [np.sum(mixed[i : i + half] * signal.windows.hann(half)) for i in (0, half)]
    return near + np.angle(parts[1] / parts[0]) / (2 * np.pi) * rate / half


@pytest.mark.parametrize("steps", [-12.0, -3.0, 0.37, 2.0, 7.0, 12.0])
def test_pitch_moves_by_the_semitones_asked_for_and_the_length_stays(steps):
    tone = torch.sin(2 * math.pi * 440 / RATE * torch.arange(2 * RATE)).float()[None] * 0.5
    out = T.PitchShift(steps)({"waveform": tone, "sample_rate": RATE})
    assert out["waveform"].shape == tone.shape
    middle = out["waveform"][0, 8000:24000].double().numpy()
    cents = 1200 * math.log2(frequency_of(middle, RATE) / 440) - 100 * steps
    assert abs(cents) < 2


@pytest.mark.parametrize("steps", [-4.0, 1.3, 5.0])
def test_pitch_is_shifted_by_torchaudio_at_a_fraction_of_small_numbers(torchaudio, steps):
    rate, near = T.augment.near_shift(steps)
    assert rate <= 512
    assert abs(near - steps) < 0.02
    wave = noise(2, 3000)
    out = T.PitchShift(steps)({"waveform": wave})["waveform"]
    assert torch.equal(out, torchaudio.functional.pitch_shift(wave, rate, near))


@pytest.mark.parametrize("kind", ["white", "pink", "longer", "shorter", "mono"])
@pytest.mark.parametrize("snr", [-5.0, 10.0, 30.0])
def test_the_ratio_measured_is_the_ratio_asked_for(kind, snr):
    sounds = {"longer": [noise(2, 9000)], "shorter": [noise(2, 700)], "mono": noise(1, 5000)}
    add = T.AddNoise(sounds.get(kind, kind), snr)
    out = add(SAMPLE, np.random.default_rng(1))["waveform"]
    assert out.shape == (2, 4000)
    np.testing.assert_allclose(snr_of(SAMPLE["waveform"], out), snr, atol=0.01)


def test_ratios_of_a_range_are_drawn_evenly():
    add, rng = T.AddNoise("white", (5.0, 20.0)), np.random.default_rng(0)
    drawn = [float(snr_of(SAMPLE["waveform"], add(SAMPLE, rng)["waveform"])[0]) for _ in range(300)]
    assert stats.kstest(drawn, stats.uniform(5, 15).cdf).pvalue > 1e-3


def test_noise_is_added_as_torchaudio_adds_it_and_from_every_place(torchaudio):
    wave, ramp = SAMPLE["waveform"], torch.arange(1.0, 4006.0)[None]  # five steps longer, so six places
    add, rng, firsts = T.AddNoise([ramp], 10.0), np.random.default_rng(0), []
    for _ in range(600):
        params = add.draw(SAMPLE, rng)
        first = int(params.place * 6)
        truth = torchaudio.functional.add_noise(
            wave, ramp[:, first : first + 4000].expand(2, -1), torch.full((2,), 10.0)
        )
        assert torch.equal(add.apply(SAMPLE, params)["waveform"], truth)
        firsts.append(first)
    assert stats.chisquare(np.bincount(firsts, minlength=6)).pvalue > 1e-3


def test_short_noise_goes_round():
    silence_but_one = torch.zeros(1, 100)
    silence_but_one[0, 3] = 1.0
    out = T.AddNoise(silence_but_one, 0.0)(SAMPLE, np.random.default_rng(0))["waveform"] - SAMPLE["waveform"]
    places = out[0].abs().gt(1e-3).nonzero().flatten()
    assert len(places) == 40
    assert set(places.diff().tolist()) == {100}


@pytest.mark.parametrize(("kind", "slope"), [("white", 0.0), ("pink", -10.0)])
def test_noise_has_the_colour_it_is_named_for(kind, slope):
    clean = torch.full((2, 200_000), 0.1)
    out = T.AddNoise(kind, 0.0)({"waveform": clean}, np.random.default_rng(0))["waveform"] - clean
    frequencies, power = signal.welch(out.double().numpy(), RATE, nperseg=4096)
    band = (frequencies > 30) & (frequencies < 7000)
    fitted = np.polyfit(np.log10(frequencies[band]), 10 * np.log10(power[0, band]), 1)[0]  # dB a decade
    assert fitted == pytest.approx(slope, abs=0.5)
    assert abs(np.corrcoef(out.numpy())[0, 1]) < 0.15  # channels of their own


@pytest.mark.parametrize(("add", "message"), [
    (T.AddNoise([noise(3, 500)], 3.0), r"noise \(3, 500\) does not fit a waveform \(2, 4000\)"),
    (T.AddNoise([torch.cat([torch.zeros(1, 10**6), torch.ones(1, 1)], 1)], 3.0), "the piece of sound 0 .* is silent"),
    (T.AddNoise([{"waveform": noise(1, 500), "sample_rate": 8000}], 3.0), "sound 0 has 8000 Hz, the sample 16000 Hz"),
    (T.AddNoise(Mapped([{"audio": noise(1, 500)}]), 3.0), r"sound 0 needs 'waveform' \(C, T\)"),
    (T.AddNoise(Mapped([np.zeros(3)]), 3.0), "sound 0 needs a tensor"),
    (T.Reverb([noise(3, 500)]), r"response \(3, 500\) does not fit a waveform \(2, 4000\)"),
    (T.Reverb([{"waveform": noise(1, 50), "sample_rate": 8000}]), "sound 0 has 8000 Hz, the sample 16000 Hz"),
    (T.Reverb(Mapped([{"waveform": torch.zeros(1, 50)}])), "got silence as sound 0"),
])  # fmt: skip
def test_sounds_that_do_not_fit_are_said(add, message):
    with pytest.raises(SampleError, match=message) as caught:
        T.Compose([add])(SAMPLE, np.random.default_rng(0))
    assert caught.value.stage == repr(add)[:120] or len(repr(add)) > 120


def test_silence_stays_silence():
    out = T.AddNoise("white", 10.0)({"waveform": torch.zeros(1, 50)})["waveform"]
    assert torch.equal(out, torch.zeros(1, 50))


def test_noise_comes_from_a_dataset_whatever_it_draws():
    samples = [{"waveform": noise(1, 6000, seed=n), "sample_rate": RATE} for n in range(3)]
    add = T.AddNoise(Mapped(samples, transform=T.RandomClip(5000)), (0.0, 10.0))
    one, other = (add(SAMPLE, np.random.default_rng(4))["waveform"] for _ in range(2))
    assert torch.equal(one, other)
    assert not torch.equal(one, add(SAMPLE, np.random.default_rng(5))["waveform"])


def test_an_echo_is_the_convolution_from_the_direct_sound_on(torchaudio):
    wave, room = SAMPLE["waveform"], sound(1, 300)
    room[0, 40] = 1.0
    out = T.Reverb(room)(SAMPLE)["waveform"]
    scaled = room / torch.linalg.vector_norm(room)
    assert torch.equal(out, torchaudio.functional.fftconvolve(wave, scaled)[:, 40:4040])
    truth = np.stack([np.convolve(one, scaled[0].double().numpy()) for one in wave.double().numpy()])
    np.testing.assert_allclose(out.numpy(), truth[:, 40:4040], atol=1e-6)
    tail = T.Reverb(room, tail=True)(SAMPLE)["waveform"]
    np.testing.assert_allclose(tail.numpy(), truth[:, 40:], atol=1e-6)
    click = torch.zeros(1, 64)
    click[0, 17] = 0.3
    torch.testing.assert_close(T.Reverb(click)(SAMPLE)["waveform"], wave, atol=1e-6, rtol=0)
    both = T.Reverb(noise(2, 30))({"waveform": wave[:1]})["waveform"]
    assert both.shape == (2, 4000)


@pytest.mark.parametrize(
    "transform", [T.AddNoise("white", 0.0, p=0.3), T.Reverb(sound(1, 9), p=0.3), T.PitchShift(1.0, p=0.3)]
)
def test_p_is_how_often(transform):
    rng = np.random.default_rng(0)
    acted = sum(transform.draw(SAMPLE, rng) is not None for _ in range(1000))
    assert stats.binomtest(acted, 1000, 0.3).pvalue > 1e-3
    assert transform.apply(SAMPLE, None) is SAMPLE


@pytest.mark.parametrize("shaping", [False, True])
@pytest.mark.parametrize("density", ["TPDF", "RPDF", "GPDF"])
def test_dither_as_torchaudio_equals_it(torchaudio, density, shaping):
    dither, wave = T.Dither(density, as_torchaudio=True, noise_shaping=shaping), SAMPLE["waveform"]
    seed = dither.draw(SAMPLE, np.random.default_rng(3))
    torch.manual_seed(int(np.random.default_rng(seed).integers(2**63)))
    truth = torchaudio.functional.dither(wave.clone(), density, shaping)
    torch.manual_seed(0)
    assert torch.equal(dither(SAMPLE, np.random.default_rng(3))["waveform"], truth)
    if density == "GPDF":
        with pytest.raises(ValueError, match=r"several channels and steps, got a waveform \(1, 4000\)"):
            dither({"waveform": wave[:1]})


@pytest.mark.parametrize(("density", "deviation"), [("TPDF", 6**-0.5), ("RPDF", 12**-0.5), ("GPDF", 0.5)])
def test_dither_is_noise_of_its_density_that_does_not_follow_the_sound(density, deviation):
    faint = 0.3 * torch.sin(torch.arange(100_000) * 0.01)[None] / 32768  # without dither rounded away whole
    out = T.Dither(density)({"waveform": faint}, np.random.default_rng(0))["waveform"].double() * 32768
    assert torch.equal(out, out.round())
    error = (out - faint.double() * 32768)[0].numpy()
    total = math.sqrt(deviation**2 + 1 / 12)  # of the noise and of rounding
    if density != "RPDF":
        assert error.std() == pytest.approx(total, rel=0.02)
    assert abs(error.mean()) < 0.01
    gain = np.dot(out[0].numpy(), faint[0].numpy()) / np.dot(faint[0].numpy(), faint[0].numpy() * 32768)
    assert gain == pytest.approx(1, abs=0.05)
    loud = T.Dither(density)({"waveform": torch.tensor([[1.0, -1.0]])})["waveform"]
    assert loud.abs().max() <= 1


def chain():
    """Every random transform of sound there is."""
    return T.Compose([
        T.RandomClip(3000), T.Gain((-6.0, 6.0)), T.SpeedPerturb(), T.PitchShift((-2.0, 2.0), p=0.8),
        T.AddNoise("pink", (5.0, 20.0), p=0.8), T.AddNoise([sound(1, 900), sound(2, 9000)], (0.0, 9.0)),
        T.AddNoise(Mapped([{"waveform": noise(1, 8000), "sample_rate": RATE}], transform=T.RandomClip(4000)), 15.0),
        T.Reverb([sound(1, 200), sound(1, 500, seed=3)], p=0.7), T.Dither(), T.Dither("RPDF", as_torchaudio=True),
        T.Spectrogram(128, power=None, keep=True), T.TimeStretch((0.8, 1.2), hop_length=64), Magnitude(),
        T.FrequencyMasking(20, iid_masks=True), T.TimeMasking(20, p=0.5),
        T.GriffinLim(128, n_iter=2, power=1.0, keep=True),
        T.MelScale(20), T.TimeMasking(5, value=None),
    ])  # fmt: skip


class Magnitude:
    """A step of the user's own in the middle."""

    def __call__(self, sample):
        return {**sample, "spectrogram": sample["spectrogram"].abs()}


def corpus(transform):
    samples = [{"waveform": sound(2, 3000 + 50 * n, seed=n), "sample_rate": RATE} for n in range(6)]
    return Mapped(samples, transform=transform)


def test_the_chain_of_all_is_one_stream_and_follows_the_key():
    dataset = corpus(chain())
    assert {type(step) for step in dataset.transform.transforms} >= set(random_ones())
    assert_one_stream(dataset, workers=(0, 2), batch_sizes=(3,))
    one, again, other = (dataset[key] for key in (Key(1, 2, 3), Key(1, 2, 3), Key(1, 3, 3)))
    for key in ("waveform", "spectrogram"):
        assert torch.equal(one[key], again[key])
        assert one[key].shape != other[key].shape or not torch.equal(one[key], other[key])


def random_ones():
    """Every public transform of sound that is random."""
    parts = {T.augment, T.masking, T.noise, T.spectral, T.waveform}
    public = [getattr(T, name) for name in T.__all__]
    names = {part.__name__ for part in parts}
    return [one for one in public if isinstance(one, type) and issubclass(one, T.Random) and one.__module__ in names]


def test_no_draw_touches_a_global_generator():
    before, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()
    chain()(corpus(None)[0], np.random.default_rng(0))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpys)


def test_the_last_bits_do_not_depend_on_the_number_of_threads(one_thread):
    steps = [
        T.Resample(8000), T.LowPass(900.0), T.Equalizer(500.0, 2.0), T.AddNoise("pink", 3.0), T.Reverb(sound(1, 5000)),
        T.PitchShift(3.0), T.SpeedPerturb((0.9,)), T.MFCC(20, mel=T.MelSpectrogram(n_mels=64)),
        T.MelSpectrogram(n_mels=64),
        T.Compose([T.Spectrogram(), T.TimeMasking(9, value=None), T.GriffinLim(n_iter=2)]), T.Mono(), T.Dither(),
        T.Compose([T.Spectrogram(power=None), T.TimeStretch(1.1)]),
    ]  # fmt: skip
    sample = {"waveform": sound(2, 300_000), "sample_rate": RATE}
    for step in steps:
        torch.set_num_threads(1)
        one = T.Compose([step])(sample, np.random.default_rng(0))
        torch.set_num_threads(4)
        many = T.Compose([step])(sample, np.random.default_rng(0))
        assert torch.get_num_threads() == 4
        assert all(torch.equal(one[key], many[key]) for key in one if isinstance(one[key], torch.Tensor)), step


def test_a_real_sentence_goes_through_a_training_chain(shared):
    speech = speech_of(shared)
    train = T.Compose([
        T.Resample(RATE), T.SpeedPerturb(), T.AddNoise("pink", (5.0, 20.0)), T.PeakNormalize(0.9),
        T.MelSpectrogram(n_fft=512, win_length=400, hop_length=160, n_mels=80), T.AmplitudeToDB(top_db=80.0),
        T.Features(),
        T.FrequencyMasking(27, value=None), T.TimeMasking(100, value=None, p=0.2),
    ])  # fmt: skip
    out = train({**speech, "text": "x"}, np.random.default_rng(0))
    assert list(out) == ["features", "sample_rate", "text"]
    seconds = speech["waveform"].shape[1] / speech["sample_rate"]
    assert out["features"].shape[1] == 80
    assert 0.9 * seconds * 100 - 2 < out["features"].shape[0] < seconds * 100 / 0.9 + 2
    assert out["features"].isfinite().all()


def test_a_range_or_a_number_is_a_value():
    assert dataclasses.replace(T.Gain((1.0, 2.0)), db=3.0) == T.Gain(3.0)
