"""COCO's twelve numbers, epoch by epoch, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from datakit.vision import CocoResult

_NAMES = {
    "ap": "AP", "ap50": "AP50", "ap75": "AP75", "ap_small": "APs", "ap_medium": "APm", "ap_large": "APl",
    "ar1": "AR1", "ar10": "AR10", "ar100": "AR100", "ar_small": "ARs", "ar_medium": "ARm", "ar_large": "ARl",
}  # fmt: skip


def twelve(result: CocoResult) -> list[float]:
    """The numbers in COCO's order, each in [0, 1], or -1 where the truth has no object of that size."""
    return [getattr(result, field) for field in _NAMES]


def table(title: str, epochs: Sequence[Sequence[float]]) -> list[str]:
    """A head and a line for each epoch, in percent.

    Args:
        title: what was found, such as `box`.
        epochs: what `twelve` gave after each of them.

    Examples:
        >>> from datakit.reference.coco_table import table
        >>> for line in table("box", [[0.5, 0.8, 0.6, -1, 0.5, 0.5, 0.3, 0.6, 0.7, -1, 0.7, 0.7]]):
        ...     print(line)
        box, %          AP   AP50   AP75    APs    APm    APl    AR1   AR10  AR100    ARs    ARm    ARl
        epoch 1       50.0   80.0   60.0      -   50.0   50.0   30.0   60.0   70.0      -   70.0   70.0
    """
    lines = [f"{title + ', %':<11}" + "".join(f"{name:>7}" for name in _NAMES.values())]
    for number, values in enumerate(epochs, 1):
        shown = (f"{100 * value:.1f}" if value >= 0 else "-" for value in values)
        lines.append(f"epoch {number:<5}" + "".join(f"{value:>7}" for value in shown))
    return lines
