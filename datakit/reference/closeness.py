"""How far two sets of images are apart, without a net that was trained to see."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

_BLOCK = 4  # pixels


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """The energy distance of two sets of images, each taken for draws from a distribution.

    It is a metric: 0 between two draws from one distribution, up to chance, and never greater than the detour over a
    third set. Each block of 4 x 4 pixels counts as one, so that colours and shapes matter and grain does not. Source:
    Székely and Rizzo, Energy statistics, https://doi.org/10.1016/j.jspi.2013.03.018; as a U-statistic, which small sets
    do not draw upwards; where that comes out below 0, it is 0.

    Args:
        one: (B, C, H, W), in [0, 1].
        other: (B', C, H, W), likewise.

    Examples:
        >>> import torch
        >>> from datakit.reference.closeness import distance
        >>> dark, light = torch.rand(2, 200, 3, 64, 64) / 2
        >>> distance(dark, light) < 0.1 < distance(dark, light + 0.5)
        True
    """
    a, b = _points(one), _points(other)
    return math.sqrt(max(0.0, 2 * torch.cdist(a, b).mean().item() - _spread(a) - _spread(b)))


def noise_like(images: torch.Tensor, count: int) -> torch.Tensor:
    """Noise (count, C, H, W) in which each pixel has the mean and the standard deviation that it has in `images`.

    The pixels have nothing to do with each other. What is beyond [0, 1] is cut off.
    """
    mean, std = images.mean(0), images.std(0)
    return (mean + std * torch.randn(count, *mean.shape)).clamp(0, 1)


def _points(images: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(images.cpu(), _BLOCK).flatten(1).double()


def _spread(points: torch.Tensor) -> float:
    """The mean distance of two different points."""
    return torch.cdist(points, points).sum().item() / (len(points) * (len(points) - 1))
