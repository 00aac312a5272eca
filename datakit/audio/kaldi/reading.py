"""Readers of Kaldi's archives and script files, with the names that people know from torchaudio and kaldi_io."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Literal, TypeAlias, TypeVar

import torch

from datakit.audio.kaldi.bounded import Bounded
from datakit.audio.kaldi.objects import (
    Posterior,
    read_float_vector,
    read_int_vector,
    read_matrix,
    read_posterior,
    read_times,
)
from datakit.audio.kaldi.scp import Place, opened, parse_place, script_lines, within
from datakit.columns import Columns
from datakit.errors import CorruptDataError, UnknownNameError

T = TypeVar("T")
Source: TypeAlias = "str | os.PathLike[str] | BinaryIO"
Kind: TypeAlias = Literal["matrix", "vector", "int vector"]

_KINDS: dict[str, Callable[[Bounded], torch.Tensor]] = {
    "matrix": read_matrix,
    "vector": read_float_vector,
    "int vector": read_int_vector,
}
_SPECIFIER = re.compile(r"(?:ark|scp)(?:,(?:scp|t|b|n?f|n?p|b?o|n?s|n?cs))*:")


def read_vec_int_ark(source: Source, *, allow_commands: bool = False) -> Iterator[tuple[str, torch.Tensor]]:
    """The integer vectors of an archive, such as alignments, binary or text.

    What `torchaudio.kaldi_io.read_vec_int_ark` was. Unlike kaldi_io, nothing ends early or is left out: a broken object
    is an error. The bytes that are read are checked against the size of the file before memory is taken.

    Args:
        source: a path, which may have the prefix `ark:` and an offset (`ali.ark:120`), a file of gzip (`.gz`), or a
            binary file object, which is read on from where it is and left open.
        allow_commands: run a `source` that is a command (`gunzip -c ali.1.gz |`) in the shell.

    Yields:
        The key, and the vector: (N,), int32.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: with the byte at which something else stands than is due; `source` is a command.

    Examples:
        >>> import torch
        >>> from datakit.audio.kaldi import read_vec_int_ark, write_vec_int_ark
        >>> write_vec_int_ark("ali.ark", {"utt1": torch.tensor([1, 1, 4]), "utt2": torch.tensor([7])})
        >>> for key, states in read_vec_int_ark("ali.ark"):
        ...     print(key, states.tolist())
        utt1 [1, 1, 4]
        utt2 [7]
        >>> read_vec_int_ark("gunzip -c ali.1.gz |")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        datakit.errors.CorruptDataError: gunzip -c ali.1.gz |: 'gunzip -c ali.1.gz |' is a command, and data may not ...
    """
    return _archive(source, read_int_vector, allow_commands)


def read_vec_flt_ark(source: Source, *, allow_commands: bool = False) -> Iterator[tuple[str, torch.Tensor]]:
    """The float vectors of an archive, such as i-vectors or confidences, binary or text.

    Arguments and errors are those of `read_vec_int_ark`.

    Yields:
        The key, and the vector: (N,), float32 or float64 as stored; float32 of text, as in Kaldi.

    Examples:
        >>> import torch
        >>> from datakit.audio.kaldi import read_vec_flt_ark, write_vec_flt_ark
        >>> write_vec_flt_ark("conf.ark", {"utt1": torch.tensor([0.5, 1.0])}, text=True)
        >>> dict(read_vec_flt_ark("conf.ark"))
        {'utt1': tensor([0.5000, 1.0000])}
    """
    return _archive(source, read_float_vector, allow_commands)


def read_mat_ark(source: Source, *, allow_commands: bool = False) -> Iterator[tuple[str, torch.Tensor]]:
    """The matrices of an archive, such as features: binary, compressed (`CM`, `CM2`, `CM3`) or text.

    Arguments and errors are those of `read_vec_int_ark`. Compressed ones have the values that Kaldi gives them.

    Yields:
        The key, and the matrix: (frames, coefficients), float32 or float64 as stored; float32 of text.

    Examples:
        >>> import torch
        >>> from datakit.audio.kaldi import read_mat_ark, write_mat_ark
        >>> write_mat_ark("feats.ark", {"utt1": torch.ones(100, 13), "utt2": torch.zeros(80, 13)})
        >>> [(key, tuple(features.shape)) for key, features in read_mat_ark("feats.ark")]
        [('utt1', (100, 13)), ('utt2', (80, 13))]
    """
    return _archive(source, read_matrix, allow_commands)


def read_vec_flt_scp(
    source: Source,
    *,
    root: str | os.PathLike[str] | None = None,
    allow_commands: bool = False,
    end_included: bool = True,
) -> Iterator[tuple[str, torch.Tensor]]:
    """The float vectors that a script file lists.

    Arguments and errors are those of `read_mat_scp`; a range has only one part.

    Examples:
        >>> import torch
        >>> from datakit.audio.kaldi import read_vec_flt_scp, write_vec_flt_ark
        >>> write_vec_flt_ark("conf.ark", {"utt1": torch.tensor([0.5, 1.0])}, scp="conf.scp")
        >>> dict(read_vec_flt_scp("conf.scp"))
        {'utt1': tensor([0.5000, 1.0000])}
    """
    return _script(source, read_float_vector, root, allow_commands, end_included)


def read_mat_scp(
    source: Source,
    *,
    root: str | os.PathLike[str] | None = None,
    allow_commands: bool = False,
    end_included: bool = True,
) -> Iterator[tuple[str, torch.Tensor]]:
    """The matrices that a script file lists, or the parts of them that its ranges mean.

    A range includes both its ends: `feats.ark:20[0:9]` has ten rows, `[0:9,2:4]` three columns of them, and `[:,2:4]`
    these columns of all rows. Where kaldi_io leaves out what it cannot read, this is an error.

    Args:
        source: a path, which may have the prefix `scp:`, or a binary file object.
        root: the folder that relative names belong to. By default the current folder, as in Kaldi; what is not there is
            looked for beside the script file.
        allow_commands: run entries that are commands (`copy-feats … |`) in the shell, as Kaldi does. Their status is
            checked, and what they print is limited to 1 GiB.
        end_included: False for ranges that were made for kaldi_io, which leaves their ends out: `[0:9]` has nine rows.

    Yields:
        The key, and the matrix as from `read_mat_ark`.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: with file and line, for an entry that is a command, broken, or outside its archive or matrix.

    Examples:
        >>> import torch
        >>> from pathlib import Path
        >>> from datakit.audio.kaldi import read_mat_scp, write_mat_ark
        >>> write_mat_ark("feats.ark", {"utt1": torch.ones(100, 13)}, scp="feats.scp")
        >>> print(Path("feats.scp").read_text(), end="")
        utt1 feats.ark:5
        >>> _ = Path("part.scp").write_text("utt1-a feats.ark:5[10:19,0:1]")
        >>> [(key, tuple(features.shape)) for key, features in read_mat_scp("part.scp")]
        [('utt1-a', (10, 2))]
    """
    return _script(source, read_matrix, root, allow_commands, end_included)


def read_post_ark(source: Source, *, allow_commands: bool = False) -> Iterator[tuple[str, Posterior]]:
    """The posteriors or confusion networks of an archive, in binary form.

    Arguments and errors are those of `read_vec_int_ark`.

    Yields:
        The key, and for every frame (or bin) a list of (index, value).

    Examples:
        >>> import io
        >>> from datakit.audio.kaldi import read_post_ark
        >>> one = b"utt1 \\0B\\4" + bytes([1, 0, 0, 0, 4, 1, 0, 0, 0, 4, 7, 0, 0, 0, 4, 0, 0, 128, 63])
        >>> dict(read_post_ark(io.BytesIO(one)))
        {'utt1': [[(7, 1.0)]]}
    """
    return _archive(source, read_posterior, allow_commands)


def read_cntime_ark(source: Source, *, allow_commands: bool = False) -> Iterator[tuple[str, torch.Tensor]]:
    """When the bins of confusion networks begin and end, in binary form.

    Arguments and errors are those of `read_vec_int_ark`.

    Yields:
        The key, and the times: (bins, 2), float32, seconds.

    Examples:
        >>> import io
        >>> from datakit.audio.kaldi import read_cntime_ark
        >>> one = b"utt1 \\0B\\4" + bytes([1, 0, 0, 0, 4, 0, 0, 0, 63, 4, 0, 0, 128, 63])
        >>> dict(read_cntime_ark(io.BytesIO(one)))
        {'utt1': tensor([[0.5000, 1.0000]])}
    """
    return _archive(source, read_times, allow_commands)


class Scp(Mapping[str, torch.Tensor]):
    """A script file as a mapping: `Scp("feats.scp")["utt1"]` reads that object and no other.

    The keys are in the order of the file. Only names and places are kept; an object is read each time anew.

    Args:
        path: the script file.
        kind: `matrix`, `vector` or `int vector`.
        root: as for `read_mat_scp`.
        allow_commands: as for `read_mat_scp`.
        end_included: as for `read_mat_scp`.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: a line is broken, or a key is there twice; as for `read_mat_scp` where an object is read.
        UnknownNameError: another kind.
        KeyError: for a key that is not there.

    Examples:
        >>> import torch
        >>> from datakit.audio.kaldi import Scp, write_mat_ark
        >>> write_mat_ark("feats.ark", {"utt1": torch.ones(100, 13), "utt2": torch.zeros(80, 13)}, scp="feats.scp")
        >>> features = Scp("feats.scp")
        >>> len(features), list(features), tuple(features["utt2"].shape)
        (2, ['utt1', 'utt2'], (80, 13))
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        kind: Kind = "matrix",
        *,
        root: str | os.PathLike[str] | None = None,
        allow_commands: bool = False,
        end_included: bool = True,
    ) -> None:
        if kind not in _KINDS:
            raise UnknownNameError.of("kind of object", kind, _KINDS)
        self.path, self.kind, self.root = os.fspath(path), kind, root
        self.allow_commands, self.end_included = allow_commands, end_included
        with _file(self.path, allow_commands) as (source, name, _):
            lines = list(script_lines(source, name))
        self._places: dict[str, int] = {}
        for place, line in enumerate(lines):
            if line.key in self._places:
                first = lines[self._places[line.key]].number
                raise CorruptDataError(
                    f"{name}: line {line.number}: the key {line.key!r} is there twice, see line {first}"
                )
            self._places[line.key] = place
        self._entries = Columns(target=[line.target for line in lines])

    def __getitem__(self, key: str) -> torch.Tensor:
        number = self._places[key]
        said = f"{self.path}: line {number + 1}"
        place = parse_place(self._entries[number].target, said, allow_commands=self.allow_commands)
        beside = os.path.dirname(self.path) or "."
        return read_place(place, _KINDS[self.kind], self.root, beside, end_included=self.end_included)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def read_place(
    place: Place,
    reader: Callable[[Bounded], torch.Tensor],
    root: str | os.PathLike[str] | None,
    beside: str | os.PathLike[str] | None,
    *,
    end_included: bool = True,
) -> torch.Tensor:
    """The object at a place, or its part."""
    with opened(place, root, beside) as source:
        value = reader(source)
    return within(value, place, end_included=end_included)


def _archive(source: Source, reader: Callable[[Bounded], T], allow_commands: bool) -> Iterator[tuple[str, T]]:
    place = _place_of(source, allow_commands)
    return _objects(source, place, reader)


def _objects(source: Source, place: Place | None, reader: Callable[[Bounded], T]) -> Iterator[tuple[str, T]]:
    with _stream(source, place) as stream:
        while (key := stream.key()) is not None:
            try:
                value = reader(stream)
            except CorruptDataError as error:
                raise CorruptDataError(f"{error} (in the object {key!r})") from error
            yield key, value


def _script(
    source: Source,
    reader: Callable[[Bounded], torch.Tensor],
    root: str | os.PathLike[str] | None,
    allow_commands: bool,
    end_included: bool,
) -> Iterator[tuple[str, torch.Tensor]]:
    _place_of(source, allow_commands)  # refuses now, not at the first step

    def listed() -> Iterator[tuple[str, torch.Tensor]]:
        with _file(source, allow_commands) as (file, name, beside):
            for line in script_lines(file, name):
                place = parse_place(line.target, f"{name}: line {line.number}", allow_commands=allow_commands)
                yield line.key, read_place(place, reader, root, beside, end_included=end_included)

    return listed()


@contextlib.contextmanager
def _file(source: Source, allow_commands: bool) -> Iterator[tuple[Any, str, str | None]]:
    """The file object of a script file, its name, and the folder that it is in."""
    place = _place_of(source, allow_commands)
    with _stream(source, place) as stream:
        is_file = place is not None and place.command is None
        yield stream.file, stream.name, (os.path.dirname(stream.name) or ".") if is_file else None


def _place_of(source: Source, allow_commands: bool) -> Place | None:
    """What a caller's path means; None for a file object."""
    if not isinstance(source, str | os.PathLike):
        if not hasattr(source, "read") or hasattr(source, "encoding"):
            raise TypeError(f"source is a path or a file opened in binary mode, not {type(source).__name__}")
        return None
    text = os.fspath(source)
    text = _SPECIFIER.sub("", text, count=1) if _SPECIFIER.match(text) else text
    place = parse_place(text.strip(), text, allow_commands=allow_commands)
    if place.range is not None:
        raise CorruptDataError(f"{text}: a range stands in the lines of a script file only")
    return place._replace(said=place.file or text)


@contextlib.contextmanager
def _stream(source: Source, place: Place | None) -> Iterator[Bounded]:
    if place is not None:
        with opened(place) as stream:
            yield stream
    elif not isinstance(source, str | os.PathLike):
        called = getattr(source, "name", None)
        yield Bounded(source, called if isinstance(called, str) else "<file>")
