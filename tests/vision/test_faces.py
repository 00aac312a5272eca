"""The real faces, and their synthetic copy."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datakit import Loader
from datakit.errors import CorruptDataError, MissingDataError
from datakit.testing import assert_dataset
from datakit.transforms import FACE68_PAIRS, Compose, RandomCrop, RandomHorizontalFlip, Rescale, ToTensor
from datakit.vision import FaceLandmarks


def test_the_real_files(faces):
    assert len(faces) == 69
    shapes = [faces[i]["image"].shape for i in range(4)]
    assert shapes == [(324, 215, 3), (500, 333, 3), (250, 258, 3), (434, 290, 3)]
    sample = faces[65]
    assert Path(sample["path"]).name == "person-7.jpg"
    assert sample["landmarks"].dtype == np.float32
    assert sample["landmarks"].shape == (68, 2)
    assert sample["landmarks"][:4].tolist() == [[32, 65], [33, 76], [34, 86], [34, 97]]
    with Image.open(sample["path"]) as image:
        np.testing.assert_array_equal(sample["image"], np.asarray(image))
    assert_dataset(faces, range(0, 69, 17))


def test_the_tutorial_chain_on_all_69(faces):
    chain = faces.with_transform(Compose([Rescale(256), RandomCrop(224), ToTensor()]))
    samples = list(chain)
    assert {tuple(sample["image"].shape) for sample in samples} == {(3, 224, 224)}
    assert {tuple(sample["landmarks"].shape) for sample in samples} == {(68, 2)}
    assert {sample["image"].dtype for sample in samples} == {torch.float32}
    assert max(sample["image"].max() for sample in samples) <= 1


def test_batches_of_the_usage_page(faces):
    train = faces.with_transform(
        Compose([Rescale(256), RandomCrop(224), RandomHorizontalFlip(pairs=FACE68_PAIRS), ToTensor()])
    )
    batch = next(iter(Loader(train, batch_size=32, seed=0, shuffle=True, num_workers=2)))
    assert batch["image"].shape == (32, 3, 224, 224)
    assert batch["landmarks"].shape == (32, 68, 2)


def test_download_from_a_mirror(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("DATAKIT_MIRROR", shared.as_uri())
    assert len(FaceLandmarks(tmp_path, download=True)) == 69
    monkeypatch.delenv("DATAKIT_MIRROR")
    assert len(FaceLandmarks(tmp_path, download=True)) == 69  # nothing is fetched again


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(FaceLandmarks.synthetic(n=4).root, tmp_path, dirs_exist_ok=True)
    return tmp_path


def rows(root):
    return list(csv.reader((root / "faces" / "face_landmarks.csv").read_text().splitlines()))


@pytest.mark.parametrize(("change", "said"), [
    (lambda r: [row[:-1] for row in r], "'part_67_y'"),
    (lambda r: [[*r[0], "more"], *([*row, "1"] for row in r[1:])], "'more'"),
    (lambda r: [*r[:2], [*r[2], "7"], *r[3:]], "line 3"),
    (lambda r: [*r[:2], r[2][:-1], *r[3:]], "line 3"),
    (lambda r: [*r[:3], [r[3][0], "NA", *r[3][2:]], *r[4:]], "line 4.*'part_0_x'.*NA"),
    (lambda r: [*r[:4], ["../outside.jpg", *r[4][1:]]], r"line 5, column 'image_name': '\.\./outside\.jpg' leaves"),
    (lambda r: [*r[:4], ["/etc/passwd", *r[4][1:]]], "line 5, column 'image_name'"),
    (lambda r: [], "empty"),
])  # fmt: skip
def test_a_csv_that_is_wrong_is_named_by_row_and_column(copy, change, said):
    changed = change(rows(copy))
    with (copy / "faces" / "face_landmarks.csv").open("w", newline="") as file:
        csv.writer(file).writerows(changed)
    with pytest.raises(CorruptDataError, match=said) as caught:
        FaceLandmarks(copy)
    assert "face_landmarks.csv" in str(caught.value)


def test_a_csv_that_excel_saved_with_a_byte_order_mark_is_read(copy):
    path = copy / "faces" / "face_landmarks.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(FaceLandmarks(copy)) == 4


def test_missing_files(copy):
    (copy / "faces" / "face_landmarks.csv").unlink()
    with pytest.raises(MissingDataError, match=r"face_landmarks\.csv"):
        FaceLandmarks(copy)


def test_the_synthetic_copy_can_be_learnt():
    """Ridge regression on 16 x 16 pixels beats the mean shape clearly on faces it has not seen."""
    size, n, held_out = 16, 300, 100
    chain = Compose([Rescale((size, size)), ToTensor()])
    samples = list(FaceLandmarks.synthetic(n=n, transform=chain))
    pixels = np.stack([sample["image"].mean(0).flatten().numpy() for sample in samples]).astype(np.float64)
    points = np.stack([sample["landmarks"].flatten().numpy() for sample in samples]).astype(np.float64)
    train, test = slice(held_out, None), slice(held_out)
    pixels -= pixels[train].mean(0)
    baseline = points[train].mean(0)
    gram = pixels[train] @ pixels[train].T
    weights = pixels[train].T @ np.linalg.solve(gram + 3.0 * np.eye(len(gram)), points[train] - baseline)
    error = np.abs(pixels[test] @ weights + baseline - points[test]).mean()
    shuffled = np.random.default_rng(0).permutation(n - held_out)
    wrong = pixels[train].T @ np.linalg.solve(gram + 3.0 * np.eye(len(gram)), (points[train] - baseline)[shuffled])
    by_chance = np.abs(pixels[test] @ wrong + baseline - points[test]).mean()
    mean_shape = np.abs(baseline - points[test]).mean()
    assert error < 0.8 * mean_shape
    assert by_chance > 0.95 * mean_shape  # the points are learnt from their own picture, not from any
