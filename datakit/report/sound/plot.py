"""A waveform or a spectrogram as plain geometry with axes, for the page (SVG) and for pictures.

Lengths are pixels of the plot's own canvas, y goes down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from datakit.inspection.sound import Sound
from datakit.report.axes import Tick

WIDTH, LEFT, TOP, BELOW = 360.0, 54.0, 8.0, 34.0
"""Of the canvas, and of what is around the axes."""

LANES = 4
"""Channels that are shown."""

TICK = 24.0
"""From tick to tick of a vertical axis, about."""

_HEIGHT, _SHARED, _GAP = 124.0, 168.0, 10.0  # of one channel; of several together; between them

Point: TypeAlias = tuple[float, float]
"""x, y."""


@dataclass(frozen=True)
class Lane:
    """One channel.

    Attributes:
        top: of its axes.
        height: of its axes.
        up: ticks of the vertical axis.
        outline: of a waveform: a line, or a closed polygon around all its steps.
        is_closed: whether the outline is a polygon.
        raster: of a spectrogram: (H, W), uint8, places in the palette, the highest bin first.
    """

    top: float
    height: float
    up: tuple[Tick, ...]
    outline: tuple[Point, ...] = ()
    is_closed: bool = False
    raster: np.ndarray | None = None


@dataclass(frozen=True)
class Plot:
    """What is drawn.

    Attributes:
        right: where the horizontal axis ends; it begins at `LEFT`.
        lanes: channels, from top to bottom.
        across: ticks of the horizontal axis.
        across_name: what it counts, with its unit.
        up_name: what the vertical axes count, with their unit.
        padded_from: x from which there is padding; None where there is none.
        details: what it shows, in numbers.
        words: the same in a sentence, for those who do not see it.
        bar: ticks of the bar of colours, as y; empty without one.
        bar_name: the unit of the values.
    """

    right: float
    lanes: tuple[Lane, ...]
    across: tuple[Tick, ...]
    across_name: str
    up_name: str
    padded_from: float | None
    details: str
    words: str
    bar: tuple[Tick, ...] = ()
    bar_name: str = ""

    @property
    def bottom(self) -> float:
        """Of the lowest axes."""
        return self.lanes[-1].top + self.lanes[-1].height

    @property
    def height(self) -> float:
        """Of the canvas."""
        return self.bottom + BELOW


def places(channels: int) -> list[Point]:
    """(top, height) of each channel that is shown."""
    count = min(channels, LANES)
    height = _HEIGHT if count == 1 else (_SHARED - (count - 1) * _GAP) / count
    return [(TOP + place * (height + _GAP), height) for place in range(count)]


def padded_from(sound: Sound, right: float) -> float | None:
    """The x from which there is padding; None where there is none."""
    steps = sound.values.shape[-1]
    return None if sound.valid == steps else LEFT + sound.valid / steps * (right - LEFT)


def unshown(sound: Sound) -> list[str]:
    """What to say where not all channels are shown."""
    return [f"the first {LANES} are shown"] if len(sound.values) > LANES else []
