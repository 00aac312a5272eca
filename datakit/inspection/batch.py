"""A batch taken apart again, for pictures of its samples, and what of it is padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from datakit.inspection.picture import image_in
from datakit.inspection.sound import KEYS, sound_in
from datakit.sample import SEQUENCES, TIME_LAST

_AXES = {"image": 4, "spectrogram": 4, "waveform": 3, "codes": 3, "features": 3}  # of a stacked batch


@dataclass(frozen=True)
class Padding:
    """The lengths in a batch whose sequences were padded to the longest.

    Attributes:
        key: of the sequences.
        lengths: int64 (B,), their valid steps.
        steps: that each has in the batch.
        rate: of the steps, Hz; None where it is not known or differs.
    """

    key: str
    lengths: np.ndarray
    steps: int
    rate: int | None

    @property
    def share(self) -> float:
        """The share of the batch's steps that is padding, in [0, 1]."""
        return 1.0 - float(self.lengths.sum()) / max(1, len(self.lengths) * self.steps)


def padding_of(batch: Any) -> Padding | None:
    """The lengths that `collate.pad` put into a batch; None for one without."""
    if not isinstance(batch, dict):
        return None
    lengths = batch.get("length")
    key = next((key for key in SEQUENCES if isinstance(batch.get(key), torch.Tensor)), None)
    if key is None or not isinstance(lengths, torch.Tensor) or lengths.ndim != 1 or not len(lengths):
        return None
    values: torch.Tensor = batch[key]
    if values.ndim < 2 or len(values) != len(lengths) or not values.numel():
        return None
    rates = batch.get("sample_rate")
    is_one = key == "waveform" and isinstance(rates, torch.Tensor) and len(rates.unique()) == 1
    rate = int(rates[0]) if is_one and rates is not None else None
    return Padding(key, lengths.cpu().numpy(), values.shape[-1 if key in TIME_LAST else 1], rate)


def split(batch: Any) -> list[dict[str, Any]]:
    """The samples of a batch that have an image or a sound, as dicts with what can be drawn; none for any other batch.

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
    return [sample for sample in samples if image_in(sample) is not None or sound_in(sample) is not None]


def _by_key(batch: dict[str, Any]) -> list[dict[str, Any]]:
    stacked = next((batch[key] for key in ("image", *KEYS) if _is_many(batch.get(key), _AXES[key])), None)
    if stacked is None:
        return []
    count = len(stacked)
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


def _is_many(value: Any, axes: int = 4) -> bool:
    """Images (B, C, H, W) or other values of so many axes, stacked or as a list."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return value.ndim == axes
    is_list = isinstance(value, list | tuple) and bool(value)
    return is_list and all(getattr(item, "ndim", 0) == axes - 1 for item in value)


def _length(value: Any) -> int | None:
    if isinstance(value, torch.Tensor | np.ndarray):
        return len(value) if value.ndim else None
    return len(value) if isinstance(value, list) else None


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, torch.Tensor | np.generic) and value.ndim == 0 else value
