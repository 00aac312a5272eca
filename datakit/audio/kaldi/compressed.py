"""Kaldi's compressed matrices: a number in one or two bytes, by the formulas of its `compressed-matrix.cc`.

| header | a value is | written by Kaldi for |
| --- | --- | --- |
| `CM` | a byte on a curve through four percentiles of its column | features of more than 8 rows |
| `CM2` | 16 bits, linear between the smallest and the largest value | features of up to 8 rows |
| `CM3` | a byte, linear | images |

Source: https://github.com/kaldi-asr/kaldi/blob/master/src/matrix/compressed-matrix.cc. Arithmetic is in float32 and in
the order of that file, so that the results are its results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from datakit.audio.kaldi.bounded import Bounded

_HEADER = np.dtype([("least", "<f4"), ("range", "<f4"), ("rows", "<i4"), ("columns", "<i4")])
_STEP = np.float32(1.52590218966964e-05)  # 1 / 65535
_FEW_ROWS = 8


def read_compressed(source: Bounded, kind: str) -> np.ndarray:
    """The matrix after the token `CM`, `CM2` or `CM3` and the space: (rows, columns), float32.

    Raises:
        CorruptDataError: negative sizes, more than the file holds, or a range that is no number.
    """
    start = source.place
    head = np.frombuffer(source.read(_HEADER.itemsize), _HEADER)[0]
    rows, columns = int(head["rows"]), int(head["columns"])
    if rows < 0 or columns < 0 or (rows == 0) != (columns == 0):
        source.fail(f"a compressed matrix of {rows} x {columns}", start)
    if not (np.isfinite(head["least"]) and np.isfinite(head["range"])):
        source.fail("a compressed matrix whose range is no finite number", start)
    cells = rows * columns
    source.expect({"CM": cells + 8 * columns, "CM2": 2 * cells, "CM3": cells}[kind])
    with np.errstate(over="ignore", invalid="ignore"):
        if kind == "CM":
            marks = np.frombuffer(source.read(8 * columns), "<u2").reshape(columns, 4)
            codes = np.frombuffer(source.read(cells), np.uint8).reshape(columns, rows)
            return np.ascontiguousarray(_values(codes, _levels(head, marks)).T)
        width, most = ("<u2", 65535.0) if kind == "CM2" else ("<u1", 255.0)
        numbers = np.frombuffer(source.read(cells * np.dtype(width).itemsize), width).reshape(rows, columns)
        return np.asarray(head["least"] + numbers * np.float32(head["range"] * (1.0 / most)), np.float32)


def compressed(matrix: np.ndarray) -> bytes:
    """What Kaldi writes for a matrix of finite numbers by `--compress=true`: the token, the header and the values.

    Raises:
        ValueError: the matrix has values that are not finite.
    """
    matrix = np.ascontiguousarray(matrix, np.float32)
    rows, columns = matrix.shape
    head = np.zeros(1, _HEADER)
    if matrix.size == 0:
        return b"CM " + head.tobytes()
    least, most = matrix.min(), matrix.max()
    with np.errstate(over="ignore", invalid="ignore"):
        if most == least:
            most = np.float32(float(least) + (1.0 + abs(float(least))))
        span = most - least
    if not (np.isfinite(least) and np.isfinite(span)):
        raise ValueError("a matrix with values that are not finite, or too far apart, cannot be compressed")
    head["least"], head["range"], head["rows"], head["columns"] = least, span, rows, columns
    if rows <= _FEW_ROWS:
        return b"CM2 " + head.tobytes() + _sixteen_bits(head[0], matrix).tobytes()
    marks = _marks(head[0], matrix)
    codes = _codes(matrix.T, _levels(head[0], marks))
    return b"CM " + head.tobytes() + marks.tobytes() + codes.tobytes()


def _levels(head: np.void, marks: np.ndarray) -> np.ndarray:
    """The values of a column at the codes 0, 64, 192 and 255: (columns, 4)."""
    return np.asarray(head["least"] + head["range"] * _STEP * marks.astype(np.float32), np.float32)


def _values(codes: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(columns, rows) of bytes to the values; the fractions are double in Kaldi, the sums float."""
    low, quarter, three, high = (levels[:, [place]] for place in range(4))
    code = codes.astype(np.float32)
    below = low + np.float64(1 / 64.0) * ((quarter - low) * code)
    middle = quarter + np.float64(1 / 128.0) * ((three - quarter) * (code - 64))
    above = three + np.float64(1 / 63.0) * ((high - three) * (code - 192))
    values: np.ndarray = np.where(codes <= 64, below, np.where(codes <= 192, middle, above)).astype(np.float32)
    return values


def _sixteen_bits(head: np.void, values: np.ndarray) -> np.ndarray:
    share = np.clip((values - head["least"]) / head["range"], np.float32(0), np.float32(1))
    product = share * np.float32(65535)
    numbers: np.ndarray = (product.astype(np.float64) + 0.499).astype("<u2")  # float product, double sum, as in C
    return numbers


def _marks(head: np.void, matrix: np.ndarray) -> np.ndarray:
    """The percentiles 0, 25, 75 and 100 of the columns as 16 bits, kept apart by at least one: (columns, 4)."""
    rows = len(matrix)
    places = (0, rows // 4, 3 * (rows // 4), rows - 1)
    wanted = _sixteen_bits(head, np.sort(matrix, axis=0)[list(places)].T).astype(np.int64)
    marks = np.empty_like(wanted)
    marks[:, 0] = np.minimum(wanted[:, 0], 65532)
    for place, most in ((1, 65533), (2, 65534), (3, 65535)):
        marks[:, place] = np.minimum(np.maximum(wanted[:, place], marks[:, place - 1] + 1), most)
    found: np.ndarray = marks.astype("<u2")
    return found


def _codes(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(columns, rows) of values to bytes."""
    low, quarter, three, high = (levels[:, [place]] for place in range(4))

    def code(start: np.ndarray, end: np.ndarray, first: int, steps: int) -> np.ndarray:
        share = ((values - start) / (end - start) * np.float32(steps)).astype(np.float64)
        coded: np.ndarray = np.clip(first + np.trunc(share + 0.5), first, first + steps)
        return coded

    below, middle, above = code(low, quarter, 0, 64), code(quarter, three, 64, 128), code(three, high, 192, 63)
    codes: np.ndarray = np.where(values < quarter, below, np.where(values < three, middle, above)).astype(np.uint8)
    return codes
