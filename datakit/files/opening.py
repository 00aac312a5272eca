"""Opening a file that a user or a table named."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO, TypeAlias

from datakit.errors import CorruptDataError, MissingDataError

Source: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO"
"""A path, the bytes of a file, or a binary file object."""


@contextlib.contextmanager
def opened(source: Source, expected: str) -> Iterator[tuple[BinaryIO, str]]:
    """A file to read and seek in, and its name for messages; a file object that was given is left open.

    Args:
        source: what to read; a file object that cannot seek is read whole.
        expected: what should be there, for the message, such as `an image`.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: it is a folder, a device or a pipe, or cannot be opened.
        TypeError: `source` is none of these.
    """
    if isinstance(source, bytes):
        yield io.BytesIO(source), "<bytes>"
    elif isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        with open_regular(name, expected) as file:
            yield file, name
    elif hasattr(source, "read"):
        called = getattr(source, "name", None)
        file = source if source.seekable() else io.BytesIO(source.read())
        yield file, called if isinstance(called, str) else "<file>"
    else:
        raise TypeError(f"source is a path, bytes or a binary file object, not {type(source).__name__}")


def open_regular(path: str, expected: str) -> BinaryIO:
    """Open a regular file for reading, and nothing else: opening a pipe would wait for ever.

    Args:
        path: the file.
        expected: what should be there, for the message, such as `an image`.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: it is a folder, a device or a pipe, or cannot be opened.
    """
    try:
        kind = os.stat(path).st_mode
        file = open(path, "rb") if stat.S_ISREG(kind) else None  # noqa: SIM115
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingDataError(f"{path}: there is no such file") from error
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise  # the machine's trouble, not the file's
        raise CorruptDataError(f"{path}: cannot be opened: {error.strerror}") from error
    if file is None:
        raise CorruptDataError(f"{path}: {'a folder' if stat.S_ISDIR(kind) else 'not a regular file'}, not {expected}")
    return file
