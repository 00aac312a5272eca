"""A sample as a picture: its image with landmarks, boxes and masks drawn over it, and that as a data URI."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from datakit.inspection.picture import image_in, shown
from datakit.report.object_drawing import draw_objects
from datakit.report.objects import array_of, objects_of
from datakit.transforms import Normalize

_RAMP = np.array([(34, 211, 238), (253, 224, 71), (244, 114, 182)], np.float64)  # first landmark … last one
_SMOOTH = 2  # the overlay is drawn this much larger and scaled down, for smooth edges
_SHARP = 3  # an image this much smaller than its drawing is enlarged pixel by pixel
_MOST = 2.0  # other images are enlarged by at most this, so that what is drawn on them is sharp


@dataclass(frozen=True)
class Drawing:
    """A sample drawn.

    Attributes:
        image: RGB.
        size: (height, width) of the sample's image, pixels; the drawing may be larger or smaller.
        note: what was done to the values to show them.
        pixelated: whether it was enlarged pixel by pixel.
        quality: of its JPEG, from 1 to 95; below 80 its colours are stored half as fine as its brightness.
    """

    image: Image.Image
    size: tuple[int, int]
    note: str = ""
    pixelated: bool = False
    quality: int = 86

    def data_uri(self) -> str:
        """The picture for an `img` element: JPEG, or PNG where single pixels matter."""
        buffer = io.BytesIO()
        if self.pixelated:
            self.image.save(buffer, "PNG", optimize=True)
        else:
            fine = 0 if self.quality >= 80 else 2
            self.image.save(buffer, "JPEG", quality=self.quality, subsampling=fine, optimize=True)
        kind = "png" if self.pixelated else "jpeg"
        return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def draw(
    sample: Any, *, classes: Sequence[str] = (), normalize: Normalize | None = None, side: int = 448
) -> Drawing | None:
    """The image of a sample with everything drawn on it that has a place in it; None for a sample without an image.

    Args:
        sample: before or after the transforms.
        classes: names of the labels, drawn beside the objects.
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
    method = Image.Resampling.NEAREST if pixelated else Image.Resampling.LANCZOS
    canvas = Image.fromarray(picture.pixels).resize(size, method)
    _overlay(canvas, keys, classes, (height, width), pixelated)
    return Drawing(canvas, (height, width), picture.note, pixelated)


def _overlay(
    canvas: Image.Image, keys: dict[str, Any], classes: Sequence[str], size: tuple[int, int], sharp: bool
) -> None:
    objects, points = objects_of(keys, classes), _points(keys)
    if not objects.count and not points:
        return
    layer = Image.new("RGBA", (canvas.width * _SMOOTH, canvas.height * _SMOOTH))
    if objects.count:
        draw_objects(layer, objects, size, fine=_SMOOTH, sharp=sharp)
    scale = np.array([layer.width / size[1], layer.height / size[0]])
    for these in points:
        _draw_points(ImageDraw.Draw(layer), these[np.isfinite(these).all(1)] * scale, max(canvas.size))
    small = layer.resize(canvas.size, Image.Resampling.BOX)
    canvas.paste(small.convert("RGB"), mask=small.getchannel("A"))


def _points(keys: dict[str, Any]) -> list[np.ndarray]:
    """The landmarks, and the labelled key points of each object."""
    landmarks, keypoints = array_of(keys.get("landmarks"), 2), array_of(keys.get("keypoints"), 3)
    found = [] if landmarks is None else [landmarks]
    if keypoints is not None and keypoints.shape[-1] == 3:
        found += [points[points[:, 2] > 0, :2] for points in keypoints]
    return found


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
