"""Where synthetic copies live: written once to the cache folder, in the dataset's real layout."""

from __future__ import annotations

import ast
import hashlib
import inspect
import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from datakit.files import cache_dir


def synthetic_root(cls: Any, n: int, seed: int) -> Path:
    """A folder with the synthetic copy of `cls`: `n` records drawn from `seed`.

    The folder's name holds a hash of the code that draws it, so a changed `synthesize` never meets an old copy. Several
    processes may ask at once: each writes to a folder of its own, and the first to finish gives it its name.

    Raises:
        ValueError: for no records.
        NotImplementedError: where the dataset has no `synthesize`.
    """
    if n < 1:
        raise ValueError(f"a synthetic copy needs at least one record, got n={n}")
    final = cache_dir() / "synthetic" / f"{cls.__name__}-n{n}-seed{seed}-{_code_digest(cls)}"
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=final.parent))
    try:
        cls.synthesize(draft, n, np.random.default_rng(seed))
        os.chmod(draft, 0o755)
        os.rename(draft, final)
    except OSError:
        if not final.is_dir():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return final


def _code_digest(cls: Any) -> str:
    """Of the file that `synthesize` is in, and of those of its own package that this imports: they draw for it."""
    try:
        code = Path(inspect.getfile(cls.synthesize)).read_bytes()
    except (OSError, TypeError):  # typed into a notebook or a prompt
        code = cls.synthesize.__code__.co_code
        return hashlib.blake2b(code, digest_size=6).hexdigest()
    package = cls.synthesize.__module__.rpartition(".")[0]
    return hashlib.blake2b(code + b"".join(_beside(code, package)), digest_size=6).hexdigest()


def _beside(code: bytes, package: str) -> Iterator[bytes]:
    """The sources of the modules of `package` that some code imports from."""
    imports = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom))
    for name in sorted({str(node.module) for node in imports if package and not node.level}):
        spec = find_spec(name) if name.startswith(f"{package}.") else None
        if spec is not None and spec.origin is not None:
            yield Path(spec.origin).read_bytes()
