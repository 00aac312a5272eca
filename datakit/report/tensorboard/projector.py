"""The embedding projector: points with thumbnails and class names."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps

from datakit import collate
from datakit.dataset import Dataset
from datakit.derived import Mapped
from datakit.errors import DatakitError
from datakit.inspection.picture import image_in, normalizers, shown
from datakit.report.figures import label_of
from datakit.sampling import Key, KeySampler
from datakit.transforms import Normalize

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Seen: TypeAlias = tuple[Any, Normalize | None]
Features: TypeAlias = Callable[[Any], torch.Tensor]

_SPRITE = 8192  # pixels of a side: a larger texture is more than TensorBoard takes
_THUMBNAIL = 64
_PIXELS = 32  # of a side, where pixels are the features: they are written as text
_BATCH = 32
_COLUMNS = ("class", "index", "path")


def embedding(
    writer: SummaryWriter,
    dataset: Any,
    features: Features | None = None,
    *,
    n: int = 100,
    tag: str = "embedding",
    step: int = 0,
    seed: int = 0,
    classes: Sequence[str] = (),
    normalize: Normalize | None = None,
) -> None:
    """Samples as points of the projector, each with its picture, class, index and path.

    Args:
        writer: of the run.
        dataset: ours, any other with an index, or a list of samples; each sample with an image.
        features: from a batch, as `collate.stack` makes it of up to 32 samples, to (B, F) floating point. It is called
            without gradients. By default the pixels, in [0, 1], of images shrunk to at most 32 × 32.
        n: how many; the first ones of the shuffled order.
        tag: what it is called in TensorBoard.
        step: of the training.
        seed: of order and transforms.
        classes: names of the labels, where the dataset does not know them.
        normalize: what to undo in pictures and pixels, where it is not in the chain.

    Raises:
        DatakitError: for samples without an image, no samples at all, and features that are not one row a sample.
        SampleError: for a record that cannot be read.

    Examples:
        >>> import datakit
        >>> from datakit.report import tensorboard
        >>> from datakit.transforms import Compose, Rescale, ToTensor
        >>> faces = datakit.vision.FaceLandmarks.synthetic(n=8, transform=Compose([Rescale((32, 32)), ToTensor()]))
        >>> with tensorboard.writer("runs/embedding") as writer:
        ...     tensorboard.embedding(writer, faces, lambda batch: batch["landmarks"].flatten(1), n=8)
    """
    known = dataset if isinstance(dataset, Dataset) else Mapped(dataset)
    names = classes or tuple(known.classes)
    count = min(n, len(known))
    samples = ((sample, normalize or own) for sample, own in _read(known, count, seed))
    add_points(writer, samples, count, features, tag=tag, step=step, classes=names)


def add_points(
    writer: SummaryWriter,
    samples: Iterable[Seen],
    count: int,
    features: Features | None = None,
    *,
    tag: str = "embedding",
    step: int = 0,
    classes: Sequence[str] = (),
) -> None:
    """`count` samples, each with the normalisation to undo, as points of the projector."""
    if count < 1:
        raise DatakitError("embedding: there are no samples")
    side = max(1, min(_THUMBNAIL, _SPRITE // math.ceil(math.sqrt(count))))
    rows, points, thumbnails = list[tuple[str, ...]](), list[np.ndarray](), list[np.ndarray]()
    stream = iter(samples)
    size: tuple[int, int] | None = None
    while part := list(islice(stream, _BATCH)):
        pictures = [_picture(sample, normalize) for sample, normalize in part]
        size = size or (min(_PIXELS, pictures[0].width), min(_PIXELS, pictures[0].height))
        thumbnails += [_thumbnail(picture, side) for picture in pictures]
        rows += [_row(sample, classes) for sample, _ in part]
        points.append(_pixels(pictures, size) if features is None else _features(features, [one for one, _ in part]))
    matrix = np.concatenate(points)
    if features is None:
        matrix = _without_colour(matrix)
    metadata, header = _table(rows)
    planes = torch.from_numpy(np.stack(thumbnails)).permute(0, 3, 1, 2)
    sprites = (planes.float() + 0.5) / 255  # SummaryWriter multiplies by 255 and cuts off what is behind the point
    writer.add_embedding(matrix, metadata, sprites, step, tag, metadata_header=header)


def _read(dataset: Dataset, count: int, seed: int) -> Iterator[Seen]:
    known = normalizers(dataset)
    for index in KeySampler(len(dataset), seed=seed, shuffle=True, rank=0, world_size=1).order(0)[:count]:
        stages = list(dataset.trace(Key(seed, 0, int(index))))
        yield stages[-1][1], next((known[name] for name, _ in reversed(stages) if name in known), None)


def _picture(sample: Any, normalize: Normalize | None) -> Image.Image:
    image = image_in(sample)
    if image is None:
        raise DatakitError("embedding: a sample has no image under the key 'image' or in a tuple")
    return Image.fromarray(shown(image, normalize).pixels)


def _thumbnail(picture: Image.Image, side: int) -> np.ndarray:
    is_small = max(picture.size) < side
    method = Image.Resampling.NEAREST if is_small else Image.Resampling.LANCZOS
    return np.asarray(ImageOps.pad(picture, (side, side), method))


def _pixels(pictures: Sequence[Image.Image], size: tuple[int, int]) -> np.ndarray:
    small = [picture.resize(size, Image.Resampling.BOX) for picture in pictures]
    return np.stack([np.asarray(picture, np.float32) / 255 for picture in small])


def _without_colour(pixels: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) as rows; one channel of three where all are grey."""
    is_grey = (pixels == pixels[..., :1]).all()
    return np.asarray((pixels[..., :1] if is_grey else pixels).reshape(len(pixels), -1))


def _features(features: Features, samples: list[Any]) -> np.ndarray:
    with torch.no_grad():
        found = features(collate.stack(samples))
    values = found.detach().cpu().float().numpy() if isinstance(found, torch.Tensor) else np.asarray(found)
    if values.ndim != 2 or len(values) != len(samples):
        raise DatakitError(f"embedding: features gave {values.shape} for {len(samples)} samples; give (B, F)")
    return values


def _row(sample: Any, classes: Sequence[str]) -> tuple[str, ...]:
    keys = sample if isinstance(sample, dict) else {}
    texts = (label_of(sample, classes), str(keys.get("index", "")), str(keys.get("path", "")))
    return tuple(" ".join(text.split()) for text in texts)


def _table(rows: Sequence[tuple[str, ...]]) -> tuple[list[Any] | None, list[str] | None]:
    """The columns that say something; TensorBoard wants no header where there is only one."""
    kept = [place for place in range(len(_COLUMNS)) if any(row[place] for row in rows)]
    if not kept:
        return None, None
    if len(kept) == 1:
        return [row[kept[0]] for row in rows], None
    return [[row[place] for place in kept] for row in rows], [_COLUMNS[place] for place in kept]
