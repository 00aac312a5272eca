"""The curve of a run as a picture: losses over steps, figures over epochs, and their bars."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from datakit.reference.base import Reference
from datakit.reference.checks import Check, placeless, shown, titled
from datakit.reference.history import History
from datakit.report.palette import COLOURS, GRID, INK, SOFT

_SMOOTH = 40  # parts of the run that the thick line averages over
_DOTS = 30  # epochs; more of them are a line alone


def draw_curve(reference: Reference, history: History, checks: Sequence[Check]) -> bytes:
    """Losses over steps, pale as they are and thick as running means; figures after each epoch, bars dashed.

    Returns:
        A PNG.
    """
    groups = _groups(history, reference.units)
    figure, places = panels(1 + len(groups))
    _draw_losses(places[0], history)
    for axes, (unit, names) in zip(places[1:], groups.items(), strict=True):
        _draw_figures(axes, history, names, unit, [check for check in checks if check.key in names])
    return finish(figure, reference)


def panels(count: int, *, width: float = 5.4, height: float = 3.9) -> tuple[Any, list[Any]]:
    """A figure of `count` panels side by side, in datakit's style; inches a panel."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(width * count, height), dpi=140, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def finish(figure: Any, reference: Reference) -> bytes:
    """The figure under the name of the reference and its data, as a PNG."""
    title, subtitle = titled(reference.name, reference.bug), placeless(reference.data)
    for axes in figure.axes:
        _style(axes)
    height = figure.get_figheight()
    figure.text(0.012, 1 - 0.12 / height, title, fontsize=13, fontweight="bold", color=INK, va="top")
    figure.text(0.012, 1 - 0.42 / height, subtitle, fontsize=8.5, color=SOFT, va="top")
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - (0.62 if subtitle else 0.42) / height))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _groups(history: History, units: Mapping[str, str]) -> dict[str, list[str]]:
    """The figures of each unit: what may share an axis."""
    groups: dict[str, list[str]] = {}
    for name in history.epochs[-1] if history.epochs else ():
        groups.setdefault(units.get(name, ""), []).append(name)
    return groups


def _draw_losses(axes: Any, history: History) -> None:
    for (name, values), colour in zip(history.losses.items(), COLOURS * 9, strict=False):
        steps = np.arange(1, len(values) + 1)
        axes.plot(steps, values, color=colour, alpha=0.22, linewidth=0.8)
        places, means = _running(np.asarray(values))
        axes.plot(places, means, color=colour, linewidth=1.8, label=name)
    axes.set_xlabel("step", color=SOFT)
    if len(history.losses) == 1:
        axes.set_title(next(iter(history.losses)), loc="left", fontsize=10, color=SOFT)
    elif history.losses:
        axes.legend(frameon=False, fontsize=9, labelcolor=SOFT)


def _running(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    width = max(1, len(values) // _SMOOTH)
    means = np.convolve(values, np.ones(width) / width, mode="valid")
    return np.arange(len(means)) + (width + 1) / 2, means


def _draw_figures(axes: Any, history: History, names: Sequence[str], unit: str, checks: Sequence[Check]) -> None:
    scale = 100 if unit == "%" else 1
    epochs = range(1, len(history.epochs) + 1)
    marker = "o" if len(epochs) <= _DOTS else ""
    colours = dict(zip(names, COLOURS * 9, strict=False))
    for name, colour in colours.items():
        values = [figures.get(name, np.nan) * scale for figures in history.epochs]
        axes.plot(epochs, values, color=colour, marker=marker, markersize=4, linewidth=1.6, label=name)
    for check in checks:
        colour = colours[check.key] if len(names) > 1 else INK
        axes.axhline(check.bar * scale, color=colour, linestyle=(0, (4, 3)), linewidth=1, label=f"bar {_bar(check)}")
    axes.set_xlim(0.5, max(2, len(epochs)) + 0.5)
    axes.set_xlabel("epoch", color=SOFT)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_title(unit, loc="left", fontsize=10, color=SOFT)
    axes.legend(frameon=False, fontsize=9, labelcolor=SOFT, loc="upper left", bbox_to_anchor=(1, 1))


def _bar(check: Check) -> str:
    return f"{'≥' if check.better == 'high' else '≤'} {shown(check.bar, check.unit)}"


def _style(axes: Any) -> None:
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.tick_params(length=0, colors=SOFT)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(GRID)
