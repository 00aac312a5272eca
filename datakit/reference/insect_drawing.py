"""Ants and bees drawn from a few shapes: the synthetic copy of the folder hymenoptera_data."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from datakit.vision import ImageFolder

CLASSES = ("ants", "bees")
_SIDE, _SCALE = 64, 3  # pixels; drawn larger and scaled down, for smooth edges
_GROUNDS = ((150, 180, 110), (190, 170, 140), (170, 170, 175), (215, 160, 190))  # leaf, sand, stone, petal
_BROWN, _DARK, _YELLOW, _WING = (105, 55, 35), (45, 35, 35), (225, 165, 45), (235, 240, 245)


class Insects(ImageFolder):
    """Has the synthetic copy; what is in its `train` and `val` is read as an `ImageFolder` each."""

    @staticmethod
    def synthesize(root: Path, n: int, rng: np.random.Generator) -> None:
        """As `write_insects`."""
        write_insects(root, n, rng)


def write_insects(root: Path, n: int, rng: np.random.Generator) -> None:
    """Write `n` JPEGs below `root/train`, half as many below `root/val`, in a folder for each class."""
    for split, count in (("train", n), ("val", n // 2)):
        for number in range(count):
            name = CLASSES[number % 2]
            folder = root / split / name
            folder.mkdir(parents=True, exist_ok=True)
            draw_insect(name, rng).save(folder / f"{number:04d}.jpg", quality=92)


def draw_insect(name: str, rng: np.random.Generator) -> Image.Image:
    """One insect, RGB, 64 x 64: anywhere on any ground, looking anywhere."""
    side = _SIDE * _SCALE
    image = Image.new("RGB", (side, side), _tinted(_GROUNDS[rng.integers(len(_GROUNDS))], rng))
    pen, size = _Pen(image), float(rng.uniform(0.3, 0.42)) * side
    (_draw_ant if name == "ants" else _draw_bee)(pen, size, rng)
    turned = image.rotate(float(rng.uniform(0, 360)), fillcolor=image.getpixel((0, 0)))
    right, down = rng.integers(-side // 10, side // 10 + 1, 2).tolist()
    placed = Image.new("RGB", turned.size, turned.getpixel((0, 0)))
    placed.paste(turned, (right, down))
    pixels = np.asarray(placed.resize((_SIDE, _SIDE), Image.Resampling.BOX)) * rng.uniform(0.75, 1.15)
    return Image.fromarray(np.clip(pixels + rng.normal(0, 8, pixels.shape), 0, 255).astype(np.uint8))


class _Pen:
    """Draws in units of an insect's length, about the middle of the picture."""

    def __init__(self, image: Image.Image) -> None:
        self.pen, self.middle = ImageDraw.Draw(image), image.width / 2

    def ellipse(self, size: float, x: float, y: float, width: float, height: float, fill: Any) -> None:
        x, y, width, height = (size * value for value in (x, y, width / 2, height / 2))
        middle = self.middle
        self.pen.ellipse((middle + x - width, middle + y - height, middle + x + width, middle + y + height), fill=fill)

    def line(self, size: float, points: list[tuple[float, float]], width: float, fill: Any) -> None:
        places = [(self.middle + size * x, self.middle + size * y) for x, y in points]
        self.pen.line(places, fill=fill, width=max(1, round(size * width)), joint="curve")


def _draw_ant(pen: _Pen, size: float, rng: np.random.Generator) -> None:
    colour = _tinted(_BROWN if rng.random() < 0.5 else _DARK, rng)
    for side in (-1, 1):
        for root, foot in ((-0.12, -0.5), (0.0, 0.05), (0.1, 0.55)):
            bend = float(rng.uniform(-0.08, 0.08))
            pen.line(size, [(root, 0), ((root + foot) / 2 + bend, 0.35 * side), (foot, 0.62 * side)], 0.05, colour)
        pen.line(size, [(-0.6, 0.1 * side), (-0.85, 0.3 * side), (-1.0, 0.18 * side)], 0.04, colour)
    for x, width, height in ((-0.55, 0.42, 0.38), (0.0, 0.5, 0.22), (0.62, 0.75, 0.5)):
        pen.ellipse(size, x, 0, width, height, colour)


def _draw_bee(pen: _Pen, size: float, rng: np.random.Generator) -> None:
    dark, yellow, wing = _tinted(_DARK, rng), _tinted(_YELLOW, rng), _tinted(_WING, rng)
    pen.ellipse(size, 0.4, 0, 1.2, 0.8, yellow)
    for x in (0.2, 0.5, 0.8):
        height = 0.8 * math.sqrt(1 - ((x - 0.4) / 0.6) ** 2)
        pen.line(size, [(x, -height / 2), (x, height / 2)], 0.14, dark)
    for side in (-1, 1):
        pen.ellipse(size, 0.1, 0.55 * side, 0.45, 0.75, wing)
    pen.ellipse(size, -0.3, 0, 0.6, 0.6, dark)
    pen.ellipse(size, -0.65, 0, 0.35, 0.45, dark)


def _tinted(colour: tuple[int, int, int], rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in np.clip(colour + rng.normal(0, 10, 3), 0, 255))
    return red, green, blue
