"""What detectors are trained with, against torchvision's transforms of the same names and against their definitions."""

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision import tv_tensors
from torchvision.ops import box_iou
from torchvision.transforms import v2

from datakit.transforms import RandomIoUCrop, RandomZoomOut, ScaleJitter, ToTensor

BOXES = np.float32([[10, 10, 60, 50], [100, 20, 180, 90], [30, 60, 50, 95]])


def sample(boxes=BOXES):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    return {"image": np.zeros((100, 200, 3), np.uint8), "boxes": boxes, "labels": np.arange(len(boxes))}


def torchvision_windows(transform, count):
    image, windows = torch.zeros(3, 100, 200), []
    boxes = tv_tensors.BoundingBoxes(torch.from_numpy(BOXES), format="XYXY", canvas_size=(100, 200))
    for _ in range(count):
        found = transform.make_params([image, boxes])
        windows.append((found["top"], found["left"], found["height"], found["width"]) if found else (0, 0, 100, 200))
    return np.array(windows)


def test_windows_are_spread_as_those_of_torchvision():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    ours = [RandomIoUCrop().draw(sample(), rng) for _ in range(1500)]
    ours = np.array([(one.top, one.left, one.height, one.width) for one in ours])
    theirs = torchvision_windows(v2.RandomIoUCrop(), 1500)
    for column in range(4):
        assert stats.ks_2samp(ours[:, column], theirs[:, column]).pvalue > 1e-3


@pytest.mark.parametrize("least", [0.0, 0.3, 0.7])
def test_a_window_overlaps_an_object_as_much_as_was_drawn(least):
    rng, transform = np.random.default_rng(1), RandomIoUCrop(options=(least,), min_scale=0.1)
    cut = 0
    for _ in range(100):
        view = transform.draw(sample(), rng)
        window = torch.tensor([[view.left, view.top, view.left + view.width, view.top + view.height]])
        centres = (BOXES[:, :2] + BOXES[:, 2:]) / 2
        low, high = window[0, :2].numpy(), window[0, 2:].numpy()
        held = ((centres > low) & (centres < high)).all(1)
        out = transform.apply(sample(), view)
        assert out["image"].shape[:2] == (view.height, view.width)
        if view.size != (100, 200):
            cut += 1
            assert box_iou(torch.from_numpy(BOXES)[held], window.float()).max() >= least - 1e-6
            assert out["labels"].tolist() == np.flatnonzero(held).tolist()
            expected = np.clip(BOXES[held], [*low, *low], [*high, *high]) - [*low, *low]
            np.testing.assert_allclose(out["boxes"], expected, atol=1e-4)
    assert cut > 50


def test_an_image_without_objects_and_a_wish_that_nothing_fulfils_leave_it_whole():
    for given, options in ((sample(np.zeros((0, 4))), (0.5,)), (sample([[0, 0, 1, 1]]), (0.99,))):
        out = RandomIoUCrop(options=options)(given)
        assert out["image"].shape == (100, 200, 3)
        assert len(out["boxes"]) == len(given["boxes"])


def test_masks_alone_are_objects_too():
    masks = np.zeros((2, 100, 200), np.uint8)
    masks[0, 10:50, 10:60] = masks[1, 20:90, 100:180] = 1
    given = {"image": np.zeros((100, 200, 3), np.uint8), "masks": masks, "object_id": np.array([4, 5])}
    rng = np.random.default_rng(2)
    counts = set()
    for _ in range(60):
        out = RandomIoUCrop()(given, rng)
        assert len(out["masks"]) == len(out["object_id"])
        counts.add(tuple(out["object_id"]))
    assert {(4,), (5,), (4, 5)} <= counts
    with pytest.raises(ValueError, match="needs boxes or masks"):
        RandomIoUCrop()({"image": given["image"]})


def test_zooming_out_keeps_the_pixels_and_their_boxes():
    rng = np.random.default_rng(3)
    given = sample() | {"image": rng.integers(1, 256, (100, 200, 3), dtype=np.uint8)}
    sides = []
    for _ in range(50):
        out = RandomZoomOut(p=1.0, side_range=(1, 3))(given, rng)
        x, y = (out["boxes"][0, :2] - BOXES[0, :2]).astype(int)
        np.testing.assert_array_equal(out["image"][y : y + 100, x : x + 200], given["image"])
        assert (out["image"] > 0).sum() == given["image"].size
        sides.append(out["image"].shape[0] / 100)
    assert min(sides) < 1.3 < 2.5 < max(sides) <= 3
    assert RandomZoomOut(p=0.0)(given) is given


def test_jitter_scales_as_torchvision_does():
    rng = np.random.default_rng(4)
    heights = [ScaleJitter(300, (0.5, 2)).draw(sample(), rng).size for _ in range(1500)]
    assert all(abs(width - 2 * height) <= 2 for height, width in heights)
    assert ScaleJitter((300, 400), (1, 1)).draw(sample(), rng).size == (200, 400)  # the whole image fits
    torch.manual_seed(4)
    jitter, image = v2.ScaleJitter((300, 300), (0.5, 2)), torch.zeros(3, 100, 200)
    theirs = [jitter.make_params([image])["size"][0] for _ in range(1500)]
    assert stats.ks_2samp([height for height, _ in heights], theirs).pvalue > 1e-3


def test_tensors_go_through_as_arrays_do():
    for transform in (RandomIoUCrop(), RandomZoomOut(p=1.0), ScaleJitter(64)):
        given = sample() | {"image": np.random.default_rng(5).integers(0, 256, (100, 200, 3), dtype=np.uint8)}
        one = ToTensor()(transform(given, np.random.default_rng(6)))
        other = transform(ToTensor()(given), np.random.default_rng(6))
        torch.testing.assert_close(one["boxes"], other["boxes"])
        torch.testing.assert_close(one["image"], other["image"], atol=1.01 / 255, rtol=0)  # each axis rounds


@pytest.mark.parametrize(("make", "says"), [
    (lambda: RandomIoUCrop(min_scale=0.9, max_scale=0.5), "scales are 0 < min <= max"),
    (lambda: RandomIoUCrop(options=()), "at least one option"),
    (lambda: RandomZoomOut(side_range=(0.5, 2)), "1 <= low <= high"),
    (lambda: ScaleJitter(0), "ScaleJitter needs a positive int"),
    (lambda: ScaleJitter(8, (2, 1)), "0 < low <= high"),
])  # fmt: skip
def test_bad_arguments_are_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()
