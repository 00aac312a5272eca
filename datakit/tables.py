"""CSV tables that somebody else wrote: every cell is accounted for, every fault has its line and column."""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias

import numpy as np

from datakit.errors import CorruptDataError, UnknownNameError, suggest
from datakit.files.opening import open_regular
from datakit.files.plain_text import decoded

if TYPE_CHECKING:
    import pandas as pd

Columns: TypeAlias = "Mapping[str, type[str | int | float]]"
Rows: TypeAlias = "list[list[str]]"

_BLOCK = 2**20  # bytes read at a time, and the longest line
_CELLS = 2**16  # cells that are Python objects at a time
_CLIP = 80  # how much of a cell a message shows
_DTYPES = {int: np.int64, float: np.float64}
_CSV_FAULTS = {  # how the csv module begins to say it, and what it means
    "unexpected end": "a quote is opened here and never closed",
    "field larger": "a cell is too long, or a quote is never closed",
    "new-line": "a carriage return inside a row; lines end in LF or CR LF",
}


def read_table(
    path: str | os.PathLike[str],
    columns: Columns,
    *,
    delimiter: str = ",",
    quotes: bool = True,
    extra: Literal["error", "ignore"] = "error",
) -> pd.DataFrame:
    r"""Read a CSV file whose first line names its columns.

    Nothing is guessed: a `str` cell stays as it is (`NA`, `007` and the empty cell too), an `int` or `float` cell is a
    finite number as Python writes it. UTF-8, with or without a byte order mark; quotes as in RFC 4180, with line breaks
    inside them; blank lines at the end only. A line may have 1 MiB, a cell `csv.field_size_limit()` characters
    (131,072, unless that was changed), so that no file takes much more memory than its result.

    Args:
        path: the file.
        columns: names of the columns that are asked for, and `str`, `int` or `float` for each.
        delimiter: the character between cells.
        quotes: whether a cell may stand in quotes; else a quote is a character as any other, and a line is a row.
        extra: `error` refuses columns that are not asked for, `ignore` leaves them out.

    Returns:
        A row for each record, in the order of the file; the columns in the order asked for, as pandas `str`, `int64`
        and `float64`. Of a file with nothing but the header, an empty table.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: with file, line (the header is line 1) and column: a column is missing, unexpected or there
            twice, a row has too many or too few cells, a cell is no number, a quote is not closed, a line or cell is
            too long, there is a NUL byte or another encoding, the file is empty.

    Examples:
        >>> from pathlib import Path
        >>> from datakit import read_table
        >>> _ = Path("list.csv").write_text("file,year\n007.png,1911\nNA.png,1912\n")
        >>> table = read_table("list.csv", columns={"file": str, "year": int})
        >>> table["file"].tolist(), table["year"].tolist()
        (['007.png', 'NA.png'], [1911, 1912])
        >>> _ = Path("list.csv").write_text("file,year\n1.png,unknown\n")
        >>> read_table("list.csv", columns={"file": str, "year": int})
        Traceback (most recent call last):
        datakit.errors.CorruptDataError: list.csv: line 2, column 'year': 'unknown' is not a whole number below 2**63
    """
    import pandas as pd

    if wrong := [kind for kind in columns.values() if kind not in (str, *_DTYPES)]:
        raise TypeError(f"columns are str, int or float, not {wrong[0]!r}")
    if extra not in ("error", "ignore"):
        raise UnknownNameError.of("extra", extra, ("error", "ignore"))
    name = os.fspath(path)
    with open_regular(name, "a table") as file:
        lines = itertools.chain.from_iterable(_texts(file, name))
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
        reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
        header = _header(reader, name)
        places = _places(header, columns, extra, name)
        parts = [_converted([], columns, places, 0, name)]
        for first, rows in _records(reader, header, name):
            parts.append(_converted(rows, columns, places, first, name))
    return pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)


def _texts(file: BinaryIO, name: str) -> Iterator[Iterable[str]]:
    """The lines of the file, with their ends, in blocks."""
    data = file.read(_BLOCK)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise CorruptDataError(f"{name}: line 1: UTF-16 by its byte order mark; save it as UTF-8")
    start, line = (3, 1) if data.startswith(b"\xef\xbb\xbf") else (0, 1)
    data = data[start:]
    while data:
        more = file.read(_BLOCK)
        end = data.rfind(b"\n") + 1 if more else len(data)
        if end == 0 and len(data) >= _BLOCK:
            raise CorruptDataError(f"{name}: line {line}: longer than {_BLOCK:,} bytes")
        whole = data[:end]
        if len(whole) >= _BLOCK and not whole.strip(b"\r\n"):
            raise CorruptDataError(f"{name}: line {line}: nothing but blank lines for {len(whole):,} bytes")
        text = decoded(whole, name, start=start, line=line)
        yield io.StringIO(text, newline="\n")  # other readers also end lines at U+2028
        start, line = start + end, line + whole.count(b"\n")
        data = data[end:] + more


def _take(reader: Any, count: int, name: str) -> tuple[int, Rows]:
    """The line where the next record begins, and up to `count` records."""
    first: int = reader.line_num + 1
    rows: Rows = []
    try:
        rows.extend(itertools.islice(reader, count))  # keeps what came before an error
    except csv.Error as error:
        fault = next(
            (meaning for start, meaning in _CSV_FAULTS.items() if str(error).startswith(start)), "broken quotes"
        )
        raise CorruptDataError(f"{name}: line {_line_after(rows, first)}: {fault} ({error})") from error
    return first, rows


def _line_after(rows: Rows, first: int) -> int:
    """The line that follows `rows`, which begin at line `first`; there may be line breaks in quotes."""
    return first + len(rows) + sum(cell.count("\n") for row in rows for cell in row)


def _header(reader: Any, name: str) -> list[str]:
    _, rows = _take(reader, 1, name)
    if not rows:
        raise CorruptDataError(f"{name}: empty file, without the names of columns")
    seen = set[str]()
    for column in rows[0]:
        if column in seen:
            raise CorruptDataError(f"{name}: line 1: column {_clipped(column)} is there twice")
        seen.add(column)
    return rows[0]


def _places(header: list[str], columns: Columns, extra: str, name: str) -> dict[str, int]:
    """Where in a row the columns are."""
    places = {column: place for place, column in enumerate(header)}
    for column in columns:
        if column not in places:
            near = suggest(column, [known[:_CLIP] for known in header[:_CLIP]])
            if len(header) == 1 and len(columns) > 1:
                near = f"there is only one column, {_clipped(header[0])}; pass delimiter= if another one parts them"
            raise CorruptDataError(f"{name}: line 1: column {column!r} is missing; {near}")
    for column in header:
        if column not in columns and extra == "error":
            unasked = _clipped(column)
            raise CorruptDataError(
                f"{name}: line 1: unexpected column {unasked}; extra='ignore' leaves such columns out"
            )
    return {column: places[column] for column in columns}


def _records(reader: Any, header: list[str], name: str) -> Iterator[tuple[int, Rows]]:
    """The records in parts, each with the line where it begins, once they are known to be as long as the header."""
    width, blank = len(header), 0
    while (part := _take(reader, max(1, _CELLS // max(1, width)), name))[1]:
        first, rows = part
        taken = len(rows)
        if blank and any(rows):
            raise CorruptDataError(f"{name}: line {blank}: blank, and more lines follow")
        while rows and not rows[-1]:
            rows.pop()
        if len(rows) < taken:
            blank = blank or _line_after(rows, first)
        if set(map(len, rows)) - {width}:
            bad = next(place for place, row in enumerate(rows) if len(row) != width)
            raise CorruptDataError(f"{name}: line {_line_after(rows[:bad], first)}: {_ragged(rows[bad], header)}")
        yield first, rows


def _ragged(row: list[str], header: list[str]) -> str:
    if not row:
        return "blank, and more lines follow"
    found = f"{len(row)} cells where the header names {len(header)} columns; "
    if len(row) < len(header):
        return found + f"the first column without a cell is {_clipped(header[len(row)])}"
    return found + f"the first cell without a column, after {_clipped(header[-1])}, is {_clipped(row[len(header)])}"


def _converted(rows: Rows, columns: Columns, places: dict[str, int], first: int, name: str) -> dict[str, Any]:
    import pandas as pd

    arrays: dict[str, Any] = {}
    for column, kind in columns.items():
        cells = [row[places[column]] for row in rows]
        values = pd.array(cells, dtype="str") if kind is str else _numbers(cells, kind)
        if values is None:
            bad = next(place for place, cell in enumerate(cells) if _numbers([cell], kind) is None)
            due = "a whole number below 2**63" if kind is int else "a finite number"
            line = _line_after(rows[:bad], first)
            raise CorruptDataError(f"{name}: line {line}, column {column!r}: {_clipped(cells[bad])} is not {due}")
        arrays[column] = values
    return arrays


def _numbers(cells: list[str], kind: Any) -> np.ndarray[Any, Any] | None:
    """The cells as `int64` or `float64`, or None where one is no number that a file should have."""
    try:
        values = np.fromiter(map(kind, cells), _DTYPES[kind], len(cells))
    except (ValueError, OverflowError):
        return None
    text = "".join(cells)  # Python also takes 1_000, other scripts' digits, nan and inf
    return values if text.isascii() and "_" not in text and np.isfinite(values).all() else None


def _clipped(cell: str) -> str:
    return repr(cell if len(cell) <= _CLIP else cell[:_CLIP] + "…")
