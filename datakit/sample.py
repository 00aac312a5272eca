"""What the keys of a sample mean. A sample is a plain `dict`; the key says what the value is.

A dataset may add keys of its own. It never gives one of these another meaning:

| key | value |
| --- | --- |
| `image` | `uint8` ndarray (H, W, C), RGB or one channel; after `ToTensor` a `float32` tensor (C, H, W) in [0, 1] |
| `landmarks` | `float32` (K, 2), x then y, pixels |
| `boxes` | `float32` (N, 4), x1 y1 x2 y2, pixels |
| `labels` | `int64` (N,), one class per object |
| `masks` | `uint8` (N, H, W), 1 where the object is |
| `area` | `float32` (N,), pixels² |
| `iscrowd` | `int64` (N,), 1 for a crowd |
| `keypoints` | `float32` (N, K, 3), x, y in pixels and visibility: 0 not labelled (x = y = 0), 1 hidden, 2 visible |
| `scores` | `float32` (N,) in [0, 1], of predictions |
| `object_…` | (N, …), anything else that belongs to an object: a name that begins with `object_` says so |
| `image_id` | `int` |
| `waveform` | `float32` tensor (C, T) in [-1, 1] |
| `sample_rate` | `int`, Hz, of the waveform, or of the sound that a spectrogram was made of |
| `codes` | `int64` (C, T), a waveform in codes of mu-law |
| `spectrogram` | `float32` (C, F, T): F bins, mel bands or coefficients, T frames; `complex64` with phases |
| `features` | `float32` (T, F) |
| `text` | `str` |
| `tokens` | `int64` (T,), the text in numbers of a vocabulary |
| `target_text`, `target_tokens` | as `text` and `tokens`: what a model shall make of them, such as a translation |
| `length` | `int`, valid steps of a padded sequence |
| `label` | `int`; names in `dataset.classes` |
| `index`, `path` | where the sample came from, for messages and pictures |

Coordinates are continuous: pixel *i* covers [i, i + 1). A mask whose pixels reach column *k* has its box end at
*k* + 1.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch

Sample: TypeAlias = dict[str, Any]

PER_OBJECT = ("boxes", "labels", "masks", "area", "iscrowd", "keypoints", "scores")
"""Keys whose first axis counts the objects of an image; so do those that begin with `object_`."""

SPATIAL = ("image", "landmarks", "boxes", "masks", "keypoints")
"""Keys that move when the image is cropped, scaled or flipped."""

SEQUENCES = ("waveform", "codes", "spectrogram", "features", "tokens", "target_tokens")
"""Keys of variable length."""

TIME_LAST = ("waveform", "codes", "spectrogram")
"""Those of `SEQUENCES` whose time axis is the last; it is the first of the others."""

UNITS = {
    "landmarks": "px",
    "boxes": "px",
    "area": "px²",
    "sample_rate": "Hz",
    "length": "steps",
}
"""The unit of a key's values, where it has one."""


def per_object(sample: Sample) -> list[str]:
    """The keys of `sample` whose first axis counts its objects: they are kept and dropped together."""
    own = [key for key in sample if isinstance(key, str) and key.startswith("object_")]
    return [*(key for key in PER_OBJECT if key in sample), *own]


def picked(values: Any, kept: Any) -> Any:
    """The entries of an array, a tensor or a list for the objects at `kept`, int (M,)."""
    if isinstance(values, list | tuple):
        return type(values)(values[place] for place in kept)
    return values[torch.as_tensor(kept)] if isinstance(values, torch.Tensor) else values[np.asarray(kept)]
