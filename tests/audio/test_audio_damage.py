"""Damaged sound files: an error that names the file and the fault, at once, in bounded memory, and nothing runs."""

import contextlib
import io
import json
import struct
import subprocess
import sys
import time
import types

import numpy as np
import pytest
import torch
from test_audio_io import FRAMES, KINDS, RATE, mpeg_frames, sound, truth, without_xing, written

from datakit import audio
from datakit.errors import CorruptDataError, DatakitError


def plain(channels=2, rate=RATE, bits=16, tag=1, length=None, body=bytes(4000)) -> bytes:
    """A WAV by the book."""
    width = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate & 0xFFFFFFFF, rate * width & 0xFFFFFFFF, width & 0xFFFF, bits)
    length = len(body) if length is None else length
    head = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", length)
    return b"RIFF" + struct.pack("<I", len(head) + len(body)) + head + body


def with_total(flac: bytes, total: int) -> bytes:
    """A FLAC whose header says another number of samples."""
    bits = int.from_bytes(flac[18:26], "big") >> 36 << 36 | total
    return flac[:18] + bits.to_bytes(8, "big") + flac[26:]


def ogg_pages(data: bytes) -> list[int]:
    places, at = [], 0
    while at < len(data):
        places.append(at)
        at += 27 + data[at + 26] + sum(data[at + 27 : at + 27 + data[at + 26]])
    return places


def bad_files() -> dict[str, tuple[bytes, str]]:
    """Contents, and what the message must say."""
    wav, flac, mp3 = KINDS["WAV PCM_16"], KINDS["FLAC PCM_16"], KINDS["MP3 MPEG_LAYER_III"]
    floats = sound().astype(np.float32)
    floats[7001, 1], floats[9000, 0] = np.nan, np.inf
    huge = np.zeros((20, 1))
    huge[3] = 1e300
    silence = silent_flac(10_000)  # 10 hours
    noxing, _ = without_xing()
    places = mpeg_frames(noxing)
    vorbis = written("OGG", "VORBIS", sound(48_000))
    pages = ogg_pages(vorbis)
    flipped = bytearray(vorbis)
    flipped[len(flipped) // 2] ^= 4
    files = {
        "empty.wav": (b"", "empty file"),
        "page.mp3": (b"<!DOCTYPE html><html>404</html>", r"starts with '<!DOCTYPE h'\); reads WAV, FLAC"),
        "list.wav": (b"#EXTM3U\nhttp://127.0.0.1:9/a.ts\n", "not a sound file in a format"),
        "half.wav": (wav[: len(wav) // 2], r"truncated WAV: the header says 48,000 bytes of samples at byte 44"),
        "short.wav": (wav[:-1], "the file has 47,999"),
        "head.wav": (wav[:30], "truncated WAV|broken WAV"),
        "size0.wav": (
            plain(length=0),
            r"leaves the length open \(0 bytes\), 4,000 bytes follow at byte 44.*streamed=True",
        ),
        "size-1.wav": (plain(length=2**32 - 1), r"leaves the length open \(4,294,967,295 bytes\)"),
        "no channels.wav": (plain(channels=0), "0 channels"),
        "channels.wav": (plain(channels=65535), "65,535 channels; 1 to 1,024"),
        "rate0.wav": (plain(rate=0), "sample rate of 0 Hz"),
        "rate.wav": (plain(rate=2**31), "sample rate of 2,147,483,648 Hz"),
        "no frames.wav": (plain(body=b""), "holds no frames"),
        "odd.wav": (plain(body=bytes(4001)), "4,001 bytes of samples at byte 44, of 4 a frame"),
        "no format.wav": (wav[:12] + wav[36:], "no format before them"),
        "chunks.wav": (wav[:12] + b"junk\0\0\0\0" * 5000 + wav[12:], "no samples before byte"),
        "nan.wav": (
            written("WAV", "FLOAT", floats),
            "2 samples are not finite, the first nan in frame 7,001 of channel 1",
        ),
        "nan.aiff": (
            written("AIFF", "FLOAT", floats),
            "2 samples are not finite, the first nan in frame 7,001 of channel 1",
        ),
        "huge.wav": (written("WAV", "DOUBLE", huge), "1 samples are not finite, the first inf in frame 3 of channel 0"),
        "more.flac": (with_total(flac, FRAMES + 1), "header says 12,001 samples, the last frame ends at 12,000"),
        "most.flac": (with_total(flac, 2**36 - 1), "68,719,476,735 samples, the last frame ends at 12,000"),
        "less.flac": (with_total(flac, 4096), "header says 4,096 samples, the last frame ends at 12,000"),
        "block less.flac": (with_total(flac, 8192), "header says 8,192 samples, the last frame ends at 12,000"),
        "open.flac": (with_total(flac, 0), "leaves the length open.*streamed=True"),
        "silence.flac": (silence, "576,000,000 frames of 1 channels are over the limit of 134,217,728 samples"),
        "hidden silence.flac": (with_total(silence, 1000), "1,000 samples, the last frame ends at 576,000,000"),
        "cut.mp3": (mp3[: len(mp3) // 2], "truncated MP3: its header says .* bytes"),
        "cut between.mp3": (noxing[: places[10] + 7], f"truncated MP3: ends at byte .*within .* byte {places[10]:,}"),
        "start.mp3": (b"\xff\xfb\xf0" + noxing[3:], "no frame at byte 0"),
        "gap.mp3": (
            noxing[: places[5]] + noxing[places[5] + 9 :],
            f"no MPEG frame at byte {places[5]:,}|no MPEG frame",
        ),
        "frame out.mp3": (mp3[: mpeg_frames(mp3)[5]] + mp3[mpeg_frames(mp3)[6] :], "truncated MP3: its header says"),
        "twice.mp3": (mp3 + mp3, "broken MP3: its header says .* MPEG frames"),
        "tag.mp3": (b"ID3\4\0\0\0\0\7\0" + bytes(100), "ends within its ID3 tag"),
        "short.ogg": (vorbis[:-1], r"truncated Ogg: no whole page behind byte"),
        "page out.ogg": (
            vorbis[: pages[3]] + vorbis[pages[4] :],
            f"page 4 at byte {pages[3]:,}, where page 3 should be",
        ),
        "last page out.ogg": (vorbis[: pages[-1]], "is the last and not marked so"),
        "flipped.ogg": (bytes(flipped), "fails its checksum"),
        "twice.ogg": (vorbis + written("OGG", "VORBIS"), f"second recording begins at byte {len(vorbis):,}"),
        "short.opus": (KINDS["OGG OPUS"][:-1], "truncated Ogg"),
        "half.opus": (KINDS["OGG OPUS"][: len(KINDS["OGG OPUS"]) // 2], "truncated Ogg"),
    }
    return files


def crc(data: bytes, polynomial: int, bits: int) -> int:
    value = 0
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> (bits - 1) & 1 else 0)
    return value & (1 << bits) - 1


def silent_flac(blocks: int, block: int = 57_600) -> bytes:
    """Silence at 16 kHz, written down from RFC 9639: a frame of 57,600 samples takes 13 bytes."""
    made = [struct.pack(">HH", block, block), bytes(6), (16000 << 12 | 15 << 4).to_bytes(4, "big")]
    made = [b"fLaC\x80\0\0\x22", *made, (blocks * block).to_bytes(4, "big"), bytes(16)]
    for number in range(blocks):
        coded = chr(number).encode("utf-8", "surrogatepass")  # which FLAC numbers its frames by
        head = b"\xff\xf8\x70\x08" + coded + struct.pack(">H", block - 1)
        frame = head + bytes([crc(head, 0x107, 8)]) + bytes(3)
        made.append(frame + struct.pack(">H", crc(frame, 0x18005, 16)))
    return b"".join(made)


HARNESS = """
import json, os, resource, sys, time
from datakit import audio
good, bad = sys.argv[1:]
for name in os.listdir(good):
    audio.load(os.path.join(good, name))
events = []
def hook(event, args):
    writes = event == "open" and (args[2] if isinstance(args[2], int) else 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if writes or event.split(".")[0] in ("subprocess", "socket", "shutil", "ctypes") or event in (
        "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.remove", "os.rename", "os.mkdir", "os.truncate"):
        events.append([event, repr(args)])
sys.addaudithook(hook)
def case(name):
    start = time.perf_counter()
    try:
        said = repr(audio.load(os.path.join(bad, name))[0].shape) if name else repr(open(os.devnull, "w"))
    except Exception as error:
        said = f"{type(error).__name__} {error}"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"said": said, "s": time.perf_counter() - start, "kB": memory, "events": events}
result = {}
for name in ["", *os.listdir(bad)]:
    receive, send = os.pipe()
    if os.fork() == 0:
        os.write(send, json.dumps(case(name)).encode())
        os._exit(0)
    os.close(send)
    with os.fdopen(receive) as file:
        result[name] = json.loads(file.read() or '{"said": "crashed"}')
    os.wait()
print(json.dumps(result))
"""


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """The folder of bad files, what each message must say, and what happened in a process of its own."""
    folder, good = tmp_path_factory.mktemp("bad"), tmp_path_factory.mktemp("good")
    files = bad_files()
    for name, (data, _) in files.items():
        (folder / name).write_bytes(data)
    for name, data in KINDS.items():
        (good / name).write_bytes(data)
    run = subprocess.run([sys.executable, "-c", HARNESS, good, folder], capture_output=True, text=True, check=True)
    return folder, {name: says for name, (_, says) in files.items()}, json.loads(run.stdout.splitlines()[-1])


class TestBadFiles:
    def test_each_is_an_error_that_names_file_and_fault(self, bad):
        folder, expected, outcome = bad
        assert set(outcome) == {"", *expected}
        for name, says in expected.items():
            message = outcome[name]["said"]
            assert message.startswith(f"CorruptDataError {folder / name}: "), (name, message)
            with pytest.raises(CorruptDataError, match=says):
                raise CorruptDataError(message)

    def test_each_ends_in_5_seconds_and_512_mb(self, bad):
        outcome = bad[2]
        slow = {name: round(one["s"], 2) for name, one in outcome.items() if one["s"] > 5}
        base = outcome[""]["kB"]
        large = {name: (one["kB"] - base) // 1024 for name, one in outcome.items() if one["kB"] - base > 512 * 1024}
        assert (slow, large) == ({}, {})

    def test_no_process_no_socket_no_write(self, bad):
        assert {name for name, one in bad[2].items() if one["events"]} == {""}  # which shows that the hook sees writes

    def test_the_silence_is_a_flac(self):
        short = silent_flac(200)
        expected = truth(short)
        assert expected.shape == (200 * 57_600, 1)
        assert not expected.any()
        assert audio.load(short)[0].shape == (1, 200 * 57_600)
        assert len(silent_flac(10_000)) < 200_000

    def test_the_frame_that_is_not_finite_counts_from_the_start_of_the_file(self):
        values = sound().astype(np.float32)
        values[7001, 1] = np.nan
        for format in ("WAV", "AIFF"):
            data = written(format, "FLOAT", values)
            with pytest.raises(CorruptDataError, match=r"nan in frame 7,001 of channel 1"):
                audio.load(data, start=6990, frames=100)
            assert audio.load(data, frames=7001)[0].isfinite().all()

    def test_streamed(self):
        wav, flac, vorbis = KINDS["WAV PCM_16"], KINDS["FLAC PCM_16"], KINDS["OGG VORBIS"]
        for length in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
            opened = wav[:40] + length + wav[44:]
            assert torch.equal(audio.load(opened, streamed=True)[0], audio.load(wav)[0])
            assert audio.load(opened[:-3], streamed=True)[0].shape == (2, FRAMES - 1)
            assert audio.info(opened, streamed=True).frames == FRAMES
        opened = with_total(flac, 0)
        assert torch.equal(audio.load(opened, streamed=True)[0], audio.load(flac)[0])
        assert audio.info(opened, streamed=True).frames == FRAMES
        with pytest.raises(CorruptDataError, match="no frame ends with the file"):
            audio.load(opened[:-1], streamed=True)
        pages = ogg_pages(vorbis)
        for cut in (pages[-1], pages[-1] + 40):
            part, _ = audio.load(vorbis[:cut], streamed=True)
            assert 0 < part.shape[1] < FRAMES
            assert torch.equal(part, audio.load(vorbis)[0][:, : part.shape[1]])

    def test_max_values(self):
        for name in ("FLAC PCM_16", "OGG OPUS", "AIFF PCM_16"):
            frames = len(truth(KINDS[name]))
            assert audio.load(KINDS[name], max_values=2 * frames)[0].shape == (2, frames)
            with pytest.raises(CorruptDataError, match=f"{frames:,} frames of 2 channels are over the limit"):
                audio.load(KINDS[name], max_values=2 * frames - 1)
            assert audio.load(KINDS[name], frames=10, max_values=20)[0].shape == (2, 10)

    @pytest.mark.parametrize("name", KINDS)
    def test_cut_anywhere(self, name):
        data, kind = KINDS[name], "Ogg" if name.startswith("OGG") else name.split()[0].removesuffix("EX")
        for size in (40, 100, len(data) // 10, len(data) // 2, len(data) * 99 // 100, len(data) - 1):
            with pytest.raises(CorruptDataError, match=f"^<bytes>: (truncated|broken) {kind}|holds no frames"):
                audio.load(data[:size])

    @pytest.mark.parametrize("name", ["FLAC PCM_16", "OGG VORBIS", "OGG OPUS"])
    def test_a_flipped_bit_is_seen(self, name):
        data, rng = KINDS[name], np.random.default_rng(2)
        first = data.index(b"\xff\xf8") if name.startswith("FLAC") else 4  # metadata of a FLAC have no checksum
        for place in rng.integers(first, len(data), 60):
            flipped = bytearray(data)
            flipped[place] ^= 1 << int(rng.integers(8))
            with pytest.raises(CorruptDataError, match="^<bytes>: "):
                audio.load(bytes(flipped))


SMALL = sound(1500, 1)
FUZZED = {
    f"{format} {subtype}": written(format, subtype, SMALL)
    for format, subtype in (
        *(("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "IMA_ADPCM"), ("WAVEX", "PCM_24"), ("RF64", "PCM_16")),
        *(("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("AIFF", "PCM_16")),
        *(("AU", "PCM_16"), ("NIST", "PCM_16"), ("W64", "PCM_16")),
    )
}


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes changed, put in, left out or cut off, more of them near the start."""
    made = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at = int(len(made) * rng.random() ** int(rng.integers(1, 6)))
        kind, extent = rng.integers(5), int(rng.integers(1, 9))
        if kind == 0:
            made[at : at + 1] = bytes([rng.integers(256)])
        elif kind == 1:
            made[at : at + extent] = rng.bytes(extent)
        elif kind == 2:
            made[at : at + extent] = rng.choice([b"\0", b"\xff", b"\x7f"]) * extent
        elif kind == 3:
            del made[at : at + extent]
        else:
            made[at:at] = rng.bytes(extent)
    return bytes(made[: int(len(made) * rng.random())] if rng.random() < 0.1 else made)


@pytest.mark.parametrize("name", FUZZED)
def test_2000_mutations(name):
    rng, slowest, refused = np.random.default_rng(3), 0.0, 0
    for _ in range(2000):
        data = mutated(FUZZED[name], rng)
        start = time.perf_counter()
        with contextlib.suppress(CorruptDataError):  # any other error ends the test
            refused += 1
            waveform, rate = audio.load(data)
            refused -= 1
            assert waveform.numel()
            assert torch.isfinite(waveform).all()
            assert rate > 0
        slowest = max(slowest, time.perf_counter() - start)
    assert refused > 400
    assert slowest < 5


class TestTorchcodec:
    M4A = struct.pack(">I", 32) + b"ftypM4A " + bytes(36)

    def test_without(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "torchcodec", None)
        monkeypatch.setitem(sys.modules, "torchcodec.decoders", None)
        for function in (audio.load, audio.info):
            with pytest.raises(DatakitError, match="<bytes>: M4A is read by torchcodec") as caught:
                function(self.M4A)
            assert not isinstance(caught.value, CorruptDataError)
            assert str(caught.value).splitlines()[1:] == ['pip install "datakit[codec]"']

    @pytest.fixture
    def stub(self, monkeypatch):
        """torchcodec with a file of 2 channels, 3 s at 8 kHz, that begins at 0.025 s."""
        samples = torch.from_numpy(sound(24_000, 2).T.astype(np.float32))
        fields = {"sample_rate": 8000, "num_channels": 2, "duration_seconds_from_header": 3.0, "codec": "aac"}
        about = types.SimpleNamespace(**fields, begin_stream_seconds_from_header=0.025, duration_seconds=None)

        class AudioDecoder:
            metadata = about

            def __init__(self, source):
                if not isinstance(source, bytes) or len(source) != 48:
                    raise RuntimeError("no such stream\nin many lines")

            def get_samples_played_in_range(self, start_seconds, stop_seconds):
                begin, end = (round((at - 0.025) * 8000) for at in (start_seconds, stop_seconds))
                begin += 3 if begin > 0 else 0  # as WebM's milliseconds do
                return types.SimpleNamespace(data=samples[:, max(0, begin) : end])

        decoders = types.ModuleType("torchcodec.decoders")
        decoders.AudioDecoder = AudioDecoder
        monkeypatch.setitem(sys.modules, "torchcodec", types.ModuleType("torchcodec"))
        monkeypatch.setitem(sys.modules, "torchcodec.decoders", decoders)
        return samples, about

    def test_with(self, stub):
        samples, about = stub
        assert audio.info(self.M4A) == audio.AudioInfo(8000, 24_000, 2, "M4A", "AAC")
        waveform, rate = audio.load(self.M4A)
        assert rate == 8000
        assert torch.equal(waveform, samples)
        for start, frames in ((0, 100), (12_345, 777), (23_990, 50), (20_000, None), (5, 0)):
            part, _ = audio.load(io.BytesIO(self.M4A), start=start, frames=frames)
            assert torch.equal(part, samples[:, start:][:, :frames])
        with pytest.raises(ValueError, match="behind the end"):
            audio.load(self.M4A, start=24_001)
        with pytest.raises(CorruptDataError, match="over the limit of 47,999 samples"):
            audio.load(self.M4A, max_values=47_999)
        about.duration_seconds_from_header = 0.5  # less than there is
        assert torch.equal(audio.load(self.M4A)[0], samples)
        with pytest.raises(CorruptDataError, match="over the limit of 30,000 samples"):
            audio.load(self.M4A, max_values=30_000)

    def test_a_container_that_says_no_duration(self, stub):
        stub[1].duration_seconds_from_header, stub[1].duration_seconds = None, 3.0
        assert audio.info(self.M4A).frames == 24_000
        assert torch.equal(audio.load(self.M4A)[0], stub[0])

    def test_fewer_frames_than_it_says(self, stub):
        stub[1].duration_seconds_from_header = 3.4
        assert torch.equal(audio.load(self.M4A)[0], stub[0])  # an encoder's padding
        stub[1].duration_seconds_from_header = 4.0
        with pytest.raises(CorruptDataError, match="this M4A ends after 24,000 of 32,000 frames"):
            audio.load(self.M4A)
        assert torch.equal(audio.load(self.M4A, start=9, frames=90)[0], stub[0][:, 9:99])

    @pytest.mark.parametrize(("kind", "rate"), [("mp4", 22050), ("webm", 48000)])
    def test_real_files_are_what_torchcodec_gives(self, kind, rate):
        pytest.importorskip(
            "torchcodec", reason="torchcodec is not installed: pip install 'datakit[codec]', and FFmpeg"
        )
        from torchcodec.decoders import AudioDecoder
        from torchcodec.encoders import AudioEncoder

        samples = torch.from_numpy(sound(3 * rate, 1).T.astype(np.float32))
        data = bytes(AudioEncoder(samples, sample_rate=rate).to_tensor(format=kind).numpy())
        whole, found = audio.load(data)
        assert found == rate
        assert torch.equal(whole, AudioDecoder(data).get_all_samples().data)
        assert abs(audio.info(data).frames - whole.shape[1]) <= 4096
        for start, frames in ((0, 1), (5000, 3000), (rate, rate), (2 * rate, None), (2 * rate + 11, 9 * rate)):
            part = audio.load(data, start=start, frames=frames)[0]
            assert torch.equal(part, whole[:, start:][:, :frames])

    def test_its_errors_become_ours(self, stub):
        with pytest.raises(CorruptDataError, match=r"<bytes>: broken M4A: RuntimeError: no such stream$"):
            audio.load(self.M4A + b"x")
        stub[1].duration_seconds_from_header = None
        with pytest.raises(CorruptDataError, match="broken M4A"):
            audio.info(self.M4A)


def test_real_files_cut_short(shared):
    files = sorted((shared / "audio").iterdir()) if (shared / "audio").is_dir() else []
    if not files:
        pytest.skip("no sound files among the real datasets")
    for path in files:
        data = path.read_bytes()
        for size in (len(data) // 2, len(data) - 1):
            with pytest.raises(CorruptDataError, match="truncated"):
                audio.load(data[:size])
