"""From a column of Arrow to the value of one row, by the feature that the column declares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch

from datakit.audio import io as sound
from datakit.errors import CorruptDataError, DatakitError
from datakit.pixels import PixelMode
from datakit.vision.io import read_image

Reader: TypeAlias = Callable[[Any, int], Any]
"""From an Arrow array and a row to the value there."""

TENSOR, LIST, TUPLE, SCALAR, COMPLEX = "tensor", "list", "tuple", "numpy", "complex"
"""What the `id` of a number's feature may say of the Python value that was written; without it an array is NumPy's."""

_ARRAYS = ("Array2D", "Array3D", "Array4D", "Array5D")
_PLAIN = ("Translation", "TranslationVariableLanguages", "Json")


def reader_of(feature: Any, name: str) -> Reader:
    """What reads the values of a feature.

    Args:
        feature: of `datasets`.
        name: of the column, for messages.

    Raises:
        DatakitError: for a kind of feature that datakit does not read.
    """
    kind = type(feature).__name__
    if isinstance(feature, dict):
        return _struct({key: reader_of(inner, f"{name}.{key}") for key, inner in feature.items()})
    if kind in ("List", "LargeList", "Sequence", "list", "tuple"):
        return _list(feature, name)
    if kind in _ARRAYS:
        return _array(feature, name)
    if kind == "Image":
        return _image(image_mode(feature, name), name)
    if kind == "Audio":
        return _sound(feature, name)
    if kind == "ClassLabel":
        return _label(name, np.int64 if SCALAR in marks(feature) else int)
    if kind in ("Value", *_PLAIN):
        return _scalar(feature)
    raise DatakitError(
        f"column {name!r} is of the kind {kind}, which datakit does not read; name the others with columns="
    )


def image_mode(feature: Any, name: str) -> PixelMode:
    """How the images of a column are read: as declared, RGB where nothing is.

    Raises:
        DatakitError: for a mode that is neither RGB nor L.
    """
    if feature.mode not in (None, "RGB", "L"):
        raise DatakitError(
            f"column {name!r} declares images as {feature.mode}; datakit reads RGB and L: "
            f"dataset.cast_column({name!r}, datasets.Image()) gives RGB"
        )
    return feature.mode or "RGB"


def medium_path(array: Any, row: int) -> str | None:
    """The path that a row of an Image or Audio column names, its bytes left alone."""
    path = array.field("path")[row].as_py() if array[row].is_valid else None
    return path or None


def read_sound(feature: Any, name: str, array: Any, row: int) -> tuple[torch.Tensor, int]:
    """Waveform, float32 (C, T), and sample rate, Hz, of a row of an Audio column.

    Raises:
        CorruptDataError: no sound, a broken one, or another rate or number of channels than the column declares.
        MissingDataError: the file that the row names is not there.
    """
    waveform, rate = _decoded(sound.load, name, array, row)
    channels = getattr(feature, "num_channels", None)
    if feature.sampling_rate not in (None, rate) or channels not in (None, len(waveform)):
        raise CorruptDataError(
            f"column {name!r} declares {feature.sampling_rate or 'any'} Hz and {channels or 'any number of'} channels, "
            f"the sound has {rate} Hz and {len(waveform)}; dataset.cast_column({name!r}, datasets.Audio()) takes it as "
            "it is, and the transform Resample brings it to a rate"
        )
    return waveform, rate


def _decoded(decode: Callable[[Any], Any], name: str, array: Any, row: int) -> Any:
    """What `decode` makes of the bytes of a row or, where there are none, of the file that it names."""
    if not array[row].is_valid:
        raise CorruptDataError(f"column {name!r} is null")
    data, path = array.field("bytes")[row].as_py(), medium_path(array, row)
    if data is None and path is None:
        raise CorruptDataError(f"column {name!r} has neither bytes nor a path")
    if data is None and "://" in str(path):
        raise CorruptDataError(
            f"column {name!r}: the bytes are at {path}, and datakit opens no connections; fetch them with .map() of "
            "the dataset, or take a copy of it that has the bytes, as the Parquet branch of the hub has"
        )
    try:
        return decode(path if data is None else data)
    except DatakitError as error:
        if data is None:
            raise
        named = f"column {name!r}" + (f", {path}" if path else "")
        raise type(error)(str(error).replace("<bytes>", named, 1)) from error.__cause__


def _image(mode: PixelMode, name: str) -> Reader:
    return lambda array, row: _decoded(lambda source: read_image(source, mode), name, array, row)


def _sound(feature: Any, name: str) -> Reader:
    def read(array: Any, row: int) -> dict[str, Any]:
        waveform, rate = read_sound(feature, name, array, row)
        return {"waveform": waveform, "sample_rate": rate}

    return read


def _struct(readers: dict[str, Reader]) -> Reader:
    def read(array: Any, row: int) -> Any:
        if not array[row].is_valid:
            return None
        return {key: reader(array.field(key), row) for key, reader in readers.items()}

    return read


def _label(name: str, make: Callable[[Any], Any]) -> Reader:
    def read(array: Any, row: int) -> Any:
        value = array[row].as_py()
        if value is None:
            raise CorruptDataError(f"column {name!r} has no label: it is null")
        return make(value)

    return read


def _scalar(feature: Any) -> Reader:
    if SCALAR in marks(feature):
        dtype = np.dtype(feature.dtype)
        return lambda array, row: None if (value := array[row].as_py()) is None else dtype.type(value)
    return lambda array, row: array[row].as_py()


def marks(feature: Any) -> tuple[str, ...]:
    """The words that datakit wrote into the `id` of a feature."""
    return tuple((getattr(feature, "id", None) or "").split())


def leaf_of(feature: Any) -> Any:
    """What lists of lists are made of at last."""
    while type(feature).__name__ in ("List", "LargeList", "Sequence", "list", "tuple"):
        feature = feature[0] if isinstance(feature, list | tuple) else feature.feature
    return feature


def _is_number(feature: Any) -> bool:
    kind, dtype = type(feature).__name__, str(getattr(feature, "dtype", ""))
    return kind == "ClassLabel" or (kind == "Value" and (dtype.startswith(("int", "uint", "float")) or dtype == "bool"))


def _list(feature: Any, name: str) -> Reader:
    leaf = leaf_of(feature)
    if _is_number(leaf):
        return _numbers(leaf, name)
    item = reader_of(feature[0] if isinstance(feature, list | tuple) else feature.feature, name)
    make = tuple if TUPLE in marks(leaf) else list

    def read(array: Any, row: int) -> Any:
        values = array[row].values
        return None if values is None else make(item(values, place) for place in range(len(values)))

    return read


def _numbers(leaf: Any, name: str) -> Reader:
    words = marks(leaf)

    def read(array: Any, row: int) -> Any:
        values = array[row].values
        return None if values is None else _as_written(_nested(values, name), words)

    return read


def _array(feature: Any, name: str) -> Reader:
    words = marks(feature)

    def read(array: Any, row: int) -> Any:
        values = array.storage[row].values
        if values is None:
            return None
        found = _nested(values, name)
        if not isinstance(found, np.ndarray):
            raise CorruptDataError(f"column {name!r} declares arrays of {feature.shape}; the rows differ in length")
        return _as_written(found.reshape((len(values), *feature.shape[1:])), words)

    return read


def _nested(values: Any, name: str) -> Any:
    """An ndarray of its own of an Arrow list of lists; where the lists differ in length, a list of ndarrays."""
    if values.null_count:
        raise CorruptDataError(f"column {name!r} has {values.null_count} nulls among its numbers")
    kind = str(values.type)
    if not hasattr(values, "flatten") or not kind.startswith(("list", "large_list", "fixed_size_list")):
        return np.array(values.to_numpy(zero_copy_only=False))
    if kind.startswith("fixed_size_list"):
        lengths = np.full(len(values), values.type.list_size)
    else:
        lengths = np.asarray(values.value_lengths())
    inner = _nested(values.flatten(), name)
    size = int(lengths[0]) if len(lengths) else getattr(values.type, "list_size", 0)
    if (lengths == size).all() and isinstance(inner, np.ndarray):
        return inner.reshape(len(values), size, *inner.shape[1:])
    return _split(inner, np.cumsum(lengths)[:-1])


def _split(values: Any, ends: np.ndarray) -> list[Any]:
    starts = [0, *ends.tolist()]
    return [values[start:end].copy() for start, end in zip(starts, [*ends.tolist(), len(values)], strict=True)]


def _as_written(array: Any, words: tuple[str, ...]) -> Any:
    if not isinstance(array, np.ndarray):
        return array
    if COMPLEX in words:
        array = array.view(np.complex64 if array.dtype == np.float32 else np.complex128)[..., 0]
    if TENSOR in words:
        return torch.from_numpy(array)
    if LIST in words or TUPLE in words:
        return array.tolist() if LIST in words else tuple(array.tolist())
    return array
