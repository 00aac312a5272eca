"""torchvision's and torchaudio's transforms on sample dicts."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from datakit.foreign import States, global_states, put_back
from datakit.pixels import to_array
from datakit.sample import SPATIAL, Sample, per_object, picked
from datakit.sound_border import hint_for, on_sound

_COLOUR_ONLY = {
    *("ToTensor", "PILToTensor", "ToPILImage", "ConvertImageDtype", "Normalize", "LinearTransformation"),
    *("ColorJitter", "Grayscale", "RandomGrayscale", "GaussianBlur", "RandomErasing", "RandomInvert"),
    *("RandomPosterize", "RandomSolarize", "RandomAdjustSharpness", "RandomAutocontrast", "RandomEqualize"),
}
"""Transforms of torchvision's first version that leave every pixel where it is."""


def at_border(transform: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`transform` as a callable on a sample dict.

    torchvision's v2 transforms get the image, points, boxes and masks as tv_tensors and give them back as they came (an
    image that is still `uint8` as an (H, W, C) array); objects that they drop are dropped from every per-object key.
    Note that torchvision flips points to W - 1 - x, datakit to W - x. Transforms of torchvision's first version see the
    image alone, so those that move pixels are refused on samples that have points, boxes or masks. torchaudio's get the
    waveform or spectrogram, see `datakit.sound_border.on_sound`. Anything else gets the dict itself.
    """
    if _is_v2(transform):
        return lambda sample: _through_v2(transform, sample) if _has_image(sample) else transform(sample)
    if type(transform).__module__.startswith("torchvision.transforms."):
        return lambda sample: _through_v1(transform, sample) if _has_image(sample) else transform(sample)
    return on_sound(transform) or functools.partial(_hinted, transform)


def _hinted(transform: Callable[[Any], Any], sample: Any) -> Any:
    """What a transform makes of the sample; where it is torch's and wants a tensor, the error says so."""
    try:
        return transform(sample)
    except (AttributeError, TypeError) as error:
        hint = hint_for(transform, sample, error)
        if hint is None:
            raise
        raise TypeError(f"{str(error).splitlines()[0]}; {hint}") from error


def _is_v2(transform: object) -> bool:
    v2 = sys.modules.get("torchvision.transforms.v2")
    return v2 is not None and isinstance(transform, v2.Transform)


def _has_image(sample: Any) -> bool:
    return isinstance(sample, dict) and "image" in sample


def _through_v2(transform: Callable[[Any], Any], sample: Sample) -> Sample:
    given = _wrapped(sample)
    left_out = [key for key in per_object(sample) if key not in given or key == "keypoints"]
    states = global_states() if left_out else None
    result = transform(given)
    out = {**sample, "image": _image_back(result["image"].as_subclass(torch.Tensor), sample["image"])}
    was = _count(given)
    if states is not None and was is not None and was != _count(result):
        kept = _kept(transform, given, states, was)
        out.update({key: picked(sample[key], kept) for key in left_out})
        if "keypoints" in given and len(result["keypoints"]) == was:
            result["keypoints"] = result["keypoints"][kept]
    for key in given.keys() - {"image"}:
        moved = result[key].as_subclass(torch.Tensor)
        if key == "keypoints":
            moved = _labelled(moved, out[key], result["image"].shape[-2:])
        out[key] = moved.numpy() if isinstance(sample[key], np.ndarray) else moved
    return out


def _wrapped(sample: Sample) -> dict[str, Any]:
    """What torchvision knows how to move, as tv_tensors, and the labels."""
    from torchvision import tv_tensors

    image = sample["image"]
    tensor = torch.tensor(image).permute(2, 0, 1) if isinstance(image, np.ndarray) else image
    canvas = tuple(tensor.shape[-2:])
    wrap: dict[str, Callable[[torch.Tensor], Any]] = {
        "landmarks": lambda value: tv_tensors.KeyPoints(value, canvas_size=canvas),
        "keypoints": lambda value: tv_tensors.KeyPoints(value[..., :2], canvas_size=canvas),
        "boxes": lambda value: tv_tensors.BoundingBoxes(value, format="XYXY", canvas_size=canvas),
        "masks": tv_tensors.Mask,
        "labels": lambda value: value,
    }
    moving = {key: wrap[key](torch.as_tensor(np.array(sample[key]))) for key in wrap if key in sample}
    return {"image": tv_tensors.Image(tensor), **moving}


def _count(objects: dict[str, Any]) -> int | None:
    return next((len(objects[key]) for key in ("boxes", "masks") if key in objects), None)


def _kept(transform: Callable[[Any], Any], given: dict[str, Any], states: States, count: int) -> torch.Tensor:
    """Which objects a v2 transform keeps. It drops them from the labels too, so it runs again with numbers there."""
    if "labels" not in given:
        raise TypeError(
            f"{type(transform).__name__} drops objects; which ones can be told only of a sample with labels"
        )
    after = global_states()
    put_back(states)
    numbered = transform({**given, "labels": torch.arange(count)})["labels"]
    put_back(after)
    return torch.as_tensor(numbered)


def _labelled(points: torch.Tensor, keypoints: Any, size: tuple[int, int]) -> torch.Tensor:
    """Moved key points (N, K, 2) with their visibility; what has no label, or is outside, is zeros, as in COCO."""
    visible = torch.as_tensor(keypoints)[..., 2:]
    is_inside = ((points >= 0) & (points <= torch.tensor([size[1], size[0]]))).all(-1, keepdim=True)
    return torch.cat([points, visible], -1) * ((visible > 0) & is_inside)


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
