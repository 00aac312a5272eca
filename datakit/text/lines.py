"""Text files, a record a line, of any size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datakit.chain import Transform
from datakit.columns import Columns, Record
from datakit.errors import MissingDataError
from datakit.files.file_array import FileArray, map_file
from datakit.files.plain_text import decoded, line_places
from datakit.files.walking import files_below
from datakit.sample import Sample
from datakit.text.base import TextDataset

TEXT_SUFFIXES = (".txt", ".text")


class TextLines(TextDataset):
    """The lines of a text file, or of all text files below a folder, sorted by path. An empty line is no record.

    The files are mapped into memory: the index is where each line begins and ends, 25 bytes a line, and neither the
    dataset nor a worker ever holds the lines. A file must not be cut short while it is in use.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | text | () | str | the line, without LF or CR LF |
    | line | () | int | its number in the file, from 1 |
    | index | () | int | place in the list, by file and line |
    | path | () | str | the file |

    Args:
        root: a file, or a folder with files `*.txt` or `*.text` at any depth.
        transform: a callable on a sample.

    Raises:
        MissingDataError: there is no such file or folder, or no line in it.
        CorruptDataError: naming file and line, for a line of more than 1 MiB; for one that is not UTF-8, when it
            is read.

    Examples:
        >>> from pathlib import Path
        >>> from datakit.text import TextLines
        >>> Path("poem.txt").write_text("The apparition of these faces\\n\\nin the crowd:\\n", encoding="utf-8")
        45
        >>> TextLines("poem.txt")[1]
        {'index': 1, 'text': 'in the crowd:', 'line': 3, 'path': 'poem.txt'}
    """

    def __init__(self, root: str | Path, transform: Transform | None = None) -> None:
        super().__init__(root, transform=transform)

    def index(self) -> Columns:
        """Where the lines are."""
        found = [""] if self.root.is_file() else list(files_below(self.root, TEXT_SUFFIXES))
        self.files = [FileArray(map_file, self.root / name) for name in found]
        parts = [_lines(number, file) for number, file in enumerate(self.files) if file.path.stat().st_size]
        rows = np.concatenate(parts) if parts else np.empty((0, 4), np.int64)
        if not len(rows):
            raise MissingDataError(f"{self.root.absolute()} has no lines of text ({', '.join(TEXT_SUFFIXES)})")
        return Columns(number=rows[:, 0].astype(np.int32), start=rows[:, 1], end=rows[:, 2], line=rows[:, 3])

    def load(self, record: Record) -> Sample:
        """The line, decoded."""
        file = self.files[record.number]
        data = file.array[record.start : record.end].tobytes()
        text = decoded(data, str(file.path), start=record.start, line=record.line)
        return {"text": text, "line": record.line, "path": str(file.path)}

    def path_of(self, index: int) -> str:
        """The file that the line is in."""
        return str(self.files[int(self.columns.column("number")[index])].path)

    def texts(self, key: str = "text") -> Iterator[str]:
        """The lines, one after another."""
        return (self.load(record)[key] for record in self.columns)

    def record(self, index: int) -> dict[str, Any]:
        """The line with its number and file."""
        return self.load(self.columns[index])

    def lengths(self) -> npt.NDArray[np.int64]:
        """How many bytes each line has, (n,)."""
        lengths: npt.NDArray[np.int64] = self.columns.column("end") - self.columns.column("start")
        return lengths


def _lines(number: int, file: FileArray) -> npt.NDArray[np.int64]:
    """Number of the file, start, end and number of each line that is not blank, (n, 4)."""
    data = file.array
    starts, ends = line_places(data, str(file.path))
    if bytes(data[:3]) == b"\xef\xbb\xbf":
        starts[:1] = 3
    lines = np.flatnonzero(ends > starts)
    return np.stack([np.full(len(lines), number), starts[lines], ends[lines], lines + 1], 1)
