"""The plot of a waveform, or of its codes."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from datakit.inspection.sound import Sound
from datakit.phrasing import number
from datakit.report.axes import Tick, inner_ticks
from datakit.report.sound.plot import LEFT, TICK, WIDTH, Lane, Plot, Point, padded_from, places, unshown

_RIGHT = WIDTH - 10
_LIMITS = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 1e-3, 1e-4)  # of the vertical axis


def wave_plot(sound: Sound, highest: float = 0.0) -> Plot:
    """Amplitude over time; of many steps the least and the greatest of each pixel.

    Args:
        sound: a waveform or its codes; of more than four channels the first four are drawn.
        highest: amplitude for which the axis has room too, so that plots can be compared.
    """
    peak = peak_of(sound)
    limit = _limit(max(peak, highest))
    low, high = (0.0, max(peak, 1.0)) if sound.key == "codes" else (-limit, limit)
    rows = zip(places(len(sound.values)), sound.values, strict=False)
    lanes = tuple(_lane(top, height, values, low, high, len(sound.values) == 1) for (top, height), values in rows)
    details = _facts(sound, peak)
    kind, name = ("Codes of a waveform", "code of mu-law") if sound.key == "codes" else ("Waveform", "amplitude")
    unit = "time, s" if sound.rate else "step"
    words = f"{kind}, {', '.join(details)}"
    return Plot(_RIGHT, lanes, _ticks(sound), unit, name, padded_from(sound, _RIGHT), " · ".join(details), words)


def peak_of(sound: Sound) -> float:
    """The greatest magnitude among the finite values that are no padding."""
    heard = sound.values[:, : sound.valid]
    finite = heard[np.isfinite(heard)].astype(np.float64)
    return float(np.abs(finite).max()) if finite.size else 0.0


def _lane(top: float, height: float, values: np.ndarray, low: float, high: float, is_alone: bool) -> Lane:
    scale = height / (high - low)
    heights = np.nan_to_num(values.astype(np.float64), nan=0.0).clip(low, high)
    outline, is_closed = _outline(top + (high - heights) * scale)
    ats = (
        inner_ticks(low, high, height / TICK)
        if is_alone
        else [low + share * (high - low) for share in (0.25, 0.5, 0.75)]
    )
    up = tuple(Tick(top + (high - at) * scale, number(at)) for at in ats)
    return Lane(top, height, up, outline, is_closed)


def _ticks(sound: Sound) -> tuple[Tick, ...]:
    end = sound.values.shape[1] / (sound.rate or 1)
    return tuple(Tick(LEFT + at / end * (_RIGHT - LEFT), number(at)) for at in inner_ticks(0, end, 5))


def _limit(peak: float) -> float:
    """A round number that is not below the peak."""
    if peak > 1:
        power = 10.0 ** math.floor(math.log10(peak))
        return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= peak * 0.9999)
    return next((limit for limit, below in pairwise(_LIMITS) if peak > below), _LIMITS[-1])


def _outline(ys: np.ndarray) -> tuple[tuple[Point, ...], bool]:
    """The line through all steps, or around the least and greatest of each pixel where there are more steps."""
    steps, pixels = len(ys), int(_RIGHT - LEFT)
    if steps <= 2 * pixels:
        xs = LEFT + (np.arange(steps) + 0.5) / steps * (_RIGHT - LEFT)
        return tuple(zip(xs.tolist(), ys.tolist(), strict=True)), False
    starts = np.linspace(0, steps, pixels, endpoint=False).astype(np.int64)
    upper, lower = np.minimum.reduceat(ys, starts), np.maximum.reduceat(ys, starts)
    xs = (LEFT + (np.arange(pixels) + 0.5) / pixels * (_RIGHT - LEFT)).tolist()
    there, back = zip(xs, upper.tolist(), strict=True), zip(xs, lower.tolist(), strict=True)
    return (*there, *reversed(list(back))), True


def _facts(sound: Sound, peak: float) -> list[str]:
    channels, steps = sound.values.shape
    facts = [_time(sound, steps)]
    if sound.rate:
        facts.append(f"{sound.rate:,} Hz")
    if channels > 1:
        facts.append(f"{channels} channels")
    if sound.key == "waveform":
        facts.append(f"peak {peak:.3g}")
    if sound.valid < steps:
        facts.append(f"padding from {_time(sound, sound.valid)} on")
    return facts + unshown(sound)


def _time(sound: Sound, steps: int) -> str:
    return f"{number(round(steps / sound.rate, 3))} s" if sound.rate else f"{steps:,} steps"
