"""A picture on the page with its caption, and what may be listened to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from datakit.report.drawing import Drawing
from datakit.report.objects import objects_of
from datakit.report.sound.clip import Clip, clip_of
from datakit.report.sound.drawing import SoundDrawing


@dataclass(frozen=True)
class Figure:
    """A picture with its caption.

    Attributes:
        name: what stands first in the caption.
        details: what follows.
        alt: both in words, and where it belongs.
        src: of an image, as a data URI; empty for a plot.
        width: of the image, pixels.
        height: of the image, pixels.
        pixelated: whether single pixels of the image are to be seen.
        svg: a plot; None for an image.
        clip: what can be listened to.
    """

    name: str
    details: str
    alt: str
    src: str = ""
    width: int = 0
    height: int = 0
    pixelated: bool = False
    svg: Markup | None = None
    clip: Clip | None = None


def image_figure(drawing: Drawing, sample: Any, name: str, where: str, classes: Sequence[str]) -> Figure:
    """An image with what is drawn on it.

    Args:
        drawing: the image.
        sample: whose it is.
        name: what stands first in the caption.
        where: which sample it is, after which stage.
        classes: names of the labels.
    """
    height, width = drawing.size
    points = sample.get("landmarks") if isinstance(sample, dict) else None
    objects = objects_of(sample, classes).in_words()
    drawn = [*([] if points is None else [f"{len(points)} landmarks"]), *([objects] if objects else [])]
    details = " · ".join(part for part in (f"{width} × {height}", objects, drawing.note) if part)
    alt = f"{where}, {width} by {height} pixels" + (f", with {', '.join(drawn)}" if drawn else "")
    size = drawing.image.size
    return Figure(name, details, alt, drawing.data_uri(), *size, pixelated=drawing.pixelated)


def sound_figure(drawing: SoundDrawing, name: str, where: str, steps: int) -> Figure:
    """A waveform or a spectrogram, with a clip of a waveform.

    Args:
        drawing: the plot.
        name: what stands first in the caption.
        where: which sample it is, after which stage.
        steps: of a clip, at most, times its channels.
    """
    clip = clip_of(drawing.sound, steps) if steps else None
    return Figure(name, drawing.plot.details, f"{where}: {drawing.plot.words}", svg=drawing.svg(where), clip=clip)
