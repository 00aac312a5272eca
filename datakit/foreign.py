"""Callables that know nothing of datakit: seeded from the key, and torchvision's transforms on sample dicts.

A foreign callable draws from `random`, NumPy's and torch's global generators. They are seeded from the sample's
generator around the call and put back afterwards, so the callable is as reproducible as ours. One that carries a
generator of its own is out of reach; `datakit.chain.irreproducible` finds it.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.utils.data import get_worker_info

from datakit.pixels import to_array
from datakit.sample import SPATIAL, Sample

_COLOUR_ONLY = {
    *("ToTensor", "PILToTensor", "ToPILImage", "ConvertImageDtype", "Normalize", "LinearTransformation"),
    *("ColorJitter", "Grayscale", "RandomGrayscale", "GaussianBlur", "RandomErasing", "RandomInvert"),
    *("RandomPosterize", "RandomSolarize", "RandomAdjustSharpness", "RandomAutocontrast", "RandomEqualize"),
}
"""Transforms of torchvision's first version that leave every pixel where it is."""


_States: TypeAlias = tuple[Any, Any, torch.Tensor]


class _Kept:
    """The states of the global generators before the first foreign callable of a block, if there was one."""

    def __init__(self) -> None:
        self.states: _States | None = None

    def keep(self) -> None:
        if self.states is None:
            self.states = random.getstate(), np.random.get_state(), torch.default_generator.get_state()

    def put_back(self) -> None:
        if self.states is not None:
            python, numpy, torch_state = self.states
            random.setstate(python)
            np.random.set_state(numpy)
            torch.default_generator.set_state(torch_state)


_blocks: list[_Kept] = []


@contextmanager
def preserved() -> Iterator[None]:
    """Put the global generators back at the end, once for all foreign callables in between.

    Saving and restoring NumPy's state alone takes 70 µs, so it is done once a batch. In a worker process, where every
    draw follows a key, it is not done at all.
    """
    kept = _Kept()
    _blocks.append(kept)
    try:
        yield
    finally:
        _blocks.pop()
        kept.put_back()


@contextmanager
def seeded(rng: np.random.Generator | None) -> Iterator[None]:
    """Seed Python's, NumPy's and torch's global generators from `rng` for a while. With None nothing is touched."""
    if rng is None:
        yield
        return
    with nullcontext() if _blocks else preserved():
        if get_worker_info() is None:
            _blocks[-1].keep()
        seed = int(rng.integers(2**63))
        random.seed(seed)
        np.random.seed(seed & 0xFFFFFFFF)
        torch.default_generator.manual_seed(seed)
        yield


def at_border(transform: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`transform` as a callable on a sample dict.

    torchvision's v2 transforms get the image, landmarks, boxes and masks as tv_tensors and give them back as they
    came (an image that is still `uint8` as an (H, W, C) array). Note that torchvision flips key points to W - 1 - x,
    datakit to W - x. Transforms of torchvision's first version see the image alone, so those that move pixels are
    refused on samples that have landmarks, boxes or masks. Anything else gets the dict itself.
    """
    if _is_v2(transform):
        return lambda sample: _through_v2(transform, sample) if _has_image(sample) else transform(sample)
    if type(transform).__module__.startswith("torchvision.transforms."):
        return lambda sample: _through_v1(transform, sample) if _has_image(sample) else transform(sample)
    return transform


def _is_v2(transform: object) -> bool:
    v2 = sys.modules.get("torchvision.transforms.v2")
    return v2 is not None and isinstance(transform, v2.Transform)


def _has_image(sample: Any) -> bool:
    return isinstance(sample, dict) and "image" in sample


def _through_v2(transform: Callable[[Any], Any], sample: Sample) -> Sample:
    from torchvision import tv_tensors

    image = sample["image"]
    tensor = torch.tensor(image).permute(2, 0, 1) if isinstance(image, np.ndarray) else image
    canvas = tuple(tensor.shape[-2:])
    wrap: dict[str, Callable[[torch.Tensor], Any]] = {
        "landmarks": lambda value: tv_tensors.KeyPoints(value, canvas_size=canvas),
        "boxes": lambda value: tv_tensors.BoundingBoxes(value, format="XYXY", canvas_size=canvas),
        "masks": tv_tensors.Mask,
        "labels": lambda value: value,
    }
    present = {key: sample[key] for key in wrap if key in sample}
    moved = {key: wrap[key](torch.as_tensor(np.array(value))) for key, value in present.items()}
    result = transform({"image": tv_tensors.Image(tensor), **moved})
    out = {**sample, "image": _image_back(result["image"].as_subclass(torch.Tensor), image)}
    for key, value in present.items():
        plain = result[key].as_subclass(torch.Tensor)
        out[key] = plain.numpy() if isinstance(value, np.ndarray) else plain
    return out


def _image_back(result: torch.Tensor, given: Any) -> Any:
    if isinstance(given, np.ndarray) and result.dtype == torch.uint8:
        return np.ascontiguousarray(result.permute(1, 2, 0).numpy())
    return result


def _through_v1(transform: Callable[[Any], Any], sample: Sample) -> Sample:
    moving = sorted(_movers(transform))
    attached = [key for key in SPATIAL if key != "image" and key in sample]
    if moving and attached:
        raise TypeError(
            f"{', '.join(moving)} of torchvision.transforms moves the image but not {', '.join(attached)}; "
            "use torchvision.transforms.v2 or datakit.transforms"
        )
    image = sample["image"]
    if isinstance(image, np.ndarray):
        from PIL import Image

        image = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    return {**sample, "image": as_image(transform(image))}


def as_image(value: Any) -> Any:
    """A PIL image as a `uint8` array (H, W, 3), or (H, W, 1) where it is grey; anything else as it is."""
    if not hasattr(value, "getbands"):
        return value
    return to_array(value, "L" if value.mode in ("1", "L") else "RGB")


def _movers(transform: object) -> set[str]:
    """Names of the parts of a torchvision v1 transform that may move pixels."""
    parts = getattr(transform, "transforms", None)
    if parts is not None:
        return set().union(*(_movers(part) for part in parts))
    name = type(transform).__name__
    return set() if name in _COLOUR_ONLY else {name}
