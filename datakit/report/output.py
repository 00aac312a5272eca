"""Files that are there whole or not at all."""

from __future__ import annotations

import io
import os
from pathlib import Path

from PIL import Image


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


def png(image: Image.Image) -> bytes:
    """The contents of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
