"""Keys and their order."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from material import ORDERS, ordered

from datakit import BucketSampler
from datakit.sampling import Key, KeySampler, resolve_rank


def test_a_key_gives_the_same_numbers_in_every_process():
    code = "from datakit import Key; print(Key(7, 3, 11).generator().integers(2**62, size=4).tolist())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == f"{Key(7, 3, 11).generator().integers(2**62, size=4).tolist()}\n"


def test_neighbouring_keys_draw_unrelated_numbers():
    keys = [Key(seed, epoch, index) for seed in range(10) for epoch in range(10) for index in range(20)]
    draws = np.array([key.generator().random(8) for key in keys])
    assert len(np.unique(draws)) == draws.size
    assert abs(draws.mean() - 0.5) < 4 * np.sqrt(1 / 12 / draws.size)  # four standard errors of a uniform mean
    correlation = np.corrcoef(draws[:-1].ravel(), draws[1:].ravel())[0, 1]
    assert abs(correlation) < 4 / np.sqrt(draws.size)


def test_numbers_cannot_slide_from_one_place_of_the_key_into_another():
    draws = {Key(*numbers).generator().integers(2**62) for numbers in ((1, 11, 1), (11, 1, 1), (1, 1, 11), (111, 1, 0))}
    assert len(draws) == 4


def made(order, n, **options):
    options = {**ordered(order, n), "block": 4, **options}
    return BucketSampler(n, **options) if "lengths" in options else KeySampler(n, **options)


@pytest.mark.parametrize("n", [0, 1, 3, 10, 101, 503])
@pytest.mark.parametrize("world", range(1, 9))
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_each_sample_once_over_all_ranks(n, world, shuffle, order):
    ranks = [made(order, n, shuffle=shuffle, rank=rank, world_size=world) for rank in range(world)]
    seen = [key.index for sampler in ranks for key in sampler]
    assert sorted(seen) == list(range(n))
    assert [len(sampler) for sampler in ranks] == [len(list(sampler)) for sampler in ranks]


@pytest.mark.parametrize("order", ORDERS)
def test_epochs_are_shuffled_differently_and_repeatably(order):
    sampler = made(order, 100, seed=1, shuffle=True)
    orders = [sampler.order(epoch).tolist() for epoch in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1]
    assert made(order, 100, seed=2, shuffle=True).order(0).tolist() != orders[0]
    assert pickle.loads(pickle.dumps(sampler)).order(1).tolist() == orders[1]


@pytest.mark.parametrize("order", ORDERS)
def test_the_end_is_cut_to_a_multiple_over_all_ranks(order):
    lengths = [len(list(made(order, 13, rank=rank, world_size=4, multiple_of=8))) for rank in range(4)]
    assert lengths == [2, 2, 2, 2]


def test_the_environment_names_the_rank(monkeypatch):
    monkeypatch.setitem(os.environ, "RANK", "2")
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "3")
    assert resolve_rank() == (2, 3)
    assert resolve_rank(0, 1) == (0, 1)


@pytest.mark.parametrize(("rank", "world"), [(3, 3), (-1, 2), (0, None)])
def test_an_impossible_rank_is_refused(rank, world):
    with pytest.raises(ValueError, match="rank"):
        resolve_rank(rank, world)
