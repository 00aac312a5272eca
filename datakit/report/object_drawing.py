"""Masks, boxes and labels of objects, drawn on a layer over the image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from datakit.report.lettering import cut, font
from datakit.report.objects import Colour, Objects

Box: TypeAlias = tuple[float, float, float, float]

_TINT = 80  # opacity of what is inside a mask
_HALO = (0, 0, 0, 150)  # so that an outline of any colour is seen on an image of any colour
_INK = (20, 20, 20, 255)
_QUIET = 150  # opacity of a box around a mask
_HIDDEN = 0.12  # of an object may lie below a label
_WIDEST = 0.6  # of the picture: longer labels are cut


def draw_objects(layer: Image.Image, objects: Objects, size: tuple[int, int], *, fine: int, sharp: bool) -> None:
    """Draw all objects: masks with their outlines over thin boxes, or boxes alone, and the labels that find room.

    Args:
        layer: RGBA, as large as wanted.
        objects: in pixels of the image.
        size: (height, width) of the image.
        fine: pixels of the layer for a pixel of the picture that it will become.
        sharp: whether pixels of masks are enlarged as they are.
    """
    scale = np.array([layer.width / size[1], layer.height / size[0]])
    side = max(layer.size) // fine
    line = max(1, round(side * 0.005)) * fine
    masks = objects.masks if objects.masks is not None and objects.masks.shape[1:] == size else None
    places = [None if corners is None else _scaled(corners, scale) for corners in _corners(objects, masks)]
    pen = ImageDraw.Draw(layer)
    for place, colour in zip(places, objects.colours, strict=True):
        if objects.boxes is not None and place is not None:
            _draw_box(pen, place, colour, line if masks is None else fine, fine, is_alone=masks is None)
    for mask, colour in zip(() if masks is None else masks, objects.colours, strict=False):
        _draw_mask(layer, mask, scale, colour, line, sharp)
    _draw_labels(pen, objects, places, layer.size, fine)


def _corners(objects: Objects, masks: np.ndarray | None) -> list[np.ndarray | None]:
    """Where each object is; None for one that is nowhere."""
    if objects.boxes is not None:
        return [box.astype(np.float64) if np.isfinite(box).all() else None for box in objects.boxes]
    return [None] * objects.count if masks is None else [_extent(mask) for mask in masks]


def _extent(mask: np.ndarray) -> np.ndarray | None:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def _scaled(corner: np.ndarray, scale: np.ndarray) -> Box:
    (left, top), (right, bottom) = np.sort(corner.reshape(2, 2) * scale, axis=0).tolist()
    return left, top, right, bottom


def _draw_mask(layer: Image.Image, mask: np.ndarray, scale: np.ndarray, colour: Colour, line: int, sharp: bool) -> None:
    """The inside tinted, the edge in full colour with a dark halo inside it."""
    extent = _extent(mask)
    if extent is None:
        return
    left, top, right, bottom = extent.astype(int).tolist()
    padded = np.pad(mask[top:bottom, left:right], 1)
    x0, y0 = np.round((left - 1) * scale[0]), np.round((top - 1) * scale[1])
    size = (max(3, round((right + 1) * scale[0] - x0)), max(3, round((bottom + 1) * scale[1] - y0)))
    inside = _enlarged(padded, size, sharp)
    line = min(line, max(1, min(size) // 8))
    core = _eroded(inside, line)
    halo = core & ~_eroded(core, max(1, line // 2))
    pixels = np.zeros((*inside.shape, 4), np.uint8)
    pixels[inside] = (*colour, _TINT)
    pixels[inside & ~core] = (*colour, 255)
    pixels[halo] = _HALO
    x, y = int(x0), int(y0)
    layer.alpha_composite(Image.fromarray(pixels), (max(x, 0), max(y, 0)), (max(-x, 0), max(-y, 0)))


def _enlarged(mask: np.ndarray, size: tuple[int, int], sharp: bool) -> np.ndarray:
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    if sharp:
        return np.asarray(picture.resize(size, Image.Resampling.NEAREST)) > 0
    soft = np.asarray(picture.resize(size, Image.Resampling.BILINEAR))
    return soft > min(127, int(soft.max()) // 2)  # what is thinner than a pixel of the picture is drawn too


def _eroded(inside: np.ndarray, width: int) -> np.ndarray:
    """What of the inside is more than `width` away from the outside."""
    core = np.pad(inside, 1)
    for _ in range(width):
        core[1:-1] &= core[:-2] & core[2:]
        core[:, 1:-1] &= core[:, :-2] & core[:, 2:]
    return core[1:-1, 1:-1]


def _draw_box(pen: ImageDraw.ImageDraw, box: Box, colour: Colour, line: int, fine: int, *, is_alone: bool) -> None:
    left, top, right, bottom = box
    if is_alone:
        pen.rectangle((left - fine, top - fine, right + fine, bottom + fine), outline=_HALO, width=line + 2 * fine)
    pen.rectangle(box, outline=(*colour, 255 if is_alone else _QUIET), width=line)


def _draw_labels(
    pen: ImageDraw.ImageDraw, objects: Objects, places: list[Box | None], size: tuple[int, int], fine: int
) -> None:
    """Labels inside the picture that hide no other label and no object; in a crowd, who finds no place goes without."""
    side = max(size) // fine
    height = max(11, round(side * 0.03)) * fine
    letters, taken, gap = font(height), list[Box](), height // 4
    known = [place for place in places if place is not None]
    texts, colours, is_crowd = objects.labels(side), objects.colours, objects.is_crowd(side)
    for index in objects.order:
        box, text = places[index], cut(texts[index], size[0] * _WIDEST, letters)
        if box is None or not text or not _shared(box, (0, 0, *size)):
            continue
        spots = [_inside(spot, size) for spot in _spots(box, letters.getlength(text) + 2 * gap, height * 1.25)]
        free = [spot for spot in spots if not any(_shared(spot, other) for other in taken)]
        clear = [spot for spot in free if not any(_hides(spot, other) for other in known)]
        if not is_crowd:
            clear += free
        if clear:
            taken.append(clear[0])
            pen.rounded_rectangle(clear[0], gap, fill=(*colours[index], 240))
            middle = (clear[0][1] + clear[0][3]) / 2
            pen.text((clear[0][0] + gap, middle), text, font=letters, fill=_INK, anchor="lm")


def _spots(box: Box, wide: float, high: float) -> Iterator[Box]:
    """Places for a label: above its box, below it, in its upper corner, beside it."""
    left, top, right, bottom = box
    for y in (top - high, bottom, top):
        for x in (left, right - wide):
            yield x, y, x + wide, y + high
    for x in (right, left - wide):
        yield x, top, x + wide, top + high


def _inside(spot: Box, size: tuple[int, int]) -> Box:
    """Moved so that it does not stick out of the picture."""
    left, top, right, bottom = spot
    x, y = min(max(left, 0), size[0] - (right - left)), min(max(top, 0), size[1] - (bottom - top))
    return x, y, x + right - left, y + bottom - top


def _shared(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    wide, high = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0) * max(high, 0)


def _hides(label: Box, box: Box) -> bool:
    """Whether too much of an object is below a label."""
    area = (box[2] - box[0]) * (box[3] - box[1])
    return _shared(label, box) > _HIDDEN * area
