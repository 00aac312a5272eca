"""Kaldi's script files: lines of a key and the place of its object, which may not be a command.

What a place means is `ClassifyRxfilename` of Kaldi's `kaldi-io.cc` and `ParseMatrixRangeSpecifier` of its
`kaldi-holder.cc`.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
import subprocess
import warnings
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from datakit.audio.kaldi.bounded import LONGEST_LINE, Bounded
from datakit.errors import CorruptDataError, MissingDataError
from datakit.files.opening import open_regular

if TYPE_CHECKING:
    import torch

LARGEST_OUTPUT = 2**30  # bytes that a command may give
_TOLERANCE = 2  # rows that a range may reach beyond the matrix, as in Kaldi: frames at the edge, and rounding
_RANGE = re.compile(r"(:|\d+:\d+)(?:,(:|\d+:\d+))?")


class Place(NamedTuple):
    """Where an object is: a file and a byte, or a command; and the part of it that is meant."""

    file: str
    offset: int | None
    command: str | None
    range: str | None
    said: str  # what messages begin with


class Line(NamedTuple):
    """A line of a script file."""

    key: str
    target: str
    number: int


def script_lines(file: BinaryIO, name: str) -> Iterator[Line]:
    """The lines of a script file; a broken one is an error.

    Raises:
        CorruptDataError: with the line: no key, no place, no UTF-8, control characters, too long.
    """
    number = 0
    while raw := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(raw) > LONGEST_LINE:
            raise CorruptDataError(f"{name}: line {number}: longer than {LONGEST_LINE:,} bytes")
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            raise CorruptDataError(f"{name}: line {number}: byte {error.start}: not UTF-8") from error
        parts = text.split(None, 1)
        if len(parts) != 2 or text[0].isspace():
            raise CorruptDataError(
                f"{name}: line {number}: a key and the place of its object are due, and there is {text[:80]!r}"
            )
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text.rstrip("\r\n")):
            raise CorruptDataError(f"{name}: line {number}: control characters in {text[:80]!r}")
        yield Line(parts[0], parts[1].strip(), number)


def parse_place(target: str, said: str, *, allow_commands: bool = False) -> Place:
    """What an entry such as `feats.ark:1234[0:9]` means.

    Args:
        target: the text after the key.
        said: file and line, for messages.
        allow_commands: take `cmd |` as the shell command that it is.

    Raises:
        CorruptDataError: it is a command and may not be one, or nothing that Kaldi reads.
    """
    where, range_ = target, None
    if target.endswith("]"):
        where, bracket, inner = target.rpartition("[")
        range_ = inner[:-1]
        if not bracket or not _RANGE.fullmatch(range_):
            raise CorruptDataError(f"{said}: {target!r} has no range such as [0:9] or [0:9,2:4] at its end")
        where = where.rstrip() if where.rstrip().endswith("|") else where
    if "|" in where:
        if not where.endswith("|") or where.startswith("|"):
            raise CorruptDataError(f"{said}: {target!r} has a '|' where no command to read from ends")
        if not allow_commands:
            raise CorruptDataError(
                f"{said}: {target!r} is a command, and data may not run any; allow_commands=True runs it in the shell"
            )
        return Place("", None, where[:-1], range_, said)
    if where in ("", "-") or where != where.strip() or where[:2] in ("t,", "b,") or "\0" in where:
        raise CorruptDataError(f"{said}: {target!r} names no file")
    match = re.fullmatch(r"(.+):([0-9]+)", where, re.DOTALL)
    if match and len(match[2]) > 18:
        raise CorruptDataError(f"{said}: {target!r}: no file is that long")
    return Place(match[1], int(match[2]), None, range_, said) if match else Place(where, None, None, range_, said)


def found(file: str, root: str | os.PathLike[str] | None, beside: str | os.PathLike[str] | None) -> str:
    """The path of a file that an entry names.

    A relative name is below `root` where that is given. Else it is relative to the current folder, as in Kaldi, or to
    `beside`, the folder of the file in which the entry stands.

    Raises:
        CorruptDataError: there are two files of that name, and which one is meant is not guessed.
    """
    if os.path.isabs(file):
        return file
    if root is not None:
        return os.path.join(root, file)
    near = os.path.join(beside, file) if beside is not None else file
    if not os.path.exists(near):
        return file
    if os.path.exists(file) and not os.path.samefile(file, near):
        raise CorruptDataError(f"there is {file} below the current folder, and {near}; say by root= which one is meant")
    return near


def located(
    place: Place, root: str | os.PathLike[str] | None = None, beside: str | os.PathLike[str] | None = None
) -> str:
    """The path of the file of a place, as from `found`, with the place in its error."""
    try:
        return found(place.file, root, beside)
    except CorruptDataError as error:
        raise CorruptDataError(f"{place.said}: {error}") from error


def file_of(entry: str) -> str | None:
    """The file that an entry names, or None for a command and for what is no entry."""
    try:
        return parse_place(entry, entry).file
    except CorruptDataError:
        return None


@contextlib.contextmanager
def opened(
    place: Place, root: str | os.PathLike[str] | None = None, beside: str | os.PathLike[str] | None = None
) -> Iterator[Bounded]:
    """What is at `place`, from its first byte on; a gzip file is unpacked, a command is run.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: the file is shorter than the offset, no regular file or broken; the command fails.
    """
    if place.command is not None:
        yield Bounded(io.BytesIO(output_of(place.command, place.said)), f"{place.said}: {place.command} |")
        return
    path = located(place, root, beside)
    with named(place.said, path, root, beside), open_regular(path, "an archive") as file:
        packed = path.endswith(".gz")
        if not packed:
            file.seek(0, os.SEEK_END)
            if (place.offset or 0) > file.tell() or (place.offset and place.offset == file.tell()):
                raise CorruptDataError(f"offset {place.offset:,} is past the end of {path}, {file.tell():,} bytes")
            file.seek(place.offset or 0)
            yield Bounded(file, path)
            return
        try:
            with gzip.open(file) as stream:
                source = Bounded(stream, path, sized=False)  # type: ignore[arg-type]
                stream.seek(place.offset or 0)
                source.place = place.offset or 0
                yield source
        except (EOFError, OSError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise CorruptDataError(f"{path}: broken gzip: {error}") from error


@contextlib.contextmanager
def named(
    said: str, path: str, root: str | os.PathLike[str] | None, beside: str | os.PathLike[str] | None
) -> Iterator[None]:
    """Errors that say which line led to the file, and where it was looked for."""
    try:
        yield
    except MissingDataError as error:
        if said == path:
            raise
        tried = f"; nor is it beside {os.fspath(beside)}" if beside is not None and root is None else ""
        hint = "; relative names belong to the current folder, or to root= where that is given"
        raise MissingDataError(f"{said}: {error}{tried}{'' if os.path.isabs(path) else hint}") from error
    except CorruptDataError as error:
        if said == path or str(error).startswith(said):
            raise
        raise CorruptDataError(f"{said}: {error}") from error


def output_of(command: str, said: str) -> bytes:
    """What a command that the caller allowed prints, once it has ended well.

    Raises:
        CorruptDataError: it ends with another status than 0, or prints more than `LARGEST_OUTPUT` bytes.
    """
    with subprocess.Popen(command, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        output = process.stdout.read(LARGEST_OUTPUT + 1) if process.stdout else b""
        if len(output) > LARGEST_OUTPUT:
            process.kill()
            raise CorruptDataError(f"{said}: the command gives more than {LARGEST_OUTPUT:,} bytes: {command}")
    if process.returncode:
        raise CorruptDataError(f"{said}: the command ended with status {process.returncode}: {command}")
    return output


def within(value: torch.Tensor, place: Place, *, end_included: bool = True) -> torch.Tensor:
    """The part of an object that the range of its entry means.

    Both ends are included. Rows may end up to two beyond the matrix, which Kaldi cuts with a warning; so is it here.

    Args:
        value: (N,) or (rows, columns).
        place: whose range it is.
        end_included: False for the ranges of kaldi_io, whose ends are left out.

    Raises:
        CorruptDataError: the range is not within the object, or has columns where that is a vector.
    """
    if place.range is None:
        return value
    match = _RANGE.fullmatch(place.range)
    parts = [part for part in match.groups() if part] if match else []
    if len(parts) > value.ndim:
        raise CorruptDataError(f"{place.said}: range [{place.range}] has columns, and the object is a vector")
    for axis, part in enumerate(parts):
        if part == ":":
            continue
        first, last = map(int, part.split(":"))
        last, length = last if end_included else last - 1, value.shape[axis]
        spare = _TOLERANCE if end_included and axis == 0 and value.ndim == 2 else 0
        if first > last or last >= length + spare or first >= length:
            raise CorruptDataError(_not_within(place, value, end_included))
        if last >= length:
            warnings.warn(f"{place.said}: range [{place.range}] is cut at the last row, {length - 1}", stacklevel=2)
        value = value.narrow(axis, first, min(last, length - 1) - first + 1)
    return value.clone()


def _not_within(place: Place, value: torch.Tensor, end_included: bool) -> str:
    shape = " x ".join(map(str, value.shape))
    hint = "; Kaldi includes both ends, for ranges made for kaldi_io pass end_included=False" if end_included else ""
    return f"{place.said}: range [{place.range}] is not within the object of {shape}{hint}"
