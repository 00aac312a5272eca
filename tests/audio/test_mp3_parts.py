"""Parts of an MP3 against the same samples of the whole file as soundfile decodes it."""

import functools
import io
import itertools
import os

import numpy as np
import pytest
import soundfile
from test_audio_io import mpeg_frames, sound, written

from datakit import audio
from datakit.audio import mpeg, mpeg_parts
from datakit.errors import CorruptDataError

SECONDS = 1.3
MODES = {
    "default": {},
    "cbr": {"bitrate_mode": "CONSTANT", "compression_level": 0.5},
    "vbr": {"bitrate_mode": "VARIABLE", "compression_level": 0.3},
    "low64": {"bitrate_mode": "CONSTANT", "compression_level": 0.8},
    "low": {"bitrate_mode": "CONSTANT", "compression_level": 0.99},
}
RATES = (44100, 48000, 32000, 22050, 24000, 16000, 11025, 12000, 8000)


@functools.cache
def made(rate: int, channels: int, mode: str = "default", seconds: float = SECONDS) -> bytes:
    """Loud and quiet in turn, so that the encoder saves bits for later."""
    values = sound(int(rate * seconds), channels)
    values *= np.where(np.arange(len(values)) // 1500 % 3 == 0, 1.0, 0.01)[:, None]
    return written("MP3", "MPEG_LAYER_III", values, rate, **MODES[mode])


def decoded(data: bytes) -> np.ndarray:
    """(frames, channels), by soundfile."""
    return soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0]


def with_gaps(data: bytes, delay: int, padding: int) -> bytes:
    """Other numbers of samples in front and behind in LAME's tag."""
    at = data.index(b"LAME") + 21
    return data[:at] + (delay << 12 | padding).to_bytes(3, "big") + data[at + 3 :]


def without_lame(data: bytes) -> bytes:
    """The Info header alone."""
    at = data.index(b"LAME")
    return data[:at] + bytes(36) + data[at + 36 :]


def with_crc(data: bytes) -> bytes:
    """The frames of a mono MPEG-1 file with room for a checksum, and with as long a reservoir as they can have."""
    places = [*mpeg_frames(data)[1:], len(data)]
    frames = [data[begin:end] for begin, end in itertools.pairwise(places)]
    stream, bodies = b"", []
    for frame in frames:
        side = int.from_bytes(frame[4:21], "big")
        back, bits = side >> 127, (side >> 106 & 0xFFF) + (side >> 47 & 0xFFF)  # of the two granules
        begin = len(stream) - back
        stream += frame[21:]
        bodies.append(stream[begin : begin + (bits + 7) // 8])
    size = 144 * 128000 // 44100
    room, laid, made_of = size - 4 - 2 - 17, b"", []
    for number, (frame, body) in enumerate(zip(frames, bodies, strict=True)):
        laid += bytes(max(0, number * room - 511 - len(laid)))
        back = number * room - len(laid)
        assert back >= 0
        laid += body
        side = int.from_bytes(frame[4:21], "big") & (1 << 127) - 1 | back << 127
        made_of.append(bytes([0xFF, 0xFA, 9 << 4, frame[3]]) + b"\0\0" + side.to_bytes(17, "big"))
    laid += bytes(len(frames) * room - len(laid))
    return b"".join(head + laid[number * room :][:room] for number, head in enumerate(made_of))


def parts_of(total: int, rng: np.random.Generator, count: int) -> list[tuple[int, int]]:
    some = [(int(rng.integers(total)), int(rng.integers(1, total // 3))) for _ in range(count)]
    edges = [(0, 1), (0, 700), (1, 1), (576, 576), (1151, 2), (total - 1, 1), (total - 1, 50), (total - 3000, 9000)]
    return [*edges, *some, *((int(rng.integers(total)), 1) for _ in range(3))]


def check(data: object, expected: np.ndarray, seed: int = 0, count: int = 6, atol: float = 0) -> None:
    for start, frames in parts_of(len(expected), np.random.default_rng(seed), count):
        part, _ = audio.load(data, start=start, frames=frames, channels_first=False)
        np.testing.assert_allclose(
            part.numpy(), expected[start : start + frames], rtol=0, atol=atol, err_msg=f"{start} {frames}"
        )


class TestValues:
    @pytest.mark.parametrize("rate", RATES)
    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize("mode", MODES)
    def test_bit_for_bit(self, rate, channels, mode, capfd):
        data = made(rate, channels, mode)
        expected = decoded(data)
        if not {b"Info", b"Xing"} & {data[13:17], data[21:25], data[36:40]}:  # no room for it: soundfile guesses
            whole = audio.load(data, channels_first=False)[0].numpy()
            common = min(len(whole), len(expected))
            np.testing.assert_allclose(whole[:common], expected[:common], rtol=0, atol=2e-7)
            expected = whole
        assert mpeg_parts.table(io.BytesIO(data), 0).total == len(expected)
        capfd.readouterr()
        check(data, expected, seed=rate + channels)
        assert capfd.readouterr().err == ""  # libmpg123 writes there where bits are missing

    @pytest.mark.parametrize("rate", [44100, 16000])
    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize(("delay", "padding"), [(0, 0), (40, 700), (1105, 300), (1700, 4095), (4095, 529)])
    def test_gaps_of_lame(self, rate, channels, delay, padding):
        data = with_gaps(made(rate, channels), delay, padding)
        expected = decoded(data)
        frames = (len(mpeg_frames(data)) - 1) * (1152 if rate > 32000 else 576)
        assert len(expected) == frames - delay - max(padding, 529)  # which libsndfile does not have
        sought = rate == 16000 and delay > 2000  # by libsndfile, which rounds otherwise then
        assert (mpeg_parts.table(io.BytesIO(data), 0) is None) == sought
        check(data, expected, atol=2e-7 if sought else 0)

    def test_no_tag_of_lame(self):
        for rate, channels in ((44100, 2), (16000, 1)):
            data = without_lame(made(rate, channels))
            assert mpeg_parts.table(io.BytesIO(data), 0).total == len(decoded(data))
            check(data, decoded(data))

    @pytest.mark.parametrize("rate", [44100, 16000])
    @pytest.mark.parametrize("channels", [1, 2])
    def test_no_header(self, rate, channels):
        data = made(rate, channels)
        data = data[mpeg_frames(data)[1] :]
        whole, _ = audio.load(data, channels_first=False)
        assert len(whole) == len(mpeg_frames(data)) * (1152 if rate > 32000 else 576)
        check(data, whole.numpy())

    def test_cut_out_of_a_stream(self):
        for rate, channels in ((44100, 2), (16000, 1)):
            data = made(rate, channels)
            data = data[mpeg_frames(data)[9] :]  # whose first frames lack bits
            check(data, audio.load(data, channels_first=False)[0].numpy(), count=12)

    def test_cut_out_of_a_stream_with_a_header(self):
        for channels in (1, 2):
            data = made(16000, channels)
            places = mpeg_frames(data)
            said = max(data[:60].find(b"Info"), data[:60].find(b"Xing")) + 8
            numbers = (len(places) - 9).to_bytes(4, "big") + (len(data) - places[9] + places[1]).to_bytes(4, "big")
            data = data[:said] + numbers + data[said + 8 : places[1]] + data[places[9] :]
            expected = decoded(data)
            assert mpeg_parts.table(io.BytesIO(data), 0) is None  # it goes by how libsndfile drops frames
            check(data, expected, atol=2e-7)

    def test_checksums(self):
        plain = made(44100, 1, "low64")
        data = with_crc(plain)
        back = [int.from_bytes(data[at + 6 : at + 8], "big") >> 7 for at in mpeg_frames(data)]
        assert max(back) > 300
        whole = audio.load(data, channels_first=False)[0].numpy()
        same = audio.load(plain[mpeg_frames(plain)[1] :], channels_first=False)[0].numpy()
        np.testing.assert_allclose(whole, same, rtol=0, atol=2e-7)
        check(data, whole, count=20)

    def test_where_only_libsndfile_knows(self, monkeypatch):
        monkeypatch.setattr(mpeg_parts, "table", lambda file, at: None)
        check(made(44100, 2), decoded(made(44100, 2)), count=2, atol=2e-7)

    def test_tags_around(self):
        data, expected = made(22050, 2, "vbr"), decoded(made(22050, 2, "vbr"))
        tag = b"ID3\4\0\0\0\0\2\0" + b"\xff\xfb" * 128
        for before, behind in ((tag, b"TAG" + bytes(125)), (tag + bytes(700), b"APETAGEX" + bytes(24))):
            check(before + data + behind, expected, count=2)

    def test_real_files(self, shared):
        files = sorted((shared / "audio").glob("*.mp3"))
        if not files:
            pytest.skip("no MP3 among the real datasets")
        for path in files:
            check(str(path), decoded(path.read_bytes()), count=20, atol=2e-7)


class TestTable:
    """Files of more than 128 kB, which are not read at once."""

    @pytest.fixture
    def data(self):
        return made(32000, 1, "cbr", 30)

    @pytest.fixture
    def path(self, tmp_path, data):
        path = tmp_path / "long.mp3"
        path.write_bytes(data)
        assert len(data) > 2**17
        return path

    def test_a_second_part_reads_no_more_than_its_frames(self, path, data, monkeypatch):
        expected = decoded(data)
        check(path, expected, count=2)
        walks = []
        monkeypatch.setattr(mpeg, "places", lambda *arguments: walks.append(arguments))
        check(path, expected, seed=1)
        with path.open("rb") as file:
            check(file, expected, seed=2)
        assert not walks

    def test_a_file_written_anew_is_looked_at_anew(self, path, data):
        check(path, decoded(data), count=2)
        about = path.stat()
        other = made(32000, 1, "vbr", 30)
        path.write_bytes(other + bytes(max(0, len(data) - len(other))))  # zeros behind are no sound
        check(path, decoded(other), count=2)
        path.write_bytes(data)
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
        check(path, decoded(data), count=2)

    def test_a_file_that_hides_that_it_was_written(self, path, data, monkeypatch):
        monkeypatch.setattr(mpeg_parts, "_key", lambda file: (1,))
        monkeypatch.setattr(mpeg_parts, "_tables", {})
        check(path, decoded(data), count=2)
        other = made(32000, 1, "vbr", 30)
        path.write_bytes(other)
        assert mpeg_parts._tables[(1,)].total == len(decoded(other))
        check(path, decoded(other), count=2)

    def test_room(self, tmp_path, monkeypatch, data):
        monkeypatch.setattr(mpeg_parts, "_tables", {})
        monkeypatch.setattr(mpeg_parts, "_KEPT", 2500)
        for number in range(4):
            (tmp_path / f"{number}.mp3").write_bytes(data)
            audio.load(tmp_path / f"{number}.mp3", start=1000, frames=10)
        assert [len(known.places) for known in mpeg_parts._tables.values()] == [len(mpeg_frames(data))] * 2
        names = [key[1] for key in mpeg_parts._tables]
        assert names == [os.stat(tmp_path / f"{number}.mp3").st_ino for number in (2, 3)]


class TestDamage:
    def test_a_part_of_a_broken_file(self):
        data = made(22050, 1)
        places = mpeg_frames(data)
        for broken, says in (
            (data + data, "its header says"),
            (data[: places[9]] + data[places[10] :], "truncated MP3: its header says"),
            (data[: places[9]] + b"\0" + data[places[9] + 1 :], f"no MPEG frame at byte {places[9]:,}"),
            (data[: places[9] + 3] + b"\0" + data[places[9] + 4 :], f"another kind at byte {places[9]:,}"),
            (data[places[1] : -1], r"truncated MP3: ends at byte"),
            (data[:-1], "truncated MP3: its header says .* bytes"),
        ):
            for start, frames in ((0, 1), (9000, 100), (3, None)):
                with pytest.raises(CorruptDataError, match=says):
                    audio.load(broken, start=start, frames=frames)

    def test_bits_flipped(self):
        """The sound of broken frames is the decoder's to invent; a part has as many samples, at the same places."""
        data, rng = made(44100, 2), np.random.default_rng(4)
        places = mpeg_frames(data)
        for _ in range(20):
            at = int(rng.integers(12, 20))
            broken = bytearray(data)
            broken[int(rng.integers(places[at] + 40, places[at + 1]))] ^= 1 << int(rng.integers(8))
            expected = decoded(bytes(broken))
            begin = (at + 4) * 1152
            part, _ = audio.load(bytes(broken), start=begin, frames=5000, channels_first=False)
            np.testing.assert_allclose(part.numpy(), expected[begin : begin + 5000], rtol=0, atol=2e-7)
