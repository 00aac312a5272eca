"""A sample's sound drawn: as SVG on the page, as a picture in a contact sheet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from PIL import Image

from datakit.inspection.sound import Sound, sounds_in
from datakit.inspection.spectrum import Spectrum
from datakit.report.sound.colours import bar_uri, data_uri
from datakit.report.sound.heat import heat_plot
from datakit.report.sound.picture import picture_of
from datakit.report.sound.plot import LEFT, TOP, WIDTH, Lane, Plot
from datakit.report.sound.wave import peak_of, wave_plot
from datakit.report.templating import environment


@dataclass(frozen=True)
class SoundDrawing:
    """A waveform or a spectrogram, drawn.

    Attributes:
        sound: what it is of.
        plot: its geometry.
        side: pixels of the picture's width.
    """

    sound: Sound
    plot: Plot
    side: int = 448

    @property
    def image(self) -> Image.Image:
        """RGB."""
        return picture_of(self.plot, self.side / WIDTH)

    def svg(self, where: str) -> Markup:
        """An `svg` element.

        Args:
            where: the sample and the stage, for those who do not see it.
        """
        macro: Any = environment().get_template("sound.html").module
        return Markup(macro.plot_of(_for_template(self.plot, f"{where}: {self.plot.words}")))


def draw_sound(sound: Sound, spectrum: Spectrum, side: int = 448, highest: float = 0.0) -> SoundDrawing:
    """The sound with axes.

    Args:
        sound: of a sample.
        spectrum: what its axes mean, where it is a spectrogram.
        side: pixels of the picture's width.
        highest: amplitude for which the axis of a waveform has room too.
    """
    plot = wave_plot(sound, highest) if sound.is_wave else heat_plot(sound, spectrum)
    return SoundDrawing(sound, plot, side)


def loudest(samples: Iterable[Any]) -> float:
    """The greatest amplitude among the waveforms of samples; 0 without any."""
    sounds = (sound for sample in samples for sound in sounds_in(sample))
    return max((peak_of(sound) for sound in sounds if sound.key == "waveform"), default=0.0)


def _for_template(plot: Plot, alt: str) -> dict[str, Any]:
    lanes = [{**vars(lane), "path": _path(lane), "src": _src(lane)} for lane in plot.lanes]
    bar = bar_uri() if plot.bar else ""
    canvas = {"width": WIDTH, "height": plot.height, "left": LEFT, "top": TOP, "bottom": plot.bottom}
    return {**vars(plot), **canvas, "lanes": lanes, "bar_src": bar, "alt": alt}


def _src(lane: Lane) -> str:
    return "" if lane.raster is None else data_uri(lane.raster)


def _path(lane: Lane) -> str:
    points = "L".join(f"{x:.1f} {y:.1f}" for x, y in lane.outline)
    return f"M{points}{'Z' if lane.is_closed else ''}" if points else ""
