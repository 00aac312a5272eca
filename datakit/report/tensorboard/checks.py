"""What scores must be."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from datakit.errors import DatakitError


def scores_of(scores: Any, who: str) -> np.ndarray:
    """Probabilities as float64 (N, C), from an array or a tensor on any device.

    Raises:
        DatakitError: for another shape, and for values outside [0, 1].
    """
    values = scores.detach().cpu().float().numpy() if isinstance(scores, torch.Tensor) else np.asarray(scores)
    if values.ndim != 2 or not values.size or values.dtype.kind not in "fiub":
        raise DatakitError(f"{who}: scores are numbers (N, C), one row a sample, got {values.dtype} {values.shape}")
    values = values.astype(np.float64)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        span = f"{values.min():.3g} … {values.max():.3g}"
        raise DatakitError(f"{who}: scores are probabilities in [0, 1], got {span}; give logits.softmax(1)")
    return values


def labels_of_scores(labels: Any, scores: np.ndarray, who: str) -> np.ndarray:
    """Class numbers (N,), one for each row of `scores`.

    Raises:
        DatakitError: for another number of them, and for one that is no column of `scores`.
    """
    values = labels.detach().cpu().numpy() if isinstance(labels, torch.Tensor) else np.asarray(labels)
    if values.shape != scores.shape[:1] or values.dtype.kind not in "biu":
        raise DatakitError(f"{who}: labels are {len(scores)} whole numbers, got {values.dtype} {values.shape}")
    if values.min() < 0 or values.max() >= scores.shape[1]:
        span = f"{values.min()} … {values.max()}"
        raise DatakitError(f"{who}: the scores are of {scores.shape[1]} classes, but the labels go {span}")
    return values
