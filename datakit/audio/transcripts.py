"""Transcripts in small text files."""

from __future__ import annotations

from pathlib import Path

from datakit.errors import CorruptDataError
from datakit.files.opening import open_regular

_MOST = 2**22  # bytes


def read_lines(path: Path) -> list[str]:
    """The lines of a transcript, without their ends; blank ones at the end are left out.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: naming file and line, for one that is no UTF-8 text, or has more than 4 MiB.
    """
    with open_regular(str(path), "a transcript") as file:
        data = file.read(_MOST + 1)
    if len(data) > _MOST:
        raise CorruptDataError(f"{path}: a transcript of more than {_MOST:,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CorruptDataError(
            f"{path}: line {line}, byte {error.start}: 0x{data[error.start]:02x} is not UTF-8"
        ) from error
    if "\0" in text:
        raise CorruptDataError(f"{path}: line {text.count(chr(10), 0, text.index(chr(0))) + 1}: a NUL byte")
    return [line.removesuffix("\r") for line in text.rstrip("\r\n").split("\n")] if text.strip() else []
