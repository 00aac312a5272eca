"""Compressed streams, read to their last byte."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from functools import partial
from typing import IO, TYPE_CHECKING, Protocol

from datakit.files.members import BLOCK, TOO_MUCH

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

XZ_MEMORY = 256 << 20
"""Bytes of dictionary that an xz stream may ask for; `xz -9` needs 65 MiB."""


class Readable(Protocol):
    """What is read from front to back."""

    def read(self, size: int, /) -> bytes:
        """Exactly `size` bytes, fewer only at the end."""


def decompressed(file: IO[bytes], compression: str, room: int) -> Readable:
    """The bytes that are compressed in `file`.

    Reading to the end raises where the stream is cut short, fails its checksum, has anything but zeros behind it,
    or holds more than `room` bytes.

    Args:
        file: open for reading.
        compression: `gz`, `xz`, `bz2`, or the empty string for none.
        room: bytes that there may be.
    """
    if not compression:
        return file
    if compression == "gz":
        stream: io.BufferedIOBase | io.RawIOBase = gzip.GzipFile(fileobj=file)
    elif compression == "xz":
        stream = _Streams(file, partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, XZ_MEMORY))
    else:
        stream = _Streams(file, bz2.BZ2Decompressor)
    return io.BufferedReader(_Bounded(stream, room), BLOCK)


class _Bounded(io.RawIOBase):
    def __init__(self, stream: io.BufferedIOBase | io.RawIOBase, room: int) -> None:
        self._stream, self._room = stream, room

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        size = self._stream.readinto(buffer) or 0
        self._room -= size
        if self._room < 0:
            raise ValueError(f"it {TOO_MUCH}")
        return size


class _Streams(io.RawIOBase):
    """One xz or bz2 stream after the other; `lzma.open` and `bz2.open` would ignore junk behind the last one."""

    def __init__(self, file: IO[bytes], new: Callable[[], lzma.LZMADecompressor | bz2.BZ2Decompressor]) -> None:
        self._file, self._new = file, new
        self._engine, self._waiting = new(), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        with memoryview(buffer) as view:
            data = self._some(len(view))
            view[: len(data)] = data
        return len(data)

    def _some(self, most: int) -> bytes:
        """Up to `most` bytes, none only at the end."""
        while not self._engine.eof or self._next_stream():
            if self._engine.needs_input and not self._waiting:
                self._waiting = self._file.read(BLOCK)
                if not self._waiting:
                    raise EOFError("it is cut short")
            given, self._waiting = self._waiting, b""
            if data := self._decompress(given, most):
                return data
        return b""

    def _decompress(self, given: bytes, most: int) -> bytes:
        try:
            return self._engine.decompress(given, most)
        except OSError as error:  # what bz2 says about bad data, which must not look like a failing disk
            raise ValueError(str(error)) from error

    def _next_stream(self) -> bool:
        """Starts on what follows a finished stream; streams may be padded with zeros."""
        rest = self._engine.unused_data.lstrip(b"\0")
        while not rest:
            block = self._file.read(BLOCK)
            if not block:
                return False
            rest = block.lstrip(b"\0")
        self._engine, self._waiting = self._new(), rest
        return True
