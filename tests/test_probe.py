import threading
import time

import numpy as np
import pytest
from material import Numbers, Sleeps
from PIL import Image

from datakit import Key, probe
from datakit.errors import SampleError
from datakit.probe import IDLE, OTHER, Recorder, stage
from datakit.transforms import Compose
from datakit.vision import ImageFiles
from datakit.vision.io import read_image


@pytest.fixture
def recorder(monkeypatch):
    monkeypatch.setattr(probe, "recorder", Recorder())
    return probe.recorder


def name(value):
    return type(value).__name__


def test_times_are_exclusive_and_add_up(recorder):
    recorder.take(name)
    start = time.perf_counter()
    time.sleep(0.01)  # idle: nothing has begun
    with stage("outer"):
        time.sleep(0.02)
        with stage("inner"):
            time.sleep(0.03)
        time.sleep(0.02)
    time.sleep(0.01)
    with stage("inner"):
        time.sleep(0.01)
    took = recorder.take(name)
    whole = time.perf_counter() - start
    assert list(took) == [IDLE, "outer", "inner", OTHER]
    assert sum(took.values()) == pytest.approx(whole, abs=0.001)
    for stage_, slept in {IDLE: 0.01, "outer": 0.04, "inner": 0.04, OTHER: 0.01}.items():
        assert slept <= took[stage_] < slept + 0.03
    assert list(recorder.take(name)) == [IDLE]


def test_a_dataset_reports_its_loading_and_each_step(recorder):
    class Slow(Numbers):
        def load(self, record):
            time.sleep(0.01)
            return super().load(record)

    dataset = Slow(3, transform=Compose([Sleeps(0.02), Sleeps(0.005)]))
    recorder.take(name)
    dataset[Key(0, 0, 1)]
    took = recorder.take(name)
    assert 0.01 <= took["load"] < 0.02
    assert 0.025 <= took["Sleeps"] < 0.04  # both steps have this name
    assert set(took) == {IDLE, OTHER, "load", "Sleeps"}


def test_a_step_that_fails_is_closed_all_the_same(recorder):
    def fails(sample):
        raise ValueError("no")

    with pytest.raises(SampleError):
        Numbers(3, transform=fails)[0]
    with pytest.raises(SampleError):
        Numbers(3, broken=[1])[1]
    time.sleep(0.02)
    assert recorder.take(lambda step: "fails")[OTHER] >= 0.02


def test_reading_is_told_from_decoding_and_the_pixels_are_the_same(tmp_path, recorder):
    pixels = np.random.default_rng(0).integers(256, size=(300, 400, 3), dtype=np.uint8)
    for suffix in ("png", "jpg"):
        Image.fromarray(pixels).save(tmp_path / f"a.{suffix}")
    dataset = ImageFiles(tmp_path)
    probed = [dataset[index]["image"] for index in range(2)]
    took = recorder.take(name)
    assert 0 < took["read"] < took["load"]
    probe.recorder = None
    assert all(np.array_equal(dataset[index]["image"], probed[index]) for index in range(2))


def test_bytes_and_open_files_read_as_without(tmp_path, recorder):
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 3), "red").save(path)
    assert read_image(path.read_bytes()).shape == (3, 4, 3)
    assert "read" not in recorder.take(name)  # somebody else has read them
    with path.open("rb") as file:
        file.seek(7)
        assert read_image(file).shape == (3, 4, 3)
        assert not file.closed
    assert "read" in recorder.take(name)


def test_other_threads_are_left_out(recorder):
    def work():
        with stage("elsewhere"):
            time.sleep(0.01)

    with stage("here"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    took = recorder.take(name)
    assert "elsewhere" not in took
    assert took["here"] >= 0.01


def test_without_a_recorder_nothing_is_kept():
    assert probe.recorder is None
    with stage("anything"):
        assert probe.recorder is None
    assert Numbers(3)[1]["number"] == 1
