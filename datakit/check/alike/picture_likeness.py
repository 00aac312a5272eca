"""Whether two pictures are nearly the same, by their pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from datakit.check.alike.aligning import Fit, fitted, laid, overlap
from datakit.check.alike.bits import VIEWS
from datakit.check.alike.likeness import Likeness
from datakit.check.alike.pictures import FAINT, grey_of, shrunk, values_of

SIDE = 64
"""Pixels of a side at which two are compared; of smaller ones, those that the smaller one has."""

WHOLE, DETAIL = 0.9, 0.5
DRAWN_WHOLE, DRAWN_DETAIL = 0.993, 0.94
_DRAWN = 0.5
_ROUGH = 0.6
_CROPPED_FROM = 0.008


class Closeness(NamedTuple):
    """How near two pictures are.

    Attributes:
        whole: correlation of the grey values.
        detail: that of their Laplacians: edges and texture.
    """

    whole: float
    detail: float


def turned_pixels(grey, view):
    if view == "mirrored":
        return grey[:, ::-1]
    return np.rot90(grey, {"turned left": 1, "turned round": 2, "turned right": 3}[view])


def closeness(one, other):
    return Closeness(correlation(one, other), correlation(laplacian(one), laplacian(other)))


def correlation(one, other):
    a, b = one - one.mean(), other - other.mean()
    power = float(np.sqrt((a * a).sum(dtype=np.float64) * (b * b).sum(dtype=np.float64)))
    return float((a * b).sum(dtype=np.float64)) / power if power else 0.0


def laplacian(g):
    return 4 * g[1:-1, 1:-1] - g[2:, 1:-1] - g[:-2, 1:-1] - g[1:-1, 2:] - g[1:-1, :-2]


def drawn(g):
    """Share of the pixels that have nearly the most frequent value."""
    low, high = float(g.min()), float(g.max())
    counts = np.histogram(g, 64, (low, high + 1e-9))[0]
    near = counts + np.roll(counts, 1) * 0
    near = np.convolve(counts, [1, 1], "valid")
    return near.max() / g.size


def best(a, b):
    """All figures: view, direct closeness, aligned closeness, fit."""
    ga, gb = grey_of(values_of(a)), grey_of(values_of(b))
    rough = min(32, *ga.shape, *gb.shape)
    ra, rb = shrunk(ga, rough, rough), shrunk(gb, rough, rough)
    views = [(correlation(ra, turned_pixels(rb, v) if v else rb), v or "") for v in (None, *VIEWS)]
    r, view = max(views)
    if view:
        gb = turned_pixels(gb, view)
    side = min(SIDE, *ga.shape, *gb.shape)
    sa, sb = shrunk(ga, side, side), shrunk(gb, side, side)
    direct = closeness(sa, sb)
    fit = fitted(sa, sb)
    al = None
    if fit:
        rows, cols = overlap(fit, side)
        al = closeness(sa[rows, cols], laid(gb, fit, side)[rows, cols])
    return view, r, direct, al, fit, drawn(sa), drawn(sb), sa.std(), sb.std()
