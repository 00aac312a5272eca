"""Colour changes, on one sample or on a whole batch, on any device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from datakit.sample import Sample
from datakit.transforms.base import Random
from datakit.transforms.geometry import image_size

LUMA = (0.2989, 0.587, 0.114)
"""Weights of R, G and B in grey: ITU-R BT.601, rounded as torchvision rounds them."""


@dataclass(frozen=True, repr=False)
class ColorJitter(Random):
    """Change brightness, contrast and saturation, in this order, each by a factor drawn evenly around 1.

    Works on an array (H, W, C), on a tensor (C, H, W), and on a batch (B, C, H, W), where each image has factors of its
    own. Values stay in their range: [0, 255] for `uint8`, [0, 1] for floating point, so it comes before `Normalize`.

    Args:
        brightness: the factor lies in [1 - brightness, 1 + brightness]; 0 is black.
        contrast: likewise; 0 is the grey of the image's mean.
        saturation: likewise; 0 is the grey image.

    Raises:
        ValueError: for an amount below 0 or above 1.

    Examples:
        >>> import torch
        >>> from datakit.transforms import ColorJitter
        >>> jitter = ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2)
        >>> batch = jitter({"image": torch.rand(8, 3, 32, 32)})
        >>> batch["image"].shape, bool(batch["image"].max() <= 1)
        (torch.Size([8, 3, 32, 32]), True)
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0

    def __post_init__(self) -> None:
        amounts = (self.brightness, self.contrast, self.saturation)
        if not all(0 <= amount <= 1 for amount in amounts):
            raise ValueError(f"ColorJitter needs amounts in [0, 1], got {amounts}")

    def draw(self, sample: Sample, rng: np.random.Generator) -> np.ndarray:
        """Three factors for every image: (B, 3), B = 1 for a single sample."""
        image_size(sample["image"])
        count = len(sample["image"]) if sample["image"].ndim == 4 else 1
        return 1 + rng.uniform(-1, 1, (count, 3)) * (self.brightness, self.contrast, self.saturation)

    def apply(self, sample: Sample, params: np.ndarray) -> Sample:
        """The sample with its image changed by these factors."""
        image = sample["image"]
        if isinstance(image, np.ndarray):
            planes = torch.from_numpy(image.copy()).permute(2, 0, 1)
            changed: Any = self._change(planes, params).permute(1, 2, 0).contiguous().numpy()
        else:
            changed = self._change(image, params)
        return {**sample, "image": changed}

    def _change(self, planes: torch.Tensor, params: np.ndarray) -> torch.Tensor:
        full = 1.0 if planes.is_floating_point() else 255.0
        working = planes.to(planes.dtype if planes.is_floating_point() else torch.float32)
        factors = torch.as_tensor(params, dtype=working.dtype, device=working.device)
        shape = (-1, 1, 1, 1) if planes.ndim == 4 else (1, 1, 1)
        brightness, contrast, saturation = (factors[:, i].view(shape) for i in range(3))
        working = (working * brightness).clamp(0, full)
        working = torch.lerp(_grey(working).mean((-3, -2, -1), keepdim=True), working, contrast).clamp(0, full)
        working = torch.lerp(_grey(working), working, saturation).clamp(0, full)
        return working if planes.is_floating_point() else working.round().to(planes.dtype)


def _grey(planes: torch.Tensor) -> torch.Tensor:
    """(…, 1, H, W)."""
    if planes.shape[-3] != 3:
        return planes.mean(-3, keepdim=True)
    weights = torch.tensor(LUMA, dtype=planes.dtype, device=planes.device).view(3, 1, 1)
    return (planes * weights).sum(-3, keepdim=True)
