"""Everything that an object holds, with the way to it: `dataset.transform.transforms[2].rng`.

No code of the objects runs: attributes are read from `__dict__` and slots, never through properties.
"""

from __future__ import annotations

import dis
import functools
import itertools
import site
import sys
import sysconfig
import types
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

_MOST = 50_000  # objects
_OF_EACH = 100  # entries of a container that are looked into
_DEEP = 40
_LEAVES = (str, bytes, bytearray, int, float, complex, type(None), type, types.ModuleType, torch.Tensor, range, Path)
_CONTAINERS = (list, tuple, set, frozenset, deque)
_SET_UP = {"__init__", "__new__", "index", "synthesize", "synthetic", "__repr__", "__init_subclass__"}
_CLOSED = {"datasets", "pyarrow", "h5py", "lmdb", "tokenizers", "logging", "matplotlib"}
"""Libraries whose objects are not looked into; they know how to be shared, or are looked at as a whole."""


class Held(NamedTuple):
    """An object, and how to get there."""

    path: str
    value: Any


def held(root: Any, name: str) -> Iterator[Held]:
    """The object itself and all that it holds, each once, the nearest first.

    Looked into: attributes, slots, containers (the first hundred entries), `functools.partial`, bound methods, and the
    closures, defaults and globals of functions that are not part of an installed library.

    Args:
        root: where to begin.
        name: how that is called.

    Examples:
        >>> from datakit import Mapped
        >>> from datakit.check.objects import held
        >>> [one.path for one in held(Mapped([1.5]), "dataset") if isinstance(one.value, float)]
        ['dataset.foreign[0]']
    """
    known, queue = {id(root)}, deque([(Held(name, root), 0)])
    kept: list[Any] = []  # an id counts only as long as its object lives
    while queue and len(known) < _MOST:
        one, depth = queue.popleft()
        yield one
        for part in parts(one.value) if depth < _DEEP else ():
            if id(part.value) not in known:
                known.add(id(part.value))
                kept.append(part.value)
                queue.append((Held(_joined(one.path, part.path), part.value), depth + 1))


def _joined(path: str, part: str) -> str:
    return part[1:] if part.startswith("=") else path + part


def parts(value: Any) -> Iterator[Held]:
    """What an object holds itself, with how it is written behind the object; from `=` on it is written for itself."""
    if isinstance(value, _LEAVES):
        return
    if isinstance(value, np.ndarray):
        entries = value.ravel()[:_OF_EACH].tolist() if value.dtype.kind == "O" else []
        yield from (Held(f"[{place}]", entry) for place, entry in enumerate(entries))
    elif isinstance(value, types.MethodType):
        yield Held("", value.__self__)
        if isinstance(value.__func__, types.FunctionType):
            yield from _of_function(value.__func__)
    elif isinstance(value, types.FunctionType):
        yield from _of_function(value)
    elif type(value).__module__.partition(".")[0] not in _CLOSED:
        yield from _of_object(value)


def _of_object(value: Any) -> Iterator[Held]:
    if isinstance(value, dict):
        yield from (Held(f"[{shown(key)}]", entry) for key, entry in itertools.islice(value.items(), _OF_EACH))
    elif isinstance(value, _CONTAINERS):
        yield from (Held(f"[{place}]", entry) for place, entry in enumerate(itertools.islice(value, _OF_EACH)))
    elif isinstance(value, functools.partial):
        yield Held(".func", value.func)
        yield from (Held(f".args[{place}]", entry) for place, entry in enumerate(value.args))
        yield from (Held(f".keywords[{shown(key)}]", entry) for key, entry in value.keywords.items())
    yield from (Held(f".{public(name)}", entry) for name, entry in attributes(value).items())
    if is_of_user(type(value)):
        yield from _of_class(type(value))


def attributes(value: Any) -> dict[str, Any]:
    """The attributes that an object holds itself, of `__dict__` and slots."""
    found: dict[str, Any] = {}
    for cls in type(value).__mro__:
        for name, slot in vars(cls).items():
            if isinstance(slot, types.MemberDescriptorType) and name != "__weakref__":
                try:
                    found[name] = slot.__get__(value, cls)
                except (AttributeError, TypeError):
                    continue
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        own = {}
    return {**found, **(own if isinstance(own, dict) else {})}


def public(name: str) -> str:
    """How a person writes an attribute."""
    return "transform" if name == "_transform" else name


def shown(key: Any) -> str:
    """A key within brackets."""
    text = repr(key) if isinstance(key, str | int | float | bytes | tuple) else type(key).__name__
    return text if len(text) <= 40 else text[:39] + "…"


def _of_class(cls: type) -> Iterator[Held]:
    """Values in the body of a class of the user's, and what its methods refer to."""
    for name, value in itertools.chain.from_iterable(vars(base).items() for base in cls.__mro__ if is_of_user(base)):
        inner = value.__func__ if isinstance(value, staticmethod | classmethod) else value
        if isinstance(inner, types.FunctionType):
            if name not in _SET_UP:
                yield from _of_function(inner, method=True)
        elif not name.startswith("__") and not hasattr(type(value), "__get__"):
            yield Held(f".{name}", value)


def _of_function(function: types.FunctionType, method: bool = False) -> Iterator[Held]:
    if not is_of_user(function):
        return
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
    for name, cell in cells:
        if name == "__class__":
            continue
        try:
            yield Held(f"=the variable {name} around {function.__qualname__}", cell.cell_contents)
        except ValueError:  # not filled yet
            continue
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    yield from (Held(f"=a default of {function.__qualname__}", value) for value in defaults)
    for name in dict.fromkeys(_globals_in(function.__code__)):
        if name in function.__globals__ and not isinstance(function.__globals__[name], type | types.ModuleType):
            yield Held(f"={function.__module__}.{name}", function.__globals__[name])


def names_in(code: types.CodeType) -> Iterator[str]:
    """The names that code looks up, that of functions within it included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names_in(constant)


def _globals_in(code: types.CodeType) -> Iterator[str]:
    """Those of them that are global; an attribute may be called like a global that has nothing to do with it."""
    yield from (one.argval for one in dis.get_instructions(code) if one.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _globals_in(constant)


def is_of_user(value: Any) -> bool:
    """Whether a class or function is neither of datakit, nor of an installed library, nor of Python itself."""
    return _is_of_user(getattr(value, "__module__", None) or "builtins")


@functools.lru_cache(maxsize=4096)
def _is_of_user(module: str) -> bool:
    top = module.partition(".")[0]
    if top == "datakit" or (top in sys.stdlib_module_names and top != "__main__"):
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is None or not any(Path(file).is_relative_to(folder) for folder in _libraries())


@functools.cache
def _libraries() -> tuple[str, ...]:
    folders: Iterable[str] = (*site.getsitepackages(), site.getusersitepackages(), sysconfig.get_path("purelib"))
    return tuple(folders)
