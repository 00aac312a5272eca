"""Pickled batches of CIFAR, read without running anything: plain values and arrays of bytes, and nothing else.

A pickle is a program for a small machine with a stack. Python's own machine imports and calls what the program names.
This one knows the few instructions that write plain values, and the four functions below, which it imitates.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from datakit.errors import CorruptDataError
from datakit.files.file_array import map_file

MOST_STEPS = 2**20
"""Instructions that a file may have; a batch of 10,000 images has 60,000. Bounds time, and objects in memory."""

_LARGE = 2**12  # bytes; strings from here on stay in the file, and are views of it
_MARK = object()
_FUNCTIONS = {
    "_codecs encode": "encode",
    "numpy dtype": "dtype",
    "numpy ndarray": "ndarray",
    "numpy.core.multiarray _reconstruct": "array",
    "numpy._core.multiarray _reconstruct": "array",
}


class _Fault(ValueError):
    """What is wrong, in words for a message."""


class _Name(str):
    """A function that the file named."""


class _Unfinished:
    """An element type or an array, before its state comes."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


def read_pickle(path: str | Path) -> Any:
    """The value in a pickle of protocol 2 to 4, as `pickle.load(file, encoding="bytes")` would give it.

    Known are dict, list, tuple, str, bytes, int, bool, None and arrays of `uint8`. Arrays of Python 2 or of protocol 3
    and later, and other strings of bytes of 4 KB and more, are views of the file, which is mapped into memory: nothing
    is copied, and processes share its pages.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: naming the byte, for anything else than that: other classes and functions, object arrays,
            lengths that do not match, a truncated file, more than `MOST_STEPS` instructions.

    Source: the instructions as `pickletools` of Python documents them.

    Examples:
        >>> import pickle
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from datakit.vision.pickled import read_pickle
        >>> Path("batch").write_bytes(pickle.dumps({b"labels": [6, 9], b"data": np.zeros((2, 3), np.uint8)}, 3)) > 0
        True
        >>> read_pickle("batch")
        {b'labels': [6, 9], b'data': array([[0, 0, 0],
               [0, 0, 0]], dtype=uint8)}
    """
    machine = _Machine(map_file(Path(path)).data)
    try:
        return machine.run()
    except (ValueError, LookupError, TypeError, struct.error) as error:
        why = error if isinstance(error, _Fault) else "damaged or truncated"
        raise CorruptDataError(
            f"{path}: byte {machine.at}: {why}; nothing in it was run; delete the file and get it again"
        ) from error


class _Machine:
    def __init__(self, data: memoryview) -> None:
        self.data, self.place, self.at = data, 0, 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.room = len(data)  # bytes that may still be encoded: a string may be named any number of times

    def run(self) -> Any:
        for _ in range(MOST_STEPS):
            self.at = self.place
            code = self.data[self.place]
            self.place += 1
            if code == _STOP:
                return self.stack.pop()
            step = _STEPS.get(code)
            if step is None:
                raise _Fault(f"instruction {chr(code)!r} is not part of this format")
            step(self)
        raise _Fault(f"more than {MOST_STEPS:,} instructions")

    def take(self, size: int) -> memoryview:
        """The next bytes of the program."""
        end = self.place + size
        if not 0 <= size <= len(self.data) - self.place:
            raise _Fault(f"{size:,} bytes are announced, {len(self.data) - self.place:,} are left")
        self.place, start = end, self.place
        return self.data[start:end]

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def line(self) -> str:
        """Up to the next line feed, which must come soon."""
        text = bytes(self.data[self.place : self.place + 100])
        end = text.find(b"\n")
        if end < 0:
            raise _Fault("a name without an end")
        self.place += end + 1
        return text[:end].decode("ascii")

    def marked(self) -> list[Any]:
        """What was pushed since the last mark."""
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is _MARK:
                items = self.stack[place + 1 :]
                del self.stack[place:]
                return items
        raise _Fault("no mark")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def remember(self, key: int) -> None:
        self.memo[key] = self.stack[-1]

    def tuple(self, size: int) -> None:
        items = self.stack[-size:]
        if len(items) < size:
            raise _Fault("too few values")
        self.stack[-size:] = [tuple(items)]

    def text(self, form: str) -> None:
        self.push(str(self.take(self.number(form)), "utf-8", "surrogatepass"))

    def bytes(self, form: str) -> None:
        data = self.take(self.number(form))
        self.push(data if len(data) >= _LARGE else bytes(data))

    def extend(self) -> None:
        items = self.marked()
        _of(list, self.stack[-1]).extend(items)

    def append(self) -> None:
        item = self.stack.pop()
        _of(list, self.stack[-1]).append(item)

    def set(self, items: list[Any]) -> None:
        target = _of(dict, self.stack[-1])
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in (str, bytes, int):  # to hash a nested tuple may take for ever
                raise _Fault(f"a key of type {type(key).__name__}")
            target[key] = value

    def name(self, name: str) -> None:
        if name not in _FUNCTIONS:
            raise _Fault(f"{name[:60].replace(' ', '.')} is not part of this format")
        self.push(_Name(_FUNCTIONS[name]))

    def call(self) -> None:
        given, function = self.stack.pop(), self.stack.pop()
        kind = str(_of(_Name, function))
        if kind == "encode" and len(given) == 2 and given[1] == "latin1":
            self.room -= len(_of(str, given[0]))
            if self.room < 0:
                raise _Fault("more bytes are made than there are in the file")
            self.push(given[0].encode("latin-1"))
        elif kind == "array" and given[:1] == ("ndarray",):
            self.push(_Unfinished("array"))
        elif kind == "dtype" and given[:1] in (("u1",), (b"u1",)):
            self.push(_Unfinished("dtype"))
        else:
            raise _Fault(f"a {kind} of this kind is not part of this format; arrays must be of unsigned bytes")

    def build(self) -> None:
        state = _of(tuple, self.stack.pop())
        if _of(_Unfinished, self.stack[-1]).kind == "array":
            self.stack[-1] = _array(state)
        # the state of an element type says its order of bytes, of which a single byte has none


def _of(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise _Fault(f"a {kind.__name__.strip('_').lower()} is expected, found a {type(value).__name__}")
    return value


def _array(state: tuple[Any, ...]) -> np.ndarray:
    """The array of a state as NumPy writes it: version, shape, element type, column order, bytes."""
    _, shape, dtype, columns_first, data = state
    if type(dtype) is not _Unfinished or columns_first is not False or not isinstance(data, bytes | memoryview):
        raise _Fault("an array must be of unsigned bytes, in row order")
    if not all(type(side) is int and side >= 0 for side in _of(tuple, shape)) or len(shape) > 4:
        raise _Fault("an array must have a shape of up to 4 sides")
    if math.prod(shape) != len(data):
        raise _Fault(f"an array of shape {shape} has {len(data):,} bytes")
    return np.frombuffer(data, np.uint8).reshape(shape)


_STOP = ord(".")
_STEPS: dict[int, Callable[[_Machine], Any]] = {
    0x80: lambda m: m.take(1),  # the number of the protocol
    0x95: lambda m: m.take(8),  # the length of a frame
    ord("("): lambda m: m.push(_MARK),
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("K"): lambda m: m.push(m.number("<B")),
    ord("M"): lambda m: m.push(m.number("<H")),
    ord("J"): lambda m: m.push(m.number("<i")),
    ord("X"): lambda m: m.text("<I"),
    0x8C: lambda m: m.text("<B"),
    ord("U"): lambda m: m.bytes("<B"),
    ord("T"): lambda m: m.bytes("<i"),
    ord("C"): lambda m: m.bytes("<B"),
    ord("B"): lambda m: m.bytes("<I"),
    0x8E: lambda m: m.bytes("<Q"),
    ord("]"): lambda m: m.push([]),
    ord("}"): lambda m: m.push({}),
    ord(")"): lambda m: m.push(()),
    0x85: lambda m: m.tuple(1),
    0x86: lambda m: m.tuple(2),
    0x87: lambda m: m.tuple(3),
    ord("t"): lambda m: m.push(tuple(m.marked())),
    ord("a"): lambda m: m.append(),
    ord("e"): lambda m: m.extend(),
    ord("s"): lambda m: m.set([m.stack.pop(-2), m.stack.pop()]),
    ord("u"): lambda m: m.set(m.marked()),
    ord("q"): lambda m: m.remember(m.number("<B")),
    ord("r"): lambda m: m.remember(m.number("<I")),
    0x94: lambda m: m.remember(len(m.memo)),
    ord("h"): lambda m: m.push(m.memo[m.number("<B")]),
    ord("j"): lambda m: m.push(m.memo[m.number("<I")]),
    ord("c"): lambda m: m.name(f"{m.line()} {m.line()}"),
    0x93: lambda m: m.name("{} {}".format(*_two_texts(m))),
    ord("R"): lambda m: m.call(),
    ord("b"): lambda m: m.build(),
}
"""Number of an instruction -> what it does."""


def _two_texts(machine: _Machine) -> tuple[str, str]:
    name, module = _of(str, machine.stack.pop()), _of(str, machine.stack.pop())
    return module, name
