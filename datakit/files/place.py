"""Where the preparation of one remote keeps its things, and how the result gets to its final place in one piece.

Under `root/.datakit`, with the remote's name as KEY:

- `KEY.json`, the manifest: the remote is prepared.
- `KEY.journal`, which becomes the manifest: everything is unpacked and verified, and is being moved to its place.
- `staging/KEY/`: what is unpacked but not yet moved.
- `partial/KEY`: what is downloaded so far.

A run that was killed before the journal was written leaves nothing but files to delete or to resume; one that was
killed after it is completed by moving the rest.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from datakit.errors import CorruptDataError
from datakit.files.members import File
from datakit.files.partial import discard

FOLDER = ".datakit"


class Place:
    """The paths that the preparation of the remote `name` under `root` uses."""

    def __init__(self, root: Path, name: str) -> None:
        key = name.replace("%", "%25").replace("/", "%2F")
        self.root, self.name, self.home = root, name, root / FOLDER
        self.manifest, self.journal = self.home / f"{key}.json", self.home / f"{key}.journal"
        self.staging, self.partial = self.home / "staging" / key, self.home / "partial" / key

    def prepared(self, produces: tuple[str, ...]) -> bool:
        """Whether the remote can be used: its files are there, and no run of ours is still moving them."""
        if not produces and self.manifest.exists():
            produces = tuple({file.path.split("/")[0] for file in read_files(self.manifest)})
        there = bool(produces) and not self.missing(produces)
        return there and not self.journal.exists()  # in this order: the journal goes after the files have come

    def missing(self, produces: tuple[str, ...]) -> list[str]:
        """Those of `produces` that do not exist under the root."""
        return [path for path in produces if not (self.root / path).exists()]

    def clear_staging(self) -> None:
        """Makes `staging` a new, empty folder."""
        shutil.rmtree(self.staging, ignore_errors=True)
        self.staging.mkdir(parents=True)

    def clean(self, keep_partial: bool) -> None:
        """Deletes what only an unfinished preparation needs; a partial download may be worth keeping."""
        shutil.rmtree(self.staging, ignore_errors=True)
        if not keep_partial:
            discard(self.partial)
        for folder in (self.staging.parent, self.partial.parent):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def read_files(record: Path) -> list[File]:
    """The files that a manifest or a journal lists.

    Raises:
        CorruptDataError: it is neither.
    """
    try:
        return [File(**file) for file in json.loads(record.read_bytes())["files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptDataError(f"{record}: is no manifest of datakit; delete it and prepare the data again") from error


def write_record(path: Path, record: dict[str, object]) -> None:
    """Writes a manifest or a journal, in one piece and down to the disk."""
    new = path.with_name(f"{path.name}.new")
    try:
        with open(new, "w", encoding="ascii") as file:
            json.dump(record, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Waits until the names in `folder` are on the disk itself."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
