"""Reading sound: every kind of file against soundfile, and every kind of damage against the promises."""

import io
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import wave
import zipfile

import numpy as np
import pytest
import soundfile
import torch

from datakit import audio
from datakit.audio.io import AUDIO_SUFFIXES
from datakit.errors import CorruptDataError, MissingDataError

RATE, FRAMES = 16000, 12_000


def sound(frames: int = FRAMES, channels: int = 2) -> np.ndarray:
    """(frames, channels): tones that rise, and noise, so that every part is unlike every other."""
    t = np.arange(frames)[:, None] / RATE
    tones = 0.4 * np.sin(2 * np.pi * (200 + 300 * np.arange(channels) + 400 * t) * t)
    return tones + 0.05 * np.random.default_rng(5).standard_normal((frames, channels))


def written(format: str, subtype: str, values: np.ndarray | None = None, rate: int = RATE, **options: object) -> bytes:
    """A file that soundfile wrote."""
    buffer = io.BytesIO()
    soundfile.write(buffer, sound() if values is None else values, rate, format=format, subtype=subtype, **options)
    return buffer.getvalue()


def truth(data: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0]


KINDS = {
    f"{format} {subtype}": written(format, subtype)
    for format, subtypes in {
        "WAV": "PCM_U8 PCM_16 PCM_24 PCM_32 FLOAT DOUBLE ULAW ALAW IMA_ADPCM MS_ADPCM",
        "WAVEX": "PCM_U8 PCM_16 PCM_24 PCM_32 FLOAT DOUBLE",
        "RF64": "PCM_16 FLOAT",
        "W64": "PCM_16 PCM_24",
        "FLAC": "PCM_S8 PCM_16 PCM_24",
        "MP3": "MPEG_LAYER_III",
        "OGG": "VORBIS OPUS",
        "AIFF": "PCM_16 PCM_24 FLOAT",
        "AU": "PCM_16 FLOAT ULAW",
        "NIST": "PCM_16",
    }.items()
    for subtype in subtypes.split()
}


def mpeg_frames(data: bytes, at: int = 0) -> list[int]:
    """Where the frames of an MPEG-1 or 2 layer III file begin, by the arithmetic of the specification."""
    places = []
    rates = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
    kbits = {
        3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
        2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    }
    while at + 4 <= len(data):
        version, bits = data[at + 1] >> 3 & 3, data[at + 2]
        places.append(at)
        rate = rates[version][bits >> 2 & 3]
        at += (144 if version == 3 else 72) * 1000 * kbits[3 if version == 3 else 2][bits >> 4] // rate + (
            bits >> 1 & 1
        )
    return places


def without_xing(**options: object) -> tuple[bytes, int]:
    """An MP3 that does not say its length, and how many frames it holds."""
    data = written("MP3", "MPEG_LAYER_III", sound(48_000) * np.linspace(0.01, 1, 48_000)[:, None], **options)
    places = mpeg_frames(data)
    return data[places[1] :], (len(places) - 1) * 576


class TestValues:
    @pytest.mark.parametrize("name", KINDS)
    def test_every_encoding_is_as_soundfile_reads_it(self, name):
        waveform, rate = audio.load(KINDS[name])
        expected = truth(KINDS[name])
        assert (waveform.dtype, waveform.shape, rate) == (torch.float32, expected.T.shape, RATE)
        assert waveform.is_contiguous()
        np.testing.assert_array_equal(waveform.T.numpy(), expected)
        rows, _ = audio.load(KINDS[name], channels_first=False)
        assert rows.is_contiguous()
        assert torch.equal(rows, waveform.T)
        waveform.add_(1)  # may be written to

    @pytest.mark.parametrize("name", KINDS)
    def test_info(self, name):
        said, theirs = audio.info(KINDS[name]), soundfile.info(io.BytesIO(KINDS[name]))
        assert (said.sample_rate, said.channels, said.encoding) == (RATE, 2, theirs.subtype)
        assert said.frames == theirs.frames == audio.load(KINDS[name])[0].shape[1]
        assert said.format == theirs.format.replace("WAVEX", "WAV")
        assert said.duration == theirs.frames / RATE

    def test_plain_wavs_against_the_standard_library(self):
        with wave.open(io.BytesIO(KINDS["WAV PCM_16"])) as file:
            samples = np.frombuffer(file.readframes(FRAMES), "<i2").reshape(-1, 2)
        np.testing.assert_array_equal(audio.load(KINDS["WAV PCM_16"])[0].numpy().T, samples / 32768)

    def test_neither_soundfile_nor_torchaudio_is_imported_for_a_wav(self):
        code = "import sys, datakit.audio as a; a.load(sys.stdin.buffer.read()); print(*sys.modules)"
        run = subprocess.run([sys.executable, "-c", code], input=KINDS["WAV PCM_16"], capture_output=True, check=True)
        assert not {"soundfile", "torchaudio", "kaldi_io", "torchcodec"} & set(run.stdout.decode().split())

    def test_full_scale(self):
        extremes = np.array([-32768, -1, 0, 1, 32767], np.int16)
        for format in ("WAV", "FLAC", "AIFF"):
            buffer = io.BytesIO()
            soundfile.write(buffer, extremes, 8000, format=format, subtype="PCM_16")
            assert audio.load(buffer.getvalue())[0][0].mul(32768).tolist() == extremes.tolist()

    def test_real_files(self, shared):
        files = [*(shared / "audio").iterdir(), *(shared / "kaldi" / "reference").glob("*.wav")]
        if not files:
            pytest.skip("no sound files among the real datasets")
        for path in files:
            waveform, rate = audio.load(path)
            expected, their_rate = soundfile.read(path, dtype="float32", always_2d=True)
            assert (waveform.shape, rate) == (expected.T.shape, their_rate), path.name
            np.testing.assert_allclose(waveform.T.numpy(), expected, rtol=0, atol=1e-7, err_msg=path.name)
            assert audio.info(path).frames == len(expected), path.name
            assert path.suffix in AUDIO_SUFFIXES

    def test_a_real_utterance_in_flac(self, shared):
        path = shared / "librispeech-one-utterance.tar.gz"
        if not path.exists():
            pytest.skip("the utterance of LibriSpeech is not among the real datasets")
        with tarfile.open(path) as archive:
            name = next(name for name in archive.getnames() if name.endswith(".flac"))
            data = archive.extractfile(name).read()
        waveform, rate = audio.load(data)
        assert (waveform.shape, rate) == ((1, 186_560), 16000)
        np.testing.assert_array_equal(waveform.numpy().T, truth(data))
        assert torch.equal(audio.load(data, start=100_000, frames=16000)[0], waveform[:, 100_000:116_000])

    def test_real_wavs_of_a_corpus(self, shared):
        path = shared / "free-spoken-digit-dataset.zip"
        if not path.exists():
            pytest.skip("the spoken digits are not among the real datasets")
        with zipfile.ZipFile(path) as archive:
            for name in sorted(name for name in archive.namelist() if name.endswith(".wav"))[::30]:
                data = archive.read(name)
                np.testing.assert_array_equal(audio.load(data)[0].numpy().T, truth(data), name)

    @pytest.mark.parametrize(
        "options", [{}, {"bitrate_mode": "VARIABLE", "compression_level": 0.5}], ids=["cbr", "vbr"]
    )
    def test_an_mp3_that_does_not_say_its_length_is_read_whole(self, options):
        data, frames = without_xing(**options)
        assert frames != soundfile.info(io.BytesIO(data)).frames  # which is a guess
        waveform, _ = audio.load(data)
        assert audio.info(data).frames == waveform.shape[1] == frames
        expected = truth(data)
        common = min(frames, len(expected))
        assert common > frames // 10
        np.testing.assert_allclose(waveform.T.numpy()[:common], expected[:common], rtol=0, atol=1e-6)
        part, _ = audio.load(data, start=frames - 1000)
        torch.testing.assert_close(part, waveform[:, -1000:], rtol=0, atol=1e-6)
        assert waveform[:, -2000:].abs().max() > 0.1

    def test_tags_around(self):
        data = KINDS["MP3 MPEG_LAYER_III"]
        expected = truth(data)
        size = bytes([0, 0, 2, 0])  # 7 bits a byte: 256
        tagged = b"ID3\4\0\0" + size + b"\xff\xfb" * 128
        for before, behind in (
            (tagged, b""),
            (tagged + bytes(700), b"\0" * 9),
            (tagged * 2, b"TAG" + bytes(125)),
            (b"", b"APETAGEX" + bytes(24)),
        ):
            np.testing.assert_array_equal(audio.load(before + data + behind)[0].numpy().T, expected)
        np.testing.assert_array_equal(
            audio.load(tagged + KINDS["FLAC PCM_16"])[0].numpy().T, truth(KINDS["FLAC PCM_16"])
        )

    def test_extra_chunks_of_a_wav(self):
        data = KINDS["WAV PCM_16"]
        odd = b"LIST" + struct.pack("<I", 5) + b"INFO!\0"
        assert torch.equal(audio.load(data[:12] + odd + data[12:] + odd)[0], audio.load(data)[0])


class TestParts:
    @pytest.mark.parametrize("name", KINDS)
    def test_any_part_is_a_slice_of_the_whole(self, name, tmp_path):
        path, rng = tmp_path / "sound", np.random.default_rng(1)
        path.write_bytes(KINDS[name])
        whole, _ = audio.load(path)
        total = whole.shape[1]
        parts = [(int(start), int(rng.integers(0, total))) for start in rng.integers(0, total, 6)]
        for start, frames in [
            *parts,
            (0, None),
            (total // 2, None),
            (total - 1, 1),
            (total - 7, 100),
            (total, 5),
            (0, 0),
        ]:
            part, rate = audio.load(path, start=start, frames=frames)
            expected = whole[:, start : None if frames is None else start + frames]
            assert (part.shape, rate) == (expected.shape, RATE), (start, frames)
            torch.testing.assert_close(part, expected, rtol=0, atol=1e-6)

    def test_outside(self):
        for name in ("WAV PCM_16", "FLAC PCM_16", "MP3 MPEG_LAYER_III", "OGG VORBIS"):
            with pytest.raises(
                ValueError, match=f"start=90,000 is behind the end: {truth(KINDS[name]).shape[0]:,} frames"
            ):
                audio.load(KINDS[name], start=90_000)
        with pytest.raises(ValueError, match="count from 0"):
            audio.load(KINDS["WAV PCM_16"], start=-1)
        with pytest.raises(ValueError, match="count from 0"):
            audio.load(KINDS["WAV PCM_16"], frames=-1)

    def test_a_part_of_a_large_file_reads_no_more(self, tmp_path):
        class Counting(io.BytesIO):
            count = 0

            def read(self, size=-1):
                data = super().read(size)
                self.count += len(data)
                return data

            def readinto(self, buffer):
                count = super().readinto(buffer)
                self.count += count
                return count

        values = sound(90 * RATE, 1)
        for format, most in (("WAV", 33_000), ("FLAC", 200_000), ("OGG", 320_000)):
            file = Counting(written(format, "VORBIS" if format == "OGG" else "PCM_16", values))
            assert audio.load(file, start=30 * RATE, frames=RATE)[0].shape == (1, RATE)
            assert file.count < most < len(file.getvalue()), format


class TestSources:
    def test_sources(self, tmp_path):
        for name in ("WAV PCM_16", "FLAC PCM_16", "MP3 MPEG_LAYER_III", "OGG OPUS"):
            data = KINDS[name]
            expected = audio.load(data)[0]
            path = tmp_path / "a.txt"  # the suffix says nothing
            path.write_bytes(data)
            with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("a", data)
            with path.open("rb") as file, zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("a") as member:
                file.seek(50)
                pipe = io.BytesIO(data)
                pipe.seekable = lambda: False
                for source in (path, str(path), data, io.BytesIO(data), file, member, pipe):
                    pipe.seek(0)
                    assert torch.equal(audio.load(source)[0], expected), (name, source)
                    pipe.seek(0)
                    assert audio.info(source).frames == expected.shape[1]
                assert not file.closed
        with pytest.raises(TypeError, match="not list"):
            audio.load([1])

    def test_missing_folder_pipe_empty(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "empty.wav").touch()
        for function in (audio.load, audio.info):
            with pytest.raises(MissingDataError, match=r"none\.wav: there is no such file"):
                function(tmp_path / "none.wav")
            with pytest.raises(CorruptDataError, match="a folder, not a sound file"):
                function(tmp_path)
            with pytest.raises(CorruptDataError, match="pipe: not a regular file, not a sound file"):
                function(tmp_path / "pipe")
            with pytest.raises(CorruptDataError, match=r"empty\.wav: empty file"):
                function(tmp_path / "empty.wav")

    def test_no_descriptor_stays_open(self, tmp_path):
        before = len(os.listdir("/proc/self/fd"))
        for name, data in KINDS.items():
            for content in (data, data[: len(data) // 2]):
                (tmp_path / name).write_bytes(content)
                for function in (audio.load, audio.info):
                    try:
                        function(tmp_path / name)
                    except CorruptDataError:
                        assert content != data
        assert len(os.listdir("/proc/self/fd")) == before

    def test_an_error_of_the_disk_stays_one(self):
        class Failing(io.BytesIO):
            def readinto(self, buffer):
                if self.tell() > 10_000:
                    raise OSError(5, "Input/output error")
                return super().readinto(buffer)

        for name in ("FLAC PCM_16", "AIFF PCM_16"):
            with pytest.raises(OSError, match="Input/output error"):
                audio.load(Failing(KINDS[name]))

    def test_suffixes(self):
        assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in AUDIO_SUFFIXES)

    def test_errors_can_be_sent(self):
        with pytest.raises(CorruptDataError) as caught:
            audio.load(b"RIFF")
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
