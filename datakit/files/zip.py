"""Reading zip archives with `zipfile`, after a look at what it would have to hold in memory.

Format: PKWARE APPNOTE 6.3.10, sections 4.3.12 (central directory), 4.3.14 to 4.3.16 (its end records).
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from collections.abc import Iterator
from typing import IO

from datakit.files.members import BLOCK, MAX_MEMBERS, Entry, Member

_LARGEST_DIRECTORY = 96 << 20
_ENCRYPTED = 1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def zip_entries(file: IO[bytes]) -> Iterator[Entry]:
    """The members of a zip archive, in the order of its directory.

    Raises:
        ValueError: the directory is damaged or too large.
        zipfile.BadZipFile: the same, found by `zipfile`, or a member fails its checksum.
    """
    _check_directory(file)
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            name, size = info.orig_filename, info.file_size
            folder = name.endswith("/")
            yield Member(name, size, folder, _refused(info, folder)), _blocks(archive, info)


def _blocks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(info) as member:
        while block := member.read(BLOCK):
            yield block


def _refused(info: zipfile.ZipInfo, folder: bool) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted; unpack the archive by hand, with its password"
    if kind == stat.S_IFLNK:
        return "is a symlink"
    if kind not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
        return "is neither a file nor a folder"
    if folder and info.file_size:
        return "is a folder with contents"
    if info.header_offset < 0:
        return "lies outside of the archive"
    if info.compress_type not in _METHODS:
        return f"is compressed by method {info.compress_type}; only stored (0) and deflated (8) are read"
    return ""


def _check_directory(file: IO[bytes]) -> None:
    """Counts the members before `zipfile` makes an object of each."""
    file.seek(-min(22 + 65535, file.seek(0, os.SEEK_END)), os.SEEK_END)
    start, tail = file.tell(), file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < 22:
        raise ValueError("it is no zip archive, or it is cut short")
    count, size = struct.unpack_from("<HL", tail, at + 10)
    end = start + at
    if tail[max(at - 20, 0) : at][:4] == b"PK\6\7":
        end -= 20 + 56
        count, size = _large_counts(file, end)
    if size > min(_LARGEST_DIRECTORY, end):
        raise ValueError(f"its directory of {size:,} bytes is too large")
    file.seek(end - size)
    found = _count(file.read(size))
    if (found - count) % 65536:  # some writers of more than 65,535 members keep only the low bits
        raise ValueError("its directory is damaged")


def _large_counts(file: IO[bytes], end: int) -> tuple[int, int]:
    """Members and bytes of the directory, from the zip64 end record at `end`."""
    file.seek(max(end, 0))
    record = file.read(56)
    if len(record) < 56 or record[:4] != b"PK\6\6":
        raise ValueError("its zip64 end record is damaged")
    count, size = struct.unpack_from("<QQ", record, 32)
    return count, size


def _count(directory: bytes) -> int:
    count = at = 0
    while directory[at : at + 4] == b"PK\1\2" and len(directory) - at >= 46:
        name, extra, comment = struct.unpack_from("<HHH", directory, at + 28)
        at, count = at + 46 + name + extra + comment, count + 1
        if count > MAX_MEMBERS:
            raise ValueError(f"it has more than {MAX_MEMBERS:,} members")
    return count
