"""Batches of one group: every record once, as random as before, and the same after a stop."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from material import Numbers
from PIL import Image
from scipy import stats

from datakit import Concat, KeySampler, Loader, Mapped, Subset
from datakit.errors import CorruptDataError, DatakitError, StateError
from datakit.vision import ImageFiles, aspect_ratio_groups, image_sizes

GROUPS = np.array([0, 1, 2, 1, 0, 1, 1, 0, 2, 0, 1, 1, 0, 1, 0, 0, 1, 2, 1, 0, 1, 0, 1])


@given(
    groups=st.lists(st.integers(-2, 5), min_size=1, max_size=60),
    block=st.integers(1, 9),
    epoch=st.integers(0, 3),
    shuffle=st.booleans(),
)
def test_each_record_once_and_blocks_of_one_group_first(groups, block, epoch, shuffle):
    order = KeySampler(len(groups), seed=3, shuffle=shuffle, groups=groups, block=block).order(epoch)
    assert sorted(order) == list(range(len(groups)))
    whole = sum(np.unique(groups, return_counts=True)[1] // block)
    blocks = np.array(groups)[order[: whole * block]].reshape(whole, block)
    assert (blocks == blocks[:, :1]).all()


@given(groups=st.lists(st.integers(0, 3), min_size=1, max_size=60), block=st.integers(1, 6))
def test_the_order_is_that_of_filling_a_basket_for_each_group(groups, block):
    """As it is told: take records in the epoch's order, and send a basket off when it is full."""
    plain = KeySampler(len(groups), seed=1, shuffle=True).order(0).tolist()
    baskets, sent = {}, []
    for record in plain:
        basket = baskets.setdefault(groups[record], [])
        basket.append(record)
        if len(basket) == block:
            sent += basket
            basket.clear()
    sent += [record for group in sorted(baskets) for record in baskets[group]]
    assert KeySampler(len(groups), seed=1, shuffle=True, groups=groups, block=block).order(0).tolist() == sent


@pytest.mark.parametrize(("batch_size", "ranks"), [(1, 1), (4, 1), (2, 2), (3, 3)])
def test_ranks_share_blocks_of_one_group(batch_size, ranks):
    data, seen = Numbers(len(GROUPS)), []
    loaders = [
        Loader(data, batch_size, shuffle=True, groups=GROUPS, rank=rank, world_size=ranks) for rank in range(ranks)
    ]
    steps = [[batch["number"].tolist() for batch in loader] for loader in loaders]
    whole = sum(np.bincount(GROUPS) // (batch_size * ranks))
    for step in range(whole):
        assert len({GROUPS[number] for rank in steps for number in rank[step]}) == 1
    seen = [number for rank in steps for batch in rank for number in batch]
    assert sorted(seen) == list(range(len(GROUPS)))


def test_within_its_group_every_place_is_equally_likely():
    sampler = KeySampler(len(GROUPS), shuffle=True, groups=GROUPS, block=2)
    ones = np.flatnonzero(GROUPS == 1)
    firsts = [next(record for record in sampler.order(epoch) if GROUPS[record] == 1) for epoch in range(2200)]
    counts = [firsts.count(record) for record in ones]
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("steps", range(1, 6))
def test_a_stopped_epoch_goes_on_in_its_order_under_another_batch_size(steps):
    data = Numbers(len(GROUPS))
    loader = Loader(data, 4, seed=5, shuffle=True, groups=GROUPS)
    whole = [key.index for key in loader.keys]
    batches = iter(loader)
    received = [number for _ in range(steps) for number in next(batches)["number"].tolist()]
    other = Loader(data, 3, shuffle=True, groups=GROUPS, num_workers=1)
    other.load_state_dict(loader.state_dict())
    received += [number for batch in other for number in batch["number"].tolist()]
    assert received == whole
    assert [batch["number"].tolist() for batch in other] == [  # the next epoch is in blocks of three
        batch["number"].tolist() for batch in at_epoch(Loader(data, 3, seed=5, shuffle=True, groups=GROUPS), 1)
    ]


def at_epoch(loader, epoch):
    loader.load_state_dict({**loader.state_dict(), "epoch": epoch})
    return loader


def test_a_loader_with_other_workers_goes_on_in_the_same_order():
    loader = Loader(Numbers(len(GROUPS)), 4, shuffle=True, groups=GROUPS)
    whole = [key.index for key in loader.keys]
    next(iter(loader))
    rest = [number for batch in loader.with_workers(1, batch_size=5) for number in batch["number"].tolist()]
    assert rest == whole[4:]


def test_groups_that_do_not_fit_and_states_of_other_groups_are_refused():
    with pytest.raises(ValueError, match=r"groups have shape \(3,\): one for each of 4 records"):
        Loader(Numbers(4), groups=[1, 2, 3])
    state = Loader(Numbers(4), groups=[1, 2, 1, 2]).state_dict()
    for groups in (None, [1, 1, 1, 2]):
        with pytest.raises(StateError, match="another stream: its groups"):
            Loader(Numbers(4), groups=groups).load_state_dict(state)
    with pytest.raises(StateError, match="damaged: its block is 0"):
        Loader(Numbers(4), groups=[1, 2, 1, 2]).load_state_dict({**state, "block": 0})


@pytest.fixture
def shapes(tmp_path):
    """Images of widths and heights, one of them turned by its EXIF."""
    sizes = [(40, 80), (80, 40), (60, 60), (90, 60), (40, 80)]
    for number, (height, width) in enumerate(sizes):
        Image.new("RGB", (width, height)).save(tmp_path / f"{number}.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new("RGB", (80, 40)).save(tmp_path / "5.jpg", exif=exif)
    return tmp_path, [*sizes, (80, 40)]


def test_sizes_are_those_of_the_images_and_nothing_is_decoded(shapes, monkeypatch):
    root, expected = shapes
    files = ImageFiles(root)
    assert [sample["image"].shape[:2] for sample in files] == expected
    monkeypatch.setattr(Image.Image, "load", None)
    assert image_sizes(files).tolist() == [list(size) for size in expected]
    assert image_sizes(Concat([Subset(files, [3, 0]), files])).tolist()[:3] == [[90, 60], [40, 80], [40, 80]]
    assert image_sizes(files.as_tuple("image"))[5].tolist() == [80, 40]


def test_groups_are_bins_of_the_ratio_of_width_to_height(shapes):
    files = ImageFiles(shapes[0])
    assert aspect_ratio_groups(files, k=0).tolist() == [1, 0, 1, 0, 1, 0]
    ratios = [2, 0.5, 1, 60 / 90, 2, 0.5]
    borders = [0.5, 2 ** (-2 / 3), 2 ** (-1 / 3), 1, 2 ** (1 / 3), 2 ** (2 / 3), 2]
    assert aspect_ratio_groups(files).tolist() == [sum(ratio >= border for border in borders) for ratio in ratios]
    with pytest.raises(ValueError, match="k of at least 0"):
        aspect_ratio_groups(files, k=-1)


def test_a_dataset_may_know_its_sizes_and_one_that_cannot_is_named(tmp_path):
    class Known(Mapped):
        def get_height_and_width(self, index):
            return (10, 20 + index)

    assert image_sizes(Known([{}, {}])).tolist() == [[10, 20], [10, 21]]
    with pytest.raises(DatakitError, match=r"Mapped\(list\).*get_height_and_width"):
        image_sizes(Mapped([{"image": torch.zeros(3, 4, 4)}]))
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(CorruptDataError, match="broken.png"):
        image_sizes(ImageFiles(tmp_path))
