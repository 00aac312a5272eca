"""What the checks of `datakit inspect` find in one record, before it is put into words for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

from datakit.inspection.labels import labels_of
from datakit.inspection.picture import image_in
from datakit.inspection.seen import Stage

LOADED = "loaded"
"""The name of the first stage."""

Kind: TypeAlias = Literal[
    "not finite", "bytes", "range", "twice", "far", "statistics", "constant", "silent", "loud", "loud mask", "clipped",
    "label", "masks", "outside", "empty", "lengths", "unlabelled", "no text", "no tokens", "token type", "no number",
    "pad inside", "no shift", "flat", "no values", "same points", "one point", "same boxes", "other box", "no pixels",
    "not text",
]  # fmt: skip


@dataclass(frozen=True)
class Trouble:
    """One kind of trouble in one record.

    Attributes:
        kind: what it is.
        key: of the sample.
        stage: after which it is there first.
        low: least of the values in question.
        high: greatest of them.
        count: how many values, points or boxes are in question.
        of: how many there are.
        detail: what cannot be said in numbers.
    """

    kind: Kind
    key: str
    stage: str
    low: float = 0.0
    high: float = 0.0
    count: int = 0
    of: int = 0
    detail: str = ""


def values_of(sample: Any) -> dict[str, Any]:
    """The keys of a sample; those of a tuple as a dict would name them: `image`, `label`, and the keys of its dicts."""
    if isinstance(sample, dict):
        image = image_in(sample)
        return sample if image is None else {**sample, "image": image}
    if not isinstance(sample, list | tuple):
        return {}
    inner = {key: value for part in sample if isinstance(part, dict) for key, value in part.items()}
    image, labels = image_in(sample), labels_of(sample)
    label = {"label": int(labels[1][0])} if labels is not None and labels[0] == "label" else {}
    return {**inner, **label, **({} if image is None else {"image": image})}


def each(stages: tuple[Stage, ...], key: str) -> Iterator[tuple[str, np.ndarray]]:
    """(stage, array) of a key at every stage where it holds numbers."""
    for stage in stages:
        array = numbers(values_of(stage.sample).get(key))
        if array is not None:
            yield stage.name, array


def numbers(value: Any) -> np.ndarray | None:
    """An array of the numbers in an array, a tensor, or a single number; None for anything else."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    is_known = isinstance(value, np.ndarray | np.generic | int | float) and np.asarray(value).dtype.kind in "biuf"
    return np.asarray(value) if is_known else None


def finite(array: np.ndarray) -> np.ndarray:
    """The finite values, flat."""
    flat = array.ravel()
    return flat if flat.dtype.kind in "biu" else flat[np.isfinite(flat)]
