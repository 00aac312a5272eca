"""A sample as a picture: its image with landmarks, boxes and masks drawn over it, and that as a data URI."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from datakit.inspection.picture import image_in, shown
from datakit.transforms import Normalize

Colour: TypeAlias = tuple[int, int, int]

_RAMP = np.array([(34, 211, 238), (253, 224, 71), (244, 114, 182)], np.float64)  # first landmark … last one
_OBJECTS: tuple[Colour, ...] = (
    *((255, 112, 67), (77, 208, 225), (255, 213, 79), (174, 213, 129)),
    *((186, 104, 200), (79, 134, 247), (240, 98, 146), (128, 203, 164)),
)
_SMOOTH = 2  # the overlay is drawn this much larger and scaled down, for smooth edges
_SHARP = 3  # an image this much smaller than its drawing is enlarged pixel by pixel
_MOST = 2.0  # other images are enlarged by at most this, so that what is drawn on them is sharp
_TINT = 0.45


@dataclass(frozen=True)
class Drawing:
    """A sample drawn.

    Attributes:
        image: RGB.
        size: (height, width) of the sample's image, pixels; the drawing may be larger or smaller.
        note: what was done to the values to show them.
        pixelated: whether it was enlarged pixel by pixel.
    """

    image: Image.Image
    size: tuple[int, int]
    note: str = ""
    pixelated: bool = False

    def data_uri(self) -> str:
        """The picture for an `img` element: JPEG, or PNG where single pixels matter."""
        buffer = io.BytesIO()
        if self.pixelated:
            self.image.save(buffer, "PNG", optimize=True)
        else:
            self.image.save(buffer, "JPEG", quality=86, subsampling=0, optimize=True)
        kind = "png" if self.pixelated else "jpeg"
        return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def draw(
    sample: Any, *, classes: Sequence[str] = (), normalize: Normalize | None = None, side: int = 448
) -> Drawing | None:
    """The image of a sample with everything drawn on it that has a place in it; None for a sample without an image.

    Args:
        sample: before or after the transforms.
        classes: names of the labels, drawn beside the boxes.
        normalize: what was applied to the image, to be undone.
        side: pixels of the longer side of the drawing, at most. Smaller images are enlarged.
    """
    image = image_in(sample)
    if image is None:
        return None
    picture = shown(image, normalize)
    keys = sample if isinstance(sample, dict) else {}
    height, width = picture.pixels.shape[:2]
    room = side / max(height, width)
    pixelated = room >= _SHARP
    scale = int(room) if pixelated else min(_MOST, room)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    tinted = _tint(picture.pixels, _values(keys.get("masks"), 3), _colours(keys))
    method = Image.Resampling.NEAREST if pixelated else Image.Resampling.LANCZOS
    canvas = Image.fromarray(tinted).resize(size, method)
    _overlay(canvas, keys, classes, np.array([size[0] / width, size[1] / height]))
    return Drawing(canvas, (height, width), picture.note, pixelated)


def _values(value: Any, ndim: int) -> np.ndarray | None:
    """An array or tensor with `ndim` axes and something in it, as an array."""
    if value is None or getattr(value, "ndim", None) != ndim or not len(value):
        return None
    return np.asarray(value)


def _colours(keys: dict[str, Any]) -> list[Colour]:
    """One for each object, by its class where there are several classes."""
    labels = _values(keys.get("labels"), 1)
    count = max((len(keys[key]) for key in ("boxes", "masks") if key in keys), default=0)
    if labels is None or len(labels) != count or len(np.unique(labels)) == 1:
        labels = np.arange(count)
    return [_OBJECTS[int(label) % len(_OBJECTS)] for label in labels]


def _tint(pixels: np.ndarray, masks: np.ndarray | None, colours: list[Colour]) -> np.ndarray:
    if masks is None or masks.shape[1:] != pixels.shape[:2]:
        return pixels
    tinted = pixels.astype(np.float32)
    for mask, colour in zip(masks, colours, strict=True):
        inside = mask > 0
        tinted[inside] = tinted[inside] * (1 - _TINT) + np.array(colour, np.float32) * _TINT
    return tinted.round().astype(np.uint8)


def _overlay(canvas: Image.Image, keys: dict[str, Any], classes: Sequence[str], scale: np.ndarray) -> None:
    boxes, points = _values(keys.get("boxes"), 2), _values(keys.get("landmarks"), 2)
    if boxes is None and points is None:
        return
    layer = Image.new("RGBA", (canvas.width * _SMOOTH, canvas.height * _SMOOTH))
    pen = ImageDraw.Draw(layer)
    if boxes is not None:
        names = _names(_values(keys.get("labels"), 1), classes, len(boxes))
        _draw_boxes(pen, boxes.reshape(-1, 2, 2) * scale * _SMOOTH, names, _colours(keys), max(canvas.size))
    if points is not None:
        _draw_points(pen, points[np.isfinite(points).all(1)] * scale * _SMOOTH, max(canvas.size))
    small = layer.resize(canvas.size, Image.Resampling.BOX)
    canvas.paste(small.convert("RGB"), mask=small.getchannel("A"))


def _names(labels: np.ndarray | None, classes: Sequence[str], count: int) -> list[str]:
    if labels is None or len(labels) != count:
        return [""] * count
    return [str(classes[label]) if 0 <= label < len(classes) else str(label) for label in labels.tolist()]


def _draw_boxes(
    pen: ImageDraw.ImageDraw, corners: np.ndarray, names: list[str], colours: list[Colour], side: int
) -> None:
    line = max(1, round(side * 0.005)) * _SMOOTH
    font = ImageFont.load_default(size=max(11, round(side * 0.032)) * _SMOOTH)
    for corner, name, colour in zip(corners, names, colours, strict=True):
        (left, top), (right, bottom) = np.sort(corner, axis=0).tolist()
        pen.rectangle((left, top, right, bottom), outline=(*colour, 255), width=line)
        if name:
            x0, y0, x1, y1 = pen.textbbox((left, top), name, font=font)
            pen.rectangle((x0, top, x1 + 4 * line, y1 + (y0 - top)), fill=(*colour, 235))
            pen.text((left + 2 * line, top), name, font=font, fill=(20, 20, 20, 255))


def _draw_points(pen: ImageDraw.ImageDraw, points: np.ndarray, side: int) -> None:
    if not len(points):
        return
    radius, ring = _radius(points, side * _SMOOTH), 0.9 * _SMOOTH
    places = np.linspace(0, len(_RAMP) - 1, len(points))
    colours = np.stack([np.interp(places, range(len(_RAMP)), channel) for channel in _RAMP.T], 1).astype(int)
    for reach, opacity in ((radius + ring, 150), (radius, 255)):
        for (x, y), colour in zip(points.tolist(), colours.tolist(), strict=True):
            fill = (*colour, opacity) if reach == radius else (0, 0, 0, opacity)
            pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=fill)


def _radius(points: np.ndarray, side: int) -> float:
    """Dots as large as the picture asks for, but apart from each other."""
    wanted, least = side * 0.011, 1.1 * _SMOOTH
    if not 1 < len(points) <= 1000:
        return max(wanted, least)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return float(max(least, min(wanted, 0.36 * np.median(distances.min(1)))))
