"""Python containers with many objects: each worker that is forked copies them, page by page, while it reads."""

from __future__ import annotations

import itertools
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from datakit.check.findings import Finding
from datakit.check.objects import Held, attributes
from datakit.phrasing import size

_MANY = 100_000  # objects
_HEAVY = 50e6  # bytes a worker, from which it is a warning
_SAMPLED = 256  # entries of a container that are weighed
_DEEP = 4
_HEADER = 112  # bytes of an array, without its data


def many_objects(found: Iterable[Held]) -> Iterator[Finding]:
    """A finding for each container of more than 100,000 objects among the objects of `held`.

    CPython writes a reference count into every object that is looked at, and so the page that it lies on is copied for
    the process that looks. How much that will be is estimated from a sample of the entries: what their objects take.

    Examples:
        >>> from datakit import Mapped
        >>> from datakit.check.containers import many_objects
        >>> from datakit.check.objects import held
        >>> files = [f"folder/{number}.png" for number in range(200_000)]
        >>> for finding in many_objects(held(Mapped(files), "dataset")):
        ...     print(finding.text.split(":")[0])
        dataset.foreign is a list of 200,000 entries, about 200,000 Python objects
    """
    said: list[str] = []
    for one in found:
        inside = any(one.path.startswith(path) for path in said)
        entries, length = _entries(one.value)
        if inside or length < _SAMPLED:
            continue
        objects, weight = _weighed(entries, length)
        if objects <= _MANY:
            continue
        said.append(one.path)
        what = f"{_article(one.value)} of {length:,} entries, about {_rounded(objects):,} Python objects"
        yield Finding(
            "memory",
            f"{one.path} is {what}: each worker that is forked copies up to {size(int(weight))} of them while it reads",
            level=None if weight >= _HEAVY else "note",
        )


class _Item(tuple[Any, Any]):
    """Key and value of a dict, which is no object of its own there."""


def _entries(value: Any) -> tuple[list[Any], int]:
    """Some entries of a container, spread over it, and their number; none for what is no container of objects."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind != "O":
            return [], 0
        flat = value.ravel()
        return [flat[place] for place in _spread(len(flat))], len(flat)
    if isinstance(value, list | tuple | deque):
        return [value[place] for place in _spread(len(value))], len(value)
    if isinstance(value, dict):
        step = max(1, len(value) // _SAMPLED)
        return [_Item(item) for item in itertools.islice(value.items(), 0, None, step)], len(value)
    if isinstance(value, set | frozenset):
        return list(itertools.islice(value, _SAMPLED)), len(value)
    return _of_pandas(value)


def _of_pandas(value: Any) -> tuple[list[Any], int]:
    """Of the columns of a table, those of objects; of other values none."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(value, pandas.DataFrame | pandas.Series | pandas.Index):
        return [], 0
    is_table = isinstance(value, pandas.DataFrame)
    columns = [value.iloc[:, place] for place in range(value.shape[1])] if is_table else [value]
    entries: list[Any] = []
    length = 0
    for column in columns:
        array = getattr(getattr(column, "array", None), "_ndarray", None)
        if array is not None and array.dtype.kind == "O":
            some, count = _entries(array)
            entries, length = entries + some, length + count
    return entries, length


def _spread(length: int) -> Iterable[int]:
    return range(0, length, max(1, length // _SAMPLED))


def _weighed(entries: list[Any], length: int) -> tuple[int, float]:
    """Objects and their bytes, from what those of some entries take."""
    known: set[int] = set()
    counts = [_weight(entry, known, 0) for entry in entries]
    share = length / max(1, len(entries))
    return round(sum(count for count, _ in counts) * share), sum(weight for _, weight in counts) * share


def _weight(value: Any, known: set[int], depth: int) -> tuple[int, int]:
    """(objects, bytes) of a value and what it holds; what all entries share counts once."""
    is_shared = value is None or isinstance(value, bool | type) or (isinstance(value, int) and -6 < value < 257)
    if is_shared or id(value) in known:
        return 0, 0
    known.add(id(value))
    count, weight = (0, 0) if isinstance(value, _Item) else (1, _size(value))
    inner: Iterable[Any] = ()
    if depth < _DEEP and isinstance(value, dict):
        inner = itertools.chain.from_iterable(itertools.islice(value.items(), _SAMPLED))
    elif depth < _DEEP and isinstance(value, list | tuple | set | frozenset):
        inner = itertools.islice(value, _SAMPLED)
    elif depth < _DEEP and not isinstance(value, str | bytes | int | float | np.ndarray):
        inner = attributes(value).values()
    for entry in inner:
        more, bytes_more = _weight(entry, known, depth + 1)
        count, weight = count + more, weight + bytes_more
    return count, weight


def _size(value: Any) -> int:
    """Bytes of an object itself; of an array its header, since reading its data writes nothing there."""
    return _HEADER if isinstance(value, np.ndarray) else sys.getsizeof(value)


def _article(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _rounded(count: int) -> int:
    """Two significant digits: it is an estimate."""
    digits = max(0, len(str(count)) - 2)
    return int(round(count, -digits))
