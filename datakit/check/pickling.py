"""What of a dataset cannot be sent to a worker that is spawned, and what is large to send."""

from __future__ import annotations

import copyreg
import functools
import io
import pickle
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from datakit.check.findings import Finding, Severity
from datakit.check.objects import Held, public, shown
from datakit.columns import Columns, Strings
from datakit.phrasing import size

_LARGE = 100e6  # bytes
_DEEP = 40
_SYNCHRONISED = ("multiprocessing", "torch.multiprocessing")  # these cross to a worker, and only to a worker


def unpicklable(roots: list[Held], *, start_method: str) -> Iterator[Finding]:
    """A finding for each of the roots that a spawned worker could not be given, naming the attribute.

    Args:
        roots: what a worker gets: the dataset, the collate function …
        start_method: by which the loader starts its workers; with `fork` nothing is pickled, and it is a warning.

    Examples:
        >>> from datakit import Mapped
        >>> from datakit.check.objects import Held
        >>> from datakit.check.pickling import unpicklable
        >>> dataset = Mapped([1.5], Mapped)
        >>> list(unpicklable([Held("dataset", dataset)], start_method="fork"))
        []
        >>> dataset.fn = open(__import__("os").devnull)
        >>> for finding in unpicklable([Held("dataset", dataset)], start_method="fork"):
        ...     print(finding.text)
        dataset.fn is a TextIOWrapper, which cannot be pickled
        >>> dataset.fn.close()
    """
    level: Severity = "warning" if start_method == "fork" else "error"
    said: set[str] = set()
    for root in roots:
        try:
            bytes_sent = pickled_bytes(root.value)
        except Exception as error:
            culprit = _culprit(root, error, 0)
            text = f"{culprit.path} is {culprit.value}"
            if text not in said:
                said.add(text)
                yield Finding("unpicklable", text, level=level, advice=_advice(culprit.value))
            continue
        if bytes_sent > _LARGE:
            yield Finding(
                "memory",
                f"{root.path} is {size(bytes_sent)} when it is pickled: every worker that is spawned waits for its "
                "copy, and keeps it",
                advice="keep names and numbers in datakit.Columns, which workers share, and read contents in load",
                level="note",
            )


def _advice(what: str) -> str:
    if "lambda" in what or "within" in what:
        return "make it a function at the top of a module, or functools.partial of one"
    return "make it in each process, at the first read, and leave it out of __getstate__"


class _Count(io.RawIOBase):
    """A file that counts the bytes, and keeps none."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def write(self, data: Any) -> int:
        """Count."""
        self.count += len(data)
        return len(data)


class _Pickler(pickle.Pickler):
    """Passes over what workers share, and counts large arrays without a copy."""

    def __init__(self, file: _Count) -> None:
        super().__init__(file, protocol=4)
        self.file = file

    def persistent_id(self, value: Any) -> Any:
        """Not None for what is not pickled here."""
        if isinstance(value, torch.Tensor | Columns | Strings):
            return "shared"
        if type(value) is np.ndarray and value.dtype.kind != "O":
            self.file.count += value.nbytes
            return "array"
        is_shared = type(value).__module__.startswith(_SYNCHRONISED) and not isinstance(value, type)
        return "synchronised" if is_shared else None


def pickled_bytes(value: Any) -> int:
    """Bytes that a spawned worker is sent, without what it shares.

    Raises:
        Exception: of any type, where it cannot be pickled.
    """
    file = _Count()
    _Pickler(file).dump(value)
    return file.count


def _culprit(one: Held, error: Exception, depth: int) -> Held:
    """The innermost part that cannot be pickled, with what it is in place of the value."""
    for part in _sent(one.value) if depth < _DEEP else ():
        try:
            pickled_bytes(part.value)
        except Exception as inner:
            return _culprit(Held(one.path + part.path, part.value), inner, depth + 1)
    return Held(one.path, _described(one.value, error))


def _sent(value: Any) -> Iterator[Held]:
    """The parts that pickle takes of an object."""
    if isinstance(value, dict):
        yield from (Held(f"[{shown(key)}]", entry) for key, entry in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from (Held(f"[{place}]", entry) for place, entry in enumerate(value))
    elif isinstance(value, types.MethodType):
        yield Held(".__self__", value.__self__)
    elif isinstance(value, functools.partial):
        yield Held(".func", value.func)
        yield from (Held(f".args[{place}]", entry) for place, entry in enumerate(value.args))
        yield from (Held(f".keywords[{shown(key)}]", entry) for key, entry in value.keywords.items())
    elif not isinstance(value, types.FunctionType | type):
        yield from _of_reduced(value)


def _of_reduced(value: Any) -> Iterator[Held]:
    reduce = copyreg.dispatch_table.get(type(value))
    try:
        reduced = reduce(value) if reduce else value.__reduce_ex__(4)
    except Exception:
        return
    if not isinstance(reduced, tuple):
        return
    _, args, state, entries, items = (*reduced, None, None, None)[:5]
    states = state if isinstance(state, tuple) else (state,)
    for one in states:
        if isinstance(one, dict):
            yield from (Held(f".{public(str(name))}", entry) for name, entry in one.items())
        elif one is not None:
            yield Held("", one)
    yield from (Held(f"[{place}]", entry) for place, entry in enumerate(entries or ()))
    yield from (Held(f"[{shown(key)}]", entry) for key, entry in items or ())
    others = ((place, entry) for place, entry in enumerate(args) if entry is not type(value))
    yield from (Held(f".args[{place}]", entry) for place, entry in others)


def _described(value: Any, error: Exception) -> str:
    code = getattr(value, "__code__", None)
    if code is not None:
        place = f"(line {code.co_firstlineno} of {Path(code.co_filename).name})"
        if value.__name__ == "<lambda>":
            return f"a lambda {place}"
        if "<locals>" in value.__qualname__:
            return f"a function within another, {value.__qualname__} {place}"
        return f"the function {value.__qualname__} {place}, which cannot be pickled: {error}"
    name = type(value).__name__
    if "<locals>" in getattr(value, "__qualname__", type(value).__qualname__):
        return f"of a class within a function, {getattr(value, '__qualname__', type(value).__qualname__)}"
    said = str(error)
    is_plain = said.startswith("cannot pickle")
    return f"a {name}, which cannot be pickled" + ("" if is_plain else f": {said}")
