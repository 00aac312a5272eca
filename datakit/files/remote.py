"""What a dataset says about a file that it needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from datakit.files.paths import leaves

FORMATS = {
    ".zip": ("zip", ""),
    ".tar": ("tar", ""),
    ".tar.gz": ("tar", "gz"),
    ".tgz": ("tar", "gz"),
    ".tar.xz": ("tar", "xz"),
    ".txz": ("tar", "xz"),
    ".tar.bz2": ("tar", "bz2"),
    ".tbz2": ("tar", "bz2"),
    ".gz": ("file", "gz"),
    ".xz": ("file", "xz"),
    ".bz2": ("file", "bz2"),
}
"""Ending of an archive's name -> what is in it and how it is compressed."""


def ending(name: str) -> str:
    """The longest of `FORMATS` that `name` ends with, or the empty string."""
    return max((known for known in FORMATS if name.lower().endswith(known)), key=len, default="")


@dataclass(frozen=True, slots=True)
class Remote:
    """A file or archive that a dataset needs, and where it can be had.

    Attributes:
        name: its path under the dataset's root, and on a mirror (`MNIST/raw/train-images-idx3-ubyte.gz`).
        urls: upstream addresses (https, http or file), tried in order after the user's mirrors.
        sha256: 64 hex digits, where upstream publishes it or somebody computed it.
        md5: 32 hex digits, for upstreams that publish nothing better.
        size: bytes.
        unpack: whether it is an archive (zip, tar, tar.gz, tar.xz, tar.bz2) to unpack into the root, or one
            compressed file (gz, xz, bz2) to unpack beside itself.
        folder: the folder under the root that an archive is unpacked into; the root itself by default.
        produces: paths under the root that exist once it is prepared; (name,) unless it is unpacked.
        manual: for what no program may fetch: which file to get where, and where to put it.

    Raises:
        ValueError: a name that leaves the root, a checksum that is none, an address or an archive of unknown kind.

    Examples:
        >>> from datakit import Remote
        >>> Remote("stamps.zip", urls=("https://example.org/stamps.zip",), unpack=True, produces=("stamps",)).produces
        ('stamps',)
    """

    name: str
    urls: tuple[str, ...] = ()
    sha256: str | None = None
    md5: str | None = None
    size: int | None = None
    unpack: bool = False
    folder: str = ""
    produces: tuple[str, ...] = ()
    manual: str | None = None

    def __post_init__(self) -> None:
        if not self.produces and not self.unpack:
            object.__setattr__(self, "produces", (self.name,))
        if self.folder and (not self.unpack or FORMATS.get(ending(self.name), ("file",))[0] == "file"):
            raise ValueError(f"Remote {self.name}: folder= is for archives that are unpacked")
        for name in (self.name, *self.produces, *filter(None, [self.folder])):
            if leaves(name) or name.split("/")[0] == ".datakit":
                raise ValueError(f"Remote: {name!r} must be a path under the root and outside its .datakit")
        for url in self.urls:
            if urlsplit(url).scheme not in ("https", "http", "file"):
                raise ValueError(f"Remote {self.name}: {url!r} is no https, http or file address")
        _check_digits(self.name, "sha256", self.sha256, 64)
        _check_digits(self.name, "md5", self.md5, 32)
        if self.unpack and not ending(self.name):
            raise ValueError(f"Remote {self.name}: cannot be unpacked; known endings: {' '.join(FORMATS)}")


def _check_digits(name: str, kind: str, digits: str | None, length: int) -> None:
    if digits is not None and not re.fullmatch(rf"[0-9a-f]{{{length}}}", digits):
        raise ValueError(f"Remote {name}: {kind} must be {length} lower-case hex digits, found {digits!r}")
