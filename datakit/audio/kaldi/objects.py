"""One object of an archive: a vector, a matrix, a posterior; binary or text, checked and then read by kaldi_io."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np
import torch

from datakit.audio.kaldi.bounded import LARGEST_STREAMED, Bounded
from datakit.audio.kaldi.compressed import read_compressed
from datakit.audio.kaldi.kaldi_package import kaldi_io

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

Posterior: TypeAlias = "list[list[tuple[int, float]]]"
Reader: TypeAlias = Callable[[Bounded], Any]

_NUMBERS = re.compile(rb"[\s0-9+\-.eEinfatyINFATY]*")
_WHOLE = re.compile(rb"[\s0-9+\-]*")
_PAIR = np.dtype([("first_size", "u1"), ("first", "<i4"), ("second_size", "u1"), ("second", "<f4")])
_TIMES = np.dtype([("first_size", "u1"), ("first", "<f4"), ("second_size", "u1"), ("second", "<f4")])


class _Text(io.BytesIO):
    """The text of one object, for kaldi_io."""

    mode = "rb"


def read_int_vector(source: Bounded) -> torch.Tensor:
    """(N,), int32."""
    start = source.place
    if not _is_binary(source):
        text = _bracketed(source, source.line(), _WHOLE)
        values = _by_kaldi_io(source, start, "read_vec_int", _Text(text))
        return torch.from_numpy(values)
    source.read(2)
    count = _size(source, "elements")
    source.expect(5 * count)
    body = source.read(5 * count)
    if np.any(np.frombuffer(body, np.uint8)[::5] != 4):
        wrong = int(np.flatnonzero(np.frombuffer(body, np.uint8)[::5] != 4)[0])
        source.fail(f"element {wrong} is not of 4 bytes", source.place - 5 * (count - wrong))
    source.unread(body)
    source.unread(b"\0B\4" + np.int32(count).tobytes())
    return torch.from_numpy(np.array(_by_kaldi_io(source, start, "read_vec_int", source), np.int32))


def read_float_vector(source: Bounded) -> torch.Tensor:
    """(N,), float32 or float64 as stored; float32 of text, which does not say."""
    start = source.place
    if not _is_binary(source):
        text = _bracketed(source, source.line(), _NUMBERS)
        return _floats(source, start, _by_kaldi_io(source, start, "read_vec_flt", _Text(text)), text)
    head = source.read(5)
    width = {b"FV ": 4, b"DV ": 8}.get(bytes(head[2:]))
    if width is None:
        source.fail(f"the header of a float vector (FV, DV) is due here, and there is {bytes(head[2:])!r}", start)
    count = _size(source, "elements")
    source.expect(count * width)
    source.unread(head + b"\4" + np.int32(count).tobytes())
    values = _by_kaldi_io(source, start, "read_vec_flt", source)
    return torch.from_numpy(values if count else values.astype(_DTYPES[width]))


_DTYPES: dict[int, DTypeLike] = {4: np.float32, 8: np.float64}


def read_matrix(source: Bounded) -> torch.Tensor:
    """(rows, columns), float32 or float64 as stored; float32 of text and of what is compressed."""
    start = source.place
    if not _is_binary(source):
        return _text_matrix(source, start)
    head = source.read(5)
    kind = bytes(head[2:])
    if kind.startswith(b"CM"):
        tail = b"" if kind == b"CM " else source.read(1)
        name = (kind + tail).decode("latin-1")
        if name not in ("CM ", "CM2 ", "CM3 "):
            source.fail(f"the header of a matrix (FM, DM, CM, CM2, CM3) is due here, and there is {name!r}", start)
        return torch.from_numpy(read_compressed(source, name.strip()))
    width = {b"FM ": 4, b"DM ": 8}.get(kind)
    if width is None:
        source.fail(f"the header of a matrix (FM, DM, CM, CM2, CM3) is due here, and there is {kind!r}", start)
    rows, columns = _size(source, "rows"), _size(source, "columns")
    source.expect(rows * columns * width)
    if rows * columns * width >= 2**31:
        source.fail(f"a matrix of {rows} x {columns}: kaldi_io reads less than 2 GiB; part it into several", start)
    source.unread(head + b"\4" + np.int32(rows).tobytes() + b"\4" + np.int32(columns).tobytes())
    return torch.from_numpy(_by_kaldi_io(source, start, "read_mat", source))


def read_posterior(source: Bounded) -> Posterior:
    """A list of (index, value) for every frame; kaldi_io cannot read frames without entries."""
    _binary_only(source, "a posterior")
    return [_pairs(source, _PAIR) for _ in range(_size(source, "frames", each=5))]


def read_times(source: Bounded) -> torch.Tensor:
    """(bins, 2), float32, seconds: where the bins of a confusion network begin and end."""
    _binary_only(source, "the times of a confusion network")
    pairs = np.array(_pairs(source, _TIMES), np.float32)
    return torch.from_numpy(pairs.reshape(-1, 2))


def _is_binary(source: Bounded) -> bool:
    if source.peek() != b"\0":
        return False
    mark = source.read(2)
    source.unread(mark)
    if mark != b"\0B":
        source.fail(f"the mark of binary data ('\\0B') is due here, and there is {bytes(mark)!r}")
    return True


def _binary_only(source: Bounded, what: str) -> None:
    if not _is_binary(source):
        source.fail(f"{what} is read in binary form only, and this is not; write it anew with Kaldi's copy tools")
    source.read(2)


def _size(source: Bounded, what: str, each: int = 1) -> int:
    """A count, as Kaldi writes one: the byte 4 and an int32; each of what is counted takes at least `each` bytes."""
    start = source.place
    data = source.read(5)
    if data[0] != 4:
        source.fail(f"the number of {what} as a 4-byte integer is due here, and its size is given as {data[0]}", start)
    count = int.from_bytes(data[1:], "little", signed=True)
    if count < 0:
        source.fail(f"{count} {what}", start)
    source.expect(count * each if each > 1 else 0)
    return count


def _pairs(source: Bounded, kind: np.dtype[Any]) -> list[tuple[Any, Any]]:
    count = _size(source, "entries", each=10)
    start = source.place
    pairs = np.frombuffer(source.read(10 * count), kind)
    wrong = np.flatnonzero((pairs["first_size"] != 4) | (pairs["second_size"] != 4))
    if len(wrong):
        source.fail(f"entry {wrong[0]} is not of two 4-byte numbers", start + 10 * int(wrong[0]))
    return list(zip(pairs["first"].tolist(), pairs["second"].tolist(), strict=True))


def _by_kaldi_io(source: Bounded, start: int, reader: str, file: Any) -> Any:
    """What kaldi_io makes of one object, its errors as ours."""
    try:
        with np.errstate(over="ignore"):
            return getattr(kaldi_io(), reader)(file)
    except (ValueError, OverflowError, AssertionError, IndexError) as error:
        if isinstance(file, _Text):
            source.fail(f"a number cannot be read ({error})", start)
        raise


def _bracketed(source: Bounded, line: bytes, allowed: re.Pattern[bytes]) -> bytes:
    """The line of a vector, once it is known to be one: numbers, and brackets around all of them or none."""
    start = source.place - len(line)
    inner, opened, closed = line.strip(), line.lstrip().startswith(b"["), line.rstrip().endswith(b"]")
    if opened != closed or (opened and len(inner) < 2):
        source.fail(f"a vector is {'opened and not closed' if opened else 'closed and not opened'} on its line", start)
    inner = inner[1:-1] if opened else inner
    _check_numbers(source, inner, allowed, start)
    if not closed and not line.endswith(b"\n"):
        source.fail("truncated: the last line has no end", source.place)
    return b" [ " + inner + b" ]\n"


def _check_numbers(source: Bounded, text: bytes, allowed: re.Pattern[bytes], start: int) -> None:
    match = allowed.match(text)
    end = match.end() if match else 0
    if end < len(text):
        source.fail(f"numbers are due here, and there is {text[end : end + 20]!r}", start)


def _text_matrix(source: Bounded, start: int) -> torch.Tensor:
    """Rows are lines; the first may stand beside '[', and ']' ends the last."""
    first = source.line()
    if not first.lstrip().startswith(b"["):
        source.fail(f"a matrix as text begins with '[', and there is {first[:20]!r}", start)
    rows, width, total, line = [], None, len(first), first.lstrip()[1:]
    while True:
        place, closed = source.place - len(line), line.rstrip().endswith(b"]")
        row = line.rstrip()[:-1] if closed else line
        _check_numbers(source, row, _NUMBERS, place)
        if count := len(row.split()):
            if width not in (None, count):
                source.fail(f"ragged: a row of {count} numbers after rows of {width}", place)
            width = count
            rows.append(row.strip())
        if closed:
            break
        line = source.line()
        total += len(line)
        if not line:
            source.fail(f"truncated: the matrix that is opened at byte {start:,} is never closed")
        if total > LARGEST_STREAMED:
            source.fail(f"over {LARGEST_STREAMED:,} bytes of text in one matrix; write it in binary form", start)
    if not rows:
        return torch.zeros(0, 0)
    text = b" [\n" + b"\n".join(rows) + b" ]\n"
    return _floats(source, start, _by_kaldi_io(source, start, "read_mat", _Text(text)), text)


def _floats(source: Bounded, start: int, values: np.ndarray, text: bytes) -> torch.Tensor:
    """As float32; a number that is too large for it is an error, inf as text is not."""
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    if not np.isfinite(single).all() and not re.search(rb"[nN]", text):  # of inf and nan
        _beyond(source, start)
    return torch.from_numpy(single)


def _beyond(source: Bounded, start: int) -> NoReturn:
    source.fail("a number is beyond float32, which text is read as", start)
