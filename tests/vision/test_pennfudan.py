"""Penn-Fudan: real instance masks in its layout, bad folders and masks, detectors, and the synthetic copy."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.measure import regionprops

from datakit import Loader, Subset, collate
from datakit.errors import CorruptDataError, MissingDataError, SampleError
from datakit.testing import assert_dataset, assert_one_stream, assert_sample
from datakit.transforms import Compose, RandomCrop, RandomHorizontalFlip, Rescale, ToTensor
from datakit.vision import PennFudan, pennfudan

CHAIN = Compose([RandomHorizontalFlip(), Rescale(96), RandomCrop(64), ToTensor()])


def test_boxes_areas_and_masks_of_all_real_images_are_those_of_scikit_image(nuclei):
    assert len(nuclei) == 170
    for row in nuclei.records():
        sample = nuclei[row["image_id"]]
        mask = np.asarray(Image.open(nuclei.root / row["mask"]))
        regions = regionprops(mask)
        expected = [[left, top, right, bottom] for top, left, bottom, right in (region.bbox for region in regions)]
        assert sample["boxes"].tolist() == expected
        assert sample["area"].tolist() == [region.area for region in regions]
        assert [region.label for region in regions] == np.unique(mask)[1:].tolist()
        for region, one in zip(regions, sample["masks"], strict=True):
            np.testing.assert_array_equal(one, mask == region.label)


def test_the_formulas_of_the_tutorial(nuclei):
    """https://docs.pytorch.org/tutorials/intermediate/torchvision_tutorial.html, its boxes one pixel longer."""
    ops = pytest.importorskip("torchvision.ops.boxes")
    for index in range(0, 170, 13):
        sample = nuclei[index]
        mask = torch.from_numpy(np.array(Image.open(nuclei.root / nuclei.columns[index].mask)))
        ids = torch.unique(mask)[1:]
        masks = (mask == ids[:, None, None]).to(dtype=torch.uint8)
        assert torch.equal(torch.from_numpy(sample["boxes"]), ops.masks_to_boxes(masks) + torch.tensor([0, 0, 1, 1]))
        assert torch.equal(torch.from_numpy(sample["masks"]), masks)
        assert torch.equal(torch.from_numpy(sample["labels"]), torch.ones((len(ids),), dtype=torch.int64))
        assert torch.equal(torch.from_numpy(sample["iscrowd"]), torch.zeros((len(ids),), dtype=torch.int64))
        assert sample["image_id"] == index


def test_images_in_the_order_of_their_names(nuclei):
    names = [row["file"] for row in nuclei.records()]
    assert names == sorted(names)
    assert names[0] == "PennFudanPed/PNGImages/Nuclei00001.png"
    with Image.open(nuclei[7]["path"]) as image:
        np.testing.assert_array_equal(nuclei[7]["image"], np.asarray(image.convert("RGB")))
    assert_sample(nuclei[7])
    assert_one_stream(Subset(nuclei, range(0, 170, 34), CHAIN))


def test_height_and_width_without_decoding(nuclei, monkeypatch):
    monkeypatch.setattr(pennfudan, "read_image", lambda path: pytest.fail("decoded"))
    for index in (0, 5, 169, -1):
        with Image.open(nuclei.root / nuclei.columns[index % 170].file) as image:
            assert nuclei.get_height_and_width(index) == (image.height, image.width)
    with pytest.raises(IndexError):
        nuclei.get_height_and_width(170)


def test_download_from_a_mirror(shared, tmp_path, monkeypatch):
    (tmp_path / "mirror").mkdir()
    archive = shared / "nuclei-in-pennfudan-layout.zip"
    if not archive.exists():
        pytest.skip(f"{archive.name} is not among the real datasets")
    shutil.copy(archive, tmp_path / "mirror" / "PennFudanPed.zip")
    monkeypatch.setenv("DATAKIT_MIRROR", (tmp_path / "mirror").as_uri())
    assert len(PennFudan(tmp_path / "root", download=True)) == 170


@pytest.fixture
def root(tmp_path):
    """Two images of 6 x 8 pixels, the second without persons."""
    for name in ("PNGImages", "PedMasks"):
        (tmp_path / "PennFudanPed" / name).mkdir(parents=True)
    for name in "ab":
        Image.fromarray(np.full((6, 8, 3), 90, np.uint8)).save(image_path(tmp_path, name))
        save_mask(tmp_path, np.zeros((6, 8), np.uint8), name)
    save_mask(tmp_path, EXAMPLE)
    return tmp_path


EXAMPLE = np.zeros((6, 8), np.uint8)
EXAMPLE[1:3, 2:5] = 3  # 6 pixels
EXAMPLE[2:6, 4:8] = 7  # 16 pixels, one of them over the other's
EXAMPLE[5, 0] = 1
FOUND = {"boxes": [[0, 5, 1, 6], [2, 1, 5, 3], [4, 2, 8, 6]], "area": [1, 5, 16]}


def image_path(root, name="a"):
    return root / "PennFudanPed" / "PNGImages" / f"{name}.png"


def mask_path(root, name="a"):
    return root / "PennFudanPed" / "PedMasks" / f"{name}_mask.png"


def save_mask(root, array, name="a"):
    Image.fromarray(array).save(mask_path(root, name))


def palette(array):
    image = Image.fromarray(array)
    image.putpalette([10, 10, 10, *range(200, 221)])  # of which no colour is an index
    return image


@pytest.mark.parametrize(("mask", "mode"), [
    (lambda: Image.fromarray(EXAMPLE), "L"),
    (lambda: palette(EXAMPLE), "P"),
    (lambda: Image.fromarray(EXAMPLE.astype(np.uint16) * 9000), "I;16"),  # up to 63,000
])  # fmt: skip
def test_values_are_indices_with_gaps_of_8_or_16_bits(root, mask, mode):
    mask().save(mask_path(root), bits=8)
    with Image.open(mask_path(root)) as image:
        assert image.mode.startswith(mode[:1])
    sample = PennFudan(root)[0]
    assert {key: sample[key].tolist() for key in FOUND} == FOUND
    np.testing.assert_array_equal(sample["masks"], [EXAMPLE == 1, EXAMPLE == 3, EXAMPLE == 7])
    assert sample["masks"].flags.c_contiguous
    assert sample["masks"].flags.writeable


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_palettes_of_fewer_bits(root, bits):
    array = np.minimum(EXAMPLE, 2**bits - 1)
    palette(array).save(mask_path(root), bits=bits)
    sample = PennFudan(root)[0]
    np.testing.assert_array_equal(sample["masks"], [array == value for value in np.unique(array)[1:]])


def test_no_persons(root):
    dataset = PennFudan(root)
    sample = dataset[1]
    kinds = {key: (value.dtype, value.shape) for key, value in sample.items() if isinstance(value, np.ndarray)}
    assert kinds == {
        "image": (np.uint8, (6, 8, 3)),
        "boxes": (np.float32, (0, 4)),
        "labels": (np.int64, (0,)),
        "masks": (np.uint8, (0, 6, 8)),
        "area": (np.float32, (0,)),
        "iscrowd": (np.int64, (0,)),
    }
    chain = Compose([RandomHorizontalFlip(p=1), Rescale(12), RandomCrop(10), ToTensor()])
    assert dataset.with_transform(chain)[1]["masks"].shape == (0, 10, 10)
    assert_dataset(dataset)


def test_what_a_folder_must_hold(root):
    image_path(root, "c").write_bytes(image_path(root).read_bytes())
    with pytest.raises(MissingDataError, match=r"PedMasks/c_mask\.png is missing \(1 of 3 masks are\)"):
        PennFudan(root)
    image_path(root, "c").unlink()
    save_mask(root, EXAMPLE, "d")
    with pytest.raises(CorruptDataError, match=r"PedMasks/d_mask\.png belongs to no image.*X_mask\.png for X\.png"):
        PennFudan(root)
    mask_path(root, "d").rename(root / "PennFudanPed" / "PedMasks" / ".d.png")  # hidden
    (root / "PennFudanPed" / "PNGImages" / "Thumbs.db").touch()
    assert len(PennFudan(root)) == 2
    for path in root.glob("PennFudanPed/*/*.png"):
        path.unlink()
    with pytest.raises(MissingDataError, match="PNGImages has no PNG images"):
        PennFudan(root)
    shutil.rmtree(root / "PennFudanPed" / "PedMasks")
    with pytest.raises(MissingDataError, match=r"PennFudanPed/PedMasks is missing.*download=True"):
        PennFudan(root)


@pytest.mark.parametrize(("break_it", "said"), [
    (lambda root: save_mask(root, EXAMPLE[:5]), r"a_mask\.png is 5 x 8, its image .*a\.png 6 x 8"),
    (lambda root: save_mask(root, EXAMPLE.T), r"a_mask\.png is 8 x 6, its image"),
    (lambda root: save_mask(root, np.stack([EXAMPLE] * 3, 2)), r"a_mask\.png: a mask has one channel.*found RGB"),
    (lambda root: save_mask(root, np.stack([EXAMPLE] * 4, 2)), "found RGBA"),
    (lambda root: Image.fromarray(EXAMPLE).save(mask_path(root), "JPEG"), r"a_mask\.png: a mask is a PNG.*JPEG"),
    (lambda root: mask_path(root).write_bytes(b""), r"a_mask\.png: empty"),
    (lambda root: mask_path(root).write_bytes(mask_path(root).read_bytes()[:-30]), r"a_mask\.png: truncated PNG"),
    (lambda root: mask_path(root).unlink(), r"a_mask\.png: there is no such file"),
    (lambda root: (mask_path(root).unlink(), mask_path(root).mkdir()), r"a_mask\.png: a folder, not an image"),
    (lambda root: image_path(root).write_bytes(b"<html>"), r"a\.png: not an image"),
])  # fmt: skip
def test_a_file_that_is_wrong_is_named(root, break_it, said):
    dataset = PennFudan(root)
    break_it(root)
    with pytest.raises(SampleError, match=rf"PennFudan\[0\].*{said}"):
        dataset[0]
    assert dataset[1]["image_id"] == 1


def test_noise_in_place_of_a_mask_takes_no_memory(root):
    noise = np.arange(200 * 300, dtype=np.uint16).reshape(200, 300)  # 59,999 objects: 3.6 GB of masks
    Image.fromarray(np.zeros((200, 300, 3), np.uint8)).save(image_path(root))
    save_mask(root, noise)
    with pytest.raises(SampleError, match=r"a_mask\.png: 59,999 objects in a mask of 200 x 300.*512 MiB"):
        PennFudan(root)[0]


def test_detection_batches():
    dataset = PennFudan.synthetic(n=12, transform=CHAIN)
    for images, targets in Loader(dataset, batch_size=4, seed=0, shuffle=True, collate_fn=collate.detection):
        assert [image.shape for image in images] == [(3, 64, 64)] * 4
        for target in targets:
            count = len(target["boxes"])
            assert {key: tuple(value.shape) for key, value in target.items() if key != "image_id"} == {
                "boxes": (count, 4), "labels": (count,), "masks": (count, 64, 64), "area": (count,), "iscrowd": (count,)
            }  # fmt: skip
            for box, mask, area in zip(target["boxes"], target["masks"], target["area"], strict=True):
                rows, columns = np.nonzero(mask.numpy())
                assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                assert area == len(rows)


def losses_of(model):
    loader = Loader(PennFudan.synthetic(n=4, transform=CHAIN), batch_size=2, collate_fn=collate.detection)
    images, targets = next(iter(loader))
    model.train()
    found = model(images, targets)
    sum(found.values()).backward()
    assert all(torch.isfinite(value) for value in found.values())
    return found


def test_a_small_mask_rcnn_of_torchvision_trains_on_it(one_thread):
    from torch import nn
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.rpn import AnchorGenerator

    backbone = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 4, 1), nn.ReLU())
    backbone.out_channels = 16
    anchors = AnchorGenerator(((16, 32, 64),), ((0.5, 1.0, 2.0),))
    model = MaskRCNN(backbone, num_classes=2, min_size=64, max_size=64, rpn_anchor_generator=anchors)
    assert losses_of(model).keys() >= {"loss_classifier", "loss_box_reg", "loss_mask", "loss_objectness"}


@pytest.mark.slow
def test_the_mask_rcnn_of_the_tutorial_trains_on_it(one_thread):
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    model = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=2, min_size=64, max_size=64)
    assert losses_of(model).keys() >= {"loss_classifier", "loss_box_reg", "loss_mask", "loss_objectness"}


def test_the_synthetic_copy_is_like_the_real_one():
    dataset = PennFudan.synthetic(n=40)
    samples = list(dataset)
    counts = [len(sample["boxes"]) for sample in samples]
    assert set(counts) == {1, 2, 3, 4}
    assert len({sample["image"].shape for sample in samples}) > 30
    boxes_meet = [
        (np.minimum(one[2:], other[2:]) > np.maximum(one[:2], other[:2])).all()
        for sample in samples
        for k, one in enumerate(sample["boxes"])
        for other in sample["boxes"][:k]
    ]
    assert any(boxes_meet)
    with Image.open(dataset.root / dataset.columns[0].mask) as mask:
        assert mask.mode == "P"


def test_the_synthetic_copy_can_be_learnt():
    """Least squares on the colour of single pixels tells persons from streets that it has not seen."""
    features, is_person = [], []
    for sample in PennFudan.synthetic(n=40):
        pixels = sample["image"].reshape(-1, 3)[::7] / 255.0
        spread = np.ptp(pixels, 1)[:, None]
        features.append(np.hstack([pixels, pixels**2, spread, spread**2, np.ones_like(spread)]))
        is_person.append(sample["masks"].any(0).ravel()[::7].astype(float))
    x, y, tx, ty = (np.concatenate(part) for part in (features[10:], is_person[10:], features[:10], is_person[:10]))
    shuffled = np.random.default_rng(0).permutation(y)
    learnt, by_chance = (1 - ((tx @ np.linalg.lstsq(x, t)[0] - ty) ** 2).mean() / ty.var() for t in (y, shuffled))
    assert learnt > 0.6  # of the variance
    assert by_chance < 0.01
