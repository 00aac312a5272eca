"""Spectrograms are torchaudio's, at the rate of the sample; masks hide what they may."""

import math

import numpy as np
import pytest
import torch
from scipy import fft, signal, stats
from sounds import noise, sound, speech_of

import datakit.transforms as T
from datakit import collate
from datakit.errors import CollateError, SampleError

RATE = 16000
WAVE = noise(2, 4000)
SAMPLE = {"waveform": WAVE, "sample_rate": RATE}


@pytest.mark.parametrize("options", [
    {}, {"n_fft": 512, "win_length": 400, "hop_length": 160}, {"power": 1.0}, {"power": None}, {"power": 3.0},
    {"normalized": True}, {"normalized": "frame_length"}, {"center": False}, {"pad": 30}, {"pad_mode": "constant"},
    {"window": "hamming"}, {"window": "kaiser"},
], ids=repr)  # fmt: skip
def test_spectrograms_equal_torchaudio(torchaudio, options):
    out = T.Spectrogram(**options)(SAMPLE)
    theirs = dict(options)
    if "window" in theirs:
        theirs["window_fn"] = getattr(torch, f"{theirs.pop('window')}_window")
    truth = torchaudio.transforms.Spectrogram(**theirs)(WAVE)
    assert torch.equal(out["spectrogram"], truth)
    assert out["spectrogram"].dtype == (torch.complex64 if options.get("power", 2) is None else torch.float32)
    assert list(out) == ["spectrogram", "sample_rate"]


def test_a_spectrogram_is_what_scipy_makes_of_speech(shared):
    speech = speech_of(shared)
    out = T.Spectrogram(512, hop_length=128, power=None)(speech)["spectrogram"][0].numpy()
    wave = np.pad(speech["waveform"][0].double().numpy(), 256, mode="reflect")
    window = signal.get_window("hann", 512)
    frames = np.lib.stride_tricks.sliding_window_view(wave, 512)[::128]
    truth = fft.rfft(frames * window).T
    assert np.abs(out - truth).max() < 1e-5 * np.abs(truth).max()


def test_the_shapes_of_the_tutorial(torchaudio):
    sample = {"waveform": noise(2, 276858), "sample_rate": 44100}
    assert T.Spectrogram()(sample)["spectrogram"].shape == (2, 201, 1385)
    with pytest.warns(UserWarning, match="At least one mel filterbank has all zero values"):
        mel = T.MelSpectrogram(n_mels=128)(sample)["spectrogram"]
    assert mel.shape == (2, 128, 1385)
    one = {**sample, "waveform": sample["waveform"][:1]}
    assert T.Resample(4410)(one)["waveform"].shape == (1, 27686)
    back = T.Compose([T.MuLawEncoding(), T.MuLawDecoding()])(sample)["waveform"]
    assert ((sample["waveform"] - back).abs() / sample["waveform"].abs()).median() < 0.012


MELS = [
    {"n_mels": 40}, {"n_mels": 20, "f_min": 100.0, "f_max": 7000.0, "norm": "slaney", "mel_scale": "slaney"},
    {"n_mels": 30, "n_fft": 512, "hop_length": 160, "power": 1.0, "normalized": True, "center": False},
]  # fmt: skip


@pytest.mark.parametrize("rate", [8000, 16000, 22050])
@pytest.mark.parametrize("options", MELS, ids=repr)
def test_mel_spectrograms_equal_torchaudio_at_the_rate_of_the_sample(torchaudio, options, rate):
    if options.get("f_max", 0) > rate / 2:
        with pytest.raises(ValueError, match=r"f_max=7000.0 Hz at 8000 Hz"):
            T.MelSpectrogram(**options)({"waveform": WAVE, "sample_rate": rate})
        return
    out = T.MelSpectrogram(**options)({"waveform": WAVE, "sample_rate": rate})["spectrogram"]
    assert torch.equal(out, torchaudio.transforms.MelSpectrogram(rate, **options)(WAVE))


def test_mel_scale_takes_bins_and_rate_from_the_sample(torchaudio):
    power = T.Spectrogram(512)({"waveform": WAVE, "sample_rate": 8000})
    out = T.MelScale(30, f_min=50.0)(power)["spectrogram"]
    assert torch.equal(out, torchaudio.transforms.MelScale(30, 8000, 50.0, n_stft=257)(power["spectrogram"]))
    assert torch.equal(
        T.MelSpectrogram(512, n_mels=30, f_min=50.0)({**SAMPLE, "sample_rate": 8000})["spectrogram"], out
    )


@pytest.mark.parametrize(("scale", "top_db"), [("power", None), ("power", 80.0), ("magnitude", 30.0)])
def test_decibels_equal_torchaudio(torchaudio, scale, top_db):
    power = T.Spectrogram()(SAMPLE)
    out = T.AmplitudeToDB(scale, top_db)(power)["spectrogram"]
    assert torch.equal(out, torchaudio.transforms.AmplitudeToDB(scale, top_db)(power["spectrogram"]))
    if top_db:
        assert out.max() - out.min() <= top_db + 1e-4


@pytest.mark.parametrize("log", [False, True])
def test_cepstra_equal_torchaudio(torchaudio, log):
    mel = T.MelSpectrogram(n_mels=40, hop_length=160)
    out = T.MFCC(13, mel=mel, log=log)(SAMPLE)["spectrogram"]
    theirs = torchaudio.transforms.MFCC(RATE, 13, log_mels=log, melkwargs={"n_mels": 40, "hop_length": 160})
    assert torch.equal(out, theirs(WAVE))
    loud = mel(SAMPLE)["spectrogram"].double()
    db = 10 * loud.clamp_min(1e-10).log10()
    values = (loud + 1e-6).log() if log else db.clamp_min(db.max() - 80)
    truth = fft.dct(values.numpy(), axis=1, norm="ortho")[:, :13]
    np.testing.assert_allclose(out.numpy(), truth, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("options", [{}, {"win_length": 9}, {"win_length": 3, "mode": "reflect"}], ids=repr)
def test_deltas_equal_torchaudio(torchaudio, options):
    power = T.Spectrogram()(SAMPLE)
    out = T.ComputeDeltas(**options)(power)["spectrogram"]
    assert torch.equal(out, torchaudio.transforms.ComputeDeltas(**options)(power["spectrogram"]))
    appended = T.ComputeDeltas(**options, append=True)(power)["spectrogram"]
    assert torch.equal(appended, torch.cat([power["spectrogram"], out], 1))
    with pytest.raises(ValueError, match=r"needs 3 frames at least, got a spectrogram \(1, 4, 2\)"):
        T.ComputeDeltas(mode="reflect")({"spectrogram": torch.zeros(1, 4, 2)})
    assert T.ComputeDeltas(9)({"spectrogram": torch.ones(1, 4, 1)})["spectrogram"].abs().max() == 0


@pytest.mark.parametrize(("rate", "hop"), [(1.3, None), (0.7, 100), (1.0, None)])
def test_stretching_equals_torchaudio(torchaudio, rate, hop):
    spectrum = T.Spectrogram(hop_length=hop, power=None)(SAMPLE)
    out = T.TimeStretch(rate, hop)(spectrum)["spectrogram"]
    assert torch.equal(out, torchaudio.transforms.TimeStretch(hop, 201)(spectrum["spectrogram"], rate))
    assert out.shape[2] == math.ceil(spectrum["spectrogram"].shape[2] / rate)
    with pytest.raises(ValueError, match=r"torch.complex64, got torch.float32 .*power=None"):
        T.TimeStretch(rate)({"spectrogram": spectrum["spectrogram"].abs()})
    with pytest.raises(ValueError, match=r"torch.float32, got torch.complex64 .*power=2"):
        T.MelScale(10)({**spectrum})


@pytest.mark.parametrize(
    "options", [{}, {"power": 1.0, "momentum": 0.5, "length": 4100, "window": "hamming"}], ids=repr
)
def test_griffin_lim_equals_torchaudio(torchaudio, options):
    power = T.Spectrogram(power=options.get("power", 2.0))(SAMPLE)
    still = T.GriffinLim(n_iter=3, rand_init=False, **options)(power)
    theirs = {key: value for key, value in options.items() if key != "window"}
    theirs |= {"window_fn": torch.hamming_window} if "window" in options else {}
    truth = torchaudio.transforms.GriffinLim(n_iter=3, rand_init=False, **theirs)(power["spectrogram"])
    assert torch.equal(still["waveform"], truth)
    assert list(still) == ["waveform", "sample_rate"]
    random = T.GriffinLim(n_iter=3, **options)
    seed = random.draw(power, np.random.default_rng(5))
    torch.manual_seed(int(np.random.default_rng(seed).integers(2**63)))
    truth = torchaudio.transforms.GriffinLim(n_iter=3, **theirs)(power["spectrogram"])
    state = torch.get_rng_state()
    assert torch.equal(random(power, np.random.default_rng(5))["waveform"], truth)
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match=r"a length of 21 frames, that is 4000 to 4199 steps, got length=3999"):
        T.GriffinLim(length=3999)(power)
    for frames in (1, 2):
        with pytest.raises(ValueError, match=rf"more than 200 steps, got {frames} frames"):
            T.GriffinLim()({"spectrogram": torch.ones(1, 201, frames)})
    T.GriffinLim()({"spectrogram": torch.ones(1, 201, 3)})
    with pytest.raises(ValueError, match=r"needs 129 bins, .* got a spectrogram \(2, 201, 21\)"):
        T.GriffinLim(256)(T.Spectrogram()(SAMPLE))


def test_griffin_lim_finds_a_waveform_with_the_spectrogram():
    tone = torch.sin(torch.arange(8000) * 0.2)[None] * 0.5
    power = T.Spectrogram(power=1.0)({"waveform": tone})
    again = T.Spectrogram(power=1.0)(T.GriffinLim(power=1.0)(power, np.random.default_rng(0)))
    error = (again["spectrogram"] - power["spectrogram"]).norm() / power["spectrogram"].norm()
    assert error < 0.1


def test_features_are_the_spectrogram_with_time_first():
    power = T.Spectrogram()({"waveform": WAVE[:1], "label": 1})
    out = T.Features()(power)
    assert list(out) == ["features", "label"]
    assert torch.equal(out["features"], power["spectrogram"][0].T)
    assert out["features"].is_contiguous()
    assert list(T.Features(keep=True)(power)) == ["spectrogram", "features", "label"]
    with pytest.raises(ValueError, match=r"one channel, got a spectrogram \(2, 201, 21\); put Mono"):
        T.Features()(T.Spectrogram()(SAMPLE))


@pytest.mark.parametrize(("transform", "steps", "least"), [
    (T.Spectrogram(), 200, 201), (T.Spectrogram(center=False), 399, 400),
    (T.Spectrogram(pad_mode="circular"), 199, 200),
    (T.MelSpectrogram(n_mels=10), 200, 201), (T.MFCC(4, mel=T.MelSpectrogram(n_mels=10)), 200, 201),
    (T.Spectrogram(pad=10), 180, 201), (T.PitchShift(3.0), 256, None),
], ids=repr)  # fmt: skip
def test_a_waveform_too_short_for_a_frame_is_said(transform, steps, least):
    words = f"needs {least} steps at least" if least else "needs more than 256 steps"
    with pytest.raises(SampleError, match=rf"{words}, got a waveform \(1, {steps}\)"):
        T.Compose([transform])({"waveform": noise(1, steps), "sample_rate": RATE})
    T.Compose([transform])({"waveform": noise(1, steps + 1), "sample_rate": RATE})


@pytest.mark.parametrize("steps", [1, 2, 257, 300])
@pytest.mark.parametrize("transform", [
    T.Spectrogram(pad_mode="constant"), T.Resample(44100), T.Resample(100), T.SpeedPerturb((0.5, 1.0, 2.0)),
    T.AddNoise("pink", 0.0), T.AddNoise("white", 0.0), T.Dither(), T.Dither("GPDF"), T.LowPass(50.0),
    T.Reverb(sound(1, 500)),
    *(T.PitchShift(by) for by in (-24.0, -11.3, 0.2, 24.0)),
], ids=repr)  # fmt: skip
def test_short_waveforms_pass_or_are_said(transform, steps):
    sample = {"waveform": noise(1, steps), "sample_rate": RATE}
    if isinstance(transform, T.PitchShift) and steps <= 256:
        with pytest.raises(ValueError, match="needs more than 256 steps"):
            transform(sample, np.random.default_rng(0))
        return
    rng = [np.random.default_rng(0)] * isinstance(transform, T.Random)
    out = transform(sample, *rng)
    assert all(value.isfinite().all() for value in out.values() if isinstance(value, torch.Tensor))


def masks_of(torchaudio, monkeypatch, ours, name, spectrogram, seed, **theirs):
    """What both do with the same numbers: torchaudio is handed those that ours drew."""
    numbers = np.random.default_rng(seed)

    def rand(*shape, **_):
        count = int(np.prod(shape[0])) if shape else 1
        return torch.from_numpy(numbers.random(count)).reshape(shape[0] if shape[0] != 1 else (1,))

    with monkeypatch.context() as patch:
        patch.setattr(torch, "rand", rand)
        truth = getattr(torchaudio.transforms, name)(ours.width, ours.iid_masks, **theirs)(spectrogram, 0.5)
    return ours({"spectrogram": spectrogram}, np.random.default_rng(seed))["spectrogram"], truth


@pytest.mark.parametrize("iid", [False, True])
@pytest.mark.parametrize("width", [5, 40, 100])
@pytest.mark.parametrize("name", ["FrequencyMasking", "TimeMasking"])
def test_masks_are_those_of_torchaudio_from_the_same_numbers(torchaudio, monkeypatch, name, width, iid):
    spectrogram = noise(3 * 60, 50).view(3, 60, 50)
    for seed in range(20):
        ours = getattr(T, name)(width, value=0.5, iid_masks=iid)
        out, truth = masks_of(torchaudio, monkeypatch, ours, name, spectrogram, seed)
        assert torch.equal(out, truth)
    ours = T.TimeMasking(width, value=0.5, iid_masks=iid, p=0.3)
    out, truth = masks_of(torchaudio, monkeypatch, ours, "TimeMasking", spectrogram, 3, p=0.3)
    assert torch.equal(out, truth)


def test_masks_are_distributed_as_those_of_torchaudio(torchaudio):
    spectrogram, rng = torch.ones(1, 80, 30), np.random.default_rng(0)
    torch.manual_seed(0)
    theirs = torchaudio.transforms.FrequencyMasking(27)
    ours = T.FrequencyMasking(27)
    hidden = [
        [
            (masked[0, :, 0] == 0)
            for masked in (ours({"spectrogram": spectrogram}, rng)["spectrogram"], theirs(spectrogram))
        ]
        for _ in range(1500)
    ]
    widths = np.array([[int(one.sum()) for one in pair] for pair in hidden])
    begins = np.array([[int(one.int().argmax()) for one in pair] for pair in hidden])
    assert stats.ks_2samp(widths[:, 0], widths[:, 1]).pvalue > 1e-3
    assert stats.ks_2samp(begins[:, 0], begins[:, 1]).pvalue > 1e-3
    assert widths[:, 0].max() == 26
    assert stats.chisquare(np.bincount(widths[:, 0], minlength=27)).pvalue > 1e-3


def test_masks_of_features_hide_the_same_and_the_mean_fills_them():
    spectrogram = noise(40, 30).view(1, 40, 30)
    for transform in (T.FrequencyMasking(20, value=None), T.TimeMasking(20, value=None, p=0.5)):
        for seed in range(5):
            one = transform({"spectrogram": spectrogram}, np.random.default_rng(seed))["spectrogram"]
            other = transform({"features": spectrogram[0].T}, np.random.default_rng(seed))["features"]
            torch.testing.assert_close(one[0].T, other)
            changed = one[one != spectrogram]
            assert torch.all((changed - spectrogram.mean()).abs() < 1e-6)
    with pytest.raises(ValueError, match="needs 'spectrogram'"):
        T.TimeMasking(3)({"label": 1})
    with pytest.raises(ValueError, match=r"features' as a tensor \(T, F\), got ndarray"):
        T.TimeMasking(3)({"features": np.zeros((3, 4))})


def test_a_time_mask_is_no_wider_than_its_share():
    rng, narrow = np.random.default_rng(0), T.TimeMasking(100, p=0.2)
    for frames in (1, 4, 5, 50):
        widths = {
            int((narrow({"features": torch.ones(frames, 3)}, rng)["features"][:, 0] == 0).sum()) for _ in range(200)
        }
        assert widths == set(range(max(1, int(frames * 0.2))))


def test_pad_gives_frames_as_length_and_the_steps_beside_them():
    chain = T.Compose([T.Spectrogram(), T.AmplitudeToDB()])
    samples = [chain({"waveform": noise(1, steps), "sample_rate": RATE}) for steps in (4000, 2000)]
    batch = collate.pad(samples)
    assert batch["spectrogram"].shape == (2, 1, 201, 21)
    assert batch["length"].tolist() == [21, 11]
    assert batch["spectrogram"][1, :, :, 11:].abs().max() == 0
    assert torch.equal(batch["spectrogram"][1, :, :, :11], samples[1]["spectrogram"])
    kept = [T.Spectrogram(keep=True)({"waveform": noise(1, steps), "tokens": torch.ones(3)}) for steps in (4000, 2000)]
    batch = collate.pad(kept)
    assert batch["length"].tolist() == [4000, 2000]
    assert batch["spectrogram_length"].tolist() == [21, 11]
    assert batch["tokens_length"].tolist() == [3, 3]
    codes = collate.pad([T.MuLawEncoding()({"waveform": noise(2, steps)}) for steps in (4, 2)])
    assert codes["length"].tolist() == [4, 2]


@pytest.mark.parametrize(("key", "values", "message"), [
    ("waveform", [torch.ones(1, 5), torch.ones(2, 3)], r"sample 0 .* has \(1, 5\), .* \(2, 3\); only the time"),
    ("spectrogram", [torch.ones(1, 8, 5), torch.ones(1, 9, 3)], r"\(1, 8, 5\).*\(1, 9, 3\)"),
    ("features", [torch.ones(5, 8), torch.ones(3, 9)], r"\(5, 8\).*\(3, 9\)"),
])  # fmt: skip
def test_pad_makes_up_no_channels(key, values, message):
    with pytest.raises(CollateError, match=message):
        collate.pad([{key: value} for value in values])
