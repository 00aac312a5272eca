"""Whether an error is the installation's fault: a package that datakit requires is missing, or does not import."""

from __future__ import annotations

from types import TracebackType

_LONGEST = 300  # characters of a message
REQUIRED = frozenset((
    "torch", "torchvision", "torchaudio", "numpy", "pandas", "PIL", "skimage", "soundfile", "kaldi_io", "datasets",
    "pyarrow", "filelock", "requests", "tqdm", "jinja2", "matplotlib", "psutil",
))  # fmt: skip
"""Modules that datakit cannot do without."""


def broken_package(error: BaseException) -> str | None:
    """`torch cannot be imported: OSError: ...` in one line, where that is what an error is about; else None."""
    current: BaseException | None = error
    while current is not None:
        name = _missing(current) or _importing(current.__traceback__)
        if name:
            text = " ".join(str(current).split()) or "no message"
            text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
            return f"{name} cannot be imported: {type(current).__name__}: {text}"
        current = current.__cause__
    return None


def _missing(error: BaseException) -> str:
    """The required package that an import did not find, or did not find a name in."""
    root = (error.name or "").split(".")[0] if isinstance(error, ImportError) else ""
    return root if root in REQUIRED else ""


def _importing(trace: TracebackType | None) -> str:
    """The required package whose own import was under way when the error was raised: the innermost one."""
    found = ""
    while trace is not None:
        frame = trace.tb_frame
        root = str(frame.f_globals.get("__name__", "")).split(".")[0]
        if frame.f_code.co_name == "<module>" and root in REQUIRED:
            found = found or root
        trace = trace.tb_next
    return found
