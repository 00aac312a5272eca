"""Digits drawn with a broad pen: the synthetic copy of MNIST."""

from __future__ import annotations

import numpy as np

from datakit.files.file_array import Bytes

SIDE = 28
_SCALE = 4  # drawn larger and scaled down, for smooth lines


def _arc(x: float, y: float, rx: float, ry: float, start: float, stop: float) -> list[tuple[float, float]]:
    """Points on an ellipse, angles in degrees, clockwise from the right as y points down."""
    angle = np.radians(np.linspace(start, stop, 16))
    return [(x + rx * a, y + ry * b) for a, b in zip(np.cos(angle), np.sin(angle), strict=True)]


_STROKES: tuple[tuple[list[tuple[float, float]], ...], ...] = (
    (_arc(0, 0, 0.6, 1, 0, 360),),
    ([(-0.3, -0.6), (0.1, -1), (0.1, 1)],),
    ([*_arc(0, -0.45, 0.55, 0.55, 190, 400), (-0.6, 1), (0.65, 1)],),
    (_arc(0, -0.5, 0.5, 0.5, 200, 440), _arc(0, 0.5, 0.6, 0.5, -90, 160)),
    ([(0, -1), (-0.65, 0.3), (0.65, 0.3)], [(0.3, -0.4), (0.3, 1)]),
    ([(0.55, -1), (-0.45, -1), (-0.5, -0.15)], [(-0.5, -0.15), *_arc(0, 0.4, 0.6, 0.6, -110, 150)]),
    ([(0.35, -1), *_arc(0, 0.4, 0.55, 0.6, 200, 180)], _arc(0, 0.4, 0.55, 0.6, 0, 360)),
    ([(-0.6, -1), (0.6, -1), (-0.15, 1)],),
    (_arc(0, -0.5, 0.45, 0.5, 0, 360), _arc(0, 0.5, 0.6, 0.5, 0, 360)),
    (_arc(0, -0.4, 0.55, 0.6, 0, 360), [(0.55, -0.4), (0.4, 1)]),
)
"""The lines of each digit, half a digit high = 1, y down."""


def draw_digit(digit: int, rng: np.random.Generator) -> Bytes:
    """One digit, white on black: (28, 28), `uint8`."""
    from PIL import Image, ImageDraw

    side = SIDE * _SCALE
    image = Image.new("L", (side, side))
    pen = ImageDraw.Draw(image)
    move, width = _placing(rng), int(rng.integers(7, 13))
    for stroke in _STROKES[digit]:
        points = (np.array(stroke) @ move + _middle(rng) * 0.5 + SIDE / 2) * _SCALE
        pen.line([(float(x), float(y)) for x, y in points], fill=255, width=width, joint="curve")
    return noisy(np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX)), rng)


def noisy(pixels: Bytes, rng: np.random.Generator) -> Bytes:
    """The pixels a little weaker, shifted by up to two pixels, with noise."""
    right, down = rng.integers(-2, 3, 2).tolist()
    shifted = np.roll(pixels, (down, right), (0, 1)) * rng.uniform(0.75, 1)
    return np.asarray(np.clip(shifted + rng.normal(0, 10, pixels.shape), 0, 255).astype(np.uint8))


def _middle(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-1, 1, 2)


def _placing(rng: np.random.Generator) -> np.ndarray:
    """Size, slant and turn, as a matrix that points are multiplied with."""
    turn, slant = rng.uniform(-0.15, 0.15), rng.uniform(-0.25, 0.25)
    width, height = rng.uniform(6.5, 9.5, 2)
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return np.asarray(np.array([[width, 0], [-slant * height, height]]) @ turned)
