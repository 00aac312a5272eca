"""Mean and standard deviation of image channels, merged image by image: sums are kept, not pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

_PIECE = 1 << 18  # pixels at once: a photograph of many megapixels is not held in float64 as a whole
_CHANNELS = (1, 3, 4)
_STRIDE = 16  # pixels


@dataclass(frozen=True)
class Moments:
    """Of the pixels of one image or of many, channel by channel, in float64.

    Attributes:
        count: pixels.
        mean: (C,).
        squares: (C,), sum of the squared deviations from the mean.
    """

    count: int
    mean: np.ndarray
    squares: np.ndarray

    def __add__(self, other: Moments) -> Moments:
        """Those of both together, without the loss of digits of a plain sum of squares.

        T. F. Chan, G. H. Golub, R. J. LeVeque, Updating formulae and a pairwise algorithm for computing sample
        variances, 1979.
        """
        count = self.count + other.count
        step = other.mean - self.mean
        mean = self.mean + step * (other.count / count)
        squares = self.squares + other.squares + step**2 * (self.count * other.count / count)
        return Moments(count, mean, squares)

    @property
    def std(self) -> np.ndarray:
        """(C,), standard deviation of all pixels."""
        return np.sqrt(self.squares / self.count)


def moments_of(image: Any) -> Moments | None:
    """Those of an image as `image_in` finds it; unsigned integers count as [0, 1]. None with values not finite."""
    planes = planes_of(image)
    full = np.iinfo(planes.dtype).max if planes.dtype.kind == "u" else 1
    flat = planes.reshape(len(planes), -1)
    total: Moments | None = None
    for start in range(0, flat.shape[1], _PIECE):
        piece = np.ascontiguousarray(flat[:, start : start + _PIECE], np.float64) / full
        if not np.isfinite(piece).all():
            return None
        mean = piece.mean(1)
        found = Moments(piece.shape[1], mean, ((piece - mean[:, None]) ** 2).sum(1))
        total = found if total is None else total + found
    return total


def planes_of(image: Any) -> np.ndarray:
    """The channels (C, H, W) of an array (H, W, C) or a tensor (C, H, W); one (H, W, C) is known by its shape."""
    if not isinstance(image, torch.Tensor):
        return np.asarray(image).transpose(2, 0, 1)
    image = image.detach().cpu()
    array = (image.float() if image.dtype == torch.bfloat16 else image).numpy()
    return np.asarray(array if array.shape[0] in _CHANNELS else array.transpose(2, 0, 1))


def is_flat(planes: np.ndarray) -> bool:
    """Whether every channel (C, H, W) of an image of two pixels and more has one value only."""
    if planes[0].size < 2:
        return False
    few = planes[:, ::_STRIDE, ::_STRIDE]  # tells nearly always, and a whole photograph is not compared
    return bool((few == planes[:, :1, :1]).all()) and bool((planes == planes[:, :1, :1]).all())
