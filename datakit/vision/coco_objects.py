"""What images hold, in truth and as predicted, as COCO's code wants it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

Kind: TypeAlias = Literal["boxes", "masks"]


@dataclass(frozen=True)
class Objects:
    """What an image holds, in truth or as predicted."""

    boxes: np.ndarray
    labels: np.ndarray
    area: np.ndarray
    iscrowd: np.ndarray
    scores: np.ndarray
    masks: list[dict[str, Any]] | None

    @classmethod
    def of(cls, values: Mapping[str, Any], where: str, kinds: Sequence[Kind], *, has_scores: bool = False) -> Objects:
        """From a target, or a prediction.

        Raises:
            ValueError: for keys that are missing or do not fit together.
        """
        wanted = ["boxes", "labels", *(["scores"] if has_scores else []), *(["masks"] if "masks" in kinds else [])]
        if missing := [key for key in wanted if key not in values]:
            raise ValueError(f"the {where} has no {', '.join(missing)}; its keys are {sorted(values)}")
        boxes = _array(values["boxes"]).reshape(-1, 4).astype(np.float64)
        count = len(boxes)
        for key in (*wanted, "area", "iscrowd"):
            if key in values and len(values[key]) != count:
                raise ValueError(f"the {where} has {count} boxes and {len(values[key])} {key}")
        if not np.isfinite(boxes).all():
            raise ValueError(f"the {where} has boxes that are not finite")
        masks = _compressed(_array(values["masks"]), where) if "masks" in kinds else None
        return cls(
            boxes,
            _array(values["labels"]).astype(np.int64),
            _array(values["area"]).astype(np.float64) if "area" in values else _areas(boxes, masks),
            _array(values["iscrowd"]).astype(np.int64) if "iscrowd" in values else np.zeros(count, np.int64),
            _array(values["scores"]).astype(np.float64) if has_scores else np.ones(count),
            masks,
        )


def as_coco(coco: Any, images: Sequence[tuple[Objects, Objects]], kind: Kind, part: int) -> Any:
    """One side of it in COCO's own form: part 0 of the pairs is the truth, part 1 what was predicted."""
    annotations = [
        annotation
        for image, pair in enumerate(images)
        for annotation in _annotations(pair[part], image, kind, is_truth=part == 0)
    ]
    labels = np.unique(np.concatenate([truth.labels for truth, _ in images])).tolist()
    coco.dataset = {
        "images": [{"id": image, "height": None, "width": None} for image in range(len(images))],  # masks know theirs
        "categories": [{"id": label} for label in labels],
        "annotations": [{"id": number, **one} for number, one in enumerate(annotations, start=1)],
    }
    coco.createIndex()
    return coco


def _array(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _compressed(masks: np.ndarray, where: str) -> list[dict[str, Any]]:
    from pycocotools import mask

    if masks.ndim == 4 and masks.shape[1] == 1:
        masks = masks[:, 0]
    if masks.ndim != 3:
        raise ValueError(f"the {where} has masks of shape {masks.shape}; they are (N, H, W) or (N, 1, H, W)")
    on = masks >= 0.5 if masks.dtype.kind == "f" else masks != 0
    return [mask.encode(np.asfortranarray(one, np.uint8)) for one in on]


def _areas(boxes: np.ndarray, masks: list[dict[str, Any]] | None) -> np.ndarray:
    if masks is None:
        return np.asarray((boxes[:, 2:] - boxes[:, :2]).prod(1))
    return _mask_areas(masks)


def _mask_areas(masks: list[dict[str, Any]]) -> np.ndarray:
    from pycocotools import mask

    return np.asarray(mask.area(masks) if masks else [], np.float64)


def _annotations(objects: Objects, image: int, kind: Kind, *, is_truth: bool) -> Iterable[dict[str, Any]]:
    area = objects.area
    if not is_truth:  # a prediction has no area of its own
        area = _areas(objects.boxes, objects.masks if kind == "masks" else None)
    for place, (left, top, right, bottom) in enumerate(objects.boxes.tolist()):
        yield {
            "image_id": image,
            "category_id": int(objects.labels[place]),
            "bbox": [left, top, right - left, bottom - top],
            "area": float(area[place]),
            "iscrowd": int(objects.iscrowd[place]),
            "score": float(objects.scores[place]),
            **({"segmentation": objects.masks[place]} if kind == "masks" and objects.masks is not None else {}),
        }
