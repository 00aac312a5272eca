"""Writing sound: what soundfile and `load` read of it, and what may not be written."""

import io
import os
import wave

import numpy as np
import pytest
import soundfile
import torch

from datakit import audio
from datakit.errors import UnknownNameError

RATE = 16000
BITS = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
LOSSLESS = [("wav", name) for name in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")]
LOSSLESS += [("flac", "PCM_16"), ("flac", "PCM_24")]


def noise(channels: int = 2, frames: int = 5001) -> torch.Tensor:
    """(C, T), uniform in [-1, 1], with both ends and what lies half way between integers of 16 bits."""
    values = np.random.default_rng(0).uniform(-1, 1, (channels, frames))
    values[0, :8] = (-1, 1, 0, 0.5 / 32768, 1.5 / 32768, -0.5 / 32768, 32767.4 / 32768, 32767.6 / 32768)
    return torch.from_numpy(values).float()


def tone() -> torch.Tensor:
    t = torch.arange(2 * RATE) / RATE
    return torch.stack([0.4 * torch.sin(2 * torch.pi * 440 * t), 0.3 * torch.sin(2 * torch.pi * 660 * t)])


@pytest.mark.parametrize(("format", "encoding"), LOSSLESS)
class TestLossless:
    def test_integers_are_rounded_and_cut_at_the_top(self, format, encoding, tmp_path):
        path, waveform = tmp_path / f"a.{format}", noise()
        audio.save(path, waveform, RATE, encoding=encoding)
        if encoding in BITS:
            scale = 2.0 ** (BITS[encoding] - 1)
            expected = np.minimum(np.rint(waveform.double().numpy().T * scale), scale - 1) / scale
        else:
            expected = waveform.double().numpy().T
        values, rate = soundfile.read(path, dtype="float64", always_2d=True)
        np.testing.assert_array_equal(values, expected)
        about = soundfile.info(path)
        assert (rate, about.format, about.subtype) == (RATE, format.upper(), encoding)

    def test_what_was_loaded_is_written_back(self, format, encoding, tmp_path):
        buffer = io.BytesIO()
        ends = np.array([-(2**31), -(2**31) + 2**24, -(2**24), -256, -1, 0, 1, 256, 2**24, 2**31 - 2**24, 2**31 - 1])
        values = np.concatenate([ends, np.random.default_rng(1).integers(-(2**31), 2**31, 5000)]).astype(np.int32)
        samples = values if encoding in BITS else values / 2**31
        soundfile.write(buffer, samples, RATE, format=format, subtype=encoding)
        first = audio.load(buffer.getvalue())[0]
        audio.save(tmp_path / "first", first, RATE, format=format, encoding=encoding)
        second = audio.load(tmp_path / "first")[0]
        assert torch.equal(first, second)
        audio.save(tmp_path / "second", second, RATE, format=format, encoding=encoding)
        assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
        if BITS.get(encoding, 32) <= 24:  # a float32 holds these whole
            buffer.seek(0)
            theirs = [soundfile.read(file, dtype="int32")[0] for file in (buffer, tmp_path / "first")]
            np.testing.assert_array_equal(*theirs)


@pytest.mark.parametrize(
    ("format", "encoding", "atol"), [("mp3", "MPEG_LAYER_III", 0.02), ("ogg", "VORBIS", 0.02), ("opus", "OPUS", 0.03)]
)
def test_lossy(format, encoding, atol, tmp_path):
    path = tmp_path / f"a.{format}"
    audio.save(path, tone(), RATE)
    assert audio.info(path).encoding == encoding
    waveform, rate = audio.load(path)
    assert rate == RATE
    assert waveform.shape == tone().shape
    middle = slice(RATE // 2, -RATE // 2)
    assert (waveform - tone())[:, middle].abs().max() < atol


def test_long_ogg(tmp_path):
    audio.save(tmp_path / "long.ogg", torch.zeros(1, 3_000_000), RATE)  # libvorbis dies of that much at once
    assert audio.info(tmp_path / "long.ogg").frames == 3_000_000


class TestArguments:
    def test_orders_dtypes_and_files(self, tmp_path):
        waveform = noise()
        audio.save(tmp_path / "a.wav", waveform, RATE)
        expected = (tmp_path / "a.wav").read_bytes()
        for given, options in (
            (waveform.T, {"channels_first": False}),
            (waveform.numpy(), {}),
            (waveform.double(), {}),
            (waveform.clone().requires_grad_(), {}),
        ):
            buffer = io.BytesIO()
            audio.save(buffer, given, RATE, format="wav", **options)
            assert buffer.getvalue() == expected
        with (tmp_path / "b.wav").open("wb") as file:
            audio.save(file, waveform, RATE)  # by the name of the file
        assert (tmp_path / "b.wav").read_bytes() == expected
        for given in (waveform[0], waveform[0].bfloat16(), waveform[0].half()):
            audio.save(tmp_path / "mono.WAV", given, float(RATE))
            assert torch.equal(audio.load(tmp_path / "mono.WAV")[0][0], audio.load(_wav(given.float()))[0][0])

    def test_the_header_by_the_standard_library(self, tmp_path):
        audio.save(tmp_path / "a.wav", noise(3, 15), 44100, encoding="PCM_24")
        with wave.open(str(tmp_path / "a.wav")) as file:
            assert file.getparams()[:4] == (3, 3, 44100, 15)
        assert os.path.getsize(tmp_path / "a.wav") == 44 + 135 + 1  # an odd chunk is padded

    def test_beyond_the_range(self, tmp_path):
        loud = torch.tensor([[0.5, -1.5, 1.25]])
        for format in ("wav", "flac", "mp3", "ogg", "opus"):
            path = tmp_path / f"a.{format}"
            with pytest.raises(ValueError, match=r"the peak is 1\.5, .* holds \[-1, 1\]: scale it, pass clip=True"):
                audio.save(path, loud, RATE)
            assert not path.exists()
        audio.save(tmp_path / "a.wav", loud, RATE, clip=True)
        assert audio.load(tmp_path / "a.wav")[0].tolist() == [[0.5, -1, 32767 / 32768]]
        audio.save(tmp_path / "a.wav", loud, RATE, encoding="FLOAT")
        assert torch.equal(audio.load(tmp_path / "a.wav")[0], loud)
        assert loud[0, 1] == -1.5

    def test_what_is_not_written(self, tmp_path):
        path = tmp_path / "a.wav"
        path.write_bytes(b"before")
        for value in (float("nan"), float("inf")):
            for encoding in ("PCM_16", "FLOAT"):
                with pytest.raises(ValueError, match=f"the sample in frame 2 of channel 1 is {value}"):
                    audio.save(path, torch.tensor([[0, 0, 0.0], [0, 0, value]]), RATE, encoding=encoding, clip=True)
        for waveform, says in (
            (torch.zeros(1, 10, dtype=torch.int16), "not int16; divide"),
            (torch.zeros(1, 0), "with samples"),
            (torch.zeros(1, 2, 3), "with samples"),
            (torch.zeros(2000, 2), "is channels_first right"),
        ):
            with pytest.raises(ValueError, match=says):
                audio.save(path, waveform, RATE)
        for rate in (0, -1, 2**31, 44100.5):
            with pytest.raises(ValueError, match="cannot write 1 channels at"):
                audio.save(path, torch.zeros(1, 10), rate)
        with pytest.raises(
            UnknownNameError, match="no format is known by the suffix '.xyz'; pass format=, one of wav,"
        ):
            audio.save(tmp_path / "a.xyz", torch.zeros(1, 10), RATE)
        with pytest.raises(UnknownNameError, match="no format is known by the suffix ''"):
            audio.save(io.BytesIO(), torch.zeros(1, 10), RATE)
        with pytest.raises(UnknownNameError, match="unknown encoding of wav 'PCM16'; did you mean 'PCM_16'"):
            audio.save(path, torch.zeros(1, 10), RATE, encoding="PCM16")
        with pytest.raises(UnknownNameError, match="unknown format 'WAV'; did you mean 'wav'"):
            audio.save(path, torch.zeros(1, 10), RATE, format="WAV")
        with pytest.raises(ValueError, match="opus cannot hold 1 channels at 44,100 Hz: "):
            audio.save(tmp_path / "a.opus", torch.zeros(1, 10), 44100)
        with pytest.raises(ValueError, match="mp3 cannot hold 3 channels at 44,100 Hz: "):
            audio.save(tmp_path / "a.mp3", torch.zeros(3, 10), 44100)
        assert path.read_bytes() == b"before"
        assert os.listdir(tmp_path) == ["a.wav"]

    def test_whole_or_not_at_all(self, tmp_path, monkeypatch):
        path = tmp_path / "a.wav"
        path.write_bytes(b"before")

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="No space"):
            audio.save(path, torch.zeros(1, 10), RATE)
        assert path.read_bytes() == b"before"
        assert os.listdir(tmp_path) == ["a.wav"]
        with pytest.raises(FileNotFoundError):
            audio.save(tmp_path / "no folder" / "a.wav", torch.zeros(1, 10), RATE)

    def test_the_same_samples_make_the_same_file(self, tmp_path):
        for format, encoding in LOSSLESS:
            files = [io.BytesIO(), io.BytesIO()]
            for file in files:
                audio.save(file, noise(), RATE, format=format, encoding=encoding)
            assert files[0].getvalue() == files[1].getvalue()


def _wav(values: torch.Tensor) -> bytes:
    buffer = io.BytesIO()
    audio.save(buffer, values, RATE, format="wav")
    return buffer.getvalue()
