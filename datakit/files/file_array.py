"""Arrays that lie in a file: read when first needed, and never sent to another process."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from datakit.errors import CorruptDataError
from datakit.files.opening import open_regular

Bytes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"


class FileArray:
    """What `read(path)` gives: kept in this process, and read again in one that a pickled copy was sent to.

    Args:
        read: a function at the top of a module.
        path: the file.
        array: what it gives, where that is known already.

    Examples:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from datakit.files.file_array import FileArray, map_file
        >>> Path("bytes").write_bytes(b"abc")
        3
        >>> FileArray(map_file, Path("bytes")).array
        array([97, 98, 99], dtype=uint8)
    """

    def __init__(self, read: Callable[[Path], Bytes], path: Path, array: Bytes | None = None) -> None:
        self.read, self.path = read, path
        if array is not None:
            self.array = array

    @cached_property
    def array(self) -> Bytes:
        """The array; files that are mapped into memory cost their page cache once, for all processes."""
        return self.read(self.path)

    def __getstate__(self) -> dict[str, Any]:
        return {"read": self.read, "path": self.path}


def map_file(path: Path) -> Bytes:
    """The bytes of a file, mapped into memory, read-only.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: it is empty, or no regular file.
    """
    with open_regular(str(path), "a data file") as file:
        return map_opened(file, path)


def map_opened(file: BinaryIO, path: Path) -> Bytes:
    """The bytes of an open file, mapped into memory, read-only.

    Raises:
        CorruptDataError: it is empty.
    """
    if not os.fstat(file.fileno()).st_size:
        raise CorruptDataError(f"{path}: the file is empty; delete it and get it again")
    return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
