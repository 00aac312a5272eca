"""Text files that somebody else wrote: UTF-8, or an error that says where it is not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datakit.errors import CorruptDataError
from datakit.files.opening import open_regular

MOST = 2**31
"""Bytes of a text file that is read whole."""

_LONGEST = 2**20  # bytes of a line
_BLOCK = 2**24  # bytes looked at together
_BOM = b"\xef\xbb\xbf"
_LF, _CR = 10, 13


def read_text(path: str | Path, *, most: int = MOST) -> bytes:
    """The bytes of a text file in UTF-8, without a byte order mark; checked.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: naming file, line and byte, for another encoding or a NUL byte; for more than `most` bytes.
    """
    with open_regular(str(path), "a text file") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise CorruptDataError(f"{path}: a text of more than {most:,} bytes")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise CorruptDataError(f"{path}: line 1: UTF-16 by its byte order mark; save it as UTF-8")
    start = len(_BOM) if data.startswith(_BOM) else 0
    decoded(data[start:], str(path), start=start)
    return data[start:]


def decoded(data: bytes, name: str, *, start: int = 0, line: int = 1) -> str:
    """The text of some bytes of a file.

    Args:
        data: the bytes.
        name: of the file, for messages.
        start: where in the file they begin.
        line: the number of their first line.

    Raises:
        CorruptDataError: naming file, line and byte, for what is not UTF-8, and a NUL byte.
    """
    at = data.find(0)
    reason = "a NUL byte; is it UTF-16, or no text at all?"
    if at < 0:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            at, reason = error.start, f"0x{data[error.start]:02x} is not UTF-8; is it Latin-1?"
    line += data.count(b"\n", 0, at)
    raise CorruptDataError(f"{name}: line {line}, byte {start + at}: {reason}")


def line_places(data: npt.NDArray[np.uint8], name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where each line begins and ends, int64 (n,) each, without LF or CR LF; blank lines at the end are left out.

    Raises:
        CorruptDataError: naming file and line, for one of more than 1 MiB.

    Examples:
        >>> import numpy as np
        >>> from datakit.files.plain_text import line_places
        >>> line_places(np.frombuffer(b"Ana\\r\\nBo\\n\\n", np.uint8), "names.txt")
        (array([0, 5]), array([3, 7]))
    """
    blocks = [np.flatnonzero(data[at : at + _BLOCK] == _LF) + at for at in range(0, len(data), _BLOCK)]
    breaks = np.concatenate([np.empty(0, np.int64), *blocks])
    starts, ends = np.append(0, breaks + 1), np.append(breaks, len(data))
    has_cr = (ends > starts) & (data[np.maximum(ends, 1) - 1] == _CR) if len(data) else np.zeros(len(ends), bool)
    ends = ends - has_cr
    filled = np.flatnonzero(ends > starts)
    count = int(filled[-1]) + 1 if len(filled) else 0
    starts, ends = starts[:count], ends[:count]
    if len(long := np.flatnonzero(ends - starts > _LONGEST)):
        raise CorruptDataError(f"{name}: line {long[0] + 1}: longer than {_LONGEST:,} bytes")
    return starts, ends


def read_json(path: str | Path) -> Mapping[str, Any]:
    """A JSON file that holds an object.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: naming file and place, for anything else.
    """
    try:
        document = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise CorruptDataError(f"{path}: no JSON: {error}") from error
    if not isinstance(document, dict):
        raise CorruptDataError(f"{path}: a JSON {type(document).__name__}, not an object")
    return document
