"""Charts as plain geometry, in the units of their own canvas; the template draws them as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from datakit.inspection.survey import MeanShape
from datakit.phrasing import number
from datakit.report.axes import Tick, inner_ticks, ratio_ticks, round_ticks

_CANVAS = (364.0, 290.0)
_PLOT = (48.0, 12.0, 340.0, 250.0)  # left, top, right, bottom of what axes enclose
_MOST = 1500  # circles; more of them are merged with their neighbours
_CELL = 4.0  # side of what is merged then
_BINS = 14
_LENGTHS = 28  # bars of lengths, at most


@dataclass(frozen=True)
class Mark:
    """A circle, or a bar with a height where it has one; `text` is what it says when it is pointed at."""

    x: float
    y: float
    size: float
    text: str
    height: float = 0.0


@dataclass(frozen=True)
class Chart:
    """What is drawn on a canvas.

    Attributes:
        width: of the canvas.
        height: of the canvas.
        right: where the horizontal axis ends.
        words: the numbers in a sentence, for those who do not see it.
        circles: marks by their centre and radius.
        bars: marks by their left upper corner, width and height.
        across: ticks of the horizontal axis.
        up: ticks of the vertical axis.
        line: from (x, y) to (x, y).
        dots: centres of circles with a small dot in them.
    """

    width: float
    height: float
    right: float
    words: str
    circles: tuple[Mark, ...] = ()
    bars: tuple[Mark, ...] = ()
    across: tuple[Tick, ...] = ()
    up: tuple[Tick, ...] = ()
    line: tuple[float, float, float, float] | None = None
    dots: tuple[tuple[float, float], ...] = ()


def size_scatter(sizes: np.ndarray) -> Chart:
    """Width and height of images, (n, 2) as height, width; both axes alike, equal sizes merged by area."""
    left, top, _, bottom = _PLOT
    side = bottom - top
    ticks = round_ticks(float(sizes.min()), float(sizes.max()))
    low, scale = ticks[0], side / (ticks[-1] - ticks[0])
    places, counts = np.unique(sizes[:, ::-1], axis=0, return_counts=True)
    if len(places) > _MOST:
        places, counts = _merged(places, counts, _CELL / scale)
    radii = np.maximum(2.5, 16 * np.sqrt(counts / counts.sum()))
    order = np.argsort(-counts, kind="stable")  # large ones below
    circles = tuple(
        Mark(left + (x - low) * scale, bottom - (y - low) * scale, radius, f"{number(x)} × {number(y)}: {count}")
        for (x, y), count, radius in zip(places[order].tolist(), counts[order], radii[order].tolist(), strict=True)
    )
    return Chart(
        *_CANVAS,
        left + side,
        _size_words(sizes),
        circles=circles,
        across=tuple(Tick(left + (tick - low) * scale, number(tick)) for tick in ticks),
        up=tuple(Tick(bottom - (tick - low) * scale, number(tick)) for tick in ticks),
        line=(left, bottom, left + side, top),
    )


def ratio_histogram(sizes: np.ndarray) -> Chart | None:
    """How many images have which width divided by height, in bins of equal ratio; None where all have the same."""
    left, _, right, _ = _PLOT
    ratios = np.log(sizes[:, 1] / sizes[:, 0])
    low, high = float(ratios.min()), float(ratios.max())
    if math.isclose(low, high, abs_tol=1e-6):
        return None
    counts, edges = np.histogram(ratios, bins=_BINS, range=(low, high))
    names = [f"{math.exp(a):.2f} to {math.exp(b):.2f}" for a, b in pairwise(edges)]
    words = f"Width divided by height of {len(sizes)} images"
    return _histogram(counts, names, words, ratio_ticks(low, high, left, right))


def duration_histogram(durations: np.ndarray) -> Chart | None:
    """How many sounds last how long, (n,) seconds; None where all last as long."""
    left, _, right, _ = _PLOT
    low, high = float(durations.min()), float(durations.max())
    if math.isclose(low, high, rel_tol=1e-3):
        return None
    ticks = round_ticks(low, high)
    counts, edges = np.histogram(durations, bins=_BINS, range=(ticks[0], ticks[-1]))
    names = [f"{a:.3g} to {b:.3g} s" for a, b in pairwise(edges)]
    scale = (right - left) / (ticks[-1] - ticks[0])
    across = tuple(Tick(left + (tick - ticks[0]) * scale, number(tick)) for tick in ticks)
    return _histogram(counts, names, f"Durations of {len(durations)} sounds", across)


def length_histogram(lengths: np.ndarray, what: str) -> Chart | None:
    """How many sequences are how long, (n,) whole numbers; None where all are as long.

    Args:
        lengths: of the sequences.
        what: is counted, such as `characters`.
    """
    left, _, right, _ = _PLOT
    low, high = int(lengths.min()), int(lengths.max())
    if low == high:
        return None
    width = -(-(high - low + 1) // _LENGTHS)  # whole lengths, so that no bar has more of them than its neighbours
    edges = np.arange(low, high + width + 1, width)
    counts = np.bincount((lengths - low) // width, minlength=len(edges) - 1)[: len(edges) - 1]
    names = [f"{number(a)}{'' if width == 1 else f' to {number(b - 1)}'} {what}" for a, b in pairwise(edges.tolist())]
    scale = (right - left) / (len(counts) * width)
    whole = [tick for tick in inner_ticks(low, high, 6) if tick == int(tick)]
    across = tuple(Tick(left + (tick - low + 0.5) * scale, number(tick)) for tick in whole)
    return _histogram(counts, names, f"Lengths of {len(lengths)} sequences", across)


def _histogram(counts: np.ndarray, names: Sequence[str], words: str, across: tuple[Tick, ...]) -> Chart:
    """A bar for each count, over the whole width."""
    left, top, right, bottom = _PLOT
    ups = round_ticks(0, float(counts.max()), whole=True)
    step, scale = (right - left) / len(counts), (bottom - top) / ups[-1]
    bars = tuple(
        Mark(left + place * step + 1, bottom - count * scale, step - 2, f"{name}: {count}", count * scale)
        for place, (name, count) in enumerate(zip(names, counts.tolist(), strict=True))
        if count
    )
    inner = ", ".join(f"{count} of {name}" for name, count in zip(names, counts.tolist(), strict=True) if count)
    up = tuple(Tick(bottom - tick * scale, number(tick)) for tick in ups)
    return Chart(*_CANVAS, right, f"{words}: {inner}", bars=bars, across=across, up=up)


def mean_shape(shape: MeanShape) -> Chart:
    """The mean of aligned points, each with its spread around it."""
    points, spread = np.asarray(shape.points, np.float64), np.asarray(shape.spread, np.float64)
    least, most = (points - spread[:, None]).min(0), (points + spread[:, None]).max(0)
    extent = np.maximum(most - least, 1e-9)
    scale = min(300 / extent[0], 300 / extent[1])
    placed = (points - least) * scale + 10
    share = spread / max(float(np.ptp(points, axis=0).max()), 1e-9)
    circles = tuple(
        Mark(x, y, radius, f"point {place}: spread {part:.1%} of the shape")
        for place, ((x, y), radius, part) in enumerate(
            zip(placed.tolist(), (spread * scale).tolist(), share.tolist(), strict=True)
        )
    )
    width, height = (extent * scale + 20).tolist()
    return Chart(
        width, height, width, _shape_words(shape, share), circles=circles, dots=tuple(map(tuple, placed.tolist()))
    )


def _size_words(sizes: np.ndarray) -> str:
    (low_y, low_x), (high_y, high_x) = sizes.min(0).tolist(), sizes.max(0).tolist()
    kinds, counts = np.unique(sizes, axis=0, return_counts=True)
    words = (
        f"Width and height of {len(sizes)} images: widths from {number(low_x)} to {number(high_x)} pixels, "
        f"heights from {number(low_y)} to {number(high_y)}, {len(kinds)} different sizes"
    )
    if counts.max() == 1:
        return words
    height, width = kinds[counts.argmax()].tolist()
    return f"{words}, most often {number(width)} by {number(height)} ({counts.max()} of them)"


def _shape_words(shape: MeanShape, share: np.ndarray) -> str:
    return (
        f"Mean shape of {len(share)} landmarks from {shape.count} records; their spread goes from {share.min():.1%} "
        f"of the shape (point {share.argmin()}) to {share.max():.1%} (point {share.argmax()})"
    )


def _merged(places: np.ndarray, counts: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means of the places that share a cell, and how many those are."""
    _, group = np.unique(np.floor(places / cell), axis=0, return_inverse=True)
    group = group.ravel()
    total = np.bincount(group, counts)
    means = [np.bincount(group, counts * column) / total for column in places.T.astype(np.float64)]
    return np.stack(means, 1).round(), total.astype(np.int64)
