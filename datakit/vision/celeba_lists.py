"""The text files of CelebA: a name and some whole numbers a line, with blanks between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datakit.errors import CorruptDataError
from datakit.files import inside
from datakit.files.opening import open_regular
from datakit.files.paths import leaves

_LONGEST = 2**16  # bytes of a line
_CELLS = 2**16  # cells that are Python objects at a time
_CLIP = 80  # how much of a cell a message shows


class Listing(NamedTuple):
    """What a text file says.

    Attributes:
        path: the file.
        header: names of the values; none for a file without a header.
        names: names of the images.
        values: `int32` (n, k).
    """

    path: Path
    header: list[str]
    names: list[str]
    values: np.ndarray[Any, Any]

    def place(self, row: int) -> str:
        """File and line of a row, for messages."""
        return f"{self.path} line {row + 1 + 2 * bool(self.header)}"


def read_listing(path: Path, *, has_header: bool) -> Listing:
    """Read `name value …` lines; a header is the number of lines that follow it, and then the names of the values.

    Args:
        path: the file, in UTF-8.
        has_header: whether it has one; without, there is one value a line.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: with file and line: the count is wrong, a line has too many or too few values, a value is no
            whole number, a name leaves the folder or is there twice, a blank line in the middle, another encoding.
    """
    lines = _lines(path)
    count, header = _header(lines, path) if has_header else (None, [])
    width = len(header) if has_header else 1
    names: list[str] = []
    parts, cells = [np.empty((0, width), np.int32)], list[bytes]()
    for number, row in lines:
        names.append(_name(row, width, number, path))
        cells += row[1:]
        if len(cells) >= _CELLS:
            parts.append(_numbers(cells, width, number, path))
            cells = []
    parts.append(_numbers(cells, width, len(names) + 2 * has_header, path))
    listing = Listing(path, header, names, np.concatenate(parts))
    if count is not None and count != len(names):
        raise CorruptDataError(f"{path} line 1: it says {count} images, and {len(names)} lines follow the header")
    _check_twice(listing)
    return listing


def _lines(path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Number and cells of every line but the blank ones at the end."""
    blank = number = 0
    with open_regular(str(path), "a list of images") as file:
        while line := file.readline(_LONGEST):
            number += 1
            if len(line) == _LONGEST:
                raise CorruptDataError(f"{path} line {number}: longer than {_LONGEST:,} bytes; is it a text file?")
            cells = line.split()
            if not cells:
                blank = blank or number
                continue
            if blank:
                raise CorruptDataError(f"{path} line {blank}: blank, and more lines follow")
            yield number, cells
    if not number:
        raise CorruptDataError(f"{path}: empty file")


def _header(lines: Iterator[tuple[int, list[bytes]]], path: Path) -> tuple[int, list[str]]:
    _, first = next(lines, (1, []))
    if len(first) != 1 or not first[0].isdigit():
        found = _shown(b" ".join(first))
        raise CorruptDataError(f"{path} line 1: the number of images is due here, found {found}")
    _, second = next(lines, (2, []))
    names = [_text(cell, 2, path) for cell in second]
    if not names or len(set(names)) < len(names):
        raise CorruptDataError(f"{path} line 2: the names of the values are due here, each once, found {names[:5]}")
    return int(first[0]), names


def _name(row: list[bytes], width: int, line: int, path: Path) -> str:
    name = _text(row[0], line, path)
    if len(row) != 1 + width:
        raise CorruptDataError(f"{path} line {line}: {len(row) - 1} values after {name!r}, where {width} are due")
    if leaves(name):  # `inside` also makes a path, which takes longer than all the rest
        inside(path.parent, name, f"{path} line {line}")
    return name


def _text(cell: bytes, line: int, path: Path) -> str:
    try:
        return cell.decode()
    except UnicodeDecodeError as error:
        raise CorruptDataError(f"{path} line {line}: 0x{cell[error.start]:02x} is not UTF-8") from error


def _numbers(cells: list[bytes], width: int, last: int, path: Path) -> np.ndarray[Any, Any]:
    """The cells of the lines that end with line `last`, as (lines, width)."""
    values = _converted(cells)
    if values is None:
        bad = next(place for place, cell in enumerate(cells) if _converted([cell]) is None)
        line = last - (len(cells) - 1 - bad) // width
        raise CorruptDataError(f"{path} line {line}: {_shown(cells[bad])} is not a whole number below 2**31")
    return values.reshape(-1, width)


def _converted(cells: list[bytes]) -> np.ndarray[Any, Any] | None:
    if b"".join(cells).translate(None, b"-0123456789"):  # Python also takes 1_000 and +1
        return None
    try:
        return np.fromiter(map(int, cells), np.int32, len(cells))
    except (ValueError, OverflowError):
        return None


def _check_twice(listing: Listing) -> None:
    if len(set(listing.names)) == len(listing.names):
        return
    seen = set[str]()
    for row, name in enumerate(listing.names):
        if name in seen:
            raise CorruptDataError(f"{listing.place(row)}: {name!r} is there twice")
        seen.add(name)


def _shown(cell: bytes) -> str:
    return repr(cell[:_CLIP].decode("utf-8", "replace") + ("…" if len(cell) > _CLIP else ""))
