"""Kaldi data directories: read whole, checked as Kaldi checks them, written back the same."""

import filecmp
import os
import pickle
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from datakit import Key, Loader, audio, collate
from datakit.audio import KaldiData, kaldi
from datakit.audio.kaldi import write_data_dir
from datakit.errors import CorruptDataError, MissingDataError, SampleError, UnknownNameError

RATE = 16000
LENGTHS = {"lbi-3536-23268-0000": 334240, "lbi-6241-61943-0000": 111200, "lbi-8842-304647-0000": 155360}  # samples


@pytest.fixture(scope="module")
def mini(shared):
    """A data directory that Kaldi made; its `wav.scp` has commands, which make tones by `sox`."""
    if not (shared / "kaldi").is_dir():
        pytest.skip("kaldi is not among the real datasets")
    return shared / "kaldi" / "mini_librispeech2"


@pytest.fixture
def copy(mini, tmp_path):
    """The same, to be written in, with WAV files in place of the commands."""
    folder = tmp_path / "mini"
    shutil.copytree(mini, folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    for utterance, length in LENGTHS.items():
        tone = np.sin(2 * np.pi * np.linspace(300, 3300, length).cumsum() / RATE)
        soundfile.write(folder / f"{utterance}.wav", 0.5 * tone, RATE, "PCM_16")
    (folder / "wav.scp").write_text("".join(f"{utterance} {folder}/{utterance}.wav\n" for utterance in LENGTHS))
    return folder


def test_everything_but_the_audio_of_commands_is_read(mini):
    data = KaldiData(mini, parts=["features"])
    assert len(data) == 3
    texts = dict(line.split(" ", 1) for line in (mini / "text").read_text().splitlines())
    matrices = dict(kaldi.read_mat_ark(mini / "data/raw_mfcc_mini_librispeech2.1.ark"))
    for index, sample in enumerate(data):
        utterance = list(LENGTHS)[index]
        assert sample["utterance"] == sample["recording"] == utterance
        assert sample["text"] == texts[utterance]
        assert sample["speaker"] == utterance[:-5]
        assert sample["gender"] == "fmf"[index]
        assert sample["duration"] == sample["end"] - sample["start"] == [19.89, 6.95, 9.71][index]
        assert len(sample["features"]) == sample["num_frames"] == [1987, 693, 969][index]
        assert torch.equal(sample["features"], matrices[utterance])
        assert sample["channel"] == -1
        assert "waveform" not in sample
        assert sample["path"] == str(mini / "data/raw_mfcc_mini_librispeech2.1.ark")


def test_a_command_is_an_error_only_where_it_is_asked_for(mini):
    data = KaldiData(mini)
    assert [record["speaker"] for record in data.records()] == [utterance[:-5] for utterance in LENGTHS]
    with pytest.raises(
        SampleError, match=r"KaldiData\[1\].*wav.scp: line 2: 'sox .*\|' is a command, and data may not"
    ):
        data[1]
    with pytest.raises(SampleError, match="line 3"):
        data[Key(0, 0, 2)]
    assert data.with_transform(None).parts == ("waveform", "features")


def test_with_files_in_place_of_the_commands_everything_is_read(copy):
    data = KaldiData(copy)
    for sample, (utterance, length) in zip(data, LENGTHS.items(), strict=True):
        want, _ = soundfile.read(copy / f"{utterance}.wav", dtype="float32")
        start, end = (int(sample[name] * RATE) for name in ("start", "end"))
        assert sample["sample_rate"] == RATE
        assert end <= length
        assert np.array_equal(sample["waveform"].numpy(), want[None, start:end])
        assert sample["path"] == str(copy / f"{utterance}.wav")


def test_commands_that_are_allowed_give_the_same(copy):
    want = KaldiData(copy)[1]["waveform"]
    lines = [f"{utterance} cat {copy}/{utterance}.wav |\n" for utterance in LENGTHS]
    (copy / "wav.scp").write_text("".join(lines))
    with pytest.raises(SampleError, match="is a command"):
        KaldiData(copy)[1]
    assert torch.equal(KaldiData(copy, allow_commands=True)[1]["waveform"], want)
    (copy / "wav.scp").write_text("".join(lines).replace("cat", "false; cat nothing"))
    with pytest.raises(SampleError, match="wav.scp: line 2: the command ended with status 1"):
        KaldiData(copy, allow_commands=True)[1]


def test_a_segment_that_ends_behind_its_recording(copy):
    """As by `extract-segments`: less than 0.5 s are cut, more is an error. The real lists say 20.89 of 19.89 s."""
    utterance = next(iter(LENGTHS))
    path = copy / f"{utterance}.wav"
    whole, _ = soundfile.read(path, dtype="int16")
    for seconds, kept in ((20.89, True), (20.4, True), (20.38, False), (19.89, False)):
        soundfile.write(path, whole[: int(seconds * RATE)], RATE, "PCM_16")
        if kept:
            assert KaldiData(copy)[0]["waveform"].shape == (1, int(seconds * RATE) - RATE)
        else:
            with pytest.raises(
                SampleError, match=r"wav.scp: line 1: the segment ends at 20.89 s, and the recording has"
            ):
                KaldiData(copy)[0]
    assert KaldiData(copy, max_overshoot=1.1)[0]["waveform"].shape == (1, int(18.89 * RATE))
    soundfile.write(path, whole[: RATE // 2], RATE, "PCM_16")
    with pytest.raises(SampleError, match="the segment begins at 1.0 s, and the recording has 0.500 s"):
        KaldiData(copy)[0]


def test_segments_of_a_channel_to_the_end(tmp_path):
    stereo = np.random.default_rng(0).uniform(-1, 1, (1000, 2))
    soundfile.write(tmp_path / "r.wav", stereo, 1000, "FLOAT")
    segments = {"a": ("r", 0.25, -1, 1), "b": ("r", 0.25, 0.5), "c": ("r", 0, 0.5, 2)}
    files = {"utt2spk": dict.fromkeys("abc", "s"), "wav.scp": {"r": tmp_path / "r.wav"}, "segments": segments}
    write_data_dir(tmp_path / "data", files)
    data = KaldiData(tmp_path / "data")
    assert np.array_equal(data[0]["waveform"].numpy(), stereo[250:, 1].astype(np.float32)[None])
    assert np.array_equal(data[1]["waveform"].numpy(), stereo[250:500].astype(np.float32).T)
    with pytest.raises(SampleError, match="names channel 2, and the recording has 2"):
        data[2]


def test_wav_files_in_an_archive(tmp_path, monkeypatch):
    """`wav-copy` puts WAV files one after another behind their keys."""
    sounds, archive = [np.arange(100 * i, 100 * i + 50, dtype=np.int16) for i in (1, 2)], b""
    places = []
    for key, sound in zip("ab", sounds, strict=True):
        soundfile.write(tmp_path / "x.wav", sound, 8000, "PCM_16")
        archive += f"{key} ".encode()
        places.append(len(archive))
        archive += (tmp_path / "x.wav").read_bytes()
    (tmp_path / "wav.ark").write_bytes(archive)
    wavs = {key: f"wav.ark:{place}" for key, place in zip("ab", places, strict=True)}
    write_data_dir(tmp_path / "data", {"utt2spk": {"a": "a", "b": "b"}, "wav.scp": wavs})
    data = KaldiData(tmp_path / "data", files_root=tmp_path)
    for sample, sound in zip(data, sounds, strict=True):
        assert np.array_equal(sample["waveform"].numpy(), sound[None] / np.float32(32768))
    (tmp_path / "wav.ark").write_bytes(archive[:-1])
    with pytest.raises(SampleError, match=r"wav.scp: line 2: .*wav.ark: byte \d+: truncated"):
        data[1]
    monkeypatch.chdir(tmp_path)
    assert KaldiData("data")[0]["sample_rate"] == 8000


def test_written_back_the_same(copy, tmp_path, mini):
    for source in (mini, copy):
        again = tmp_path / f"again-{source.parent.name}"
        KaldiData(source).write(again)
        assert {path.name for path in again.iterdir()} == {path.name for path in source.iterdir() if path.is_file()} - {
            "frame_shift", *(path.name for path in source.glob("*.wav"))
        }  # fmt: skip
        for path in again.iterdir():
            assert filecmp.cmp(path, source / path.name, shallow=False), path.name
        assert KaldiData(again).columns.digest() == KaldiData(source).columns.digest()
    same = KaldiData(again, files_root=copy)
    assert all(equal(*pair, but={"path"}) for pair in zip(same, KaldiData(copy), strict=True))
    with pytest.raises(FileExistsError, match="is there and not empty"):
        KaldiData(copy).write(again)


def test_written_back_with_full_paths(copy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    KaldiData("mini").write("deep/er", absolute=True)
    feats = (tmp_path / "deep/er/feats.scp").read_text().splitlines()
    assert feats[0] == f"lbi-3536-23268-0000 {copy}/data/raw_mfcc_mini_librispeech2.1.ark:20"
    assert all(equal(*pair, but={"path"}) for pair in zip(KaldiData("deep/er"), KaldiData("mini"), strict=True))


def equal(first, second, but):
    assert first.keys() == second.keys()
    return all(
        torch.equal(first[key], second[key]) if isinstance(first[key], torch.Tensor) else first[key] == second[key]
        for key in first.keys() - but
    )


@pytest.fixture
def good(tmp_path):
    """A small directory with every file that is checked."""
    ids = [f"{speaker}-{i}" for speaker in "ab" for i in range(2)]
    files = {
        "utt2spk": {key: key[0] for key in ids},
        "text": dict.fromkeys(ids, "HELLO WORLD"),
        "segments": {key: (f"rec{key[0]}", i, i + 1.5) for i, key in enumerate(ids)},
        "wav.scp": {"reca": "a.wav", "recb": "b.wav"},
        "reco2dur": {"reca": 9.5, "recb": 9.5},
        "reco2file_and_channel": {"reca": ("a", "A"), "recb": ("b", "B")},
        "spk2gender": {"a": "m", "b": "f"},
        "spk2warp": {"a": 0.9, "b": 1.1},
        "cmvn.scp": {"a": "cmvn.ark:2", "b": "cmvn.ark:90"},
        **{name: dict.fromkeys(ids, value) for name, value in (("utt2dur", 1.5), ("utt2num_frames", 148))},
        **{name: dict.fromkeys(ids, value) for name, value in (("utt2lang", "en"), ("utt2warp", 1.0))},
        **{name: {key: f"x.ark:{i}" for i, key in enumerate(ids)} for name in ("feats.scp", "vad.scp")},
        "utt2uniq": {key: key for key in ids},
    }
    write_data_dir(tmp_path / "data", files)
    return tmp_path / "data"


DAMAGES = [  # file, what is replaced, by what, what is said
    ("utt2spk", "a-1 a\n", "", "text: line 2: 'a-1' is not in utt2spk"),
    ("utt2spk", "a-1 a\n", "a-1 b\n", "utt2spk: line 3: the speaker 'b' comes after|spk2utt: .* belongs to 'a' here"),
    ("utt2spk", "a-1 a\n", "a-1 a x\n", "utt2spk: line 2: 'a-1': one field is due, and there are 2"),
    ("utt2spk", "b-1 b\n", "b-1 b", "utt2spk: line 4: the last line has no end"),
    ("spk2utt", "a a-0 a-1", "a a-0", "utt2spk: line 2: 'a-1' is not in spk2utt"),
    ("spk2utt", "b b-0 b-1", "b b-0 b-1 b-2", "spk2utt: line 2: 'b-2' is not in utt2spk"),
    ("spk2utt", "b b-0 b-1", "b b-0 b-0 b-1", "spk2utt: line 2: 'b-0' is there twice"),
    ("spk2utt", "b b-0 b-1", "b b-0\nc b-1", "spk2utt: line 3: 'b-1' belongs to 'c' here, and to 'b' in utt2spk"),
    ("text", "a-0 HELLO WORLD\n", "a-0\n", "text: line 1: nothing after the id 'a-0'"),
    ("text", "a-0 HELLO WORLD\n", "a-0 \n", "text: line 1: nothing after the id 'a-0"),
    ("text", "a-0 HELLO WORLD\n", "a-0 HELLO WORLD\na-0 AGAIN\n", "text: line 2: 'a-0' is there twice"),
    ("text", "b-0 HELLO WORLD\n", "", "text: 'b-0' of utt2spk line 3 is missing"),
    ("text", "a-0 HELLO", "a-0 HEL\x07LO", "text: line 1: the control character '.x07'"),
    ("text", "a-0 HELLO WORLD\n", "a-0 HELLO WORLD\r\n", "text: line 1: a carriage return"),
    ("text", "a-0 HELLO", "a-0 HELLO\u00a0", "text: line 1: 'a-0': white space other than space and tab"),
    ("text", "a-0 HELLO", "a-0 <s>", "text: line 1: 'a-0': the illegal symbol '<s>'"),
    ("text", "a-1 HELLO WORLD\n", "\na-1 HELLO WORLD\n", "text: line 2: blank"),
    ("text", "a-1 HELLO", " a-1 HELLO", "text: line 2: white space before the id"),
    ("segments", "a-0 reca 0 1.5\n", "a-0 reca 0 -0.5\n", "segments: line 1: 'a-0': the end, -0.5, is not after"),
    ("segments", "a-0 reca 0 1.5\n", "a-0 reca 1.5 1.5\n", "segments: line 1: 'a-0': the end, 1.5, is not after"),
    ("segments", "a-0 reca 0 1.5\n", "a-0 reca 0\n", "segments: line 1: 'a-0': recording, start, end"),
    (
        "segments",
        "a-0 reca 0 1.5\n",
        "a-0 reca zero 1.5\n",
        "segments: line 1: 'a-0': start and end in seconds are due",
    ),
    ("segments", "a-0 reca 0 1.5\n", "a-0 reca 0 nan\n", "segments: line 1: 'a-0': start and end in seconds are due"),
    ("segments", "a-0 reca 0 1.5\n", "a-0 reca 0 1.5 left\n", "segments: line 1: 'a-0': a channel from 0 on"),
    ("segments", "a-0 reca", "a-0 recx", "wav.scp: 'recx' of segments line 1 is missing"),
    ("wav.scp", "recb b.wav\n", "", "wav.scp: 'recb' of segments line 4 is missing"),
    ("wav.scp", "reca a.wav", "reca ~/a.wav", "wav.scp: line 1: 'reca': '~' is expanded by shells only"),
    ("wav.scp", "recb b.wav\n", "recb b.wav\nrecc c.wav\n", "wav.scp: line 3: 'recc' is not in segments"),
    ("reco2dur", "reca 9.5", "reca 0", "reco2dur: line 1: 'reca': a number above 0 is due, and there is '0'"),
    ("reco2file_and_channel", "a A", "a C", "reco2file_and_channel: line 1: 'reca': a file and its channel"),
    ("spk2gender", "a m", "a x", "spk2gender: line 1: 'a': 'm' or 'f' is due, and there is 'x'"),
    ("spk2gender", "a m\n", "", "spk2gender: 'a' of spk2utt line 1 is missing"),
    ("spk2warp", "a 0.9", "a 2", "spk2warp: line 1: 'a': a warp"),
    ("cmvn.scp", "a cmvn.ark:2\n", "", "cmvn.scp: 'a' of spk2utt line 1 is missing"),
    ("utt2dur", "a-0 1.5", "a-0 1_0", "utt2dur: line 1: 'a-0': a number above 0 is due"),
    ("utt2num_frames", "a-0 148", "a-0 148.5", "utt2num_frames: line 1: 'a-0': a whole number above 0 is due"),
    ("utt2lang", "a-0 en\n", "", "utt2lang: 'a-0' of utt2spk line 1 is missing"),
    ("utt2uniq", "b-1 b-1\n", "b-2 b-1\n", "utt2uniq: line 4: 'b-2' is not in utt2spk"),
    (
        "feats.scp",
        "a-0 x.ark:0\na-1 x.ark:1\n",
        "a-1 x.ark:1\na-0 x.ark:0\n",
        "feats.scp: line 2: 'a-0' comes after 'a-1'",
    ),
    ("vad.scp", "b-0 x.ark:2\n", "", "vad.scp: 'b-0' of utt2spk line 3 is missing"),
    ("utt2warp", "a-0 1.0\n", "a-0 0.5\n", "utt2warp: line 1: 'a-0': a warp"),
]


def test_a_good_directory_has_no_problems(good):
    assert len(KaldiData(good)) == 4
    assert {path.name for path in good.iterdir()} == {name for name, *_ in DAMAGES}


@pytest.mark.parametrize(("name", "before", "after", "says"), DAMAGES)
def test_what_is_wrong_is_said_with_file_and_line(good, name, before, after, says):
    text = (good / name).read_bytes().decode()
    assert before in text
    (good / name).write_bytes(text.replace(before, after, 1).encode())
    with pytest.raises(CorruptDataError, match=says) as caught:
        KaldiData(good)
    assert str(caught.value).startswith(f"{good}: ")


def test_the_first_problems_and_their_number(good):
    (good / "text").write_text("".join(f"a-{i} X\n" for i in range(10, 30)))
    with pytest.raises(CorruptDataError, match=r"24 problems in this data directory:(\n  text: .*){5}\n  and 19 more$"):
        KaldiData(good)


def test_what_cannot_be_read_at_all(good):
    (good / "text").write_bytes(b"a-0 HELLO\na-1 \xff\n")
    with pytest.raises(CorruptDataError, match="text: line 2, byte 14: not UTF-8"):
        KaldiData(good)
    (good / "text").unlink()
    os.mkfifo(good / "text")
    with pytest.raises(CorruptDataError, match="text: not a regular file"):
        KaldiData(good)


def test_what_is_missing(good, tmp_path):
    with pytest.raises(MissingDataError, match="nowhere: there is no such folder"):
        KaldiData(tmp_path / "nowhere")
    (good / "feats.scp").unlink()
    with pytest.raises(MissingDataError, match="feats.scp: there is no such file, and features is asked for"):
        KaldiData(good, parts=["features"])
    with pytest.raises(UnknownNameError, match="did you mean 'features'"):
        KaldiData(good, parts=["feature"])
    with pytest.raises(SampleError, match=r"wav.scp: line 1: .*a.wav.*; nor is it beside"):
        KaldiData(good)[0]
    (good / "wav.scp").unlink()
    with pytest.raises(CorruptDataError, match="wav.scp: there is no such file, and segments are parts"):
        KaldiData(good)
    (good / "spk2utt").unlink()
    with pytest.raises(CorruptDataError, match=r"spk2utt: there is no such file; utils/utt2spk_to_spk2utt.pl"):
        KaldiData(good)
    (good / "utt2spk").unlink()
    with pytest.raises(MissingDataError, match="utt2spk: there is no such file"):
        KaldiData(good)


def test_speakers_need_not_be_in_order(tmp_path):
    write_data_dir(tmp_path / "data", {"utt2spk": {"a": "z", "b": "y"}})
    with pytest.raises(CorruptDataError, match="utt2spk: line 2: the speaker 'y' comes after 'z'"):
        KaldiData(tmp_path / "data")
    assert [sample["speaker"] for sample in KaldiData(tmp_path / "data", speakers_sorted=False)] == ["z", "y"]


BAD_FILES = [
    ({"utt2spk": {"a": "a"}, "txt": {"a": "X"}}, UnknownNameError, "did you mean 'text'"),
    ({"text": {"a": "X"}}, ValueError, "has utt2spk"),
    ({"utt2spk": {"a": "a"}, "text": {"a": "X\nb Y"}}, ValueError, "no line breaks"),
    ({"utt2spk": {"a b": "a"}}, ValueError, "no white space"),
    (
        {"utt2spk": {"a": "a"}, "text": {"b": "X"}},
        CorruptDataError,
        r"data: 2 problems .*\n  text: 'a' of utt2spk line 1",
    ),
]


@pytest.mark.parametrize(("files", "kind", "says"), BAD_FILES)
def test_bad_files_are_not_written(tmp_path, files, kind, says):
    with pytest.raises(kind, match=says):
        write_data_dir(tmp_path / "data", files)
    assert os.listdir(tmp_path) == []


def test_the_synthetic_copy():
    data = KaldiData.synthetic(n=20)
    assert len(data) == 20
    assert {record["gender"] for record in data.records()} == {"f", "m"}
    for sample in data:
        assert sample["waveform"].shape == (1, round(sample["duration"] * 8000))
        assert sample["features"].shape == (sample["num_frames"], 8)
        assert len(sample["text"].split()) == round(sample["duration"] / 0.4)
        tone = torch.fft.rfft(sample["waveform"][0, :3200]).abs().argmax() * 8000 / 3200
        word = kaldi_word(sample["text"].split()[0])
        assert tone == pytest.approx((600 if sample["gender"] == "f" else 300) * 1.15**word, abs=5)
    batch = next(iter(Loader(data, 4, collate_fn=collate.pad)))
    assert batch["waveform"].shape[0] == 4
    with wave.open(str(Path(data.root, "data/s000-r0000.wav"))) as file:
        assert file.getframerate() == 8000
    assert pickle.loads(pickle.dumps(data)).fingerprint() == data.fingerprint()


def kaldi_word(word):
    from datakit.audio.kaldi.synthetic_speech import WORDS

    return WORDS.index(word)


def test_durations_by_whatever_says_them(tmp_path):
    """utt2dur, else segments, else headers: of the synthetic copy all three agree with the waveforms."""
    KaldiData.synthetic(n=6).write(tmp_path / "data", absolute=True)
    steps = [sample["waveform"].shape[1] / sample["sample_rate"] for sample in KaldiData(tmp_path / "data")]
    for name in (None, "utt2dur", "utt2num_frames"):
        if name is not None:
            (tmp_path / "data" / name).unlink(missing_ok=True)
        data = KaldiData(tmp_path / "data")
        np.testing.assert_allclose(data.durations(), steps, atol=0.006)
        np.testing.assert_array_equal(data.lengths(), data.durations())
    frames = KaldiData.synthetic(n=6, parts=["features"])
    assert frames.lengths().tolist() == [len(sample["features"]) for sample in frames]


def test_durations_of_files_without_segments_and_of_commands(tmp_path):
    rate, names = 8000, ("a", "b")
    for place, name in enumerate(names):
        audio.save(tmp_path / f"{name}.wav", torch.zeros(1, 800 * (place + 1)), rate)
    (tmp_path / "wav.scp").write_text("".join(f"{name} {tmp_path}/{name}.wav\n" for name in names))
    (tmp_path / "utt2spk").write_text("a a\nb b\n")
    (tmp_path / "spk2utt").write_text("a a\nb b\n")
    assert KaldiData(tmp_path).durations().tolist() == [0.1, 0.2]
    (tmp_path / "wav.scp").write_text(f"a {tmp_path}/a.wav\nb cat {tmp_path}/b.wav |\n")
    with pytest.raises(SampleError, match=r"KaldiData\[1\].*is a command"):
        KaldiData(tmp_path).durations()
