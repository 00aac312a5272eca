"""Sizes of the images of a dataset, from their headers, and groups of like shape."""

from __future__ import annotations

import numpy as np

from datakit.dataset import Dataset
from datakit.derived import AsTuple, Concat, Subset
from datakit.errors import DatakitError
from datakit.vision.io import image_size


def image_sizes(dataset: Dataset) -> np.ndarray:
    """Height and width of every image as loaded, int64 (n, 2), pixels; nothing is decoded.

    A dataset that has `get_height_and_width(index)` is asked; of others the headers of the image files are read.

    Raises:
        DatakitError: for a dataset that has neither.
        MissingDataError: a file is not there.
        CorruptDataError: a file is no image; it says which.

    Examples:
        >>> from datakit.vision import FaceLandmarks, image_sizes
        >>> image_sizes(FaceLandmarks.synthetic(n=4))[1].tolist()
        [389, 209]
    """
    sizes = np.empty((len(dataset), 2), np.int64)
    for index in range(len(dataset)):
        sizes[index] = _size(dataset, index)
    return sizes


def aspect_ratio_groups(dataset: Dataset, k: int = 3) -> np.ndarray:
    """A group for each image by its width / height, int64 (n,), for `Loader(..., groups=...)`.

    The borders are 2^(-1), 2^(-1 + 1/k) … 2^1, as torchvision's reference training has them; with `k=0` there is one,
    1: upright and wide. Batches of one group need less padding, and so less memory and time, in a detector.

    Examples:
        >>> from datakit import Loader, collate
        >>> from datakit.transforms import ToTensor
        >>> from datakit.vision import PennFudan, aspect_ratio_groups
        >>> pedestrians = PennFudan.synthetic(n=12, transform=ToTensor())
        >>> groups = aspect_ratio_groups(pedestrians)
        >>> loader = Loader(pedestrians, 2, shuffle=True, groups=groups, collate_fn=collate.detection)
    """
    if k < 0:
        raise ValueError(f"aspect_ratio_groups needs k of at least 0, got {k}")
    heights, widths = image_sizes(dataset).T
    borders = 2.0 ** np.linspace(-1, 1, 2 * k + 1) if k else np.ones(1)
    return np.asarray(np.searchsorted(borders, widths / heights, side="right"))


def _size(dataset: Dataset, index: int) -> tuple[int, int]:
    own = getattr(dataset, "get_height_and_width", None)
    if own is not None:
        height, width = own(index)
        return int(height), int(width)
    if isinstance(dataset, Subset):
        return _size(dataset.dataset, int(dataset.indices[index]))
    if isinstance(dataset, AsTuple):
        return _size(dataset.dataset, index)
    if isinstance(dataset, Concat):
        return _size(*dataset.part_of(index))
    file = dataset.path_of(index)
    if file is None:
        raise DatakitError(
            f"{dataset!r} has no image files to read sizes from; give it a method get_height_and_width(index)"
        )
    return image_size(dataset.root / file)
