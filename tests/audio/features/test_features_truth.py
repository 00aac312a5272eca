"""Features against Kaldi's own output, a float64 implementation and the peers."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
import truth

from datakit import audio
from datakit.audio.features import Fbank, Mfcc, Plp, Spectrogram

MODULES = {"spectrogram": Spectrogram, "fbank": Fbank, "mfcc": Mfcc, "plp": Plp}

# What torchaudio or kaldi-native-fbank reach at the maximum, the 99th percentile and the median.
BARS = {
    "test.txt": (Fbank(dither=0.0), (0.018, 0.0031, 3e-5)),
    "test-40.txt": (Fbank(dither=0.0, num_mel_bins=40), (0.029, 0.0045, 5e-5)),
    "test-mfcc.txt": (Mfcc(dither=0.0), (0.07, 0.034, 1e-3)),
    "test-spectrogram.txt": (Spectrogram(dither=0.0), (1.05, 0.024, 4e-4)),
}

FRAME = [
    {},
    *({"window_type": kind} for kind in ("hamming", "hanning", "rectangular", "sine", "blackman")),
    {"window_type": "blackman", "blackman_coeff": 0.3},
    {"snip_edges": False},
    {"snip_edges": False, "frame_shift": 30.0},
    {"frame_length": 20.0, "frame_shift": 12.5},
    {"round_to_power_of_two": False},
    {"preemphasis_coefficient": 0.0},
    {"preemphasis_coefficient": 0.5, "remove_dc_offset": False},
    {"raw_energy": False},
    {"energy_floor": 1e10},
    {"raw_energy": False, "energy_floor": 1e9},
    {"sample_frequency": 8000.0},
]
MEL = [
    {"num_mel_bins": 40},
    {"low_freq": 100.0, "high_freq": -1000.0},
    {"high_freq": 3500.0},
    {"vtln_warp": 0.9},
    {"vtln_warp": 1.1, "vtln_low": 60.0, "vtln_high": -700.0},
    {"use_energy": True},
    {"use_energy": True, "htk_compat": True},
    {"use_energy": False, "htk_compat": True},
]
OWN = {
    "spectrogram": [],
    "fbank": [*MEL, {"use_log_fbank": False}, {"use_power": False}, {"use_power": False, "use_log_fbank": False}],
    "mfcc": [*MEL, {"num_ceps": 20}, {"cepstral_lifter": 0.0}, {"cepstral_lifter": 10.0}],
    "plp": [
        *MEL, {"num_ceps": 9}, {"cepstral_lifter": 0.0}, {"lpc_order": 15, "num_ceps": 16}, {"cepstral_scale": 10.0},
        {"compress_factor": 0.5},
    ],
}  # fmt: skip
GRID = [(kind, options) for kind in MODULES for options in [*FRAME, *OWN[kind]]]
IDS = [f"{kind}-{'-'.join(f'{k}={v}' for k, v in options.items()) or 'defaults'}" for kind, options in GRID]


@pytest.fixture(scope="module")
def speech(shared):
    """A sixth of a second of real speech with noise, 16 kHz, values of 16 bits."""
    waveform, _rate = audio.load(shared / "audio" / "LJ002-0020.wav", start=20000, frames=2600)
    noise = torch.randn(waveform.shape, generator=torch.Generator().manual_seed(0))
    return ((waveform + noise / 300) * 32767).round()[0] / 32768


@pytest.mark.parametrize("name", BARS)
def test_no_further_from_kaldi_than_its_peers(shared, name):
    waveform, _ = audio.load(shared / "kaldi" / "reference" / "test.wav")
    module, bars = BARS[name]
    features, frames = module(waveform)
    text = (shared / "kaldi" / "reference" / name).read_text()
    kaldi = np.array(text.split("[")[1].replace("]", "").split(), float).reshape(features.shape[1:])
    assert frames.tolist() == [118]
    apart = np.abs(features[0].double().numpy() - kaldi)
    found = apart.max(), np.quantile(apart, 0.99), np.median(apart)
    assert all(mine <= bar for mine, bar in zip(found, bars, strict=True)), found


def test_kaldis_own_error_is_in_float32_and_can_be_left_out(shared):
    """It is what Kaldi's silent bins hold: without it they are twice as far away."""
    waveform, _ = audio.load(shared / "kaldi" / "reference" / "test.wav")
    text = (shared / "kaldi" / "reference" / "test-mfcc.txt").read_text()
    kaldi = torch.tensor([float(word) for word in text.split("[")[1].replace("]", "").split()]).reshape(118, 13)
    apart = [
        (Mfcc(dither=0.0, exact_fft=exact)(waveform)[0][0] - kaldi).abs().quantile(0.99).item()
        for exact in (False, True)
    ]
    assert apart[1] > 1.5 * apart[0], apart


@pytest.mark.parametrize(("kind", "options"), GRID, ids=IDS)
def test_every_option_as_in_float64(speech, kind, options):
    """float64: to rounding. float32 with an exact FFT: power within 1e-4, where it is not silent beside the rest."""
    expected = getattr(truth, kind)(speech.double().numpy() * 32768, **options)
    options = {"dither": 0.0, **options}
    found, frames = MODULES[kind](**options)(speech.double())
    assert found.shape == expected.shape
    assert len(found) == frames
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-7, atol=1e-7)
    single, _ = MODULES[kind](exact_fft=True, **options)(speech)
    assert single.dtype == torch.float32
    if kind in ("mfcc", "plp"):
        scale = 10 * options.get("cepstral_scale", 1.0)
        np.testing.assert_allclose(single.numpy(), expected, atol=1e-4 * scale)
    elif options.get("use_log_fbank", True):
        loud = 1e-5 if kind == "spectrogram" else 0.0  # of the loudest bin: what is 50 dB below it is rounding
        power, truth_power = np.exp(single.double().numpy()), np.exp(expected)
        assert (np.abs(power - truth_power) <= 1e-4 * np.maximum(truth_power, loud * truth_power.max(1)[:, None])).all()
    else:
        np.testing.assert_allclose(single.numpy(), expected, rtol=1e-4)


def peer(kind, waveform, options):
    """What kaldi-native-fbank computes."""
    knf = pytest.importorskip("kaldi_native_fbank")
    made = {"fbank": knf.FbankOptions, "mfcc": knf.MfccOptions}[kind]()
    names = {"sample_frequency": "samp_freq", "frame_length": "frame_length_ms", "frame_shift": "frame_shift_ms"}
    names |= {"preemphasis_coefficient": "preemph_coeff"}
    made.frame_opts.dither = 0
    for name, value in options.items():
        mel_name = {"num_mel_bins": "num_bins"}.get(name, name)
        frame_name = names.get(name, name)
        owner, name = next(
            (owner, own)
            for owner, own in ((made.frame_opts, frame_name), (made.mel_opts, mel_name), (made, name))
            if hasattr(owner, own)
        )
        setattr(owner, name, value)
    online = {"fbank": knf.OnlineFbank, "mfcc": knf.OnlineMfcc}[kind](made)
    online.accept_waveform(made.frame_opts.samp_freq, (waveform * 32768).tolist())
    online.input_finished()
    return np.array([online.get_frame(place) for place in range(online.num_frames_ready)])


NATIVE = [(kind, options) for kind, options in GRID if kind in ("fbank", "mfcc") and "vtln_warp" not in options]
# kaldi-native-fbank leaves VTLN out; it has no window called sine in all versions, and no energy in another place.


@pytest.mark.parametrize(("kind", "options"), NATIVE, ids=str)
def test_every_option_as_in_kaldi_native_fbank(speech, kind, options):
    """Both in float32: 1e-3 in the logarithm is what rounding leaves in speech with noise; cepstra sum 23 of these."""
    expected = peer(kind, speech, options)
    found, _ = MODULES[kind](dither=0.0, **options)(speech)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-3 if kind == "fbank" else 1e-2, rtol=2e-4)


TORCHAUDIO = [
    (kind, options)
    for kind, options in GRID
    if kind != "plp" and options.get("window_type") != "sine" and "vtln_warp" not in options
] + [("fbank", {"vtln_warp": 0.9}), ("mfcc", {"vtln_warp": 1.1, "vtln_low": 110.0})]


@pytest.mark.parametrize(("kind", "options"), TORCHAUDIO, ids=str)
def test_every_option_as_in_torchaudio(speech, kind, options):
    """Its floor of the energy and use of it have other defaults than Kaldi's: they are said."""
    from torchaudio.compliance import kaldi

    said = {"energy_floor": 0.0, **({"use_energy": True} if kind == "mfcc" else {}), **options}
    expected = getattr(kaldi, kind)(speech[None] * 32768, dither=0.0, **said)
    found, _ = MODULES[kind](dither=0.0, **options)(speech)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-3 if kind != "mfcc" else 1e-2, rtol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fbank", "mfcc"])
def test_pairs_of_options_as_in_float64(speech, kind):
    for one, two in itertools.combinations([*FRAME, *OWN[kind]], 2):
        options = {**one, **two}
        expected = getattr(truth, kind)(speech[:3000].double().numpy() * 32768, **options)
        found, _ = MODULES[kind](dither=0.0, **options)(speech[:3000].double())
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-7, atol=1e-7, err_msg=str(options))


def test_the_table_of_options_says_the_defaults():
    page = Path(__file__).resolve().parents[3] / "docs" / "features.md"
    defaults = [{field.name: repr(field.default) for field in dataclasses.fields(kind)} for kind in MODULES.values()]
    rows = [line.split("|")[1:-1] for line in page.read_text().splitlines() if line.startswith("| `")]
    shown = {row[0].strip(" `"): [cell.strip(" `") for cell in row[2:]] for row in rows if len(row) == 6}
    assert shown.keys() == set().union(*defaults)
    for name, cells in shown.items():
        assert cells == [kind.get(name, "") for kind in defaults], name


def test_digital_silence_lies_on_kaldis_floor():
    """The logarithm of float32's epsilon, also in float64."""
    for dtype in (torch.float32, torch.float64):
        floor = np.log(np.finfo(np.float32).eps)
        silence = torch.zeros(800, dtype=dtype)
        for features in (Fbank(dither=0.0, use_energy=True)(silence)[0], Spectrogram(dither=0.0)(silence)[0]):
            np.testing.assert_allclose(features.numpy(), floor, rtol=1e-6)
        assert Plp(dither=0.0, use_energy=False)(silence)[0].isfinite().all()
