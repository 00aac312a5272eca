"""Which columns a sample is made of, and under which keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from datakit.errors import UnknownNameError
from datakit.hugging_face.values import Reader, image_mode, leaf_of, medium_path, read_sound, reader_of
from datakit.sample import Sample

Choice: TypeAlias = "Mapping[str, str] | Sequence[str] | None"
"""Columns to take: keys of the sample and the columns behind them, or names of columns, or None for all."""

MEDIA = ("Image", "Audio")


@dataclass(frozen=True)
class Field:
    """One key of the sample.

    Attributes:
        key: of the sample.
        name: of the column, with dots where it is inside another.
        column: the whole column.
        feature: what it declares.
        find: from the whole column to the part that `name` means.
        reader: from that to a value.
    """

    key: str
    name: str
    column: str
    feature: Any
    find: Callable[[Any], Any]
    reader: Reader

    @property
    def kind(self) -> str:
        """Of the feature, such as `Image`."""
        return type(self.feature).__name__


class Plan:
    """How rows become samples.

    Args:
        features: of the dataset.
        columns: what to take of it.

    Attributes:
        fields: the keys.
        columns: the columns that are read.
        has_path: whether a row may say where it came from.
        class_names: names of the labels, by the key of the sample.
        classes: those of the only labels, or else of `label` or `labels`.

    Raises:
        UnknownNameError: there is no such column.
        DatakitError: for a kind of column that datakit does not read.
    """

    def __init__(self, features: Mapping[str, Any], columns: Choice = None) -> None:
        chosen = _chosen(features, columns)
        self._made_of = features, columns
        self.fields = [_field(features, key, name) for key, name in chosen.items()]
        self.columns = list(dict.fromkeys(field.column for field in self.fields))
        self.medium = next((f for f in self.fields if f.kind in MEDIA), None)
        if "path" in chosen or sum(field.kind in MEDIA for field in self.fields) > 1:
            self.medium = None
        self.has_path = self.medium is not None or "path" in chosen
        self.class_names = {key: names for field in self.fields for key, names in _labels(field.key, field.feature)}
        only = self.class_names if len(self.class_names) == 1 else {}
        self.classes: Sequence[str] = next(
            (self.class_names[key] for key in (*only, "label", "labels") if key in self.class_names), ()
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Plan, self._made_of

    @property
    def keys(self) -> list[str]:
        """The keys of the sample, without the path."""
        return [key for f in self.fields for key in (("waveform", "sample_rate") if _is_sound(f) else (f.key,))]

    def sample(self, columns: Mapping[str, Any], row: int) -> Sample:
        """The sample of a row of these Arrow arrays."""
        sample: Sample = {}
        for field in self.fields:
            array = field.find(columns[field.column])
            if _is_sound(field):
                sample["waveform"], sample["sample_rate"] = read_sound(field.feature, field.name, array, row)
            else:
                sample[field.key] = field.reader(array, row)
        path = self.path(columns, row) if self.has_path else None
        if path is not None:
            sample["path"] = path
        return _with_empty_masks(sample)

    def path(self, columns: Mapping[str, Any], row: int) -> str | None:
        """The path in the only image or sound of a row, or in its column `path`."""
        if self.medium is not None:
            return medium_path(self.medium.find(columns[self.medium.column]), row)
        named = next((field for field in self.fields if field.key == "path" and field.kind == "Value"), None)
        value = None if named is None else named.find(columns[named.column])[row].as_py()
        return value if isinstance(value, str) else None

    def record(self, columns: Mapping[str, Any], row: int) -> dict[str, Any]:
        """What a row says without its images, sounds and arrays."""
        plain = [field for field in self.fields if field.kind in ("Value", "ClassLabel")]
        found = {field.key: field.find(columns[field.column])[row].as_py() for field in plain}
        path = self.path(columns, row)
        return found if path is None else {**found, "path": path}


def _is_sound(field: Field) -> bool:
    return field.kind == "Audio" and field.key == "waveform"


def _chosen(features: Mapping[str, Any], columns: Choice) -> dict[str, str]:
    """The column behind each key."""
    if isinstance(columns, str):
        raise TypeError(f"columns is a dict of keys and columns, or a list of columns, got {columns!r}")
    if isinstance(columns, Mapping):
        return dict(columns)
    names = list(features if columns is None else columns)
    kinds = {name: type(features.get(name)).__name__ for name in names}
    keys = {name: name for name in names}
    for kind, key, taken in (
        ("Image", "image", ("image",)),
        ("Audio", "waveform", ("waveform", "sample_rate")),
        ("ClassLabel", "label", ("label",)),
    ):
        only = [name for name in names if kinds[name] == kind]
        if len(only) == 1 and not any(name in taken for name in names if name != only[0]):
            keys[only[0]] = key
    return {keys[name]: name for name in names}


def _field(features: Mapping[str, Any], key: str, name: str) -> Field:
    find: Callable[[Any], Any] = _whole
    column, feature = name, features.get(name)
    if feature is None:
        column, _, rest = name.partition(".")
        if column not in features or not rest:
            raise UnknownNameError.of("column", name, _names(features))
        feature = features[column]
        for part in rest.split("."):
            feature, find = _inside(features, name, feature, find, part)
    if type(feature).__name__ == "Image":
        image_mode(feature, name)
    return Field(key, name, column, feature, find, reader_of(feature, name))


def _whole(array: Any) -> Any:
    return array


def _inside(
    features: Mapping[str, Any], name: str, feature: Any, find: Callable[[Any], Any], part: str
) -> tuple[Any, Callable[[Any], Any]]:
    """A part of a struct, or of each struct in a list of them, as one column."""
    if isinstance(feature, dict) and part in feature:
        return feature[part], _Part(find, part)
    inner = getattr(feature, "feature", None)
    if isinstance(inner, dict) and part in inner and type(feature).__name__ == "List" and feature.length == -1:
        return type(feature)(inner[part]), _PartOfEach(find, part)
    raise UnknownNameError.of("column", name, _names(features))


@dataclass(frozen=True)
class _Part:
    find: Callable[[Any], Any]
    part: str

    def __call__(self, column: Any) -> Any:
        return self.find(column).field(self.part)


@dataclass(frozen=True)
class _PartOfEach:
    find: Callable[[Any], Any]
    part: str

    def __call__(self, column: Any) -> Any:
        import pyarrow as pa

        lists = self.find(column)
        if lists.null_count:
            rows = [None if row is None else [inner[self.part] for inner in row] for row in lists.to_pylist()]
            return pa.array(rows, pa.list_(lists.values.field(self.part).type))
        return pa.ListArray.from_arrays(lists.offsets, lists.values.field(self.part))


def _names(features: Mapping[str, Any]) -> Iterator[str]:
    """The columns, and those inside them."""
    for name, feature in features.items():
        yield name
        inner = feature if isinstance(feature, dict) else getattr(feature, "feature", None)
        if isinstance(inner, dict):
            yield from (f"{name}.{part}" for part in inner)


def _labels(key: str, feature: Any) -> Iterator[tuple[str, Sequence[str]]]:
    """The names of the labels in a feature and what is inside it."""
    leaf = leaf_of(feature)
    if isinstance(leaf, dict):
        for part, inner in leaf.items():
            yield from _labels(f"{key}.{part}", inner)
    elif type(leaf).__name__ == "ClassLabel" and leaf.names:
        yield key, tuple(leaf.names)


def _with_empty_masks(sample: Sample) -> Sample:
    """No masks are no masks of the size of the image: lists in lists do not keep the sizes behind a 0."""
    masks, image = sample.get("masks"), sample.get("image")
    if getattr(masks, "shape", None) == (0, 0, 0) and getattr(image, "ndim", 0) == 3:
        height, width = size_of(image)
        sample["masks"] = masks.reshape(0, height, width)  # type: ignore[union-attr]
    return sample


def size_of(image: Any) -> tuple[int, int]:
    """Height and width of an array (H, W, C) or a tensor (C, H, W)."""
    height, width = image.shape[-2:] if hasattr(image, "detach") else image.shape[:2]
    return int(height), int(width)
