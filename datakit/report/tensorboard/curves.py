"""Precision-recall curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datakit.report.tensorboard.checks import labels_of_scores, scores_of

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_THRESHOLDS = 127  # the most that TensorBoard's format holds


def precision_recall(
    writer: SummaryWriter,
    scores: Any,
    labels: Any,
    classes: Sequence[str] = (),
    *,
    tag: str = "precision-recall",
    step: int = 0,
) -> None:
    """A precision-recall curve for each class against all others, `tag/class`, at 127 thresholds from 0 to 1.

    Args:
        writer: of the run.
        scores: (N, C), floating point, [0, 1]: probabilities, such as `logits.softmax(1)`, of a whole test set.
        labels: (N,), int in 0 … C - 1.
        classes: names of the labels; the number where there is no name.
        tag: what comes before the name of the class.
        step: of the training.

    Raises:
        DatakitError: for scores that are no probabilities, and for labels that do not go with them.

    Examples:
        >>> import torch
        >>> from datakit.report import tensorboard
        >>> logits, labels = torch.randn(100, 2), torch.randint(2, (100,))
        >>> with tensorboard.writer("runs/curves") as writer:
        ...     tensorboard.precision_recall(writer, logits.softmax(1), labels, ("ant", "bee"))
    """
    rows = scores_of(scores, "precision_recall")
    truth = labels_of_scores(labels, rows, "precision_recall")
    for place, column in enumerate(rows.T):
        name = str(classes[place]) if place < len(classes) else str(place)
        writer.add_pr_curve(f"{tag}/{name}", np.asarray(truth == place), column, step, _THRESHOLDS)
