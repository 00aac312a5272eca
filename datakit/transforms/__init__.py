"""Transforms over sample dicts. Any callable on a sample is one; these also take the sample's generator."""

from datakit.chain import Compose
from datakit.transforms.base import Random
from datakit.transforms.colour import ColorJitter
from datakit.transforms.detection import RandomIoUCrop, RandomZoomOut, ScaleJitter
from datakit.transforms.vision import (
    COCO_PAIRS,
    FACE68_PAIRS,
    CenterCrop,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Rescale,
    ToTensor,
)

__all__ = [
    "COCO_PAIRS",
    "FACE68_PAIRS",
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "Normalize",
    "Random",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomIoUCrop",
    "RandomResizedCrop",
    "RandomVerticalFlip",
    "RandomZoomOut",
    "Rescale",
    "ScaleJitter",
    "ToTensor",
]
