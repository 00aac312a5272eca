"""`load`: Parquet files as datasets that read a row group at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datakit.chain import Transform
from datakit.dataset import digest
from datakit.errors import CorruptDataError, MissingDataError
from datakit.hugging_face.plan import Choice
from datakit.hugging_face.tables import Rows, one_array

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.parquet$")
_LARGEST = 2**31  # bytes of a row group, which is read whole
_OPEN = 64  # files that a process keeps open


def load(path: str | os.PathLike[str], columns: Choice = None, *, transform: Transform | None = None) -> ParquetFiles:
    """The samples of a Parquet file, or of a folder of them, as `save` wrote them.

    Opening reads what the files say of themselves and no contents; a sample reads its row group. Files that `datasets`
    or others wrote are read too, by the features or the types that they declare, as the table of `from_hf` says.
    Nothing in a file is run.

    Args:
        path: a file, or a folder with files that end in `.parquet`, at any depth, which are taken in the order of their
            names.
        columns: as for `from_hf`.
        transform: runs on the sample.

    Raises:
        MissingDataError: there is no such file, no Parquet file in the folder, or a shard is missing.
        CorruptDataError: a file is cut short or no Parquet, or has other columns than the first; later, a row group or
            a record that is broken.
        UnknownNameError: there is no such column.
        DatakitError: for a kind of column that datakit does not read.

    Examples:
        >>> import datakit
        >>> numbers = datakit.Mapped([{"number": n, "text": str(n)} for n in range(100)])
        >>> datakit.save(numbers, "numbers.parquet")
        >>> datakit.load("numbers.parquet")
        ParquetFiles(number, text): 100 records
        >>> datakit.load("numbers.parquet")[99]
        {'index': 99, 'number': 99, 'text': '99'}
    """
    return ParquetFiles(path, columns, transform)


class ParquetFiles(Rows):
    """The rows of Parquet files; made by `datakit.load`."""

    def __init__(
        self, path: str | os.PathLike[str], columns: Choice = None, transform: Transform | None = None
    ) -> None:
        self.files = files_at(Path(path))
        found = [_about(file) for file in self.files]
        for file, (_, features) in zip(self.files, found, strict=True):
            if features != found[0][1]:
                raise CorruptDataError(f"{file}: has the columns {features}, {self.files[0]} has {found[0][1]}")
        super().__init__(found[0][1], columns, transform)
        groups = [(file, group, rows) for file, (sizes, _) in enumerate(found) for group, rows in enumerate(sizes)]
        self._groups = np.array([group[:2] for group in groups], np.int64).reshape(-1, 2)
        self._ends = np.cumsum([rows for *_, rows in groups], dtype=np.int64)
        self._rest()

    def _rest(self) -> None:
        """Nothing is open, and no row group is held."""
        self._process, self._held = os.getpid(), (-1, (), {})
        self._open: dict[int, Any] = {}

    _held: tuple[int, Sequence[str], Mapping[str, Any]]

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def row(self, index: int, columns: Sequence[str]) -> tuple[Mapping[str, Any], int]:
        """The row group as Arrow arrays, and the place of the row in it; the last row group is held."""
        if self._process != os.getpid():
            self._rest()
        group = int(np.searchsorted(self._ends, index, side="right"))
        if self._held[:2] != (group, tuple(columns)):
            self._held = (group, tuple(columns), self._read(group, columns))
        return self._held[2], index - (int(self._ends[group - 1]) if group else 0)

    def _read(self, group: int, columns: Sequence[str]) -> Mapping[str, Any]:
        file, place = (int(number) for number in self._groups[group])
        try:
            opened = self._file(file)
            if (size := opened.metadata.row_group(place).total_byte_size) > _LARGEST:
                raise CorruptDataError(f"{size:,} bytes, more than {_LARGEST:,}: write it anew with smaller row groups")
            table = opened.read_row_group(place, columns=list(columns), use_threads=False)
            return {name: _plain(table.column(name)) for name in columns}
        except Exception as error:
            self._open.pop(file, None)
            if not Path(self.files[file]).exists():
                raise MissingDataError(f"{self.files[file]}: there is no such file any more") from error
            text = str(error).splitlines()[0]
            raise CorruptDataError(f"{self.files[file]}: row group {place} cannot be read: {text}") from error

    def _file(self, number: int) -> Any:
        import pyarrow.parquet as pq

        if number not in self._open:
            if len(self._open) >= _OPEN:
                self._open.pop(next(iter(self._open))).close()
            self._open[number] = pq.ParquetFile(self.files[number], page_checksum_verification=True)
        return self._open[number]

    def fingerprint(self) -> str:
        """Names, sizes and columns of the files, and the columns that are taken."""
        about = [f"{Path(file).name}:{os.path.getsize(file)}" for file in self.files]
        taken = [f"{field.key}={field.name}" for field in self.plan.fields]
        return digest("ParquetFiles", *about, str(len(self)), *taken)

    def __getstate__(self) -> dict[str, Any]:
        """Without what is open."""
        return {**self.__dict__, "_process": -1, "_held": (-1, (), {}), "_open": {}}


def files_at(path: Path) -> list[str]:
    """The Parquet files that a path means.

    Raises:
        MissingDataError: there are none, or one of those that belong together is missing.
    """
    if not path.is_dir():
        if not path.exists():
            raise MissingDataError(f"{path}: there is no such file or folder")
        return [str(path)]
    files = sorted(str(file) for file in path.rglob("*.parquet") if not file.name.startswith("."))
    if not files:
        raise MissingDataError(f"{path.absolute()} has no files that end in .parquet")
    missing = _missing(files)
    if missing:
        raise MissingDataError(f"{path}: {len(missing)} of its files are missing, such as {missing[0]}")
    return files


def _missing(files: Sequence[str]) -> list[str]:
    """Shards that those that are there say should be there too."""
    wanted = set()
    for file in files:
        if found := _SHARD.search(file):
            stem = file[: found.start()]
            wanted |= {f"{stem}-{number:05d}-of-{found[2]}.parquet" for number in range(int(found[2]))}
    return sorted(wanted - set(files))


def _about(file: str) -> tuple[list[int], Mapping[str, Any]]:
    """How many rows each row group of a file has, and its features.

    Raises:
        CorruptDataError: it is no Parquet file, or cut short.
    """
    import datasets
    import pyarrow.parquet as pq

    if not os.path.isfile(file):
        raise CorruptDataError(f"{file}: not a regular file")
    try:
        with pq.ParquetFile(file) as opened:
            about, schema = opened.metadata, opened.schema_arrow
            rows = [about.row_group(group).num_rows for group in range(about.num_row_groups)]
        return rows, dict(datasets.Features.from_arrow_schema(schema))
    except Exception as error:
        text = str(error).splitlines()[0]
        raise CorruptDataError(f"{file}: no whole Parquet file ({type(error).__name__}: {text})") from error


def _plain(column: Any) -> Any:
    """A column as one array; dictionaries, which others write, become their values."""
    import pyarrow as pa

    array = one_array(column)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
