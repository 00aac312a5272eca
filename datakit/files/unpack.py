"""Archives: looked through first, then unpacked; nothing in them can write outside the folder that they are given."""

from __future__ import annotations

import gzip
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from datakit.errors import CorruptDataError
from datakit.files.members import BLOCK, Entry, File, Member, check, write
from datakit.files.remote import FORMATS, ending
from datakit.files.streams import decompressed
from datakit.files.tar import tar_entries
from datakit.files.zip import zip_entries

RATIO = 200
SPARE = 64 << 20
"""An archive may unpack to `RATIO` times its own size and `SPARE` bytes."""

_BAD_CONTENTS = (
    ValueError,
    NotImplementedError,
    EOFError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    zipfile.BadZipFile,
)


def unpack(archive: Path, name: str, into: Path) -> list[File]:
    """Unpacks a zip, tar, or single compressed file into a folder that is new and nobody else's.

    Only regular files and folders, with permissions 0o644 and 0o755, under names that are good on every system.
    The whole directory of the archive is looked through before the first file is written.

    Args:
        archive: the file to unpack.
        name: its name under the root; the ending says what it is, and a single file is unpacked to `name` without it.
        into: an existing, empty folder.

    Returns:
        The files that were written.

    Raises:
        CorruptDataError: the archive is damaged or cut short, or a member of it is refused; `into` is to be deleted.
        OSError: the disk is full, or otherwise in the way.
    """
    room = RATIO * os.path.getsize(archive) + SPARE
    try:
        with open(archive, "rb") as file:
            check(_entries(file, name, room), room)
            file.seek(0)
            return write(_entries(file, name, room), into, room)
    except _BAD_CONTENTS as error:
        why = str(error) or type(error).__name__
        raise CorruptDataError(f"{name}: {why}; nothing of this archive was unpacked") from error


def _entries(file: IO[bytes], name: str, room: int) -> Iterator[Entry]:
    suffix = ending(name)
    kind, compression = FORMATS[suffix]
    if kind == "zip":
        return zip_entries(file)
    stream = decompressed(file, compression, room)
    if kind == "tar":
        return tar_entries(stream)
    contents = iter(lambda: stream.read(BLOCK), b"")
    return iter([(Member(name[: -len(suffix)], 0), contents)])
