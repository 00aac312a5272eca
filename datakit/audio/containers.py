"""The headers of AIFF, AU, RF64, W64 and SPHERE against the size of the file, which libsndfile does not look at.

Formats: Apple, Audio Interchange File Format 1.3; Sun's audio(7); EBU Tech 3306; Sony, Wave64; NIST, SPHERE 2.6.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from datakit.errors import CorruptDataError

_OPEN_ENDED = 0xFFFFFFFF


def check(kind: str, file: BinaryIO, size: int, *, streamed: bool) -> None:
    """Hold the length in the header against the file's size.

    Args:
        kind: the format, by libsndfile's name; of others nothing is said.
        file: the whole file.
        size: of it, bytes.
        streamed: take a file whose length was left open.

    Raises:
        CorruptDataError: the file is shorter than its header says, or the header leaves it open.
    """
    file.seek(0)
    end = _END[kind](file.read(1024)) if kind in _END else 0
    if end is None and not streamed:
        raise CorruptDataError(
            f"the header of this {kind} leaves the length open: written to a pipe? Pass streamed=True to read to the "
            "end of the file"
        )
    if end is not None and end > size:
        raise CorruptDataError(f"truncated {kind}: the header says {end:,} bytes, the file has {size:,}")


def _aiff(head: bytes) -> int | None:
    length = int.from_bytes(head[4:8], "big")
    return 8 + length - length % 2 if length < _OPEN_ENDED else None


def _au(head: bytes) -> int | None:
    order = "big" if head[:4] == b".snd" else "little"
    start, length = (int.from_bytes(head[at : at + 4], order) for at in (4, 8))  # type: ignore[arg-type]
    return start + length if length < _OPEN_ENDED else None


def _rf64(head: bytes) -> int | None:
    if head[12:16] != b"ds64":
        raise CorruptDataError("broken RF64: no ds64 chunk at byte 12")
    return 8 + int.from_bytes(head[20:28], "little")


def _w64(head: bytes) -> int | None:
    return int.from_bytes(head[16:24], "little")


def _nist(head: bytes) -> int | None:
    start = int(head[8:16]) if head[8:16].strip().isdigit() else 1024
    count, channels, width = (_field(head, name) for name in (b"sample_count", b"channel_count", b"sample_n_bytes"))
    return start + count * channels * width


def _field(head: bytes, name: bytes) -> int:
    found = re.search(rb"^" + name + rb" -i (\d{1,15})$", head, re.MULTILINE)
    if found is None:
        raise CorruptDataError(f"broken NIST: no {name.decode()} in the header")
    return int(found[1])


_END = {"AIFF": _aiff, "AU": _au, "RF64": _rf64, "W64": _w64, "NIST": _nist}
