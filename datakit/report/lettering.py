"""The letters of pictures."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import ImageFont


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, `size` pixels high."""
    import matplotlib  # whose copy of it is the same on every machine, and has more than Latin letters

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), size)


def cut(text: str, width: float, letters: ImageFont.FreeTypeFont) -> str:
    """`text` in one line, with an ellipsis where it is wider than `width` pixels."""
    line = " ".join(text.split())
    if letters.getlength(line) <= width:
        return line
    while line and letters.getlength(line + "…") > width:
        line = line[:-1]
    return line + "…"
