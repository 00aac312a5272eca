"""MNIST and Fashion-MNIST, against torchvision's own classes on the same files."""

import gzip
import os
import pickle
import shutil

import numpy as np
import pytest
from torchvision import datasets as theirs

from datakit import Loader, Subset
from datakit.errors import CorruptDataError, MissingDataError, UnknownNameError
from datakit.testing import assert_one_stream
from datakit.vision import MNIST, FashionMNIST

FILES = [f"{split}-{kind}-ubyte" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


@pytest.fixture(scope="module")
def packed(shared):
    """The folder with the real `MNIST/raw/*.gz`, which cannot be written to."""
    if not (shared / "MNIST").is_dir():
        pytest.skip("MNIST is not among the real datasets")
    return shared


@pytest.fixture(scope="module")
def plain(packed, tmp_path_factory):
    """The same files unpacked, as torchvision leaves them."""
    root = tmp_path_factory.mktemp("mnist")
    (root / "MNIST" / "raw").mkdir(parents=True)
    for name in FILES:
        (root / "MNIST" / "raw" / name).write_bytes(
            gzip.decompress((packed / "MNIST" / "raw" / f"{name}.gz").read_bytes())
        )
    return root


@pytest.mark.parametrize(("split", "n"), [("train", 60_000), ("test", 10_000)])
def test_every_image_and_label_is_torchvisions(plain, packed, split, n):
    truth = theirs.MNIST(plain, train=split == "train")
    for root in (plain, packed):
        dataset = MNIST(root, split)
        assert len(dataset) == n
        samples = list(dataset)
        np.testing.assert_array_equal(np.stack([sample["image"] for sample in samples])[..., 0], truth.data.numpy())
        assert [sample["label"] for sample in samples] == truth.targets.tolist()
        assert [sample["index"] for sample in samples] == list(range(n))


def test_a_sample(plain):
    dataset = MNIST(plain)
    sample = dataset[4]
    assert sample.keys() == {"index", "image", "label"}
    assert (sample["image"].shape, sample["image"].dtype, type(sample["label"])) == ((28, 28, 1), np.uint8, int)
    sample["image"][:] = 0  # the caller's own
    assert dataset[4]["image"].any()
    assert list(MNIST.classes) == theirs.MNIST.classes
    assert list(FashionMNIST.classes) == theirs.FashionMNIST.classes


def test_the_files_and_checksums_are_torchvisions():
    for ours, other in ((MNIST, theirs.MNIST), (FashionMNIST, theirs.FashionMNIST)):
        mirror, folder = other.mirrors[0], ours.__name__
        assert {(remote.name, remote.urls, remote.md5) for remote in ours.remotes} == {
            (f"{folder}/raw/{name}", (mirror + name,), md5) for name, md5 in other.resources
        }


@pytest.mark.parametrize("split", ["train", "test"])
def test_fashion_in_the_exact_layout(tmp_path, split):
    rng = np.random.default_rng(0)
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, n in (("train", 30), ("t10k", 20)):
        images, labels = rng.integers(0, 256, (n, 28, 28)), rng.integers(0, 10, n)
        for name, magic, dims, data in (
            ("images-idx3", 2051, (n, 28, 28), images),
            ("labels-idx1", 2049, (n,), labels),
        ):
            head = np.array([magic, *dims], ">i4").tobytes()
            (raw / f"{prefix}-{name}-ubyte").write_bytes(head + data.astype(np.uint8).tobytes())
    dataset, truth = FashionMNIST(tmp_path, split), theirs.FashionMNIST(tmp_path, train=split == "train")
    assert len(dataset) == len(truth)
    for sample, (image, label) in zip(dataset, truth, strict=True):
        np.testing.assert_array_equal(sample["image"][..., 0], np.asarray(image))
        assert sample["label"] == label


def test_a_plain_file_wins_over_the_compressed_one(tmp_path):
    raw = copied(tmp_path) / "MNIST" / "raw"
    (raw / f"{FILES[0]}.gz").write_bytes(b"not even gzip")
    assert len(MNIST(tmp_path)) == 12
    (raw / FILES[0]).unlink()
    with pytest.raises(CorruptDataError, match=r"train-images-idx3-ubyte\.gz"):
        MNIST(tmp_path)


def test_download_from_a_mirror(packed, tmp_path, monkeypatch):
    monkeypatch.setenv("DATAKIT_MIRROR", packed.as_uri())
    ours, truth = MNIST(tmp_path, "test", download=True), MNIST(packed, "test")
    assert ours.fingerprint() == truth.fingerprint()
    assert sorted(os.listdir(tmp_path / "MNIST" / "raw")) == sorted(FILES)
    monkeypatch.delenv("DATAKIT_MIRROR")
    assert len(MNIST(tmp_path, download=True)) == 60_000  # nothing is fetched again
    assert len(theirs.MNIST(tmp_path)) == 60_000


def test_a_mirror_with_other_bytes_is_not_believed(packed, tmp_path, monkeypatch):
    raw = tmp_path / "mirror" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in FILES:
        (raw / f"{name}.gz").write_bytes(gzip.compress(b"another file"))
    monkeypatch.setenv("DATAKIT_MIRROR", f"{(tmp_path / 'mirror').as_uri()} {packed.as_uri()}")
    assert len(MNIST(tmp_path / "root", "test", download=True)) == 10_000


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(MissingDataError, match=r"train-images-idx3-ubyte is missing.*download=True"):
        MNIST(tmp_path)
    (copied(tmp_path) / "MNIST" / "raw" / FILES[3]).unlink()
    with pytest.raises(MissingDataError, match="t10k-labels-idx1-ubyte is missing"):
        MNIST(tmp_path, "test")
    with pytest.raises(UnknownNameError, match="did you mean 'test'"):
        MNIST(tmp_path, "tset")


def copied(tmp_path):
    shutil.copytree(MNIST.synthetic(n=12).root, tmp_path, dirs_exist_ok=True)
    return tmp_path


def idx(*dims, fill=0):
    return np.array([2048 + len(dims), *dims], ">i4").tobytes() + bytes([fill]) * int(np.prod(dims))


@pytest.mark.parametrize(("name", "data", "said"), [
    (FILES[1], idx(13), "13 labels for 12 images in train-images-idx3-ubyte"),
    (FILES[1], idx(12, fill=10), "label 10 of image 0, there are 10 classes"),
    (FILES[0], idx(12, 28, 27), "images of 28 x 27 pixels"),
    (FILES[0], idx(12), "1 axes, expected 3"),
    (FILES[0], idx(12, 28, 28)[:-1], "12 x 28 x 28 = 9,408 bytes"),
    (FILES[0], b"", "empty"),
])  # fmt: skip
def test_a_bad_file_is_named(tmp_path, name, data, said):
    path = copied(tmp_path) / "MNIST" / "raw" / name
    path.write_bytes(data)
    with pytest.raises(CorruptDataError, match=said) as caught:
        MNIST(tmp_path)
    assert str(path) in str(caught.value)


def test_images_are_not_sent_to_workers(plain, packed):
    for root in (plain, packed):
        dataset = MNIST(root)
        sent = pickle.dumps(dataset)
        assert len(sent) < 60_000 * 5 + 20_000  # places and labels; the images are 47 MB
        copy = pickle.loads(sent)
        for index in (0, 30_000, 59_999):
            np.testing.assert_array_equal(copy[index]["image"], dataset[index]["image"])


def test_the_stream_is_the_same_with_workers(plain):
    assert_one_stream(Subset(MNIST(plain), range(0, 60_000, 2_000)))


@pytest.mark.slow
def test_spawned_workers_read_the_files_themselves(packed):
    dataset = Subset(MNIST(packed, "test"), range(64))
    batches = [
        list(Loader(dataset, 32, num_workers=n, multiprocessing_context=m)) for n, m in ((0, None), (2, "spawn"))
    ]
    for one, other in zip(*batches, strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST])
@pytest.mark.parametrize("n", [1, 10, 23])
def test_synthetic_copies_are_read_by_torchvision_too(kind, n):
    truth = getattr(theirs, kind.__name__)
    for split in kind.splits:
        dataset = kind.synthetic(n=n, split=split)
        labels = [sample["label"] for sample in dataset]
        assert len(set(labels)) == min(n, 10)
        assert truth(dataset.root, train=split == "train").targets.tolist() == labels


@pytest.mark.parametrize(("kind", "bar"), [(MNIST, 0.6), (FashionMNIST, 0.75)])
def test_the_synthetic_copy_can_be_learnt(kind, bar):
    """The nearest mean image of a class tells a digit that it has not seen; means of shuffled labels do not."""
    pixels, labels = {}, {}
    for split in kind.splits:
        samples = list(kind.synthetic(n=600, split=split))
        pixels[split] = np.stack([sample["image"].ravel() for sample in samples]).astype(np.float64)
        labels[split] = np.array([sample["label"] for sample in samples])

    def hits(known):
        means = np.stack([pixels["train"][known == label].mean(0) for label in range(10)])
        distances = ((pixels["test"][:, None] - means) ** 2).sum(2)
        return (distances.argmin(1) == labels["test"]).mean()

    assert hits(labels["train"]) > bar
    assert hits(np.random.default_rng(0).permutation(labels["train"])) < 0.25
