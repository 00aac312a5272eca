"""Features against Kaldi's own output, a float64 implementation and the peers."""

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import truth

from datakit import audio
from datakit.audio.features import Fbank, Mfcc, Plp, Spectrogram

MODULES = {"spectrogram": Spectrogram, "fbank": Fbank, "mfcc": Mfcc, "plp": Plp}

# Each file of Kaldi's, and what the issue asks for at the maximum, the 99th percentile and the median: what torchaudio
# and kaldi-native-fbank reach, rounded.
REFERENCES = {
    "test.txt": ("fbank", {}, (0.018, 0.0031, 3e-5)),
    "test-40.txt": ("fbank", {"num_mel_bins": 40}, (0.029, 0.0045, 5e-5)),
    "test-mfcc.txt": ("mfcc", {}, (0.07, 0.034, 1e-3)),
    "test-spectrogram.txt": ("spectrogram", {}, (1.05, 0.024, 4e-4)),
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


def reference(shared, name):
    """The waveform (1, T) and what Kaldi printed of it, (frames, F)."""
    waveform, _ = audio.load(shared / "kaldi" / "reference" / "test.wav")
    text = (shared / "kaldi" / "reference" / name).read_text()
    rows = text.split("[")[1].replace("]", "").strip().splitlines()
    return waveform, np.array([row.split() for row in rows], float)


def apart(one, two):
    """How far two are apart at the maximum, the 99th percentile and the median."""
    distance = np.abs(np.asarray(one, np.float64) - np.asarray(two, np.float64))
    return np.array([distance.max(), np.quantile(distance, 0.99), np.median(distance)])


@pytest.mark.parametrize("other", ["torchaudio", "kaldi-native-fbank"])
@pytest.mark.parametrize("name", REFERENCES)
def test_no_further_from_kaldi_than_its_peers(shared, name, other):
    """The peer is measured here, on the same file, strictly but for what float32 leaves to chance.

    Kaldi is further from the exact values than any of these: an error of its FFT is most of what is measured (see
    `test_with_kaldis_own_error`). A peer that is r away from the exact values is between d - r and d + r away from
    Kaldi's, where the exact ones are d away: where in there is the luck of its roundings. So r is the slack.
    """
    kind, options, _ = REFERENCES[name]
    if (kind, other) == ("spectrogram", "kaldi-native-fbank"):
        pytest.skip("it has no spectrogram")
    waveform, kaldi = reference(shared, name)
    peers = torchaudio_of(kind, waveform[0], options) if other == "torchaudio" else native(kind, waveform[0], options)
    exact = getattr(truth, kind)(waveform[0].double().numpy() * 32768, **options)
    features, frames = MODULES[kind](dither=0.0, **options)(waveform)
    assert frames.tolist() == [len(kaldi)]
    mine, bar, slack = apart(features[0], kaldi), apart(peers, kaldi), apart(peers, exact)
    assert (mine <= bar + slack).all(), (mine, bar, slack)


@pytest.mark.parametrize("name", REFERENCES)
def test_with_kaldis_own_error(shared, name):
    """Nearer than the figures of the issue, each as it stands there; at the maximum half as far as without it."""
    kind, options, bars = REFERENCES[name]
    waveform, kaldi = reference(shared, name)
    found, plain = (
        apart(MODULES[kind](dither=0.0, kaldi_rounding=rounding, **options)(waveform)[0][0], kaldi)
        for rounding in (True, False)
    )
    assert (found <= bars).all(), found
    assert found[0] < 0.7 * plain[0]


def loud_enough(speech, expected, options):
    """Where a power (frames, bins) is far enough above what float32 rounds for a relative error of 1e-4.

    An FFT of N points in float32 errs by eps log2 N |x| in each bin of a frame x, since each of its log2 N stages
    rounds all values once, and the errors spread evenly over the bins. Before it, mean, pre-emphasis and window round
    each sample of the frame, r before pre-emphasis, four times by eps / 2: 2 eps |r|. An error of e in a bin X is one
    of 2 e / |X| in its power: |X| >= 2 e / 1e-4.
    """
    o = {**truth.FRAME, **options, "raw_energy": True, "energy_floor": 0.0}
    pairs = list(truth.frames(speech.double().numpy() * 32768, o))
    raw = np.array([math.exp(energy / 2) for _, energy in pairs])
    windowed = np.array([np.linalg.norm(x) for x, _ in pairs])
    error = truth.EPS * (math.log2(len(pairs[0][0])) * windowed + 2 * raw)
    loud = np.exp(expected / 2) >= (2 * error / 1e-4)[:, None]
    loud[:, 0] = True  # the energy of the frame
    return loud


@pytest.mark.parametrize(("kind", "options"), GRID, ids=IDS)
def test_every_option_as_in_float64(speech, kind, options):
    """float64: to rounding. float32: power within 1e-4, for a single bin where float32 can hold it."""
    expected = getattr(truth, kind)(speech.double().numpy() * 32768, **options)
    options = {"dither": 0.0, **options}
    found, frames = MODULES[kind](**options)(speech.double())
    assert found.shape == expected.shape
    assert len(found) == frames
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-7, atol=1e-7)
    single, _ = MODULES[kind](**options)(speech)
    assert single.dtype == torch.float32
    if kind in ("mfcc", "plp"):
        np.testing.assert_allclose(single.numpy(), expected, atol=1e-3 * options.get("cepstral_scale", 1.0))
    elif options.get("use_log_fbank", True):
        power, exact = np.exp(single.double().numpy()), np.exp(expected)
        loud = loud_enough(speech, expected, options) if kind == "spectrogram" else np.full(power.shape, True)
        assert loud.mean() > 0.6
        np.testing.assert_allclose(power[loud], exact[loud], rtol=1e-4)
    else:
        np.testing.assert_allclose(single.numpy(), expected, rtol=1e-4)


def native(kind, waveform, options):
    """What kaldi-native-fbank computes."""
    import kaldi_native_fbank as knf

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
    expected = native(kind, speech, options)
    found, _ = MODULES[kind](dither=0.0, **options)(speech)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-3 if kind == "fbank" else 1e-2, rtol=2e-4)


TORCHAUDIO = [
    (kind, options)
    for kind, options in GRID
    if kind != "plp" and options.get("window_type") != "sine" and "vtln_warp" not in options
] + [("fbank", {"vtln_warp": 0.9}), ("mfcc", {"vtln_warp": 1.1, "vtln_low": 110.0})]


def torchaudio_of(kind, waveform, options):
    """What torchaudio computes, told the defaults of Kaldi where its own are others: the energy, and its floor."""
    from torchaudio.compliance import kaldi

    said = {"energy_floor": 0.0, **({"use_energy": True} if kind == "mfcc" else {}), **options}
    return getattr(kaldi, kind)(waveform[None] * 32768, dither=0.0, **said).numpy()


@pytest.mark.parametrize(("kind", "options"), TORCHAUDIO, ids=str)
def test_every_option_as_in_torchaudio(speech, kind, options):
    expected = torchaudio_of(kind, speech, options)
    found, _ = MODULES[kind](dither=0.0, **options)(speech)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-3 if kind != "mfcc" else 1e-2, rtol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fbank", "mfcc"])
def test_pairs_of_options_as_in_float64(speech, kind):
    for one, two in itertools.combinations([*FRAME, *OWN[kind]], 2):
        options = {**one, **two}
        if "vtln_warp" in options and options.keys() & {"low_freq", "high_freq"}:
            with pytest.raises(ValueError, match="vtln_low < vtln_high"):
                MODULES[kind](**options)
            continue
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
