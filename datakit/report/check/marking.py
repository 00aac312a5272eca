"""A sample drawn so that what is wrong with its boxes, masks and points catches the eye."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from datakit.phrasing import number
from datakit.report.check.wrong import Wrong, extent_of
from datakit.report.drawing import Drawing
from datakit.report.lettering import font

RED = (222, 45, 38)
"""Of what is wrong."""

_HALO, _QUIET, _TINT = (255, 255, 255, 225), (255, 255, 255, 130), (255, 225, 0, 105)
_SHADE = (0, 0, 0, 90)
_PAPER, _STRIPE = (236, 238, 238), (214, 218, 219)  # outside of the image
_SMOOTH = 2  # the overlay is drawn this much larger and scaled down, for smooth edges
_MARGIN = 0.6  # of the image's side that is drawn beyond it, at most
_TINY = 7  # pixels: what is smaller gets a ring
_NAMED = 12  # things that get their number


def mark(drawing: Drawing, wrong: Wrong) -> Drawing:
    """The picture with everything that is wrong in red, and its number; what is right is drawn thin and pale.

    Where something lies outside of the image, the picture has a hatched margin to show it, and what lies beyond that
    margin too is shown at its edge.

    Args:
        drawing: the image alone, without its objects.
        wrong: what is to be marked.
    """
    height, width = drawing.size
    scale = np.array([drawing.image.width / width, drawing.image.height / height])
    beyond = _beyond(wrong, np.array([width, height], np.float64)) * np.tile(scale, 2)
    left, top, right, bottom = (int(np.ceil(edge)) for edge in beyond)
    image = _paper((drawing.image.width + left + right, drawing.image.height + top + bottom))
    image.paste(drawing.image, (left, top))
    pen = _Pen(image, np.array([left, top]), scale)
    pen.draw(wrong)
    parts = (f"red: {wrong.in_words}", "hatched: outside of the image" if beyond.any() else "", drawing.note)
    note = " · ".join(part for part in parts if part)
    return Drawing(pen.finished(), drawing.size, note, drawing.pixelated, drawing.quality)


def side_for(wrong: Wrong, size: tuple[int, int], side: int) -> int:
    """How large to draw the image so that it and the margin around it take `side` pixels together.

    Args:
        wrong: what will be marked.
        size: (height, width) of the image, pixels.
        side: of the longer side, pixels.
    """
    inner = np.array(size[::-1], np.float64)
    left, top, right, bottom = _beyond(wrong, inner)
    whole = inner + np.array([left + right, top + bottom])
    return max(1, round(side * float(inner.max() / whole.max())))


def _beyond(wrong: Wrong, size: np.ndarray) -> np.ndarray:
    """How far the bad things reach beyond each edge, (4,), pixels, with a little air; cut where that is far."""
    places = [wrong.points[wrong.bad_points]]
    if wrong.objects.boxes is not None:
        places.append(wrong.objects.boxes[wrong.bad_objects].reshape(-1, 2))
    found = np.concatenate(places)
    found = found[np.isfinite(found).all(1)]
    if not len(found):
        return np.zeros(4)
    reach = np.concatenate([-found.min(0), found.max(0) - size])
    least = np.where(reach > 1e-2, 0.06 * size.max(), 0.0)
    return np.asarray(np.clip(reach, 0, _MARGIN * size.max()) + least)


def _paper(size: tuple[int, int]) -> Image.Image:
    """Pale stripes from corner to corner."""
    across, down = np.arange(size[0]), np.arange(size[1])[:, None]
    stripes = ((across + down) // 4 % 3 == 0)[..., None]
    return Image.fromarray(np.where(stripes, _STRIPE, _PAPER).astype(np.uint8))


class _Pen:
    """Draws in pixels of the sample's image, on a layer that is finer than the picture."""

    def __init__(self, image: Image.Image, origin: np.ndarray, scale: np.ndarray) -> None:
        self.image = image
        self.origin, self.scale = origin * _SMOOTH, scale * _SMOOTH
        self.layer = Image.new("RGBA", (image.width * _SMOOTH, image.height * _SMOOTH))
        self.pen = ImageDraw.Draw(self.layer)
        self.line = max(1, round(max(image.size) * 0.007)) * _SMOOTH
        self.taken = list[tuple[float, float, float, float]]()
        self.letters = font(max(11, round(max(image.size) * 0.038)) * _SMOOTH)

    def finished(self) -> Image.Image:
        """The picture with the layer over it."""
        small = self.layer.resize(self.image.size, Image.Resampling.BOX)
        whole = self.image.convert("RGBA")
        whole.alpha_composite(small)
        return whole.convert("RGB")

    def draw(self, wrong: Wrong) -> None:
        """What is right first, so that it hides nothing."""
        boxes, masks = wrong.objects.boxes, wrong.objects.masks
        for place in np.flatnonzero(~wrong.bad_objects):
            if boxes is not None and np.isfinite(boxes[place]).all():
                self._quiet_box(boxes[place])
        for at in wrong.points[~wrong.bad_points & np.isfinite(wrong.points).all(1)]:
            self._dot(self._at(at), self.line * 0.9, _QUIET)
        bad = np.flatnonzero(wrong.bad_objects)
        for place in bad:
            if masks is not None and masks[place].any():
                self._mask(masks[place])
        for place in bad:
            if boxes is not None and np.isfinite(boxes[place]).all():
                self._bad_box(boxes[place], str(place) if len(bad) <= _NAMED else "")
        bad = np.flatnonzero(wrong.bad_points & np.isfinite(wrong.points).all(1))
        for place in bad:
            self._bad_point(wrong.points[place], str(place) if len(bad) <= _NAMED else "")

    def _at(self, point: np.ndarray) -> np.ndarray:
        """In pixels of the layer."""
        return np.asarray(point * self.scale + self.origin, np.float64)

    def _inside(self, at: np.ndarray, air: float) -> np.ndarray:
        return np.asarray(np.clip(at, air, np.array(self.layer.size) - 1 - air))

    def _quiet_box(self, box: np.ndarray) -> None:
        corners = self._rectangle(box)
        self.pen.rectangle(corners, outline=_SHADE, width=_SMOOTH * 2)
        self.pen.rectangle(corners, outline=_QUIET, width=_SMOOTH)

    def _rectangle(self, box: np.ndarray) -> tuple[float, float, float, float]:
        """In pixels of the layer, ordered, and not so far outside that Pillow would have to draw for ever."""
        corners = self._inside(self._at(box.reshape(2, 2)), -2.0 * self.line)
        (left, top), (right, bottom) = np.sort(corners, axis=0).tolist()
        return left, top, right, bottom

    def _mask(self, mask: np.ndarray) -> None:
        """Tinted, pixel by pixel."""
        left, top, right, bottom = extent_of(mask)
        part = mask[int(top) : int(bottom), int(left) : int(right)]
        start, end = self._at(np.array([left, top])).round(), self._at(np.array([right, bottom])).round()
        size = (max(1, int(end[0] - start[0])), max(1, int(end[1] - start[1])))
        alpha = Image.fromarray(part.astype(np.uint8) * _TINT[3]).resize(size, Image.Resampling.NEAREST)
        tint = Image.new("RGBA", size, (*_TINT[:3], 0))
        tint.putalpha(alpha)
        self.layer.alpha_composite(tint, (int(start[0]), int(start[1])))

    def _bad_box(self, box: np.ndarray, name: str) -> None:
        left, top, right, bottom = self._rectangle(box)
        line, halo = self.line, _SMOOTH
        if min(right - left, bottom - top) < _TINY * _SMOOTH:
            self._ring(self._inside(np.array([left + right, top + bottom]) / 2, 3.0 * line), 3.0 * line)
        self.pen.rectangle((left - halo, top - halo, right + halo, bottom + halo), outline=_HALO, width=line + 2 * halo)
        self.pen.rectangle((left, top, right, bottom), outline=(*RED, 255), width=line)
        self._label((left, top, right, bottom), name, box if self._is_far(box.reshape(2, 2)) else None)

    def _bad_point(self, point: np.ndarray, name: str) -> None:
        at, reach = self._inside(self._at(point), 2.0 * self.line), 1.6 * self.line
        self._dot(at, reach + _SMOOTH, _HALO)
        self._dot(at, reach, (*RED, 255))
        around = (at[0] - reach, at[1] - reach, at[0] + reach, at[1] + reach)
        self._label(around, name, point if self._is_far(point[None]) else None)

    def _is_far(self, places: np.ndarray) -> bool:
        """Whether nothing of it lies on the picture."""
        at = self._at(places)
        return bool(((at.max(0) < 0) | (at.min(0) > np.array(self.layer.size))).any())

    def _ring(self, at: np.ndarray, reach: float) -> None:
        for width, colour in ((self.line + 2 * _SMOOTH, _HALO), (self.line, (*RED, 255))):
            box = (at[0] - reach, at[1] - reach, at[0] + reach, at[1] + reach)
            self.pen.ellipse(box, outline=colour, width=width)

    def _dot(self, at: np.ndarray, reach: float, colour: tuple[int, ...]) -> None:
        self.pen.ellipse((at[0] - reach, at[1] - reach, at[0] + reach, at[1] + reach), fill=colour)

    def _label(self, box: tuple[float, float, float, float], name: str, far: np.ndarray | None) -> None:
        """The number beside what it belongs to, and where that is, if it is too far away to be drawn.

        Where there is a label already, none is drawn.
        """
        text = name if far is None else f"{name} at {', '.join(number(float(value)) for value in far)}".strip()
        if not text:
            return
        wide, high = self.letters.getlength(text) + 5 * _SMOOTH, self.letters.size * 1.25
        x, y = box[0], box[1] - high if box[1] >= high else box[3]
        x, y = min(max(x, 0), self.layer.width - wide), min(max(y, 0), self.layer.height - high)
        if any(
            x < right and left < x + wide and y < bottom and top < y + high for left, top, right, bottom in self.taken
        ):
            return
        self.taken.append((x, y, x + wide, y + high))
        self.pen.rounded_rectangle((x, y, x + wide, y + high), 2 * _SMOOTH, fill=(*RED, 235))
        self.pen.text((x + wide / 2, y + high / 2), text, font=self.letters, fill=(255, 255, 255, 255), anchor="mm")
