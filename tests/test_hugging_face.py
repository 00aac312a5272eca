"""Datasets of Hugging Face, both ways: the same samples, bit for bit, over the real data; errors that say which row."""

import os
import socket
import subprocess
import sys
import tarfile
import zipfile

import datasets
import numpy as np
import pyarrow as pa
import pytest
import soundfile
import torch
from PIL import Image

import datakit
from datakit import Concat, Loader, Mapped, Subset, audio
from datakit.chain import same
from datakit.dataset import LoaderKey
from datakit.errors import DatakitError, SampleError
from datakit.text import Names, TranslationPairs, Vocab
from datakit.transforms import Compose, Encode, RandomCrop, Rescale, ToTensor
from datakit.vision import CIFAR10, MNIST, ImageFolder


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refused(*_):
        raise AssertionError("something opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refused)


def equal(ours, theirs):
    assert len(ours) == len(theirs)
    for index in range(len(ours)):
        one, other = ours[index], theirs[index]
        assert same(dict(sorted(one.items())), dict(sorted(other.items()))), (index, one, other)
    assert tuple(ours.classes) == tuple(theirs.classes)


def both_ways(dataset, folder):
    """To Hugging Face and back, and to Parquet and back; Hugging Face's own reading of that too."""
    folder.mkdir(exist_ok=True)
    table = datakit.to_hf(dataset)
    equal(dataset, datakit.from_hf(table))
    datakit.save(dataset, folder / "it.parquet")
    equal(dataset, datakit.load(folder / "it.parquet"))
    theirs = datasets.load_dataset("parquet", data_files=str(folder / "it.parquet"), cache_dir=folder, split="train")
    equal(dataset, datakit.from_hf(theirs))
    return table


def images_of_theirs(table, dataset):
    """Hugging Face decodes the column by Pillow."""
    for row, sample in zip(table, dataset, strict=True):
        pixels = np.asarray(row["image"])
        assert np.array_equal(pixels.reshape(sample["image"].shape), sample["image"])


def test_faces(faces, tmp_path):
    table = both_ways(faces, tmp_path)
    images_of_theirs(table, faces)
    raw = table.cast_column("image", datasets.Image(decode=False))[65]["image"]
    with open(faces[65]["path"], "rb") as file:
        assert raw == {"bytes": file.read(), "path": faces[65]["path"]}
    assert table[65]["landmarks"] == faces[65]["landmarks"].tolist()


def test_hymenoptera_with_its_gif(hymenoptera, tmp_path):
    train = ImageFolder(hymenoptera / "train")
    gif = next(index for index in range(len(train)) if train.path_of(index).endswith(".gif"))
    few = Subset(train, [gif, 0, 1, 200, 243, gif])
    table = both_ways(few, tmp_path)
    images_of_theirs(table, few)
    assert table.features["label"] == datasets.ClassLabel(names=["ants", "bees"])
    assert table["label"][0] == 0


def test_mnist_and_cifar(shared, cifar, tmp_path):
    for name, dataset in (("digits", MNIST(shared, split="test")), ("cifar", CIFAR10(cifar, split="test"))):
        (tmp_path / name).mkdir()
        few = Subset(dataset, range(0, len(dataset), 20))
        table = both_ways(few, tmp_path / name)
        images_of_theirs(table, few)
        assert table.features["label"].names == list(dataset.classes)
    assert few[0]["image"].shape == (32, 32, 3)


def test_nuclei_with_masks_of_several_sizes(nuclei, tmp_path):
    few = Subset(nuclei, range(0, 170, 9))
    assert len({sample["masks"].shape[1:] for sample in few}) > 1
    table = both_ways(few, tmp_path)
    images_of_theirs(table, few)
    assert table.features["boxes"] == datasets.List(datasets.List(datasets.Value("float32"), length=4))
    assert table.features["labels"].feature.names == ["background", "person"]
    assert table[0]["masks"] == few[0]["masks"].tolist()


def sounds_of_theirs(table, dataset):
    """The bytes of the column, read by soundfile."""
    column = table.cast_column("audio", datasets.Audio(decode=False))["audio"]
    for raw, sample in zip(column, dataset, strict=True):
        values, rate = soundfile.read(pa.BufferReader(raw["bytes"]), dtype="float32", always_2d=True)
        assert rate == sample["sample_rate"]
        assert np.array_equal(values.T, sample["waveform"].numpy())


def test_speech(shared, tmp_path):
    with zipfile.ZipFile(shared / "free-spoken-digit-dataset.zip") as archive:
        archive.extractall(tmp_path / "digits")
    for name, archive in (("yesno", "waves_yesno.tar.gz"), ("libri", "librispeech-one-utterance.tar.gz")):
        with tarfile.open(shared / archive) as tar:
            tar.extractall(tmp_path / name, filter="data")
    digits = audio.SpokenDigits(tmp_path / "digits")
    corpora = {
        "digits": Subset(digits, range(0, len(digits), 60)),
        "yesno": Subset(audio.YesNo(tmp_path / "yesno"), range(0, 60, 6)),
        "libri": audio.LibriSpeech(tmp_path / "libri", split="dev-clean"),
    }
    for name, corpus in corpora.items():
        (tmp_path / f"{name}-out").mkdir()
        table = both_ways(corpus, tmp_path / f"{name}-out")
        sounds_of_theirs(table, corpus)
        back = datakit.from_hf(table)
        assert back.lengths().tolist() == [sample["waveform"].shape[1] for sample in corpus]
        assert back.durations()[0] == corpus[0]["waveform"].shape[1] / corpus[0]["sample_rate"]
        assert next(iter(Loader(back, 2)))["waveform"].ndim == 3
    assert len(corpora["libri"]) == 1
    assert corpora["libri"][0]["waveform"].shape == (1, 186_560)


def test_texts(tutorial, anki, tmp_path):
    names = Subset(Names(tutorial), range(0, 20050, 20))
    table = both_ways(names, tmp_path / "names")
    assert table.features["label"].names == list(names.classes)
    assert table["text"][:] == [row["text"] for row in names.records()]
    both_ways(Subset(TranslationPairs(anki), range(0, 5000, 10)), tmp_path / "pairs")
    vocab = Vocab.characters(row["text"] for row in names.records())
    both_ways(Subset(names, range(50), transform=Encode(vocab)), tmp_path / "tokens")


def test_texts_make_batches_once_they_are_encoded():
    rows = datasets.Dataset.from_dict({"text": ["Zoë", "Bo", ""]})
    found = datakit.from_hf(rows)
    assert found.lengths().tolist() == [3, 2, 0]
    vocab = Vocab.characters(rows["text"])
    (batch,) = Loader(found.with_transform(Encode(vocab)), 3)
    assert batch["length"].tolist() == [3, 2, 0]
    assert [vocab.decode(row[:count]) for row, count in zip(batch["tokens"], [3, 2, 0], strict=True)] == batch["text"]


def test_compressed_sounds_keep_their_files(shared, tmp_path):
    files = audio.AudioFiles(shared / "audio")
    table = both_ways(files, tmp_path)
    column = table.cast_column("audio", datasets.Audio(decode=False))["audio"]
    for raw, sample in zip(column, files, strict=True):
        with open(sample["path"], "rb") as file:
            assert raw["bytes"] == file.read()


def test_after_transforms(faces, tmp_path):
    chained = Subset(faces.with_transform(Compose([Rescale(64), RandomCrop(56)])), range(5))
    table = datakit.to_hf(chained, seed=3)
    for row in range(5):
        want = chained[LoaderKey(3, 0, row)]
        assert same(datakit.from_hf(table)[row]["image"], want["image"])
    assert same(np.asarray(table[0]["image"]), datakit.from_hf(table)[0]["image"])
    tensors = Subset(faces.with_transform(Compose([Rescale((32, 32)), ToTensor()])), range(5))
    both_ways(tensors, tmp_path)
    assert isinstance(datakit.from_hf(datakit.to_hf(tensors))[0]["image"], torch.Tensor)


EVERYTHING = {
    "whole": 3,
    "real": 0.1,
    "truth": True,
    "text": "Žluťoučký",
    "raw": b"\0\1",
    "nothing": "seen first",
    "small": np.float32(0.1),
    "eight": np.uint8(200),
    "tokens": np.array([1, 2, 3]),
    "half": np.array([[0.5], [1.5]], np.float16),
    "bits": np.array([True, False]),
    "cube": np.arange(24, dtype=np.int16).reshape(2, 3, 4),
    "phases": np.array([[1 + 2j, 3j]], np.complex64),
    "waves": torch.tensor([[1.0, 2.0]], dtype=torch.float64),
    "spectrogram": torch.tensor([[[1 + 1j]]]),
    "list": [1, 2],
    "pair": (0.5, 1.5),
    "names": ["a", "b"],
    "nested": [["a"], []],
    "arrays": [np.zeros((2, 2), np.float32), np.ones((1, 2), np.float32)],
    "inside": {"number": 1, "array": np.arange(3.0), "deeper": {"text": "x"}},
    "objects": [{"name": "cat", "size": 3}, {"name": "dog", "size": 4}],
}
OTHER = EVERYTHING | {
    "nothing": None,
    "tokens": np.arange(0),
    "cube": np.zeros((1, 1, 1), np.int16),
    "list": [],
    "nested": [],
    "objects": [],
    "phases": np.array([[5j, 1, 2]], np.complex64),
}


def test_every_kind_of_value_comes_back_as_it_was(tmp_path):
    dataset = Mapped([EVERYTHING, OTHER, EVERYTHING])
    table = both_ways(dataset, tmp_path)
    assert table[0]["cube"] == EVERYTHING["cube"].tolist()
    assert table.features["half"].feature.feature.dtype == "float16"
    twice = datakit.to_hf(datakit.from_hf(table))
    equal(datakit.from_hf(twice), dataset)
    assert twice.features == table.features


def test_marks_outlive_what_hugging_face_does_to_a_table(tmp_path):
    dataset = Mapped([EVERYTHING, OTHER] * 4)
    table = datakit.to_hf(dataset)
    table.save_to_disk(tmp_path / "disk")
    equal(dataset, datakit.from_hf(datasets.load_from_disk(tmp_path / "disk")))
    turned = table.select(range(7, -1, -1))
    assert same(datakit.from_hf(turned)[0]["waves"], OTHER["waves"])
    table.to_parquet(tmp_path / "theirs.parquet")
    equal(dataset, datakit.load(tmp_path / "theirs.parquet"))


def test_subset_and_concat_keep_their_index(faces):
    small = faces.with_transform(Rescale(20))
    part = Concat([Subset(small, [*range(20), 9]), Subset(small, [3])])
    table = datakit.to_hf(part)
    assert table["index"][:] == [*range(20), 9, 3]
    equal(part, datakit.from_hf(table))
    assert "index" not in datakit.to_hf(Subset(faces, range(2)).dataset.with_transform(None)).column_names


def test_no_objects_in_an_image(tmp_path):
    def sample(n):
        return {
            "image": np.zeros((8, 9 + n, 3), np.uint8),
            "boxes": np.zeros((n, 4), np.float32),
            "labels": np.ones(n, np.int64),
            "masks": np.zeros((n, 8, 9 + n), np.uint8),
            "keypoints": np.zeros((n, 17, 3), np.float32),
        }

    both_ways(Mapped([sample(n) for n in (2, 0, 1)]), tmp_path)
    with pytest.raises(SampleError, match=r"Mapped\[1\]: 'grid' is empty, and a column of lists cannot keep .*0, 5"):
        datakit.to_hf(Mapped([{"grid": np.zeros((1, 5))}, {"grid": np.zeros((0, 5))}]))


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"x": 1.5}, r"Mapped\[20\]: 'x' holds float 1.5, the first samples had int"),
        ({"y": 1}, r"Mapped\[20\]: has index, y, the first sample had (index, x|x, index)"),
        ({"x": 2**70}, r"Mapped\[20\]: 'x' holds 1180591620717411303424, which has more than 64 bits"),
        ({"x": object()}, r"Mapped\[20\]: 'x' holds object"),
    ],
)
def test_a_sample_that_does_not_fit_is_named(second, message):
    with pytest.raises(SampleError, match=message):
        datakit.to_hf(Mapped([{"x": 1}] * 20 + [second]))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "'x' holds object"),
        (None, "None or empty in all of the first samples"),
        ([], "None or empty in all of the first samples"),
        (np.array(["a"]), "'x' holds ndarray <U1"),
        (np.zeros(2, ">f4"), "'x' holds ndarray"),
        (("a", "b"), "tuple of other things"),
        ([1, 2.5], "'x'"),
    ],
)
def test_what_no_column_holds_is_refused(value, message):
    with pytest.raises(SampleError, match=message):
        datakit.to_hf(Mapped([{"x": value}] * 3))


def test_labels_beyond_the_classes_are_refused():
    numbers = Mapped([{"label": 0}, {"label": 2}])
    numbers.classes = ("a", "b")
    with pytest.raises(SampleError, match=r"Mapped\[1\]: 'label' has the labels 2 to 2, there are 2 classes"):
        datakit.to_hf(numbers)
    numbers.classes = ("a", "a")
    with pytest.raises(DatakitError, match="not all text and different"):
        datakit.to_hf(numbers)


def test_what_cannot_be_written_at_all(faces):
    for wrong, message in (
        (faces.as_tuple("image"), "samples are dicts"),
        (Mapped([]), "has no records"),
        (datakit.Stream(range(3)), r"\.take\(n\)"),
        ([1, 2], "put others into Mapped"),
    ):
        with pytest.raises(DatakitError, match=message):
            datakit.to_hf(wrong)


def test_an_original_that_reads_otherwise_becomes_a_png(tmp_path):
    """Pillow drops transparency where datakit lays it over white: both must see the pixels of the sample."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 4), np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "clear.png")
    Image.fromarray(pixels[:, :, :3]).convert("P").save(tmp_path / "in" / "palette.gif")
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "in" / "press.jpg")
    Image.fromarray(pixels[:, :, :3]).convert("L").save(tmp_path / "in" / "grey.jpg")
    dataset = datakit.vision.ImageFiles(tmp_path / "in")
    table = both_ways(dataset, tmp_path)
    images_of_theirs(table, dataset)
    raw = table.cast_column("image", datasets.Image(decode=False))["image"]
    kinds = {os.path.basename(value["path"]): value["bytes"][:4] for value in raw}
    assert kinds == {
        "clear.png": b"\x89PNG",
        "palette.gif": b"GIF8",
        "press.jpg": b"\x89PNG",
        "grey.jpg": b"\xff\xd8\xff\xe0",
    }
    assert raw[0]["bytes"] != (tmp_path / "in" / "clear.png").read_bytes()


def test_sounds_that_were_changed_become_exact_wav(tmp_path):
    wave = torch.randn(2, 500, generator=torch.Generator().manual_seed(0)) * 3
    dataset = Mapped([{"waveform": wave, "sample_rate": 11_025, "path": "/nowhere.wav"}])
    table = both_ways(dataset, tmp_path)
    sounds_of_theirs(table, dataset)
    with pytest.raises(SampleError, match=r"Mapped\[0\]: 'audio' .* is -inf"):
        datakit.to_hf(Mapped([{"waveform": wave / 0, "sample_rate": 8000}]))


def test_flat_memory_and_no_file_left_behind(tmp_path):
    """Hundreds of megabytes of images, in a process of its own: memory that is not of the file must not grow."""
    code = """
import sys, threading, time
import numpy as np
from PIL import Image
import datakit
from datakit import Mapped
from datakit.vision import read_image
Image.fromarray(np.random.default_rng(0).integers(0, 256, (768, 768, 3), np.uint8)).save("noise.bmp")
def noise(n):
    return {"image": read_image("noise.bmp"), "path": "noise.bmp"}
def resident():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024
def watch():
    while going:
        peak[0] = max(peak[0], resident())
        time.sleep(0.005)
datakit.to_hf(Mapped(range(2), noise))
peak, going = [0.0], [True]
before, watcher = resident(), threading.Thread(target=watch)
watcher.start()
table = datakit.to_hf(Mapped(range(130), noise))
datakit.save(Mapped(range(50), noise), "noise.parquet")
going.clear()
watcher.join()
print(table.data.nbytes / 2**20, peak[0] - before, table.cache_files[0]["filename"])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    out = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=tmp_path, env=environment)
    written, grown, path = out.split()
    assert float(written) > 215
    assert float(grown) < 120
    assert not os.path.exists(os.path.dirname(path))
    assert (tmp_path / "noise.parquet").stat().st_size > 80 * 2**20


def test_a_changed_dataset_never_meets_an_old_cache(tmp_path):
    def numbers(start):
        return datakit.to_hf(Mapped(range(start, start + 3), lambda n: {"n": n}), cache_dir=tmp_path)

    one, same_again, other = numbers(0), numbers(0), numbers(1)
    assert one._fingerprint == same_again._fingerprint != other._fingerprint
    doubled = [table.map(lambda row: {"n": 2 * row["n"]})["n"][:] for table in (one, other)]
    assert doubled == [[0, 2, 4], [2, 4, 6]]


def test_settings_of_hugging_face_are_left_alone(faces, capfd):
    before = datasets.is_progress_bar_enabled(), datasets.is_caching_enabled()
    datakit.from_hf(datakit.to_hf(Subset(faces, range(2))))[0]
    assert (datasets.is_progress_bar_enabled(), datasets.is_caching_enabled()) == before
    assert capfd.readouterr() == ("", "")
