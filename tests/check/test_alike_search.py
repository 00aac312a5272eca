"""The search for near sketches, beside comparing all of them."""

import numpy as np
import pytest

from datakit.check.alike import WORDS, candidates
from datakit.check.alike import search as module
from datakit.check.alike.bits import PICTURE, SOUND, TEXT


def random_rows(count, kind=TEXT, seed=0):
    rows = np.random.default_rng(seed).integers(0, 2**64, (count, WORDS), dtype=np.uint64)
    rows[:, 0] = kind
    rows[:, -1] &= ~np.uint64(1)  # bits of pictures are 255
    return rows


def flipped(rows, count, seed=1):
    """Copies in which so many bits differ."""
    rng = np.random.default_rng(seed)
    changed = np.zeros((len(rows), 256), np.uint8)
    for each in changed:
        each[rng.choice(255, count, replace=False)] = 1
    other = rows.copy()
    other[:, 1:] ^= np.packbits(changed, axis=1).view(">u8").astype(np.uint64)
    return other


def by_force(rows, most):
    """Pairs that differ in at most so many bits."""
    pairs = set()
    for place in range(len(rows) - 1):
        different = np.bitwise_count(rows[place, 1:] ^ rows[place + 1 :, 1:]).sum(1)
        pairs |= {(place, place + 1 + int(other)) for other in np.flatnonzero(different <= most)}
    return pairs


def pairs_of(rows, **options):
    return set(map(tuple, candidates(rows, **options).pairs.tolist()))


@pytest.mark.parametrize("kind", [SOUND, TEXT])
def test_few_rows_are_all_compared(kind):
    rows = random_rows(300, kind)
    rows = np.concatenate([rows, *(flipped(rows[:100], bits, bits) for bits in (1, 20, 40, 60, 80))])
    truth = by_force(rows, module.NEAR[kind])
    assert len(truth) > 200
    assert pairs_of(rows) == truth


@pytest.mark.parametrize("bits", [1, 4, 9])
def test_windows_find_all_that_differ_in_few_bits(bits):
    """With windows of 14 bits a bit is in two of them at most, and there are 31: 9 wrong ones leave some whole."""
    rows = random_rows(2500)
    rows = np.concatenate([rows, flipped(rows[:500], bits)])
    found = candidates(rows)
    assert not found.crowded
    assert (
        {(place, 2500 + place) for place in range(500)} <= set(map(tuple, found.pairs.tolist())) == by_force(rows, 44)
    )


def test_windows_find_most_that_differ_in_more():
    rows = random_rows(3000)
    rows = np.concatenate([rows, flipped(rows[:500], 26)])
    found = pairs_of(rows)
    assert found <= by_force(rows, 44)
    assert sum((place, 3000 + place) in found for place in range(500)) > 490


@pytest.mark.parametrize("count", [400, 2600])
def test_the_order_does_not_matter(count):
    rows = random_rows(count, PICTURE)
    rows = np.concatenate([rows, flipped(rows[:100], 10), flipped(rows[:100], 40)])
    order = np.random.default_rng(5).permutation(len(rows))
    shuffled = {tuple(sorted((int(order[one]), int(order[other])))) for one, other in pairs_of(rows[order])}
    assert shuffled == pairs_of(rows)


def test_nearest_first_and_no_more_than_asked_for():
    rows = random_rows(400)
    rows = np.concatenate([rows, *(flipped(rows[100 * k : 100 * k + 100], 5 * k + 5) for k in range(4))])
    every = candidates(rows)
    assert not every.is_cut
    assert not every.note
    assert (np.diff(every.ranks) >= 0).all()
    assert every.pairs[:100].tolist() == [[place, 400 + place] for place in range(100)]
    some = candidates(rows, most=150)
    assert some.pairs.tolist() == every.pairs[:150].tolist()
    assert some.note == "only the nearest 150 pairs are looked at"


def test_kinds_and_empty_rows_are_kept_apart():
    rows = random_rows(30)
    other = rows.copy()
    other[:, 0] = SOUND
    nothing = np.zeros((50, WORDS), np.uint64)
    assert pairs_of(np.concatenate([nothing, rows, other, nothing])) == set()
    assert candidates(np.zeros((0, WORDS), np.uint64)).pairs.shape == (0, 2)
    both = pairs_of(np.concatenate([nothing, rows, other, rows]))
    assert both == {(50 + place, 110 + place) for place in range(30)}


def test_rows_that_are_equal_make_few_pairs():
    rows = np.repeat(random_rows(1), 500, 0)
    pairs = pairs_of(rows)
    assert pairs == {(0, place) for place in range(1, 500)} | {(place, place + 1) for place in range(499)}


def test_it_says_where_a_window_is_crowded():
    rows = random_rows(4000)
    rows[:3000, 1] = rows[0, 1]  # they agree in the first 64 bits and are different otherwise
    found = candidates(rows)
    assert found.crowded == 3000
    assert "3,000 records look like so many others" in found.note


def test_mirrored_and_turned_ones_are_found_of_pictures_only():
    from datakit.check.alike.bits import VIEWS, turned

    for count in (200, 2600):
        rows = random_rows(count, PICTURE)
        for view in VIEWS:
            other = rows[:50].copy()
            other[:, 1:] = turned(rows[:50, 1:], view)
            both = np.concatenate([rows, other])
            assert pairs_of(both) >= {(place, count + place) for place in range(50)}
            both[:, 0] = TEXT
            assert pairs_of(both) == set()
