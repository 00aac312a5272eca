"""Random images and vectors without files: for tests of loaders and of several devices, and for measuring a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from datakit.chain import Transform
from datakit.dataset import digest
from datakit.derived import Derived
from datakit.sample import Sample
from datakit.sampling import philox

Size = tuple[int, ...]


class RandomData(Derived):
    """Random images or vectors of the sizes asked for, made when they are asked for: no files, no memory.

    The length of a size says what is made:

    | size | key | shape | dtype | meaning |
    | --- | --- | --- | --- | --- |
    | (C, H, W) | image | (C, H, W) | float32 tensor | in [0, 1], as after `ToTensor`: ready for a model |
    | (H, W) | image | (H, W, 3) | uint8 array | as datasets of files give it: for chains of transforms |
    | D or (D,) | data | (D,) | float32 tensor | from the standard normal distribution |
    | any | label | () | int | names in `classes`; has nothing to do with the image |
    | any | index | () | int | number of the record |

    A record is a function of (`seed`, index): the same at any number of workers, processes and epochs.

    Args:
        sizes: one size, or a list of sizes, of which each record takes one at random.
        n: number of records.
        classes: number of classes, which are called `0`, `1`, …; 0 for samples without `label`.
        seed: another seed, other records.
        transform: a callable on a sample.

    Raises:
        ValueError: for a size that is none of these, fewer than one record, or fewer than no classes.

    Examples:
        >>> from datakit.vision import RandomData
        >>> sample = RandomData((3, 224, 224), n=1000, classes=10)[7]
        >>> sample["image"].shape, sample["label"]
        (torch.Size([3, 224, 224]), 3)
        >>> [sample["image"].shape for sample in RandomData([(480, 640), (640, 480)], n=3)]
        [(640, 480, 3), (480, 640, 3), (480, 640, 3)]
        >>> RandomData(5, n=100, classes=0)[0]["data"].shape  # `RandomDataset(5, 100)` of the data-parallel tutorial
        torch.Size([5])
    """

    def __init__(
        self,
        sizes: int | Size | list[Size],
        n: int = 1000,
        classes: int = 10,
        seed: int = 0,
        transform: Transform | None = None,
    ) -> None:
        super().__init__(transform)
        if n < 1 or classes < 0:
            raise ValueError(f"RandomData needs n >= 1 and classes >= 0, got n={n}, classes={classes}")
        self.sizes = _as_sizes(sizes)
        self.n, self.seed = n, seed
        self.classes = [str(label) for label in range(classes)]

    def __len__(self) -> int:
        return self.n

    def read(self, index: int, rng: np.random.Generator | None) -> Sample:
        """The record; `rng` is not drawn from, since a record is the same in every epoch."""
        own, row = self._row(index)
        size = row.pop("size")
        if len(size) == 1:
            return {"data": torch.from_numpy(own.standard_normal(size, np.float32)), **row}
        pixels = np.frombuffer(own.bytes(int(np.prod(size)) * (3 if len(size) == 2 else 1)), np.uint8)
        if len(size) == 2:
            return {"image": pixels.reshape(*size, 3).copy(), **row}
        return {"image": torch.from_numpy(pixels.reshape(size).astype(np.float32)).div_(255), **row}

    def record(self, index: int) -> dict[str, Any]:
        """Size and label of a record."""
        return self._row(index)[1]

    def fingerprint(self) -> str:
        """The arguments."""
        return digest("RandomData", str((self.sizes, self.n, len(self.classes), self.seed)))

    def __repr__(self) -> str:
        sizes = ", ".join("x".join(map(str, size)) for size in self.sizes)
        return f"RandomData({sizes}): {self.n} records, {len(self.classes)} classes"

    def _row(self, index: int) -> tuple[np.random.Generator, dict[str, Any]]:
        """The generator of a record, and what it drew first."""
        own = philox(b"datakit.random", self.seed, index)
        row: dict[str, Any] = {"size": self.sizes[int(own.integers(len(self.sizes)))]}
        if self.classes:
            row["label"] = int(own.integers(len(self.classes)))
        return own, row


def _as_sizes(sizes: int | Size | list[Size]) -> tuple[Size, ...]:
    listed: list[Any] = sizes if isinstance(sizes, list) else [(sizes,) if isinstance(sizes, int) else sizes]
    if not listed or not all(_is_size(size) for size in listed) or len(set(map(len, listed))) > 1:
        raise ValueError(
            f"a size of RandomData is D, (H, W) or (C, H, W) with 1 to 4 channels, and several of one kind are a list "
            f"of tuples; got {sizes!r}"
        )
    return tuple(tuple(map(int, size)) for size in listed)


def _is_size(size: Any) -> bool:
    is_shape = isinstance(size, tuple) and all(isinstance(side, int) and side >= 1 for side in size)
    return is_shape and len(size) in (1, 2, 3) and (len(size) < 3 or size[0] <= 4)
