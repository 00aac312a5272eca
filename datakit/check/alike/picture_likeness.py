"""Whether two pictures are nearly the same, by their pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from datakit.check.alike.aligning import Fit, fitted, laid, overlap
from datakit.check.alike.bits import VIEWS, View
from datakit.check.alike.likeness import Likeness
from datakit.check.alike.pictures import FAINT, grey_of, shrunk, values_of

SIDE = 64
"""Pixels of a side at which two are compared; of smaller ones, those that the smaller one has."""

_ROUGH = 32  # pixels of a side at which it is found how one was turned
_TURNED = 0.01  # of correlation that a turn must be better by: many pictures are nearly symmetric
_QUARTERS: dict[View, int] = {"turned left": 1, "turned round": 2, "turned right": 3}
_NAMES: dict[View, str] = {
    "mirrored": "mirrored",
    "turned left": "turned by 90°",
    "turned round": "turned by 180°",
    "turned right": "turned by 90°",
}
_CUT = 0.012  # of a side: less is no more than the way in which it was made smaller
_SCALED = 0.03
_LIGHTER, _HARDER, _COLOURED, _COLOURLESS = 0.02, 1.06, 0.03, 0.005  # of the full range; of the standard deviation


class Closeness(NamedTuple):
    """How near two pictures are.

    Attributes:
        whole: correlation of their grey values.
        detail: that of their Laplacians: edges and texture.
    """

    whole: float
    detail: float

    def reaches(self, bar: Closeness) -> bool:
        """Whether both are as near as that."""
        return self.whole >= bar.whole and self.detail >= bar.detail


class Compared(NamedTuple):
    """What is known of two pictures.

    Attributes:
        view: how the second was turned; None where it was not.
        closeness: at best.
        bar: what it must reach.
        fit: the part of the second that shows the first.
        first: its grey values, where both show something.
        second: those at the same places.
    """

    view: View | None
    closeness: Closeness
    bar: Closeness
    fit: Fit
    first: np.ndarray
    second: np.ndarray


# What the pairs of two pictures that are near, and altered copies, reached at these sizes (whole, detail):
PHOTO = Closeness(0.97, 0.8)  # 64 pixels: others 0.70, 0.15; copies 0.988, 0.80 and more
SMALL = Closeness(0.95, 0.75)  # CIFAR-10 at 32 pixels: others 0.92, 0.27; copies 0.96, 0.74; drawn trucks 0.985, 0.72
TINY = Closeness(0.96, 0.75)  # the same at 16 pixels: others 0.957, 0.57
DRAWN = Closeness(0.995, 0.965)  # MNIST: two digits 0.992, 0.952; JPEG of quality 75 0.996, 0.949 and more
_TINY = 24  # pixels of a side
# Share of the pixels that have one value, from which on it is a drawing, or as simple as one: 5 % of photographs have
# 0.43, all of MNIST 0.6 and more, and drawn clothes of 28 pixels with 0.41 are laid over each other to 0.985, 0.84.
_GROUND, _SMALL_GROUND = 0.5, 0.4


def picture_likeness(one: Any, other: Any) -> Likeness | None:
    """How the second of two images is the first one again; None where it is another one."""
    first, second = values_of(one), values_of(other)
    if first.shape == second.shape and first.dtype == second.dtype and np.array_equal(first, second):
        return Likeness("picture", ("identical",), 1.0)
    found = compared(first, second)
    if found is None or not found.closeness.reaches(found.bar):
        return None
    return Likeness("picture", _ways(first, second, found), found.closeness.whole)


def compared(one: np.ndarray, other: np.ndarray) -> Compared | None:
    """Two pictures (C, H, W) laid over each other as well as can be; None where one of them is all of one grey."""
    first, second = grey_of(one), grey_of(other)
    view = _view(first, second)
    second = turned_pixels(second, view)
    side = min(SIDE, *first.shape, *second.shape)
    small, moved = shrunk(first, side, side), shrunk(second, side, side)
    if min(small.std(), moved.std()) < FAINT:
        return None
    direct = Compared(view, closeness(small, moved), _bar(small, moved), Fit(), small, moved)
    if direct.bar in (DRAWN, TINY):
        return direct
    fit = fitted(small, moved)
    if fit is None:
        return direct
    rows, columns = overlap(fit, side)
    parts = small[rows, columns], laid(second, fit, side)[rows, columns]
    aligned = direct._replace(closeness=closeness(*parts), fit=fit, first=parts[0], second=parts[1])
    return max(direct, aligned, key=lambda each: sum(each.closeness))


def closeness(one: np.ndarray, other: np.ndarray) -> Closeness:
    """Of two planes of one size."""
    return Closeness(correlation(one, other), correlation(_laplacian(one), _laplacian(other)))


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Of the values, -1 … 1; 0 where one of them is constant."""
    first, second = one - one.mean(), other - other.mean()
    power = float(np.sqrt((first**2).sum(dtype=np.float64) * (second**2).sum(dtype=np.float64)))
    return min(float((first * second).sum(dtype=np.float64)) / power, 1.0) if power else 0.0


def turned_pixels(values: np.ndarray, view: View | None) -> np.ndarray:
    """A plane (H, W), turned."""
    if view is None:
        return values
    return np.asarray(values[:, ::-1] if view == "mirrored" else np.rot90(values, _QUARTERS[view]))


def _view(first: np.ndarray, second: np.ndarray) -> View | None:
    side = min(_ROUGH, *first.shape, *second.shape)
    one, other = shrunk(first, side, side), shrunk(second, side, side)
    near = {view: correlation(one, turned_pixels(other, view)) for view in VIEWS}
    view = max(VIEWS, key=near.__getitem__)
    return view if near[view] > correlation(one, other) + _TURNED else None


def _bar(one: np.ndarray, other: np.ndarray) -> Closeness:
    if max(_ground(one), _ground(other)) >= (_GROUND if len(one) == SIDE else _SMALL_GROUND):
        return DRAWN
    return TINY if len(one) < _TINY else SMALL if len(one) < SIDE else PHOTO


def _ground(values: np.ndarray) -> float:
    """Share of the pixels within a 32nd of the range that holds most of them."""
    counts, _ = np.histogram(values, 64, (float(values.min()), float(values.max()) + 1e-9))
    return float((counts[1:] + counts[:-1]).max()) / values.size


def _laplacian(values: np.ndarray) -> np.ndarray:
    inner = values[1:-1, 1:-1]
    around = values[2:, 1:-1] + values[:-2, 1:-1] + values[1:-1, 2:] + values[1:-1, :-2]
    return np.asarray(4 * inner - around)


def _ways(one: np.ndarray, other: np.ndarray, found: Compared) -> tuple[str, ...]:
    """What was done to the first, as far as it shows."""
    shape = turned_pixels(other[0], found.view).shape
    tops, lefts = found.fit.tops, found.fit.lefts
    scales = [
        (last - first) * new / old for (first, last), new, old in zip((tops, lefts), shape, one.shape[1:], strict=True)
    ]
    is_cut = np.abs(np.subtract((*tops, *lefts), (0, 1, 0, 1))).max() > _CUT
    lighter = float(found.second.mean() - found.first.mean())
    harder = float(found.second.std() / found.first.std())
    ways = {
        _NAMES[found.view] if found.view else "": found.view is not None,
        "at another size": shape != one.shape[1:] and max(abs(scale - 1) for scale in scales) > _SCALED,
        "cropped or framed": is_cut,
        "in grey": _colour(other) < _COLOURLESS < _COLOURED < _colour(one),
        "in colour": _colour(one) < _COLOURLESS < _COLOURED < _colour(other),
        "brighter": lighter > _LIGHTER,
        "darker": lighter < -_LIGHTER,
        "of more contrast": harder > _HARDER,
        "of less contrast": harder < 1 / _HARDER,
    }
    return tuple(way for way, is_so in ways.items() if is_so) or ("compressed or saved again",)


def _colour(planes: np.ndarray) -> float:
    """How far the channels are apart, on average, of the full range."""
    if len(planes) < 3:
        return 0.0
    rgb = planes[:3].astype(np.float32)
    full = np.iinfo(planes.dtype).max if planes.dtype.kind == "u" else 1
    return float(np.ptp(rgb, 0).mean()) / full
