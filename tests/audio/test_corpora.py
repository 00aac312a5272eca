"""The corpora of sound: real files, synthetic copies beside torchaudio's classes, and files and rows that are wrong."""

import gc
import hashlib
import re
import shutil
import sys
import tarfile
import zipfile

import numpy as np
import pytest
import soundfile
import torch

from datakit import Remote
from datakit.audio import VCTK, AudioFiles, AudioFolder, CommonVoice, LibriSpeech, SpokenDigits, YesNo, save
from datakit.errors import CorruptDataError, MissingDataError, SampleError, UnknownNameError
from datakit.testing import assert_dataset

CORPORA = [
    (YesNo, {}),
    *((SpokenDigits, {"split": split}) for split in SpokenDigits.splits),
    *((LibriSpeech, {"split": split}) for split in LibriSpeech.splits),
    *((CommonVoice, {"split": split}) for split in CommonVoice.splits),
    (VCTK, {}),
    (VCTK, {"mic": "mic1"}),
]
KINDS = list(dict.fromkeys(kind for kind, _ in CORPORA))
N = 7


def name_of(value):
    return value.__name__ if isinstance(value, type) else "-".join(value.values()) or "all"


@pytest.fixture(scope="module")
def torchaudio_datasets():
    """torchaudio's classes; what they load, soundfile reads for them, since torchaudio itself needs torchcodec."""
    import torchaudio

    def load(path):
        values, rate = soundfile.read(path, dtype="float32", always_2d=True)
        return torch.from_numpy(values.T.copy()), rate

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torchaudio, "load", load)
        yield torchaudio.datasets


def assert_same(ours, theirs, keys):
    """The same items in the same order: tensors, numbers and text."""
    assert len(ours) == len(theirs) > 0
    for index in range(len(ours)):
        mine, others = ours.as_tuple(*keys)[index], theirs[index]
        assert len(mine) == len(others)
        for one, other in zip(mine, others, strict=True):
            if isinstance(one, torch.Tensor):
                torch.testing.assert_close(one, other, rtol=0, atol=0)
            elif isinstance(one, np.ndarray):
                assert one.tolist() == other
            else:
                assert type(one) is type(other)
                assert one == (other.rstrip("\n") if isinstance(other, str) else other)


# --- every corpus, on its synthetic copy ------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "options"), CORPORA, ids=name_of)
def test_a_copy_keeps_the_promises(kind, options):
    dataset = kind.synthetic(n=N, **options)
    assert len(dataset) == (3 * N if dataset.split == "validated" else N)
    if options in ({}, {"split": kind.splits[:1]}):
        assert_dataset(dataset, range(2))
    documented = re.findall(r"^ *\| ([\w, …]+?) \| \(", kind.__doc__, re.M)
    sample = dataset[2]
    for keys in documented:
        assert set(keys.replace(" …", "").split(", ")) <= sample.keys(), keys
    if kind is not CommonVoice:
        assert {key for keys in documented for key in keys.split(", ")} == sample.keys()
    values, rate = soundfile.read(sample["path"], dtype="float32", always_2d=True)
    assert rate == sample["sample_rate"]
    np.testing.assert_array_equal(sample["waveform"].numpy(), values.T)


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_lengths_texts_and_labels_are_known_without_decoding(kind, monkeypatch):
    dataset = kind.synthetic(n=N)
    samples = list(dataset)
    with monkeypatch.context() as patch:
        patch.setattr("datakit.audio.io.load", lambda *_, **__: pytest.fail("a file was decoded"))
        dataset = kind.synthetic(n=N)
        rows, lengths, durations = list(dataset.records()), dataset.lengths(), dataset.durations()
    assert (lengths.dtype, durations.dtype) == (np.int64, np.float64)
    assert lengths.tolist() == [sample["waveform"].shape[1] for sample in samples]
    assert durations.tolist() == [sample["waveform"].shape[1] / sample["sample_rate"] for sample in samples]
    for row, sample in zip(rows, samples, strict=True):
        for key in row.keys() - {"file"}:
            assert np.array_equal(row[key], sample[key]), key
    lengths[:] = 0
    assert dataset.lengths().all()  # what was handed out is not what is kept


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_a_file_that_is_deleted_or_broken_is_named(kind, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(kind.synthetic(n=N).root, root)
    dataset = kind(root)
    (name,) = [row["file"] for row in dataset.records()][3:4]
    (root / name).write_bytes(b"<html>404</html>")
    for broken in (lambda: dataset[3], dataset.lengths, dataset.durations):
        with pytest.raises(SampleError, match=rf"{kind.__name__}\[3\].*{re.escape(name)}.*not a sound file"):
            broken()
    (root / name).unlink()
    for broken in (lambda: dataset[3], dataset.lengths):
        with pytest.raises(SampleError, match=rf"{kind.__name__}\[3\].*{re.escape(name)}.*no such file"):
            broken()
    assert dataset[2]["waveform"].numel()


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_nothing_there(kind, tmp_path):
    with pytest.raises(MissingDataError, match=re.escape(str(tmp_path))):
        kind(tmp_path)
    for produced in kind.remotes_of(kind.splits[0] if kind.splits else None)[0].produces:
        (tmp_path / produced).mkdir(parents=True)
    with pytest.raises(MissingDataError, match=re.escape(str(tmp_path))):
        kind(tmp_path)
    with pytest.raises(UnknownNameError):
        kind(tmp_path, split="trian")


def test_every_copy_is_the_same_again(tmp_path):
    for kind in KINDS:
        files = []
        for folder in ("one", "two"):
            kind.synthesize(tmp_path / kind.__name__ / folder, 3, np.random.default_rng(5))
            root = tmp_path / kind.__name__ / folder
            files.append({str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()})
        assert files[0] == files[1]
    with pytest.raises(ValueError, match="256 names"):
        YesNo.synthesize(tmp_path / "many", 257, np.random.default_rng(0))


def spectrum(waveform):
    """Means over 0 to 4 kHz in 40 bands, of the first and of the second half: (80,), logarithms of power."""
    halves = np.array_split(waveform[0].numpy().astype(np.float64), 2)
    power = [np.abs(np.fft.rfft(half)) ** 2 for half in halves]
    return np.log(np.array([band.mean() for each in power for band in np.array_split(each, 40)]) + 1e-3)


def test_digits_and_speakers_of_the_copy_can_be_learnt():
    train, test = (SpokenDigits.synthetic(n=100, split=split) for split in ("train", "test"))
    known, asked = (list(dataset) for dataset in (train, test))
    places = np.stack([spectrum(sample["waveform"]) for sample in known])
    near = [int(np.abs(places - spectrum(sample["waveform"])).sum(1).argmin()) for sample in asked]
    right = {
        key: np.mean([known[place][key] == sample[key] for place, sample in zip(near, asked, strict=True)])
        for key in ("label", "speaker")
    }
    assert right["label"] > 0.8  # by chance 0.1
    assert right["speaker"] > 0.5  # by chance 1/6


# --- torchaudio's classes ---------------------------------------------------------------------------------------------


def test_yesno_is_torchaudios(torchaudio_datasets):
    ours = YesNo.synthetic(n=N)
    assert_same(ours, torchaudio_datasets.YESNO(ours.root), ["waveform", "sample_rate", "labels"])


@pytest.mark.parametrize("split", LibriSpeech.splits)
def test_librispeech_is_torchaudios(torchaudio_datasets, split):
    ours = LibriSpeech.synthetic(n=N, split=split)
    theirs = torchaudio_datasets.LIBRISPEECH(ours.root, url=split)
    assert_same(ours, theirs, ["waveform", "sample_rate", "text", "speaker", "chapter", "utterance"])


def test_librispeech_splits_are_torchaudios(torchaudio_datasets):
    module = sys.modules["torchaudio.datasets.librispeech"]
    assert set(LibriSpeech.splits) == set(module._DATA_SUBSETS)
    assert {remote.name: remote.sha256 for remote in LibriSpeech.remotes} == {
        url.rpartition("/")[2]: sha256 for url, sha256 in module._CHECKSUMS.items()
    }
    assert LibriSpeech.splits[0] == module.URL


def test_librispeech_order_is_that_of_names_not_of_numbers(tmp_path, torchaudio_datasets):
    for speaker in ("103", "1034", "26"):
        folder = tmp_path / "LibriSpeech" / "dev-clean" / speaker / "7"
        folder.mkdir(parents=True)
        save(folder / f"{speaker}-7-0000.flac", torch.zeros(1, 16), 16000)
        (folder / f"{speaker}-7.trans.txt").write_text(f"{speaker}-7-0000 WORDS OF {speaker}\n")
    ours = LibriSpeech(tmp_path, split="dev-clean")
    theirs = torchaudio_datasets.LIBRISPEECH(tmp_path, url="dev-clean")
    assert_same(ours, theirs, ["waveform", "sample_rate", "text", "speaker", "chapter", "utterance"])


@pytest.mark.parametrize("mic", ["mic1", "mic2"])
def test_vctk_is_torchaudios_with_its_gaps(torchaudio_datasets, tmp_path, mic):
    root = tmp_path / "root"
    shutil.copytree(VCTK.synthetic(n=N).root, root)
    base = root / "VCTK-Corpus-0.92"
    for old, new in (("p225", "p280"), ("p226", "p362")):  # the speakers that upstream lost something of
        for folder in ("txt", "wav48_silence_trimmed"):
            (base / folder / old).rename(base / folder / new)
            for path in (base / folder / new).iterdir():
                path.rename(path.with_name(path.name.replace(old, new)))
    for path in (base / "wav48_silence_trimmed").glob("p280/*_mic2.flac"):
        path.unlink()
    for path in (base / "wav48_silence_trimmed").glob("p362/p362_002_*.flac"):
        path.unlink()
    shutil.copytree(base / "wav48_silence_trimmed" / "p227", base / "wav48_silence_trimmed" / "p315")
    ours, theirs = VCTK(root, mic=mic), torchaudio_datasets.VCTK_092(str(root), mic_id=mic)
    assert len(ours) == (6 if mic == "mic1" else 3)
    assert_same(ours, theirs, ["waveform", "sample_rate", "text", "speaker", "utterance"])


@pytest.mark.parametrize("split", CommonVoice.splits)
def test_common_voice_is_torchaudios(torchaudio_datasets, split):
    ours = CommonVoice.synthetic(n=N, split=split)
    theirs = torchaudio_datasets.COMMONVOICE(ours.root, tsv=f"{split}.tsv")
    assert len(ours) == len(theirs)
    for mine, (waveform, rate, row) in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine["waveform"], waveform, rtol=0, atol=0)
        assert mine["sample_rate"] == rate
        assert (mine["text"], mine["speaker"]) == (row.pop("sentence"), row.pop("client_id"))
        assert mine["path"].endswith("/clips/" + row.pop("path"))
        assert {key: mine[key] for key in row} == row


# --- real files -------------------------------------------------------------------------------------------------------


def mirrored(monkeypatch, folder):
    monkeypatch.setenv("DATAKIT_MIRROR", folder.as_uri())


def there(path):
    if not path.exists():
        pytest.skip(f"{path.name} is not among the real datasets")
    return path


def test_the_sixty_real_recordings_of_yesno(shared, tmp_path, monkeypatch, torchaudio_datasets):
    there(shared / "waves_yesno.tar.gz")
    mirrored(monkeypatch, shared)
    ours = YesNo(tmp_path, download=True)
    monkeypatch.delenv("DATAKIT_MIRROR")
    assert len(YesNo(tmp_path, download=True)) == 60  # nothing is fetched again
    assert_same(ours, torchaudio_datasets.YESNO(tmp_path), ["waveform", "sample_rate", "labels"])
    assert {sample["sample_rate"] for sample in ours} == {8000}
    first = next(ours.records())
    assert (first["file"], first["text"]) == ("waves_yesno/0_0_0_0_1_1_1_1.wav", "no no no no yes yes yes yes")
    assert_dataset(ours, range(0, 60, 20))


def test_the_real_digits(shared, tmp_path, monkeypatch):
    there(shared / "free-spoken-digit-dataset.zip")
    mirrored(monkeypatch, shared)
    train, test = (SpokenDigits(tmp_path, split=split, download=True) for split in ("train", "test"))
    assert (len(train), len(test)) == (2700, 300)
    rows = [*train.records(), *test.records()]
    assert {row["take"] for row in test.records()} == {0, 1, 2, 3, 4}
    assert len({(row["label"], row["speaker"], row["take"]) for row in rows}) == 3000
    assert {row["speaker"] for row in rows} == {"george", "jackson", "lucas", "nicolas", "theo", "yweweler"}
    counts = np.unique([(row["label"], row["speaker"]) for row in rows], axis=0, return_counts=True)[1]
    assert counts.tolist() == [50] * 60
    assert train.lengths().tolist() == [soundfile.info(f"{tmp_path}/{row['file']}").frames for row in train.records()]
    for index in range(0, 300, 7):
        sample = test[index]
        values, rate = soundfile.read(sample["path"], dtype="float32", always_2d=True)
        np.testing.assert_array_equal(sample["waveform"].numpy(), values.T)
        label, speaker, take = sample["path"].rpartition("/")[2].removesuffix(".wav").split("_")
        assert (sample["label"], sample["speaker"], sample["take"]) == (int(label), speaker, int(take))
        assert sample["sample_rate"] == rate == 8000


@pytest.mark.parametrize("outer", ["", "free-spoken-digit-dataset", "free-spoken-digit-dataset-master"])
def test_digits_that_were_unpacked_by_hand_or_cloned(tmp_path, outer):
    source = SpokenDigits.synthetic(n=N).root / "free-spoken-digit-dataset" / "recordings"
    shutil.copytree(source, tmp_path / outer / "recordings")
    assert len(SpokenDigits(tmp_path)) == N


def test_the_archive_of_the_digits_as_github_packs_it(tmp_path, monkeypatch):
    source = SpokenDigits.synthetic(n=N).root / "free-spoken-digit-dataset"
    (tmp_path / "mirror").mkdir()
    with zipfile.ZipFile(tmp_path / "mirror" / "free-spoken-digit-dataset.zip", "w") as archive:
        for path in sorted(source.rglob("*.wav")):
            archive.write(path, f"free-spoken-digit-dataset-1.0.10/{path.relative_to(source)}")
    mirrored(monkeypatch, tmp_path / "mirror")
    ours = SpokenDigits(tmp_path / "root", download=True)
    assert len(ours) == N
    assert ours[0]["path"].startswith(f"{tmp_path}/root/free-spoken-digit-dataset/free-spoken-digit-dataset-1.0.10/")


def test_a_real_utterance_of_librispeech(shared, tmp_path, torchaudio_datasets):
    with tarfile.open(there(shared / "librispeech-one-utterance.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    ours = LibriSpeech(tmp_path, split="dev-clean")
    assert ours.lengths().tolist() == [186560]
    assert ours.durations().tolist() == [11.66]
    theirs = torchaudio_datasets.LIBRISPEECH(tmp_path, url="dev-clean")
    keys = ["sample_rate", "text", "speaker", "chapter", "utterance"]
    assert_same(ours, theirs, ["waveform", *keys])
    assert ours.as_tuple(*keys)[0] == theirs.get_metadata(0)[1:]
    assert ours[0]["text"].startswith("IF THE READER WILL EXCUSE ME")


def test_a_real_clip_of_common_voice(shared, tmp_path):
    clip = there(shared / "audio" / "common_voice_en_651325.mp3")
    (tmp_path / "clips").mkdir()
    shutil.copy(clip, tmp_path / "clips")
    columns = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccent\n"
    row = 'ab12\tcommon_voice_en_651325\t"""NA,"" he said."\t2\t0\tNA\t\tnull\n'  # old releases leave .mp3 out
    (tmp_path / "train.tsv").write_text(columns + row)
    sample = CommonVoice(tmp_path)[0]
    assert sample["sample_rate"] == 48000
    assert (sample["text"], sample["age"], sample["gender"], sample["accent"]) == ('"NA," he said.', "NA", "", "null")
    np.testing.assert_allclose(sample["waveform"][0], soundfile.read(clip, dtype="float32")[0], rtol=0, atol=1e-7)


# --- archives and mirrors ---------------------------------------------------------------------------------------------


def sums(folder):
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(lines))


def test_two_splits_of_librispeech_come_one_after_another(tmp_path, monkeypatch):
    source, mirror = LibriSpeech.synthetic(n=N).root, tmp_path / "mirror"
    mirror.mkdir()
    (tmp_path / "README.TXT").write_text("in every archive\n")
    for split in ("dev-clean", "test-other"):
        with tarfile.open(mirror / f"{split}.tar.gz", "w:gz") as archive:
            archive.add(tmp_path / "README.TXT", "LibriSpeech/README.TXT")
            archive.add(source / "LibriSpeech" / split, f"LibriSpeech/{split}")
    sums(mirror)
    mirrored(monkeypatch, mirror)
    for split in ("dev-clean", "test-other"):
        assert len(LibriSpeech(tmp_path / "root", split=split, download=True)) == N
    with pytest.raises(MissingDataError, match="LibriSpeech/dev-other is missing"):
        LibriSpeech(tmp_path / "root", split="dev-other")


def test_one_split_is_downloaded_on_the_command_line(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from datakit.cli import command

    (tmp_path / "mirror").mkdir()
    with tarfile.open(tmp_path / "mirror" / "dev-clean.tar.gz", "w:gz") as archive:
        archive.add(LibriSpeech.synthetic(n=N).root / "LibriSpeech" / "dev-clean", "LibriSpeech/dev-clean")
    sums(tmp_path / "mirror")
    mirrored(monkeypatch, tmp_path / "mirror")
    words = ["download", "librispeech", "--root", str(tmp_path / "root"), "--split"]
    result = CliRunner().invoke(command, [*words, "dev-clean"])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [str(tmp_path / "root" / "LibriSpeech" / "dev-clean")]
    result = CliRunner().invoke(command, [*words, "dev-claen"])
    assert result.exit_code != 0
    assert "did you mean 'dev-clean'" in result.output


def test_vctk_is_unpacked_into_its_folder(tmp_path, monkeypatch):
    source = VCTK.synthetic(n=N).root / "VCTK-Corpus-0.92"
    (tmp_path / "mirror").mkdir()
    with zipfile.ZipFile(tmp_path / "mirror" / "VCTK-Corpus-0.92.zip", "w") as archive:  # without a folder around it
        for path in sorted(source.rglob("*.*")):
            archive.write(path, path.relative_to(source))
    sums(tmp_path / "mirror")
    mirrored(monkeypatch, tmp_path / "mirror")
    assert len(VCTK(tmp_path / "root", download=True)) == N
    monkeypatch.delenv("DATAKIT_MIRROR")
    assert len(VCTK(tmp_path / "root", download=True, mic="mic1")) == N


def test_common_voice_says_what_to_get_by_hand(tmp_path, monkeypatch):
    with pytest.raises(MissingDataError, match=r"commonvoice\.mozilla\.org.*by hand|by hand.*commonvoice\.mozilla"):
        CommonVoice(tmp_path)
    (tmp_path / "mirror").mkdir()
    with tarfile.open(tmp_path / "mirror" / "common-voice.tar.gz", "w:gz") as archive:
        for path in sorted(CommonVoice.synthetic(n=3).root.iterdir()):
            archive.add(path, path.name)
    mirrored(monkeypatch, tmp_path / "mirror")
    assert len(CommonVoice(tmp_path / "root", split="test", download=True)) == 3


# --- names, rows and transcripts that are wrong -----------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path):
    """Makes a copy of the synthetic copy, to be spoilt."""

    def made(kind):
        return shutil.copytree(kind.synthetic(n=N).root, tmp_path / "copy")

    return made


@pytest.mark.parametrize("name", ["1_0_1.wav", "0_1_0_1_0_1_0_2.wav", "yes.wav", "0_1_0_1_0_1_0_٣.wav"])
def test_names_of_yesno(copy, name):
    root = copy(YesNo)
    save(root / "waves_yesno" / name, torch.zeros(1, 8), 8000)
    with pytest.raises(CorruptDataError, match=f"{name}: a name is eight labels"):
        YesNo(root)


@pytest.mark.parametrize(("name", "said"), [
    ("10_ada_0.wav", "10_ada_0.wav: a name is digit_speaker_take"),
    ("1_ada.wav", "1_ada.wav: a name is"),
    ("1_ada_00.wav", "same take as 1_ada_"),
])  # fmt: skip
def test_names_of_digits(copy, name, said):
    root = copy(SpokenDigits)
    save(root / "free-spoken-digit-dataset" / "recordings" / name, torch.zeros(1, 8), 8000)
    with pytest.raises(CorruptDataError, match=said):
        SpokenDigits(root)


def spoilt(path, change):
    path.write_bytes(change(path.read_bytes()))
    return path


@pytest.mark.parametrize(("change", "error", "said"), [
    (lambda data: data.replace(b" ", b"", 99), CorruptDataError, r"line 1: .*where 1-5000-… and its text are due"),
    (lambda data: data.replace(b"1-5000-0001", b"2-5000-0001"), CorruptDataError, r"line 2: '2-5000-0001"),
    (lambda data: data + data.splitlines(True)[0], CorruptDataError, r"line 4: 1-5000-0000 is there twice"),
    (lambda data: data.replace(b"1-5000-0001", b"1-5000-0009"), MissingDataError, r"1-5000-0009\.flac is missing"),
    (lambda data: b"".join(data.splitlines(True)[:2]), CorruptDataError, r"1-5000-0002\.flac: there is no line"),
    (lambda data: data.replace(b"1-5000-0001 ", b"1-5000-0001 \xe9"), CorruptDataError, r"line 2, byte \d+: 0xe9"),
    (lambda data: data + b"\0", CorruptDataError, r"line 4, byte 73: a NUL byte"),
    (lambda data: data.replace(b"\n", b"\n\n", 1), CorruptDataError, r"line 2: ''"),
    (lambda data: b"", CorruptDataError, "there is no line"),
    (lambda data: b"x" * (2**22 + 1), CorruptDataError, "more than 4,194,304 bytes"),
])  # fmt: skip
def test_transcripts_of_librispeech(copy, change, error, said):
    root = copy(LibriSpeech)
    path = spoilt(root / "LibriSpeech/train-clean-100/1/5000/1-5000.trans.txt", change)
    with pytest.raises(error, match=said) as caught:
        LibriSpeech(root)
    assert str(path.parent) in str(caught.value)


def test_transcripts_of_librispeech_with_other_line_ends(copy):
    root = copy(LibriSpeech)
    texts = [row["text"] for row in LibriSpeech(root).records()]
    path = root / "LibriSpeech/train-clean-100/1/5000/1-5000.trans.txt"
    spoilt(path, lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n") + b"\n\n")
    assert [row["text"] for row in LibriSpeech(root).records()] == texts
    path.unlink()
    with pytest.raises(MissingDataError, match=r"1-5000\.trans\.txt"):
        LibriSpeech(root)


def test_a_sound_of_librispeech_in_another_folder(copy):
    root = copy(LibriSpeech)
    folder = root / "LibriSpeech" / "train-clean-100" / "1"
    (folder / "5000" / "1-5000-0000.flac").rename(folder / "5000" / "1-5001-0000.flac")
    with pytest.raises(CorruptDataError, match=r"1-5001-0000\.flac: sounds are in speaker/chapter"):
        LibriSpeech(root)


@pytest.mark.parametrize(("change", "said"), [
    (lambda data: b"", "line 1: an empty transcript"),
    (lambda data: b"\n", "line 1: an empty transcript"),
    (lambda data: data + b"more\n", "line 2: a transcript has one line"),
    (lambda data: b"\xff" + data, "line 1, byte 0: 0xff"),
])  # fmt: skip
def test_transcripts_of_vctk(copy, change, said):
    root = copy(VCTK)
    path = spoilt(root / "VCTK-Corpus-0.92" / "txt" / "p225" / "p225_002.txt", change)
    with pytest.raises(CorruptDataError, match=said) as caught:
        VCTK(root)
    assert str(path) in str(caught.value)


def test_a_transcript_of_vctk_without_a_sound_and_a_stray_file(copy):
    root = copy(VCTK)
    (root / "VCTK-Corpus-0.92" / "wav48_silence_trimmed" / "p225" / "p225_002_mic2.flac").unlink()
    assert len(VCTK(root, mic="mic1")) == N
    with pytest.raises(MissingDataError, match=r"p225_002_mic2\.flac is missing"):
        VCTK(root)
    (root / "VCTK-Corpus-0.92" / "txt" / "p226" / "p225_009.txt").write_text("Words.")
    with pytest.raises(CorruptDataError, match=r"p226/p225_009\.txt: transcripts are in"):
        VCTK(root, mic="mic1")
    with pytest.raises(UnknownNameError, match="unknown microphone 'mic3'.*'mic1'"):
        VCTK(root, mic="mic3")


def lines_changed(change):
    return lambda data: b"\n".join(change(data.split(b"\n")))


@pytest.mark.parametrize(("change", "said"), [
    (lambda data: b"", "line 1: column 'path' is missing|line 1: column 'client_id' is missing"),
    (lambda data: data.replace(b"sentence", b"text", 1), "column 'sentence' is missing"),
    (lambda data: data.replace(b"gender", b"waveform", 1), "column 'waveform' has a name"),
    (lambda data: data.replace(b"gender", b"age", 1), "column 'age' is there twice"),
    (lines_changed(lambda lines: [*lines[:3], lines[3] + b"\tmore", *lines[4:]]), "line 4: 11 cells"),
    (lines_changed(lambda lines: [*lines[:3], lines[3][:-3], *lines[4:]]), "line 4: 9 cells"),
    (lambda data: data.replace(b"common_voice_en_2.mp3", b"../../etc/passwd"), r"row 2, column 'path'.*leaves clips"),
    (lambda data: data.replace(b"common_voice_en_2.mp3", b"/etc/passwd"), "row 2, column 'path'.*leaves clips"),
    (lambda data: data.replace(b"common_voice_en_2.mp3", b""), "row 2, column 'path'.*leaves clips"),
    (lambda data: data.replace(b"common_voice_en_2.mp3\t", b'common_voice_en_2.mp3\t"'), "line 3"),
    (lambda data: data.replace(b"common_voice_en_2", b"\xe9"), "0xe9 is not UTF-8"),
    (lambda data: data.decode().encode("utf-16"), "UTF-16|column 'path' is missing"),
    (lambda data: data.replace(b"common_voice_en_2", b"\0"), "line 3.*NUL"),
])  # fmt: skip
def test_tables_of_common_voice(copy, change, said):
    root = copy(CommonVoice)
    path = spoilt(root / "train.tsv", change)
    with pytest.raises(CorruptDataError, match=said) as caught:
        CommonVoice(root)
    assert str(path) in str(caught.value)
    path.unlink()
    with pytest.raises(MissingDataError, match=r"train\.tsv"):
        CommonVoice(root)


def test_a_table_of_common_voice_in_which_quotes_are_characters(copy):
    root = copy(CommonVoice)
    spoilt(root / "train.tsv", lambda data: data.replace(b"common_voice_en_2.mp3\t", b'common_voice_en_2.mp3\t"Yes," '))
    before = [row["text"] for row in CommonVoice(root, split="validated").records()][:N]
    before[1] = f'"Yes," {before[1]}'
    assert [row["text"] for row in CommonVoice(root, quotes=False).records()] == before


# --- folders ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    for place, name in enumerate(("b/2.WAV", "b/deep/er/1.flac", "a/x.ogg", ".hidden/y.wav", "a/.z.wav")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        save(tmp_path / name, torch.zeros(1 + place % 2, 1600 * (place + 1)), 16000)
    (tmp_path / "a" / "notes.txt").write_text("not a sound")
    return tmp_path


def test_what_is_listed_of_a_folder(folder):
    dataset = AudioFolder(folder)
    assert dataset.classes == ["a", "b"]
    files = [("a/x.ogg", 0), ("b/2.WAV", 1), ("b/deep/er/1.flac", 1)]
    assert [(row["file"], row["label"]) for row in dataset.records()] == files
    assert [row["file"] for row in AudioFiles(folder).records()] == [file for file, _ in files]
    assert dataset.lengths().tolist() == AudioFiles(folder).lengths().tolist() == [4800, 1600, 3200]
    assert [tuple(sample["waveform"].shape) for sample in dataset] == [(1, 4800), (1, 1600), (2, 3200)]
    assert_dataset(dataset)
    assert_dataset(AudioFiles(folder))


def test_folders_that_are_empty_or_missing(folder):
    (folder / "c").mkdir()
    with pytest.raises(MissingDataError, match="no sound files in 'c'"):
        AudioFolder(folder)
    with pytest.raises(MissingDataError, match="one for each class.*AudioFiles"):
        AudioFolder(folder / "b" / "deep" / "er")
    with pytest.raises(MissingDataError, match="there is no folder"):
        AudioFolder(folder / "nothing")
    with pytest.raises(MissingDataError, match=r"has no sound files \(\.aac"):
        AudioFiles(folder / "c")


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3", "wav"])
def test_long_files_are_closed(tmp_path, suffix):
    """A file that is left open would be a ResourceWarning, which is an error here."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 600_000)).astype(np.float32)
    save(tmp_path / f"noise.{suffix}", torch.from_numpy(noise), 16000)
    assert (tmp_path / f"noise.{suffix}").stat().st_size > 2**17
    sounds = AudioFiles(tmp_path)
    assert sounds[0]["waveform"].shape[1] == sounds.lengths()[0] == 600_000
    gc.collect()


def test_batches_of_a_corpus_are_padded():
    from datakit import Loader, collate

    digits = SpokenDigits.synthetic(n=N)
    loader = Loader(digits, 3, seed=0, shuffle=True, collate_fn=collate.pad)
    rows = [length for batch in loader for length in batch["length"]]
    assert sorted(map(int, rows)) == sorted(digits.lengths().tolist())


@pytest.mark.parametrize(("name", "folder"), [("a.gz", "b"), ("a.zip", "../b"), ("a.zip", "/b")])
def test_a_folder_to_unpack_into_is_below_the_root_and_for_archives(name, folder):
    with pytest.raises(ValueError, match=r"Remote"):
        Remote(name, unpack=True, folder=folder, produces=("c",))
