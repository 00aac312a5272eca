"""Folders that datakit and its neighbours write to, and the mirrors that it reads from."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from datakit.doctor.model import Check
from datakit.doctor.sizes import size_of
from datakit.doctor.wording import amount, plural

_SLOW = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "9p",
    "fuse",
    "fuse.sshfs",
    "fuse.s3fs",
    "fuse.gcsfuse",
    "lustre",
    "ceph",
    "beegfs",
}
_KERNELS = {"proc", "sysfs", "cgroup", "cgroup2", "devpts", "securityfs", "debugfs", "configfs"}
_LITTLE = 1_000_000_000  # bytes


@dataclass(frozen=True)
class Folder:
    """A folder, or the nearest one above it that exists.

    Attributes:
        path: as it is asked for.
        exists: whether it, or a file of its name, is there.
        base: itself, or the nearest folder above it; a file where that is in the way.
        is_writable: whether files can be made in `base`.
        free: bytes that a user may use.
        inodes: files that can still be made; -1 where the file system does not say it.
        kind: of the file system, such as `ext4`; empty where nothing says it.
        is_file: whether `base` is no folder.
        is_fixed: whether nobody can make it writable: a mount that is read-only, or the kernel's own.
    """

    path: Path
    exists: bool
    base: Path
    is_writable: bool
    free: int
    inodes: int
    kind: str
    is_file: bool = False
    is_fixed: bool = False


def read_folder(path: Path, mounts: Path = Path("/proc/self/mounts")) -> Folder:
    """What there is to know about a folder; nothing is written."""
    base = Path(os.path.abspath(path))
    while not base.exists() and base != base.parent:
        base = base.parent
    try:
        found = os.statvfs(base)
        is_read_only = bool(found.f_flag & os.ST_RDONLY)
        free, inodes = found.f_bavail * found.f_frsize, found.f_favail if found.f_files else -1
    except OSError:
        is_read_only, free, inodes = True, 0, -1
    is_writable = base.is_dir() and os.access(base, os.W_OK | os.X_OK) and not is_read_only
    kind = _kind(base, mounts)
    is_fixed = is_read_only or kind in _KERNELS
    is_writable = is_writable and not is_fixed
    return Folder(path, path.exists(), base, is_writable, free, inodes, kind, not base.is_dir(), is_fixed)


def _kind(base: Path, mounts: Path) -> str:
    """The file system of the longest mount above a folder."""
    try:
        lines = [line.split(" ") for line in mounts.read_text(errors="replace").splitlines()]
    except OSError:
        return ""
    own = os.path.realpath(base)
    above = [
        (words[1], words[2]) for words in lines if len(words) > 2 and f"{own}/".startswith(words[1].rstrip("/") + "/")
    ]
    return max(above, key=lambda pair: len(pair[0]), default=("", ""))[1]


def folder_check(name: str, folder: Folder, variable: str, purpose: str, *, least: int = _LITTLE) -> Check:
    """Whether a folder that is written to can be.

    Args:
        name: of the check.
        folder: in question.
        variable: which names another one.
        purpose: what is written there.
        least: bytes below which that is little.
    """
    shown, other = shlex.quote(str(folder.path)), f"export {variable}=/a/folder/of/yours"
    if folder.is_file:
        return Check(name, "broken", f"{folder.base} is no folder", purpose, other)
    if not folder.is_writable:
        what = "is not writable" if folder.exists else f"is not there, and {folder.base} is not writable"
        own = f"sudo chown -R $USER {shown}"
        own = own if folder.exists else f"sudo mkdir -p {shown} && {own}"
        fix = other if folder.is_fixed else f"{other}\n{own}"
        return Check(name, "broken", f"{folder.path} {what}", purpose, fix)
    found = f"{folder.path}{'' if folder.exists else ' (made when it is needed)'}, {amount(folder.free)} free"
    if folder.inodes == 0 or folder.free < least:
        less = "no more files can be made" if folder.inodes == 0 else f"less than {amount(least)}"
        return Check(name, "warning", found, f"{less}: {purpose}", f"{other}\ndu -xsh {shown}/* | sort -h")
    if folder.kind in _SLOW:
        return Check(name, "note", f"{found}, on {folder.kind}", "a network: many small files are slow on it", other)
    return Check(name, "ok", found)


def mirror_checks(environment: Mapping[str, str], network: bool, limit: float) -> Iterator[Check]:
    """Every address of DATAKIT_MIRROR, and the proxies.

    Args:
        environment: variables.
        network: whether to ask http addresses.
        limit: seconds to wait for an answer.
    """
    for address in environment.get("DATAKIT_MIRROR", "").split():
        yield _mirror(address, network, limit)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        value = environment.get(name) or environment.get(name.upper(), "")
        if value and "://" not in value:
            fix = f"export {name}=http://{value}"
            yield Check("proxy", "warning", f"{name}={_hidden(value)} has no scheme", "downloads fail", fix)
        elif value:
            yield Check("proxy", "ok", f"{name}={_hidden(value)}")


def _hidden(address: str) -> str:
    """An address without the name and password that it may have."""
    return re.sub("(^|//)[^/@]*@", r"\1", address, count=1)


def _mirror(address: str, network: bool, limit: float) -> Check:
    why, shown = "datakit download passes over it", _hidden(address)
    parts = urlsplit(address)
    if parts.scheme not in ("file", "http", "https"):
        guess = Path(address).expanduser()
        typed = guess.absolute().as_uri() if "://" not in address and (guess.is_dir() or address[:1] in "/.~") else ""
        known = "file://, http:// and https:// are known"
        fix = f"export DATAKIT_MIRROR={shlex.quote(typed or 'https://' + address.rpartition('://')[2])}"
        return Check("mirror", "broken", f"{shown!r} is no address: {known}", why, fix)
    if parts.scheme == "file":
        return _file_mirror(address, unquote(parts.path), parts.netloc, why)
    if not parts.hostname:
        return Check("mirror", "broken", f"{shown} names no machine", why, "export DATAKIT_MIRROR=https://host/folder")
    if not network:
        return Check("mirror", "ok", f"{shown}; not asked, --network does")
    error = _asked(f"{address.rstrip('/')}/SHA256SUMS", limit)
    if error:
        return Check(
            "mirror", "broken", f"{shown}: {error}", why, f"curl -I {shlex.quote(address.rstrip('/'))}/SHA256SUMS"
        )
    return Check("mirror", "ok", f"{shown} answers")


def _file_mirror(address: str, path: str, host: str, why: str) -> Check:
    if host not in ("", "localhost"):
        fix = f"export DATAKIT_MIRROR=file:///{host}{path}"
        return Check("mirror", "broken", f"{address} names a machine, {host}: a path needs three slashes", why, fix)
    if not Path(path).is_dir():
        fix = "export DATAKIT_MIRROR=file:///the/folder/of/the/mirror\nunset DATAKIT_MIRROR"
        return Check("mirror", "broken", f"there is no folder {path}", why, fix)
    count = sum(1 for entry in os.scandir(path))
    if not (Path(path) / "SHA256SUMS").is_file():
        reason = "what it serves is held against the checksums that the datasets know, where they know any"
        fix = f"cd {shlex.quote(path)} && find . -type f | sed 's|^./||' | xargs -d '\\n' sha256sum > SHA256SUMS"
        return Check("mirror", "note", f"{path}, {plural(count, 'entry')}, no SHA256SUMS", reason, fix)
    return Check("mirror", "ok", f"{path}, {plural(count, 'entry')}, with SHA256SUMS")


def _asked(url: str, limit: float) -> str:
    """What goes wrong when an address is asked; empty where it answers, also that it has no such file."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    try:
        urlopen(Request(url, method="HEAD"), timeout=limit).close()
    except HTTPError as error:
        return "" if error.code == 404 else f"answers {error.code} {error.reason}"
    except (OSError, ValueError) as error:
        return f"does not answer: {getattr(error, 'reason', error)}"
    return ""


def disk_check(folder: Folder, remotes: Sequence[Mapping[str, Any]], name: str) -> Check:
    """Whether what a dataset still needs fits below its root.

    Args:
        folder: the root.
        remotes: of the dataset, with `name`, `size` and `is_there`; empty for none.
        name: of the dataset.
    """
    missing = [remote for remote in remotes if not remote["is_there"]]
    sizes = [size_of(remote["name"], remote["size"]) for remote in missing]
    needed, unknown = sum(size or 0 for size in sizes), sum(size is None for size in sizes)
    has = f"{amount(folder.free)} free in {folder.base}"
    figures = {"free": folder.free, "needed": needed, "inodes": folder.inodes}
    if folder.is_file:
        return Check(
            "disk", "broken", f"{folder.base} is no folder", "nothing can be read from it", "ls -ld " + str(folder.path)
        )
    if missing and not folder.is_writable:
        why = f"{name} is not there yet, and cannot be put there"
        return Check(
            "disk",
            "broken",
            f"{folder.base} is not writable",
            why,
            f"datakit download {name} --root data",
            figures=figures,
        )
    about = f"; {name} needs about {amount(needed)} more, archives and unpacked" if needed else ""
    about += f"; of {plural(unknown, 'file')} the size is not known" if unknown else ""
    if needed > folder.free:
        why = "the download ends with “No space left on device”"
        return Check(
            "disk",
            "broken",
            has + about,
            why,
            f"df -h {folder.base}\ndatakit download {name} --root /a/larger/disk",
            figures=figures,
        )
    if 0 <= folder.inodes < 10_000:
        return Check(
            "disk",
            "warning",
            f"{has}, {folder.inodes:,} inodes",
            "datasets are many small files",
            f"df -i {folder.base}",
        )
    if folder.kind in _SLOW:
        why = "a network: reading many small files from it is slow; copy the dataset to a local disk"
        return Check(
            "disk", "note", f"{has}, on {folder.kind}{about}", why, f"cp -r {folder.path} /tmp/", figures=figures
        )
    return Check("disk", "ok", has + about + (f" ({folder.kind})" if folder.kind else ""), figures=figures)
