"""Chains: ours, torchvision's, and plain functions, all under the key."""

import pickle
import random

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torchvision.transforms import v2

import datakit.transforms as T
from datakit import Mapped
from datakit.chain import Compose, irreproducible, same, trace
from datakit.errors import SampleError
from datakit.sampling import Key


def sample(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "image": rng.integers(0, 256, (40, 60, 3), dtype=np.uint8),
        "landmarks": np.float32([[10, 12], [30, 8]]),
        "boxes": np.float32([[5, 6, 20, 30], [25, 1, 50, 39]]),
        "masks": rng.integers(0, 2, (2, 40, 60), dtype=np.uint8),
        "labels": np.array([3, 4]),
        "text": "kept",
    }


def draws_from_everything(sample):
    noise = random.random() + np.random.normal() + np.random.rand() + torch.randn(()).item()
    return {**sample, "noise": noise}


def takes_rng(sample, rng):
    return {**sample, "mine": rng.random()}


class OwnGenerator:
    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __call__(self, sample):
        return {**sample, "noise": self.rng.random()}

    def __repr__(self):
        return "OwnGenerator()"


FOREIGN = [
    draws_from_everything,
    lambda sample: {**sample, "image": sample["image"][:, :: random.choice([1, 2])].copy()},
    v2.RandomResizedCrop(20),
    v2.Compose([v2.RandomHorizontalFlip(), v2.ColorJitter(0.5, 0.5)]),
    v2.RandomRotation(30),
]


@pytest.mark.parametrize("transform", FOREIGN, ids=lambda t: type(t).__name__)
def test_a_foreign_transform_is_a_function_of_the_key(transform):
    chain = Compose([T.RandomCrop((30, 50)), transform, takes_rng])
    first, again, other = (chain(sample(), Key(0, 0, index).generator()) for index in (1, 1, 2))
    assert same(first, again)
    assert not same(first, other)
    torch.manual_seed(5)
    random.seed(5)
    assert same(chain(sample(), Key(0, 0, 1).generator()), first)


def test_the_global_generators_are_as_they_were():
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    np.random.normal()  # leaves a second value waiting inside the generator
    states = random.getstate(), pickle.dumps(np.random.get_state()), torch.get_rng_state()
    Compose([draws_from_everything])(sample(), Key(0, 0, 0).generator())
    assert random.getstate() == states[0]
    assert pickle.dumps(np.random.get_state()) == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])
    with pytest.raises(SampleError):
        Compose([lambda sample: np.random.rand() + undefined])(sample(), Key(0, 0, 0).generator())  # noqa: F821
    assert pickle.dumps(np.random.get_state()) == states[1]


def test_without_a_key_a_foreign_transform_draws_from_the_global_generators():
    random.seed(3)
    first = Compose([lambda sample: {"x": random.random()}])({})["x"]
    random.seed(3)
    assert random.random() == first


def test_a_generator_of_its_own_is_found_and_named():
    ds = Mapped([sample()], transform=Compose([T.RandomCrop(20), draws_from_everything, OwnGenerator(), T.ToTensor()]))
    assert irreproducible(lambda: ds.trace(Key(0, 0, 0))) == "OwnGenerator()"
    fine = ds.with_transform(Compose([T.RandomCrop(20), draws_from_everything, T.ToTensor()]))
    assert irreproducible(lambda: fine.trace(Key(0, 0, 0))) is None


def test_v2_moves_landmarks_boxes_and_masks_with_the_image():
    given = sample()
    out = Compose([v2.RandomHorizontalFlip(1.0)])(given)
    mine = T.RandomHorizontalFlip(1.0)(given)
    for key in ("image", "boxes", "masks", "labels"):
        np.testing.assert_array_equal(out[key], mine[key])
        assert type(out[key]) is np.ndarray
        assert out[key].dtype == given[key].dtype
    np.testing.assert_array_equal(out["landmarks"], mine["landmarks"] - (1, 0))  # W - 1 - x, as the border says
    assert out["text"] == "kept"
    half = Compose([v2.Resize((20, 30))])(given)
    np.testing.assert_allclose(half["boxes"], given["boxes"] / 2)
    np.testing.assert_allclose(half["landmarks"], given["landmarks"] / 2)
    assert half["masks"].shape == (2, 20, 30)


def test_objects_that_v2_drops_are_dropped_from_every_key():
    given = {
        "image": np.zeros((40, 60, 3), np.uint8),
        "boxes": np.float32([[0, 0, 10, 10], [30, 20, 50, 40], [2, 2, 8, 30]]),
        "labels": np.array([3, 1, 2]),
        "area": np.float32([100, 400, 168]),
        "keypoints": np.float32([[[5, 5, 2]], [[40, 30, 1]], [[4, 20, 2]]]),
        "landmarks": np.float32([[5, 5], [40, 30], [4, 20]]),  # where the key points are, and never dropped
        "object_name": ["a", "b", "c"],
    }
    cut = v2.Compose([v2.RandomIoUCrop(sampler_options=[0.0]), v2.SanitizeBoundingBoxes()])
    seen = set()
    for seed in range(40):
        out = Compose([cut])(given, np.random.default_rng(seed))
        kept = [given["labels"].tolist().index(label) for label in out["labels"]]
        seen.add(tuple(kept))
        assert out["object_name"] == ["abc"[place] for place in kept]
        assert out["area"].tolist() == given["area"][kept].tolist()
        visible = out["keypoints"][:, 0, 2] > 0
        np.testing.assert_allclose(out["keypoints"][visible, 0, :2], out["landmarks"][kept][visible])
        inside = (out["landmarks"][kept] > 0).all(1) & (out["landmarks"][kept] < out["image"].shape[1::-1]).all(1)
        assert (visible | ~inside).all()
    assert len(seen) > 2
    twice = [Compose([cut])(given, np.random.default_rng(1))["boxes"] for _ in range(2)]
    np.testing.assert_array_equal(*twice)
    flipped = Compose([v2.RandomHorizontalFlip(1.0)])(given)
    assert flipped["keypoints"][:, 0].tolist() == [[54, 5, 2], [19, 30, 1], [55, 20, 2]]
    nameless = {key: value for key, value in given.items() if key != "labels"}
    nameless["boxes"] = np.float32([[0, 0, 10, 10], [30, 20, 30, 40], [2, 2, 8, 30]])  # one is empty
    with pytest.raises(SampleError, match="drops objects; which ones can be told only of a sample with labels"):
        Compose([v2.SanitizeBoundingBoxes(labels_getter=None)])(nameless)


def test_v2_to_float_stays_a_tensor_and_ours_go_on_from_there():
    out = Compose([v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]), T.RandomCrop(10), T.ToTensor()])(
        sample(), Key(0, 0, 0).generator()
    )
    assert type(out["image"]) is torch.Tensor
    assert out["image"].shape == (3, 10, 10)
    assert out["image"].max() <= 1


def test_torchvision_v1_sees_the_image_alone_and_may_not_move_it():
    colour = torchvision.transforms.Compose(
        [torchvision.transforms.ColorJitter(0.5), torchvision.transforms.ToTensor()]
    )
    assert Compose([colour])(sample())["image"].shape == (3, 40, 60)
    grey = Compose([torchvision.transforms.Grayscale()])(sample())["image"]
    assert grey.shape == (40, 60, 1)
    with pytest.raises(SampleError, match="RandomHorizontalFlip .*moves the image but not landmarks, boxes, masks"):
        Compose([torchvision.transforms.Compose([torchvision.transforms.RandomHorizontalFlip()])])(sample())
    alone = {"image": sample()["image"]}
    flipped = Compose([torchvision.transforms.RandomHorizontalFlip(1.0)])(alone)["image"]
    np.testing.assert_array_equal(flipped, alone["image"][:, ::-1])


def test_an_error_names_the_step():
    with pytest.raises(SampleError) as caught:
        Compose([T.Rescale(50), T.RandomCrop(90)])(sample())
    assert caught.value.stage == "RandomCrop(90)"
    with pytest.raises(SampleError, match="returned None") as caught:
        Compose([lambda sample: None])(sample())
    with pytest.raises(TypeError, match="callable"):
        Compose([3])


def test_compose_flattens_and_is_a_value():
    inner = Compose([T.Rescale(3), T.ToTensor()])
    outer = Compose([inner, T.Normalize(0.5, 0.5)])
    assert outer == Compose([T.Rescale(3), T.ToTensor(), T.Normalize(0.5, 0.5)])
    assert hash(outer) == hash(pickle.loads(pickle.dumps(outer)))
    assert repr(inner) == "Compose([Rescale(3), ToTensor()])"


def test_a_trace_shows_every_stage_untouched_by_later_ones():
    def in_place(sample):
        sample["image"][:] = 0
        return sample

    stages = list(trace(sample, Compose([T.Rescale(20), in_place]), None))
    assert [name for name, _ in stages][:2] == ["loaded", "Rescale(20)"]
    assert stages[0][1]["image"].any()
    assert stages[1][1]["image"].any()
    assert not stages[2][1]["image"].any()


def test_same_looks_at_types_shapes_and_bits():
    assert same({"a": [np.float32([np.nan])], "b": float("nan")}, {"a": [np.float32([np.nan])], "b": float("nan")})
    assert not same({"a": 1}, {"a": 1.0})
    assert not same(np.zeros(2), np.zeros(3))
    assert not same(torch.zeros(2), torch.zeros(2, dtype=torch.float64))
    assert not same({"a": 1}, {"b": 1})


def test_pil_images_of_a_foreign_dataset_become_arrays():
    pixels = sample()["image"]
    ds = Mapped([(Image.fromarray(pixels), 3)], lambda pair: {"image": pair[0], "label": pair[1]})
    np.testing.assert_array_equal(ds[0]["image"], pixels)
    grey = Mapped([Image.fromarray(pixels[:, :, 0])], lambda image: {"image": image})
    assert grey[0]["image"].shape == (40, 60, 1)
