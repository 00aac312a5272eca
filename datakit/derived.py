"""Datasets made of others: `Subset`, `Concat`, `Mapped`, `AsTuple`.

They keep every promise: the generator is handed down, and an error keeps the place that it came from.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datakit.border import as_image
from datakit.chain import Transform, trace
from datakit.dataset import Dataset, digest
from datakit.errors import DatakitError
from datakit.foreign import seeded


class Derived(Dataset):
    """A dataset made of others: no files of its own."""

    def __init__(self, transform: Transform | None = None) -> None:
        self.transform = transform
        self.split = None

    def path_of(self, index: int) -> str | None:
        """None: what a foreign record is made of is not known."""
        return None

    def files_of(self, index: int) -> tuple[Path, ...]:
        """None that are known."""
        return ()

    def record(self, index: int) -> dict[str, Any]:
        """The index alone: what a foreign record holds is not known without reading it."""
        return {"index": index}

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {len(self)} records"


def _known(dataset: Dataset, what: str) -> np.ndarray:
    """What a dataset says of all its records without loading them.

    Raises:
        DatakitError: it does not say that.
    """
    tell = getattr(dataset, what, None)
    if tell is None:
        raise DatakitError(f"{dataset!r} has no {what}(): nothing but its samples says how long they are")
    return np.asarray(tell())


class Subset(Derived):
    """The records of `dataset` at `indices`, in that order; `transform` runs after the dataset's own.

    Args:
        dataset: any datakit dataset.
        indices: int (n,); each within the dataset.

    Raises:
        IndexError: for an index outside the dataset.

    Examples:
        >>> from datakit import Mapped, Subset
        >>> numbers = Mapped([{"number": n} for n in range(10)])
        >>> part = Subset(numbers, [7, 2])
        >>> [sample["number"] for sample in part]
        [7, 2]
    """

    def __init__(
        self, dataset: Dataset, indices: Iterable[int] | np.ndarray, transform: Transform | None = None
    ) -> None:
        super().__init__(transform)
        self.dataset = dataset
        self.indices = np.asarray(indices if isinstance(indices, np.ndarray) else list(indices), dtype=np.int64)
        self.classes, self.collate_fn = dataset.classes, dataset.collate_fn
        outside = self.indices[(self.indices < 0) | (self.indices >= len(dataset))]
        if len(outside):
            raise IndexError(f"{len(outside)} indices, first {outside[0]}, are outside a dataset of {len(dataset)}")

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, index: int, rng: np.random.Generator | None) -> Any:
        """The sample of the underlying dataset."""
        return self.dataset.get(int(self.indices[index]), rng)

    def stages(self, index: int, rng: np.random.Generator | None) -> Iterator[tuple[str, Any]]:
        """Those of the underlying record, then this dataset's own."""
        return _then(self.dataset.stages(int(self.indices[index]), rng), self.transform, rng)

    def path_of(self, index: int) -> str | None:
        """The file behind the record of the underlying dataset."""
        return self.dataset.path_of(int(self.indices[index]))

    def record(self, index: int) -> dict[str, Any]:
        """That of the underlying dataset."""
        return self.dataset.record(int(self.indices[index]))

    def lengths(self) -> np.ndarray:
        """Those of the underlying dataset at `indices`, (n,), where it knows them."""
        return np.asarray(_known(self.dataset, "lengths")[self.indices])

    def durations(self) -> np.ndarray:
        """Those of the underlying dataset at `indices`, (n,), seconds, where it knows them."""
        return np.asarray(_known(self.dataset, "durations")[self.indices])

    def fingerprint(self) -> str:
        """That of the underlying dataset with the indices."""
        return digest("Subset", self.dataset.fingerprint(), self.indices.tobytes())


class Concat(Derived):
    """Datasets one after another; `transform` runs after their own.

    Raises:
        ValueError: for no datasets at all.

    Examples:
        >>> from datakit import Concat, Mapped
        >>> both = Concat([Mapped([{"number": 1}]), Mapped([{"number": 2}, {"number": 3}])])
        >>> len(both), both[2]["number"]
        (3, 3)
    """

    def __init__(self, datasets: Iterable[Dataset], transform: Transform | None = None) -> None:
        super().__init__(transform)
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("Concat needs at least one dataset")
        self.ends = np.cumsum([len(dataset) for dataset in self.datasets]).tolist()
        self.classes = self.datasets[0].classes
        own = {dataset.collate_fn for dataset in self.datasets}
        self.collate_fn = own.pop() if len(own) == 1 else None

    def part_of(self, index: int) -> tuple[Dataset, int]:
        """The dataset in which `index` falls, and the index there."""
        part = bisect_right(self.ends, index)
        return self.datasets[part], index - (self.ends[part - 1] if part else 0)

    def __len__(self) -> int:
        return int(self.ends[-1])

    def read(self, index: int, rng: np.random.Generator | None) -> Any:
        """The sample of the dataset in which `index` falls."""
        dataset, inner = self.part_of(index)
        return dataset.get(inner, rng)

    def stages(self, index: int, rng: np.random.Generator | None) -> Iterator[tuple[str, Any]]:
        """Those of the underlying record, then this dataset's own."""
        dataset, inner = self.part_of(index)
        return _then(dataset.stages(inner, rng), self.transform, rng)

    def path_of(self, index: int) -> str | None:
        """The file behind the record of the dataset in which `index` falls."""
        dataset, inner = self.part_of(index)
        return dataset.path_of(inner)

    def lengths(self) -> np.ndarray:
        """Those of all datasets, (n,), where they know them."""
        return np.concatenate([_known(dataset, "lengths") for dataset in self.datasets])

    def durations(self) -> np.ndarray:
        """Those of all datasets, (n,), seconds, where they know them."""
        return np.concatenate([_known(dataset, "durations") for dataset in self.datasets])

    def record(self, index: int) -> dict[str, Any]:
        """That of the dataset in which `index` falls."""
        dataset, inner = self.part_of(index)
        return dataset.record(inner)

    def fingerprint(self) -> str:
        """Those of all datasets."""
        return digest("Concat", *(dataset.fingerprint() for dataset in self.datasets))


class Mapped(Derived):
    """Any map-style dataset under datakit's promises: torchvision's, a list; for Hugging Face's there is `from_hf`.

    Reading `foreign[i]` and `fn` both run with the global generators seeded from the sample's key, so a dataset that
    augments by itself is as reproducible as ours. An `image` that is a PIL image becomes an array.

    Args:
        foreign: anything with `len()` and `[i]`.
        fn: turns an item into a sample dict; by default the item is the sample.
        transform: runs on the sample.

    Raises:
        TypeError: where `foreign` has no length or cannot be indexed.

    Examples:
        >>> from datakit import Mapped
        >>> pairs = [(1.5, 0), (2.5, 1)]  # or a dataset of torchvision: Mapped(Flowers102("data"), ...)
        >>> dataset = Mapped(pairs, lambda pair: {"value": pair[0], "label": pair[1]})
        >>> dataset[1]
        {'index': 1, 'value': 2.5, 'label': 1}
    """

    def __init__(
        self, foreign: Any, fn: Callable[[Any], Any] | None = None, transform: Transform | None = None
    ) -> None:
        super().__init__(transform)
        if isinstance(foreign, str | bytes) or not (hasattr(foreign, "__len__") and hasattr(foreign, "__getitem__")):
            shown = f" {foreign!r}" if isinstance(foreign, str | bytes) else ""
            is_stream = hasattr(foreign, "__iter__") and not shown
            hint = "; of what can only be iterated over make a datakit.Stream or, of Hugging Face, from_hf" * is_stream
            raise TypeError(f"Mapped needs a dataset with len() and [i], got {type(foreign).__name__}{shown}{hint}")
        self.foreign, self.fn = foreign, fn
        self.classes = getattr(foreign, "classes", ())

    def __len__(self) -> int:
        return len(self.foreign)

    def read(self, index: int, rng: np.random.Generator | None) -> Any:
        """The foreign item as a sample."""
        with seeded(rng):
            item = self.foreign[index]
            sample = self.fn(item) if self.fn else item
        if isinstance(sample, dict) and "image" in sample:
            sample = {**sample, "image": as_image(sample["image"])}
        return sample

    def fingerprint(self) -> str:
        """The foreign type and length, with Hugging Face's own fingerprint where there is one."""
        own = getattr(self.foreign, "_fingerprint", "")
        return digest("Mapped", type(self.foreign).__name__, str(len(self)), str(own))

    def __repr__(self) -> str:
        return f"Mapped({type(self.foreign).__name__}): {len(self)} records"


class AsTuple(Derived):
    """The samples of `dataset` as tuples of `keys`; made by `Dataset.as_tuple`."""

    def __init__(self, dataset: Dataset, keys: Sequence[str]) -> None:
        super().__init__()
        self.dataset, self.keys = dataset, tuple(keys)
        self.classes = dataset.classes

    def __len__(self) -> int:
        return len(self.dataset)

    def read(self, index: int, rng: np.random.Generator | None) -> tuple[Any, ...]:
        """The values of `keys`."""
        sample = self.dataset.get(index, rng)
        missing = [key for key in self.keys if key not in sample]
        if missing:
            raise ValueError(f"as_tuple asks for {missing}, the sample has {sorted(sample)}")
        return tuple(sample[key] for key in self.keys)

    def stages(self, index: int, rng: np.random.Generator | None) -> Iterator[tuple[str, Any]]:
        """Those of the underlying record, then the tuple."""
        sample: Any = None
        for name, sample in self.dataset.stages(index, rng):
            yield name, sample
        yield f"as_tuple{self.keys}", tuple(sample[key] for key in self.keys)

    def record(self, index: int) -> dict[str, Any]:
        """That of the dataset."""
        return self.dataset.record(index)

    def path_of(self, index: int) -> str | None:
        """The file behind the record."""
        return self.dataset.path_of(index)

    def fingerprint(self) -> str:
        """That of the dataset."""
        return self.dataset.fingerprint()


def _then(
    stages: Iterator[tuple[str, Any]], transform: Transform | None, rng: np.random.Generator | None
) -> Iterator[tuple[str, Any]]:
    """The stages of an inner dataset, then those of the wrapper's own transform."""
    last: Any = None
    for name, last in stages:
        yield name, last
    following = trace(lambda: last, transform, rng)
    next(following)
    yield from following
