"""The members of an archive: what one is, which ones are refused, and how they reach the disk."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

MAX_MEMBERS = 500_000
MAX_NAMES = 48 << 20
"""Characters in the names of all members, which are held in memory."""
BLOCK = 1 << 18
TOO_MUCH = "unpacks to more bytes than an honest archive of its size would"
_PLAIN = re.compile(r"\w[\w. -]{0,60}(?:/\w[\w. -]{0,60}){0,9}", re.ASCII)
"""Names that are good at first sight, as nearly all are; the others are looked at part by part."""


class Member(NamedTuple):
    """One entry of an archive, as the archive describes it.

    Attributes:
        name: its path.
        size: bytes that it unpacks to; 0 where the format does not say.
        folder: whether it is a folder.
        refused: why it must not be unpacked, such as `is a symlink`; empty for plain files and folders.
    """

    name: str
    size: int
    folder: bool = False
    refused: str = ""


Entry = tuple[Member, Iterator[bytes]]
"""A member and its contents, which are read only when asked for and before the next member."""


class File(NamedTuple):
    """A file that was unpacked: its path under the root, its size in bytes, its SHA-256 in hex."""

    path: str
    size: int
    sha256: str


def plain_name(name: str) -> str:
    """`name` without `.` and empty parts; the empty string means the folder that the archive is unpacked into.

    Raises:
        ValueError: the name could lead out of that folder on some system, or no file system would take it.
    """
    if _PLAIN.fullmatch(name):
        return name
    parts = [part for part in name.split("/") if part not in ("", ".")]
    plain = "/".join(parts)
    if not name or "\0" in name:
        raise _refusal(name, "its name is empty or has a NUL in it")
    if name[0] == "/" or "\\" in name or ".." in parts or re.match("[A-Za-z]:", plain):
        raise _refusal(name, "its name leads out of the folder")
    if parts and parts[0].lower() == ".datakit":
        raise _refusal(name, "the folder .datakit is datakit's own")
    if len(os.fsencode(plain)) > 1024 or any(len(os.fsencode(part)) > 255 for part in parts):
        raise _refusal(name, "its name is too long (255 bytes a part, 1,024 in all)")
    return plain


def check(entries: Iterable[Entry], room: int) -> None:
    """Looks at every member before any is written, so that a bad archive costs neither disk nor much time.

    Args:
        entries: the members; contents are left alone.
        room: bytes that the archive may unpack to.

    Raises:
        ValueError: a member of a kind or name that is refused, a name twice, too many members, too many bytes.
    """
    names = _Names()
    for member, _ in entries:
        if member.refused:
            raise _refusal(member.name, member.refused)
        names.add(plain_name(member.name), member.folder)
        room -= member.size
        if room < 0:
            raise _refusal(member.name, f"with it the archive {TOO_MUCH}")


def write(entries: Iterable[Entry], into: Path, room: int) -> list[File]:
    """Writes members that passed `check` under the folder `into`, with plain permissions whatever the archive asks.

    Raises:
        ValueError: a member is longer or shorter than it said, or there is more than `room` bytes in all.
        OSError: the disk is full, or otherwise in the way.
    """
    written, made = [], {""}
    for member, blocks in entries:
        name = plain_name(member.name)
        _make_folders(into, name if member.folder else name.rpartition("/")[0], made)
        if member.folder:
            continue
        file = File(name, *_write_file(into / name, blocks, room))
        if member.size not in (0, file.size):
            raise _refusal(member.name, f"has {file.size} bytes, not the {member.size} that the archive says")
        room -= file.size
        written.append(file)
    return written


class _Names:
    """The names used so far, folders that are only implied included."""

    def __init__(self) -> None:
        self._spelled = {"": ""}
        self._folders = {""}
        self._members = self._characters = 0

    def add(self, name: str, folder: bool) -> None:
        """Notes a plain name; refuses one that is taken, also by another spelling in upper and lower case."""
        parent = name.rpartition("/")[0]
        if parent not in self._folders:
            for path in accumulate(parent.split("/"), "{}/{}".format):
                self._take(path, folder=True)
        self._take(name, folder)
        self._members += 1
        if max(self._members, len(self._spelled)) > MAX_MEMBERS:
            raise ValueError(f"it has more than {MAX_MEMBERS:,} members")
        if self._characters > MAX_NAMES:
            raise ValueError(f"its names have more than {MAX_NAMES:,} characters")

    def _take(self, name: str, folder: bool) -> None:
        if folder and name in self._folders:
            return
        lower = name.lower()
        lower = name if lower == name else lower  # one object to keep, not two
        if (taken := self._spelled.get(lower)) is not None:
            raise _refusal(name, "is there twice" if taken == name else f"differs only by case from {taken!r}")
        self._spelled[lower] = name
        self._characters += len(name)
        if folder:
            self._folders.add(name)


def _refusal(name: str, why: str) -> ValueError:
    shown = name if len(name) <= 100 else f"{name[:100]}…"
    return ValueError(f"member {shown!r}: {why}")


def _make_folders(into: Path, name: str, made: set[str]) -> None:
    if name not in made:
        for path in accumulate(name.split("/"), "{}/{}".format):
            if path not in made:
                os.mkdir(into / path, 0o755)
                made.add(path)


def _write_file(path: Path, blocks: Iterable[bytes], room: int) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with open(handle, "wb") as file:
        for block in blocks:
            size += len(block)
            if size > room:
                raise _refusal(path.name, f"with it the archive {TOO_MUCH}")
            digest.update(block)
            file.write(block)
    return size, digest.hexdigest()
