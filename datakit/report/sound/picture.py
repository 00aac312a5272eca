"""A plot of sound as a picture, for contact sheets and TensorBoard; the page has it as SVG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from datakit.report.lettering import font
from datakit.report.palette import ACCENT, GRID, PALE, SOFT
from datakit.report.sound.colours import BAR, coloured
from datakit.report.sound.plot import LEFT, WIDTH, Lane, Plot, Point

_TEXT = 11  # pixels of the plot's canvas
_SMOOTH = 2
_VEIL = (238, 240, 240, 255)


def picture_of(plot: Plot, scale: float = 2.0) -> Image.Image:
    """The plot on white.

    Args:
        plot: a waveform or a spectrogram.
        scale: pixels of the picture for each of the plot's canvas.
    """
    return _Pen(plot, scale).picture()


class _Pen:
    """Draws in pixels of the canvas on a larger picture."""

    def __init__(self, plot: Plot, scale: float) -> None:
        self.plot, self.scale = plot, scale * _SMOOTH
        size = (round(WIDTH * self.scale), round(plot.height * self.scale))
        self.image = Image.new("RGB", size, "white")
        self.pen = ImageDraw.Draw(self.image, "RGBA")
        self.letters = font(round(_TEXT * self.scale))

    def picture(self) -> Image.Image:
        """All of it."""
        for lane in self.plot.lanes:
            self._lane(lane)
        if self.plot.padded_from is not None:
            self._padding(self.plot.padded_from)
        self._across()
        self._title()
        if self.plot.bar:
            self._bar()
        size = (self.image.width // _SMOOTH, self.image.height // _SMOOTH)
        return self.image.resize(size, Image.Resampling.BOX)

    def _at(self, *points: Point) -> list[Point]:
        return [(x * self.scale, y * self.scale) for x, y in points]

    def _line(self, *points: Point, colour: str = PALE, width: float = 1.0) -> None:
        self.pen.line(self._at(*points), fill=colour, width=max(1, round(width * self.scale)))

    def _say(self, text: str, x: float, y: float, anchor: str) -> None:
        self.pen.text((x * self.scale, y * self.scale), text, fill=SOFT, font=self.letters, anchor=anchor)

    def _paste(self, raster: np.ndarray, box: Sequence[float]) -> None:
        left, top, right, bottom = (round(edge * self.scale) for edge in box)
        small = coloured(raster).convert("RGB")
        grows = small.width < right - left and small.height < bottom - top
        method = Image.Resampling.NEAREST if grows else Image.Resampling.BOX
        self.image.paste(small.resize((right - left, bottom - top), method), (left, top))

    def _lane(self, lane: Lane) -> None:
        right, bottom = self.plot.right, lane.top + lane.height
        if lane.raster is not None:
            self._paste(lane.raster, (LEFT, lane.top, right, bottom))
        for tick in lane.up:
            if lane.raster is None:
                self._line((LEFT, tick.at), (right, tick.at), colour=GRID)
            self._say(tick.text, LEFT - 6, tick.at, "rm")
        if lane.outline:
            fill = (*ImageColor.getrgb(ACCENT), 255)
            if lane.is_closed:
                self.pen.polygon(self._at(*lane.outline), fill=fill)
            self._line(*lane.outline, colour=ACCENT)
        self._line((LEFT, lane.top), (LEFT, bottom), (right, bottom))

    def _padding(self, start: float) -> None:
        corners = self._at((start, self.plot.lanes[0].top), (self.plot.right, self.plot.bottom))
        self.pen.rectangle([*corners[0], *corners[1]], fill=_VEIL)

    def _across(self) -> None:
        bottom = self.plot.bottom
        for tick in self.plot.across:
            self._line((tick.at, bottom), (tick.at, bottom + 4))
            self._say(tick.text, tick.at, bottom + 11, "mm")
        self._say(self.plot.across_name, (LEFT + self.plot.right) / 2, bottom + 26, "mm")

    def _title(self) -> None:
        """The name of the vertical axes, turned."""
        text, top = self.plot.up_name, self.plot.lanes[0].top
        width, height = round(self.letters.getlength(text)) + 4, round(1.5 * _TEXT * self.scale)
        label = Image.new("RGB", (width, height), "white")
        ImageDraw.Draw(label).text((width / 2, height / 2), text, fill=SOFT, font=self.letters, anchor="mm")
        turned = label.rotate(90, expand=True)
        middle = (top + self.plot.bottom) / 2 * self.scale
        self.image.paste(turned, (0, max(0, round(middle - turned.height / 2))))

    def _bar(self) -> None:
        top, right = self.plot.lanes[0].top, self.plot.right
        self._paste(BAR, (right + 8, top, right + 16, self.plot.bottom))
        for tick in self.plot.bar:
            self._line((right + 16, tick.at), (right + 19, tick.at))
            self._say(tick.text, right + 22, tick.at, "lm")
        self._say(self.plot.bar_name, right + 8, self.plot.bottom + 26, "lm")
