"""Files that are there whole or not at all, and numbers as a person reads them."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file so that nobody, also after Ctrl-C, finds half of it: beside its place, then moved there.

    Raises:
        OSError: where it cannot be written; what was there before is as it was.
    """
    final = Path(path)
    draft = final.with_name(f".{final.name}.{os.getpid()}.part")
    try:
        draft.write_bytes(content)
        os.replace(draft, final)
    finally:
        draft.unlink(missing_ok=True)


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
