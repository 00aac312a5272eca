"""Open files that forked workers would share: one place in the file for all of them."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from datakit.chain import same
from datakit.check.children import ProbeError, attended
from datakit.check.findings import Finding
from datakit.check.objects import Held, held
from datakit.dataset import Dataset
from datakit.sampling import Key

_PATIENCE = 10.0  # seconds for a record
_OWN = 2  # records that the first process reads
_OTHERS = 8  # records that the other process reads
_AT_ONCE = 40  # reads of two processes at once
_UNSAFE = {
    ("h5py", "File"): "HDF5 keeps a state of its own in each process and reads wrong data after a fork",
    ("h5py", "Dataset"): "HDF5 keeps a state of its own in each process and reads wrong data after a fork",
    ("h5py", "Group"): "HDF5 keeps a state of its own in each process and reads wrong data after a fork",
    ("sqlite3", "Connection"): "SQLite must not be carried across a fork",
    ("lmdb", "Environment"): "LMDB must not be used in a process that did not open it",
    ("socket", "socket"): "what one worker asks, another one reads the answer to",
    ("ssl", "SSLSocket"): "what one worker asks, another one reads the answer to",
}


class Handle(NamedTuple):
    """Something open: the way to it, what it is, the file's name, its descriptor, why it is unsafe as such."""

    path: str
    kind: str
    file: str
    descriptor: int | None
    reason: str = ""


def open_handles(found: Iterable[Held]) -> list[Handle]:
    """The files, archives, connections and databases among the objects of `held` that are open for reading.

    Examples:
        >>> from datakit.check.handles import open_handles
        >>> from datakit.check.objects import held
        >>> from pathlib import Path
        >>> _ = Path("data.bin").write_bytes(b"12345678")
        >>> with open("data.bin", "rb") as file:
        ...     [(handle.path, handle.kind) for handle in open_handles(held({"file": file}, "dataset"))]
        [("dataset['file']", 'BufferedReader')]
    """
    handles: list[Handle] = []
    for one in found:
        handle = _handle(one)
        is_inner = handle is not None and any(handle.path.startswith(known.path) for known in handles)
        if handle is not None and not is_inner:
            handles.append(handle)
    return handles


def _handle(one: Held) -> Handle | None:
    value, kind = one.value, type(one.value)
    for base in kind.__mro__:
        reason = _UNSAFE.get((base.__module__.partition(".")[0].lstrip("_"), base.__name__))
        if reason is not None and _is_open(value):
            return Handle(one.path, base.__name__, "", None, reason)
    file = value if isinstance(value, io.IOBase) else _inner_file(value)
    descriptor = None if file is None else _descriptor(file)
    if descriptor is None or descriptor <= 2:
        return None
    return Handle(one.path, kind.__name__, str(getattr(file, "name", "")), descriptor)


def _inner_file(value: Any) -> Any:
    """The file of a zip or tar archive, or of an image that was opened and not read."""
    top = type(value).__module__.partition(".")[0]
    name = {"zipfile": "fp", "tarfile": "fileobj", "PIL": "fp"}.get(top)
    file = None if name is None else getattr(value, "__dict__", {}).get(name)
    return file if isinstance(file, io.IOBase) else None


def _descriptor(file: io.IOBase) -> int | None:
    try:
        return None if file.closed or not file.readable() else file.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def _is_open(value: Any) -> bool:
    """A socket that was closed has no descriptor; h5py's objects are false when their file is closed."""
    if type(value).__module__.partition(".")[0] == "h5py":
        return bool(value)
    return not (hasattr(value, "fileno") and value.fileno() < 0)


def shared_handles(dataset: Dataset, keys: Sequence[Key], roots: Callable[[], list[Held]]) -> Iterator[Finding]:
    """Findings for what two processes would share: looked for among the objects, and seen in the kernel.

    A process reads a record, as the check of a `Loader` does before its workers start, and forks one that reads others.
    A file whose place has moved here afterwards is shared. Where the kernel does not say (`/proc` is Linux's), and
    where nothing moved, what is held open is a warning.

    Args:
        dataset: whose records are read.
        keys: of some records; one at least.
        roots: the objects that are looked through, for those to which no record was read yet and after that.
    """
    before = _from(roots)
    yield from (_unsafe(handle) for handle in before if handle.reason)
    files = [handle for handle in before if not handle.reason]
    try:
        moved = list(attended(lambda: _moved(dataset, keys, roots), 3 * _PATIENCE))
    except ProbeError:
        moved = []
    named = {path for path, _, _ in moved}
    for path, name, harm in moved:
        yield Finding("handle", f"{path}{name} is open, and another process that reads records moves its place{harm}")
    for handle in files:
        if not any(path.startswith(handle.path) or handle.path.startswith(path) for path in named):
            yield Finding(
                "handle",
                f"{handle.path} is an open {handle.kind}{_named(handle.file)}: workers that are forked share it",
                level="warning",
            )


def _from(roots: Callable[[], list[Held]]) -> list[Handle]:
    return open_handles(one for root in roots() for one in held(root.value, root.path))


def _unsafe(handle: Handle) -> Finding:
    return Finding("handle", f"{handle.path} is an open {handle.kind}: {handle.reason}")


def _named(file: str) -> str:
    return f" of {file}" if file else ""


def _moved(dataset: Dataset, keys: Sequence[Key], roots: Callable[[], list[Held]]) -> Iterator[tuple[str, str, str]]:
    """(path, name, what it does to samples) of the files whose place a child moves."""
    truth = {}
    for key in keys[:_OWN]:
        truth[key] = _read(dataset, key)
    before = places()
    others = list(keys[_OWN:]) or list(keys[::-1])  # it ends on another record than the one that was read last here
    for _ in attended(lambda: _reading(dataset, others[:_OTHERS]), _PATIENCE):
        pass
    after = places()
    moved = [descriptor for descriptor in before if after.get(descriptor, before[descriptor]) != before[descriptor]]
    if not moved:
        return
    handles = {handle.descriptor: handle for handle in _from(roots)}
    harm = _harm(dataset, truth, keys)
    for descriptor in moved:
        name = before[descriptor][0]
        handle = handles.get(descriptor)
        path = f"{handle.path} ({handle.kind} of {name})" if handle else f"{name}, opened while a record was read,"
        yield path, "", harm


def _read(dataset: Dataset, key: Key) -> Any:
    try:
        return dataset[key]
    except Exception:
        return None  # a record that cannot be read is a finding of another check


def _reading(dataset: Dataset, keys: Sequence[Key]) -> Iterator[int]:
    for key in keys:
        _read(dataset, key)
        yield key.index


def _harm(dataset: Dataset, truth: dict[Key, Any], keys: Sequence[Key]) -> str:
    """Whether a sample comes out otherwise while another process reads."""
    others = [key for key in keys if key not in truth] or list(keys)
    reader = attended(lambda: _reading(dataset, others * (1 + _AT_ONCE // len(others))), _PATIENCE)
    next(reader, None)
    wrong = 0
    for _ in range(_AT_ONCE):
        wrong += sum(not same(_read(dataset, key), sample) for key, sample in truth.items())
    reader.close()  # type: ignore[attr-defined]
    tried = _AT_ONCE * len(truth)
    return f"; {wrong:,} of {tried:,} samples were wrong while it did" if wrong else ""


def places() -> dict[int, tuple[str, int]]:
    """(name, place) of the regular files that this process has open for reading, by descriptor; only Linux says that.

    Without standard input and output, under whatever descriptor.
    """
    if sys.platform != "linux":
        return {}
    standard = {_identity(descriptor) for descriptor in (0, 1, 2)}
    found: dict[int, tuple[str, int]] = {}
    for entry in os.listdir("/proc/self/fd"):
        descriptor = int(entry)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode) or _identity(descriptor) in standard:
                continue
            with open(f"/proc/self/fdinfo/{descriptor}") as info:
                fields = dict(line.split(":", 1) for line in info if ":" in line)
            if int(fields["flags"], 8) & os.O_ACCMODE != os.O_WRONLY:
                found[descriptor] = (os.readlink(f"/proc/self/fd/{descriptor}"), int(fields["pos"]))
        except OSError:  # the folder that is listed was open itself
            continue
    return found


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino
