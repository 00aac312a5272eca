"""Transforms mean what the tutorial and torchvision say."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from skimage import transform as skimage_transform

import datakit.transforms as T
from datakit.errors import SampleError


@pytest.fixture(scope="module")
def torchvision():
    return pytest.importorskip("torchvision")


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("shape", "size", "expected"), [
    ((324, 215), 256, (385, 256)),  # 256 * 324 / 215 = 385.8, truncated as in the tutorial
    ((215, 324), 256, (256, 385)),
    ((100, 100), 30, (30, 30)),
    ((50, 80), (20, 70), (20, 70)),
])  # fmt: skip
def test_rescale_means_what_the_tutorial_says(shape, size, expected):
    sample = {"image": picture(*shape), "landmarks": np.float32([[10, 20]])}
    out = T.Rescale(size)(sample)
    assert out["image"].shape[:2] == expected
    factor = np.array([expected[1] / shape[1], expected[0] / shape[0]])
    np.testing.assert_allclose(out["landmarks"], [[10, 20]] * factor, rtol=1e-6)


def test_rescale_agrees_with_scikit_image_and_pillow_on_the_real_faces(faces):
    from_skimage, from_pillow = [], []
    for index in range(len(faces)):
        image = faces[index]["image"]
        ours = T.Rescale(256)({"image": image})["image"].astype(np.float64)
        truth = skimage_transform.resize(image, ours.shape[:2], anti_aliasing=True, preserve_range=True)
        pillow = Image.fromarray(image).resize(ours.shape[1::-1], Image.Resampling.BILINEAR)
        from_skimage.append(np.abs(ours - truth).mean())
        from_pillow.append(np.abs(ours - np.asarray(pillow)).mean())
    # scikit-image blurs by a Gaussian that is narrower than a pixel's triangle when shrinking less than twice, so
    # single textured images differ more; against the triangle itself (Pillow) every image agrees
    assert np.mean(from_skimage) <= 2
    assert np.max(from_pillow) <= 0.5


def test_crops_may_take_the_whole_image_and_the_last_row():
    sample = {"image": picture(8, 6)}
    np.testing.assert_array_equal(T.RandomCrop((8, 6))(sample)["image"], sample["image"])
    tops = {T.RandomCrop((7, 6)).draw(sample, np.random.default_rng(seed)).top for seed in range(50)}
    assert tops == {0, 1}


def test_every_place_of_a_crop_is_equally_likely():
    sample, rng = {"image": picture(14, 10)}, np.random.default_rng(0)
    places = [T.RandomCrop(8).draw(sample, rng) for _ in range(4200)]
    counts = np.zeros((7, 3))
    for place in places:
        counts[place.top, place.left] += 1
    assert stats.chisquare(counts.ravel()).pvalue > 1e-4


def test_an_image_smaller_than_the_crop_is_said_or_padded():
    sample = {"image": picture(5, 20, 1), "landmarks": np.float32([[0, 0]])}
    with pytest.raises(SampleError, match=r"5 x 20, smaller than the crop of 10 x 10.*pad=True") as caught:
        T.Compose([T.RandomCrop(10)])(sample)
    assert caught.value.stage == "RandomCrop(10)"
    padded = T.CenterCrop(10, pad=True, fill=9)(sample)
    assert padded["image"].shape == (10, 10, 3)
    np.testing.assert_array_equal(padded["image"][3:8], sample["image"][:, 5:15])
    assert (padded["image"][:3] == 9).all()
    assert padded["landmarks"].tolist() == [[-5, 3]]
    tops = {T.RandomCrop(10, pad=True).draw(sample, np.random.default_rng(seed)).top for seed in range(100)}
    assert tops == set(range(-5, 1))


def test_random_resized_crop_draws_as_torchvision_does(torchvision):
    image, n = picture(90, 160), 2000
    ours = T.RandomResizedCrop(32, scale=(0.1, 0.9))
    rng, tensor = np.random.default_rng(0), torch.zeros(3, 90, 160)
    mine = np.array([dataclasses.astuple(ours.draw({"image": image}, rng))[:4] for _ in range(n)])
    torch.manual_seed(0)
    get = torchvision.transforms.RandomResizedCrop.get_params
    theirs = np.array([get(tensor, [0.1, 0.9], [3 / 4, 4 / 3]) for _ in range(n)])
    for place in range(4):
        assert stats.ks_2samp(mine[:, place], theirs[:, place]).pvalue > 1e-3
    assert stats.ks_2samp(mine[:, 2] * mine[:, 3], theirs[:, 2] * theirs[:, 3]).pvalue > 1e-3
    assert (mine[:, 0] + mine[:, 2] <= 90).all()
    assert (mine[:, 1] + mine[:, 3] <= 160).all()


@pytest.mark.parametrize("shape", [(1, 100), (100, 1), (1, 1), (3, 400)])
def test_random_resized_crop_of_odd_images(shape):
    out = T.RandomResizedCrop(16)({"image": picture(*shape)}, np.random.default_rng(0))
    assert out["image"].shape == (16, 16, 3)


def test_face_pairs_mirror_the_mean_face(faces):
    points = np.stack([record["landmarks"] for record in faces.records()])
    points = (points - points.mean(1, keepdims=True)) / points.std((1, 2), keepdims=True)
    mean = points.mean(0)
    mirrored = mean * (-1, 1)
    order = np.arange(68)
    for a, b in T.FACE68_PAIRS:
        order[a], order[b] = b, a
    assert sorted(order) == list(range(68))
    assert np.linalg.norm(mirrored[order] - mean, axis=1).max() < 0.15  # in standard deviations of the face
    nearest = np.linalg.norm(mirrored[:, None] - mean[None], axis=2).argmin(1)
    assert (nearest == order).mean() > 0.9


def test_to_tensor():
    sample = {"image": picture(4, 5), "landmarks": np.zeros((2, 2), np.float32), "label": 3, "path": "x"}
    out = T.ToTensor()(sample)
    assert out["image"].shape == (3, 4, 5)
    assert out["image"].dtype == torch.float32
    np.testing.assert_allclose(out["image"].permute(1, 2, 0).numpy(), sample["image"] / 255, atol=1e-7)
    assert isinstance(out["landmarks"], torch.Tensor)
    assert (out["label"], out["path"]) == (3, "x")
    assert list(out) == list(sample)
    kept = T.ToTensor(scale=False)(sample)["image"]
    assert kept.dtype == torch.uint8
    assert kept.is_contiguous()
    pil = T.ToTensor()({"image": Image.fromarray(sample["image"])})["image"]
    assert torch.equal(pil, out["image"])


def test_normalize_equals_torchvision_on_a_sample_and_on_a_batch_of_bytes(torchvision):
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    ours = T.Normalize(mean, std)
    images = [picture(6, 7, seed) for seed in range(4)]
    floats = torch.stack([T.ToTensor()({"image": image})["image"] for image in images])
    truth = torchvision.transforms.Normalize(mean, std)(floats)
    batch = {"image": torch.stack([T.ToTensor(scale=False)({"image": image})["image"] for image in images])}
    torch.testing.assert_close(ours(batch)["image"], truth, atol=2e-6, rtol=0)
    torch.testing.assert_close(ours({"image": floats[0]})["image"], truth[0], atol=2e-6, rtol=0)
    torch.testing.assert_close(ours.undo(truth), floats, atol=2e-6, rtol=0)
    assert batch["image"].dtype == torch.uint8


def test_normalize_says_what_is_wrong():
    with pytest.raises(SampleError, match="put ToTensor before it"):
        T.Compose([T.Normalize(0.5, 0.5)])({"image": picture(3, 3)})
    with pytest.raises(SampleError, match="2 channels, Normalize has 3 means"):
        T.Compose([T.Normalize((0, 0, 0), (1, 1, 1))])({"image": torch.zeros(2, 3, 3)})
    with pytest.raises(ValueError, match="none of them 0"):
        T.Normalize((0.5,), (0.0,))


@pytest.mark.parametrize("kind", ["array", "bytes", "floats"])
def test_colour_jitter_equals_torchvision(torchvision, kind):
    from torchvision.transforms.v2 import functional as F

    jitter, image = T.ColorJitter(0.4, 0.4, 0.4), picture(9, 11)
    sample = {"image": image} if kind == "array" else T.ToTensor(scale=kind == "floats")({"image": image})
    factors = jitter.draw(sample, np.random.default_rng(0))
    out = jitter.apply(sample, factors)["image"]
    truth = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    brightness, contrast, saturation = factors[0].tolist()
    truth = F.adjust_saturation(F.adjust_contrast(F.adjust_brightness(truth, brightness), contrast), saturation)
    if kind == "array":
        out = torch.from_numpy(out).permute(2, 0, 1)
    out = out / 255 if kind != "floats" else out
    torch.testing.assert_close(out, truth, atol=1e-5 if kind == "floats" else 0.51 / 255, rtol=0)


def test_colour_jitter_of_a_batch_draws_for_each_image():
    image = T.ToTensor(scale=False)({"image": picture(5, 5)})["image"]
    jitter = T.ColorJitter(0.5)
    batch = {"image": image.expand(8, -1, -1, -1)}
    factors = jitter.draw(batch, np.random.default_rng(3))
    out = jitter.apply(batch, factors)["image"]
    for row, factor in zip(out, factors, strict=True):
        assert torch.equal(row, jitter.apply({"image": image}, factor[None])["image"])
    assert len({row.sum().item() for row in out}) == 8


ALL = [
    T.Rescale(8), T.Rescale((8, 9)), T.RandomCrop(4), T.CenterCrop((4, 3)), T.RandomResizedCrop(5),
    T.RandomHorizontalFlip(1.0, pairs=((0, 1),)), T.RandomVerticalFlip(1.0), T.ToTensor(), T.ColorJitter(0.3, 0.3, 0.3),
    T.Compose([T.ToTensor(), T.Normalize((0.5,), (0.5,))]),
    T.RandomIoUCrop(options=(0.5,)), T.RandomZoomOut(p=1.0), T.ScaleJitter(20),
]  # fmt: skip


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_no_transform_changes_its_input(transform):
    sample = {
        "image": picture(12, 14),
        "landmarks": np.float32([[1, 2], [3, 4]]),
        "boxes": np.float32([[1, 1, 13, 11]]),
        "masks": np.ones((1, 12, 14), np.uint8),
        "labels": np.array([1]),
        "area": np.float32([120]),
    }
    before = pickle.dumps(sample)
    read_only = {key: value.copy() for key, value in sample.items()}
    for value in read_only.values():
        value.flags.writeable = False
    T.Compose([transform])(sample, np.random.default_rng(0))
    T.Compose([transform])(read_only, np.random.default_rng(0))
    assert pickle.dumps(sample) == before


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_transforms_are_values(transform):
    assert pickle.loads(pickle.dumps(transform)) == transform
    assert hash(transform) == hash(pickle.loads(pickle.dumps(transform)))
    assert repr(transform).startswith(type(transform).__name__)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: T.Rescale(0), lambda: T.Rescale((1, 2, 3)), lambda: T.RandomCrop("a"), lambda: T.CenterCrop((3, -1)),
        lambda: T.RandomHorizontalFlip(1.5), lambda: T.RandomResizedCrop(3, scale=(0.5, 0.1)),
        lambda: T.ColorJitter(-1), lambda: T.Rescale(2.5),
    ],
)  # fmt: skip
def test_impossible_arguments_are_refused(wrong):
    with pytest.raises((ValueError, TypeError)):
        wrong()


def test_without_a_key_the_global_generator_of_torch_decides():
    sample, crop = {"image": picture(50, 50)}, T.RandomCrop(10)
    torch.manual_seed(3)
    first = crop(sample)["image"]
    torch.manual_seed(3)
    np.testing.assert_array_equal(crop(sample)["image"], first)
    assert not np.array_equal(crop(sample)["image"], first)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_batch_on_the_gpu_is_the_batch_on_the_cpu():
    batch = {"image": torch.randint(0, 256, (4, 3, 9, 9), dtype=torch.uint8)}
    on_gpu = {"image": batch["image"].cuda()}
    normalize, jitter = T.Normalize((0.5,) * 3, (0.25,) * 3), T.ColorJitter(0.3, 0.3, 0.3)
    torch.testing.assert_close(normalize(on_gpu)["image"].cpu(), normalize(batch)["image"])
    factors = jitter.draw(batch, np.random.default_rng(0))
    difference = jitter.apply(on_gpu, factors)["image"].cpu().int() - jitter.apply(batch, factors)["image"].int()
    assert difference.abs().max() <= 1
