"""Which file an import takes, where that is not the installed package."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from datakit.doctor.installed import copies

_INSTALLED = {"site-packages", "dist-packages"}


def foreign(module: str, paths: Sequence[str] | None = None) -> str:
    """The file that `import module` takes, where that is not among installed packages; else empty.

    Args:
        module: its name.
        paths: folders that are searched; by default `sys.path`.

    Examples:
        >>> from datakit.doctor.foreign import foreign
        >>> foreign("no_such_module")
        ''
    """
    found = copies(module, paths)
    return found[0] if found and not _INSTALLED & set(Path(found[0]).parts) else ""


def folder_of(file: str) -> str:
    """The folder on `sys.path` that holds a module: of `a/torch/__init__.py` and of `a/torch.py`, `a`."""
    path = Path(file)
    return str(path.parent.parent if path.name == "__init__.py" else path.parent)


def removal(module: str, paths: Sequence[str] | None = None) -> str:
    """The command after which `import module` takes the next copy; empty where nobody put the first one in the way."""
    file = foreign(module, paths) or next(iter(copies(module, paths)), "")
    if not file:
        return ""
    folder = folder_of(file)
    if folder == os.path.realpath(os.curdir) and foreign(module, paths):
        name = Path(file).parent.name if Path(file).name == "__init__.py" else Path(file).name
        return f"mv {shlex.quote(name)} {shlex.quote(f'my_{name}')}"
    typed = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if folder in {os.path.realpath(entry) for entry in typed if entry}:
        return "unset PYTHONPATH"
    return "export PYTHONNOUSERSITE=1" if "/.local/" in file else ""


def in_the_way(module: str) -> str:
    """Why an import does not take the installed package; empty where it does."""
    file = foreign(module)
    return f"{folder_of(file)} comes before where packages are installed" if file else ""
