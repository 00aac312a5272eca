"""The objects of a sample: what can be drawn of each, in which colour, and how many there are in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from datakit.phrasing import shorten

Colour: TypeAlias = tuple[int, int, int]

# Each is as far from those before it as can be (CIELAB), also for who does not see red or green (Machado et al. 2009);
# all are light enough for dark letters.
COLOURS: tuple[Colour, ...] = (
    *((255, 105, 60), (75, 210, 225), (90, 120, 255), (30, 255, 165), (255, 225, 0), (240, 45, 135)),
    *((90, 165, 240), (225, 240, 120), (45, 255, 225), (195, 105, 90), (195, 90, 180), (255, 150, 15)),
    *((240, 180, 120), (120, 210, 165), (210, 135, 180), (90, 180, 75), (255, 210, 75), (135, 135, 30)),
    *((225, 30, 255), (75, 180, 225), (0, 150, 135), (255, 150, 135), (75, 255, 255), (120, 255, 195)),
    *((210, 195, 75), (120, 120, 210), (0, 165, 105), (255, 60, 0), (150, 255, 150), (105, 210, 195)),
)
_CERTAIN = 0.5  # a mask of probabilities, as torchvision's detectors give it, is drawn where it is more likely than not
_NAME = 24  # characters
_LISTED = 4  # classes in words
_CROWD, _SIDE = 12, 448  # objects in a picture of so many pixels a side


@dataclass(frozen=True)
class Objects:
    """What is known of the objects of a sample.

    Attributes:
        count: how many there are.
        boxes: (N, 4), x1 y1 x2 y2 in pixels; None without any.
        masks: bool (N, H, W); None without any.
        names: of their classes; empty where they have none.
        scores: (N,); None without any.
    """

    count: int
    boxes: np.ndarray | None
    masks: np.ndarray | None
    names: tuple[str, ...]
    scores: np.ndarray | None

    @property
    def colours(self) -> list[Colour]:
        """One for each object that has a mask, so that touching ones can be told apart; boxes alone go by class."""
        kinds = list(dict.fromkeys(self.names))
        if self.masks is not None or len(kinds) < 2:
            return [COLOURS[place % len(COLOURS)] for place in range(self.count)]
        return [COLOURS[kinds.index(name) % len(COLOURS)] for name in self.names]

    def is_crowd(self, side: int) -> bool:
        """Whether their labels would hide a picture whose longer side has so many pixels."""
        return self.count > max(2.0, _CROWD * min(1.0, side / _SIDE) ** 2)

    def labels(self, side: int) -> list[str]:
        """Name and score of each; in a crowd a name that all have is left out. Empty where nothing is left to say."""
        is_same = self.is_crowd(side) and len(set(self.names)) == 1
        names = ("",) * self.count if is_same or not self.names else self.names
        if self.scores is None:
            return list(names)
        return [f"{name} {score:.2f}".lstrip() for name, score in zip(names, self.scores.tolist(), strict=True)]

    @property
    def order(self) -> list[int]:
        """Who is named first where there is no room for all: by score, or else by size."""
        weights = self._sizes() if self.scores is None else self.scores
        return [int(place) for place in np.argsort(-np.nan_to_num(weights), kind="stable")]

    def _sizes(self) -> np.ndarray:
        if self.boxes is not None:
            return np.asarray((self.boxes[:, 2:] - self.boxes[:, :2]).astype(np.float64).prod(1))
        return np.zeros(self.count) if self.masks is None else np.asarray(self.masks.sum((1, 2)), np.float64)

    def in_words(self) -> str:
        """`23 objects: 20 cell, 3 debris`, `9 objects: cell`, without classes `9 objects`; empty for none."""
        if not self.count:
            return ""
        many = f"{self.count} object{'s' if self.count > 1 else ''}"
        kinds = Counter(self.names).most_common()
        if len(kinds) < 2:
            return f"{many}: {kinds[0][0]}" if kinds else many
        listed = ", ".join(f"{count} {name}" for name, count in kinds[:_LISTED])
        return f"{many}: {listed}{', …' if len(kinds) > _LISTED else ''}"


def objects_of(sample: Any, classes: Sequence[str] = ()) -> Objects:
    """The objects of a sample or of a detector's prediction; those of its keys whose lengths do not agree are left out.

    Args:
        sample: a dict with `boxes` (N, 4) or `masks` (N, H, W), (N, 1, H, W) for a prediction; `labels` and `scores`
            (N,) where there are any.
        classes: names of the labels.
    """
    keys = sample if isinstance(sample, dict) else {}
    boxes, masks = array_of(keys.get("boxes"), 2), _masks(keys.get("masks"))
    count = max(len(values) if values is not None else 0 for values in (boxes, masks))
    labels, scores = (_one_each(array_of(keys.get(key), 1), count) for key in ("labels", "scores"))
    return Objects(
        count,
        _one_each(boxes, count),
        _one_each(masks, count),
        () if labels is None else tuple(_name(label, classes) for label in labels.tolist()),
        scores,
    )


def _one_each(values: np.ndarray | None, count: int) -> np.ndarray | None:
    return values if values is not None and len(values) == count else None


def array_of(value: Any, ndim: int) -> np.ndarray | None:
    """An array or tensor, wherever it is, with `ndim` axes and something in it, as an array."""
    if value is None or getattr(value, "ndim", None) != ndim or not len(value):
        return None
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def _masks(value: Any) -> np.ndarray | None:
    masks = array_of(value, 3)
    if masks is None and (channels := array_of(value, 4)) is not None and channels.shape[1] == 1:
        masks = channels[:, 0]
    if masks is None:
        return None
    return np.asarray(masks > (_CERTAIN if masks.dtype.kind == "f" else 0))


def _name(label: float, classes: Sequence[str]) -> str:
    number = int(label)
    return shorten(str(classes[number]), _NAME) if 0 <= number < len(classes) else str(label)
