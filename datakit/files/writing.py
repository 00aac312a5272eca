"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file so that nobody, also after Ctrl-C, finds half of it: beside its place, then moved there.

    Raises:
        OSError: where it cannot be written; what was there before is as it was.
    """
    final = Path(path)
    if not final.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {final.parent.absolute()} to write {final.name} into")
    draft = final.with_name(f".{final.name}.{os.getpid()}.part")
    try:
        draft.write_bytes(content)
        os.replace(draft, final)
    finally:
        draft.unlink(missing_ok=True)
