"""Transcripts in small text files."""

from __future__ import annotations

from pathlib import Path

from datakit.files.plain_text import read_text

_MOST = 2**22  # bytes


def read_lines(path: Path) -> list[str]:
    """The lines of a transcript, without their ends; blank ones at the end are left out.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: naming file, line and byte, for one that is no UTF-8 text, or has more than 4 MiB.
    """
    text = read_text(path, most=_MOST).decode()
    return [line.removesuffix("\r") for line in text.rstrip("\r\n").split("\n")] if text.strip() else []
