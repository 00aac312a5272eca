"""Image, points, boxes and masks stay together through every chain of transforms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import ellipse
from skimage.measure import regionprops

from datakit.transforms import (
    CenterCrop,
    Compose,
    RandomCrop,
    RandomHorizontalFlip,
    RandomIoUCrop,
    RandomResizedCrop,
    RandomVerticalFlip,
    RandomZoomOut,
    Rescale,
    ScaleJitter,
    ToTensor,
)
from datakit.transforms.geometry import View, apply, tight_boxes

SIGMA = 3.0
sides = st.integers(40, 160)
step = st.one_of(
    st.builds(Rescale, st.one_of(sides, st.tuples(sides, sides))),
    st.builds(RandomCrop, st.tuples(sides, sides), pad=st.just(True)),
    st.builds(CenterCrop, st.tuples(sides, sides), pad=st.just(True)),
    st.builds(RandomResizedCrop, st.tuples(sides, sides), scale=st.just((0.4, 1.0))),
    st.builds(RandomHorizontalFlip, p=st.sampled_from([0.5, 1.0])),
    st.builds(RandomVerticalFlip, p=st.sampled_from([0.5, 1.0])),
    st.builds(ScaleJitter, st.tuples(sides, sides), st.just((0.5, 1.5))),
    st.builds(RandomZoomOut, side_range=st.just((1.0, 1.5)), p=st.just(1.0)),
)
cutting = st.one_of(step, st.builds(RandomIoUCrop))
chains = st.lists(step, min_size=1, max_size=5)
detector_chains = st.lists(cutting, min_size=1, max_size=5)
seeds = st.integers(0, 2**32 - 1)


def blob(height, width, x, y):
    """A Gaussian spot with its centre at the continuous point (x, y), and points around all of its light."""
    rows, columns = np.arange(height)[:, None] + 0.5, np.arange(width)[None] + 0.5
    light = 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * SIGMA**2))
    reach = 4 * SIGMA
    points = [(x, y), (x - reach, y - reach), (x + reach, y + reach)]
    return {"image": np.repeat(light.round().astype(np.uint8)[..., None], 3, 2), "landmarks": np.float32(points)}


def centroid(image):
    light = np.asarray(image, np.float64)[..., 0]
    rows, columns = np.arange(light.shape[0]) + 0.5, np.arange(light.shape[1]) + 0.5
    return np.array([(light.sum(0) * columns).sum(), (light.sum(1) * rows).sum()]) / light.sum()


def is_whole(sample):
    height, width = sample["image"].shape[:2]
    points = sample["landmarks"]
    return (points >= 0).all() and (points <= (width, height)).all()


@settings(max_examples=300, deadline=None)
@given(chain=chains, seed=seeds, x=st.floats(20, 90), y=st.floats(20, 70), as_tensor=st.booleans())
def test_a_blob_and_its_point_stay_together(chain, seed, x, y, as_tensor):
    sample, rng = blob(90, 110, x, y), np.random.default_rng(seed)
    if as_tensor:
        sample = ToTensor()(sample)
    for transform in chain:
        sample = Compose([transform])(sample, rng)
        seen = {"image": sample["image"], "landmarks": np.asarray(sample["landmarks"])}
        if as_tensor:
            seen["image"] = sample["image"].permute(1, 2, 0).numpy()
        if not is_whole(seen):
            return
        assert np.abs(centroid(seen["image"]) - seen["landmarks"][0]).max() <= 0.5


def objects(rng, height=96, width=128, count=4):
    masks = np.zeros((count, height, width), np.uint8)
    for mask in masks:
        rows, columns = ellipse(*rng.uniform((15, 15), (height - 15, width - 15)), *rng.uniform(6, 30, 2), mask.shape)
        mask[rows, columns] = 1
    return {
        "image": rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        "boxes": tight_boxes(masks),
        "masks": masks,
        "labels": np.arange(count),
        "area": masks.sum((1, 2)).astype(np.float32),
        "iscrowd": np.zeros(count, np.int64),
        "object_name": [f"number {place}" for place in range(count)],
        "image_id": 7,
    }


@settings(max_examples=200, deadline=None)
@given(chain=detector_chains, seed=seeds)
def test_boxes_and_masks_agree_after_every_chain(chain, seed):
    rng = np.random.default_rng(seed)
    sample = objects(rng)
    for transform in chain:
        sample = Compose([transform])(sample, rng)
        size = sample["image"].shape[:2]
        assert sample["masks"].shape[1:] == size
        assert {len(sample[key]) for key in ("labels", "masks", "area", "iscrowd")} == {len(sample["boxes"])}
        assert sample["object_name"] == [f"number {label}" for label in sample["labels"]]
        assert sample["masks"].any((1, 2)).all()
        np.testing.assert_array_equal(sample["boxes"], regionprops_boxes(sample["masks"]))
        np.testing.assert_array_equal(sample["area"], sample["masks"].sum((1, 2)))
        assert sample["image_id"] == 7


def regionprops_boxes(masks):
    """The same boxes from scikit-image."""
    corners = [regionprops(mask)[0].bbox for mask in masks]
    return np.float32([(left, top, right, bottom) for top, left, bottom, right in corners]).reshape(-1, 4)


@settings(max_examples=200, deadline=None)
@given(chain=chains, seed=seeds)
def test_boxes_alone_stay_on_their_objects(chain, seed):
    """Without masks a box is exact: as corner points that no crop has cut go, so goes the box."""
    rng = np.random.default_rng(seed)
    boxes = np.float32([[30, 20, 70, 60]])
    sample = {"image": np.zeros((96, 128, 3), np.uint8), "boxes": boxes, "landmarks": boxes.reshape(2, 2)}
    for transform in chain:
        sample = Compose([transform])(sample, rng)
        corners, (height, width) = sample["landmarks"], sample["image"].shape[:2]
        expected = np.concatenate([corners.min(0), corners.max(0)])
        if (expected < 0).any() or (expected > (width, height, width, height)).any():
            return
        np.testing.assert_allclose(sample["boxes"], expected[None], rtol=1e-4, atol=1e-3)


@settings(max_examples=100, deadline=None)
@given(seed=seeds, height=sides, width=sides, axis=st.sampled_from(["flip_x", "flip_y"]))
def test_flip_and_resize_commute(seed, height, width, axis):
    rng = np.random.default_rng(seed)
    sample = objects(rng) | {"landmarks": rng.uniform(0, 90, (5, 2)).astype(np.float32)}
    source, target = (96, 128), (height, width)
    one = apply(apply(sample, View.whole(source, **{axis: True})), View.whole(source, target))
    other = apply(apply(sample, View.whole(source, target)), View.whole(target, **{axis: True}))
    at_once = apply(sample, View.whole(source, target, **{axis: True}))
    for second in (other, at_once):
        assert np.abs(one["image"].astype(int) - second["image"]).max() <= 1
        np.testing.assert_allclose(one["landmarks"], second["landmarks"], atol=1e-3)
        # a middle pixel whose centre falls between two source pixels can take but one of them
        middle = np.zeros(target, bool)
        middle[height // 2 if height % 2 else slice(0), :] = middle[:, width // 2 if width % 2 else slice(0)] = True
        assert (one["masks"] == second["masks"])[:, ~middle].all()
        assert np.abs(one["boxes"] - second["boxes"]).max() <= 1


@settings(max_examples=100, deadline=None)
@given(seed=seeds, data=st.data())
def test_crop_and_flip_commute_to_the_bit(seed, data):
    sample = objects(np.random.default_rng(seed))
    top, left = data.draw(st.integers(0, 50)), data.draw(st.integers(0, 60))
    height, width = data.draw(st.integers(8, 96 - top)), data.draw(st.integers(8, 128 - left))
    one = apply(
        apply(sample, View(top, left, height, width, (height, width))), View.whole((height, width), flip_x=True)
    )
    mirrored = apply(sample, View.whole((96, 128), flip_x=True))
    other = apply(mirrored, View(top, 128 - left - width, height, width, (height, width)))
    for key in one:
        np.testing.assert_array_equal(one[key], other[key])


def test_a_mask_that_reaches_column_k_has_its_box_end_at_k_plus_1():
    mask = np.zeros((1, 10, 10), np.uint8)
    mask[0, 2:5, 3:8] = 1
    assert tight_boxes(mask).tolist() == [[3, 2, 8, 5]]
    assert tight_boxes(np.zeros((1, 4, 4))).tolist() == [[0, 0, 0, 0]]


def test_objects_that_a_crop_empties_are_dropped_from_every_key():
    sample = objects(np.random.default_rng(0), count=1)
    x1, y1, x2, y2 = sample["boxes"][0].astype(int)
    assert x2 < 127
    gone = apply(sample, View(0, x2, 96, 128 - x2, (96, 128 - x2)))
    assert gone["boxes"].shape == (0, 4)
    assert gone["masks"].shape == (0, 96, 128 - x2)
    assert [len(gone[key]) for key in ("labels", "area", "iscrowd")] == [0, 0, 0]
    again = apply(gone, View.whole((96, 128 - x2), (50, 50)))
    assert again["masks"].shape == (0, 50, 50)
    assert ((x2 - x1) * (y2 - y1)) > 0


def test_a_box_without_masks_is_clipped_and_its_area_follows():
    sample = {
        "image": np.zeros((10, 20, 3), np.uint8),
        "boxes": np.float32([[2, 2, 10, 8], [12, 0, 20, 10]]),
        "labels": np.array([1, 2]),
        "area": np.float32([24, 80]),  # half of the first box
    }
    cut = apply(sample, View(0, 0, 10, 6, (20, 12)))
    assert cut["boxes"].tolist() == [[4, 4, 12, 16]]
    assert cut["labels"].tolist() == [1]
    assert cut["area"].tolist() == [48]  # half of 8 x 12


@settings(max_examples=200, deadline=None)
@given(chain=detector_chains, seed=seeds)
def test_key_points_go_where_landmarks_go(chain, seed):
    """A landmark at the place of each key point shows where it must be; the objects say whose it is."""
    rng = np.random.default_rng(seed)
    sample = objects(rng)
    points = rng.uniform(0, 96, (4, 3, 2)).astype(np.float32)
    visible = rng.integers(1, 3, (4, 3, 1)).astype(np.float32)
    sample |= {"keypoints": np.concatenate([points, visible], -1), "landmarks": points.reshape(-1, 2)}
    for transform in chain:
        before = sample
        sample = Compose([transform])(sample, rng)
        truth = sample["landmarks"].reshape(4, 3, 2)[sample["labels"]]
        (height, width), seen = sample["image"].shape[:2], sample["keypoints"][..., 2] > 0
        np.testing.assert_allclose(sample["keypoints"][seen][:, :2], truth[seen], atol=1e-2)
        assert (sample["keypoints"][~seen] == 0).all()
        was_seen = before["keypoints"][np.isin(before["labels"], sample["labels"])][..., 2] > 0
        clear = (np.abs(truth) > 0.01).all(-1) & (np.abs(truth - (width, height)) > 0.01).all(-1)
        inside = (truth >= 0).all(-1) & (truth <= (width, height)).all(-1)
        np.testing.assert_array_equal(seen[clear], (was_seen & inside)[clear])


def test_left_and_right_key_points_change_places_with_their_visibility():
    sample = {"image": np.zeros((4, 10, 3), np.uint8), "keypoints": np.float32([[[1, 1, 2], [7, 2, 1], [0, 0, 0]]])}
    flipped = RandomHorizontalFlip(1.0, pairs=((0, 1),))(sample)
    assert flipped["keypoints"].tolist() == [[[3, 2, 1], [9, 1, 2], [0, 0, 0]]]
    assert RandomHorizontalFlip(1.0)(sample)["keypoints"].tolist() == [[[9, 1, 2], [3, 2, 1], [0, 0, 0]]]


def test_left_and_right_landmarks_change_places():
    sample = {"image": np.zeros((4, 10, 3), np.uint8), "landmarks": np.float32([[1, 1], [9, 1], [5, 2]])}
    flipped = RandomHorizontalFlip(1.0, pairs=((0, 1),))(sample)
    assert flipped["landmarks"].tolist() == [[1, 1], [9, 1], [5, 2]]
    assert RandomHorizontalFlip(1.0)(sample)["landmarks"].tolist() == [[9, 1], [1, 1], [5, 2]]


def test_types_and_dtypes_are_kept():
    sample = objects(np.random.default_rng(1)) | {"landmarks": np.zeros((3, 2), np.float32)}
    chain = Compose([Rescale(64), RandomCrop(48), RandomHorizontalFlip(1.0)])
    arrays = chain(sample, np.random.default_rng(0))
    tensors = chain(ToTensor(scale=False)(sample), np.random.default_rng(0))
    for key, value in arrays.items():
        if isinstance(value, np.ndarray):
            assert value.dtype == sample[key].dtype
            assert value.flags["C_CONTIGUOUS"]
            assert isinstance(tensors[key], torch.Tensor)
            same = tensors[key].permute(1, 2, 0) if key == "image" else tensors[key]
            np.testing.assert_array_equal(same.numpy(), value)


@pytest.mark.parametrize("image", [None, "x", np.zeros((4, 4), np.uint8), np.zeros((2, 4, 4, 3), np.uint8)])
def test_what_is_no_image_is_said(image):
    with pytest.raises(ValueError, match=r"an image is an array \(H, W, C\)"):
        Compose([Rescale(4)])({"image": image})
