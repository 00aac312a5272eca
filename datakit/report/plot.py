"""The picture of what `bench` measured: speed over workers, and where the time goes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from datakit.bench import Configuration, Measurement, Profile, Run
from datakit.phrasing import number, shorten
from datakit.report.palette import ACCENT, COLOURS, GRID, INK, PALE, SOFT

FORMATS = ("pdf", "png", "svg")
"""Endings of the files that a plot can be written to."""

_LINE = 130  # characters
_NEAR = 0.07  # of the width of the axis: labels nearer than this would touch
_LONGEST = 30  # characters of a stage


def draw_bench(run: Run, path: str | Path, *, title: str, subtitle: str = "") -> bytes:
    """Samples/s over the number of workers with the range of the passes and the ideal line; stages as bars beside it.

    The ideal line is the rate of one worker times the workers, and flat beyond the usable cores.

    Args:
        run: with at least one measurement.
        path: only its ending is looked at, one of `FORMATS`.
        title: what was measured.
        subtitle: how, in smaller type; may have several lines.

    Returns:
        The contents of the file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    profile = run.profile if run.profile is not None and run.profile.stages else None
    lines = [part for line in subtitle.splitlines() for part in wrap(line, _LINE if profile else _LINE * 2 // 3)]
    size = (11.4 if profile else 7.2, 4.6 + 0.17 * len(lines))
    figure: Any = Figure(figsize=size, dpi=160, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)
    places = figure.subplots(1, 2 if profile else 1, squeeze=False, width_ratios=(5, 4) if profile else None)[0]
    _draw_speed(places[0], run.measurements, run.machine.cores)
    if profile is not None:
        _draw_stages(places[1], profile)
    _write_title(figure, title, lines)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=Path(path).suffix.lstrip(".").lower())
    return buffer.getvalue()


def _write_title(figure: Any, title: str, lines: Sequence[str]) -> None:
    height = figure.get_figheight()
    figure.text(0.012, 1 - 0.12 / height, title, fontsize=14, fontweight="bold", color=INK, va="top")
    top = 1 - 0.46 / height
    figure.text(0.012, top, "\n".join(lines), fontsize=9, color=SOFT, va="top", linespacing=1.35)
    figure.get_layout_engine().set(rect=(0, 0, 1, top - (0.17 * len(lines) + 0.08) / height))


def _draw_speed(axes: Any, measurements: Sequence[Measurement], cores: int) -> None:
    lines = _lines(measurements)
    beside = 0.012 * max(one.workers for one in measurements)  # so that ranges do not hide each other
    for place, ((label, line), colour) in enumerate(zip(lines, COLOURS * len(lines), strict=False)):
        _draw_line(axes, label, line, colour, shift=beside * (place - (len(lines) - 1) / 2))
        _draw_ideal(axes, line, cores, colour, is_named=len(lines) == 1)
    counts = sorted({one.workers for one in measurements})
    top = max(one.fastest for one in measurements)
    if len(lines) == 1:
        _label_points(axes, lines[0][1], max(counts), top)
    highest = max(float(place) for drawn in axes.get_lines() for place in drawn.get_ydata())
    axes.set_ylim(0, max(top * 1.15, min(highest * 1.04, top * 1.6)))
    _style_speed(axes, counts)
    if len(lines) > 1:
        axes.plot([], [], color=SOFT, linestyle=(0, (4, 3)), linewidth=1.1, label="ideal")
    if axes.get_legend_handles_labels()[0]:
        is_long = any(len(label) > _LONGEST - 5 for label, _ in lines) or len(lines) == 1
        columns = 2 if is_long else 3
        axes.legend(frameon=False, fontsize=9, labelcolor=SOFT, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns)


def _lines(measurements: Sequence[Measurement]) -> list[tuple[str, list[Measurement]]]:
    """A line for each batch size and start method; what has no workers belongs to all start methods."""
    methods = list(dict.fromkeys(one.start_method for one in measurements if one.workers)) or [None]
    found = []
    kinds = dict.fromkeys((one.features, one.batch_size, method) for one in measurements for method in methods)
    for place, size, method in kinds:
        points = [one for one in measurements if (one.features, one.batch_size) == (place, size)]
        points = [one for one in points if one.start_method in (method, None)]
        points = [one for one in points if one.start_method == method or not one.workers]
        is_told = (
            place is None or len({other for _, other, _ in kinds}) > 1
        )  # one batch size needs no name beside features
        batch = f"batch {size}" if size is not None and is_told else ""
        parts = [batch, method, "" if place is None else f"features {place}"]
        label = ", ".join(filter(None, parts))
        found.append((label, sorted(points, key=lambda one: one.workers)))
    return found


def _draw_line(axes: Any, label: str, line: Sequence[Measurement], colour: str, shift: float) -> None:
    places = [one.workers + shift for one in line]
    rates = [one.samples_per_second for one in line]
    spread = [
        [one.samples_per_second - one.slowest for one in line],
        [one.fastest - one.samples_per_second for one in line],
    ]
    axes.plot(places, rates, color=colour, linewidth=1.2, alpha=0.35, zorder=2)
    style = {"markersize": 7, "capsize": 5, "linewidth": 1.6, "zorder": 3}
    axes.errorbar(places, rates, yerr=spread, fmt="o", color=colour, label=label or "measured", **style)


def _draw_ideal(axes: Any, line: Sequence[Measurement], cores: int, colour: str, *, is_named: bool) -> None:
    single = [one.samples_per_second for one in line if one.workers == 1]
    most = max(one.workers for one in line)
    if not single or most < 2:
        return
    places = sorted({0, min(cores, most), most})
    rates = [single[0] * min(place, cores) for place in places]
    name = "ideal: workers × the rate of one" if is_named else None
    shade = SOFT if is_named else colour
    axes.plot(places, rates, color=shade, linestyle=(0, (4, 3)), linewidth=1.1, alpha=0.7, label=name, zorder=1)


def _label_points(axes: Any, line: Sequence[Measurement], most: int, top: float) -> None:
    last = -1.0e9
    for one in line:
        if (one.workers - last) / max(most, 1) < _NEAR:
            continue
        last = float(one.workers)
        text = number(round(one.samples_per_second))
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
        axes.annotate(
            text,
            (one.workers, min(one.fastest, top)),
            (0, 8),
            textcoords="offset points",
            ha="center",
            color=INK,
            bbox=box,
            zorder=4,
        )


def _style_speed(axes: Any, counts: Sequence[int]) -> None:
    most = max(counts)
    shown: list[int] = []
    for count in counts:
        if not shown or (count - shown[-1]) / max(most, 1) >= _NEAR / 2:
            shown.append(count)
    axes.set_xticks(shown, list(map(str, shown)))
    edge = max(most, 1) * 0.09
    axes.set_xlim(min(counts) - edge, most + edge)
    axes.set_xlabel("worker processes", color=SOFT)
    axes.set_ylabel("samples / s", color=SOFT)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    _style(axes, "bottom")


def _draw_stages(axes: Any, profile: Profile) -> None:
    stages = [(shorten(stage.name, _LONGEST), stage.seconds * 1000, ACCENT) for stage in profile.stages]
    if profile.workers:
        stages += [("workers idle", profile.idle * 1000, PALE), ("loop waits", profile.waiting * 1000, PALE)]
    names, values, colours = zip(*stages, strict=True)
    places = range(len(stages))
    axes.barh(places, values, color=colours, height=0.62)
    most = max(values)
    for place, value in zip(places, values, strict=True):
        axes.text(value + most * 0.02, place, f"{value:.2f}", va="center", fontsize=9, color=INK)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set_title("where the time goes", loc="left", fontsize=10, color=SOFT)
    axes.set_xlim(0, most * 1.16)
    named = wrap(f"ms a sample, with {Configuration.__str__(profile)}", _LINE // 3)
    axes.set_xlabel("\n".join(named), color=SOFT)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    _style(axes, "left")
    axes.tick_params(axis="y", labelsize=9, labelcolor=INK)


def _style(axes: Any, kept: str) -> None:
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=SOFT)
    for side, spine in axes.spines.items():
        spine.set_visible(side == kept)
        spine.set_color(GRID)
