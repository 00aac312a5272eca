"""CelebA: small made files against torchvision's class, bad files, and the synthetic copy."""

import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from datakit import Loader
from datakit.errors import CorruptDataError, DownloadError, MissingDataError, SampleError, UnknownNameError
from datakit.testing import assert_dataset
from datakit.transforms import Compose, RandomHorizontalFlip, Rescale, ToTensor
from datakit.vision import CelebA

LISTS = ("list_attr_celeba.txt", "list_landmarks_align_celeba.txt", "identity_CelebA.txt", "list_eval_partition.txt")
POINTS = "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y"


@pytest.fixture
def root(tmp_path):
    """Twelve images and every text file, spaced as upstream's are: with random values, by NumPy and Pillow alone."""
    rng, folder = np.random.default_rng(0), tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{number:06d}.jpg" for number in range(1, 13)]
    for name in names:
        pixels = rng.integers(0, 256, (218, 178, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "img_align_celeba" / name)
    signs = rng.choice([-1, 1], (12, 40))
    lines = [f"{name} {' '.join(f'{v:2d}' for v in row)}" for name, row in zip(names, signs, strict=True)]
    write(folder / LISTS[0], ["12", " ".join(f"Attribute_{k}" for k in range(40)) + " ", *lines])
    points = rng.integers(-3, 218, (12, 10))
    lines = [f"{name}  {'  '.join(f'{v:3d}' for v in row)}" for name, row in zip(names, points, strict=True)]
    write(folder / LISTS[1], ["12", POINTS + " ", *lines])
    write(folder / LISTS[2], [f"{name} {rng.integers(1, 10178)}" for name in names])
    write(folder / LISTS[3], [f"{name} {part}" for name, part in zip(names, [0] * 6 + [1] * 2 + [2] * 4, strict=True)])
    write(folder / "list_bbox_celeba.txt", ["12", "image_id x_1 y_1 width height", *(f"{n} 1 2 3 4" for n in names)])
    return tmp_path


def write(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize(("split", "count"), [("all", 12), ("train", 6), ("valid", 2), ("test", 4)])
def test_the_same_numbers_as_torchvision(root, split, count, monkeypatch):
    torchvision = pytest.importorskip("torchvision")
    monkeypatch.setattr(torchvision.datasets.CelebA, "_check_integrity", lambda self: True)
    theirs = torchvision.datasets.CelebA(root, split, target_type=["attr", "identity", "landmarks"])
    ours = CelebA(root, split=split)
    assert len(ours) == len(theirs) == count
    assert list(ours.attributes) == [name for name in theirs.attr_names if name]  # theirs ends with an empty one
    for index, (image, (attributes, identity, landmarks)) in enumerate(theirs):
        sample = ours[index]
        np.testing.assert_array_equal(sample["image"], np.asarray(image))
        np.testing.assert_array_equal(sample["attributes"], attributes.numpy().astype(bool))
        np.testing.assert_array_equal(sample["landmarks"].ravel(), landmarks.numpy())
        assert sample["identity"] == int(identity)
        assert sample["path"].endswith(theirs.filename[index])


def test_the_contract(root):
    dataset = CelebA(root)
    sample = dataset[3]
    kinds = {key: (value.dtype, value.shape) for key, value in sample.items() if isinstance(value, np.ndarray)}
    assert kinds == {
        "image": (np.uint8, (218, 178, 3)),
        "attributes": (bool, (40,)),
        "landmarks": (np.float32, (5, 2)),
    }
    assert [type(sample[key]) for key in ("identity", "index", "path")] == [int, int, str]
    sample["attributes"][:] = False
    sample["landmarks"][:] = 0
    assert dataset[3]["attributes"].any()  # a sample is the caller's own
    assert dataset[3]["landmarks"].any()
    assert_dataset(dataset)
    assert_dataset(CelebA(root, split="valid"))


def test_batches(root):
    chain = Compose([RandomHorizontalFlip(pairs=((0, 1), (3, 4))), Rescale((64, 64)), ToTensor()])
    batch = next(iter(Loader(CelebA(root, transform=chain), batch_size=5)))
    assert {key: (value.dtype, tuple(value.shape)) for key, value in batch.items() if key != "path"} == {
        "index": (torch.int64, (5,)),
        "image": (torch.float32, (5, 3, 64, 64)),
        "attributes": (torch.bool, (5, 40)),
        "landmarks": (torch.float32, (5, 5, 2)),
        "identity": (torch.int64, (5,)),
    }


def test_the_folder_of_images_alone(root):
    for path in root.glob("celeba/*.txt"):
        path.unlink()
    (root / "celeba" / "img_align_celeba" / "notes.md").write_text("not an image")
    dataset = CelebA(root)
    assert [row["file"][-10:] for row in dataset.records()] == [f"{number:06d}.jpg" for number in range(1, 13)]
    assert dataset[0].keys() == {"image", "index", "path"}
    assert dataset.attributes == ()
    assert_dataset(dataset)
    with pytest.raises(MissingDataError, match=r"list_eval_partition\.txt is missing.*split='test'.*all images"):
        CelebA(root, split="test")
    with pytest.raises(UnknownNameError, match="did you mean 'train'"):
        CelebA(root, split="trian")


@pytest.mark.parametrize("name", LISTS)
def test_a_text_file_that_is_not_there_leaves_out_its_key(root, name):
    (root / "celeba" / name).unlink()
    keys = dict(zip(LISTS, ("attributes", "landmarks", "identity", None), strict=True))
    assert CelebA(root)[0].keys() == {"image", "attributes", "landmarks", "identity", "index", "path"} - {keys[name]}


def test_what_to_do_by_hand(tmp_path):
    said = r"celeba/img_align_celeba is missing.*img_align_celeba\.zip.*mmlab\.ie\.cuhk.*into the folder celeba"
    with pytest.raises(MissingDataError, match=said):
        CelebA(tmp_path)
    with pytest.raises(DownloadError, match=r"img_align_celeba\.zip.*mmlab"):
        CelebA(tmp_path, download=True)


def test_a_mirror_of_ones_own(root, tmp_path_factory, monkeypatch):
    mirror, other = tmp_path_factory.mktemp("mirror"), tmp_path_factory.mktemp("other")
    shutil.make_archive(str(mirror / "celeba"), "zip", root, "celeba")
    monkeypatch.setenv("DATAKIT_MIRROR", mirror.as_uri())
    assert CelebA(other, download=True).fingerprint() == CelebA(root).fingerprint()


ATTR, LANDMARKS, IDENTITY, PARTITION = LISTS


@pytest.mark.parametrize(("name", "change", "said"), [
    (ATTR, lambda r: ["13", *r[1:]], "line 1: it says 13 images, and 12 lines"),
    (ATTR, lambda r: ["twelve", *r[1:]], "line 1: the number of images.*'twelve'"),
    (ATTR, lambda r: r[1:], "line 1: the number of images"),
    (ATTR, lambda r: r[:1], "line 2: the names of the values"),
    (ATTR, lambda r: [], "empty file"),
    (ATTR, lambda r: [*r[:6], r[6][:-3], *r[7:]], "line 7: 39 values after '000005.jpg', where 40"),
    (ATTR, lambda r: [*r[:6], r[6] + " 1", *r[7:]], "line 7: 41 values"),
    (ATTR, lambda r: [*r[:4], r[4][:-2] + " 0", *r[5:]], "line 5, Attribute_39: 0 is neither 1 nor -1"),
    (ATTR, lambda r: [*r[:4], r[4][:-2] + "1_", *r[5:]], "line 5: '1_' is not a whole number"),
    (ATTR, lambda r: [*r[:4], r[4][:-2] + " 1" + "0" * 20, *r[5:]], "line 5: '1000.*2\\*\\*31"),
    (ATTR, lambda r: [*r[:5], "", *r[5:]], "line 6: blank"),
    (ATTR, lambda r: [*r[:5], r[5] + " 1" * 40_000, *r[6:]], "line 6: longer than"),
    (ATTR, lambda r: [*r[:3], "../" + r[3], *r[4:]], r"line 4: '\.\./000002\.jpg' leaves"),
    (ATTR, lambda r: [*r[:3], "/etc/" + r[3], *r[4:]], r"line 4: '/etc/000002\.jpg' leaves"),
    (ATTR, lambda r: [*r[:3], r[2], *r[4:]], "line 4: '000001.jpg' is there twice"),
    (ATTR, lambda r: ["11", *r[1:-1]], "12 images.*attr_celeba.txt 11"),
    (ATTR, lambda r: [*r[:2], r[3], r[2], *r[4:]], "line 3: '000001.jpg', where .*'000002.jpg'"),
    (LANDMARKS, lambda r: [r[0], r[1].replace("nose", "ear"), *r[2:]], "line 2: x and y of lefteye"),
    (LANDMARKS, lambda r: [*r[:9], r[9] + ".5", *r[10:]], r"line 10: '.*\.5' is not a whole number"),
    (IDENTITY, lambda r: [*r[:2], "000003.jpg", *r[3:]], "line 3: 0 values after '000003.jpg', where 1"),
    (IDENTITY, lambda r: r[:-1], r"identity_CelebA\.txt lists 11 images, .*12"),
    (PARTITION, lambda r: [*r[:7], "000008.jpg 7", *r[8:]], "line 8: 7 is neither 0.*train"),
])  # fmt: skip
def test_a_text_file_that_is_wrong_is_named_with_its_line(root, name, change, said):
    path = root / "celeba" / name
    write(path, change(path.read_text().splitlines()))
    with pytest.raises(CorruptDataError, match=said) as caught:
        CelebA(root)
    assert name in str(caught.value)


def test_the_line_is_right_in_every_block(root, monkeypatch):
    from datakit.vision import celeba_lists

    monkeypatch.setattr(celeba_lists, "_CELLS", 100)
    assert len(CelebA(root)) == 12
    path = root / "celeba" / ATTR
    lines = path.read_text().splitlines()
    for line in range(3, 15):
        write(path, [*lines[: line - 1], lines[line - 1].replace(" 1", " x", 1), *lines[line:]])
        with pytest.raises(CorruptDataError, match=f"line {line}: 'x'"):
            CelebA(root)


def test_bytes_that_are_not_utf8_and_line_ends_of_windows(root):
    path = root / "celeba" / IDENTITY
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\n")
    assert len(CelebA(root)) == 12
    path.write_bytes(path.read_bytes().replace(b"000003", b"00\xe403"))
    with pytest.raises(CorruptDataError, match=r"identity_CelebA\.txt line 3: 0xe4 is not UTF-8"):
        CelebA(root)


def test_images_that_do_not_fit_the_text_files(root):
    dataset, folder = CelebA(root), root / "celeba" / "img_align_celeba"
    (folder / "000004.jpg").rename(folder / "extra.jpg")
    with pytest.raises(
        MissingDataError, match=r"000004\.jpg is missing, which .*attr_celeba\.txt line 6 names; 1 of 12"
    ):
        CelebA(root)
    with pytest.raises(SampleError, match=r"CelebA\[3\].*000004\.jpg"):
        dataset[3]  # it went away while the dataset was in use
    shutil.copy(folder / "extra.jpg", folder / "000004.jpg")
    with pytest.raises(CorruptDataError, match=r"extra\.jpg is not in .*lists 12 images where there are 13"):
        CelebA(root)
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(MissingDataError, match="has no images; 000001.jpg"):
        CelebA(root)


def test_a_split_without_images(root):
    path = root / "celeba" / PARTITION
    write(path, [line[:-1] + "0" for line in path.read_text().splitlines()])
    assert len(CelebA(root, split="train")) == 12
    with pytest.raises(CorruptDataError, match=r"no image is in 1 \(valid\)"):
        CelebA(root, split="valid")


def test_the_index_is_compact(root):
    columns = CelebA(root).columns
    assert {name: columns.column(name).dtype for name in ("attributes", "landmarks", "identity")} == {
        "attributes": bool,
        "landmarks": np.float32,
        "identity": np.int32,
    }
    assert len(pickle.dumps(columns)) < 12 * (40 + 40 + 4 + 36 + 8) + 2_000


def test_the_synthetic_copy_is_in_parts_that_share_no_person():
    parts = {split: CelebA.synthetic(n=60, split=split) for split in ("train", "valid", "test", "all")}
    people = {split: set(dataset.columns.column("identity").tolist()) for split, dataset in parts.items()}
    assert {split: len(dataset) for split, dataset in parts.items()} == {
        "train": 48, "valid": 6, "test": 6, "all": 60
    }  # fmt: skip
    assert len(people["all"]) == len(people["train"]) + len(people["valid"]) + len(people["test"]) == 20
    assert len(CelebA.synthetic(n=1)) == 1


def ridge(x, y, held_out):
    """Correlation of ridge regression with the truth on what it has not seen, and with its targets shuffled."""
    x, train = x - x[held_out:].mean(0), slice(held_out, None)
    gram = x[train] @ x[train].T
    scores = []
    for targets in (y[train], np.random.default_rng(0).permutation(y[train])):
        found = x[:held_out] @ x[train].T @ np.linalg.solve(gram + 30.0 * np.eye(len(gram)), targets - targets.mean(0))
        scores.append([np.corrcoef(found[:, k], y[:held_out, k])[0, 1] for k in range(y.shape[1])])
    return np.array(scores)


def test_the_synthetic_copy_can_be_learnt():
    """Ridge regression on small pictures finds attributes and points of persons that it has not seen."""
    chain = Compose([Rescale((27, 22)), ToTensor()])
    dataset = CelebA.synthetic(n=480, transform=chain)
    samples = list(dataset)[::-1]
    pixels, points, attributes = (
        np.stack([np.ravel(sample[key]) for sample in samples]).astype(np.float64)
        for key in ("image", "landmarks", "attributes")
    )
    shown = np.flatnonzero(attributes.any(0))
    names = [dataset.attributes[k] for k in shown]
    assert set(names) == {
        *("Bald", "Black_Hair", "Blond_Hair", "Brown_Hair", "Eyeglasses", "Gray_Hair", "Mouth_Slightly_Open"),
        *("Pale_Skin", "Wearing_Lipstick"),
    }
    learnt, by_chance = ridge(pixels, attributes[:, shown], held_out=90)
    found = {name for name, score in zip(names, learnt, strict=True) if score > 0.4}
    assert found >= {*names} - {"Bald"}  # skin above the brows, of any colour: not linear in the pixels
    assert abs(by_chance).mean() < 0.2
    learnt, by_chance = ridge(pixels, points, held_out=90)
    assert learnt.mean() > 0.4
    assert abs(by_chance).mean() < 0.2
