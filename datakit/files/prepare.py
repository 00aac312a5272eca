"""`ensure`: the one way to get a dataset's files."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from datakit.errors import CorruptDataError, DatakitError, DownloadError, MissingDataError
from datakit.files.http import Patience
from datakit.files.install import check_folders, finish, install
from datakit.files.members import File
from datakit.files.place import Place
from datakit.files.remote import FORMATS, Remote, ending
from datakit.files.sources import Expected, Fetched, fetch

_QUIET_WAIT = 2.0
"""Seconds to wait for another process before saying so."""


def ensure(
    remotes: Iterable[Remote],
    root: str | os.PathLike[str],
    *,
    download: bool = False,
    progress: bool | None = None,
    timeout: float = 30.0,
    retries: int = 5,
) -> None:
    """Makes sure that the files of a dataset are under `root`, whole and verified.

    Where they are, nothing is written, so that a read-only root will do; files that a user unpacked there by hand
    count. Otherwise, with `download`, each file is fetched from the mirrors in `$DATAKIT_MIRROR` (file:// or
    http(s):// addresses with blanks between them; a mirror's SHA256SUMS is the authority for what it serves) or from
    upstream, verified, unpacked, and moved to its place. Of several processes one does so, and the others wait. A run
    that was killed is completed by the next one; until then nothing of it is taken for finished.

    Args:
        remotes: what is needed.
        root: the folder that the remotes' names are relative to; it is created.
        download: whether to fetch what is missing, and to unpack an archive that a user put under the root.
        progress: `True` for a bar on stderr, `False` for silence, `None` for a bar on a terminal and a line elsewhere.
        timeout: seconds without a byte from a server after which an attempt has failed.
        retries: further attempts in a row that may bring nothing new, for each source.

    Raises:
        MissingDataError: files are missing and `download` is false, or something that is not ours is in their way.
        DownloadError: no source delivered a file, or the disk failed or is full.
        CorruptDataError: an archive is damaged, has members that are refused, or lacks what it should hold.
    """
    base = Path(os.path.abspath(root))
    pending = _pending(remotes, base)
    if not pending:
        return
    if not download:
        return _complain(pending, base)
    try:
        with _locked(base, progress):
            for remote in pending:
                place = Place(base, remote.name)
                if not place.prepared(remote.produces):  # nobody did it while we waited
                    _prepare(remote, place, Patience(timeout, retries), progress)
    except DatakitError:
        raise
    except OSError as error:
        raise DownloadError(
            f"{base}: cannot prepare {', '.join(remote.name for remote in pending)}: {error}; "
            f"nothing half-done was left in the way, run it again once that is mended"
        ) from error


def lacking(remotes: Iterable[Remote], root: str | os.PathLike[str]) -> list[str]:
    """What `ensure` would fetch or unpack: paths under `root` that are not there, or not whole yet. Nothing is read.

    A folder without anything in it is told too: whatever made it, data are not there.

    Examples:
        >>> from datakit import Remote
        >>> from datakit.files.prepare import lacking
        >>> lacking([Remote("a/words.txt"), Remote("b.zip", unpack=True)], "nowhere")
        ['a/words.txt', 'b.zip']
    """
    base, found = Path(os.path.abspath(root)), []
    for remote in remotes:
        place = Place(base, remote.name)
        if place.prepared(remote.produces):
            found += [path for path in remote.produces if _is_empty(base / path)]
        else:
            found += place.missing(remote.produces) or [remote.name]
    return found


def _is_empty(path: Path) -> bool:
    if not path.is_dir():
        return False
    with os.scandir(path) as entries:
        return next(entries, None) is None


def _pending(remotes: Iterable[Remote], base: Path) -> list[Remote]:
    return [remote for remote in remotes if not Place(base, remote.name).prepared(remote.produces)]


def _complain(pending: list[Remote], base: Path) -> None:
    for remote in pending:
        place = Place(base, remote.name)
        if place.journal.exists():
            raise MissingDataError(f"{base}: {remote.name} is being unpacked, or that was cut off: pass download=True")
        if missing := place.missing(remote.produces):
            raise MissingDataError(
                f"{missing[0]} is missing under {base}: {_above(missing[0], base)}{_remedy(remote, place)}"
            )


def _above(missing: str, base: Path) -> str:
    """What to say where the root is a folder inside the one that is meant."""
    first = Path(missing).parts[0]
    outer = next((folder for folder in base.absolute().parents if (folder / missing).exists()), None)
    return f"{first} is in {outer}, give that; or " if outer is not None else ""


def _remedy(remote: Remote, place: Place) -> str:
    if remote.unpack and (place.root / remote.name).is_file():
        return f"{remote.name} lies there, pass download=True to have it unpacked"
    by_hand = remote.manual or f"{'unpack' if remote.unpack else 'put'} {remote.name} there"
    if not remote.urls:
        return f"{by_hand}, or set DATAKIT_MIRROR to a place that has {remote.name} and pass download=True"
    return f"pass download=True, or {by_hand} (without a network: DATAKIT_MIRROR=file:///a/folder/that/has/it)"


@contextmanager
def _locked(base: Path, progress: bool | None) -> Iterator[None]:
    """Holds the lock of a root, which the system lets go should this process die."""
    from filelock import FileLock, Timeout

    home = base / ".datakit"
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / "lock")
    try:
        lock.acquire(timeout=_QUIET_WAIT)
    except Timeout:
        if progress is not False:
            print(f"waiting for another process that prepares {base}", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _prepare(remote: Remote, place: Place, patience: Patience, progress: bool | None) -> None:
    if place.journal.exists():
        finish(place)
        if place.prepared(remote.produces):
            return
    archive = remote.unpack and FORMATS[ending(remote.name)][0] != "file"
    if archive:
        check_folders(place, place.missing(remote.produces))
    place.clear_staging()
    keep_partial = True
    try:
        fetched = _by_hand(remote, place) or fetch(remote, place, patience, progress)
        install(place, fetched, _stage(remote, place, fetched), shares_folders=not archive)
    except (CorruptDataError, OSError) as error:
        keep_partial = isinstance(error, (MissingDataError, DownloadError))
        raise
    finally:
        if not place.journal.exists():
            place.clean(keep_partial)


def _by_hand(remote: Remote, place: Place) -> Fetched | None:
    """The archive that a user put under the root; it is verified, and stays there."""
    path = place.root / remote.name
    if not (remote.unpack and path.is_file()):
        return None
    sha256, md5, size = _digest(path, "sha256"), _digest(path, "md5") if remote.md5 else "", path.stat().st_size
    if fault := Expected(remote.sha256, remote.md5, remote.size).fault(sha256, md5, size):
        raise CorruptDataError(f"{path}: {fault}; delete it and pass download=True, or put the right file there")
    return Fetched(path, path.as_uri(), sha256, size)


def _digest(path: Path, kind: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _stage(remote: Remote, place: Place, fetched: Fetched) -> list[File]:
    """Puts the files of the remote into `place.staging`, laid out as under the root."""
    from datakit.files.unpack import unpack

    if remote.unpack:
        into = place.staging / remote.folder
        into.mkdir(parents=True, exist_ok=True)
        files = unpack(fetched.path, remote.name, into)
        if remote.folder:
            files = [file._replace(path=f"{remote.folder}/{file.path}") for file in files]
    else:
        target = place.staging / remote.name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(fetched.path, target)
        files = [File(remote.name, fetched.size, fetched.sha256)]
    for path in remote.produces:
        if not (place.staging / path).exists() and not (place.root / path).exists():
            raise CorruptDataError(f"{remote.name} from {fetched.url} is whole, but {path} is not in it")
    if not files:
        raise CorruptDataError(f"{remote.name} from {fetched.url} holds no files")
    return files
