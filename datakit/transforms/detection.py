"""Crops and scales as detectors are trained with; all per-object keys follow, and an image may end with no objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datakit.sample import Sample
from datakit.transforms import geometry
from datakit.transforms.base import Random, as_size, check_probability
from datakit.transforms.geometry import View, size_of

_ROUNDS = 50


@dataclass(frozen=True, repr=False)
class RandomIoUCrop(Random):
    """Cut a window that overlaps an object at least so much, as SSD was trained.

    A least IoU of window and object is drawn from `options`; 1 or more leaves the image whole. Then windows are drawn
    until one fits: it holds the centre of an object, and the best IoU with the objects whose centres it holds is at
    least that. After `trials` windows another least IoU is drawn. Objects whose centre lies outside the window are
    dropped. An image without objects stays whole, as does one for which 50 rounds find nothing.

    Args:
        min_scale: least side of the window, as a share of the image's.
        max_scale: greatest side.
        min_aspect_ratio: least width / height of the window.
        max_aspect_ratio: greatest.
        options: the least IoUs, equally likely.
        trials: windows for each of them.

    Raises:
        ValueError: for ranges that are empty, and for a sample without boxes and masks.

    Source: Liu et al., SSD: Single Shot MultiBox Detector, 2016, section 2.2; as torchvision's transform of this name.

    Examples:
        >>> import numpy as np, torch
        >>> from datakit.transforms import RandomIoUCrop
        >>> sample = {"image": np.zeros((100, 200, 3), np.uint8), "boxes": np.float32([[50, 20, 90, 80]])}
        >>> _ = torch.manual_seed(0)
        >>> RandomIoUCrop(options=(0.9,), min_scale=0.2)(sample)["boxes"].shape
        (1, 4)
    """

    min_scale: float = 0.3
    max_scale: float = 1.0
    min_aspect_ratio: float = 0.5
    max_aspect_ratio: float = 2.0
    options: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
    trials: int = 40

    def __post_init__(self) -> None:
        if not 0 < self.min_scale <= self.max_scale <= 1 or not 0 < self.min_aspect_ratio <= self.max_aspect_ratio:
            raise ValueError(f"{self!r}: scales are 0 < min <= max <= 1 and aspect ratios 0 < min <= max")
        if not self.options or self.trials < 1:
            raise ValueError(f"{self!r}: there is at least one option and one trial")

    def draw(self, sample: Sample, rng: np.random.Generator) -> View:
        """A window, or the whole image."""
        image, boxes = size_of(sample), _boxes(sample)
        for _ in range(_ROUNDS if len(boxes) else 0):
            least = self.options[int(rng.integers(len(self.options)))]
            if least >= 1:
                break
            for _ in range(self.trials):
                window = self._window(image, rng)
                if window is not None and _fits(boxes, window, least):
                    return window
        return View.whole(image)

    def _window(self, image: tuple[int, int], rng: np.random.Generator) -> View | None:
        height, width = (int(side * rng.uniform(self.min_scale, self.max_scale)) for side in image)
        if not (height and width and self.min_aspect_ratio <= width / height <= self.max_aspect_ratio):
            return None
        top, left = (int(rng.integers(room + 1)) for room in (image[0] - height, image[1] - width))
        return View(top, left, height, width, (height, width))

    def apply(self, sample: Sample, params: View) -> Sample:
        """The window that was drawn, with the objects whose centres it holds."""
        if params == View.whole(size_of(sample)):
            return sample
        kept = np.flatnonzero(_holds_centre(_boxes(sample), params))
        return geometry.apply({**sample, **geometry.chosen(sample, kept)}, params)


def _boxes(sample: Sample) -> np.ndarray:
    if "boxes" in sample:
        return np.asarray(sample["boxes"], np.float64)
    if "masks" in sample:
        return geometry.tight_boxes(sample["masks"]).astype(np.float64)
    raise ValueError(f"RandomIoUCrop needs boxes or masks; the keys of the sample are {sorted(sample)}")


def _holds_centre(boxes: np.ndarray, window: View) -> np.ndarray:
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 - (window.left, window.top)
    return np.asarray(((centres > 0) & (centres < (window.width, window.height))).all(1))


def _fits(boxes: np.ndarray, window: View, least: float) -> bool:
    boxes = boxes[_holds_centre(boxes, window)]
    low, high = (window.left, window.top), (window.left + window.width, window.top + window.height)
    common = np.prod(np.minimum(boxes[:, 2:], high) - np.maximum(boxes[:, :2], low), axis=1)
    union = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + window.width * window.height - common
    return bool(len(boxes)) and float((common / union).max()) >= least


@dataclass(frozen=True, repr=False)
class RandomZoomOut(Random):
    """Place the image at random in a larger one, with probability `p`: objects become smaller. As SSD was trained.

    Args:
        fill: value of the pixels around it.
        side_range: least and greatest side of the larger image, in sides of the given one.
        p: probability.

    Raises:
        ValueError: for a range that is empty or begins below 1.

    Examples:
        >>> import numpy as np
        >>> from datakit.transforms import RandomZoomOut
        >>> sample = {"image": np.zeros((100, 200, 3), np.uint8), "boxes": np.float32([[50, 20, 90, 80]])}
        >>> RandomZoomOut(side_range=(2.0, 2.0), p=1.0)(sample)["image"].shape
        (200, 400, 3)
    """

    fill: int = 0
    side_range: tuple[float, float] = (1.0, 4.0)
    p: float = 0.5

    def __post_init__(self) -> None:
        check_probability("RandomZoomOut", self.p)
        if not 1 <= self.side_range[0] <= self.side_range[1]:
            raise ValueError(f"RandomZoomOut needs 1 <= low <= high in side_range, got {self.side_range}")

    def draw(self, sample: Sample, rng: np.random.Generator) -> View:
        """A window that reaches beyond the image, or the whole image."""
        image = size_of(sample)
        if rng.random() >= self.p:
            return View.whole(image)
        side = rng.uniform(*self.side_range)
        height, width = (int(length * side) for length in image)
        top, left = (-int(rng.integers(room + 1)) for room in (height - image[0], width - image[1]))
        return View(top, left, height, width, (height, width))

    def apply(self, sample: Sample, params: View) -> Sample:
        """The image in its place."""
        return sample if params == View.whole(size_of(sample)) else geometry.apply(sample, params, fill=self.fill)


@dataclass(frozen=True, repr=False)
class ScaleJitter(Random):
    """Scale the image to fit `size`, times a random factor: large-scale jitter where the range is (0.1, 2).

    Aspect ratios are kept. `RandomCrop(size, pad=True)` after it gives images of equal size.

    Args:
        size: an int for a square, or (height, width), pixels, in which the image fits at a factor of 1.
        scale_range: least and greatest factor.

    Raises:
        ValueError: for a range that is empty or not positive.

    Source: Ghiasi et al., Simple Copy-Paste is a Strong Data Augmentation Method, 2021. torchvision's transform of this
    name exchanges height and width of a target that is not square.

    Examples:
        >>> import numpy as np
        >>> from datakit.transforms import ScaleJitter
        >>> sample = {"image": np.zeros((100, 200, 3), np.uint8), "boxes": np.float32([[50, 20, 90, 80]])}
        >>> ScaleJitter(100, scale_range=(0.5, 0.5))(sample)["image"].shape
        (25, 50, 3)
    """

    size: int | tuple[int, int]
    scale_range: tuple[float, float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        as_size("ScaleJitter", self.size)
        if not 0 < self.scale_range[0] <= self.scale_range[1]:
            raise ValueError(f"ScaleJitter needs 0 < low <= high in scale_range, got {self.scale_range}")

    def draw(self, sample: Sample, rng: np.random.Generator) -> View:
        """The whole image at another size."""
        image, target = size_of(sample), as_size("ScaleJitter", self.size)
        ratio = min(full / side for full, side in zip(target, image, strict=True)) * rng.uniform(*self.scale_range)
        return View.whole(image, (max(1, int(image[0] * ratio)), max(1, int(image[1] * ratio))))

    def apply(self, sample: Sample, params: View) -> Sample:
        """The scaled sample."""
        return geometry.apply(sample, params)
