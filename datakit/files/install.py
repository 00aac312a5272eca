"""How what was unpacked gets to its final place: never over anybody's data, and whole even if we are killed midway."""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from datakit.errors import MissingDataError
from datakit.files.members import File
from datakit.files.place import Place, read_files, sync_folder, write_record
from datakit.files.sources import Fetched

_SYNCED_SINGLY = 200  # files


def install(place: Place, fetched: Fetched, files: list[File], shares_folders: bool) -> None:
    """Moves everything in `place.staging` to the root, and writes the manifest last.

    Args:
        place: the paths to use.
        fetched: what was unpacked, for the manifest.
        files: what it was unpacked to.
        shares_folders: whether files may be put into folders that are not ours, as single files may.

    Raises:
        MissingDataError: something that is not ours is in the way.
        OSError: the disk is full, or otherwise in the way.
    """
    _check_free(place, files, shares_folders)
    _sync(place.staging, files)
    record = {"version": 1, "name": place.name, "url": fetched.url, "sha256": fetched.sha256, "size": fetched.size}
    write_record(place.journal, {**record, "files": [file._asdict() for file in files]})
    finish(place)


def finish(place: Place) -> None:
    """Completes a journal: moves what is still in staging, then turns the journal into the manifest.

    Raises:
        MissingDataError: something that is not ours has come in the way, or somebody deleted what was in staging.
    """
    files = read_files(place.journal)
    known = {file.path: file for file in files}
    for source, target in list(_moves(place.staging, place.root)):
        if not os.path.lexists(target):
            os.rename(source, target)
            sync_folder(target.parent)
        elif not _is_same(target, known.get(str(target.relative_to(place.root)))):
            raise in_the_way(place, target)
    if lost := place.missing(tuple(known)):
        raise MissingDataError(
            f"{place.root / lost[0]} is missing: unpacking {place.name} was cut off, and what was still to be moved is "
            f"no longer in {place.staging}; delete {place.journal} and what was moved, and run this again"
        )
    place.clean(keep_partial=False)
    os.replace(place.journal, place.manifest)
    sync_folder(place.home)


def check_folders(place: Place, produces: list[str]) -> None:
    """Finds out before a long download that a folder that must be added to is not ours.

    Raises:
        MissingDataError: it is not.
    """
    ours = _our_folders(place)
    for folder in {place.root / path.split("/")[0] for path in produces}:
        if os.path.lexists(folder) and not (folder.is_dir() and _may_add(folder, place, ours)):
            raise in_the_way(place, folder)


def in_the_way(place: Place, path: Path) -> MissingDataError:
    """The error for a `path` that we may neither overwrite nor add to."""
    return MissingDataError(
        f"{path} is in the way of what {place.name} unpacks to; datakit did not make it and leaves it alone: "
        f"move it away and run this again, or complete it by hand"
    )


def _check_free(place: Place, files: list[File], shares_folders: bool) -> None:
    known = {file.path: file for file in files}
    ours = _our_folders(place)
    for _, target in _moves(place.staging, place.root):
        if os.path.lexists(target):
            if not _is_same(target, known.get(str(target.relative_to(place.root)))):
                raise in_the_way(place, target)
        elif not shares_folders and not _may_add(target.parent, place, ours):
            raise in_the_way(place, target.parent)


def _may_add(folder: Path, place: Place, ours: set[Path]) -> bool:
    return folder == place.root or folder in ours or not any(folder.iterdir())


def _our_folders(place: Place) -> set[Path]:
    """The folders that hold files of some manifest: parts of one corpus (LibriSpeech) share them."""
    files = (place.root / file.path for record in place.home.glob("*.json") for file in read_files(record))
    return {folder for parent in {file.parent for file in files} for folder in (parent, *parent.parents)}


def _moves(staging: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """What lies in staging and where it belongs; whole folders where nothing is there yet."""
    for path in sorted(staging.iterdir()) if staging.exists() else ():
        to = target / path.name
        if path.is_dir() and to.is_dir() and not to.is_symlink():
            yield from _moves(path, to)
        else:
            yield path, to


def _is_same(path: Path, file: File | None) -> bool:
    if file is None or path.is_symlink() or not path.is_file() or path.stat().st_size != file.size:
        return False
    with open(path, "rb") as contents:
        return hashlib.file_digest(contents, "sha256").hexdigest() == file.sha256


def _sync(folder: Path, files: list[File]) -> None:
    """Brings all files under `folder` to the disk.

    A few are written out one by one. For many that takes minutes (200,000 images), and the whole file system is written
    out at once, other programs' files too.
    """
    if len(files) <= _SYNCED_SINGLY:
        for path in (folder, *folder.rglob("*")):
            _fsync(path)
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    finally:
        os.close(handle)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
