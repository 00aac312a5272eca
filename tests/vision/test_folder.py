"""Folders of images: the real ants and bees, and awkward folders."""

import os

import numpy as np
import pytest
from PIL import Image

from datakit.errors import MissingDataError, SampleError
from datakit.testing import assert_dataset
from datakit.vision import ImageFiles, ImageFolder


def test_the_real_ants_and_bees(hymenoptera):
    train = ImageFolder(hymenoptera / "train")
    assert train.classes == ["ants", "bees"]
    assert np.bincount(train.columns.column("label")).tolist() == [124, 121]
    (gif,) = [i for i, row in enumerate(train.records()) if row["file"].endswith(".gif")]
    sample = train[gif]
    assert sample["label"] == 0
    assert sample["image"].dtype == np.uint8
    assert sample["image"].shape[2] == 3
    with Image.open(sample["path"]) as image:
        image.seek(0)
        np.testing.assert_array_equal(sample["image"], np.asarray(image.convert("RGB")))
    assert_dataset(train, range(gif, gif + 1))


def test_the_same_files_labels_and_pixels_as_torchvision(hymenoptera):
    torchvision = pytest.importorskip("torchvision")
    ours, theirs = ImageFolder(hymenoptera / "val"), torchvision.datasets.ImageFolder(hymenoptera / "val")
    assert [str(ours.root / row["file"]) for row in ours.records()] == [path for path, _ in theirs.samples]
    assert ours.columns.column("label").tolist() == theirs.targets
    for index in range(0, len(ours), 20):
        np.testing.assert_array_equal(ours[index]["image"], np.asarray(theirs[index][0]))


@pytest.fixture
def folder(tmp_path):
    for name in ("b/2.PNG", "b/deep/er/1.jpg", "a/x.png", "a/notes.txt", ".hidden/y.png", "a/.z.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("txt"):
            path.write_text("not an image")
        else:
            Image.new("RGB", (4, 3), (10, 20, 30)).save(path)
    return tmp_path


def test_what_is_listed(folder):
    dataset = ImageFolder(folder)
    assert dataset.classes == ["a", "b"]
    assert [(row["file"], row["label"]) for row in dataset.records()] == [
        ("a/x.png", 0),
        ("b/2.PNG", 1),
        ("b/deep/er/1.jpg", 1),
    ]
    assert [row["file"] for row in ImageFiles(folder).records()] == ["a/x.png", "b/2.PNG", "b/deep/er/1.jpg"]
    assert_dataset(dataset)
    assert_dataset(ImageFiles(folder))


def test_a_link_back_up_is_not_followed_for_ever(folder):
    os.symlink(folder, folder / "b" / "again")
    os.symlink(folder / "a", folder / "b" / "other")
    assert len(ImageFolder(folder)) == 4  # the link to another folder is followed, the loop is not


def test_empty_and_missing(folder):
    (folder / "c").mkdir()
    with pytest.raises(MissingDataError, match="no images in 'c'"):
        ImageFolder(folder)
    with pytest.raises(MissingDataError, match="one for each class.*ImageFiles"):
        ImageFolder(folder / "b" / "deep" / "er")
    with pytest.raises(MissingDataError, match="there is no folder"):
        ImageFolder(folder / "nothing")
    with pytest.raises(MissingDataError, match="has no images"):
        ImageFiles(folder / "c")


def test_a_file_that_goes_away_is_named(folder):
    dataset = ImageFolder(folder)
    (folder / "b" / "2.PNG").unlink()
    with pytest.raises(SampleError, match=r"ImageFolder\[1\].*2\.PNG"):
        dataset[1]


def test_names_that_are_not_utf8(tmp_path):
    (tmp_path / "a").mkdir()
    Image.new("RGB", (3, 3)).save(tmp_path / "a" / "x.png")
    os.rename(tmp_path / "a" / "x.png", os.fsencode(tmp_path / "a") + b"/\xe4.png")
    assert ImageFolder(tmp_path)[0]["image"].shape == (3, 3, 3)
