"""A binary file from which never more is read than it holds: what a header claims is checked before memory is taken."""

from __future__ import annotations

import io
import os
import re
from typing import BinaryIO, NoReturn

from datakit.errors import CorruptDataError

LONGEST_LINE = 2**22  # bytes of a line of text; its numbers are Python objects for a moment, 20 times as large
LARGEST_STREAMED = 2**28  # bytes of one object where the size of the whole is not known: gzip, pipes
_BLOCK = 2**20
_LONGEST_KEY = 2**12
_SPACE = b" \t\r\n\f\v"
_PLAIN_KEY = re.compile(rb"([!-~]{1,256}) ")  # most of them; the others are looked at closely


class Bounded:
    """A binary file object that kaldi_io may read from.

    The size of a file that can be sought is known, and a read beyond it is an error before anything is allocated. Of
    one that cannot, a read grows with what arrives, up to `LARGEST_STREAMED`.

    Args:
        file: open for reading, at the place where reading begins.
        name: what messages call it.
    """

    mode = "rb"  # kaldi_io looks

    def __init__(self, file: BinaryIO, name: str, *, sized: bool = True) -> None:
        self.file, self.name = file, name
        self.place = 0
        self.end: int | None = None
        self._ahead = b""
        if sized and file.seekable():
            self.place = file.tell()
            self.end = file.seek(0, os.SEEK_END)
            file.seek(self.place)

    def read(self, count: int) -> bytearray:
        """Exactly `count` bytes; writable, so that an array over them is too.

        Raises:
            CorruptDataError: for a negative count, and where there are fewer.
        """
        self.expect(count)
        begun = min(count, len(self._ahead))
        data = bytearray(begun if self.end is None else count)
        data[:begun] = self._ahead[:begun]
        self._ahead = self._ahead[begun:]
        if self.end is not None:
            del data[begun + _fill(self.file, memoryview(data)[begun:]) :]
        while len(data) < count and (block := self.file.read(min(_BLOCK, count - len(data)))):
            data += block
        if len(data) < count:
            self.fail(f"truncated: {count:,} bytes are due here, and there are {len(data):,}")
        self.place += count
        return data

    def expect(self, count: int) -> None:
        """Say at once that `count` bytes are not to be had here, where that is known.

        Raises:
            CorruptDataError: they are not.
        """
        if count < 0:
            self.fail(f"a size of {count:,} bytes")
        if self.end is not None and count > self.end - self.place:
            self.fail(f"truncated: {count:,} bytes are due here, and there are {self.end - self.place:,}")
        if self.end is None and count > LARGEST_STREAMED:
            self.fail(
                f"{count:,} bytes in one object, over the limit of {LARGEST_STREAMED:,} for streams; unpack the file"
            )

    def unread(self, data: bytes | bytearray) -> None:
        """Put back what was read last."""
        self._ahead = bytes(data) + self._ahead
        self.place -= len(data)

    def peek(self) -> bytes:
        """The next byte, or nothing at the end."""
        if not self._ahead:
            self._ahead = self.file.read(1)
        return self._ahead[:1]

    def line(self) -> bytes:
        """The next line with its end, or nothing at the end.

        Raises:
            CorruptDataError: it is longer than `LONGEST_LINE`.
        """
        if b"\n" in self._ahead:
            end = self._ahead.index(b"\n") + 1
            line, self._ahead = self._ahead[:end], self._ahead[end:]
        else:
            line, self._ahead = self._ahead + self.file.readline(LONGEST_LINE + 1 - len(self._ahead)), b""
        if len(line) > LONGEST_LINE:
            self.fail(f"a line of more than {LONGEST_LINE:,} bytes; write such data in binary form")
        self.place += len(line)
        return line

    def key(self) -> str | None:
        """The next key of an archive and the one white space after it; None at the end of the file.

        Raises:
            CorruptDataError: the file ends in the key, or it is no UTF-8, has control characters or is very long.
        """
        if not self._ahead and isinstance(self.file, io.BufferedReader):
            match = _PLAIN_KEY.match(self.file.peek(_LONGEST_KEY))
            if match:
                self.place += len(self.file.read(match.end()))
                return match[1].decode()
        while (byte := self.peek()) and byte in _SPACE:
            self.read(1)
        start, found = self.place, bytearray()
        while (byte := self.peek()) and byte not in _SPACE and len(found) <= _LONGEST_KEY:
            found += self.read(1)
        if not found and not byte:
            return None
        if not byte:
            self.fail(f"the file ends within or after the key {bytes(found[:80])!r}", start)
        key = self._decoded(bytes(found), start)
        if byte != b"\n":  # after which there is nothing: an empty vector as text
            self.read(1)
        return key

    def _decoded(self, found: bytes, start: int) -> str:
        try:
            key = found.decode()
        except UnicodeDecodeError:
            self.fail(f"a key is due here, and {found[:20]!r} is no UTF-8", start)
        if len(found) > _LONGEST_KEY or re.search(r"[\x00-\x1f\x7f]", key):
            self.fail(f"a key is due here, and there is {found[:20]!r}", start)
        return key

    def fail(self, what: str, place: int | None = None) -> NoReturn:
        """Raise the error that says `what` is wrong, and at which byte."""
        raise CorruptDataError(f"{self.name}: byte {self.place if place is None else place:,}: {what}")


def _fill(file: BinaryIO, view: memoryview) -> int:
    """Read into `view` until it is full or the file ends; the number of bytes."""
    done = 0
    while done < len(view):
        got = file.readinto(view[done:]) if hasattr(file, "readinto") else None
        if got is None:
            block = file.read(len(view) - done)
            got = len(block)
            view[done : done + got] = block
        if not got:
            break
        done += got
    return done
