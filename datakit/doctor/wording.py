"""Figures of machines as a person reads them, and as commands take them."""

from __future__ import annotations

import math


def amount(count: float) -> str:
    """Bytes with three digits, such as `64 MB` or `1.5 GB`, in powers of 1000.

    Examples:
        >>> from datakit.doctor.wording import amount
        >>> amount(67_108_864), amount(1.5e9), amount(900)
        ('67.1 MB', '1.5 GB', '900 bytes')
    """
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= 0.9995 * size:
            return f"{count / size:.3g} {unit}" if count < 999.5 * size else f"{count / size:,.0f} {unit}"
    return f"{count:.0f} bytes"


def memory(count: float) -> str:
    """Bytes of memory with three digits, in powers of 1024 as the kernel and docker count them.

    Examples:
        >>> from datakit.doctor.wording import memory
        >>> memory(67_108_864), memory(1.5 * 2**30), memory(900)
        ('64 MiB', '1.5 GiB', '900 bytes')
    """
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.3g} {unit}" if count < 999.5 * size else f"{count / size:,.0f} {unit}"
    return f"{count:.0f} bytes"


def megabytes(count: float) -> str:
    """Bytes as docker and mount take them, `512m` or `3g` in powers of 1024, rounded up to what is easily remembered.

    Examples:
        >>> from datakit.doctor.wording import megabytes
        >>> megabytes(400_000_000), megabytes(3_100_000_000)
        ('384m', '3g')
    """
    needed = math.ceil(count / 2**20)
    if needed > 1024:
        return f"{math.ceil(needed / 1024)}g"
    return f"{max(64, math.ceil(needed / 64) * 64)}m"


def plural(count: int, word: str) -> str:
    """`1 worker`, `2 workers`."""
    many = f"{word[:-1]}ies" if word.endswith("ry") else f"{word}es" if word.endswith("ch") else f"{word}s"
    return f"{count:,} {word if count == 1 else many}"
