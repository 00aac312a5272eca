"""`datakit.show`: the pictures and tables of `inspect` in a notebook, for a dataset, a loader, a batch or a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch.utils.data import DataLoader

from datakit.dataset import Dataset
from datakit.derived import Mapped
from datakit.errors import DatakitError
from datakit.files.writing import write_whole
from datakit.inspection.batch import split
from datakit.inspection.look import Inspected, Inspection, Stage, chain_names, look
from datakit.inspection.normalize import with_normalize
from datakit.inspection.picture import image_in, normalizers
from datakit.inspection.records import inspected
from datakit.inspection.sound import sound_in
from datakit.inspection.spectrum import steps_by_name
from datakit.inspection.summary import summarise
from datakit.inspection.text import has_text
from datakit.report.contact_sheet import contact_sheet
from datakit.report.figures import grid_of, record_of
from datakit.report.page import render
from datakit.report.room import room_of
from datakit.report.templating import environment
from datakit.report.terminal import inspection_lines
from datakit.report.text.batch import written_batch
from datakit.sampling import Key, KeySampler
from datakit.targets import Target
from datakit.transforms import Normalize

_SIDE = 320  # pixels of a picture
_NO_INDEX = -1
_OUTPUTS = count(1)  # so that no two outputs of a notebook share an id


@dataclass(frozen=True)
class Shown:
    """What `show` found: pictures in a notebook, a table in a terminal.

    Attributes:
        inspection: the samples and the batch.
    """

    inspection: Inspection

    def save(self, path: str | Path) -> Path:
        """Write it: `.html` as a whole page, `.png` as the grid of pictures alone.

        Args:
            path: a file that is there already is replaced.

        Raises:
            DatakitError: for any other ending, and for a PNG of what has no image, sound or text.
        """
        place = Path(path)
        if place.suffix.lower() not in (".html", ".htm", ".png"):
            raise DatakitError(f"cannot save {place}: give an ending of .html for a page or .png for a grid")
        is_picture = place.suffix.lower() == ".png"
        text = "" if is_picture else render(self.inspection)
        write_whole(place, contact_sheet(self.inspection) if is_picture else text.encode("utf-8", "backslashreplace"))
        return place

    def __repr__(self) -> str:
        return click.unstyle("\n".join([*inspection_lines(self.inspection), *self.inspection.errors])).rstrip()

    def _repr_html_(self) -> str:
        room = room_of(self.inspection, _SIDE)
        grid, unseen = grid_of(self.inspection, room)
        batch = self.inspection.batch
        return (
            environment()
            .get_template("show.html")
            .render(
                page=self.inspection,
                records=[record_of(sample, self.inspection, room) for sample in self.inspection.samples],
                prefix=f"datakit-show-{next(_OUTPUTS)}-",
                grid=grid,
                unseen=unseen,
                written=written_batch(self.inspection, has_pictures=bool(grid)),
                rows=[] if batch is None else summarise(batch),
            )
        )


def show(
    dataset_or_batch: Any,
    *,
    samples: int = 4,
    seed: int = 0,
    classes: Sequence[str] = (),
    normalize: Normalize | None = None,
) -> Shown:
    """Look at data in a notebook: the pictures and key tables of `datakit inspect`.

    Args:
        dataset_or_batch: a dataset, ours or any other with an index: the first samples of its shuffled order, stage by
            stage. A `DataLoader`: its first batch. A batch as a collate function makes it, or one sample.
        samples: how many samples of a dataset.
        seed: of order and transforms.
        classes: names of the labels, where the dataset does not know them.
        normalize: a normalisation to undo in pictures, where it is not in the dataset's chain.

    Returns:
        What Jupyter shows as pictures and a terminal as a table; `.save("page.html")` and `.save("grid.png")` keep it.

    Raises:
        DatakitError: for something that is none of these.

    Examples:
        >>> import datakit
        >>> from datakit.transforms import CenterCrop
        >>> faces = datakit.vision.FaceLandmarks.synthetic(n=4, transform=CenterCrop(160))
        >>> print(datakit.show(faces, samples=1))  # doctest: +ELLIPSIS
        FaceLandmarks(...): 4 records
        CenterCrop(160)
        ...
    """
    inspection = _inspection(dataset_or_batch, samples, seed, tuple(classes))
    return Shown(inspection if normalize is None else with_normalize(inspection, normalize))


def _inspection(given: Any, samples: int, seed: int, classes: Sequence[str]) -> Inspection:
    if isinstance(given, DataLoader):
        return _of_loader(given, classes)
    if isinstance(given, dict | list | tuple | torch.Tensor | np.ndarray) or hasattr(given, "getbands"):
        return _of_values(given, classes)
    try:
        dataset = given if isinstance(given, Dataset) else Mapped(given)
    except TypeError:
        kind = type(given).__name__
        what = "a dataset with len() and [i], a DataLoader, a batch or a sample"
        raise DatakitError(f"cannot show {kind}: give {what}") from None
    return _of_dataset(dataset, samples, seed, classes)


def _of_loader(loader: DataLoader[Any], classes: Sequence[str]) -> Inspection:
    dataset = loader.dataset if isinstance(loader.dataset, Dataset) else None
    seen = look(Target("the loader", dataset, loader), samples=0, draws=0, survey_records=0)
    return _made(
        seen.dataset,
        classes or tuple(seen.classes),
        batch=seen.batch,
        error=seen.batch_error,
        loader=seen.loader.removeprefix("your "),
        chain=seen.chain,
        normalize=normalizers(dataset),
        steps=steps_by_name(dataset),
    )


def _of_values(value: Any, classes: Sequence[str]) -> Inspection:
    kind = type(value).__name__
    is_sample = image_in(value) is not None or sound_in(value) is not None or has_text(value)
    if not is_sample or split(value):
        return _made(f"a batch: {kind}", classes, batch=value)
    keys = value if isinstance(value, dict) else {}
    index, path = keys.get("index", _NO_INDEX), keys.get("path")
    key = Key(0, 0, index if isinstance(index, int) else _NO_INDEX)
    alone = Inspected(key, path if isinstance(path, str) else None, (Stage("as it is", value),))
    return _made(f"a sample: {kind}", classes, samples=(alone,))


def _of_dataset(dataset: Dataset, samples: int, seed: int, classes: Sequence[str]) -> Inspection:
    order = KeySampler(len(dataset), seed=seed, shuffle=True, rank=0, world_size=1).order(0)
    seen = tuple(inspected(dataset, Key(seed, 0, int(index))) for index in order[:samples])
    chain = max((sample.stages for sample in seen), key=len, default=())
    return _made(
        repr(dataset),
        classes or tuple(dataset.classes),
        samples=seen,
        chain=tuple(stage.name for stage in chain[1:]) or tuple(chain_names(dataset)),
        normalize=normalizers(dataset),
        steps=steps_by_name(dataset),
        seed=seed,
    )


def _made(
    name: str,
    classes: Sequence[str],
    *,
    samples: tuple[Inspected, ...] = (),
    batch: Any = None,
    error: str | None = None,
    loader: str = "",
    chain: tuple[str, ...] = (),
    normalize: dict[str, Normalize] | None = None,
    steps: dict[str, Any] | None = None,
    seed: int = 0,
) -> Inspection:
    return Inspection(
        target="datakit.show",
        dataset=name,
        records=None,
        classes=classes,
        chain=chain,
        seed=seed,
        samples=samples,
        batch=batch,
        batch_error=error,
        is_raw=False,
        loader=loader,
        normalize=normalize or {},
        steps=steps or {},
    )
