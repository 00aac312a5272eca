"""The labels of records: of a sample, of a whole index without decoding, and how often each class is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from datakit.dataset import Dataset
from datakit.derived import AsTuple, Concat, Mapped, Subset
from datakit.inspection.survey import ClassCounts

_BACKGROUND = {"background", "__background__"}
_SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing", "dev", "eval"}


def is_split(name: str) -> bool:
    """Whether a folder of this name is a split of a dataset, and no class.

    Examples:
        >>> is_split("train"), is_split("ants")
        (True, False)
    """
    return name.lower() in _SPLITS


def labels_of(sample: Any) -> tuple[str, np.ndarray] | None:
    """The class numbers of a sample and their key: `label` of a record, or `labels` of its objects; None without any.

    In a tuple the first whole number is the label. A floating-point label is a value, several of them are no class.
    """
    if isinstance(sample, dict):
        label, labels = _numbers(sample.get("label"), 0), _numbers(sample.get("labels"), 1)
        return ("label", label.reshape(1)) if label is not None else ("labels", labels) if labels is not None else None
    if not isinstance(sample, list | tuple):
        return None
    whole = (_numbers(value, 0) for value in sample)
    inner = (labels_of(value) for value in sample if isinstance(value, dict))
    first = next((("label", value.reshape(1)) for value in whole if value is not None), None)
    return first or next((found for found in inner if found), None)


def _numbers(value: Any, axes: int) -> np.ndarray | None:
    if isinstance(value, list):
        is_plain = axes == 1 and all(isinstance(item, int) for item in value)
        return np.array(value, np.int64) if is_plain else None
    if isinstance(value, torch.Tensor):
        value = None if value.is_floating_point() else value.detach().cpu().numpy()
    elif not isinstance(value, np.ndarray | np.generic | int):
        return None
    array = np.asarray(value)
    return array.astype(np.int64) if array.dtype.kind in "biu" and array.ndim == axes else None


def all_labels(dataset: Any) -> np.ndarray | None:
    """The `label` of every record, (n,), from the index, nothing decoded; None where that is not known.

    Also found: those of datasets inside, and `targets` of torchvision's datasets.
    """
    if isinstance(dataset, Subset):
        inner = all_labels(dataset.dataset)
        return None if inner is None else inner[dataset.indices]
    if isinstance(dataset, Concat):
        parts = [part for part in map(all_labels, dataset.datasets) if part is not None]
        return np.concatenate(parts) if len(parts) == len(dataset.datasets) else None
    if isinstance(dataset, AsTuple):
        return all_labels(dataset.dataset)
    if isinstance(dataset, Mapped):
        return _targets(dataset)
    columns = getattr(dataset, "columns", None)
    has_labels = isinstance(dataset, Dataset) and columns is not None and "label" in columns.names
    return _one_each(columns.column("label"), len(dataset)) if has_labels else None  # type: ignore[union-attr]


def _targets(mapped: Mapped) -> np.ndarray | None:
    foreign = mapped.foreign
    is_changed = mapped.fn is not None or getattr(foreign, "target_transform", None) is not None
    is_known = type(foreign).__module__.startswith("torchvision.datasets")
    return _one_each(getattr(foreign, "targets", None), len(mapped)) if is_known and not is_changed else None


def _one_each(values: Any, count: int) -> np.ndarray | None:
    array = _numbers(values, 1) if isinstance(values, list | np.ndarray | torch.Tensor) else None
    return array if array is not None and len(array) == count else None


def class_counts(key: str, counts: Mapping[int, int], classes: Sequence[str], *, of_all: bool) -> ClassCounts:
    """How often each class is there: all that have a name, and what else was met by its number."""
    numbers = [*range(len(classes)), *sorted(number for number in counts if not 0 <= number < len(classes))]
    if key == "labels" and classes and str(classes[0]).lower() in _BACKGROUND and not counts.get(0):
        numbers = numbers[1:]  # torchvision's detectors keep 0 for what is no object
    names = (str(classes[number]) if 0 <= number < len(classes) else str(number) for number in numbers)
    return ClassCounts(key, tuple(names), tuple(int(counts.get(number, 0)) for number in numbers), of_all)
