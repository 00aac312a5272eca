"""Pictures with short captions in a grid: the batch as one PNG, the stages of a sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw

from datakit.errors import DatakitError
from datakit.inspection.batch import split
from datakit.inspection.look import Inspected, Inspection
from datakit.inspection.text import Coders
from datakit.inspection.text_batch import text_columns
from datakit.report.figures import drawing_of, label_of, members_of
from datakit.report.lettering import cut, font
from datakit.report.objects import Colour
from datakit.report.output import png
from datakit.report.room import IN_GRID
from datakit.report.sound.drawing import loudest
from datakit.report.text.batch import batches_of, labels_in, names_of
from datakit.report.text.picture import matrix_picture, sample_picture

_WIDTH = 1600  # of the sheet, at most
_CELL = 360  # of a picture, at most
_GAP, _MARGIN = 16, 28
_INK: Colour = (40, 46, 50)
_TEXT, _LINE, _FRAME = 16, 21, 4  # pixels


@dataclass(frozen=True)
class Tile:
    """A picture with its caption.

    Attributes:
        image: RGB.
        name: the caption; may have several lines.
        colour: of its letters.
        framed: whether that colour is around the picture too.
    """

    image: Image.Image
    name: str
    colour: Colour = _INK
    framed: bool = False


def contact_sheet(inspection: Inspection) -> bytes:
    """What `grid_sheet` draws, as a PNG.

    Raises:
        DatakitError: where nothing has an image, a sound or a text.
    """
    return png(grid_sheet(inspection))


def grid_sheet(inspection: Inspection) -> Image.Image:
    """The batch, normalisation undone, at most 64 pictures; the samples after the chain without a batch.

    Raises:
        DatakitError: where nothing has an image, a sound or a text.
    """
    drawn = batch_sheet(inspection)
    if drawn is None:
        who = "no sample has" if inspection.batch is None else "neither the batch nor a sample has"
        raise DatakitError(f"nothing to draw: {who} an image, a sound or a text under the key of one, or in a tuple")
    return drawn


def batch_sheet(inspection: Inspection) -> Image.Image | None:
    """As `grid_sheet`; None where nothing has an image, a sound or a text. The tokens of a batch are one matrix."""
    tiles = _of_batch(inspection)
    if not tiles and (batches := batches_of(inspection)):
        return matrix_picture(batches, names_of(inspection, len(batches[0].numbers)), IN_GRID)
    tiles = tiles or _of_texts(inspection) or _of_samples(inspection)
    return sheet(tiles) if tiles else None


def stage_sheet(seen: Inspected, inspection: Inspection) -> Image.Image | None:
    """A sample as loaded and after each transform, in a row; None where no stage has an image, a sound or a text."""
    names, tiles = [stage.name for stage in seen.stages], []
    side, highest = side_for(len(names) ** 2), loudest(stage.sample for stage in seen.stages)
    for place, stage in enumerate(seen.stages):
        image = _picture(stage.sample, inspection, names[: place + 1], side, highest)
        if image is not None:
            tiles.append(Tile(image, stage.name))
    return sheet(tiles, columns=len(tiles)) if tiles else None


def epoch_sheet(draws: Sequence[Inspected], inspection: Inspection) -> Image.Image | None:
    """One sample after the chain in several epochs; None where none has an image, a sound or a text."""
    tiles = _lasts([(seen, f"epoch {seen.key.epoch}") for seen in draws if seen.stages], inspection)
    return sheet(tiles) if tiles else None


def side_for(count: int) -> int:
    """Pixels of a picture, so that so many have room in a square grid."""
    return min(_CELL, (_WIDTH - 2 * _MARGIN + _GAP) // _columns(count) - _GAP)


def sheet(tiles: Sequence[Tile], columns: int | None = None) -> Image.Image:
    """The tiles on white, line by line; as many columns as lines where their number is not given."""
    columns = columns or _columns(len(tiles))
    wide, high = (max(tile.image.size[axis] for tile in tiles) for axis in (0, 1))
    lines = max(len(tile.name.splitlines()) for tile in tiles)
    step, drop = wide + _GAP, high + 5 + max(1, lines) * _LINE + _GAP
    rows = math.ceil(len(tiles) / columns)
    drawn = Image.new("RGB", (2 * _MARGIN + columns * step - _GAP, 2 * _MARGIN + rows * drop - _GAP), "white")
    for place, tile in enumerate(tiles):
        x, y = _MARGIN + place % columns * step, _MARGIN + place // columns * drop
        _place(drawn, tile, (x + (wide - tile.image.width) // 2, y + high - tile.image.height), wide)
    return drawn


def _place(drawn: Image.Image, tile: Tile, corner: tuple[int, int], width: int) -> None:
    (x, y), pen = corner, ImageDraw.Draw(drawn)
    right, bottom = x + tile.image.width, y + tile.image.height
    if tile.framed:
        pen.rectangle((x - _FRAME, y - _FRAME, right + _FRAME - 1, bottom + _FRAME - 1), fill=tile.colour)
    drawn.paste(tile.image, corner)
    for place, line in enumerate(tile.name.splitlines()):
        middle, top = x + tile.image.width / 2, bottom + 6 + place * _LINE
        pen.text((middle, top), cut(line, width, font(_TEXT)), fill=tile.colour, font=font(_TEXT), anchor="ma")


def _of_batch(inspection: Inspection) -> list[Tile]:
    count = min(len(split(inspection.batch)), IN_GRID)
    members, _ = members_of(inspection, side_for(count)) if count else ([], 0)
    return [Tile(one.drawing.image, one.name) for one in members]


def _of_samples(inspection: Inspection) -> list[Tile]:
    whole = [seen for seen in inspection.samples if seen.stages][:IN_GRID]
    return _lasts([(seen, _label(seen, inspection)) for seen in whole], inspection)


def _label(seen: Inspected, inspection: Inspection) -> str:
    index = str(seen.key.index) if seen.key.index >= 0 else ""
    return label_of(seen.stages[-1].sample, inspection.classes) or index


def _lasts(named: Sequence[tuple[Inspected, str]], inspection: Inspection) -> list[Tile]:
    """The last stage of each record that has something to draw."""
    side, tiles = side_for(max(len(named), 1)), []
    highest = loudest(seen.stages[-1].sample for seen, _ in named)
    for seen, name in named:
        names = [stage.name for stage in seen.stages]
        image = _picture(seen.stages[-1].sample, inspection, names, side, highest)
        if image is not None:
            tiles.append(Tile(image, name))
    return tiles


def _picture(
    sample: Any, inspection: Inspection, names: Sequence[str], side: int, highest: float
) -> Image.Image | None:
    """The image or the sound of a sample, or else its text and tokens."""
    drawing = drawing_of(sample, inspection, names, side, highest)
    return sample_picture(sample, inspection.coders_after(names), side) if drawing is None else drawing.image


def _of_texts(inspection: Inspection) -> list[Tile]:
    """The texts of a batch without tokens."""
    columns = text_columns(inspection.batch)
    each = [dict(zip(columns, texts, strict=True)) for texts in zip(*columns.values(), strict=True)][:IN_GRID]
    names = labels_in(inspection, len(next(iter(columns.values()), [])))
    pictures = [sample_picture(texts, Coders(), side_for(len(each))) for texts in each]
    return [Tile(image, name) for image, name in zip(pictures, names, strict=False) if image is not None]


def _columns(count: int) -> int:
    return math.ceil(math.sqrt(count))
