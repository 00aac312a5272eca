"""Random records: functions of (seed, index), spread as they should be."""

import pickle

import numpy as np
import pytest
import torch

from datakit import Key, Loader
from datakit.testing import assert_dataset
from datakit.transforms import Compose, RandomCrop, RandomHorizontalFlip, ToTensor
from datakit.vision import RandomData


@pytest.mark.parametrize(("sizes", "key", "kind", "dtype", "shape"), [
    ((3, 20, 30), "image", torch.Tensor, torch.float32, (3, 20, 30)),
    ((1, 20, 30), "image", torch.Tensor, torch.float32, (1, 20, 30)),
    ((20, 30), "image", np.ndarray, np.uint8, (20, 30, 3)),
    ((7,), "data", torch.Tensor, torch.float32, (7,)),
    (7, "data", torch.Tensor, torch.float32, (7,)),
])  # fmt: skip
def test_what_a_size_gives(sizes, key, kind, dtype, shape):
    dataset = RandomData(sizes, n=7, classes=4)
    sample = dataset[2]
    assert list(sample) == ["index", key, "label"]
    assert isinstance(sample[key], kind)
    assert (sample[key].dtype, tuple(sample[key].shape)) == (dtype, shape)
    sample[key][:] = 0
    assert dataset[2][key].any()  # a sample is the caller's own
    assert_dataset(dataset)


def test_records_depend_on_seed_and_index_alone():
    one, same, other = (RandomData((20, 30), n=50, seed=seed) for seed in (0, 0, 1))
    images = [sample["image"] for sample in one]
    for index, image in enumerate(images):
        np.testing.assert_array_equal(image, same[Key(seed=9, epoch=index, index=index)]["image"])
        assert (image != other[index]["image"]).any()
    assert len({image.tobytes() for image in images}) == 50
    assert RandomData((20, 30), n=10)[3]["image"].tobytes() == images[3].tobytes()
    assert one.fingerprint() == same.fingerprint()
    assert len({data.fingerprint() for data in (one, other, RandomData((20, 30)), RandomData((30, 20), n=50))}) == 4


def test_values_are_spread_as_the_docstring_says():
    pixels = RandomData((100, 200), n=1)[0]["image"]
    counts = np.bincount(pixels.ravel(), minlength=256)
    assert abs(counts - counts.mean()).max() < 6 * counts.mean() ** 0.5
    image = RandomData((3, 100, 200), n=1)[0]["image"]
    assert (image.min(), image.max()) == (0, 1)
    assert image.mean().item() == pytest.approx(0.5, abs=0.01)
    data = RandomData(60_000, n=1)[0]["data"]
    assert (data.mean().item(), data.std().item()) == (pytest.approx(0, abs=0.02), pytest.approx(1, abs=0.02))
    labels = np.bincount([row["label"] for row in RandomData(1, n=5000, classes=5).records()], minlength=5)
    assert abs(labels - 1000).max() < 150


def test_sizes_in_turn_at_random_whoever_takes_every_second_one():
    dataset = RandomData([(40, 60), (60, 40)], n=400)
    shapes = [sample["image"].shape for sample in dataset]
    assert [(*row["size"], 3) for row in dataset.records()] == shapes
    for part in (shapes, shapes[::2], shapes[1::2]):
        assert 0.4 < part.count((40, 60, 3)) / len(part) < 0.6


def test_a_chain_and_a_loader():
    chain = Compose([RandomHorizontalFlip(), RandomCrop(32), ToTensor()])
    dataset = RandomData([(40, 60), (60, 40)], n=10, classes=3, transform=chain)
    batch = next(iter(Loader(dataset, batch_size=10, num_workers=2)))
    assert batch["image"].shape == (10, 3, 32, 32)
    assert batch["image"].dtype == torch.float32
    assert batch["label"].tolist() == [row["label"] for row in dataset.records()]
    assert_dataset(dataset)


def test_the_data_parallel_tutorial():
    """`for data in rand_loader: output = model(data)` over `RandomDataset(5, 100)`, with the key for the value."""
    loader = Loader(RandomData(5, n=100, classes=0), batch_size=30, shuffle=True)
    shapes = [tuple(torch.nn.Linear(5, 2)(batch["data"]).shape) for batch in loader]
    assert shapes == [(30, 2), (30, 2), (30, 2), (10, 2)]
    assert RandomData(5, classes=0)[0].keys() == {"index", "data"}


def test_a_million_records_take_no_memory():
    dataset = RandomData((3, 224, 224), n=10**12, classes=1000)
    assert len(pickle.dumps(dataset)) < 20_000
    assert dataset[-1]["index"] == 10**12 - 1
    assert dataset.classes[999] == "999"
    assert repr(RandomData([(4, 6), (6, 4)], n=9, classes=2)) == "RandomData(4x6, 6x4): 9 records, 2 classes"


@pytest.mark.parametrize("sizes", [
    (224, 224, 3), (3, 4, 5, 6), (), [], [3, 224, 224], (3, 0, 4), (-1, 4), 0, (3.0, 4.0), "ab", [(4, 6), (3, 4, 6)],
    [(4, 6), 3],
])  # fmt: skip
def test_sizes_that_mean_nothing(sizes):
    with pytest.raises(ValueError, match=r"D, \(H, W\) or \(C, H, W\) with 1 to 4 channels"):
        RandomData(sizes)


def test_numbers_that_mean_nothing():
    with pytest.raises(ValueError, match="n=0, classes=10"):
        RandomData((8, 8), n=0)
    with pytest.raises(ValueError, match="classes=-1"):
        RandomData((8, 8), classes=-1)
