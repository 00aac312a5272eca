"""Batches of like lengths: the order as it is told, the share of padding, and what is refused."""

import itertools
import time
import tracemalloc
import zipfile
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from material import Numbers, ordered
from scipy import stats
from torch.utils.data import DataLoader

from datakit import BucketSampler, KeySampler, Loader, Mapped, collate, padding_share
from datakit.errors import DatakitError, StateError

SOME = ordered("lengths", 23)["lengths"]
lengths_of_records = st.lists(st.integers(0, 12), min_size=1, max_size=80)


@given(
    lengths=lengths_of_records,
    block=st.integers(1, 9),
    pool=st.none() | st.integers(1, 5),
    epoch=st.integers(0, 3),
)
def test_the_order_is_that_of_sorting_pools_of_a_shuffled_epoch(lengths, block, pool, epoch):
    """As it is told, with Python's lists; only which run is left over and the order of the blocks are by chance."""
    n = len(lengths)
    order = BucketSampler(n, lengths, seed=3, shuffle=True, block=block, pool=pool).order(epoch).tolist()
    records = KeySampler(n, seed=3, shuffle=True).order(epoch).tolist()
    whole, over = n // block, order[n // block * block :]
    pools = max(1, -(-whole // (pool or n)))
    borders = [p * whole // pools * block for p in range(pools)] + [n]
    assert max(np.diff(borders)) < ((pool or n) + 1) * block  # what is left over is in the last
    ranked = [sorted(records[a:b], key=lambda i: -lengths[i]) for a, b in itertools.pairwise(borders)]
    last = ranked[-1]
    runs = [{last[(start + step) % len(last)] for step in range(len(over))} for start in range(len(last))]
    assert set(over) in runs
    kept = [[record for record in one if record not in over] for one in ranked]
    expected = [tuple(one[at : at + block]) for one in kept for at in range(0, len(one), block)]
    blocks = [tuple(order[at : at + block]) for at in range(0, whole * block, block)]
    assert Counter(blocks) == Counter(expected)


@given(lengths=lengths_of_records, block=st.integers(1, 9))
def test_without_shuffle_the_longest_come_first_and_equal_ones_as_they_were(lengths, block):
    order = BucketSampler(len(lengths), lengths, block=block).order(1).tolist()
    assert order == sorted(range(len(lengths)), key=lambda record: -lengths[record])


@given(
    records=st.lists(st.tuples(st.integers(0, 12), st.integers(-2, 3)), min_size=1, max_size=80),
    block=st.integers(1, 9),
    shuffle=st.booleans(),
)
def test_with_groups_a_block_is_of_one_group_and_of_like_length(records, block, shuffle):
    lengths, groups = np.array(records).T
    order = BucketSampler(len(records), lengths, groups=groups, pool=None, block=block, shuffle=shuffle).order(0)
    assert sorted(order) == list(range(len(records)))
    whole = sum(np.unique(groups, return_counts=True)[1] // block)
    blocks = order[: whole * block].reshape(whole, block)
    assert (groups[blocks] == groups[blocks[:, :1]]).all()
    for group in np.unique(groups):  # blocks of one group, from long to short, do not overlap
        mine = sorted(lengths[blocks[groups[blocks[:, 0]] == group]].tolist(), reverse=True)
        assert all(later[0] <= earlier[-1] for earlier, later in itertools.pairwise(mine))
    if not shuffle:
        assert (np.diff(lengths[blocks[:, 0]]) <= 0).all()


def test_every_record_is_left_over_equally_often_and_blocks_come_in_any_order():
    """Chance of 3 in 23 for each record: what is left over of an epoch is independent of that of another."""
    epochs = 2000
    sampler = BucketSampler(23, SOME, shuffle=True, block=4, pool=2)
    orders = np.array([sampler.order(epoch) for epoch in range(epochs)])
    counts = np.bincount(orders[:, 20:].ravel(), minlength=23)
    assert (abs(counts - epochs * 3 / 23) < 4.5 * np.sqrt(epochs * 3 / 23 * 20 / 23)).all()
    at_block = np.argmax(orders[:, :20] == SOME.argmax(), axis=1)[(orders[:, :20] == SOME.argmax()).any(axis=1)] // 4
    assert stats.chisquare(np.bincount(at_block, minlength=5)).pvalue > 1e-4


@pytest.fixture(scope="module")
def spoken(shared):
    """Samples of each of the 3,000 spoken digits: 44 bytes of header, then 16 bits a sample."""
    with zipfile.ZipFile(shared / "free-spoken-digit-dataset.zip") as archive:
        return np.array([(entry.file_size - 44) // 2 for entry in archive.infolist()])


@pytest.mark.parametrize("batch_size", [8, 16, 32, 64])
@pytest.mark.parametrize("ranks", [1, 2])
def test_on_the_spoken_digits_padding_is_less_than_half_that_of_chance(spoken, batch_size, ranks):
    n, shares = len(spoken), []
    for epoch in range(3):
        by_chance = KeySampler(n, shuffle=True).order(epoch)
        by_length = BucketSampler(n, spoken, shuffle=True, block=batch_size * ranks).order(epoch)
        shares.append([padding_share(spoken, o, batch_size, world_size=ranks) for o in (by_chance, by_length)])
    chance, bucketed = np.mean(shares, axis=0)
    assert bucketed < chance / 2
    assert bucketed < 0.21


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("kind", ["lengths", "both"])
def test_the_share_of_padding_is_that_of_the_batches_that_are_loaded(ranks, drop_last, kind):
    sounds = Mapped([{"waveform": torch.ones(1, length)} for length in SOME.tolist()])
    options = {"shuffle": True, "drop_last": drop_last, "collate_fn": collate.pad, "world_size": ranks}
    loaders = [Loader(sounds, 3, rank=rank, **options, **ordered(kind, 23)) for rank in range(ranks)]
    for epoch in range(2):
        batches = [batch["waveform"] for loader in loaders for batch in loader]
        empty, positions = (sum(int(count) for count in of) for of in (
            [(batch == 0).sum() for batch in batches], [batch.numel() for batch in batches],
        ))  # fmt: skip
        assert [loader.padding(epoch) for loader in loaders] == pytest.approx([empty / positions] * ranks, abs=1e-12)


def test_the_share_is_of_whole_epochs_also_while_another_batch_size_is_gone_on_with():
    loader = Loader(Numbers(301), 4, shuffle=True, **ordered("lengths", 301))
    next(iter(loader))
    resumed = Loader(Numbers(301), 2, shuffle=True, **ordered("lengths", 301))
    before = resumed.padding(1)
    resumed.load_state_dict(loader.state_dict())
    assert resumed.padding(1) == before != loader.padding(1)
    assert resumed.keys.block == 4


@pytest.mark.parametrize(("lengths", "order", "share"), [
    ([4, 2, 3], [0, 1, 2], 3 / 12),
    ([4, 2, 3], [0], 0),
    ([4, 2, 3, 9], [1, 2, 0], 3 / 12),
    ([0, 0, 0], [0, 1, 2], 0),
    ([], [], 0),
])  # fmt: skip
def test_shares_by_hand(lengths, order, share):
    assert padding_share(lengths, order, 3) == pytest.approx(share)


def test_ranks_of_one_step_have_like_lengths():
    n, lengths = 120, np.arange(120)
    loaders = [Loader(Numbers(n), 4, shuffle=True, lengths=lengths, rank=rank, world_size=3) for rank in range(3)]
    for step in zip(*loaders, strict=True):
        numbers = torch.cat([batch["number"] for batch in step])
        assert numbers.max() - numbers.min() == 11  # this pool is the whole epoch: twelve neighbours


def test_a_stock_dataloader_over_the_sampler_gives_the_loaders_batches():
    sampler = BucketSampler(23, SOME, seed=1, shuffle=True, block=4)
    stock = DataLoader(Numbers(23), 4, sampler=sampler)
    ours = Loader(Numbers(23), 4, seed=1, shuffle=True, lengths=SOME)
    assert [b["draw"].tolist() for b in stock] == [b["draw"].tolist() for b in ours]


@pytest.mark.parametrize("kind", ["lengths", "both"])
def test_a_loader_with_other_workers_goes_on_in_the_same_order(kind):
    loader = Loader(Numbers(23), 4, shuffle=True, **ordered(kind, 23))
    whole = [key.index for key in loader.keys]
    batches = iter(loader)
    next(batches)
    state = loader.state_dict()
    next(batches)
    other = loader.with_workers(1, batch_size=5)
    assert [number for batch in other for number in batch["number"].tolist()] == whole[8:]
    other.load_state_dict(state)
    assert [number for batch in other for number in batch["number"].tolist()] == whole[4:]


def test_lengths_of_any_numbers_are_the_same_stream():
    state = Loader(Numbers(3), lengths=[3, 1, 2]).state_dict()
    for same in (np.array([3, 1, 2], np.uint16), torch.tensor([3, 1, 2]), (3.0, 1.0, 2.0)):
        Loader(Numbers(3), lengths=same).load_state_dict(state)


def test_a_state_of_other_lengths_is_refused():
    state = Loader(Numbers(3), lengths=[3, 1, 2]).state_dict()
    for others in (None, [3, 1, 1]):
        with pytest.raises(StateError, match="another stream: its lengths"):
            Loader(Numbers(3), lengths=others).load_state_dict(state)
    with pytest.raises(StateError, match="another stream: its lengths"):
        Loader(Numbers(3), lengths=[3, 1, 2]).load_state_dict(Loader(Numbers(3)).state_dict())


@pytest.mark.parametrize(("lengths", "said"), [
    ([1, 2], r"lengths have shape \(2,\): one for each of 3 records"),
    (5, r"lengths have shape \(\)"),
    (np.ones((3, 1)), r"lengths have shape \(3, 1\)"),
    ([1, -2, -3], "that of record 1 is -2"),
    ([1.0, 2.0, np.nan], "that of record 2 is nan"),
    ([np.inf, 2.0, 1.0], "that of record 0 is inf"),
    (["1", "2", "3"], "lengths are numbers, got values of type <U1"),
    ([1, None, 3], "lengths are numbers, got values of type object"),
    ([True, False, True], "lengths are numbers, got values of type bool"),
])  # fmt: skip
def test_lengths_that_are_none_are_refused(lengths, said):
    with pytest.raises(ValueError, match=said):
        Loader(Numbers(3), lengths=lengths)


def test_what_else_is_refused():
    with pytest.raises(ValueError, match="pool=0: a pool has at least one block"):
        BucketSampler(3, [1, 2, 3], pool=0)
    with pytest.raises(ValueError, match="groups have shape"):
        BucketSampler(3, [1, 2, 3], groups=[1])
    with pytest.raises(ValueError, match="batch_size and world_size are at least 1, got 0 and 1"):
        padding_share([1], [0], 0)
    with pytest.raises(DatakitError, match="this loader knows no lengths"):
        Loader(Numbers(3)).padding()


def test_an_order_of_a_million_records_takes_little_time_and_memory():
    n = 1_000_000
    lengths = np.random.default_rng(0).integers(1, 400_000, n)
    start = time.perf_counter()
    sampler = BucketSampler(n, lengths, shuffle=True, block=32)
    order = sampler.order(0)
    assert time.perf_counter() - start < 3  # 0.2 s on an idle machine
    assert (np.bincount(order, minlength=n) == 1).all()
    tracemalloc.start()
    try:
        sampler = BucketSampler(n, lengths, shuffle=True, block=32)
        held = tracemalloc.get_traced_memory()[0]
        sampler.order(1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held < 8.1 * n  # the lengths
    assert peak < 64 * n
