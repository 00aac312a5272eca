"""Numbers and texts as a person reads them."""

from __future__ import annotations


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
