"""A batch is its members one by one, and the modules are modules."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch

from datakit.audio.features import (
    Cmvn,
    Deltas,
    Fbank,
    Mfcc,
    Plp,
    SlidingCmvn,
    Spectrogram,
    Splice,
    cmvn_stats,
    resample_waveform,
)
from datakit.errors import CollateError, CorruptDataError, MissingDataError, UnknownNameError

KINDS = [Spectrogram, Fbank, Mfcc, Plp]


def members(seed, count=5, longest=3000):
    rng = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, longest, (count,), generator=rng)
    lengths[0] = int(torch.randint(0, 400, (), generator=rng))  # shorter than a window
    return [torch.randn(int(length), generator=rng) / 8 for length in lengths]


def garbage(waves, more=100):
    """(B, T) with NaN behind each end."""
    batch = torch.full((len(waves), max(map(len, waves)) + more), torch.nan)
    for row, wave in zip(batch, waves, strict=True):
        row[: len(wave)] = wave
    return batch, torch.tensor([len(wave) for wave in waves])


@pytest.mark.parametrize("seed", range(50))
def test_a_batch_is_its_members_one_by_one(seed):
    kind = KINDS[seed % 4]
    module = kind(dither=0.0, snip_edges=seed % 3 > 0, subtract_mean=seed % 5 == 0, raw_energy=seed % 2 > 0)
    waves = members(seed)
    batch, lengths = garbage(waves)
    features, frames = module(batch, lengths)
    listed, listed_frames = module(waves)
    assert frames.dtype == torch.int64
    assert frames.tolist() == listed_frames.tolist()
    for place, wave in enumerate(waves):
        alone, count = module(wave)
        assert count == frames[place] == len(alone)
        torch.testing.assert_close(features[place, :count], alone, rtol=0, atol=1e-5)
        torch.testing.assert_close(listed[place, :count], alone, rtol=0, atol=1e-5)
        assert (features[place, count:] == 0).all()
        assert (listed[place, count:] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("snip_edges", [True, False])
def test_what_a_gpu_computes_is_the_same(kind, snip_edges, monkeypatch):
    """With padding and masks, in chunks of rows and of frames, here on the CPU."""
    from datakit.audio.features import base

    module = kind(dither=0.0, snip_edges=snip_edges)
    batch, lengths = garbage(members(7))
    expected, frames = module(batch, lengths)
    for most in (2**17, 30, 7):
        monkeypatch.setattr(base, "CHUNK_ELSEWHERE", most)
        found, counts = module._together(batch, lengths, None, None)
        assert counts.tolist() == frames.tolist()
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


def test_a_long_one_is_computed_in_chunks_and_is_the_same(monkeypatch):
    from datakit.audio.features import base

    wave = torch.randn(40_000, generator=torch.Generator().manual_seed(0)) / 8
    whole, _ = Fbank(dither=0.0)(wave)
    noisy, _ = Fbank()(wave, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(base, "CHUNK", 17)
    torch.testing.assert_close(Fbank(dither=0.0)(wave)[0], whole, rtol=0, atol=1e-5)
    assert (Fbank()(wave, generator=torch.Generator().manual_seed(1))[0] - noisy).abs().max() > 0  # other draws


def test_a_factor_of_vtln_for_each_member():
    waves = members(3)
    factors = torch.tensor([0.9, 1.0, 1.1, 1.0, 0.85])
    for kind in (Fbank, Mfcc, Plp):
        batch, lengths = garbage(waves)
        found, _frames = kind(dither=0.0)(batch, lengths, vtln_warp=factors)
        masked, _ = kind(dither=0.0)._together(batch, lengths, factors.double(), None)
        torch.testing.assert_close(masked, found, rtol=0, atol=1e-4)
        for place, (wave, factor) in enumerate(zip(waves, factors.tolist(), strict=True)):
            alone, count = kind(dither=0.0, vtln_warp=round(factor, 6))(wave)
            torch.testing.assert_close(found[place, :count], alone, rtol=0, atol=1e-4)
    with pytest.raises(ValueError, match=r"a factor of VTLN for each member, got \(5,\) for 2"):
        Fbank()(torch.zeros(2, 500), vtln_warp=factors)


def test_dither_is_normal_of_its_size_and_repeatable():
    silence, flat = torch.zeros(1, 16000 * 20), {"remove_dc_offset": False, "preemphasis_coefficient": 0.0}
    module = Spectrogram(dither=3.0, window_type="rectangular", **flat)
    energy = module(silence, generator=torch.Generator().manual_seed(0))[0][0, :, 0].exp() / 400
    assert energy.mean().sqrt() == pytest.approx(3.0, rel=0.01)
    batch, lengths = garbage(members(5))
    drawn = [Fbank()(batch, lengths, generator=torch.Generator().manual_seed(4))[0] for _ in range(2)]
    assert torch.equal(*drawn)
    more, _ = Fbank()(torch.nn.functional.pad(batch, (0, 999)), lengths, generator=torch.Generator().manual_seed(4))
    assert torch.equal(more[:, : drawn[0].shape[1]], drawn[0])  # padding draws nothing
    torch.manual_seed(0)
    first = Fbank()(batch, lengths)[0]
    assert not torch.equal(Fbank()(batch, lengths)[0], first)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind):
    module = kind(
        dither=0.0, frame_length=4.0, frame_shift=2.0, **({} if kind is Spectrogram else {"num_mel_bins": 13})
    )
    waves = torch.randn(2, 110, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) / 8
    waves.requires_grad_()
    lengths = torch.tensor([110, 70])
    assert torch.autograd.gradcheck(lambda waves: module(waves, lengths)[0], (waves,), atol=1e-4)
    assert torch.autograd.gradcheck(lambda waves: module._together(waves, lengths, None, None)[0], (waves,), atol=1e-4)
    module(waves, lengths)[0].square().sum().backward()
    assert (waves.grad[1, 70:] == 0).all()
    assert waves.grad.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_in_float32_are_those_of_kaldi(kind):
    """The error of Kaldi's FFT has a gradient too; silence and padding have finite ones."""
    waves = torch.zeros(2, 1000)
    waves[0] = torch.randn(1000, generator=torch.Generator().manual_seed(0)) / 8
    waves.requires_grad_()
    features, _ = kind(dither=0.0)(waves, torch.tensor([1000, 700]))
    features.square().sum().backward()
    assert waves.grad.isfinite().all()
    assert waves.grad[0].abs().sum() > 0


@pytest.mark.parametrize("kind", [Fbank, Mfcc])
def test_export_with_any_batch_and_time(kind):
    module = kind(dither=0.0)
    batch, time = torch.export.Dim("batch", min=2), torch.export.Dim("time", min=720)
    example = (torch.randn(3, 2000) / 8, torch.tensor([2000, 1000, 300]))
    exported = torch.export.export(
        module, example, dynamic_shapes={"waveforms": {0: batch, 1: time}, "lengths": {0: batch}}
    ).module()
    waves, lengths = torch.randn(5, 3333) / 8, torch.tensor([3333, 20, 400, 1000, 2000])
    for found, expected in zip(exported(waves, lengths), module(waves, lengths), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("kind", [Fbank, Spectrogram])
def test_compile(kind):
    module = kind(dither=0.0, snip_edges=kind is Fbank)
    waves, lengths = torch.randn(3, 2000) / 8, torch.tensor([2000, 1000, 300])
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    for found, expected in zip(compiled(waves, lengths), module(waves, lengths), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


@pytest.mark.slow
def test_compile_to_kernels():
    module = Fbank(dither=0.0)
    waves, lengths = torch.randn(3, 2000) / 8, torch.tensor([2000, 1000, 300])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = torch.compile(module, fullgraph=True)(waves, lengths)[0]
    torch.testing.assert_close(found, module(waves, lengths)[0], rtol=0, atol=1e-4)


def test_a_model_with_features_moves_saves_and_loads():
    waves = torch.randn(2, 2000, generator=torch.Generator().manual_seed(0)) / 8
    model = torch.nn.Sequential(Fbank(dither=0.0), torch.nn.Linear(2, 2))
    fbank = model[0]
    expected = fbank(waves)[0]
    assert list(model.state_dict()) == ["1.weight", "1.bias"]
    model.half()
    assert torch.equal(fbank(waves)[0], expected)  # the window is not rounded to half precision
    assert fbank(waves.half())[0].dtype == torch.float32
    assert fbank(waves.double())[0].dtype == torch.float64
    assert model.to("meta")[0]._window.device.type == "meta"
    assert torch.equal(model.to_empty(device="cpu")[0](waves)[0], expected)
    for copied in (copy.deepcopy(fbank), pickle.loads(pickle.dumps(fbank))):
        assert torch.equal(copied(waves)[0], expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(fbank(waves)[0], expected)


def test_what_is_no_batch_is_refused():
    with pytest.raises(ValueError, match=r"got \(B, C, T\) = \(16, 1, 500\); choose a channel, waveforms\[:, 0\]"):
        Fbank()(torch.zeros(16, 1, 500))
    with pytest.raises(ValueError, match=r"number 1 is \(2, 500\); choose a channel"):
        Fbank()([torch.zeros(500), torch.zeros(2, 500)])
    with pytest.raises(TypeError, match="got torch.int16; waveform.float\\(\\) with scale=1.0"):
        Fbank()(torch.zeros(500, dtype=torch.int16))
    with pytest.raises(ValueError, match="member 1 has 500 samples, and its length is 501"):
        Fbank()(torch.zeros(2, 500), torch.tensor([500, 501]))
    with pytest.raises(ValueError, match=r"lengths \(2,\) in whole samples, got \(3,\)"):
        Fbank()(torch.zeros(2, 500), torch.tensor([500, 500, 1]))
    with pytest.raises(ValueError, match="an empty list"):
        Fbank()([])
    with pytest.raises(CollateError, match="of one dtype on one device"):
        Fbank()([torch.zeros(500), torch.zeros(500, dtype=torch.float64)])


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Fbank, {"low_freq": 5000.0, "high_freq": -4000.0}, "low_freq=5000.0, high_freq=-4000.0"),
        (Fbank, {"high_freq": 9000.0}, "<= 8000 Hz.*high_freq=9000.0"),
        (Fbank, {"vtln_warp": 0.9, "vtln_low": 10.0}, "vtln_low=10.0.*low_freq=20.0"),
        (Fbank, {"num_mel_bins": 300}, "a bin of the FFT in each band.*num_mel_bins=300"),
        (Mfcc, {"num_ceps": 24}, "num_ceps=24, num_mel_bins=23"),
        (Plp, {"num_ceps": 14}, "num_ceps=14, lpc_order=12"),
        (Fbank, {"window_type": "hann"}, "one of hamming, hanning.*window_type='hann'"),
        (Fbank, {"frame_length": 25.1, "round_to_power_of_two": False}, "not 401.*frame_length=25.1"),
        (Fbank, {"frame_shift": 0.01}, "frame_shift=0.01, sample_frequency=16000.0"),
        (Fbank, {"preemphasis_coefficient": 1.5}, "preemphasis_coefficient=1.5"),
        (Fbank, {"dither": -1.0}, "dither=-1.0"),
        (Fbank, {"scale": 0.0}, "scale=0.0"),
    ],
)
def test_impossible_options_are_refused_with_their_values(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**options)


def test_a_conf_file(tmp_path, shared):
    assert (
        repr(Mfcc.from_conf(shared / "kaldi" / "mini_librispeech2" / "conf" / "mfcc.conf")) == "Mfcc(use_energy=False)"
    )
    path = tmp_path / "fbank.conf"
    path.write_text(
        "# high resolution\n--num-mel-bins=40  # bands\n--high-freq=-400\n--snip_edges=false\n--use-energy\n\n"
    )
    expected = "Fbank(snip_edges=False, num_mel_bins=40, high_freq=-400.0, use_energy=True)"
    assert repr(Fbank.from_conf(path)) == expected
    assert Fbank.from_conf(path, num_mel_bins=30).num_mel_bins == 30
    for text, error, message in [
        ("--dither=0\n--num-mel-bin=3", UnknownNameError, "line 2: .*did you mean 'num-mel-bins'"),
        ("--num-mel-bins=3.5", CorruptDataError, "line 1: --num-mel-bins takes a whole number, got '3.5'"),
        ("--use-energy=maybe", CorruptDataError, "line 1: --use-energy takes true or false"),
        ("num-mel-bins=3", CorruptDataError, "line 1: an option, --name=value, is due here"),
        ("--allow-downsample=true", UnknownNameError, "line 1: .*resample_waveform"),
    ]:
        path.write_text(text)
        with pytest.raises(error, match=message):
            Fbank.from_conf(path)
    path.write_text("--allow-downsample=false\n--verbose=2")
    assert repr(Fbank.from_conf(path)) == "Fbank()"
    with pytest.raises(MissingDataError, match="no such file"):
        Fbank.from_conf(tmp_path / "none.conf")


def test_the_shapes_of_the_tutorial():
    rate, waves = 44100, torch.rand(2, 276858, generator=torch.Generator().manual_seed(0)) - 0.5
    length = 400 / rate * 1000
    options = {"sample_frequency": rate, "frame_length": length, "frame_shift": length / 2, "dither": 0.0}
    assert Spectrogram(round_to_power_of_two=False, **options)(waves[0])[0].shape == (1383, 201)
    assert Fbank(**options)(waves[0])[0].shape == (1383, 23)
    assert Mfcc(**options)(waves)[0].shape == (2, 1383, 13)
    assert resample_waveform(waves[:1], rate, rate // 10).shape == (1, 27686)


def test_raw_fft():
    wave = torch.randn(400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    options = {"dither": 0.0, "preemphasis_coefficient": 0.0, "remove_dc_offset": False, "window_type": "rectangular"}
    found, _ = Spectrogram(return_raw_fft=True, scale=1.0, **options)(wave)
    expected = np.fft.rfft(wave.numpy(), 512)
    assert found.shape == (1, 512)
    np.testing.assert_allclose(found[0, :2], [expected[0].real, expected[-1].real], atol=1e-9)
    np.testing.assert_allclose(found[0, 2::2] + 1j * found[0, 3::2], expected[1:-1], atol=1e-9)


# After the features


def kaldi_deltas(x, order, window):
    """`DeltaFeatures` of Kaldi's feature-functions.cc, as loops."""
    scales = [np.ones(1)]
    for _ in range(order):
        last = scales[-1]
        offset = (len(last) - 1) // 2
        now = np.zeros(len(last) + 2 * window)
        for j in range(-window, window + 1):
            for k in range(-offset, offset + 1):
                now[j + k + offset + window] += j * last[k + offset]
        scales.append(now / sum(j * j for j in range(-window, window + 1)))
    rows = []
    for t in range(len(x)):
        row = []
        for scale in scales:
            reach = len(scale) // 2
            row.append(sum(scale[j + reach] * x[min(max(t + j, 0), len(x) - 1)] for j in range(-reach, reach + 1)))
        rows.append(np.concatenate(row))
    return np.array(rows)


def kaldi_sliding(x, window, least, center, variances):
    """`SlidingWindowCmn` of Kaldi's feature-functions.cc, with each window summed anew."""
    out = np.empty_like(x)
    for t in range(len(x)):
        start, end = (t - window // 2, t - window // 2 + window) if center else (t - window, t + 1)
        if start < 0:
            start, end = 0, end - start
        if not center and end > t:
            end = max(t + 1, least)
        if end > len(x):
            start, end = max(start - (end - len(x)), 0), len(x)
        part = x[start:end]
        out[t] = x[t] - part.mean(0)
        if variances:
            out[t] = 0 if len(part) == 1 else out[t] / np.sqrt(np.maximum(part.var(0), 1e-10))
    return out


def ragged(seed=0, sizes=(40, 7, 1, 0), wide=3):
    rng = np.random.default_rng(seed)
    rows = [rng.standard_normal((size, wide)) + 5 for size in sizes]
    batch = torch.full((len(sizes), max(sizes) + 2, wide), torch.nan, dtype=torch.float64)
    for place, row in enumerate(rows):
        batch[place, : len(row)] = torch.from_numpy(row)
    return rows, batch, torch.tensor(sizes)


def assert_members(found, expected, frames):
    for place, (row, count) in enumerate(zip(expected, frames.tolist(), strict=True)):
        if count:
            np.testing.assert_allclose(found[place, :count].numpy(), row, rtol=1e-9, atol=1e-9)
        assert (found[place, count:] == 0).all()


@pytest.mark.parametrize(("order", "window"), [(2, 2), (1, 3), (3, 1), (0, 2)])
def test_deltas_are_kaldis(order, window):
    rows, batch, frames = ragged()
    found, counts = Deltas(order, window)(batch, frames)
    assert counts.tolist() == frames.tolist()
    assert_members(found, [kaldi_deltas(row, order, window) for row in rows], frames)
    short, _ = Deltas(order, window, truncate=2)(batch, frames)
    assert_members(short, [kaldi_deltas(row[:, :2], order, window) for row in rows], frames)


def test_splicing_repeats_the_ends():
    rows, batch, frames = ragged()
    found, _ = Splice(2, 1)(batch, frames)
    expected = [
        np.stack(
            [np.concatenate([row[np.clip(t + j, 0, len(row) - 1)] for j in (-2, -1, 0, 1)]) for t in range(len(row))]
        )
        if len(row)
        else row
        for row in rows
    ]
    assert_members(found, expected, frames)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("variances", [True, False])
@pytest.mark.parametrize(("window", "least"), [(10, 4), (5, 5), (600, 100), (1, 1)])
def test_sliding_normalisation_is_kaldis(center, variances, window, least):
    rows, batch, frames = ragged()
    found, _ = SlidingCmvn(window, least, center, variances)(batch, frames)
    assert_members(found, [kaldi_sliding(row, window, least, center, variances) for row in rows], frames)


def test_normalisation_by_utterance_and_by_speaker(tmp_path):
    from datakit.audio import kaldi

    rows, batch, frames = ragged(sizes=(40, 7, 9))
    found, _ = Cmvn(norm_vars=True)(batch, frames)
    assert_members(found, [(row - row.mean(0)) / row.std(0) for row in rows], frames)
    stats = cmvn_stats(batch, frames)
    speakers = {"a": stats[:2].sum(0), "b": stats[2]}
    kaldi.write_mat_ark(tmp_path / "cmvn.ark", speakers.items(), scp=tmp_path / "cmvn.scp")
    read = kaldi.Scp(tmp_path / "cmvn.scp")
    both = np.concatenate(rows[:2])
    chosen = torch.stack([read["a"], read["a"], read["b"]])
    for options, scale in (({}, np.ones(3)), ({"norm_vars": True}, both.std(0))):
        found, _ = Cmvn(**options)(batch, frames, chosen)
        assert_members(found[:2], [(row - both.mean(0)) / scale for row in rows[:2]], frames[:2])
        again, _ = Cmvn(reverse=True, **options)(found, frames, chosen)
        assert_members(again, rows, frames)
    with pytest.raises(ValueError, match=r"takes stats \(2, 4\) or \(3, 2, 4\), got \(2, 5\)"):
        Cmvn()(batch, frames, torch.zeros(2, 5))
    with pytest.raises(ValueError, match="less than one frame"):
        Cmvn()(batch, frames, torch.zeros(2, 4))


@pytest.mark.parametrize(
    ("old", "new"), [(44100, 4410), (16000, 8000), (8000, 16000), (44100, 16000), (11025, 16000), (5, 5)]
)
@pytest.mark.parametrize("width", [6, 3])
def test_resampling_is_torchaudios_of_kaldi(old, new, width):
    from torchaudio.functional import resample

    waves = torch.randn(2, 5003, generator=torch.Generator().manual_seed(0)).double()
    expected = resample(waves, old, new, lowpass_filter_width=width)  # what its resample_waveform called
    found = resample_waveform(waves, old, new, width)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    ticks = 5003 * new / old
    assert found.shape[1] == int(np.ceil(ticks))


def test_resampling_as_the_sum_that_kaldi_writes():
    wave, old, new = np.random.default_rng(0).standard_normal(200), 8000, 5000
    cutoff, zeros = 0.99 * 0.5 * new, 6
    found = resample_waveform(torch.from_numpy(wave), old, new).numpy()
    for place in (0, 1, 57, len(found) - 1):
        total = 0.0
        for i, value in enumerate(wave):
            t = i / old - place / new
            if abs(t) < zeros / (2 * cutoff):
                sinc = np.sin(2 * np.pi * cutoff * t) / (np.pi * t) if t else 2 * cutoff
                total += value * sinc * 0.5 * (1 + np.cos(2 * np.pi * cutoff / zeros * t)) / old
        assert found[place] == pytest.approx(total, abs=1e-12)
