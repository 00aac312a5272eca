"""The plot of a spectrogram, or of features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from datakit.inspection.sound import Sound
from datakit.inspection.spectrum import Bins, Spectrum, share_of
from datakit.phrasing import number
from datakit.report.axes import Tick, inner_ticks
from datakit.report.sound.levels import Levels, levels_of
from datakit.report.sound.plot import LEFT, TICK, TOP, WIDTH, Lane, Plot, padded_from, places, unshown

_RIGHT = WIDTH - 56  # the bar of colours is beside it
_HERTZ = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000)  # ticks of mel bands
_RANGE = "\u00a0…\u00a0"  # without a line break
_APART = 13.0  # between the labels of a vertical axis
_PIXELS = (1200, 512)  # of a raster, at most: more are not seen
_NAMES = {"Hz": "frequency, Hz", "mel": "mel band, Hz", "coefficient": "coefficient", "bin": "bin"}
_ROWS = {"Hz": "bins", "mel": "mel bands", "coefficient": "coefficients", "bin": "bins"}


def heat_plot(sound: Sound, spectrum: Spectrum) -> Plot:
    """Bins over time in colours, with the range of the values beside it.

    A frame stands where its window is centred, a mel band where its triangle has its top.

    Args:
        sound: a spectrogram or features; of more than four channels the first four are drawn.
        spectrum: what its axes and values mean.
    """
    levels, bins = levels_of(sound, spectrum), _kind(sound, spectrum)
    rows = zip(places(len(sound.values)), levels.shares, strict=False)
    lanes = tuple(
        Lane(top, height, _up(sound, spectrum, bins, top, height), raster=_raster(shares))
        for (top, height), shares in rows
    )
    across, unit = _across(sound, spectrum)
    details = _facts(sound, bins, levels)
    words = f"{'Features' if sound.key == 'features' else 'Spectrogram'}, {', '.join(details)}"
    bar = _bar(levels, TOP, lanes[-1].top + lanes[-1].height)
    padding = padded_from(sound, _RIGHT)
    return Plot(
        _RIGHT, lanes, across, unit, _NAMES[bins], padding, " · ".join(details), words, bar=bar, bar_name=levels.unit
    )


def _kind(sound: Sound, spectrum: Spectrum) -> Bins:
    """What the rows are called: without a rate nobody knows how many Hz they are."""
    return "bin" if spectrum.bins in ("Hz", "mel") and not sound.rate else spectrum.bins


def _raster(shares: np.ndarray) -> np.ndarray:
    """Places in the palette, the highest bin first, in no more pixels than are seen."""
    raster = np.ascontiguousarray((shares * 255).round().astype(np.uint8)[::-1])
    size = (min(raster.shape[1], _PIXELS[0]), min(raster.shape[0], _PIXELS[1]))
    if size == raster.shape[::-1]:
        return raster
    return np.asarray(Image.fromarray(raster).resize(size, Image.Resampling.BOX))


def _across(sound: Sound, spectrum: Spectrum) -> tuple[tuple[Tick, ...], str]:
    """Ticks and name of the horizontal axis."""
    frames = sound.values.shape[2]
    if spectrum.hop is None or not sound.rate:
        whole = _whole(frames, 5)
        return tuple(Tick(LEFT + (at + 0.5) / frames * (_RIGHT - LEFT), number(at)) for at in whole), "frame"
    step, first = spectrum.hop / sound.rate, spectrum.first / sound.rate
    low, high = first - step / 2, first + (frames - 0.5) * step
    ats = inner_ticks(low, high, 5)
    return tuple(Tick(LEFT + (at - low) / (high - low) * (_RIGHT - LEFT), number(at)) for at in ats), "time, s"


def _up(sound: Sound, spectrum: Spectrum, bins: Bins, top: float, height: float) -> tuple[Tick, ...]:
    """Ticks of the vertical axis of a channel."""
    count = sound.values.shape[1]
    if bins in ("coefficient", "bin") or not sound.rate:
        return tuple(Tick(top + (1 - (at + 0.5) / count) * height, number(at)) for at in _whole(count, height / TICK))
    highest = sound.rate / 2 if spectrum.high is None else spectrum.high
    candidates: Sequence[float] = _HERTZ[::-1] if bins == "mel" else inner_ticks(spectrum.low, highest, height / TICK)
    ticks: list[Tick] = []
    for hertz in candidates:
        share = share_of(hertz, spectrum, highest)
        place = (share * (count + 1) - 0.5) / count if bins == "mel" else (share * (count - 1) + 0.5) / count
        at = top + (1 - place) * height
        if 0 <= place <= 1 and all(abs(at - other.at) >= _APART for other in ticks):
            ticks.append(Tick(at, number(hertz)))
    return tuple(ticks)


def _whole(count: int, most: float) -> list[float]:
    """Round whole numbers below `count`."""
    return [at for at in inner_ticks(0, count - 1, max(most, 2.0)) if at == int(at)] or [0]


def _bar(levels: Levels, top: float, bottom: float) -> tuple[Tick, ...]:
    span = levels.high - levels.low
    if span <= 0:
        return (Tick((top + bottom) / 2, number(levels.low)),)
    ats = inner_ticks(levels.low, levels.high, 4)
    return tuple(Tick(top + (levels.high - at) / span * (bottom - top), number(at)) for at in ats)


def _facts(sound: Sound, bins: Bins, levels: Levels) -> list[str]:
    channels, count, frames = sound.values.shape
    facts = [f"{count} {_ROWS[bins]} × {frames:,} frames"]
    if channels > 1:
        facts.append(f"{channels} channels")
    facts.append(f"{levels.least:.4g}{_RANGE}{levels.high:.4g}\u00a0{levels.unit}".rstrip())
    if levels.note:
        facts.append(levels.note)
    if sound.valid < frames:
        facts.append(f"padding from frame {sound.valid:,} on")
    return facts + unshown(sound)
