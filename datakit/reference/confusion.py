"""What is taken for what, as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from datakit.reference.base import Reference
from datakit.reference.curve import finish, panels
from datakit.report.palette import ACCENT, INK, SOFT

_LEAST = 0.1  # share from which on a cell says it
_INCHES = 0.38  # of a cell


def confusion_counts(labels: torch.Tensor, answers: torch.Tensor, classes: int) -> torch.Tensor:
    """How many of class i (row) are told as class j (column), int64 (classes, classes).

    Examples:
        >>> import torch
        >>> from datakit.reference.confusion import confusion_counts
        >>> confusion_counts(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    return torch.bincount(labels * classes + answers, minlength=classes * classes).reshape(classes, classes)


def draw_confusions(reference: Reference, counts: torch.Tensor, classes: Sequence[str], what: str) -> bytes:
    """A cell for each pair of classes, as dark as the share of its row; the number of each row is at its right.

    Args:
        reference: whose they are.
        counts: (N, N), as `confusion_counts` gives them.
        classes: names, of rows and columns alike.
        what: a class is, such as `language`.

    Returns:
        A PNG.
    """
    from matplotlib.colors import LinearSegmentedColormap

    totals = counts.sum(1).numpy()
    shares = counts.numpy() / np.maximum(totals, 1)[:, None]
    side = 2.4 + _INCHES * len(classes)
    figure, (axes,) = panels(1, width=side + 0.6, height=side + 0.4)
    colours = LinearSegmentedColormap.from_list("shares", ["white", ACCENT])
    axes.imshow(shares, cmap=colours, vmin=0, vmax=1, zorder=1)  # above the grid
    places = range(len(classes))
    axes.set_xticks(places, classes, rotation=90)
    axes.set_yticks(places, [f"{name} ({total})" for name, total in zip(classes, totals.tolist(), strict=True)])
    axes.set_xlabel(f"told {what}", color=SOFT)
    axes.set_ylabel(f"true {what} (number of test records)", color=SOFT)
    axes.set_title("percent of each row", loc="left", fontsize=10, color=SOFT)
    for row, column in np.argwhere(shares >= _LEAST).tolist():
        share = shares[row, column]
        colour = "white" if share > 0.5 else INK
        axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=8, color=colour)
    return finish(figure, reference)
