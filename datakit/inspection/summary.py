"""A table of the keys of a sample or batch: what each one holds, in numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

from datakit.chain import same
from datakit.phrasing import shorten
from datakit.sample import UNITS

Status: TypeAlias = Literal["same", "changed", "added", "dropped"]

_PREVIEW = 80  # characters


@dataclass(frozen=True)
class Row:
    """What one key holds.

    Attributes:
        key: name, with dots where it is nested; the place in a tuple.
        kind: dtype, or the type of anything that is no array.
        shape: of an array; None for a side that differs between the `count` arrays of a list.
        count: arrays in a list of them.
        low: least finite value, as `high` and `mean` None where there are no numbers.
        high: greatest finite value.
        mean: of the finite values, in float64.
        not_finite: how many values are NaN or infinite.
        unit: such as px.
        text: a single value, or the beginning of a text.
    """

    key: str
    kind: str
    shape: tuple[int | None, ...] | None = None
    count: int | None = None
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    not_finite: int = 0
    unit: str = ""
    text: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        numbers = {"min": self.low, "max": self.high, "mean": self.mean, "not_finite": self.not_finite}
        place = {"key": self.key, "type": self.kind, "shape": self.shape, "count": self.count}
        return {**place, **numbers, "unit": self.unit, "text": self.text}

    @property
    def size(self) -> str:
        """The shape as text, such as `(3, 224, 224)`, `4 × (3, ?, 224)` for a list, empty for a single value."""
        if not self.shape:
            return "" if self.count is None else str(self.count)
        sides = ", ".join("?" if side is None else str(side) for side in self.shape)
        text = f"({sides},)" if len(self.shape) == 1 else f"({sides})"
        return text if self.count is None else f"{self.count} × {text}"


@dataclass(frozen=True)
class Change:
    """One key before and after a chain of transforms; None on the side where it is not there."""

    before: Row | None
    after: Row | None
    status: Status

    @property
    def key(self) -> str:
        """Its name."""
        return next(row.key for row in (self.after, self.before) if row is not None)


def summarise(sample: Any) -> list[Row]:
    """A row for every key of a sample or a batch: a dict, a tuple, a list of fields, or a single value."""
    return [row_of(key, value) for key, value in fields(sample)]


def compare(before: Any, after: Any) -> list[Change]:
    """The keys of two stages of a sample, and what became of each."""
    first, last = dict(fields(before)), dict(fields(after))
    return [_change(key, first, last) for key in {**first, **last}]


def fields(sample: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(key, value) of everything in a sample: dicts and tuples are taken apart, a list of dicts key by key."""
    prefix = f"{name}." if name else ""
    if isinstance(sample, list) and sample and all(isinstance(item, dict) for item in sample):
        keys = {key: None for item in sample for key in item}
        sample = {key: [item[key] for item in sample if key in item] for key in keys}
    if isinstance(sample, dict):
        for key, value in sample.items():
            yield from fields(value, f"{prefix}{key}")
    elif isinstance(sample, tuple) or (isinstance(sample, list) and not name and not _is_values(sample)):
        names = getattr(sample, "_fields", range(len(sample)))
        for key, value in zip(names, sample, strict=True):
            yield from fields(value, f"{prefix}{key}")
    else:
        yield name or "sample", sample


def _is_values(items: list[Any]) -> bool:
    """Whether a list holds single values, such as texts, and not the fields of a batch."""
    return all(isinstance(item, str | bytes | int | float) for item in items)


def _change(key: str, first: dict[str, Any], last: dict[str, Any]) -> Change:
    before = row_of(key, first[key]) if key in first else None
    after = row_of(key, last[key]) if key in last else None
    if before is None or after is None:
        return Change(before, after, "added" if before is None else "dropped")
    return Change(before, after, "same" if equal(first[key], last[key]) else "changed")


def equal(first: Any, last: Any) -> bool:
    """Whether nothing changed but perhaps from an array to a tensor."""
    if _is_array(first) and _is_array(last):
        return _kind(first) == _kind(last) and same(_array(first), _array(last))
    return same(first, last)


def row_of(key: str, value: Any) -> Row:
    """What one key holds."""
    unit = UNITS.get(key.rsplit(".", 1)[-1], "")
    if isinstance(value, list) and value and all(_is_array(item) for item in value):
        arrays = [_array(item) for item in value]
        return Row(key, _kind(value[0]), _common_shape(arrays), len(arrays), **_numbers(arrays), unit=unit)
    if _is_array(value):
        array = _array(value)
        if array.ndim == 0:
            return Row(key, _kind(value), (), unit=unit, text=_preview(array.item()))
        return Row(key, _kind(value), array.shape, **_numbers([array]), unit=unit)
    if key.rsplit(".", 1)[-1] == "path":
        value = [_end_of_path(item) for item in value] if isinstance(value, list) else _end_of_path(value)
    count = len(value) if isinstance(value, list) else None
    return Row(key, _kind(value), count=count, unit=unit, text=_preview(value))


def _is_array(value: Any) -> bool:
    return isinstance(value, torch.Tensor) or (
        isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc"
    )


def _array(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return np.asarray(value)


def _kind(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.") if hasattr(value, "dtype") else type(value).__name__


def _common_shape(arrays: list[Any]) -> tuple[int | None, ...] | None:
    if len({array.ndim for array in arrays}) > 1:
        return None
    sides = zip(*(array.shape for array in arrays), strict=True)
    return tuple(side[0] if len(set(side)) == 1 else None for side in sides)


def _numbers(arrays: list[Any]) -> dict[str, Any]:
    values = np.concatenate([array.ravel() for array in arrays])
    if values.dtype.kind == "c" or not values.size:
        return {}
    finite = values if values.dtype.kind in "biu" else values[np.isfinite(values)]
    missing = {"not_finite": int(values.size - finite.size)}
    if not finite.size:
        return missing
    low, high = (finite.min().item(), finite.max().item())
    return {**missing, "low": float(low), "high": float(high), "mean": float(finite.mean(dtype=np.float64))}


def _end_of_path(path: Any) -> str:
    parts = str(path).split("/")
    return "/".join(parts if len(parts) <= 3 else ["…", *parts[-2:]])


def _preview(value: Any) -> str:
    if isinstance(value, list):
        shown = ", ".join(map(_preview, value[:4]))
        value = f"{shown}, …" if len(value) > 4 else shown
    if hasattr(value, "getbands"):  # the repr of a PIL image ends in its address, another one each time
        value = f"{type(value).__name__} {value.mode} {value.width} × {value.height}"
    return shorten(value if isinstance(value, str) else repr(value), _PREVIEW)
