"""From the values of a key to a column of Arrow with the feature of `datasets` that says what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from datakit.errors import DatakitError
from datakit.hugging_face.media import is_picture, is_sound, picture_bytes, sound_bytes
from datakit.hugging_face.values import COMPLEX, LIST, SCALAR, TENSOR, TUPLE

_LAST = {"boxes": 4, "landmarks": 2}
_SCALARS = {bool: "bool", int: "int64", float: "float64", str: "string", bytes: "binary"}


class Kind:
    """How the values of one key are written.

    Attributes:
        feature: of `datasets`.
    """

    feature: Any

    def piece(self, value: Any, path: Any) -> Any:
        """What is kept of a value until its batch is written.

        Raises:
            ValueError: the value is of another kind.
        """
        raise NotImplementedError

    def array(self, pieces: Sequence[Any]) -> Any:
        """The Arrow array of a batch."""
        raise NotImplementedError


class Scalar(Kind):
    """Numbers, truth values, text and bytes; null where there is None."""

    def __init__(self, value: Any) -> None:
        import datasets

        is_numpy = isinstance(value, np.generic)
        self.type = type(value)
        dtype = value.dtype.name if is_numpy else _SCALARS[type(value)]
        self.feature = datasets.Value(dtype, id=SCALAR if is_numpy else None)

    def piece(self, value: Any, path: Any) -> Any:
        """The value as it is, None too."""
        if value is not None and type(value) is not self.type:
            raise ValueError(f"holds {describe(value)}, the first samples had {self.type.__name__}")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError(f"holds {value}, which has more than 64 bits")
        return value

    def array(self, pieces: Sequence[Any]) -> Any:
        """Numbers or text of one type."""
        import pyarrow as pa

        return pa.array(pieces, self.feature.pa_type)


class Label(Kind):
    """Numbers of classes with their names."""

    def __init__(self, value: Any, names: Sequence[str]) -> None:
        import datasets

        self.type = type(value)
        self.feature = datasets.ClassLabel(names=list(names), id=SCALAR if isinstance(value, np.generic) else None)

    def piece(self, value: Any, path: Any) -> int:
        """The number of the class."""
        if type(value) is not self.type:
            raise ValueError(f"holds {describe(value)}, the first samples had {self.type.__name__}")
        _check_labels(np.asarray(value), self.feature.names)
        return int(value)

    def array(self, pieces: Sequence[int]) -> Any:
        """Int64 (n,)."""
        import pyarrow as pa

        return pa.array(pieces, pa.int64())


class Array(Kind):
    """Arrays, tensors, and lists of numbers, of any size along the first axis."""

    def __init__(self, value: Any, key: str, names: Sequence[str] = ()) -> None:
        import datasets

        array = _numpy(value)
        self.type, self.dtype, self.ndim, self.names = type(value), array.dtype, array.ndim, names
        words = {torch.Tensor: TENSOR, list: LIST, tuple: TUPLE}.get(self.type, "")
        if array.dtype.kind == "c":
            words, array = f"{words} {COMPLEX}".strip(), _as_pairs(array)
        self.inner: list[int] = [-1] * (array.ndim - 1)
        if key == "keypoints":
            self.inner = list(array.shape[1:])
        elif self.inner and (last := _LAST.get(key, 2 if self.dtype.kind == "c" else -1)) == array.shape[-1]:
            self.inner[-1] = last
        leaf = datasets.ClassLabel(names=list(names), id=words or None) if names else None
        self.feature = leaf or datasets.Value(array.dtype.name, id=words or None)
        for length in (*reversed(self.inner), -1):
            self.feature = datasets.List(self.feature, length=length)
        self.is_masks = key == "masks"

    def piece(self, value: Any, path: Any) -> np.ndarray | None:
        """The array, C-contiguous; complex numbers as pairs."""
        if value is None:
            return None
        if isinstance(value, list | tuple) and not len(value) and self.type is type(value):
            return np.empty(0, self.dtype)
        array = _numpy(value) if type(value) is self.type else np.asarray(None)
        if array.dtype != self.dtype or array.ndim != self.ndim:
            raise ValueError(f"holds {describe(value)}, the first samples had {self._described()}")
        _check_labels(array, self.names)
        array = _as_pairs(array) if array.dtype.kind == "c" else array
        for size, length in zip(array.shape[1:], self.inner, strict=True):
            if length not in (-1, size):
                raise ValueError(f"holds {describe(value)}, the first samples had {self._described()}")
        self._check_empty(array)
        return np.ascontiguousarray(array)

    def _check_empty(self, array: np.ndarray) -> None:
        """Lists in lists forget the sizes behind an axis of size 0, but for masks, which are as large as the image."""
        shape = list(array.shape)
        if array.size or self.is_masks:
            return
        behind = shape.index(0) + 1
        if any(size and length == -1 for size, length in zip(shape[behind:], self.inner[behind - 1 :], strict=True)):
            raise ValueError(f"is empty, and a column of lists cannot keep its shape {tuple(shape)}")

    def _described(self) -> str:
        return f"{self.type.__name__} {self.dtype} with {self.ndim} axes, sizes {[-1, *self.inner]} (-1 for any)"

    def array(self, pieces: Sequence[np.ndarray | None]) -> Any:
        """Lists in lists, over one block of numbers."""
        import pyarrow as pa

        there = [piece for piece in pieces if piece is not None]
        flat = np.concatenate([piece.ravel() for piece in there]) if there else np.empty(0, self.dtype)
        values = pa.array(flat, pa.int64() if self.names else None)
        for axis in range(len(self.inner), 0, -1):
            if (length := self.inner[axis - 1]) >= 0:
                values = pa.FixedSizeListArray.from_arrays(values, length)
            else:
                sizes = [np.full(int(np.prod(piece.shape[:axis])), piece.shape[axis]) for piece in there]
                values = pa.ListArray.from_arrays(_offsets(np.concatenate(sizes) if sizes else []), values)
        missing = pa.array([piece is None for piece in pieces])
        ends = _offsets([0 if piece is None else len(piece) for piece in pieces])
        return pa.ListArray.from_arrays(ends, values, mask=missing)


class Picture(Kind):
    """Images as files."""

    def __init__(self, value: np.ndarray, with_path: bool) -> None:
        import datasets

        self.channels, self.with_path = value.shape[2], with_path
        self.feature = datasets.Image(mode="RGB" if self.channels == 3 else "L")

    def piece(self, value: Any, path: Any) -> dict[str, Any]:
        """The bytes of a file, and the path."""
        if not is_picture(value) or value.shape[2] != self.channels:
            raise ValueError(
                f"holds {describe(value)}, the first samples had images, ndarray uint8 (H, W, {self.channels})"
            )
        return {"bytes": picture_bytes(value, path), "path": path if self.with_path else None}

    def array(self, pieces: Sequence[Any]) -> Any:
        """Structs of bytes and path."""
        import pyarrow as pa

        return pa.array(pieces, self.feature.pa_type)


class Sound(Kind):
    """Waveforms with their rates as files; the value is the pair of both."""

    def __init__(self, with_path: bool) -> None:
        import datasets

        self.with_path, self.feature = with_path, datasets.Audio()

    def piece(self, value: Any, path: Any) -> dict[str, Any]:
        """The bytes of a file, and the path."""
        waveform, rate = value
        if not is_sound(waveform) or type(rate) is not int:
            raise ValueError(
                f"holds {describe(waveform)} at {rate!r} Hz, the first samples had a float32 tensor (C, T) and an int"
            )
        return {"bytes": sound_bytes(waveform, rate, path), "path": path if self.with_path else None}

    def array(self, pieces: Sequence[Any]) -> Any:
        """Structs of bytes and path."""
        import pyarrow as pa

        return pa.array(pieces, self.feature.pa_type)


class Many(Kind):
    """Lists and tuples of anything but numbers."""

    def __init__(self, values: Sequence[Any], key: str) -> None:
        import datasets

        self.type, self.item = type(values), kind_of(values, key)
        self.feature = datasets.List(self.item.feature)
        if self.type is tuple:
            raise ValueError("holds a tuple of other things than numbers; make it a list")

    def piece(self, value: Any, path: Any) -> Any:
        """The pieces of the items."""
        if value is None:
            return None
        if type(value) is not self.type:
            raise ValueError(f"holds {describe(value)}, the first samples had {self.type.__name__}")
        return [self.item.piece(item, None) for item in value]

    def array(self, pieces: Sequence[Any]) -> Any:
        """Lists over the array of all items."""
        import pyarrow as pa

        inner = self.item.array([item for piece in pieces for item in piece or ()])
        ends = _offsets([len(piece or ()) for piece in pieces])
        return pa.ListArray.from_arrays(ends, inner, mask=pa.array([piece is None for piece in pieces]))


class Struct(Kind):
    """Dicts with the same keys in all samples."""

    def __init__(self, values: Sequence[Mapping[str, Any]]) -> None:
        self.parts = {key: kind_of([value[key] for value in values if key in value], key) for key in values[0]}
        self.feature = {key: part.feature for key, part in self.parts.items()}

    def piece(self, value: Any, path: Any) -> Any:
        """The pieces of the parts."""
        if value is None:
            return None
        if not isinstance(value, dict) or list(value) != list(self.parts):
            raise ValueError(f"holds {describe(value)}, the first samples had a dict of {', '.join(self.parts)}")
        return {key: part.piece(value[key], None) for key, part in self.parts.items()}

    def array(self, pieces: Sequence[Any]) -> Any:
        """Structs of the arrays of the parts."""
        import pyarrow as pa

        if any(piece is None for piece in pieces):
            raise ValueError("is None in one sample and a dict in another")
        arrays = [part.array([piece[key] for piece in pieces]) for key, part in self.parts.items()]
        return pa.StructArray.from_arrays(arrays, list(self.parts))


def kind_of(values: Sequence[Any], key: str, names: Sequence[str] = (), *, with_path: bool = False) -> Kind:
    """The kind of the values that a key has in the first samples.

    Args:
        values: of the key.
        key: of the sample; `image` alone may be a picture.
        names: of classes, where the values are labels.
        with_path: whether the path of the sample goes with its picture.

    Raises:
        ValueError: for values that no column holds, and where all are None or empty.
    """
    said = [value for value in values if value is not None and not (isinstance(value, list | tuple) and not value)]
    if not said:
        raise ValueError("is None or empty in all of the first samples, so that its kind is not known; leave it out")
    value = said[0]
    if key == "image" and is_picture(value):
        return Picture(value, with_path)
    if names and isinstance(value, int | np.int64) and not isinstance(value, bool):
        return Label(value, names)
    if type(value) in _SCALARS or (isinstance(value, np.generic) and value.dtype.kind in "biuf"):
        return Scalar(value)
    if isinstance(value, dict) and value and all(isinstance(part, str) for part in value):
        return Struct([value for value in said if isinstance(value, dict)])
    if _is_numbers(value):
        return Array(value, key, names if _numpy(value).dtype == np.int64 else ())
    if isinstance(value, list | tuple):
        return Many(type(value)(item for value in said if isinstance(value, list | tuple) for item in value), key)
    raise ValueError(f"holds {describe(value)}, for which there is no column; drop it, or turn it into an array")


def check_names(names: Sequence[str]) -> None:
    """Whether these can be the names of a ClassLabel.

    Raises:
        DatakitError: two are the same, or one is no text.
    """
    if len(set(names)) != len(names) or not all(isinstance(name, str) for name in names):
        raise DatakitError("the names of the classes are not all text and different, as a ClassLabel needs them")


def describe(value: Any) -> str:
    """A value by its type, dtype and shape."""
    shape = getattr(value, "shape", None)
    if shape:
        return f"{type(value).__name__} {str(value.dtype).removeprefix('torch.')} {tuple(shape)}"
    return f"{type(value).__name__} {repr(value)[:40]}"


def _is_numbers(value: Any) -> bool:
    """An array or tensor with axes, or a list or tuple of plain numbers of one type."""
    if isinstance(value, torch.Tensor):
        return value.ndim > 0 and value.dtype not in (torch.bfloat16,) and not value.is_sparse
    if isinstance(value, np.ndarray):
        return value.ndim > 0 and value.dtype.kind in "biufc" and value.dtype.isnative and value.dtype.itemsize <= 16
    kinds = {type(item) for item in value} if isinstance(value, list | tuple) else set()
    return len(kinds) == 1 and kinds <= {int, float, bool}


def _numpy(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    array = np.asarray(value)
    if isinstance(value, list | tuple) and (array.ndim != 1 or len({type(item) for item in value}) > 1):
        raise ValueError(f"holds {describe(value)}: numbers of several types")
    return array


def _as_pairs(array: np.ndarray) -> np.ndarray:
    part = np.float32 if array.dtype == np.complex64 else np.float64
    return np.ascontiguousarray(array).view(part).reshape(*array.shape, 2)


def _check_labels(labels: np.ndarray, names: Sequence[str]) -> None:
    if names and labels.size and not (labels.min() >= -1 and labels.max() < len(names)):
        raise ValueError(f"has the labels {labels.min()} to {labels.max()}, there are {len(names)} classes")


def _offsets(sizes: Any) -> Any:
    import pyarrow as pa

    total = np.concatenate([[0], np.cumsum(np.asarray(sizes, np.int64))])
    return pa.array(total.astype(np.int32))
