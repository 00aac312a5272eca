"""CIFAR-10, against torchvision's own class on the same files."""

import pickle
import shutil
import types

import numpy as np
import pytest
from torchvision import datasets as theirs

from datakit import Loader, Subset
from datakit.errors import CorruptDataError, MissingDataError
from datakit.testing import assert_one_stream, assert_sample
from datakit.vision import CIFAR10
from datakit.vision.thing_drawing import python2_pickle

FOLDER = "cifar-10-batches-py"


class Theirs(theirs.CIFAR10):
    """torchvision's class, without its checksums: they are those of the original files."""

    train_list = tuple((name, None) for name, _ in theirs.CIFAR10.train_list)
    test_list = (("test_batch", None),)
    meta = types.MappingProxyType({**theirs.CIFAR10.meta, "md5": None})


def rewritten(root, target, write):
    """The same entries under keys that torchvision reads, pickled by `write`."""
    (target / FOLDER).mkdir(parents=True)
    for path in (root / FOLDER).iterdir():
        entries = pickle.loads(path.read_bytes(), encoding="bytes")
        entries = {key.decode(): decoded(value) for key, value in entries.items()}
        (target / FOLDER / path.name).write_bytes(write(entries))
    return target


def decoded(value):
    if isinstance(value, list):
        return [decoded(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


@pytest.fixture(scope="module")
def original(cifar, tmp_path_factory):
    """The subset as Python 2 would have pickled it, which is how the original files are."""
    return rewritten(cifar, tmp_path_factory.mktemp("original"), python2_pickle)


@pytest.mark.parametrize(("split", "n"), [("train", 10_000), ("test", 2_000)])
def test_every_image_and_label_is_torchvisions(original, cifar, split, n):
    truth = Theirs(original, train=split == "train")
    for root in (original, cifar):
        dataset = CIFAR10(root, split)
        assert len(dataset) == n
        samples = list(dataset)
        np.testing.assert_array_equal(np.stack([sample["image"] for sample in samples]), truth.data)
        assert [sample["label"] for sample in samples] == truth.targets
        assert [sample["index"] for sample in samples] == list(range(n))
        assert list(dataset.classes) == truth.classes


@pytest.mark.parametrize("protocol", [3, 4])
def test_files_that_python_3_wrote(original, cifar, tmp_path, protocol):
    root = rewritten(cifar, tmp_path, lambda entries: pickle.dumps(entries, protocol))
    assert CIFAR10(root).fingerprint() == CIFAR10(original).fingerprint()
    np.testing.assert_array_equal(CIFAR10(root, "test")[7]["image"], Theirs(root, train=False).data[7])


def test_a_sample(original):
    dataset = CIFAR10(original)
    sample = dataset[4]
    assert sample.keys() == {"index", "image", "label"}
    assert (sample["image"].shape, sample["image"].dtype, type(sample["label"])) == ((32, 32, 3), np.uint8, int)
    assert sample["image"].flags.c_contiguous
    assert_sample(sample)
    sample["image"][:] = 0  # the caller's own
    assert dataset[4]["image"].any()


def test_the_archive_and_its_checksum_are_torchvisions():
    (remote,) = CIFAR10.remotes
    assert (remote.urls, remote.name, remote.md5) == (
        (theirs.CIFAR10.url,), theirs.CIFAR10.filename, theirs.CIFAR10.tgz_md5
    )  # fmt: skip
    assert remote.produces == (theirs.CIFAR10.base_folder,)


def test_download_from_a_mirror_that_has_its_own_checksums(cifar, shared, tmp_path, monkeypatch):
    """The subset is another archive than the one upstream; its mirror says so in SHA256SUMS, and is believed."""
    import hashlib

    mirror, data = tmp_path / "mirror", (shared / "cifar10-subset" / "cifar-10-python.tar.gz").read_bytes()
    mirror.mkdir()
    (mirror / "cifar-10-python.tar.gz").write_bytes(data)
    (mirror / "SHA256SUMS").write_text(f"{hashlib.sha256(data).hexdigest()}  cifar-10-python.tar.gz\n")
    monkeypatch.setenv("DATAKIT_MIRROR", mirror.as_uri())
    dataset = CIFAR10(tmp_path / "root", "test", download=True)
    assert dataset.fingerprint() == CIFAR10(cifar, "test").fingerprint()
    monkeypatch.delenv("DATAKIT_MIRROR")
    assert len(CIFAR10(tmp_path / "root", download=True)) == 10_000  # nothing is fetched again


def test_images_are_not_sent_to_workers(original, cifar):
    for root in (original, cifar):
        dataset = CIFAR10(root)
        sent = pickle.dumps(dataset)
        assert len(sent) < 10_000 * 6 + 20_000  # places and labels; the images are 31 MB
        copy = pickle.loads(sent)
        for index in (0, 4_321, 9_999):
            np.testing.assert_array_equal(copy[index]["image"], dataset[index]["image"])


def test_the_stream_is_the_same_with_workers(original):
    assert_one_stream(Subset(CIFAR10(original), range(0, 10_000, 400)))


@pytest.mark.slow
def test_spawned_workers_read_the_files_themselves(cifar):
    dataset = Subset(CIFAR10(cifar, "test"), range(64))
    batches = [
        list(Loader(dataset, 32, num_workers=n, multiprocessing_context=m)) for n, m in ((0, None), (2, "spawn"))
    ]
    for one, other in zip(*batches, strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])


# --- files that are wrong ---------------------------------------------------------------------------------------------


def changed(**entries):
    rows = np.zeros((4, 3072), np.uint8)
    batch = {"batch_label": "x", "labels": [1, 2, 3, 4], "data": rows, "filenames": ["a"] * 4, **entries}
    return python2_pickle({key: value for key, value in batch.items() if value is not None})


@pytest.mark.parametrize(("name", "data", "said"), [
    ("data_batch_3", changed(data=None), "has no ndarray 'data'"),
    ("data_batch_3", changed(labels=None), "has no list 'labels'"),
    ("data_batch_3", changed(data="x" * 12288), "has no ndarray 'data'"),
    ("data_batch_3", changed(labels=[1, 2, 3]), r"shape \(4, 3072\) with 3 labels"),
    ("data_batch_3", changed(data=np.zeros((4, 3073), np.uint8)), r"shape \(4, 3073\) with 4 labels"),
    ("data_batch_3", changed(data=np.zeros((4, 3, 1024), np.uint8)), r"shape \(4, 3, 1024\)"),
    ("data_batch_3", changed(labels=[1, 2, 10, 4]), "label of image 2 is not in 0 to 9"),
    ("data_batch_3", changed(labels=[1, -1, 10, 4]), "label of image 1 is not in 0 to 9"),
    ("data_batch_3", changed(labels=[1, 2, 3, [4]]), "label of image 3 is not in 0 to 9"),
    ("data_batch_3", changed()[:9_000], "byte .* are left"),
    ("data_batch_3", python2_pickle([1, 2]), "holds a list, expected a dict"),
    ("data_batch_3", b"\x80\x02]" + b"q\0h\0\x86" * 300 + b".", "holds a tuple, expected a dict"),
    ("data_batch_3", b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0ctouch hacked\x85R.", "os.system is not part"),
    ("batches.meta", python2_pickle({"label_names": ["a"] * 9}), "'label_names' must be 10 names"),
    ("batches.meta", python2_pickle({"label_names": ["a"] * 9 + [1]}), "'label_names' must be 10 names"),
    ("batches.meta", python2_pickle({"names": ["a"] * 10}), "has no list 'label_names'"),
    ("batches.meta", b"", "empty"),
])  # fmt: skip
def test_a_bad_file_is_named(tmp_path, name, data, said):
    shutil.copytree(CIFAR10.synthetic(n=10).root, tmp_path, dirs_exist_ok=True)
    path = tmp_path / FOLDER / name
    path.write_bytes(data)
    with pytest.raises(CorruptDataError, match=said) as caught:
        CIFAR10(tmp_path)
    assert str(path) in str(caught.value)


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(MissingDataError, match=r"cifar-10-batches-py is missing.*download=True"):
        CIFAR10(tmp_path)
    shutil.copytree(CIFAR10.synthetic(n=10).root, tmp_path, dirs_exist_ok=True)
    (tmp_path / FOLDER / "data_batch_4").unlink()
    with pytest.raises(MissingDataError, match="data_batch_4"):
        CIFAR10(tmp_path)
    assert len(CIFAR10(tmp_path, "test")) == 10


# --- the synthetic copy -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 10, 23])
def test_synthetic_copies_are_read_by_torchvision_too(n):
    for split in CIFAR10.splits:
        dataset = CIFAR10.synthetic(n=n, split=split)
        labels = [sample["label"] for sample in dataset]
        assert len(set(labels)) == min(n, 10)
        truth = Theirs(dataset.root, train=split == "train")
        assert truth.targets == labels
        np.testing.assert_array_equal(np.stack([sample["image"] for sample in dataset]), truth.data)
        assert list(dataset.classes) == truth.classes


def test_the_synthetic_copy_can_be_learnt():
    """Ridge regression on pixels tells things that it has not seen; with shuffled labels it does not."""
    pixels, labels = {}, {}
    for split in CIFAR10.splits:
        samples = list(CIFAR10.synthetic(n=500, split=split))
        images = np.stack([sample["image"] for sample in samples]).astype(np.float64)
        pixels[split] = images.reshape(-1, 8, 4, 8, 4, 3).mean((2, 4)).reshape(len(samples), -1) / 255 - 0.5
        labels[split] = np.array([sample["label"] for sample in samples])

    def hits(known):
        gram = pixels["train"] @ pixels["train"].T
        weights = pixels["train"].T @ np.linalg.solve(gram + 3.0 * np.eye(len(gram)), np.eye(10)[known] - 0.1)
        return ((pixels["test"] @ weights).argmax(1) == labels["test"]).mean()

    assert hits(labels["train"]) > 0.6
    assert hits(np.random.default_rng(0).permutation(labels["train"])) < 0.25
