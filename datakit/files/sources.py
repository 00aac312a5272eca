"""Where a file can come from, in order: the user's mirrors, then upstream. The first that delivers good bytes wins."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from datakit.errors import DownloadError
from datakit.files.http import Patience, download
from datakit.files.members import BLOCK
from datakit.files.partial import Partial, discard
from datakit.files.place import Place
from datakit.files.progress import Progress
from datakit.files.remote import Remote
from datakit.files.responses import AbsentError, SourceError


class Expected(NamedTuple):
    """What is known of the bytes before they are there: checksums in hex, size in bytes."""

    sha256: str | None = None
    md5: str | None = None
    size: int | None = None

    def fault(self, sha256: str, md5: str, size: int) -> str:
        """How bytes with these checksums differ from the expected ones; the empty string where they do not."""
        for kind, want, found in zip(self._fields, self, (sha256, md5, size), strict=True):
            if want is not None and want != found:
                return f"{kind} is {found}, expected {want}"
        return ""


class Fetched(NamedTuple):
    """A file that is there and verified, as far as anything was known of it."""

    path: Path
    url: str
    sha256: str
    size: int


def fetch(remote: Remote, place: Place, patience: Patience, progress: bool | None) -> Fetched:
    """Brings a file from the first source that has it and delivers the right bytes.

    Args:
        remote: what to bring.
        place: where to put it; what an interrupted run left there is resumed.
        patience: timeouts and retries.
        progress: as `ensure` takes it.

    Raises:
        DownloadError: no source did; the message tells what happened with each.
        OSError: the disk is full, or otherwise in the way.
    """
    told = []
    for url, mirror in _addresses(remote):
        try:
            expected = _expected(remote, mirror, place.partial, patience)
            return _fetch_from(url, place.partial, expected, patience, Progress(remote.name, _shown(url), progress))
        except SourceError as error:
            told.append(f"  {_shown(url)}: {error}")
    raise DownloadError(_failure(remote, told, place.root / remote.name))


def _addresses(remote: Remote) -> Iterator[tuple[str, str]]:
    """Pairs of an address and the mirror that it belongs to; upstream belongs to none."""
    for mirror in os.environ.get("DATAKIT_MIRROR", "").split():
        mirror = mirror.rstrip("/")
        yield f"{mirror}/{quote(remote.name)}", mirror
    for url in remote.urls:
        yield url, ""


def _expected(remote: Remote, mirror: str, path: Path, patience: Patience) -> Expected:
    """What is known of the file: what its mirror says, and where that says nothing, what `remote` says."""
    if mirror:
        try:
            sums = _fetch_from(f"{mirror}/SHA256SUMS", path.with_name(f"{path.name}.sums"), Expected(), patience)
            if listed := _listed(sums.path, remote.name):
                return Expected(sha256=listed)
        except AbsentError:
            pass
        except SourceError as error:
            raise SourceError(f"its SHA256SUMS: {error}") from error
        finally:
            discard(path.with_name(f"{path.name}.sums"))
    return Expected(remote.sha256, remote.md5, remote.size)


def _listed(sums: Path, name: str) -> str | None:
    """The checksum of `name` in a file that `sha256sum` wrote."""
    with open(sums, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = re.fullmatch(r"([0-9A-Fa-f]{64}) [ *](?:\./)*(.+)", line.rstrip("\r\n"))
            if match and match[2] == name:
                return match[1].lower()
    return None


def _fetch_from(
    url: str, path: Path, expected: Expected, patience: Patience, progress: Progress | None = None
) -> Fetched:
    progress = progress or Progress("", "", show=False)
    with Partial(path, _shown(url)) as partial, closing(progress):
        for _ in range(2):
            _transfer(url, partial, expected.size, patience, progress)
            fault = expected.fault(partial.sha256, partial.md5, partial.size)
            if not fault:
                partial.sync()
                return Fetched(path, partial.url, partial.sha256, partial.size)
            if not partial.resumed:
                break
            partial.restart()  # perhaps it was put together from two versions, or damaged when the power went
    discard(path)
    raise SourceError(fault)


def _transfer(url: str, partial: Partial, size: int | None, patience: Patience, progress: Progress) -> None:
    scheme = urlsplit(url).scheme
    if scheme in ("http", "https"):
        download(url, partial, size, patience, progress)
    elif scheme == "file":
        _copy(url, partial, progress)
    else:
        raise SourceError("is no file://, http:// or https:// address")


def _copy(url: str, partial: Partial, progress: Progress) -> None:
    path = unquote(urlsplit(url).path)
    if not os.path.isfile(path):
        raise AbsentError("there is no such file")
    total = os.path.getsize(path)
    partial.restart()
    for block in _blocks(path):
        partial.write(block)
        progress.update(partial.size, total)


def _blocks(path: str) -> Iterator[bytes]:
    """The contents of a file; its errors are the source's, while those of writing are ours."""
    try:
        with open(path, "rb") as file:
            while block := file.read(BLOCK):
                yield block
    except OSError as error:
        raise SourceError(str(error)) from error


def _shown(url: str) -> str:
    """`url` without the name and password that it may have."""
    return re.sub("//[^/]*@", "//", url, count=1)


def _failure(remote: Remote, told: list[str], by_hand: Path) -> str:
    if not told:
        advice = remote.manual or f"put it at {by_hand}"
        return f"{remote.name}: no program can fetch it; {advice}, or set DATAKIT_MIRROR to a place that has it"
    advice = f"set DATAKIT_MIRROR to a folder (file://) or site (https://) that has it, or put it at {by_hand}"
    return "\n".join([f"{remote.name}: no source delivered it", *told, advice, *filter(None, [remote.manual])])
