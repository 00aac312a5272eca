"""CIFAR-10: small colour photographs, in pickled batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from datakit.columns import Columns, Record
from datakit.dataset import Dataset
from datakit.errors import CorruptDataError
from datakit.files import Remote
from datakit.files.file_array import Bytes, FileArray
from datakit.sample import Sample
from datakit.vision.pickled import read_pickle

_FOLDER = "cifar-10-batches-py"
_BATCHES = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}
_SIDE, _CLASSES = 32, 10
_ORDER = np.arange(3 * _SIDE**2).reshape(3, _SIDE, _SIDE).transpose(1, 2, 0).copy()
"""Where the values of an image are in its row of the file, which has channel after channel; faster than a transpose."""


class CIFAR10(Dataset):
    """Photographs of ten kinds of things: 50,000 to train on and 10,000 to test on, 32 x 32 pixels, colour.

    Reads `root/cifar-10-batches-py/{data_batch_1 … data_batch_5, test_batch, batches.meta}`. These files are pickles,
    and are read without running anything (`datakit.vision.pickled`). The images are mapped into memory as they lie
    there: 154 MB of page cache to train on, shared by all workers, and nothing more in each of them. Files that
    Python 3 wrote with protocol 2 hold the images in another form; they are then decoded into memory, as much again:
    once where workers are forked, once a worker where they are spawned.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | image | (32, 32, 3) | uint8 | the photograph, RGB |
    | label | () | int | what it shows, names in `classes` |
    | index | () | int | place in the batches, one after the other |

    Source: https://www.cs.toronto.edu/~kriz/cifar.html, with the checksum that is published there.

    Raises:
        MissingDataError: one of the files is not there.
        CorruptDataError: naming the file, for one that is not as above.

    Examples:
        >>> from datakit.vision import CIFAR10
        >>> things = CIFAR10.synthetic(n=10)
        >>> things[0]["image"].shape, things.classes[things[0]["label"]]
        ((32, 32, 3), 'deer')
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "test")
    remotes: ClassVar[tuple[Remote, ...]] = (
        Remote(
            "cifar-10-python.tar.gz",
            urls=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
            md5="c58f30108f718f92721af3b95e74349a",
            unpack=True,
            produces=(_FOLDER,),
        ),
    )
    needed: ClassVar[tuple[str, ...]] = (f"{_FOLDER}/data_batch_1", f"{_FOLDER}/test_batch")

    def index(self) -> Columns:
        """Labels, and where each image is."""
        folder = self.root / _FOLDER
        self.classes = _class_names(folder / "batches.meta")
        labels, self._batches = [], []
        for name in _BATCHES[str(self.split)]:
            images, own = _read_batch(folder / name)
            self._batches.append(FileArray(_read_images, folder / name, images))
            labels.append(own)
        sizes = [len(own) for own in labels]
        rows = [np.arange(size, dtype=np.int32) for size in sizes]
        batches = np.repeat(np.arange(len(sizes), dtype=np.int8), sizes)
        return Columns(batch=batches, row=np.concatenate(rows), label=np.concatenate(labels))

    def load(self, record: Record) -> Sample:
        """The image with its channels last, and its label."""
        row = self._batches[record.batch].array[record.row]
        return {"image": row.take(_ORDER), "label": record.label}

    def files_of(self, index: int) -> tuple[Path, ...]:
        """The batch that the image is in."""
        return (self._batches[int(self.columns.column("batch")[index])].path.absolute(),)

    @staticmethod
    def synthesize(root: Path, n: int, rng: np.random.Generator) -> None:
        """Draw `n` simple things on their usual grounds for each split, the first dealt out to five batches."""
        from datakit.vision.thing_drawing import write_batches

        write_batches(root / _FOLDER, n, rng)


def _class_names(path: Path) -> list[str]:
    names = _entry(path, _entries(path), "label_names", list)
    if len(names) != _CLASSES or not all(type(name) in (str, bytes) for name in names):
        raise CorruptDataError(f"{path}: 'label_names' must be {_CLASSES} names; delete it and get it again")
    return [_text(name) for name in names]


def _read_images(path: Path) -> Bytes:
    return _read_batch(path)[0]


def _read_batch(path: Path) -> tuple[Bytes, Bytes]:
    """Images (N, 3072) and labels (N,) of one file, both `uint8`."""
    entries = _entries(path)
    data, labels = _entry(path, entries, "data", np.ndarray), _entry(path, entries, "labels", list)
    if data.ndim != 2 or data.shape[1] != _ORDER.size or len(data) != len(labels):
        raise CorruptDataError(
            f"{path}: 'data' has shape {data.shape} with {len(labels)} labels, expected (N, 3072) with N labels; "
            f"delete it and get it again"
        )
    for row, label in enumerate(labels):
        if type(label) is not int or not 0 <= label < _CLASSES:
            raise CorruptDataError(
                f"{path}: label of image {row} is not in 0 to {_CLASSES - 1}; delete it and get it again"
            )
    return data, np.array(labels, np.uint8)


def _entries(path: Path) -> dict[str, Any]:
    """The dict in a file; Python 2 wrote its keys as bytes."""
    value = read_pickle(path)
    if type(value) is not dict:
        raise CorruptDataError(f"{path}: holds a {type(value).__name__}, expected a dict; delete it and get it again")
    return {_text(key): entry for key, entry in value.items() if type(key) is not int}


def _entry(path: Path, entries: dict[str, Any], name: str, kind: type) -> Any:
    if type(entries.get(name)) is not kind:
        raise CorruptDataError(f"{path}: has no {kind.__name__} {name!r} in it; delete it and get it again")
    return entries[name]


def _text(name: str | bytes) -> str:
    return name.decode("latin-1") if isinstance(name, bytes) else name
