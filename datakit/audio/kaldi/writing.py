"""Writers of Kaldi's archives and script files: there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from datakit.audio.kaldi.compressed import compressed as compress

Items: TypeAlias = "Mapping[str, Any] | Iterable[tuple[str, Any]]"

_FLOATS = {np.dtype(np.float32): b"F", np.dtype(np.float64): b"D"}


def write_vec_int_ark(
    path: str | os.PathLike[str], items: Items, *, scp: str | os.PathLike[str] | None = None, text: bool = False
) -> None:
    """Write integer vectors, such as alignments, as Kaldi does.

    Args:
        path: the archive. It appears when it is whole; what was there before is replaced.
        items: keys and vectors, (N,), integers; a mapping or pairs, taken one by one.
        scp: a script file to write beside it, with `path` as it is given here.
        text: write text instead of binary.

    Raises:
        ValueError: a key is empty or has white space, a value has another shape or does not fit into int32.
        TypeError: a value is not of integers.
        OSError: the file cannot be written.

    Examples:
        >>> import torch
        >>> from pathlib import Path
        >>> from datakit.audio.kaldi import write_vec_int_ark
        >>> write_vec_int_ark("ali.txt", {"utt1": torch.tensor([1, 1, 4])}, text=True)
        >>> Path("ali.txt").read_text()
        'utt1 1 1 4\\n'
    """
    _write(path, items, scp, _int_text if text else _int_binary)


def write_vec_flt_ark(
    path: str | os.PathLike[str], items: Items, *, scp: str | os.PathLike[str] | None = None, text: bool = False
) -> None:
    """Write float vectors: float32 or float64 as they are, in binary form; text is read as float32.

    Arguments and errors are those of `write_vec_int_ark`; text has all digits of a value.

    Examples:
        >>> import torch
        >>> from pathlib import Path
        >>> from datakit.audio.kaldi import write_vec_flt_ark
        >>> write_vec_flt_ark("conf.txt", {"utt1": torch.tensor([0.5, 1.0])}, text=True)
        >>> Path("conf.txt").read_text()
        'utt1  [ 0.5 1 ]\\n'
    """
    _write(path, items, scp, _vector_text if text else _vector_binary)


def write_mat_ark(
    path: str | os.PathLike[str],
    items: Items,
    *,
    scp: str | os.PathLike[str] | None = None,
    text: bool = False,
    compressed: bool = False,
) -> None:
    """Write matrices, such as features: float32 or float64 as they are, in binary form; text is read as float32.

    With `compressed` a value takes a byte, with loss, byte for byte as Kaldi's `--compress=true` does it (two bytes in
    matrices of up to 8 rows); values must be finite. The other arguments and errors are those of `write_vec_int_ark`.

    Examples:
        >>> import torch
        >>> from pathlib import Path
        >>> from datakit.audio.kaldi import write_mat_ark
        >>> features = {"utt1": torch.rand(1000, 13)}
        >>> write_mat_ark("whole.ark", features)
        >>> write_mat_ark("small.ark", features, scp="small.scp", compressed=True)
        >>> Path("whole.ark").stat().st_size, Path("small.ark").stat().st_size
        (52020, 13130)
    """
    if text and compressed:
        raise ValueError("text is never compressed; choose one of text=True and compressed=True")
    _write(path, items, scp, _matrix_text if text else _matrix_compressed if compressed else _matrix_binary)


def _write(
    path: str | os.PathLike[str], items: Items, scp: str | os.PathLike[str] | None, encode: Callable[[Any], bytes]
) -> None:
    name = os.fspath(path)
    if scp is not None and (re.search(r"[|\x00-\x1f]", name) or name != name.strip() or not name):
        raise ValueError(f"{name!r} cannot stand in a script file")
    pairs: Iterable[tuple[str, Any]] = items.items() if isinstance(items, Mapping) else items
    with contextlib.ExitStack() as stack:
        script = stack.enter_context(appearing(scp)) if scp is not None else None
        archive = stack.enter_context(appearing(path))  # left, and so in its place, before the script file is
        known: set[str] = set()
        for key, value in pairs:
            if key in known:
                raise ValueError(f"{key!r} comes twice; each key stands in an archive once")
            known.add(key)
            archive.write(checked_key(key).encode() + b" ")
            if script is not None:
                script.write(f"{key} {name}:{archive.tell()}\n".encode())
            try:
                archive.write(encode(_array(value)))
            except (ValueError, TypeError) as error:
                raise type(error)(f"{key}: {error}") from error


@contextlib.contextmanager
def appearing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write that takes its name when it is whole; after an error there is what was there before."""
    final = Path(path)
    draft = final.with_name(f".{final.name}.{os.getpid()}.part")
    try:
        with open(draft, "wb") as file:
            yield file
        os.replace(draft, final)
    finally:
        draft.unlink(missing_ok=True)


def checked_key(key: str) -> str:
    """The key, once it is known that it can stand in Kaldi's files.

    Raises:
        ValueError: it cannot.
    """
    if not key or re.search(r"[\s\x00-\x1f\x7f]", key):
        raise ValueError(f"a key has at least one character and no white space, got {key!r}")
    return key


def _array(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)


def _shaped(array: np.ndarray, axes: int) -> np.ndarray:
    if array.ndim != axes:
        raise ValueError(f"{'a vector' if axes == 1 else 'a matrix'} is due, got the shape {array.shape}")
    return array


def _whole(array: np.ndarray) -> np.ndarray:
    if _shaped(array, 1).size and array.dtype.kind not in "iu":
        raise TypeError(f"integers are due, got {array.dtype}")
    if array.size and (int(array.max()) >= 2**31 or int(array.min()) < -(2**31)):
        raise ValueError("a value does not fit into int32")
    return array.astype("<i4")


def _floating(array: np.ndarray, axes: int) -> np.ndarray:
    if array.dtype not in _FLOATS:
        raise TypeError(f"float32 or float64 is due, got {array.dtype}")
    return _shaped(array, axes)


def _counted(count: int) -> bytes:
    return b"\4" + int(count).to_bytes(4, "little", signed=True)


def _int_binary(array: np.ndarray) -> bytes:
    values = _whole(array)
    body = np.empty(len(values), [("size", "u1"), ("value", "<i4")])
    body["size"], body["value"] = 4, values
    return b"\0B" + _counted(len(values)) + body.tobytes()


def _int_text(array: np.ndarray) -> bytes:
    return (" ".join(map(str, _whole(array).tolist())) + "\n").encode()


def _vector_binary(array: np.ndarray) -> bytes:
    return b"\0B" + _FLOATS[_floating(array, 1).dtype] + b"V " + _counted(len(array)) + array.tobytes()


def _vector_text(array: np.ndarray) -> bytes:
    return f" [ {_numbers(_floating(array, 1))} ]\n".encode()


def _matrix_binary(array: np.ndarray) -> bytes:
    rows, columns = _floating(array, 2).shape
    return b"\0B" + _FLOATS[array.dtype] + b"M " + _counted(rows) + _counted(columns) + array.tobytes()


def _matrix_compressed(array: np.ndarray) -> bytes:
    return b"\0B" + compress(_floating(array, 2))


def _matrix_text(array: np.ndarray) -> bytes:
    rows = [f"\n  {_numbers(row)}" for row in _floating(array, 2)]
    return (" [" + " ".join(rows) + " ]\n").encode()


def _numbers(values: np.ndarray) -> str:
    """The shortest decimals that are read as these values again."""
    return " ".join(str(value).removesuffix(".0") for value in values)
