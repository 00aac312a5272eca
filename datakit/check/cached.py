"""Facts of an earlier run, which hold as long as the files of a record, and its row of the index, are what they were.

A file is taken to be unchanged when its times of modification and of change, and its size, are. What a record was read
from is known from the dataset (`Dataset.files_of`) and from watching which files are opened while it is loaded. What
else can change a sample is part of the name of the cache: datakit's code and the decoders, the code of a class that is
not datakit's, and all other attributes of the dataset.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datakit.check.facts import ROW, Facts, Rows, Table
from datakit.columns import Columns
from datakit.dataset import Dataset
from datakit.derived import AsTuple, Concat, Derived, Subset
from datakit.files.paths import cache_dir
from datakit.files.writing import write_whole
from datakit.inspection.trouble import Trouble

Numbers = npt.NDArray[np.uint64]

_NOT_IN_NAME = {"columns", "_transform", "transform"}
_MOST = 1 << 22  # bytes of other attributes; more of them are not looked at, and nothing is cached


def origin(dataset: Dataset, index: int) -> tuple[Dataset, int]:
    """The dataset of files that a record comes from, and its index there."""
    if isinstance(dataset, Concat):
        return origin(*dataset.part_of(index))
    if isinstance(dataset, Subset):
        return origin(dataset.dataset, int(dataset.indices[index]))
    return origin(dataset.dataset, index) if isinstance(dataset, AsTuple) else (dataset, index)


class Keys:
    """What an entry of the cache is found under, for each record of a dataset.

    Attributes:
        name: of the file; None where nothing can be kept: what the samples are made of is not known.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.identities: dict[int, bytes | None] = {}
        bases = {id(base): base for base in _bases(dataset)}
        for number, base in bases.items():
            self.identities[number] = _identity(base)
        known = [identity for identity in self.identities.values() if identity is not None]
        whole = hashlib.blake2b(b"".join(sorted(set(known))), digest_size=16).hexdigest()
        self.name = f"{whole}.npz" if known and len(known) == len(bases) else None

    def of(self, index: int) -> int:
        """Of the row of a record, 64 bits."""
        base, inner = origin(self.dataset, index)
        total = hashlib.blake2b(self.identities[id(base)] or b"", digest_size=8)
        columns = base.columns
        for name in columns.names:
            value = columns.column(name)[inner]
            total.update(value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value.tobytes())
            total.update(b"\0")
        return int.from_bytes(total.digest(), "little")


def _bases(dataset: Dataset) -> Iterator[Dataset]:
    if isinstance(dataset, Concat):
        for part in dataset.datasets:
            yield from _bases(part)
    elif isinstance(dataset, Subset | AsTuple):
        yield from _bases(dataset.dataset)
    else:
        yield dataset


def _identity(dataset: Dataset) -> bytes | None:
    """What the samples of a dataset depend on besides files and rows; None where that is not known."""
    if isinstance(dataset, Derived) or not isinstance(getattr(dataset, "columns", None), Columns):
        return None
    total = hashlib.blake2b(digest_size=16)
    for part in (*_code(), ROW, type(dataset).__qualname__, dataset.columns.names):
        total.update(repr(part).encode())
    try:
        for cls in type(dataset).__mro__:
            if not cls.__module__.startswith(("datakit.", "torch.", "builtins", "typing")):
                total.update(Path(inspect.getfile(cls)).read_bytes())
        others = {name: value for name, value in vars(dataset).items() if name not in _NOT_IN_NAME}
        data = _pickled(others)
    except Exception:  # whatever a foreign class does when it is pickled: then nothing is kept
        return None
    if data is None:
        return None
    total.update(data)
    return total.digest()


@lru_cache(maxsize=1)
def _code() -> tuple[Any, ...]:
    """The state of datakit's own code, and the versions of what decodes files."""
    package = Path(__file__).parents[1]
    states = tuple((str(path), path.stat().st_mtime_ns) for path in sorted(package.rglob("*.py")))
    return (*states, *(version(name) for name in ("numpy", "pillow", "soundfile")))


def _pickled(values: dict[str, Any]) -> bytes | None:
    target = io.BytesIO()
    pickler = pickle.Pickler(target, protocol=5)
    for name in sorted(values):
        pickler.dump((name, values[name]))
        pickler.clear_memo()
        if target.tell() > _MOST:
            return None
    return target.getvalue()


class Stamps:
    """The state of files: time of modification and size, each file asked once."""

    def __init__(self) -> None:
        self.known: dict[str, bytes] = {}

    def of(self, files: tuple[str, ...]) -> int:
        """Of some files together; 0 where there are none, or one of them is not there."""
        if not files:
            return 0
        total = hashlib.blake2b(digest_size=8)
        for file in files:
            if file not in self.known:
                self.known[file] = _state(file)
            if not self.known[file]:
                return 0
            total.update(self.known[file])
        return int.from_bytes(total.digest(), "little") | 1


def _state(file: str) -> bytes:
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return b""
    return f"{file}\0{found.st_mtime_ns}\0{found.st_ctime_ns}\0{found.st_size}\0".encode("utf-8", "surrogateescape")


def recall(name: str, keys: Numbers, table: Table, *, folder: Path | None = None) -> npt.NDArray[np.bool_]:
    """Put what is known of the records with these keys into the table, where their files are as they were.

    Args:
        name: as `Keys` gives it.
        keys: uint64 (n,), of all records of the table.
        table: where to put it.
        folder: of the cache.

    Returns:
        bool (n,): which of them are known.
    """
    is_known = np.zeros(len(keys), bool)
    stored = _read((folder or _folder()) / name)
    if stored is None or not len(stored.keys):
        return is_known
    stamps = Stamps()
    place = np.searchsorted(stored.keys, keys).clip(max=len(stored.keys) - 1)
    for index in np.flatnonzero(stored.keys[place] == keys).tolist():
        row = int(place[index])
        is_known[index] = stamps.of(stored.files[row]) == stored.rows["stamp"][row]
    indices = np.flatnonzero(is_known)
    table.put(indices, stored.facts(place[indices]))
    return is_known


class _Stored:
    """What lies in a file of the cache, sorted by key."""

    def __init__(self, keys: Numbers, rows: Rows, others: dict[str, Any]) -> None:
        self.keys, self.rows, self.others = keys, rows, others
        self.files: list[tuple[str, ...]] = [tuple(files) for files in others["files"]]
        if not len(keys) == len(rows) == len(self.files) or rows.dtype != ROW:
            raise ValueError("the columns differ in length, or are others")

    def facts(self, places: npt.NDArray[np.int64]) -> Facts:
        """Of the records at these places."""
        labels, troubles = self.others["labels"], self.others["troubles"]
        rows = places.tolist()
        return Facts(
            self.rows[places],
            [tuple(labels.get(str(row), ())) for row in rows],
            [tuple(Trouble(**trouble) for trouble in troubles.get(str(row), ())) for row in rows],
            [""] * len(rows),
            [self.files[row] for row in rows],
            {int(form): keys for form, keys in self.others["forms"].items()},
        )


def _read(path: Path) -> _Stored | None:
    """What is in a file of the cache; None where there is none, or it is damaged."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            return _Stored(stored["keys"], stored["rows"], json.loads(stored["others"].tobytes()))
    except Exception:  # whatever lies there: it will be written anew
        return None


def remember(name: str, keys: Numbers, table: Table, *, folder: Path | None = None) -> None:
    """Keep what is known of the records with these keys, beside what is there of others.

    Raises:
        OSError: it cannot be written.
    """
    place = (folder or _folder()) / name
    found = table.read[table.rows["stamp"][table.read] != 0]
    facts = [_part(table, found)]
    whole = [keys[found]]
    stored = _read(place)
    if stored is not None:  # of records that were not asked for this time, and there are not many times more
        others = np.flatnonzero(~np.isin(stored.keys, keys))[: 3 * len(keys)]
        facts.append(stored.facts(others))
        whole.append(stored.keys[others])
    total, sorted_keys = Facts.gathered(facts), np.concatenate(whole)
    order = np.unique(sorted_keys, return_index=True)[1]
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(_others(total, order)).encode(), np.uint8)
    np.savez(buffer, keys=sorted_keys[order], rows=total.rows[order], others=text)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_whole(place, buffer.getvalue())


def _part(table: Table, indices: npt.NDArray[np.int64]) -> Facts:
    rows = indices.tolist()
    return Facts(
        table.rows[indices],
        [table.labels.get(index, ()) for index in rows],
        [table.troubles.get(index, ()) for index in rows],
        [""] * len(rows),
        [table.files.get(index, ()) for index in rows],
        table.forms,
    )


def _others(facts: Facts, order: npt.NDArray[np.intp]) -> dict[str, Any]:
    """What is no number, by row in this order."""
    places = order.tolist()
    return {
        "files": [facts.files[place] for place in places],
        "labels": {row: facts.labels[place] for row, place in enumerate(places) if facts.labels[place]},
        "troubles": {
            row: [vars(trouble) for trouble in facts.troubles[place]]
            for row, place in enumerate(places)
            if facts.troubles[place]
        },
        "forms": {str(form): dict(keys) for form, keys in facts.forms.items()},
    }


def _folder() -> Path:
    return cache_dir() / "check"


_opened: list[str] | None = None
_is_hooked = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _opened is not None and isinstance(arguments[0], str | os.PathLike):
        flags = arguments[2] if isinstance(arguments[2], int) else 0
        if not flags & (os.O_WRONLY | os.O_RDWR):
            _opened.append(os.fspath(arguments[0]))


@contextmanager
def watched() -> Iterator[Callable[[], tuple[str, ...]]]:
    """Watch which files are opened to be read; what is yielded gives their absolute paths, without code's."""
    global _opened, _is_hooked
    if not _is_hooked:  # a hook cannot be taken away again
        sys.addaudithook(_hook)
        _is_hooked = True
    names: list[str] = []
    _opened = names
    try:
        yield lambda: tuple(dict.fromkeys(os.path.abspath(name) for name in names if _is_data(name)))
    finally:
        _opened = None


def _is_data(name: str) -> bool:
    return not name.endswith((".py", ".pyc", ".so")) and not name.startswith(("/proc/", "/dev/", "/sys/"))
