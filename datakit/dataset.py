"""The base of every dataset: lazy, keyed, and honest about which record failed.

A dataset of files subclasses `Dataset` and writes `index` and `load`.
"""

from __future__ import annotations

import copy
import hashlib
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
import torch.utils.data

from datakit import probe
from datakit.chain import Transform, apply, steps, trace
from datakit.columns import Columns, Record
from datakit.errors import DatakitError, SampleError, UnknownNameError
from datakit.files import Remote, ensure
from datakit.files.prepare import lacking
from datakit.foreign import preserved
from datakit.sample import Sample
from datakit.sampling import Key
from datakit.synthetic import synthetic_root

if TYPE_CHECKING:
    from datakit.derived import AsTuple


class Failed(NamedTuple):
    """A record that could not be read, on its way from a worker to the loader."""

    key: Key
    error: SampleError


class LoaderKey(Key):
    """A key that asks for a failed record as a value, `Failed`, so that the loader can decide what to do with it."""


class Batch(list[Any]):
    """The samples of one batch, with the keys that they were read under.

    Attributes:
        keys: those that were asked for.
        length: of a stream, with its last batch; else None.
        error: why a stream cannot go on; there are no samples then.
    """

    def __init__(
        self,
        samples: Iterable[Any],
        keys: Sequence[Any],
        *,
        length: int | None = None,
        error: DatakitError | None = None,
    ) -> None:
        super().__init__(samples)
        self.keys, self.length, self.error = keys, length, error


class Dataset(torch.utils.data.Dataset[Any]):
    """A map-style dataset of samples, read from files below `root` when they are asked for.

    `dataset[Key(seed, epoch, index)]` is a function of the key. `dataset[3]` draws from the global generators.

    A subclass lists its `remotes` and `splits` and writes `index` (names and labels only) and `load` (decode one
    record). A column named `file` or `path` is used in messages.

    Args:
        root: the folder that holds what the archives unpack to.
        split: one of `splits`, where the dataset has any; the first by default.
        transform: a callable on a sample.
        download: fetch what is missing.

    Attributes:
        needed: patterns of files below `root`, of each of which `missing` wants one; beside what `remotes` produce.
        mixed_splits: those of `splits` that hold records of the others, such as `all`.
        columns: the records, as `index` gave them.
        classes: names of the labels, where there are labels.
        collate_fn: what a `Loader` makes batches by, unless it is given another; None for `collate.stack`.

    Raises:
        MissingDataError: what the dataset needs is not below `root`.
        CorruptDataError: an index file is not what it should be.
        UnknownNameError: for a split that the dataset does not have.

    Examples:
        >>> from datakit import Columns, Dataset
        >>> class Squares(Dataset):
        ...     '''Numbers and their squares.'''
        ...
        ...     def index(self):
        ...         return Columns(number=range(5))
        ...
        ...     def load(self, record):
        ...         return {"number": record.number, "square": record.number**2}
        >>> squares = Squares("data")
        >>> squares
        Squares('data'): 5 records
        >>> squares[3]
        {'index': 3, 'number': 3, 'square': 9}
    """

    remotes: ClassVar[tuple[Remote, ...]] = ()
    splits: ClassVar[tuple[str, ...]] = ()
    mixed_splits: ClassVar[tuple[str, ...]] = ()
    classes: Sequence[str] = ()
    collate_fn: Callable[[Sequence[Any]], Any] | None = None
    needed: ClassVar[tuple[str, ...]] = ()
    columns: Columns

    def __init__(
        self, root: str | Path, split: str | None = None, transform: Transform | None = None, *, download: bool = False
    ) -> None:
        if split is not None and not self.splits:
            raise UnknownNameError(f"{type(self).__name__} has no splits, got {split!r}")
        if split is not None and split not in self.splits:
            raise UnknownNameError.of(f"split of {type(self).__name__}", split, self.splits)
        self.root = Path(root)
        self.split = split or next(iter(self.splits), None)
        self.transform = transform
        ensure(self.remotes, self.root, download=download)
        self.columns = self.index()

    @classmethod
    def remotes_of(cls, split: str | None) -> tuple[Remote, ...]:
        """What a split needs of `remotes`: all of them, unless the dataset says otherwise; all for None."""
        return cls.remotes

    @classmethod
    def missing(cls, root: str | Path, split: str | None = None) -> list[str]:
        """What a split, or any for None, needs and is not below `root`: paths that `download` would bring.

        Names are looked for, nothing is read; empty where the dataset can be opened, as far as names tell.

        Examples:
            >>> from datakit.vision import FaceLandmarks
            >>> FaceLandmarks.missing("nowhere")
            ['faces']
            >>> FaceLandmarks.missing(FaceLandmarks.synthetic(n=4).root)
            []
        """
        found = lacking(cls.remotes_of(split), root)
        return found or [pattern for pattern in cls.needed if next(Path(root).glob(pattern), None) is None]

    def index(self) -> Columns:
        """Read names and labels, no contents."""
        raise NotImplementedError(f"{type(self).__name__} must say what its records are: def index(self) -> Columns")

    def load(self, record: Record) -> Sample:
        """Decode one record."""
        raise NotImplementedError(f"{type(self).__name__} must decode a record: def load(self, record) -> dict")

    @staticmethod
    def synthesize(root: Path, n: int, rng: np.random.Generator) -> None:
        """Write a small, learnable copy with `n` records below `root`, in the real layout."""
        raise NotImplementedError("this dataset has no synthetic copy")

    @classmethod
    def synthetic(cls, n: int = 64, *, seed: int = 0, **options: Any) -> Self:
        """The dataset over a synthetic copy of `n` records; `options` as for `cls`.

        The copy is written once, to the folder that DATAKIT_CACHE names (by default below ~/.cache/datakit), and used
        again by everyone: copy it before you change it.

        Examples:
            >>> from datakit.vision import FaceLandmarks
            >>> len(FaceLandmarks.synthetic(n=4))
            4
        """
        return cls(synthetic_root(cls, n, seed), **options)

    def __len__(self) -> int:
        return len(self.columns)

    def __getitem__(self, key: int | Key) -> Any:
        if not isinstance(key, Key):
            return self.get(key)
        try:
            return self.get(key.index, key.generator() if self._draws else None)
        except SampleError as error:
            if isinstance(key, LoaderKey):
                return Failed(key, error)
            raise

    def __getitems__(self, keys: Sequence[int | Key]) -> Batch:
        """The samples of a batch; `DataLoader` asks for them at once."""
        with preserved():
            return Batch([self[key] for key in keys], keys)

    def get(self, index: int, rng: np.random.Generator | None = None) -> Any:
        """Sample `index`, its transforms drawing from `rng`, or from the global generators where that is None.

        Raises:
            IndexError: outside the dataset.
            SampleError: with dataset, index, path and stage, for anything that goes wrong.
        """
        index = self.position(index)
        with self._placing(index):
            sample = self._loaded(index, rng)
            for step in steps(self.transform):
                sample = apply(step, sample, rng)
            return sample

    def trace(self, key: int | Key) -> Iterator[tuple[str, Any]]:
        """The sample as loaded and after every transform: (name of the stage, sample).

        Examples:
            >>> from datakit import Key
            >>> from datakit.transforms import Compose, Rescale, ToTensor
            >>> from datakit.vision import FaceLandmarks
            >>> faces = FaceLandmarks.synthetic(n=4, transform=Compose([Rescale(64), ToTensor()]))
            >>> for stage, sample in faces.trace(Key(seed=0, epoch=0, index=1)):
            ...     print(stage, tuple(sample["image"].shape))
            loaded (389, 209, 3)
            Rescale(64) (119, 64, 3)
            ToTensor() (3, 119, 64)
        """
        rng = key.generator() if isinstance(key, Key) else None
        index = self.position(key.index if isinstance(key, Key) else key)
        with self._placing(index):
            yield from self.stages(index, rng)

    def read(self, index: int, rng: np.random.Generator | None) -> Any:
        """Record `index` before the transforms; `rng` is for datasets that wrap others."""
        return self.load(self.columns[index])

    def path_of(self, index: int) -> str | None:
        """The file behind a record, for messages, without reading it."""
        names = [name for name in ("file", "path") if name in self.columns.names]
        return str(self.columns.column(names[0])[index]) if names else None

    def files_of(self, index: int) -> tuple[Path, ...]:
        """The files that a record is made of, as far as they are known without loading it; absolute paths or none."""
        name = self.path_of(index)
        found = [path for path in (self.root / name, Path(name)) if path.is_file()] if name else []
        return tuple(path.absolute() for path in found[:1])

    def record(self, index: int) -> dict[str, Any]:
        """Row `index` of the index, from 0, as a dict; nothing is decoded."""
        return vars(self.columns[index])

    def records(self) -> Iterator[dict[str, Any]]:
        """The rows of the index as dicts, nothing decoded."""
        return (self.record(index) for index in range(len(self)))

    def with_transform(self, transform: Transform | None) -> Self:
        """The same records with another transform."""
        other = copy.copy(self)
        other.transform = transform
        return other

    def as_tuple(self, *keys: str) -> AsTuple:
        """The same samples as tuples of these keys, for code that wants `(x, y)`.

        Examples:
            >>> from datakit import Mapped
            >>> Mapped([{"x": 1, "y": 2}, {"x": 3, "y": 4}]).as_tuple("x", "y")[1]
            (3, 4)
        """
        from datakit.derived import AsTuple  # which is a Dataset itself

        return AsTuple(self, keys)

    def fingerprint(self) -> str:
        """Tells whether a saved loader state belongs to this dataset: type, split and records, not transforms."""
        return digest(type(self).__name__, str(self.split), self.columns.digest())

    @property
    def transform(self) -> Transform | None:
        """A callable on a sample, or None."""
        return self._transform

    @transform.setter
    def transform(self, transform: Any) -> None:
        if transform is not None and not callable(transform):
            hint = "; put the list into Compose([...])" if isinstance(transform, list | tuple) else ""
            raise TypeError(f"transform is a callable on a sample, got a {type(transform).__name__}{hint}")
        self._transform: Transform | None = transform
        has_own_read = type(self).read is not Dataset.read
        self._draws = has_own_read or not all(getattr(step, "is_deterministic", False) for step in steps(transform))

    def __repr__(self) -> str:
        split = f", split={self.split!r}" if self.split else ""
        shown = ", ".join(map(str, self.classes[:5])) + (", …" if len(self.classes) > 5 else "")
        classes = f", {len(self.classes)} classes: {shown}" if len(self.classes) else ""
        return f"{type(self).__name__}({str(self.root)!r}{split}): {len(self)} record{'s' * (len(self) != 1)}{classes}"

    def position(self, index: int) -> int:
        """`index` counted from the start; a negative one counts from the end."""
        position = operator.index(index)
        if not -len(self) <= position < len(self):
            raise IndexError(f"{type(self).__name__}[{position}]: there are {len(self)} records")
        return position % len(self)

    def _loaded(self, index: int, rng: np.random.Generator | None) -> Any:
        recorder = probe.recorder
        if recorder is not None:
            recorder.enter("load")
        try:
            sample = self.read(index, rng)
        except Exception as error:
            raise SampleError.of(error, stage="loading") from error
        finally:
            if recorder is not None:
                recorder.leave()
        if isinstance(sample, dict):
            sample = {"index": index, **sample}
            if "path" not in sample and (path := self.path_of(index)) is not None:
                sample["path"] = path
        return sample

    def stages(self, index: int, rng: np.random.Generator | None) -> Iterator[tuple[str, Any]]:
        """What `trace` yields, before an error is given its place."""
        return trace(lambda: self._loaded(index, rng), self.transform, rng)

    def _placing(self, index: int) -> _Placing:
        return _Placing(self, index)


class _Placing:
    """Adds dataset, index and path to the error of a record. A class: a generator would cost the good records more."""

    __slots__ = ("dataset", "index")

    def __init__(self, dataset: Dataset, index: int) -> None:
        self.dataset, self.index = dataset, index

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, GeneratorExit):
            placed = SampleError.of(
                error, dataset=type(self.dataset).__name__, index=self.index, path=self.dataset.path_of(self.index)
            )
            raise placed from (error.__cause__ or error)


def digest(*parts: str | bytes) -> str:
    """A hash of the parts in their order."""
    total = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(b"%d:" % len(data) + data)
    return total.hexdigest()
