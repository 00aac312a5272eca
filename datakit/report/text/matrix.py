"""A batch of tokens as a table: a row for each sample, a column for each step; and all of a large one as a picture."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from datakit.inspection.text_batch import TokenBatch
from datakit.phrasing import number
from datakit.report.figure import Figure
from datakit.report.output import png
from datakit.report.text.chips import Chip, chip_of
from datakit.report.text.colours import OVERVIEW

ROWS, STEPS = 24, 40
"""Of the table, at most."""

_NUMBERED = 26  # steps with which the numbers have room too
_ROWS, _STEPS = 512, 2000  # of the picture
_WIDE, _SIDE = 900, 12  # pixels of the picture, of a step
_PACKED = 6  # batch sizes that are named


@dataclass(frozen=True)
class Row:
    """A sample.

    Attributes:
        name: of its class, or the start of its text.
        length: valid steps.
        cells: of them, as many as are shown.
        padding: steps after them, of those that are shown.
    """

    name: str
    length: int
    cells: tuple[Chip, ...]
    padding: int


@dataclass(frozen=True)
class Matrix:
    """The tokens of one key.

    Attributes:
        key: `tokens` or `target_tokens`.
        about: its size, in words.
        rows: of the table.
        steps: columns of the table.
        is_numbered: whether the cells have room for the numbers too.
        unseen: what the table leaves out, in words; empty where it is whole.
        looks: of all that is shown.
        overview: all of it as a picture; None where the table is whole.
    """

    key: str
    about: str
    rows: tuple[Row, ...]
    steps: int
    is_numbered: bool
    unseen: str
    looks: frozenset[str]
    overview: Figure | None


def matrix_of(batch: TokenBatch, names: Sequence[str], rows: int = ROWS, steps: int = STEPS) -> Matrix:
    """The table.

    Args:
        batch: of tokens.
        names: of the samples.
        rows: at most.
        steps: at most.
    """
    count, width = batch.numbers.shape
    rows, steps = min(count, rows), min(width, steps)
    kinds = batch.kinds(_ROWS, _STEPS)
    made = tuple(_row(batch, kinds, place, names[place], steps) for place in range(rows))
    looks = {chip.look for row in made for chip in row.cells} | ({"pad"} if (kinds == "pad").any() else set())
    left = [f"{number(count - rows)} more samples"] * (rows < count) + [f"{number(width - steps)} more steps"] * (
        steps < width
    )
    unseen = f"and {' and '.join(left)}" if left else ""
    overview = _overview(batch, kinds) if left else None
    return Matrix(batch.key, _about(batch), made, steps, steps <= _NUMBERED, unseen, frozenset(looks), overview)


def _row(batch: TokenBatch, kinds: np.ndarray, place: int, name: str, steps: int) -> Row:
    length = int(batch.lengths[place])
    shown = min(length, steps)
    each = zip(batch.numbers[place, :shown].tolist(), kinds[place, :shown].tolist(), strict=True)
    cells = [chip_of(value, kind, batch.coder) for value, kind in each]
    return Row(name, length, tuple(cells), steps - shown)


def _about(batch: TokenBatch) -> str:
    count, width = batch.numbers.shape
    size = f"{number(count)} samples × {number(width)} steps"
    if batch.packed is None:
        return size
    sizes = [number(one) for one in batch.packed[:_PACKED].tolist()]
    named = ", ".join([*sizes, "…"] if len(batch.packed) > _PACKED else sizes)
    return f"{size}, packed: {number(int(batch.packed.sum()))} tokens in batches of {named}; no step is padded"


def _overview(batch: TokenBatch, kinds: np.ndarray) -> Figure:
    """Every place of the batch in the colour of its kind."""
    names, places = np.unique(kinds, return_inverse=True)
    palette = [OVERVIEW[name] for name in names.tolist()]
    wide = max(1, min(_SIDE, _WIDE // kinds.shape[1]))
    raster = places.reshape(kinds.shape).astype(np.uint8).repeat(wide, 1).repeat(max(wide, 5), 0)
    image = Image.fromarray(raster).convert("P")
    image.putpalette([value for colour in palette for value in colour])
    src = f"data:image/png;base64,{base64.b64encode(png(image)).decode('ascii')}"
    shares = [f"{(kinds == name).mean():.1%} {name}".replace("%", " %") for name in names.tolist()]
    is_whole = kinds.shape == batch.numbers.shape
    what = "The whole batch" if is_whole else f"The first {len(kinds):,} samples × {kinds.shape[1]:,} steps"
    alt = f"{batch.key}, {what.lower()}: {', '.join(shares)}"
    return Figure(what, ", ".join(shares), alt, src, *image.size, pixelated=True)
