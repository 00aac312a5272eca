"""Scenes with schematic figures, and their instance masks: the synthetic copy of Penn-Fudan.

Figures wear strong colours and the streets are dull, so that a model can learn which is which.
"""

from __future__ import annotations

import colorsys
from pathlib import Path
from typing import Any

import numpy as np

_PALETTE = (0, 0, 0, 200, 40, 40, 40, 200, 40, 40, 40, 200, 200, 200, 40)  # what a viewer shows for 0, 1, 2, 3, 4


def write_scenes(folder: Path, n: int, rng: np.random.Generator) -> None:
    """Write `n` images to `folder/PNGImages` and their masks, as palette PNGs, to `folder/PedMasks`."""
    from PIL import Image

    images, masks = folder / "PNGImages", folder / "PedMasks"
    for created in (images, masks):
        created.mkdir(parents=True)
    for number in range(1, n + 1):
        image, instances = draw_scene(rng)
        image.save(images / f"FudanPed{number:05d}.png")
        mask = Image.fromarray(instances)
        mask.putpalette(_PALETTE)
        mask.save(masks / f"FudanPed{number:05d}_mask.png")


def draw_scene(rng: np.random.Generator) -> tuple[Any, np.ndarray]:
    """One scene.

    Returns:
        image: a PIL image in RGB, 120 to 240 pixels a side.
        instances: `uint8` (H, W), 0 for the background, k for figure k; a figure that others hide has no pixels.
    """
    from PIL import Image, ImageDraw

    width, height = (int(side) for side in rng.integers(120, 241, 2))
    image, mask = Image.new("RGB", (width, height)), Image.new("L", (width, height))
    canvas, stencil = ImageDraw.Draw(image), ImageDraw.Draw(mask)
    _draw_street(canvas, width, height, rng)
    for number in range(1, int(rng.integers(1, 5)) + 1):
        tall = rng.uniform(0.4, 0.75) * height
        x, feet = rng.uniform(0.1, 0.9) * width, height * rng.uniform(0.85, 1.0)
        for shape, box_or_points, colour in _figure(x, feet, tall, rng):
            getattr(canvas, shape)(box_or_points, fill=colour)
            getattr(stencil, shape)(box_or_points, fill=number)
    noise = rng.normal(0, 5, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)), np.array(mask)


def _draw_street(canvas: Any, width: int, height: int, rng: np.random.Generator) -> None:
    """Dull houses above a dull ground."""
    canvas.rectangle((0, 0, width, height), fill=_dull(rng))
    x = 0.0
    while x < width:
        wide = rng.uniform(0.1, 0.3) * width
        canvas.rectangle((x, height * rng.uniform(0.05, 0.4), x + wide, height), fill=_dull(rng))
        x += wide
    canvas.rectangle((0, height * rng.uniform(0.6, 0.8), width, height), fill=_dull(rng))


def _figure(x: float, feet: float, tall: float, rng: np.random.Generator) -> list[tuple[str, Any, tuple[int, ...]]]:
    """The shapes of a figure, each with its colour: two legs, a body and a head."""
    head, hip, shoulder = 0.09 * tall, feet - 0.45 * tall, feet - 0.8 * tall
    half, step = rng.uniform(0.11, 0.15) * tall, rng.uniform(0.03, 0.14) * tall
    trousers, shirt, skin = _strong(rng), _strong(rng), _strong(rng, hue=0.06)
    legs = [
        ("polygon", [(x - half * 0.7, hip), (x + half * 0.7, hip), (foot + 3, feet), (foot - 3, feet)], trousers)
        for foot in (x - step, x + step)
    ]
    body = [(x - half, shoulder), (x + half, shoulder), (x + half * 0.75, hip + 2), (x - half * 0.75, hip + 2)]
    circle = (x - head, shoulder - 2 * head, x + head, shoulder + 1)
    return [*legs, ("polygon", body, shirt), ("ellipse", circle, skin)]


def _dull(rng: np.random.Generator) -> tuple[int, ...]:
    return _colour(rng.random(), rng.uniform(0, 0.15), rng.uniform(0.35, 0.8))


def _strong(rng: np.random.Generator, hue: float | None = None) -> tuple[int, ...]:
    return _colour(rng.random() if hue is None else hue, rng.uniform(0.6, 1), rng.uniform(0.5, 0.95))


def _colour(hue: float, saturation: float, value: float) -> tuple[int, ...]:
    return tuple(round(part * 255) for part in colorsys.hsv_to_rgb(hue, saturation, value))
