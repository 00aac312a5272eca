"""Batches, stages and predictions as images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from datakit.errors import DatakitError
from datakit.inspection.batch import split
from datakit.inspection.labels import labels_of
from datakit.inspection.look import Inspection
from datakit.inspection.seen import Inspected
from datakit.inspection.sound import changed
from datakit.report.contact_sheet import Tile, grid_sheet, sheet, side_for, stage_sheet
from datakit.report.drawing import draw
from datakit.report.show import show
from datakit.report.tensorboard.checks import scores_of
from datakit.report.text.passages import passages_of
from datakit.transforms import Normalize

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_TOKENS = 200  # of a sequence
_RIGHT, _WRONG = (0, 110, 60), (200, 40, 0)  # they differ in lightness too, and a mark says it again


def images(
    writer: SummaryWriter,
    data: Any,
    *,
    tag: str = "batch",
    step: int = 0,
    samples: int = 16,
    seed: int = 0,
    classes: Sequence[str] = (),
    normalize: Normalize | None = None,
) -> None:
    """A grid of images with landmarks, boxes, masks, class names and scores drawn on them, normalisation undone.

    Sounds are drawn as waveforms and spectrograms with axes, tokens as a matrix with their numbers.

    A detector's predictions are `images(writer, (images, model(images)), classes=…)`.

    Args:
        writer: of the run.
        data: what `datakit.show` takes: a batch as a collate function makes it (at most 64 of it are shown), one
            sample, a `DataLoader` (its first batch) or a dataset.
        tag: what it is called in TensorBoard.
        step: of the training.
        samples: how many, of a dataset.
        seed: of order and transforms, of a dataset.
        classes: names of the labels, where the data do not know them.
        normalize: what to undo; of a dataset or a loader it is found in the chain.

    Raises:
        DatakitError: for what has neither images nor sounds nor texts.

    Examples:
        >>> import torch
        >>> from datakit.report import tensorboard
        >>> from datakit.transforms import Normalize
        >>> half = Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
        >>> batch = {"image": torch.rand(4, 3, 32, 32) * 2 - 1, "label": torch.tensor([0, 1, 1, 0])}
        >>> with tensorboard.writer("runs/images") as writer:
        ...     tensorboard.images(writer, batch, classes=("ant", "bee"), normalize=half)
    """
    shown = show(data, samples=samples, seed=seed, classes=classes, normalize=normalize)
    add_picture(writer, tag, grid_sheet(shown.inspection), step)


def stages(
    writer: SummaryWriter,
    dataset: Any,
    *,
    tag: str = "samples",
    step: int = 0,
    samples: int = 4,
    seed: int = 0,
    classes: Sequence[str] = (),
    normalize: Normalize | None = None,
) -> None:
    """Samples of a dataset as loaded and after each transform: one image a sample, `tag/index`.

    Args:
        writer: of the run.
        dataset: ours or any other with an index.
        tag: what comes before the index.
        step: of the training.
        samples: how many; the first ones of the shuffled order.
        seed: of order and transforms.
        classes: names of the labels, where the dataset does not know them.
        normalize: what to undo, where it is not in the chain.

    Raises:
        DatakitError: for what is no dataset, and for a record that cannot be read.

    Examples:
        >>> import datakit
        >>> from datakit.report import tensorboard
        >>> from datakit.transforms import CenterCrop
        >>> faces = datakit.vision.FaceLandmarks.synthetic(n=4, transform=CenterCrop(160))
        >>> with tensorboard.writer("runs/stages") as writer:
        ...     tensorboard.stages(writer, faces, samples=2)
    """
    shown = show(dataset, samples=samples, seed=seed, classes=classes, normalize=normalize)
    if shown.inspection.errors:
        raise DatakitError(shown.inspection.errors[0])
    for seen in shown.inspection.samples:
        if (picture := stage_sheet(seen, shown.inspection)) is not None:
            add_picture(writer, f"{tag}/{seen.key.index}", picture, step)


def predictions(
    writer: SummaryWriter,
    batch: Any,
    scores: Any,
    *,
    tag: str = "predictions",
    step: int = 0,
    most: int = 16,
    classes: Sequence[str] = (),
    normalize: Normalize | None = None,
) -> None:
    """Images with the likeliest class, its probability and the label: green and ✓ where right, red and ✗ where wrong.

    Args:
        writer: of the run.
        batch: with images, as a collate function makes it; with `label` (B,), int, where the truth is known.
        scores: (B, C), floating point, [0, 1]: probabilities, such as `logits.softmax(1)`.
        tag: what it is called in TensorBoard.
        step: of the training.
        most: how many are shown, from the start of the batch.
        classes: names of the labels.
        normalize: what was applied to the images, to be undone.

    Raises:
        DatakitError: for a batch without images, and for scores that are no probabilities or not one row an image.

    Examples:
        >>> import torch
        >>> from datakit.report import tensorboard
        >>> batch = {"image": torch.rand(4, 3, 32, 32), "label": torch.tensor([0, 1, 1, 0])}
        >>> logits = torch.randn(4, 2)
        >>> with tensorboard.writer("runs/predictions") as writer:
        ...     tensorboard.predictions(writer, batch, logits.softmax(1), classes=("ant", "bee"))
    """
    rows = scores_of(scores, "predictions")
    samples = split(batch)
    if not samples or len(samples) != len(rows):
        raise DatakitError(f"predictions: the batch has {len(samples)} images, the scores have {len(rows)} rows")
    count = min(most, len(samples))
    pairs = zip(samples[:count], rows[:count], strict=True)
    tiles = [_predicted(sample, row, classes, normalize, side_for(count)) for sample, row in pairs]
    add_picture(writer, tag, sheet(tiles), step)


def add_picture(writer: SummaryWriter, tag: str, picture: Image.Image, step: int) -> None:
    """An RGB image under `tag`."""
    writer.add_image(tag, np.asarray(picture), step, dataformats="HWC")


def add_sounds(writer: SummaryWriter, seen: Inspected) -> None:
    """The waveforms of a sample, of several channels their mean: `sounds/index/stage`."""
    before: Any = None
    for stage in seen.stages:
        for sound in changed(stage.sample, before):
            if sound.key == "waveform" and sound.rate:
                heard = torch.from_numpy(sound.values[:, : sound.valid].astype(np.float32)).mean(0, keepdim=True)
                writer.add_audio(f"sounds/{seen.key.index}/{stage.name}", heard.nan_to_num(0.0), 0, sound.rate)
        before = stage.sample


def add_texts(writer: SummaryWriter, seen: Inspected, inspection: Inspection) -> None:
    """The texts and tokens of a sample, as Markdown: `text/index`, a row for each stage that changed them."""
    rows = []
    for passage in passages_of(seen.stages, inspection.coders_after, _TOKENS):
        lines = [(prose.key, prose.first + ("…" if prose.folded else "")) for prose in passage.texts]
        lines += [(run.key, " ".join(chip.text for chip in run.first)) for run in passage.runs]
        rows += [(passage.name, key, text) for key, text in lines]
    if rows:
        cells = "\n".join(f"| {' | '.join(map(_code, row))} |" for row in rows)
        writer.add_text(f"text/{seen.key.index}", f"| stage | key | value |\n| --- | --- | --- |\n{cells}", 0)


def _code(text: str) -> str:
    """As code in a cell of a table, where no Markdown and no HTML counts."""
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    blank = " " if "`" in text else ""
    return f"{ticks}{blank}{' '.join(text.split())}{blank}{ticks}".replace("|", "\\|")


def _predicted(
    sample: dict[str, Any], row: np.ndarray, classes: Sequence[str], normalize: Normalize | None, side: int
) -> Tile:
    drawing = draw(sample, classes=classes, normalize=normalize, side=side)
    if drawing is None:
        raise DatakitError("predictions: a sample of the batch has no image")
    found, best = labels_of(sample), int(row.argmax())
    said = f"{_name(best, classes)} {100 * row[best]:.1f} %"
    if found is None or found[0] != "label":
        return Tile(drawing.image, said)
    label = int(found[1][0])
    is_right = label == best
    mark, colour = ("✓", _RIGHT) if is_right else ("✗", _WRONG)
    return Tile(drawing.image, f"{mark} {said}\nlabel: {_name(label, classes)}", colour, framed=True)


def _name(label: int, classes: Sequence[str]) -> str:
    return str(classes[label]) if 0 <= label < len(classes) else str(label)
