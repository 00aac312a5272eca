"""Laying one picture over another one that shows a little more or less of the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from datakit.check.alike.pictures import between

_ROUNDS = 12
_BLURS = (5, 3, 1)  # widths of the mean that smooths both, in pixels: coarse first, so that it does not get caught
_SETTLED = 1e-3  # pixels
_LEAST_GAIN = 0.2
_FARTHEST = 0.22  # of a side: what crops of 5 % a side of both, to different sides, can need


@dataclass(frozen=True)
class Fit:
    """Where a picture lies in another one, in shares of the sides.

    Attributes:
        tops: the upper and the lower edge of the other one, in units of its height; 0 and 1 where nothing is cut.
        lefts: the left and the right edge.
    """

    tops: tuple[float, float] = (0.0, 1.0)
    lefts: tuple[float, float] = (0.0, 1.0)


def fitted(one: np.ndarray, other: np.ndarray) -> Fit | None:
    """Which part of `other` shows what `one` shows; None where none is found nearby.

    Gauss-Newton steps for a scale and a shift of each axis, with the gain and the offset that fit best: B. Lucas and T.
    Kanade, An iterative image registration technique, 1981.

    Args:
        one: (n, n), grey.
        other: (n, n).
    """
    side = len(one)
    edges = np.array([0.0, side, 0.0, side])
    for blur in _BLURS:
        smooth, moved = _blurred(one, blur), _blurred(other, blur)
        for _ in range(_ROUNDS):
            step = _step(smooth, moved, edges)
            if step is None:
                return None
            edges = edges + step
            if np.abs(edges - [0, side, 0, side]).max() > _FARTHEST * side:
                return None
            if np.abs(step).max() < _SETTLED:
                break
    top, bottom, left, right = (edges / side).tolist()
    return Fit((top, bottom), (left, right))


def overlap(fit: Fit, side: int) -> tuple[slice, slice]:
    """The rows and columns of `one` that lie inside of the other, where it has `side` of each."""
    return _inside(*fit.tops, side), _inside(*fit.lefts, side)


def laid(grey: np.ndarray, fit: Fit, side: int) -> np.ndarray:
    """What lies at the place of the first picture: (side, side), means of areas; 0 outside."""
    rows = between(np.linspace(*fit.tops, side + 1) * grey.shape[0], grey.shape[0])
    columns = between(np.linspace(*fit.lefts, side + 1) * grey.shape[1], grey.shape[1])
    return np.asarray(rows @ grey @ columns.T)


def _inside(first: float, last: float, side: int) -> slice:
    places = np.linspace(first, last, side + 1)
    inside = np.flatnonzero((places[:-1] >= -1e-6) & (places[1:] <= 1 + 1e-6))
    return slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0)


def _step(one: np.ndarray, other: np.ndarray, edges: np.ndarray) -> np.ndarray | None:
    """What the four edges should move by, in pixels; None where the pictures have too little in common for a step."""
    side = len(one)
    fit = Fit((edges[0] / side, edges[1] / side), (edges[2] / side, edges[3] / side))
    rows, columns = overlap(fit, side)
    moved = (_lines(edges[0], edges[1], side) @ other @ _lines(edges[2], edges[3], side).T)[rows, columns]
    if min(moved.shape) < side // 2:
        return None
    down, right = np.gradient(moved)
    share = (np.arange(side, dtype=np.float32) + 0.5) / side
    y, x = share[rows, None], share[None, columns]
    parts = [down * (1 - y), down * y, right * (1 - x), right * x, moved, np.ones_like(moved)]
    matrix = np.stack([part.ravel() for part in parts]).astype(np.float64)
    power = matrix @ matrix.T
    power[np.diag_indices(6)] *= 1 + 1e-6  # a picture of stripes says nothing of shifts along them
    found = np.linalg.lstsq(power, matrix @ one[rows, columns].ravel(), rcond=None)[0]
    return np.asarray(np.clip(found[:4] / found[4], -3, 3)) if found[4] > _LEAST_GAIN else None


def _lines(first: float, last: float, side: int) -> np.ndarray:
    """What makes values between those of pixels, in straight lines: float32 (side, side)."""
    places = first + (last - first) * (np.arange(side) + 0.5) / side - 0.5
    near = 1 - np.abs(np.clip(places, 0, side - 1)[:, None] - np.arange(side))
    return np.asarray(np.maximum(0, near), np.float32)


def _blurred(grey: np.ndarray, width: int) -> np.ndarray:
    mean = _means(len(grey), width)
    return np.asarray(mean @ grey @ mean.T)


@lru_cache(maxsize=256)
def _means(side: int, width: int) -> np.ndarray:
    near = (np.abs(np.arange(side)[:, None] - np.arange(side)) <= width // 2).astype(np.float32)
    return np.asarray(near / near.sum(1, keepdims=True))
