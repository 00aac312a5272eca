"""`from_hf`."""

from __future__ import annotations

from typing import Any

from datakit.chain import Transform
from datakit.errors import DatakitError
from datakit.hugging_face.iterable import HuggingFaceStream
from datakit.hugging_face.plan import Choice
from datakit.hugging_face.tables import HuggingFace


def from_hf(
    dataset: Any, columns: Choice = None, *, transform: Transform | None = None
) -> HuggingFace | HuggingFaceStream:
    """A dataset of Hugging Face `datasets` as one of datakit; images and sounds are decoded by datakit.

    | column | key of the sample | value |
    | --- | --- | --- |
    | the only `Image` | `image`, `path` where it has one | as `read_image` gives it, in the declared mode, else RGB |
    | the only `Audio` | `waveform`, `sample_rate`, `path` | as `audio.load` gives it |
    | the only `ClassLabel` | `label` | `int`, names in `classes` |
    | further ones of these, and those inside others | as the column | an array; a dict of waveform and rate; `int` |
    | `Value` | as the column | `int`, `float`, `bool`, `str`, `bytes`, dates; `None` for null |
    | `List` of numbers, also in lists; `Array2D` … | as the column | ndarray of the declared dtype |
    | lists in a list that differ in length | as the column | list of ndarrays |
    | other lists, structs | as the column | list, dict |

    What `to_hf` wrote comes back as it was, tensors as tensors. Nulls among numbers, and in place of an image, a sound
    or a label, are errors that name row and column. Nothing is fetched: a row whose image is at an address is an error.

    Args:
        dataset: a `datasets.Dataset`, or a `datasets.IterableDataset`, of which a `Stream` is made.
        columns: keys of the sample and the column behind each, such as `{"image": "photo", "boxes": "objects.bbox"}`,
            where a dot leads into a struct or a list of structs; or a list of columns. Nothing else is read.
        transform: runs on the sample.

    Raises:
        DatakitError: for a dict of splits, a dataset with a transform of its own, a stream that was split by node, or a
            column that datakit does not read, such as a video.
        UnknownNameError: there is no such column.
        TypeError: it is no dataset of Hugging Face.

    Examples:
        >>> import datasets, datakit
        >>> from PIL import Image
        >>> pets = datasets.Dataset.from_dict(
        ...     {"photo": [Image.new("RGB", (30, 20))], "kind": [1], "bbox": [[[0, 0, 9, 9]]]},
        ...     features=datasets.Features(
        ...         photo=datasets.Image(),
        ...         kind=datasets.ClassLabel(names=["cat", "dog"]),
        ...         bbox=datasets.List(datasets.List(datasets.Value("float32"), length=4)),
        ...     ),
        ... )
        >>> ds = datakit.from_hf(pets)
        >>> ds
        HuggingFace(image, label, bbox): 1 record, 2 classes: cat, dog
        >>> ds[0]["image"].shape, ds[0]["label"], ds[0]["bbox"]
        ((20, 30, 3), 1, array([[0., 0., 9., 9.]], dtype=float32))
    """
    import datasets

    if isinstance(dataset, datasets.IterableDataset):
        return HuggingFaceStream(dataset, columns, transform)
    if isinstance(dataset, dict):
        raise DatakitError(f"this holds the splits {', '.join(map(repr, dataset))}; give one of them, such as [...]")
    if not isinstance(dataset, datasets.Dataset):
        raise TypeError(f"from_hf takes a dataset of Hugging Face, got {type(dataset).__name__}; others go into Mapped")
    if dataset.format["type"] == "custom":
        raise DatakitError(
            "the dataset has a transform of its own (set_transform), which sees other values than datakit gives: take "
            "dataset.with_format(None) and pass from_hf(..., transform=...), or put it into Mapped as it is"
        )
    return HuggingFace(dataset, columns, transform)
