"""Opening a file that a user or a table named."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO

from datakit.errors import CorruptDataError, MissingDataError


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
