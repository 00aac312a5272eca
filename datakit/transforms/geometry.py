"""The geometry of an image, its points, boxes and masks, once: transforms only choose a `View`.

Coordinates are continuous: pixel *i* covers [i, i + 1). So a flip sends x to W - x, a scaling to s·x, for points and
boxes alike, and any two operations commute as they should.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from datakit.sample import Sample, per_object, picked

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class View:
    """A window of the source image, resampled to a size, then mirrored.

    Attributes:
        top: first row of the window, pixels; negative where the window begins above the image.
        left: first column.
        height: rows of the window.
        width: columns of the window.
        size: (height, width) of the result.
        flip_x: mirrored left to right.
        flip_y: mirrored top to bottom.
    """

    top: int
    left: int
    height: int
    width: int
    size: tuple[int, int]
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def whole(cls, image_size: tuple[int, int], size: tuple[int, int] | None = None, **flips: bool) -> View:
        """All of an image of `image_size`, scaled to `size`."""
        return cls(0, 0, *image_size, size or image_size, **flips)

    @property
    def scale(self) -> tuple[float, float]:
        """(sx, sy): pixels of the result per pixel of the source."""
        return self.size[1] / self.width, self.size[0] / self.height


def image_size(image: Any) -> tuple[int, int]:
    """(height, width) of an array (H, W, C) or a tensor (…, H, W).

    Raises:
        TypeError: for anything else.
    """
    if isinstance(image, torch.Tensor) and image.ndim >= 2:
        return int(image.shape[-2]), int(image.shape[-1])
    if isinstance(image, np.ndarray) and image.ndim == 3:
        return int(image.shape[0]), int(image.shape[1])
    shape = f" of shape {tuple(image.shape)}" if hasattr(image, "shape") else ""
    raise TypeError(f"an image is an array (H, W, C) or a tensor (C, H, W), got {type(image).__name__}{shape}")


def size_of(sample: Sample) -> tuple[int, int]:
    """(height, width) of the sample's image.

    Raises:
        ValueError: where the sample has no image.
    """
    if "image" not in sample:
        raise ValueError(f"the sample has no image; its keys are {sorted(sample)}")
    return image_size(sample["image"])


def apply(sample: Sample, view: View, *, pairs: Pairs = (), fill: int = 0) -> Sample:
    """The sample seen through `view`: image, points, boxes and masks together; the input is left as it is.

    Boxes are clipped to the result. Where the sample has masks, a crop or a scaling makes each box the tight box of its
    mask, so that the two always agree. An object that the view emptied is dropped from every per-object key. Landmarks
    may lie outside; a key point that does is no longer labelled.

    Args:
        sample: with an `image`.
        view: what to show.
        pairs: landmarks that change places when the image is flipped left to right; of a sample without landmarks, key
            points.
        fill: value of the pixels outside the source.
    """
    source = size_of(sample)
    out = {**sample, "image": view_image(sample["image"], view, fill)}
    if "landmarks" in sample:
        out["landmarks"] = _like(sample["landmarks"], view_points(_array(sample["landmarks"]), view, pairs))
    if "keypoints" in sample:
        moved = view_keypoints(_array(sample["keypoints"]), view, () if "landmarks" in sample else pairs)
        out["keypoints"] = _like(sample["keypoints"], moved)
    if any(key in sample for key in ("boxes", "masks")):
        _view_objects(sample, out, view, changes_extent=View.whole(source) != _unflipped(view))
    return out


def view_points(points: np.ndarray, view: View, pairs: Pairs = ()) -> np.ndarray:
    """Points (…, 2), x then y in pixels of the source, in pixels of the result."""
    moved = (points - np.array([view.left, view.top], points.dtype)) * np.array(view.scale, points.dtype)
    if view.flip_x:
        moved[..., 0] = view.size[1] - moved[..., 0]
        if pairs:
            first, second = np.array(pairs).T
            moved[..., np.r_[first, second], :] = moved[..., np.r_[second, first], :]
    if view.flip_y:
        moved[..., 1] = view.size[0] - moved[..., 1]
    return np.asarray(moved)


def view_keypoints(keypoints: np.ndarray, view: View, pairs: Pairs = ()) -> np.ndarray:
    """Key points (N, K, 3), x, y and visibility; what has no label, or is outside, is zeros, as in COCO."""
    visible = keypoints[..., 2]
    if view.flip_x and pairs:
        first, second = np.array(pairs).T
        visible = visible.copy()
        visible[..., np.r_[first, second]] = visible[..., np.r_[second, first]]
    moved = view_points(keypoints[..., :2], view, pairs)
    limits = np.array([view.size[1], view.size[0]])
    is_seen = (visible > 0) & ((moved >= 0) & (moved <= limits)).all(-1)
    return np.where(is_seen[..., None], np.concatenate([moved, visible[..., None]], -1), 0)


def view_boxes(boxes: np.ndarray, view: View) -> np.ndarray:
    """Boxes (N, 4), x1 y1 x2 y2 in pixels of the source, in pixels of the result, not clipped."""
    corners = view_points(boxes.reshape(-1, 2, 2), view)
    return np.concatenate([corners.min(1), corners.max(1)], 1)


def view_image(image: Any, view: View, fill: int = 0) -> Any:
    """The pixels of `view`, as the type that came: an array (H, W, C) or a tensor (…, C, H, W)."""
    if isinstance(image, np.ndarray):
        planes = torch.from_numpy(image if image.flags.writeable else image.copy()).permute(2, 0, 1)
        return _view_planes(planes, view, fill).permute(1, 2, 0).contiguous().numpy()
    return _view_planes(image, view, fill).contiguous()


def view_masks(masks: torch.Tensor, view: View) -> torch.Tensor:
    """Masks (N, H, W): each pixel of the result takes the value of the source pixel under its centre."""
    masks = _window(masks, view, 0)
    for axis, source, size in ((-2, view.height, view.size[0]), (-1, view.width, view.size[1])):
        if source != size:
            masks = masks.index_select(axis, torch.from_numpy(_nearest(source, size)))
    return _mirror(masks, view).contiguous()


def _nearest(source: int, size: int) -> np.ndarray:
    """The pixel under the centre of each of `size` pixels; between two, the inner one, so a flip changes nothing."""
    doubled = (2 * np.arange(size) + 1) * source  # twice the centre, in units of 1 / size
    index = doubled // (2 * size)
    is_between = doubled % (2 * size) == 0
    return np.asarray(index - (is_between & (2 * index > source)))


def tight_boxes(masks: Any) -> np.ndarray:
    """The boxes (N, 4) `float32`, x1 y1 x2 y2, around masks (N, H, W); zeros for an empty mask."""
    masks = np.asarray(masks) > 0
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
        if len(rows):
            box[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def chosen(sample: Sample, kept: np.ndarray) -> Sample:
    """The per-object keys of `sample` for the objects at `kept`, int (M,)."""
    return {key: picked(sample[key], kept) for key in per_object(sample)}


def _view_planes(planes: torch.Tensor, view: View, fill: int) -> torch.Tensor:
    planes = _window(planes, view, fill)
    if view.size != (view.height, view.width):
        planes = resample(planes, view.size)
    return _mirror(planes, view)


def _mirror(planes: torch.Tensor, view: View) -> torch.Tensor:
    axes = [axis for axis, flip in ((-1, view.flip_x), (-2, view.flip_y)) if flip]
    return planes.flip(axes) if axes else planes


def _window(planes: torch.Tensor, view: View, fill: int) -> torch.Tensor:
    height, width = planes.shape[-2:]
    bottom, right = view.top + view.height, view.left + view.width
    inside = planes[..., max(view.top, 0) : min(bottom, height), max(view.left, 0) : min(right, width)]
    outside = (max(-view.left, 0), max(right - width, 0), max(-view.top, 0), max(bottom - height, 0))
    return F.pad(inside, outside, value=fill) if any(outside) else inside


def resample(planes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Planes (…, H, W), `uint8` or floating, at (height, width): bilinear, antialiased where it shrinks.

    The filter is the triangle of Pillow and torchvision, its width that of a result pixel.
    """
    lead = planes.shape[:-2]
    if not planes.numel():
        return planes.new_zeros((*lead, *size))
    batch = planes.reshape(1, -1, *planes.shape[-2:]) if planes.ndim != 4 else planes
    working = batch if batch.dtype == torch.uint8 or batch.is_floating_point() else batch.float()
    resized = F.interpolate(working, size=size, mode="bilinear", antialias=True)
    return resized.reshape(*lead, *size)


def _view_objects(sample: Sample, out: Sample, view: View, changes_extent: bool) -> None:
    masks = boxes = None
    if "masks" in sample:
        masks = view_masks(torch.as_tensor(_writable(sample["masks"])), view)
    if "boxes" in sample:
        boxes = view_boxes(_array(sample["boxes"]), view)
        boxes = np.clip(boxes, 0, np.array([view.size[1], view.size[0]] * 2, boxes.dtype))
        if masks is not None and changes_extent:
            boxes = tight_boxes(masks)
    for key, value in (("boxes", boxes), ("masks", masks)):
        if value is not None:
            out[key] = _like(sample[key], value)
    if changes_extent:
        kept = np.flatnonzero(_not_empty(boxes, masks))
        out.update(chosen(out, kept))
        if "area" in sample:
            out["area"] = _like(sample["area"], _areas(sample, out, view, kept))


def _not_empty(boxes: np.ndarray | None, masks: torch.Tensor | None) -> Any:
    kept: Any = True
    if boxes is not None:
        kept = ((boxes[:, 2:] - boxes[:, :2]) > 0).all(1)
    if masks is not None:
        kept = kept & masks.flatten(1).any(1).numpy()
    return kept


def _areas(sample: Sample, out: Sample, view: View, kept: np.ndarray) -> np.ndarray:
    """Pixels of the masks; without masks the old area times the share of the box that is left."""
    if "masks" in out:
        return np.asarray(torch.as_tensor(out["masks"]).flatten(1).sum(1))
    before, after = _array(sample["boxes"])[kept], _array(out["boxes"])
    share = np.prod(after[:, 2:] - after[:, :2], 1) / np.maximum(np.prod(before[:, 2:] - before[:, :2], 1), 1e-9)
    return np.asarray(_array(sample["area"])[kept] * share)


def _unflipped(view: View) -> View:
    return View(view.top, view.left, view.height, view.width, view.size)


def _writable(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) and not value.flags.writeable else value


def _array(value: Any) -> np.ndarray:
    """Floating-point ndarray of a small array or tensor."""
    array = np.asarray(value)
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def _like(original: Any, value: Any) -> Any:
    """`value` as a tensor or an array, whichever `original` is; floating dtypes are kept."""
    if isinstance(original, torch.Tensor):
        tensor = torch.as_tensor(value)
        return tensor.to(original.dtype) if original.is_floating_point() else tensor
    array = np.asarray(value)
    return array.astype(original.dtype, copy=False) if original.dtype.kind == "f" else array
