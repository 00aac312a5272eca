"""Numbers, texts and errors as a person reads them."""

from __future__ import annotations

from datakit.errors import DatakitError


def number(value: float | None) -> str:
    """Four significant digits, whole numbers in full; empty for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e12 else f"{value:.4g}"


def size(count: int) -> str:
    """Bytes as kB or MB."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def shorten(text: str, most: int = 40) -> str:
    """`text` in one line, with an ellipsis where it is longer than `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def describe(error: BaseException) -> str:
    """An error as a person should read it: one of datakit's by its message, any other with its type."""
    text = str(error).strip() or "no message"
    if "\nOriginal Traceback" in text:  # torch puts the traceback of a worker into the message
        return f"{text.splitlines()[-1]} (in a worker of the loader)"
    return text if isinstance(error, DatakitError) else f"{type(error).__name__}: {text}"
