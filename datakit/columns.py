"""The index of a dataset as compact columns: a million records are a few arrays, not a million objects.

Reading a Python list in a forked worker writes reference counts and so copies its pages, worker by worker; arrays are
only read. A worker that is spawned gets large columns as shared memory, not as a copy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from multiprocessing import context
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import torch

Record: TypeAlias = SimpleNamespace

_SHARE_FROM = 1 << 20  # bytes; below this a copy is cheaper than a shared-memory file


class _Shareable:
    """Pickles its large arrays as shared memory where a process is being started, and as plain arrays elsewhere."""

    def _arrays(self) -> dict[str, Any]:
        return self.__dict__

    def __getstate__(self) -> dict[str, Any]:
        arrays = {name: value for name, value in self._arrays().items() if name != "_sent"}
        if context.get_spawning_popen() is None:
            return arrays
        sent = self.__dict__.setdefault("_sent", {})  # kept: memory that is let go before the process runs is lost
        for name, value in arrays.items():
            if isinstance(value, np.ndarray) and value.nbytes >= _SHARE_FROM and name not in sent:
                sent[name] = torch.tensor(value).share_memory_()
                self._arrays()[name] = sent[name].numpy()
        return {**arrays, **sent}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({name: _received(value) for name, value in state.items()})


def _received(value: Any) -> Any:
    return value.numpy() if isinstance(value, torch.Tensor) else value


class Strings(_Shareable):
    """An immutable column of text: one block of UTF-8 and the offsets into it."""

    def __init__(self, values: Iterable[str]) -> None:
        encoded = [value.encode("utf-8", "surrogateescape") for value in values]
        self.offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(value) for value in encoded], out=self.offsets[1:])
        self.blob = np.frombuffer(b"".join(encoded), np.uint8)

    @classmethod
    def of_parts(cls, data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> Strings:
        """Parts of UTF-8 bytes, (n,) `uint8`: none of them overlap, and they are in their order."""
        column = cls.__new__(cls)
        column.offsets = np.zeros(len(starts) + 1, np.int64)
        np.cumsum(ends - starts, out=column.offsets[1:])
        edges = np.zeros(len(data) + 1, np.int8)  # a part of no bytes begins and ends at one place
        np.add.at(edges, starts, 1)
        np.subtract.at(edges, ends, 1)
        column.blob = data[np.cumsum(edges[:-1], dtype=np.int8).view(bool)]
        return column

    def take(self, indices: np.ndarray) -> Strings:
        """The values at `indices`, int (m,), as a column."""
        return Strings(self[int(index)] for index in indices)

    def lengths(self) -> np.ndarray:
        """Characters of each value, int64 (n,): code points."""
        begins = (self.blob & 0xC0) != 0x80  # the first byte of each
        count = np.concatenate([[0], np.cumsum(begins, dtype=np.int64)])
        return np.diff(count[self.offsets])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> str:
        return str(self.blob[self.offsets[index] : self.offsets[index + 1]].data, "utf-8", "surrogateescape")


class Columns(_Shareable):
    """The records of a dataset, column by column: `Columns(file=names, label=labels)`.

    Text becomes `Strings`; anything else a NumPy array whose first axis counts the records. `columns[i]` is record *i*,
    with its values as attributes: Python scalars, `str`, or arrays for columns with more axes.

    Raises:
        ValueError: for columns of different lengths, or one that NumPy can hold only as objects.

    Examples:
        >>> from datakit import Columns
        >>> columns = Columns(file=["a.png", "b.png"], label=[1, 0])
        >>> len(columns), columns.names
        (2, ('file', 'label'))
        >>> columns[1].file, columns[1].label
        ('b.png', 0)
    """

    def __init__(self, **columns: Any) -> None:
        self._columns = {name: _column(name, values) for name, values in columns.items()}
        lengths = {name: len(column) for name, column in self._columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of different lengths: {lengths}")
        self._length = next(iter(lengths.values()), 0)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self._columns)

    def column(self, name: str) -> Any:
        """The whole column: a `Strings` or an ndarray."""
        return self._columns[name]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < self._length:
            raise IndexError(f"record {index} of {self._length}")
        record = SimpleNamespace()
        for name, column in self._columns.items():
            value = column[index]
            record.__dict__[name] = value.item() if isinstance(value, np.generic) else value
        return record

    def __iter__(self) -> Iterator[Record]:
        return (self[index] for index in range(len(self)))

    def digest(self) -> str:
        """A hash of every value, to tell whether two indexes are the same."""
        total = hashlib.blake2b(digest_size=16)
        for name, column in self._columns.items():
            total.update(name.encode())
            for array in (column.blob, column.offsets) if isinstance(column, Strings) else (column,):
                total.update(f"{array.dtype}{array.shape}".encode())
                total.update(np.ascontiguousarray(array).data)
        return total.hexdigest()

    def _arrays(self) -> dict[str, Any]:
        return self._columns

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._columns = {name: _received(value) for name, value in state.items()}
        self._length = len(next(iter(self._columns.values()), ()))


def _column(name: str, values: Any) -> Strings | np.ndarray:
    if isinstance(values, Strings | np.ndarray) and getattr(values, "dtype", np.dtype(int)).kind != "O":
        array: Any = values
    else:
        listed = list(values)
        kinds = {isinstance(value, str) for value in listed}
        if len(kinds) > 1:
            raise ValueError(f"column {name!r} mixes text with other values")
        array = Strings(listed) if kinds == {True} else np.asarray(listed)
    if isinstance(array, np.ndarray) and array.dtype.kind in "OUST":
        if array.dtype.kind == "O" or array.ndim != 1:
            raise ValueError(f"column {name!r} holds neither text nor numbers of one shape")
        array = Strings(array.tolist())
    return array  # type: ignore[no-any-return]
