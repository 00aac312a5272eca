"""The command that installs something into the environment which runs this."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import sys

INDEX = "https://download.pytorch.org/whl"


def pip_install(*what: str, options: str = "") -> str:
    """A line to paste that installs `what` for this Python: by pip, by uv, or by a pip that is put there first.

    Examples:
        >>> from datakit.doctor.pip import pip_install
        >>> pip_install("torch==2.11.0").endswith(" torch==2.11.0")
        True
    """
    words = " ".join(shlex.quote(word) for word in what)
    return f"{_installer()} {options + ' ' if options else ''}{words}"


def _installer() -> str:
    python = shlex.quote(sys.executable or "python3")
    if importlib.util.find_spec("pip") is None:
        has_uv = shutil.which("uv") is not None
        by_pip = f"{python} -m ensurepip && {python} -m pip install"
        return f"uv pip install --python {python}" if has_uv else by_pip
    on_path = shutil.which("pip")
    is_ours = on_path is not None and os.path.dirname(on_path) == os.path.dirname(sys.executable)
    return "pip install" if is_ours else f"{python} -m pip install"
