"""Images with what they were taken for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from datakit.report.contact_sheet import Tile, sheet
from datakit.report.output import png
from datakit.report.palette import WRONG

_SIDE, _COLUMNS = 176, 6  # pixels of the shorter side


def guesses(images: Sequence[np.ndarray], truths: Sequence[str], answers: Sequence[str]) -> bytes:
    """A sheet of images (H, W, 3) `uint8`; under each its class, and in a frame those that were taken for another.

    Returns:
        A PNG.
    """
    return png(sheet([_tile(*one) for one in zip(images, truths, answers, strict=True)], columns=_COLUMNS))


def spread(count: int, most: int = 24) -> list[int]:
    """Up to `most` places among `count`, from the first to the last."""
    places: list[int] = np.linspace(0, count - 1, min(most, count)).round().astype(int).tolist()
    return places


def _tile(pixels: np.ndarray, truth: str, answer: str) -> Tile:
    image = Image.fromarray(pixels)
    scale = max(1, _SIDE // min(image.size))
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC)
    return Tile(image, truth) if answer == truth else Tile(image, f"{truth}\ntaken for {answer}", WRONG, framed=True)
