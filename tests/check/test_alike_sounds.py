"""Sounds that are nearly the same, and takes of a word that are not."""

from functools import lru_cache

import numpy as np
import pytest
import torch
from alterations import SOUNDS, at_rate, padded, trimmed
from archives import unpacked

from datakit.audio import SpokenDigits, YesNo
from datakit.check.alike import candidates, confirm, sketch
from datakit.check.alike.sound_likeness import overlaid


@lru_cache(maxsize=64)
def voice(seed, seconds=0.8, rate=8000):
    """A gliding tone with overtones in two formants that move, loud and soft, with a little hiss; silence around."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    pitch = 110 + 60 * rng.random() + 25 * np.sin(2 * np.pi * (rng.uniform(0.5, 2) * time + rng.random()))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    formants = [
        np.interp(time, np.linspace(0, seconds, 5), rng.uniform(*span, 5)) for span in ((300, 900), (1000, 2500))
    ]
    wave = np.zeros_like(time)
    for overtone in range(1, 20):
        strength = sum(np.exp(-(((overtone * pitch - formant) / 200) ** 2)) for formant in formants)
        wave += (strength + 0.05) * np.sin(overtone * phase + rng.random() * 6)
    loud = np.interp(time, np.linspace(0, seconds, 8), [0, *rng.uniform(0.1, 1, 6), 0])
    wave = wave / np.abs(wave).max() * loud + rng.normal(0, 0.003, len(time))
    wave = np.pad(wave * 0.5, int(0.1 * rate))
    return torch.from_numpy(wave.astype(np.float32))[None]


def sample_of(wave, rate=8000):
    return {"waveform": wave, "sample_rate": rate}


@pytest.mark.parametrize("name", SOUNDS)
def test_an_altered_copy_is_found_among_others(name):
    originals = [sample_of(voice(seed)) for seed in range(12)]
    copies = [sample_of(*SOUNDS[name](sample["waveform"], 8000)) for sample in originals]
    rows = np.array([sketch(sample) for sample in (*originals, *copies)])
    pairs = set(map(tuple, candidates(rows).pairs.tolist()))
    assert sum((place, 12 + place) in pairs for place in range(12)) >= 12
    assert all(confirm(one, other) for one, other in zip(originals, copies, strict=True))


def test_different_sounds_are_not_the_same():
    samples = [sample_of(voice(seed)) for seed in range(40)]
    assert all(confirm(one, other) is None for one, other in zip(samples[:20], samples[20:], strict=True))


@pytest.mark.parametrize(
    ("alteration", "ways"),
    [
        (lambda wave, rate: (wave.clone(), rate), ("identical",)),
        (SOUNDS["8-bit mu-law"], ("compressed or saved again",)),
        (lambda wave, rate: (wave / 2, rate), ("quieter by 6.0 dB",)),
        (lambda wave, rate: (-wave, rate), ("with its sign turned",)),
        (at_rate(16_000), ("at 16,000 Hz instead of 8,000",)),
        (padded(0.12, 0), ("shifted by 120 ms",)),
        (lambda wave, rate: (wave[:, 400:], rate), ("shifted by -50 ms",)),
        (SOUNDS["two channels"], ("of another number of channels",)),
    ],
)
def test_it_says_how(alteration, ways):
    wave = voice(3)
    likeness = confirm(sample_of(wave), sample_of(*alteration(wave, 8000)))
    assert (likeness.what, likeness.ways) == ("sound", ways)
    assert 0.98 < likeness.figure <= 1


def test_the_correlation_is_that_of_the_samples():
    """Beside `numpy.correlate`, with frequencies that both sides of the band limits leave alone."""
    rng = np.random.default_rng(0)
    band = np.zeros(2049)
    band[100:1500] = 1
    one, other = (np.fft.irfft(np.fft.rfft(rng.normal(size=4096)) * band) * np.hanning(4096) for _ in range(2))
    other = 0.6 * np.roll(one, 37) + 0.4 * other
    truth = np.correlate(other, one, "full") / np.linalg.norm(one) / np.linalg.norm(other)
    found = overlaid(one, other, 4096, 4096)
    assert found.whole == pytest.approx(np.abs(truth).max(), abs=0.02)
    assert found.shift == pytest.approx((int(np.abs(truth).argmax()) - 4095) / 4096, abs=1 / 8192)
    assert found.gain == pytest.approx(np.linalg.norm(other) / np.linalg.norm(one), rel=1e-3)


@pytest.mark.parametrize(
    "wave", [torch.zeros(1, 8000), torch.full((1, 8000), 0.3), torch.randn(1, 100), torch.full((1, 8000), torch.nan)]
)
def test_there_is_nothing_to_compare_in_silence(wave):
    assert sketch(sample_of(wave)) is None
    assert confirm(sample_of(wave), sample_of(wave + torch.linspace(0, 1e-5, wave.shape[1]))) is None


def test_tuples_and_padding():
    wave = voice(2)
    padded_too = {**sample_of(torch.nn.functional.pad(wave, (0, 5000), value=0.5)), "length": wave.shape[1]}
    assert (sketch((wave, 8000, "text")) == sketch(sample_of(wave))).all()
    assert (sketch(padded_too) == sketch(sample_of(wave))).all()
    assert confirm((wave, 8000), padded_too).figure > 0.999


@pytest.fixture(scope="module")
def digits(shared, tmp_path_factory):
    return SpokenDigits(unpacked(shared / "free-spoken-digit-dataset.zip", tmp_path_factory))


def test_takes_of_a_word_by_one_speaker_are_different(digits):
    """Near ones of 2,700, those among them whose waveforms nearly fit, and 20 altered copies that are to be found."""
    samples = [digits[index] for index in range(len(digits))]
    copies = [sample_of(*trimmed(samples[index]["waveform"] * 0.7, 8000)) for index in range(0, 2700, 135)]
    rows = np.array([sketch(sample) for sample in (*samples, *copies)])
    pairs = candidates(rows).pairs.tolist()
    assert len(pairs) > 500
    every = samples + copies
    found = {(one, other) for one, other in pairs if confirm(every[one], every[other])}
    assert {pair for pair in found if pair[1] < 2700} == set()
    assert found == {(135 * place, 2700 + place) for place in range(20)}


def test_yesno_is_all_different(shared, tmp_path):
    import tarfile

    archive = shared / "waves_yesno.tar.gz"
    if not archive.exists():
        pytest.skip("yesno is not among the real datasets")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    dataset = YesNo(tmp_path)
    samples = [dataset[index] for index in range(len(dataset))]
    near = candidates(np.array([sketch(sample) for sample in samples]))
    assert [pair for pair in near.pairs.tolist() if confirm(samples[pair[0]], samples[pair[1]])] == []


@pytest.mark.parametrize("kind", [SpokenDigits, YesNo])
def test_sounds_of_synthetic_copies_are_all_different(kind):
    dataset = kind.synthetic(40)
    samples = [dataset[index] for index in range(len(dataset))]
    near = candidates(np.array([sketch(sample) for sample in samples]))
    assert [pair for pair in near.pairs.tolist() if confirm(samples[pair[0]], samples[pair[1]])] == []
