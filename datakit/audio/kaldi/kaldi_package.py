"""The kaldi_io package, taken in without what its import does to the process.

Importing it in the usual way starts a shell, puts Kaldi's folders before PATH, sets KALDI_ROOT and prints a warning.
Its code runs here with a stand-in for `os` and without `subprocess`: nothing of that happens, not even for a moment,
and no function of it can start anything. A program that imports kaldi_io itself gets a copy of its own, with all its
effects.
"""

from __future__ import annotations

import builtins
import functools
import io
import os
import re
import warnings
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from types import SimpleNamespace
from typing import Any, cast

_NAME = "datakit.audio.kaldi._kaldi_io"
_QUIET = ("ignore", None, Warning, re.compile(r".*kaldi_io$"), 0)  # it has "\S" in plain strings


@functools.cache
def kaldi_io() -> Any:
    """The module; imported on first use.

    Raises:
        ImportError: kaldi_io is not installed, or no longer one file of this name.
    """
    package = find_spec("kaldi_io")
    folders = (package.submodule_search_locations or []) if package else []
    path = next((path for folder in folders if os.path.isfile(path := os.path.join(folder, "kaldi_io.py"))), None)
    if path is None:
        raise ImportError("the package kaldi_io (kaldi-io 0.9.8) is not installed; pip install kaldi-io")
    spec = spec_from_file_location(_NAME, path, loader=SourceFileLoader(_NAME, path))
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = module_from_spec(spec)
    module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import}
    filters = cast("list[Any]", warnings.filters)  # not catch_warnings, which is not safe among threads
    filters.insert(0, _QUIET)
    try:
        spec.loader.exec_module(module)
    finally:
        filters.remove(_QUIET)
    return module


def _import(name: str, *rest: Any) -> Any:
    if name == "os":
        # A KALDI_ROOT that exists, so that nothing is printed; what is done to this PATH reaches nobody.
        return SimpleNamespace(
            environ={"KALDI_ROOT": os.sep, "PATH": ""}, path=os.path, popen=lambda command: io.StringIO()
        )
    if name == "subprocess":
        raise ImportError("kaldi_io starts no processes within datakit")
    return builtins.__import__(name, *rest)
