"""Images and classes with what they were taken for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
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


def confusions(labels: torch.Tensor, answers: torch.Tensor, classes: Sequence[str]) -> list[str]:
    """A table: the share of each class that is told right, and what it is most often taken for otherwise.

    Examples:
        >>> import torch
        >>> from datakit.reference.guesses import confusions
        >>> print(*confusions(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), ["ant", "bee"]), sep="\\n")
        class          right  most often mistaken for
        ant           50.0 %  bee
        bee          100.0 %
    """
    counts = torch.zeros(len(classes), len(classes), dtype=torch.int64)
    counts.index_put_((labels, answers), torch.ones_like(labels), accumulate=True)
    lines = [f"{'class':<12}{'right':>8}  most often mistaken for"]
    for label, name in enumerate(classes):
        row = counts[label].clone()
        right, row[label] = row[label] / max(1, int(row.sum())), 0
        wrong = classes[int(row.argmax())] if row.any() else ""
        lines.append(f"{name:<12}{100 * right:6.1f} %  {wrong}".rstrip())
    return lines


def _tile(pixels: np.ndarray, truth: str, answer: str) -> Tile:
    image = Image.fromarray(pixels)
    scale = max(1, _SIDE // min(image.size))
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC)
    return Tile(image, truth) if answer == truth else Tile(image, f"{truth}\ntaken for {answer}", WRONG, framed=True)
