"""The files of one kind below a folder, and folders of them as classes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from datakit.errors import MissingDataError


class Classes(NamedTuple):
    """A folder with a folder for each class.

    Attributes:
        names: of the classes, sorted.
        files: paths relative to the root, class by class, sorted by path.
        labels: the class of each file.
    """

    names: list[str]
    files: list[str]
    labels: list[int]


def class_files(root: Path, suffixes: tuple[str, ...], kind: str, hint: str) -> Classes:
    """The files below the folders of `root`, each folder a class.

    Args:
        root: the folder.
        suffixes: lower case, with their dots, of the files that count.
        kind: what these are called in messages, such as `images`.
        hint: what the message adds where there are no folders.

    Raises:
        MissingDataError: there is no such folder, it has no folders in it, or one of these has no such file.
    """
    names = [entry.name for entry in _visible(root) if entry.is_dir()]
    if not names:
        raise MissingDataError(f"{root.absolute()} has no folders in it; {hint}")
    found = [list(files_below(root, suffixes, name)) for name in names]
    if empty := [name for name, files in zip(names, found, strict=True) if not files]:
        raise MissingDataError(f"no {kind} in {', '.join(repr(name) for name in empty)} of {root.absolute()}")
    labels = [label for label, files in enumerate(found) for _ in files]
    return Classes(names, [file for files in found for file in files], labels)


def files_below(root: Path, suffixes: tuple[str, ...], below: str = "") -> Iterator[str]:
    """Paths of the files in `root / below` at any depth, relative to `root`, sorted.

    Hidden files and folders are left out. A link back to a folder above is not followed.

    Args:
        root: the folder.
        suffixes: lower case, with their dots, of the files that count.
        below: a folder in `root` to look in, instead of `root` itself.

    Raises:
        MissingDataError: there is no such folder.
        PermissionError: a folder that may not be read.
    """
    above = frozenset({_identity(root)}) if below else frozenset()
    return _walk(root, suffixes, below, above)


def _walk(root: Path, suffixes: tuple[str, ...], below: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    here = _identity(root / below)
    if here in above:
        return
    for entry in _visible(root / below):
        path = f"{below}/{entry.name}" if below else entry.name
        if entry.is_dir():
            yield from _walk(root, suffixes, path, above | {here})
        elif entry.name.lower().endswith(suffixes):
            yield path


def _identity(folder: Path) -> tuple[int, int]:
    if not folder.is_dir():
        raise MissingDataError(f"there is no folder {folder.absolute()}")
    status = folder.stat()
    return status.st_dev, status.st_ino


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    if not folder.is_dir():
        raise MissingDataError(f"there is no folder {folder.absolute()}")
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
