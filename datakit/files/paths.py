"""Names that stay under their root, and the cache folder."""

from __future__ import annotations

import os
from pathlib import Path

from datakit.errors import CorruptDataError


def leaves(name: str) -> bool:
    """Whether `name`, joined to a folder, could mean something outside it, or nothing that can be named at all."""
    if not name or name[0] == "/" or "\\" in name or "\0" in name:
        return True
    return ".." in name and ".." in name.split("/")


def inside(root: str | os.PathLike[str], name: str, what: str = "path") -> Path:
    """`root/name`, for a name that came from data (a CSV row, an index file).

    The check looks at the text alone and touches no disk, so that it can be made for every row of a table.

    Args:
        root: the folder that `name` is relative to.
        name: a relative path with forward slashes.
        what: what the message calls it, such as `faces.csv row 3`.

    Raises:
        CorruptDataError: the name is empty or absolute, or has a `..`, a backslash or a NUL in it.
    """
    if leaves(name):
        raise CorruptDataError(f"{what}: {name!r} leaves {os.fspath(root)}")
    return Path(root, name)


def cache_dir() -> Path:
    """The folder for what datakit keeps between runs, which is not created here.

    It is `$DATAKIT_CACHE`, else `$XDG_CACHE_HOME/datakit`, else `~/.cache/datakit`. A relative `$XDG_CACHE_HOME`
    is ignored, as its specification asks.
    """
    if own := os.environ.get("DATAKIT_CACHE"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(shared) if os.path.isabs(shared) else Path.home() / ".cache") / "datakit"
