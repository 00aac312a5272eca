"""Where a decoder looked, as heat maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from datakit.reference.base import Reference
from datakit.reference.curve import finish, panels
from datakit.report.palette import SOFT


def draw_attention(
    reference: Reference,
    sources: Sequence[Sequence[str]],
    targets: Sequence[Sequence[str]],
    maps: Sequence[torch.Tensor],
) -> bytes:
    """A panel for each sentence: its words from left to right, those of the translation from top to bottom.

    Args:
        reference: whose picture it is.
        sources: the S words of each sentence.
        targets: the T words of each translation.
        maps: how much was looked at each word of the source while each of the translation was made, (T, S) in [0, 1].

    Returns:
        A PNG; the darker, the more.
    """
    figure, places = panels(len(sources), width=3.1, height=3.7)
    for axes, source, target, weights in zip(places, sources, targets, maps, strict=True):
        drawn = axes.imshow(weights.numpy(), cmap="Greens", vmin=0, vmax=1, aspect="auto", zorder=2)  # above the grid
        axes.set_xticks(range(len(source)), source, rotation=50, ha="left", rotation_mode="anchor")
        axes.set_yticks(range(len(target)), target)
        axes.xaxis.tick_top()
    bar = figure.colorbar(drawn, ax=places, fraction=0.02, pad=0.01)
    bar.outline.set_visible(False)
    bar.set_label("weight", color=SOFT)
    return finish(figure, reference)
