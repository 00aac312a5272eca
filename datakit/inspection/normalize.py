"""A normalisation that a person names, for images whose own one cannot be found in the chain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from datakit.inspection.batch import split
from datakit.inspection.look import Inspection
from datakit.inspection.picture import image_in
from datakit.transforms import Normalize

BATCH = "the batch"
"""The stage that a normalisation has which only the batch shows, such as one in a collate function."""

_ROUNDING = 1e-3


def with_normalize(inspection: Inspection, normalize: Normalize) -> Inspection:
    """The inspection with `normalize` undone in pictures, in place of what was found in the chain.

    Where nothing was found, it counts as applied by the first stage after which images have values outside [0, 1], and
    if no stage has such, by what made the batch.
    """
    stages = list(inspection.normalize) or [_stage(inspection)]
    return replace(inspection, normalize=dict.fromkeys(stages, normalize))


def _stage(inspection: Inspection) -> str:
    for name, image in _images(inspection):
        if _is_normalized(image):
            return name
    return BATCH


def _images(inspection: Inspection) -> Iterator[tuple[str, Any]]:
    """(stage, image) in the order of stages, of all samples that were seen."""
    for place in range(max((len(seen.stages) for seen in inspection.samples), default=0)):
        for seen in inspection.samples:
            if place < len(seen.stages):
                yield seen.stages[place].name, image_in(seen.stages[place].sample)
    for sample in split(inspection.batch):
        yield BATCH, image_in(sample)


def _is_normalized(image: Any) -> bool:
    if image is None:
        return False
    values = image.detach().cpu().float().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    if values.dtype.kind != "f" or (isinstance(image, torch.Tensor) and not image.is_floating_point()):
        return False
    finite = values[np.isfinite(values)]
    return bool(finite.size) and bool(finite.min() < -_ROUNDING or finite.max() > 1 + _ROUNDING)
