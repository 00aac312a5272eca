"""A batch taken apart again, for pictures of its samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from datakit.inspection.picture import image_in


def split(batch: Any) -> list[dict[str, Any]]:
    """The samples of a batch that have an image, as dicts with what can be drawn; none for a batch without images.

    Known forms: a dict of stacked or listed values (`collate.stack`, `collate.pad`), `(images, targets)` for detectors
    (`collate.detection`), `[images, labels]` as torch's own collate function makes it, a tensor of images, and a list
    of samples.
    """
    if isinstance(batch, dict):
        samples = _by_key(batch)
    elif isinstance(batch, list | tuple) and batch and _is_many(batch[0]):
        samples = _by_place(batch)
    elif isinstance(batch, list) and all(isinstance(sample, dict) for sample in batch):
        samples = batch
    elif _is_many(batch):
        samples = [{"image": image} for image in batch]
    else:
        samples = []
    return [sample for sample in samples if image_in(sample) is not None]


def _by_key(batch: dict[str, Any]) -> list[dict[str, Any]]:
    if not _is_many(batch.get("image")):
        return []
    count = len(batch["image"])
    sliced = {key: value for key, value in batch.items() if _length(value) == count}
    return [{key: _plain(value[place]) for key, value in sliced.items()} for place in range(count)]


def _by_place(batch: Any) -> list[dict[str, Any]]:
    images, target = batch[0], batch[1] if len(batch) > 1 else None
    samples: list[dict[str, Any]] = [{"image": image} for image in images]
    for place, sample in enumerate(samples):
        if isinstance(target, list | tuple) and len(target) == len(images) and isinstance(target[place], dict):
            sample.update(target[place])
        elif isinstance(target, torch.Tensor) and target.ndim == 1 and len(target) == len(images):
            sample["label"] = _plain(target[place])
    return samples


def _is_many(value: Any) -> bool:
    """Images (B, C, H, W), or a list of images."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return value.ndim == 4
    return isinstance(value, list | tuple) and bool(value) and all(getattr(item, "ndim", 0) == 3 for item in value)


def _length(value: Any) -> int | None:
    if isinstance(value, torch.Tensor | np.ndarray):
        return len(value) if value.ndim else None
    return len(value) if isinstance(value, list) else None


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, torch.Tensor | np.generic) and value.ndim == 0 else value
