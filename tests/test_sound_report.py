"""Sounds as `inspect` draws them: axes on which known sounds stand where they should, clips, padding in words."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile
import torch
from pages import Page
from PIL import Image
from sounds import noise
from torchaudio.functional import melscale_fbanks

from datakit import Mapped, collate, show
from datakit.audio import SpokenDigits
from datakit.inspection.batch import Padding
from datakit.inspection.look import look
from datakit.inspection.sound import sound_in
from datakit.inspection.spectrum import UNKNOWN
from datakit.report import page
from datakit.report.contact_sheet import contact_sheet
from datakit.report.padding import padding_hint, padding_line
from datakit.report.room import Room, room_of, shared
from datakit.report.sound.clip import clip_of
from datakit.report.sound.drawing import draw_sound
from datakit.report.sound.plot import LEFT
from datakit.report.terminal import inspection_json, inspection_lines
from datakit.targets import Target
from datakit.transforms import AmplitudeToDB, Compose, Features, Gain, MelSpectrogram, MuLawEncoding, Spectrogram

RATE = 16000


def tone(hertz, seconds=0.5, rate=RATE):
    time = torch.arange(int(seconds * rate)) / rate
    return {"waveform": 0.5 * torch.sin(2 * np.pi * hertz * time)[None].float(), "sample_rate": rate}


def click(at, seconds=1.0, rate=RATE):
    waveform = torch.zeros(1, int(seconds * rate))
    waveform[0, int(at * rate)] = 1.0
    return {"waveform": waveform, "sample_rate": rate}


def drawn(sample, *steps):
    dataset = Mapped([sample], transform=Compose(steps))
    seen = look(Target("sounds", dataset), samples=1, draws=0, survey_records=0)
    last = seen.samples[0].stages[-1].sample
    return draw_sound(sound_in(last), seen.spectrum_after([stage.name for stage in seen.samples[0].stages]))


def place_of(ticks, text):
    return next(tick.at for tick in ticks if tick.text == text)


# --- axes: torchaudio decides in which bin or band a tone is, and where a click


@pytest.mark.parametrize(
    "step",
    [
        Spectrogram(n_fft=512),
        Spectrogram(n_fft=400, power=1.0),
        MelSpectrogram(n_fft=1024, n_mels=64),
        MelSpectrogram(n_fft=1024, n_mels=48, mel_scale="slaney", f_min=100.0, f_max=6000.0),
    ],
    ids=str,
)
@pytest.mark.parametrize("hertz", [1000, 2000, 5000])
def test_a_tone_is_brightest_at_the_tick_of_its_frequency(step, hertz):
    plot = drawn(tone(hertz), step).plot
    if isinstance(step, MelSpectrogram):
        expected = place_of(plot.lanes[0].up, f"{hertz:,}")
    else:
        ticks = [(float(tick.text.replace(",", "")), tick.at) for tick in plot.lanes[0].up]
        expected = np.interp(hertz, *zip(*ticks, strict=True))
    raster, lane = plot.lanes[0].raster, plot.lanes[0]
    row = int(raster[:, raster.shape[1] // 2].astype(int).argmax())
    height = lane.height / len(raster)
    assert abs(lane.top + (row + 0.5) * height - expected) <= 1.01 * height
    assert plot.up_name.endswith(", Hz")


@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize("hertz", [500, 1000, 2000])
def test_a_frequency_between_two_bands_stands_between_their_rows(hertz, scale):
    """By the triangles of torchaudio's filters: a frequency has its place where their weights say it is."""
    bands = 8
    weights = melscale_fbanks(16001, 0.0, 8000.0, bands, RATE, mel_scale=scale)[2 * hertz]  # bins of 0.5 Hz
    lower = int(weights.nonzero()[0])
    expected = lower + float(weights[lower + 1] / weights.sum())
    lane = drawn(tone(hertz), MelSpectrogram(n_fft=1024, n_mels=bands, mel_scale=scale)).plot.lanes[0]
    found = (1 - (place_of(lane.up, f"{hertz:,}") - lane.top) / lane.height) * bands - 0.5
    assert found == pytest.approx(expected, abs=0.12)  # a triangle has straight sides in Hz, the axis goes by mel


@pytest.mark.parametrize(
    "step",
    [Spectrogram(n_fft=256), Spectrogram(n_fft=512, hop_length=100, center=False), Spectrogram(n_fft=128, pad=700)],
    ids=str,
)
@pytest.mark.parametrize("at", [0.5, 1.0])
def test_a_click_is_brightest_at_its_time(step, at):
    plot = drawn(click(at, seconds=1.6), step).plot
    raster = plot.lanes[0].raster.astype(float).sum(0)
    width = (plot.right - LEFT) / len(raster)
    middle = LEFT + (np.flatnonzero(raster > raster.max() * 0.99).mean() + 0.5) * width
    assert abs(middle - place_of(plot.across, f"{at:g}")) <= step.n_fft / 2 / RATE * (plot.right - LEFT) / 1.6
    assert plot.across_name == "time, s"


def test_without_a_rate_or_a_chain_the_axes_are_counted():
    bare = draw_sound(sound_in({"spectrogram": torch.rand(1, 20, 50)}), UNKNOWN).plot
    assert (bare.across_name, bare.up_name) == ("frame", "bin")
    assert [tick.text for tick in bare.across] == ["0", "10", "20", "30", "40"]
    wave = draw_sound(sound_in({"waveform": torch.rand(1, 50)}), UNKNOWN).plot
    assert wave.across_name == "step"
    no_rate = drawn({"waveform": noise(1, 800)}, Spectrogram(n_fft=64)).plot
    assert (no_rate.across_name, no_rate.up_name) == ("frame", "bin")


def test_a_waveform_is_within_its_outline():
    waveform = noise(1, 296 * 100)
    plot = draw_sound(sound_in({"waveform": waveform, "sample_rate": RATE}), UNKNOWN).plot
    lane = plot.lanes[0]
    assert lane.is_closed
    xs, ys = np.array(lane.outline).T
    half = len(xs) // 2
    pixels = waveform[0].numpy().reshape(half, 100)
    np.testing.assert_allclose(ys[:half], lane.top + (1 - pixels.max(1)) / 2 * lane.height, rtol=1e-6)
    np.testing.assert_allclose(ys[half:][::-1], lane.top + (1 - pixels.min(1)) / 2 * lane.height, rtol=1e-6)
    assert (xs[0] >= LEFT, xs.max() <= plot.right) == (True, True)


def test_a_click_in_a_long_waveform_is_seen():
    lane = draw_sound(sound_in(click(0.5, seconds=60.0)), UNKNOWN).plot.lanes[0]
    xs, ys = np.array(lane.outline).T
    assert ys.min() == lane.top
    assert xs[ys.argmin()] == pytest.approx(LEFT + 0.5 / 60 * (350 - LEFT), abs=1.5)


def test_waveforms_beside_each_other_share_an_axis():
    quiet = sound_in({"waveform": noise(1, 100) * 0.04, "sample_rate": RATE})
    alone, beside = (draw_sound(quiet, UNKNOWN, highest=highest).plot.lanes[0] for highest in (0.0, 0.9))
    assert {tick.text for tick in alone.up} >= {"0.04", "-0.04"}
    assert {tick.text for tick in beside.up} >= {"0.5", "-0.5"}
    loud = draw_sound(sound_in({"waveform": noise(1, 9000) * 3, "sample_rate": RATE}), UNKNOWN).plot
    assert {tick.text for tick in loud.lanes[0].up} >= {"4", "-4"}
    assert loud.details.endswith("peak 3")


def test_levels_are_decibels_of_what_is_no_padding():
    power = torch.tensor([[[1.0, 100.0, 1e-20, 1e9]]])
    sound = sound_in({"spectrogram": power, "length": 3})
    dataset = Mapped([tone(100)], transform=Spectrogram(n_fft=64))
    meaning = look(Target("x", dataset), samples=1, draws=0, survey_records=0).spectrum_after(["Spectrogram(n_fft=64)"])
    plot = draw_sound(sound, meaning).plot
    assert plot.bar_name == "dB"
    assert "-100 … 20 dB" in plot.details.replace("\u00a0", " ")
    assert "padding from frame 3 on" in plot.details
    assert plot.padded_from == pytest.approx(LEFT + 0.75 * (plot.right - LEFT))
    assert plot.lanes[0].raster[0].tolist() == [191, 255, 0, 255]  # 80 dB below 20 is black


def test_values_that_are_no_levels_are_drawn_as_they_are():
    plot = draw_sound(sound_in({"features": torch.tensor([[-1.0, 0.0], [1.0, float("nan")]])}), UNKNOWN).plot
    assert plot.bar_name == ""
    assert plot.lanes[0].raster.tolist() == [[128, 0], [0, 255]]
    flat = draw_sound(sound_in({"features": torch.full((3, 4), 2.5)}), UNKNOWN).plot
    assert [tick.text for tick in flat.bar] == ["2.5"]


def test_many_channels_and_very_long_spectrograms():
    plot = draw_sound(sound_in({"waveform": noise(6, 1000), "sample_rate": RATE}), UNKNOWN).plot
    assert len(plot.lanes) == 4
    assert "6 channels" in plot.details
    assert "the first 4 are shown" in plot.details
    long = draw_sound(sound_in({"spectrogram": torch.rand(1, 1025, 9000)}), UNKNOWN)
    assert long.plot.lanes[0].raster.shape == (512, 1200)
    assert len(long.svg("x")) < 1.5e6


def test_codes_are_drawn_from_0_up():
    lane = drawn(tone(100), MuLawEncoding()).plot.lanes[0]
    assert min(tick.at for tick in lane.up) > lane.top
    assert place_of(lane.up, "0") == lane.top + lane.height


@pytest.mark.parametrize("sample", [tone(440), Spectrogram(n_fft=64)(tone(440)), {"features": torch.rand(9, 4)}])
def test_pictures_have_the_width_that_is_asked_for(sample):
    picture = draw_sound(sound_in(sample), UNKNOWN, side=240).image
    assert picture.size[0] == 240
    assert np.asarray(picture).std() > 8


# --- clips


def heard(clip):
    head, data = clip.src.split(",", 1)
    assert head == "data:audio/wav;base64"
    values, rate = soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="int16", always_2d=True)
    return values.T, rate


def clip(waveform, rate=RATE, steps=10**9, **more):
    return clip_of(sound_in({"waveform": waveform, "sample_rate": rate, **more}), steps)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_clip_is_the_waveform_in_16_bits(channels):
    waveform = noise(channels, 1000)
    values, rate = heard(clip(waveform))
    assert rate == RATE
    np.testing.assert_array_equal(values, np.round(waveform.numpy() * 32768).clip(-32768, 32767))
    assert clip(waveform).note == ""


def test_what_a_clip_leaves_out_is_said():
    waveform = noise(1, RATE * 2)
    values, _ = heard(clip(waveform, length=500))
    assert values.shape == (1, 500)
    assert clip(waveform, length=500).note == ""
    short = clip(waveform, steps=RATE // 2)
    assert (heard(short)[0].shape, short.note) == ((1, RATE // 2), "the first 0.5 s")
    assert heard(clip(torch.cat([waveform, waveform]), steps=RATE))[0].shape == (2, RATE // 2)
    assert clip(noise(1, RATE * 31)).note == "the first 30 s"
    mean = clip(noise(3, 100))
    assert (heard(mean)[0].shape, mean.note) == ((1, 100), "the mean of 3 channels")
    loud = clip(torch.tensor([[0.5, 2.0, -3.0, float("nan"), float("inf")]]))
    assert loud.note == "cut off at ±1"
    assert heard(loud)[0].tolist() == [[16384, 32767, -32768, 0, 32767]]


def test_what_cannot_be_played():
    assert clip(noise(1, 100), rate=100).src == ""
    assert clip(noise(1, 100), rate=100).note == "browsers do not play 100 Hz"
    assert clip_of(sound_in({"waveform": noise(1, 100)}), 100) is None
    assert clip_of(sound_in(Spectrogram(n_fft=64)(tone(440))), 100) is None
    assert clip(noise(1, 100), length=0) is None


def test_the_room_of_clips_is_shared():
    assert shared([10, 20, 30], 100) == 100
    assert shared([10, 20, 30], 45) == 17  # 10 + 17 + 17 <= 45
    assert shared([], 45) == 45
    assert shared([50, 50], 40) == 20
    rng = np.random.default_rng(0)
    for _ in range(50):
        wanted, total = rng.integers(1, 100, rng.integers(1, 9)).tolist(), int(rng.integers(10, 400))
        limit = shared(wanted, total)
        assert sum(min(size, limit) for size in wanted) <= total
        assert sum(wanted) <= total or sum(min(size, limit + 1) for size in wanted) > total


def test_long_sounds_keep_the_page_small():
    long = Mapped([{"waveform": noise(1, 48000 * 20, seed), "sample_rate": 48000} for seed in range(4)], Gain(-3.0))
    seen = look(Target("long", long), draws=0, survey_records=0)
    assert room_of(seen).steps < 48000 * 20
    assert len(page.render(seen)) < 16e6


# --- padding, in words


def test_padding_in_words():
    padding = Padding("waveform", np.array([100, 400, 200]), 400, 8000)
    assert padding_line(padding) == "100 … 400 steps (0.0125 … 0.05 s), 41.7 % of the batch is padding"
    assert "Loader(lengths=…)" in padding_hint(padding)
    even = Padding("features", np.array([7, 7]), 7, None)
    assert padding_line(even) == "7 frames, 0.0 % of the batch is padding"
    assert padding_hint(even) == ""


# --- on the page


@pytest.fixture(scope="module")
def seen():
    chain = Compose([Gain((-12.0, 0.0)), MelSpectrogram(n_fft=200, n_mels=20), AmplitudeToDB(), Features()])
    digits = SpokenDigits.synthetic(n=16, transform=chain)
    return look(Target("spoken-digits", digits), samples=2, batch_size=6, draws=3)


@pytest.fixture(scope="module")
def total():
    """Seconds of all sounds, by their headers."""
    return f"{SpokenDigits.synthetic(n=16).durations().sum():.3g}"


def test_every_stage_is_drawn_and_waveforms_can_be_heard(seen, total):
    parsed = Page(page.render(seen))
    plots = [attributes["aria-label"] for attributes in parsed.all("svg") if attributes["class"] == "plot"]
    assert len(plots) == 2 * 5 + 3 + 6
    index = seen.samples[0].key.index
    steps = seen.samples[0].stages[0].sample["waveform"].shape[1]
    assert plots[0].startswith(f"sample {index} as loaded: Waveform, {round(steps / 8000, 3):g} s, 8,000 Hz, peak ")
    bands = f"20 mel bands × {steps // 100 + 1} frames, "
    assert plots[3].startswith(f"sample {index} after AmplitudeToDB(): Spectrogram, {bands}")
    assert plots[4].startswith(f"sample {index} after Features(): Features, {bands}")
    players = parsed.all("audio")
    assert len(players) == 2 * 2
    assert players[1]["aria-label"] == f"Listen to sample {index} after Gain((-12.0, 0.0))"
    assert len({one["src"] for one in players}) == 4
    policy = next(meta["content"] for meta in parsed.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert "media-src data:;" in policy
    lengths = seen.batch["length"]
    assert f"Lengths: {lengths.min()} … {lengths.max()} frames" in parsed.words()
    assert f"16 sounds, {total} s in all; 8,000 Hz; 1 channel." in parsed.words()


def test_the_terminal_and_json_say_the_same(seen, total):
    lines, lengths = "\n".join(inspection_lines(seen)), seen.batch["length"]
    share = 1 - lengths.sum() / (6 * lengths.max())
    assert re.search(rf"lengths +{lengths.min()} … {lengths.max()} frames, {share:.1%}".replace("%", " %"), lines)
    assert re.search(rf"sounds +0\.[23]\d+ … 0\.[56]\d* s, median 0\.[345]\d*, {total} s in all", lines)
    values = inspection_json(seen, "page.html")
    expected = {"key": "features", "lengths": lengths.tolist(), "steps": lengths.max(), "share": pytest.approx(share)}
    assert values["padding"] == expected
    assert f"{values['survey']['sounds']['seconds']['total']:.3g}" == total
    assert values["survey"]["sounds"]["rates"] == {8000: 16}


def test_grids_and_notebooks_show_sounds(seen):
    grid = np.asarray(Image.open(io.BytesIO(contact_sheet(seen))))
    assert grid.std() > 8
    shown = show(SpokenDigits.synthetic(n=8), samples=2)._repr_html_()
    assert shown.count('class="plot"') == shown.count("<audio") == 2
    batch = collate.pad([SpokenDigits.synthetic(n=8)[index] for index in range(3)])
    assert show(batch)._repr_html_().count("<audio") == 3
    assert show((torch.rand(2, 900), 16000, "a text"))._repr_html_().count("<audio") == 1


def test_room_is_what_is_asked_for_where_there_is_little(seen):
    assert room_of(seen, 320) == Room(320)


def test_a_text_stands_for_a_sample_without_a_label():
    spoken = Mapped([{**tone(440), "text": "ONE TWO THREE", "index": 7}])
    seen = look(Target("x", spoken), samples=1, draws=0, survey_records=0)
    assert "Sample 0 · ONE TWO THREE" in Page(page.render(seen)).words()
