"""What is installed, read from files alone: nothing of it is imported."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_VERSION = re.compile(r"""^__version__(?:\s*:\s*str)?\s*=\s*['"]([^'"]+)['"]""", re.M)
_CUDA = re.compile(r"""^cuda(?:\s*:\s*[\w\[\]]+)?\s*=\s*['"]([\d.]+)['"]""", re.M)


@dataclass(frozen=True)
class Installed:
    """A distribution as its files describe it.

    Attributes:
        name: of the distribution, such as `torchvision`.
        version: of its metadata; pip compares this one.
        requires: its `Requires-Dist` lines.
        places: folders with metadata of it, in the order of `sys.path`; the first one counts.
        build: the version with its build, such as `2.11.0+cu130`, where the package's `version.py` says it.
        cuda: CUDA version of the build, such as `13.0`; empty for a CPU build, or where nothing says it.
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    build: str = ""
    cuda: str = ""

    @property
    def public(self) -> str:
        """The version without its build."""
        return (self.build or self.version).partition("+")[0]

    @property
    def local(self) -> str:
        """The build, such as `cu130` or `cpu`; empty where nothing says it."""
        return (self.build or self.version).partition("+")[2]

    @property
    def index(self) -> str:
        """The build for which pip needs an index of its own: the one in the metadata; empty for one of PyPI's."""
        return self.version.partition("+")[2]


def installed(name: str, paths: Sequence[str] | None = None) -> Installed | None:
    """The distribution called `name` on `sys.path` or on `paths`, as an import would find it; None where there is none.

    Examples:
        >>> from datakit.doctor.installed import installed
        >>> installed("no-such-thing") is None
        True
    """
    paths = sys.path if paths is None else paths
    found = [
        (_place(one), one.version, tuple(one.requires or ()))
        for one in importlib.metadata.distributions(name=name, path=list(paths))
        if _has_version(one)
    ]
    by_place = {place: (version, requires) for place, version, requires in reversed(found)}
    if not by_place:
        return None
    places = list(dict.fromkeys(place for place, _, _ in found))
    version, requires = by_place[places[0]]
    text = _version_file(Path(places[0]).parent / name.replace("-", "_"))
    build, cuda = _VERSION.search(text), _CUDA.search(text)
    same = build is not None and build[1].partition("+")[0] == version.partition("+")[0]
    full = build[1] if build is not None and same else ""
    return Installed(name, version, requires, tuple(places), full, cuda[1] if cuda else _dotted(full or version))


def _has_version(one: importlib.metadata.Distribution) -> bool:
    """Whether its metadata can be read: an interrupted pip leaves folders without."""
    try:
        return isinstance(one.metadata["Version"], str)
    except Exception:
        return False


def _place(one: importlib.metadata.Distribution) -> str:
    return os.path.realpath(str(getattr(one, "_path", one.locate_file(""))))


def _version_file(folder: Path) -> str:
    try:
        return (folder / "version.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _dotted(version: str) -> str:
    """`0.26.0+cu130` as 13.0; empty for a build without CUDA."""
    match = re.search(r"\+cu(\d\d)(\d+)", version)
    return f"{match[1]}.{match[2]}" if match else ""


def copies(module: str, paths: Sequence[str] | None = None) -> list[str]:
    """The folders and files on `sys.path` or `paths` that `import module` could mean, the first one first."""
    found = []
    for entry in sys.path if paths is None else paths:
        folder = Path(entry or ".")
        for candidate in (folder / module / "__init__.py", folder / f"{module}.py"):
            if candidate.is_file():
                found.append(os.path.realpath(candidate))
    return list(dict.fromkeys(found))


def own_requirements() -> tuple[str, ...]:
    """What datakit requires, with its extras: as the `pyproject.toml` of its checkout says it, else its metadata."""
    import tomllib

    try:
        project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    except (OSError, KeyError, ValueError):
        own = installed("datakit")
        return () if own is None else own.requires
    extras = project.get("optional-dependencies", {})
    listed = [f'{line}; extra == "{extra}"' for extra, lines in extras.items() for line in lines]
    return (*project.get("dependencies", ()), *listed)
