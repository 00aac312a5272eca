"""Transforms of samples with an image: size, crop, flip, and the way to tensors.

Each takes and returns a sample dict and moves landmarks, boxes and masks with the image. None changes its input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from datakit.border import as_image
from datakit.sample import Sample
from datakit.transforms import geometry
from datakit.transforms.base import Random, Shown, as_size, check_probability
from datakit.transforms.geometry import Pairs, View, size_of

FACE68_PAIRS: Pairs = (
    *((i, 16 - i) for i in range(8)),  # jaw
    *((i, 43 - i) for i in range(17, 22)),  # brows
    *((31, 35), (32, 34)),  # nostrils
    *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),  # eyes
    *((48, 54), (49, 53), (50, 52), (59, 55), (58, 56)),  # outer lip
    *((60, 64), (61, 63), (67, 65)),  # inner lip
)
"""Left and right partners among the 68 points of the iBUG 300-W scheme."""

COCO_PAIRS: Pairs = tuple((i, i + 1) for i in range(1, 17, 2))
"""Left and right partners among the 17 key points of a person in COCO."""


@dataclass(frozen=True, repr=False)
class Rescale(Shown):
    """Scale the image; points, boxes and masks follow.

    Args:
        size: an int is the length of the smaller edge, the other follows the aspect ratio and is truncated;
            (height, width) is taken as it is.

    Examples:
        >>> import numpy as np
        >>> from datakit.transforms import Rescale
        >>> sample = {"image": np.zeros((100, 200, 3), np.uint8), "landmarks": np.float32([[30, 40]])}
        >>> smaller = Rescale(50)(sample)
        >>> smaller["image"].shape, smaller["landmarks"].tolist()
        ((50, 100, 3), [[15.0, 20.0]])
    """

    size: int | tuple[int, int]

    def __post_init__(self) -> None:
        as_size("Rescale", self.size)

    def __call__(self, sample: Sample) -> Sample:
        """The sample at the new size."""
        height, width = size_of(sample)
        if isinstance(self.size, int):
            long = int(self.size * max(height, width) / min(height, width))
            new = (long, self.size) if height > width else (self.size, long)
        else:
            new = as_size("Rescale", self.size)
        return geometry.apply(sample, View.whole((height, width), new))


@dataclass(frozen=True, repr=False)
class RandomCrop(Random):
    """Cut a window of a fixed size from a random place; every place that fits is equally likely.

    Args:
        size: an int for a square, or (height, width), pixels.
        pad: place an image that is smaller than the window at random inside it, instead of raising.
        fill: value of the padding.

    Raises:
        ValueError: for an image smaller than the window, unless `pad`.

    Examples:
        >>> import numpy as np
        >>> from datakit.transforms import RandomCrop
        >>> sample = {"image": np.zeros((100, 200, 3), np.uint8)}
        >>> RandomCrop(64)(sample)["image"].shape
        (64, 64, 3)
        >>> RandomCrop((128, 64))(sample)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: the image is 100 x 200, smaller than the crop of 128 x 64 (height x width); ...
    """

    size: int | tuple[int, int]
    pad: bool = False
    fill: int = 0

    def __post_init__(self) -> None:
        as_size("RandomCrop", self.size)

    def draw(self, sample: Sample, rng: np.random.Generator) -> View:
        """A place for the window."""
        size = as_size("RandomCrop", self.size)
        room = _room(self, size_of(sample), size)
        top, left = (int(rng.integers(min(0, space), max(0, space) + 1)) for space in room)
        return View(top, left, *size, size)

    def apply(self, sample: Sample, params: View) -> Sample:
        """The window that was drawn."""
        return geometry.apply(sample, params, fill=self.fill)


@dataclass(frozen=True, repr=False)
class CenterCrop(Shown):
    """Cut a window of a fixed size from the middle. Arguments and errors as for `RandomCrop`.

    Examples:
        >>> import numpy as np
        >>> from datakit.transforms import CenterCrop
        >>> sample = {"image": np.zeros((100, 200, 3), np.uint8), "landmarks": np.float32([[100, 50]])}
        >>> CenterCrop((60, 80))(sample)["landmarks"].tolist()
        [[40.0, 30.0]]
    """

    size: int | tuple[int, int]
    pad: bool = False
    fill: int = 0

    def __post_init__(self) -> None:
        as_size("CenterCrop", self.size)

    def __call__(self, sample: Sample) -> Sample:
        """The window in the middle."""
        size = as_size("CenterCrop", self.size)
        top, left = (space // 2 for space in _room(self, size_of(sample), size))
        return geometry.apply(sample, View(top, left, *size, size), fill=self.fill)


def _room(crop: RandomCrop | CenterCrop, image: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """How far the window can move down and right; negative where the image is smaller."""
    room = (image[0] - size[0], image[1] - size[1])
    if min(room) < 0 and not crop.pad:
        raise ValueError(
            f"the image is {image[0]} x {image[1]}, smaller than the crop of {size[0]} x {size[1]} (height x width); "
            "put a Rescale before it, or pass pad=True"
        )
    return room


@dataclass(frozen=True, repr=False)
class RandomResizedCrop(Random):
    """Cut a window of random area and aspect ratio, and scale it to a fixed size, as Inception was trained.

    The window is drawn as torchvision does: ten tries, then the largest central window within the ratios.

    Args:
        size: an int for a square, or (height, width), pixels.
        scale: least and greatest area of the window as a share of the image's.
        ratio: least and greatest width / height of the window; drawn evenly on a logarithmic scale.

    Raises:
        ValueError: for ranges that are empty or not positive.

    Examples:
        >>> import numpy as np
        >>> from datakit.transforms import RandomResizedCrop
        >>> sample = {"image": np.zeros((100, 200, 3), np.uint8)}
        >>> RandomResizedCrop(64, scale=(0.25, 1.0))(sample)["image"].shape
        (64, 64, 3)
    """

    size: int | tuple[int, int]
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        as_size("RandomResizedCrop", self.size)
        for name, (low, high) in (("scale", self.scale), ("ratio", self.ratio)):
            if not 0 < low <= high:
                raise ValueError(f"RandomResizedCrop needs 0 < low <= high in {name}, got {(low, high)}")

    def draw(self, sample: Sample, rng: np.random.Generator) -> View:
        """A window."""
        height, width = size_of(sample)
        for _ in range(10):
            area = height * width * rng.uniform(*self.scale)
            ratio = math.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
                return self._view(top, left, h, w)
        ratio = min(max(width / height, self.ratio[0]), self.ratio[1])
        h, w = min(height, round(width / ratio)), min(width, round(height * ratio))
        return self._view((height - h) // 2, (width - w) // 2, max(h, 1), max(w, 1))

    def _view(self, top: int, left: int, height: int, width: int) -> View:
        return View(top, left, height, width, as_size("RandomResizedCrop", self.size))

    def apply(self, sample: Sample, params: View) -> Sample:
        """The window that was drawn, at the size asked for."""
        return geometry.apply(sample, params)


@dataclass(frozen=True, repr=False)
class RandomHorizontalFlip(Random):
    """Mirror left to right with probability `p`.

    Args:
        p: probability.
        pairs: landmarks that change places, such as `FACE68_PAIRS`: the left eye of the mirrored face is the right one
            of the original; of a sample without landmarks, key points, with `COCO_PAIRS`. Without pairs points only
            move.

    Examples:
        >>> import numpy as np
        >>> from datakit.transforms import RandomHorizontalFlip
        >>> eyes = {"image": np.zeros((10, 20, 3), np.uint8), "landmarks": np.float32([[5, 4], [13, 4]])}
        >>> RandomHorizontalFlip(p=1.0)(eyes)["landmarks"].tolist()
        [[15.0, 4.0], [7.0, 4.0]]
        >>> RandomHorizontalFlip(p=1.0, pairs=((0, 1),))(eyes)["landmarks"].tolist()
        [[7.0, 4.0], [15.0, 4.0]]
    """

    p: float = 0.5
    pairs: Pairs = ()

    def __post_init__(self) -> None:
        check_probability("RandomHorizontalFlip", self.p)

    def __repr__(self) -> str:
        shown = super().__repr__().replace(repr(FACE68_PAIRS), "FACE68_PAIRS")
        return shown.replace(repr(COCO_PAIRS), "COCO_PAIRS")

    def draw(self, sample: Sample, rng: np.random.Generator) -> bool:
        """Whether to flip."""
        return bool(rng.random() < self.p)

    def apply(self, sample: Sample, params: bool) -> Sample:
        """The mirrored sample, or the sample itself."""
        if not params:
            return sample
        return geometry.apply(sample, View.whole(size_of(sample), flip_x=True), pairs=self.pairs)


@dataclass(frozen=True, repr=False)
class RandomVerticalFlip(Random):
    """Mirror top to bottom with probability `p`. Landmarks keep their order.

    Examples:
        >>> import numpy as np
        >>> from datakit.transforms import RandomVerticalFlip
        >>> sample = {"image": np.zeros((10, 20, 3), np.uint8), "boxes": np.float32([[2, 0, 6, 3]])}
        >>> RandomVerticalFlip(p=1.0)(sample)["boxes"].tolist()
        [[2.0, 7.0, 6.0, 10.0]]
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        check_probability("RandomVerticalFlip", self.p)

    def draw(self, sample: Sample, rng: np.random.Generator) -> bool:
        """Whether to flip."""
        return bool(rng.random() < self.p)

    def apply(self, sample: Sample, params: bool) -> Sample:
        """The mirrored sample, or the sample itself."""
        return geometry.apply(sample, View.whole(size_of(sample), flip_y=True)) if params else sample


@dataclass(frozen=True, repr=False)
class ToTensor(Shown):
    """Arrays become tensors; the image goes from (H, W, C) to (C, H, W).

    Args:
        scale: an image of `uint8` becomes `float32` in [0, 1]. With False it stays `uint8`, a quarter of the bytes
            between processes; `Normalize` on the batch then does the scaling.

    Examples:
        >>> import numpy as np
        >>> from datakit.transforms import ToTensor
        >>> image = ToTensor()({"image": np.full((10, 20, 3), 255, np.uint8)})["image"]
        >>> image.shape, image.dtype, image.max().item()
        (torch.Size([3, 10, 20]), torch.float32, 1.0)
    """

    scale: bool = True

    def __call__(self, sample: Sample) -> Sample:
        """The sample with tensors in place of arrays."""
        out = {key: _to_tensor(value) for key, value in sample.items() if key != "image"}
        if "image" in sample:
            out["image"] = self._image(as_image(sample["image"]))
        return {key: out[key] for key in sample}

    def _image(self, image: Any) -> torch.Tensor:
        if isinstance(image, np.ndarray):
            geometry.image_size(image)
            image = _to_tensor(image).permute(2, 0, 1).contiguous()
        tensor: torch.Tensor = image
        if tensor.dtype == torch.uint8:
            return tensor.to(torch.float32).div_(255) if self.scale else tensor
        return tensor.to(torch.float32)


def _to_tensor(value: Any) -> Any:
    if not isinstance(value, np.ndarray) or value.dtype.kind in "OUSMm":
        return value
    return torch.from_numpy(value if value.flags.writeable else value.copy())


@dataclass(frozen=True, repr=False)
class Normalize(Shown):
    """(image - mean) / std, channel by channel, on one sample or on a whole batch, on any device.

    An image of `uint8` counts as [0, 255] and is scaled to [0, 1] first, so that workers can send bytes.

    Args:
        mean: one value a channel, for values in [0, 1].
        std: likewise; not 0.

    Raises:
        TypeError: for an image that is not a tensor yet.
        ValueError: for another number of channels.

    Examples:
        >>> import torch
        >>> from datakit.transforms import Normalize
        >>> normalize = Normalize(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
        >>> batch = normalize({"image": torch.full((8, 3, 4, 4), 255, dtype=torch.uint8)})
        >>> batch["image"].max().item()
        2.0
        >>> normalize.undo(batch["image"]).max().item()
        1.0
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            value = getattr(self, name)
            object.__setattr__(
                self, name, (float(value),) if isinstance(value, int | float) else tuple(map(float, value))
            )
        if len(self.mean) != len(self.std) or not all(self.std):
            raise ValueError(f"Normalize needs as many std as mean, none of them 0, got {self.mean} and {self.std}")

    def __call__(self, sample: Sample) -> Sample:
        """The sample or batch with `image` (…, C, H, W) normalised, `float32` (floating dtypes are kept)."""
        return {**sample, "image": self.on(sample["image"])}

    def on(self, image: Any) -> torch.Tensor:
        """The normalised image or images (…, C, H, W)."""
        mean, std = self._columns(image)
        full = 255 if image.dtype == torch.uint8 else 1
        working: torch.Tensor = image.to(mean.dtype, memory_format=torch.contiguous_format, copy=True)
        return working.sub_(mean * full).div_(std * full)

    def undo(self, image: torch.Tensor) -> torch.Tensor:
        """The image before normalisation, in [0, 1], for pictures."""
        mean, std = self._columns(image)
        return image * std + mean

    def _columns(self, image: Any) -> tuple[torch.Tensor, torch.Tensor]:
        if not isinstance(image, torch.Tensor):
            raise TypeError(
                f"Normalize needs a tensor (…, C, H, W), got {type(image).__name__}; put ToTensor before it"
            )
        if len(self.mean) not in (image.shape[-3], 1):
            raise ValueError(f"the image has {image.shape[-3]} channels, Normalize has {len(self.mean)} means")
        dtype = image.dtype if image.is_floating_point() else torch.float32
        columns = (torch.tensor(values, dtype=dtype, device=image.device) for values in (self.mean, self.std))
        mean, std = (column.view(-1, 1, 1) for column in columns)
        return mean, std
