"""The batch as one PNG: its pictures with short captions, in a grid."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from datakit.errors import DatakitError
from datakit.inspection.batch import split
from datakit.inspection.look import Inspection
from datakit.report.drawing import draw
from datakit.report.figures import IN_GRID, label_of, members_of

_WIDTH = 1600  # of the sheet, at most
_CELL = 360  # of a picture, at most
_GAP, _MARGIN = 16, 28
_INK = (40, 46, 50)
_TEXT = 16  # pixels


@dataclass(frozen=True)
class _Tile:
    image: Image.Image
    name: str


def contact_sheet(inspection: Inspection) -> bytes:
    """A PNG of the batch, normalisation undone, at most 64 pictures; of the samples after the chain without a batch.

    Raises:
        DatakitError: where nothing has an image.
    """
    tiles = _of_batch(inspection) or _of_samples(inspection)
    if not tiles:
        who = "no sample has" if inspection.batch is None else "neither the batch nor a sample has"
        raise DatakitError(f"nothing to draw: {who} an image under the key 'image' or in a tuple")
    buffer = io.BytesIO()
    _sheet(tiles).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _of_batch(inspection: Inspection) -> list[_Tile]:
    count = min(len(split(inspection.batch)), IN_GRID)
    members, _ = members_of(inspection, _side(count)) if count else ([], 0)
    return [_Tile(one.drawing.image, one.name) for one in members]


def _of_samples(inspection: Inspection) -> list[_Tile]:
    whole = [seen for seen in inspection.samples if seen.stages][:IN_GRID]
    tiles = []
    for seen in whole:
        sample, names = seen.stages[-1].sample, [stage.name for stage in seen.stages]
        normalize = inspection.normalized_by(names)
        drawing = draw(sample, classes=inspection.classes, normalize=normalize, side=_side(len(whole)))
        if drawing is not None:
            index = str(seen.key.index) if seen.key.index >= 0 else ""
            tiles.append(_Tile(drawing.image, label_of(sample, inspection.classes) or index))
    return tiles


def _columns(count: int) -> int:
    return math.ceil(math.sqrt(count))


def _side(count: int) -> int:
    """Pixels of a picture, so that all have room."""
    return min(_CELL, (_WIDTH - 2 * _MARGIN + _GAP) // _columns(count) - _GAP)


def _sheet(tiles: Sequence[_Tile]) -> Image.Image:
    columns = _columns(len(tiles))
    wide, high = (max(tile.image.size[axis] for tile in tiles) for axis in (0, 1))
    step, drop = wide + _GAP, high + _TEXT + 10 + _GAP
    rows = math.ceil(len(tiles) / columns)
    sheet = Image.new("RGB", (2 * _MARGIN + columns * step - _GAP, 2 * _MARGIN + rows * drop - _GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for place, tile in enumerate(tiles):
        x, y = _MARGIN + place % columns * step, _MARGIN + place // columns * drop
        sheet.paste(tile.image, (x + (wide - tile.image.width) // 2, y + high - tile.image.height))
        pen.text((x + wide / 2, y + high + 6), _cut(tile.name, wide), fill=_INK, font=_font(), anchor="ma")
    return sheet


def _cut(text: str, width: int) -> str:
    """`text` in one line, with an ellipsis where it is wider than `width` pixels."""
    line = " ".join(text.split())
    if _font().getlength(line) <= width:
        return line
    while line and _font().getlength(line + "…") > width:
        line = line[:-1]
    return line + "…"


@cache
def _font() -> ImageFont.FreeTypeFont:
    import matplotlib  # whose copy of DejaVu Sans is the same on every machine, and has more than Latin letters

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), _TEXT)
