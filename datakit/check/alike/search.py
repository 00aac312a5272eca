"""Sketches that are near each other, among a million of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datakit.check.alike.bits import BITS, PICTURE, SOUND, TEXT, VIEWS, turned

MOST = 10_000
"""Pairs that are given, unless it is asked for more."""

NEAR = {PICTURE: 52, SOUND: 64, TEXT: 44}
"""Bits of 255 that may differ."""

LOW = {PICTURE: 38, SOUND: 0, TEXT: 0}
"""Or bits of the first 128: a crop moves the higher frequencies most."""

_ALL_PAIRS = 2000  # rows up to which every pair is compared
_MANY = (
    200_000  # rows from which on there are fewer windows, and turned pictures are not looked for: it would take minutes
)
_WIDEST = 26  # bits of a window
_STEP = 8  # bits from one window to the next
_BESIDE = 48  # rows that each is compared with in a window, at most
_ROWS = 256  # at once


@dataclass(frozen=True)
class Candidates:
    """Pairs of rows that may be alike.

    Attributes:
        pairs: int64 (m, 2), rows i < j, the nearest first.
        ranks: (m,), the less, the nearer: bits of 255 in which they differ, or more where only the lower half is near.
        crowded: rows that share a window with more others than they were compared with.
        is_cut: whether more pairs were found than are given.
    """

    pairs: np.ndarray
    ranks: np.ndarray
    crowded: int = 0
    is_cut: bool = False

    @property
    def note(self) -> str:
        """What was left out, as a sentence; empty where nothing was."""
        cut = f"only the nearest {len(self.pairs):,} pairs are looked at" if self.is_cut else ""
        crowd = f"{self.crowded:,} records look like so many others that not all of them were compared"
        return "; ".join(part for part in (cut, crowd if self.crowded else "") if part)


def candidates(sketches: np.ndarray, *, most: int = MOST) -> Candidates:
    """The pairs whose sketches are near, also those of pictures that were mirrored or turned by quarters.

    Of more than 200,000 pictures, turned ones are not looked for.

    Of rows that are equal, each makes a pair with the first of them and with the one before it, and only the first is
    compared with others.

    Up to a few thousand records of a kind all pairs are compared. Of more, those that agree in one of the windows of
    neighbouring bits, in which each is compared with the next ones in sorted order (M. Hernández and S. Stolfo, The
    merge/purge problem for large databases, 1995; P. Indyk and R. Motwani, Approximate nearest neighbors, 1998). Two
    sketches that differ in fewer bits than there are windows that do not overlap are always found, if no window is
    crowded; those that differ in more, with a probability that falls with their number.

    Args:
        sketches: uint64 (n, WORDS), rows as `sketch` makes them, zeros for what has none.
        most: how many pairs are given at most.

    Examples:
        >>> import numpy as np
        >>> from datakit.check.alike import candidates, sketch
        >>> texts = "Is this it?", "It is not.", "is this  it"
        >>> candidates(np.array([sketch({"text": text}) for text in texts])).pairs.tolist()
        [[0, 2]]
    """
    found = [_of_kind(sketches, kind, most) for kind in (PICTURE, SOUND, TEXT)]
    pairs, ranks = (np.concatenate([getattr(each, name) for each in found]) for name in ("pairs", "ranks"))
    order = np.lexsort((pairs[:, 1], pairs[:, 0], ranks))
    nearest = pairs[order[:most]]
    is_cut = len(order) > most or any(each.is_cut for each in found)
    return Candidates(nearest, ranks[order[:most]], sum(each.crowded for each in found), is_cut)


class _Nearest:
    """The nearest pairs so far, not many more than are asked for; `limit` falls to what may still be among them."""

    def __init__(self, kind: int, rows: np.ndarray, most: int) -> None:
        self.kind, self.rows, self.most = kind, rows, most
        self.limit = NEAR[kind] + LOW[kind]
        self.crowded, self.is_cut = 0, False
        self._codes: list[np.ndarray] = []
        self._ranks: list[np.ndarray] = []
        self._held = 0

    @property
    def low_limit(self) -> int:
        """What the first halves may differ in at most."""
        return min(self.limit, max(NEAR[self.kind], LOW[self.kind]))

    def add(self, first: np.ndarray, second: np.ndarray, low: np.ndarray, rest: np.ndarray) -> None:
        """Pairs, and the bits in which their first and their other halves differ."""
        ranks = low + rest
        ranks = np.where(ranks <= NEAR[self.kind], ranks, NEAR[self.kind] + np.maximum(low, 1))
        is_near = (ranks <= self.limit) & (first != second)
        first, second = first[is_near], second[is_near]
        self._codes.append(np.minimum(first, second) * len(self.rows) + np.maximum(first, second))
        self._ranks.append(ranks[is_near])
        self._held += len(first)
        if self._held > 4 * self.most + 1000:
            self._thin()

    def _thin(self) -> tuple[np.ndarray, np.ndarray]:
        codes = np.concatenate([np.empty(0, np.int64), *self._codes])
        ranks = np.concatenate([np.empty(0, np.int64), *self._ranks])
        order = np.lexsort((codes, ranks))
        _, firsts = np.unique(codes[order], return_index=True)  # a pair may be near in several views
        order = order[np.sort(firsts)]
        self.is_cut |= len(order) > self.most
        if len(order) > self.most:
            self.limit = int(ranks[order[self.most]])
        order = order[: self.most]
        self._codes, self._ranks, self._held = [codes[order]], [ranks[order]], len(order)
        return codes[order], ranks[order]

    @property
    def ranks(self) -> np.ndarray:
        """(m,), the least first."""
        return self._thin()[1]

    @property
    def pairs(self) -> np.ndarray:
        """int64 (m, 2), as rows of all sketches."""
        first, second = np.divmod(self._thin()[0], max(1, len(self.rows)))
        return np.asarray(self.rows[np.stack([first, second], 1)])


def _of_kind(sketches: np.ndarray, kind: int, most: int) -> _Nearest:
    rows = np.flatnonzero(sketches[:, 0] == kind)
    nearest = _Nearest(kind, rows, most)
    words = np.ascontiguousarray(sketches[rows, 1:])
    heads = _equal(words, nearest)
    words = words[heads]
    views = [turned(words, view) for view in VIEWS[: len(VIEWS) if len(heads) <= _MANY else 1]]
    views = views if kind == PICTURE else []
    if len(heads) <= _ALL_PAIRS:
        _compare_all(words, words, heads, nearest, is_same=True)
        for view in views:
            _compare_all(words, view, heads, nearest, is_same=False)
    else:
        _compare_windows(np.concatenate([words, *views]), heads, nearest)
    return nearest


def _equal(words: np.ndarray, nearest: _Nearest) -> np.ndarray:
    """Adds those that are equal, each with the first one and with the one before it; gives the first ones."""
    if not len(words):
        return np.empty(0, np.int64)
    order = np.lexsort(words.T)  # stable: equal ones stay in their order
    is_first = np.concatenate([[True], (words[order[1:]] != words[order[:-1]]).any(1)])
    heads = order[is_first]
    later = np.flatnonzero(~is_first)
    zeros = np.zeros(len(later), np.int64)
    nearest.add(heads[np.cumsum(is_first)[later] - 1], order[later], zeros, zeros)
    nearest.add(order[later - 1], order[later], zeros, zeros)
    return np.sort(heads)


def _compare_all(words: np.ndarray, others: np.ndarray, heads: np.ndarray, nearest: _Nearest, *, is_same: bool) -> None:
    for start in range(0, len(words), _ROWS):
        begin = start if is_same else 0
        piece, rest = words[start : start + _ROWS, None], others[None, begin:]
        low = np.bitwise_count(piece[..., 0] ^ rest[..., 0])
        low += np.bitwise_count(piece[..., 1] ^ rest[..., 1])
        first, second = np.nonzero(low <= nearest.low_limit)
        low = low[first, second].astype(np.int64)
        first, second = first + start, second + begin
        is_new = first < second if is_same else first != second
        first, second = first[is_new], second[is_new]
        nearest.add(heads[first], heads[second], low[is_new], _count(words[first, 2:] ^ others[second, 2:]))


def _compare_windows(words: np.ndarray, heads: np.ndarray, nearest: _Nearest) -> None:
    count = len(heads)
    width = min(_WIDEST, (count - 1).bit_length() + 2)
    is_crowded = np.zeros(len(words), bool)
    for start in range(0, BITS - width, _STEP if count <= _MANY else 2 * _STEP):
        keys = _keys(words, start)
        order = np.argsort(keys)
        band = keys[order] >> np.uint64(64 - width)
        places = np.arange(len(band))
        for step in range(1, _BESIDE + 2):
            places = places[: np.searchsorted(places, len(band) - step)]
            places = places[band[places] == band[places + step]]  # who is not like the next one is not like others
            if step > _BESIDE:
                is_crowded[order[places]] = True
            elif len(places):
                _compare_beside(words, order[places], order[places + step], heads, nearest)
    nearest.crowded = int(is_crowded[:count].sum())


def _compare_beside(
    words: np.ndarray, first: np.ndarray, second: np.ndarray, heads: np.ndarray, nearest: _Nearest
) -> None:
    count = len(heads)
    is_new = np.minimum(first, second) < count  # one of them as it is
    first, second = first[is_new], second[is_new]
    low = _count(words[first, :2] ^ words[second, :2])
    is_near = low <= nearest.low_limit
    first, second = first[is_near], second[is_near]
    rest = _count(words[first, 2:] ^ words[second, 2:])
    nearest.add(heads[first % count], heads[second % count], low[is_near], rest)


def _keys(words: np.ndarray, start: int) -> np.ndarray:
    """64 bits from `start` on; behind the last one come the first."""
    word, shift = divmod(start, 64)
    if not shift:
        return np.asarray(words[:, word])
    after = words[:, (word + 1) % words.shape[1]]
    return np.asarray((words[:, word] << np.uint64(shift)) | (after >> np.uint64(64 - shift)))


def _count(different: np.ndarray) -> np.ndarray:
    return np.asarray(np.bitwise_count(different).sum(1, dtype=np.int64))
