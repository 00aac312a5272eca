"""The picture of what `bench` measured."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from datakit.bench import Measurement
from datakit.report.output import number

FORMATS = ("pdf", "png", "svg")
"""Endings of the files that a plot can be written to."""

_LINE = 100  # characters
_INK, _SOFT, _GRID, _ACCENT = "#1d2327", "#5d6870", "#e3e5e4", "#0b6e69"


def draw_bench(measurements: Sequence[Measurement], path: str | Path, *, title: str, subtitle: str = "") -> bytes:
    """Samples/s over the number of workers, with the range of the repeats as error bars.

    Args:
        measurements: at least one.
        path: only its ending is looked at, one of `FORMATS`.
        title: what was measured.
        subtitle: how, in smaller type; may have several lines.

    Returns:
        The contents of the file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(7.2, 4.5), dpi=160, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw_points(axes, sorted(measurements, key=lambda measured: measured.workers))
    _style(axes, [measured.workers for measured in measurements])
    lines = [part for line in subtitle.splitlines() for part in wrap(line, _LINE)]
    axes.set_title(title, loc="left", fontsize=14, fontweight="bold", color=_INK, pad=14 + 13 * len(lines))
    axes.text(
        0, 1.025, "\n".join(lines), transform=axes.transAxes, fontsize=9, color=_SOFT, va="bottom", linespacing=1.35
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format=Path(path).suffix.lstrip(".").lower())
    return buffer.getvalue()


def _draw_points(axes: Any, measurements: Sequence[Measurement]) -> None:
    places = range(len(measurements))
    rates = [measured.samples_per_second for measured in measurements]
    below = [measured.samples_per_second - measured.slowest for measured in measurements]
    above = [measured.fastest - measured.samples_per_second for measured in measurements]
    axes.plot(places, rates, color=_ACCENT, linewidth=1.2, alpha=0.35, zorder=2)
    axes.errorbar(
        places, rates, yerr=[below, above], fmt="o", color=_ACCENT, markersize=7, capsize=5, linewidth=1.6, zorder=3
    )
    for place, measured in enumerate(measurements):
        text, top = number(round(measured.samples_per_second)), (place, measured.fastest)
        axes.annotate(text, top, (0, 7), textcoords="offset points", ha="center", color=_INK)
    axes.set_ylim(0, max(measured.fastest for measured in measurements) * 1.15)


def _style(axes: Any, workers: Sequence[int]) -> None:
    axes.set_xticks(range(len(workers)), [str(count) for count in sorted(workers)])
    axes.set_xlim(-0.4, len(workers) - 0.4)
    axes.set_xlabel("worker processes", color=_SOFT)
    axes.set_ylabel("samples / s", color=_SOFT)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=_SOFT)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_GRID)
