"""Outlines of clothes, shoes and bags: the synthetic copy of Fashion-MNIST."""

from __future__ import annotations

import numpy as np

from datakit.files.file_array import Bytes
from datakit.vision.digit_drawing import SIDE, noisy

_SCALE = 4  # drawn larger and scaled down, for smooth edges

_Half = list[tuple[float, float]]


def _top(sleeve: _Half, hem: float = 0.9, waist: float = 0.45) -> _Half:
    """The right half of a garment, from the neck to the hem."""
    return [(0, -0.8), (0.22, -0.9), (0.5, -0.8), *sleeve, (waist, -0.3), (waist, hem), (0, hem)]


_LONG: _Half = [(0.8, 0.7), (0.6, 0.75)]
_HALVES: dict[int, tuple[_Half, _Half]] = {  # the right half, and a darker part of it; both are mirrored
    0: (_top([(0.95, -0.45), (0.75, -0.25)]), []),
    1: ([(0, -0.9), (0.4, -0.9), (0.5, 0.95), (0.15, 0.95), (0, -0.3)], []),
    2: (_top(_LONG), [(0, 0.75), (0.45, 0.75), (0.45, 0.9), (0, 0.9)]),
    3: ([(0, -0.75), (0.15, -0.95), (0.28, -0.9), (0.2, -0.15), (0.6, 0.95), (0, 0.95)], []),
    4: (_top(_LONG, hem=1, waist=0.55), [(0, -0.8), (0.12, -0.8), (0.12, 1), (0, 1)]),
    6: (_top(_LONG, hem=0.8, waist=0.4), [(0, -0.9), (0.22, -0.9), (0.05, -0.55), (0.05, 0.8), (0, 0.8)]),
    8: ([(0, -0.25), (0.85, -0.25), (0.95, 0.8), (0, 0.8)], [(0, 0.05), (0.88, 0.05), (0.88, 0.15), (0, 0.15)]),
}
_WHOLES: dict[int, tuple[_Half, ...]] = {  # shoes have no mirror; the first is the shape, the others are cut out
    5: (
        [(-0.95, 0.35), (-0.5, 0.2), (0.1, -0.05), (0.6, -0.5), (0.95, -0.5), (0.95, 0.5), (-0.95, 0.5)],
        [(-0.7, 0.32), (-0.35, 0.2), (-0.2, 0.38), (-0.5, 0.4)],
        [(0, 0.05), (0.6, -0.35), (0.7, 0.3), (0.1, 0.38)],
    ),
    7: ([(-0.95, 0.3), (-0.4, 0.05), (0, -0.3), (0.4, -0.3), (0.95, -0.2), (0.95, 0.5), (-0.95, 0.5)],),
    9: ([(-0.95, 0.6), (-0.8, 0.25), (-0.1, 0), (0, -0.95), (0.8, -0.95), (0.85, 0.9), (-0.9, 0.9)],),
}


def draw_piece(label: int, rng: np.random.Generator) -> Bytes:
    """One piece of the class `label`, light on black: (28, 28), `uint8`."""
    from PIL import Image, ImageDraw

    side = SIDE * _SCALE
    image = Image.new("L", (side, side))
    pen = ImageDraw.Draw(image)
    shade, size = int(rng.integers(130, 256)), rng.uniform(0.74, 0.86, 2)
    for points, part in _parts(label):
        place = (np.array(points) * size + rng.normal(0, 0.02, (len(points), 2)) + 1) * side / 2
        pen.polygon([(float(x), float(y)) for x, y in place], fill=round(shade * part))
    if label == 8:
        low, high = side * 0.3, side * (0.15 + 0.1 * rng.random())
        pen.arc((low, high, side - low, side * 0.6), 180, 360, fill=shade, width=_SCALE * 2)
    return noisy(np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX)), rng)


def _parts(label: int) -> list[tuple[_Half, float]]:
    """Outlines, and how light they are."""
    if label in _WHOLES:
        shape, *holes = _WHOLES[label]
        return [(shape, 1.0), *((hole, 0.0) for hole in holes)]
    shape, dark = _HALVES[label]
    return [(_mirrored(half), light) for half, light in ((shape, 1.0), (dark, 0.5)) if half]


def _mirrored(half: _Half) -> _Half:
    return [*half, *((-x, y) for x, y in reversed(half))]
