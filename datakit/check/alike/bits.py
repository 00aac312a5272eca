"""256 bits of a plane of values: the signs of its lowest frequencies, and what becomes of them when it is turned."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np

SIDE = 16
"""Frequencies of each axis."""

BITS = SIDE * SIDE

WORDS = BITS // 64 + 1
"""Of a sketch: the first one says of what kind it is."""

PICTURE, SOUND, TEXT = 1, 2, 3
"""The kinds."""

View: TypeAlias = Literal["mirrored", "turned left", "turned round", "turned right"]
"""A way to turn a picture; left and right as `numpy.rot90` with 1 and 3."""

VIEWS: tuple[View, ...] = ("mirrored", "turned left", "turned round", "turned right")

_FLAT = 1e-4  # of the strongest: what is weaker has the sign of rounding, as in a symmetric drawing


def plane_bits(coefficients: np.ndarray) -> np.ndarray:
    """The signs of cosine coefficients, the lowest frequencies first and the mean left out: uint8 (BITS,), 0 and 1.

    They stay as they are where a picture is made brighter, of more contrast, smaller or larger, and nearly so where it
    is compressed. C. Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, compares the 64
    lowest with their median; signs need no median, and they follow when a picture is turned.

    Args:
        coefficients: (SIDE, SIDE), of the rows and of the columns.
    """
    flat = coefficients.ravel()[_order()]
    strong = _FLAT * np.abs(flat[:-1]).max()
    return np.concatenate([flat[:-1] > strong, [False]]).astype(np.uint8)


def packed(kind: int, bits: np.ndarray) -> np.ndarray:
    """A sketch, uint64 (WORDS,): its kind, then the bits, the first one as the highest of its word."""
    words = np.packbits(bits).view(">u8").astype(np.uint64)
    return np.concatenate([np.array([kind], np.uint64), words])


def turned(words: np.ndarray, view: View) -> np.ndarray:
    """The bits of pictures after they were turned, from the bits alone: uint64 (n, BITS / 64).

    A mirror changes the sign of every odd frequency of the columns; a quarter turn swaps the axes as well. A
    coefficient that is nearly nothing becomes a bit that is wrong, no more.
    """
    if view == "mirrored":
        return np.asarray(words ^ _odd(0, 1))
    if view == "turned round":
        return np.asarray(words ^ _odd(1, 1))
    swapped = _transposed(words)
    return np.asarray(swapped ^ (_odd(1, 0) if view == "turned left" else _odd(0, 1)))


@lru_cache(maxsize=4096)
def cosines(count: int, length: int) -> np.ndarray:
    """The first basis vectors of the DCT-II of `length` values, float32 (count, length), divided by their number."""
    steps = (np.arange(length) + 0.5) / length
    return np.asarray(np.cos(np.pi * np.outer(np.arange(count), steps)) / length, np.float32)


@lru_cache(maxsize=1)
def _order() -> np.ndarray:
    """Places in (SIDE, SIDE), by rising frequency; the mean, place 0, comes last."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    places = np.lexsort((rows.ravel(), (rows + columns).ravel()))
    return np.roll(places, -1)


@lru_cache(maxsize=4)
def _odd(rows: int, columns: int) -> np.ndarray:
    """Words with a 1 where the frequency is odd: of the rows, of the columns, or of their sum."""
    row, column = np.divmod(_order(), SIDE)
    is_odd = (rows * row + columns * column) % 2 == 1
    is_odd[-1] = False  # no coefficient
    return np.packbits(is_odd).view(">u8").astype(np.uint64)


def _transposed(words: np.ndarray) -> np.ndarray:
    places = np.empty(BITS, np.int64)
    places[_order()] = np.arange(BITS)
    row, column = np.divmod(_order(), SIDE)
    source = places[column * SIDE + row]
    swapped = np.empty_like(words)
    for start in range(0, len(words), 1 << 16):  # a byte for every bit
        piece = words[start : start + (1 << 16)].astype(">u8").view(np.uint8)
        bits = np.unpackbits(piece.reshape(-1, BITS // 8), axis=1)[:, source]
        swapped[start : start + (1 << 16)] = np.ascontiguousarray(np.packbits(bits, axis=1)).view(">u8")
    return swapped
