"""Records that a model is tested on and never trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from datakit.dataset import Dataset
from datakit.errors import MissingDataError
from datakit.reference.checks import Bar


def held_out(groups: Sequence[str], share: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the held-out records and of the others. Records of one group, such as one file, stay together.

    The groups are ordered by a hash of their names, so that a record more or less moves no other one.

    Args:
        groups: the group of each record.
        share: of the groups that are held out, in (0, 1); at least one is.

    Raises:
        MissingDataError: where there is but one group, or none.

    Examples:
        >>> from datakit.reference.split import held_out
        >>> test, train = held_out(["a.jpg", "b.jpg", "b.jpg", "c.jpg", "d.jpg"], share=0.25)
        >>> len(test) + len(train), set(test) & set(train)
        (5, set())
    """
    order = sorted(set(groups), key=lambda name: hashlib.sha256(name.encode()).digest())
    if len(order) < 2:
        raise MissingDataError(f"some are held out and others learnt from: two or more are needed, got {len(order)}")
    chosen = set(order[: max(1, round(share * len(order)))])
    is_chosen = np.array([name in chosen for name in groups])
    return np.flatnonzero(is_chosen), np.flatnonzero(~is_chosen)


def leaked(train: Dataset, test: Dataset) -> int:
    """How many images or recordings of `test` are, value for value, in `train` too. Both without transforms.

    Examples:
        >>> from datakit import Subset
        >>> from datakit.reference.split import leaked
        >>> from datakit.vision import FaceLandmarks
        >>> faces = FaceLandmarks.synthetic(n=6)
        >>> leaked(Subset(faces, [0, 1, 2]), Subset(faces, [2, 3]))
        1
    """
    known = {_digest(train, index) for index in range(len(train))}
    return sum(_digest(test, index) in known for index in range(len(test)))


def no_leak(what: str = "images") -> Bar:
    """The bar for what `leaked` counts."""
    return Bar(f"{what} both trained on and tested on", 0, "low")


def _digest(dataset: Dataset, index: int) -> bytes:
    sample = dataset[index]
    values = np.ascontiguousarray(sample["image"] if "image" in sample else sample["waveform"])
    return hashlib.sha256(f"{values.shape} {values.dtype} ".encode() + values.tobytes()).digest()
