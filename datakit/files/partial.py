"""A download that is under way: what is on disk, and where those bytes came from."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self


class Origin(NamedTuple):
    """What a server said about a file when it began to send it.

    Attributes:
        url: where it was asked for.
        validator: its strong ETag, or its Last-Modified; without either a transfer cannot be resumed.
        total: its size in bytes, where that was said.
    """

    url: str
    validator: str
    total: int | None


class Partial:
    """The bytes of one file so far, hashed as they are written.

    Bytes that an earlier run left count where they came from the same address, and the caller asks the server whether
    they are still good. Bytes from another address lie there until `restart`, in case this one has nothing to give.

    Attributes:
        url: where they are asked for.
        size: how many there are.
        origin: what the server said of them; `None` where they cannot be resumed.
        resumed: whether they were put together from more than one transfer.
    """

    def __init__(self, path: Path, url: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.url, self._origin_path = url, path.with_name(f"{path.name}.origin")
        self.origin = _read_origin(self._origin_path, url)
        self._file = open(path, "a+b")  # noqa: SIM115 - closed by __exit__
        self._forget()
        if self.origin is not None:
            self._file.seek(0)
            while block := self._file.read(1 << 20):
                self._count(block)
        self.resumed = self.size > 0

    def _forget(self) -> None:
        self._sha256, self._md5, self.size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0

    def _count(self, block: bytes) -> None:
        self._sha256.update(block)
        self._md5.update(block)
        self.size += len(block)

    def restart(self, validator: str = "", total: int | None = None) -> None:
        """Drops the bytes, also those from another address, and notes what the server says of the next ones."""
        self._origin_path.unlink(missing_ok=True)
        self._file.truncate(0)
        self._forget()
        self.origin, self.resumed = Origin(self.url, validator, total) if validator else None, False
        if self.origin is not None:
            self._origin_path.write_text(json.dumps(self.origin))

    def write(self, block: bytes) -> None:
        """Adds `block` at the end."""
        self._file.write(block)
        self._count(block)

    def sync(self) -> None:
        """Waits until the bytes are on the disk itself."""
        self._file.flush()
        os.fsync(self._file.fileno())

    @property
    def sha256(self) -> str:
        """Of all bytes so far, in hex."""
        return self._sha256.hexdigest()

    @property
    def md5(self) -> str:
        """Of all bytes so far, in hex."""
        return self._md5.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


def discard(path: Path) -> None:
    """Deletes what a `Partial` left at `path`."""
    path.with_name(f"{path.name}.origin").unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _read_origin(path: Path, url: str) -> Origin | None:
    try:
        origin = Origin(*json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):  # not there, or the machine stopped while it was written
        return None
    return origin if origin.url == url else None
