"""From the image of a sample, whatever its type and range, to pixels that can be shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from datakit.border import as_image
from datakit.chain import name_of, steps
from datakit.dataset import Dataset
from datakit.transforms import Normalize

_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Picture:
    """Pixels to show.

    Attributes:
        pixels: (H, W, 3), uint8, RGB.
        note: what was done to the values so that they can be seen; empty where nothing was.
    """

    pixels: np.ndarray
    note: str = ""


def image_in(sample: Any) -> Any:
    """The image of a sample: its `image`, or the first value of a tuple that looks like one; None without any."""
    if isinstance(sample, dict):
        value = as_image(sample.get("image"))
        return value if _is_image(value) else None
    values = sample if isinstance(sample, list | tuple) else [sample]
    return next((value for value in map(as_image, values) if _is_image(value)), None)


def shown(image: Any, normalize: Normalize | None = None) -> Picture:
    """The picture of an array (H, W, C) or a tensor (C, H, W), `uint8` or floating point.

    Args:
        image: as `image_in` finds it.
        normalize: what was applied to it last, to be undone. Other floating-point values outside [0, 1] are rescaled,
            and the note says so.
    """
    note = ""
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu()
        if normalize is not None and image.is_floating_point() and len(normalize.mean) in (1, image.shape[0]):
            image, note = normalize.undo(image), "Normalize undone"
        planes = image if image.shape[0] in _CHANNELS else image.permute(2, 0, 1)
        image = (planes if planes.dtype == torch.uint8 else planes.float()).permute(1, 2, 0).numpy()
    if image.dtype != np.uint8:
        image, note = _to_bytes(image, note)
    return Picture(np.ascontiguousarray(_to_rgb(image)), note)


def normalizers(dataset: Dataset | None) -> dict[str, Normalize]:
    """The normalisations in a dataset's chain, by the name of the stage that they are; `loaded` is a foreign dataset's.

    Also found: those of datasets inside, and torchvision's.
    """
    found: dict[str, Normalize] = {}
    for part in _parts(dataset):
        for step in steps(getattr(part, "transform", None)):
            if (normalize := _normalize_in(step)) is not None:
                found[name_of(step)] = normalize
        if (inner := _normalize_in(getattr(getattr(part, "foreign", None), "transform", None))) is not None:
            found["loaded"] = inner
    return found


def _parts(dataset: Any) -> Iterator[Any]:
    if isinstance(dataset, Dataset):
        yield dataset
        for inner in (getattr(dataset, "dataset", None), *getattr(dataset, "datasets", ())):
            yield from _parts(inner)


def _normalize_in(step: Any) -> Normalize | None:
    if isinstance(step, Normalize):
        return step
    for inner in reversed(getattr(step, "transforms", ())):
        if (found := _normalize_in(inner)) is not None:
            return found
    if type(step).__name__ == "Normalize" and hasattr(step, "mean") and hasattr(step, "std"):
        return Normalize(tuple(step.mean), tuple(step.std))
    return None


def _is_image(value: Any) -> bool:
    if isinstance(value, torch.Tensor):  # a batch that never saw ToTensor has images (H, W, C)
        return value.ndim == 3 and value.numel() > 0 and (value.shape[0] in _CHANNELS or value.shape[2] in _CHANNELS)
    is_array = isinstance(value, np.ndarray) and value.ndim == 3 and value.dtype.kind in "buif"
    return is_array and value.shape[2] in _CHANNELS and value.size > 0


def _to_bytes(values: np.ndarray, note: str) -> tuple[np.ndarray, str]:
    values = values.astype(np.float32)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if not note and (low < -1e-3 or high > 1 + 1e-3):
        values = (values - low) / max(high - low, 1e-12)
        note = f"{low:.3g} … {high:.3g} shown as black … white"
    values = np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0)
    return (values.clip(0, 1) * 255).round().astype(np.uint8), note


def _to_rgb(image: np.ndarray) -> np.ndarray:
    if image.shape[2] == 1:
        return image.repeat(3, 2)
    if image.shape[2] == 4:
        alpha = image[:, :, 3:].astype(np.float32) / 255
        return (image[:, :, :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)
    return image
