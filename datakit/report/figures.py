"""Samples of an inspection as pictures with captions and tables of keys, for the page and the notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datakit.inspection.batch import split
from datakit.inspection.labels import labels_of
from datakit.inspection.look import Inspected, Inspection, Stage
from datakit.inspection.normalize import BATCH
from datakit.report.drawing import Drawing, draw
from datakit.report.history import History, history
from datakit.report.objects import objects_of

IN_GRID = 64
"""Samples of a batch that are shown."""

_SIDE = 448  # pixels of a picture
_PIXELS = 24e6  # of all pictures together: about 6 MB as JPEG


@dataclass(frozen=True)
class Figure:
    """A picture with its caption."""

    src: str
    alt: str
    name: str
    details: str
    width: int
    height: int
    pixelated: bool


@dataclass(frozen=True)
class Record:
    """A sample on the page.

    Attributes:
        title: its heading.
        path: the file behind it.
        figures: a picture of every stage that has an image.
        keys: what became of each key.
        error: why it came no further.
        index: of the record; None for a sample that came without one.
    """

    title: str
    path: str | None
    figures: list[Figure]
    keys: list[History]
    error: str | None
    index: int | None


@dataclass(frozen=True)
class Draws:
    """One record in several epochs.

    Attributes:
        title: what that record is called.
        figures: the last stage of each epoch.
        keys: of the last stage, from epoch to epoch.
        errors: of the epochs in which it failed.
    """

    title: str
    figures: list[Figure]
    keys: list[History]
    errors: list[str]


@dataclass(frozen=True)
class Member:
    """A sample of the batch, drawn."""

    drawing: Drawing
    sample: dict[str, Any]
    place: int
    name: str


def side_of(inspection: Inspection) -> int:
    """Pixels of the longer side of a picture: fewer where there are very many pictures, for the size of the page."""
    pictures = sum(len(sample.stages) for sample in inspection.samples) + len(inspection.draws) + IN_GRID
    return int(min(_SIDE, max(_SIDE / 4, (_PIXELS / pictures) ** 0.5)))


def record_of(seen: Inspected, inspection: Inspection, side: int) -> Record:
    """A sample with a picture of every stage."""
    names = [stage.name for stage in seen.stages]
    figures = []
    for place, stage in enumerate(seen.stages):
        where = f"{_sample_name(seen)} {'as loaded' if place == 0 else f'after {stage.name}'}"
        figures.append(_stage_figure(stage.sample, names[: place + 1], inspection, side, stage.name, where))
    label = label_of(seen.stages[-1].sample, inspection.classes) if seen.stages else ""
    title = _sample_name(seen) + (f" · {label}" if label else "")
    index = seen.key.index if seen.key.index >= 0 else None
    drawn = [figure for figure in figures if figure is not None]
    return Record(_capital(title), seen.path, drawn, _history(seen.stages), seen.error, index)


def draws_of(inspection: Inspection, side: int) -> Draws | None:
    """The record that was drawn in several epochs; None where there is none."""
    if not inspection.draws:
        return None
    figures: list[Figure | None] = []
    for seen in inspection.draws:
        if seen.stages and seen.error is None:
            names, where = [stage.name for stage in seen.stages], f"{_sample_name(seen)} in epoch {seen.key.epoch}"
            name = f"epoch {seen.key.epoch}"
            figures.append(_stage_figure(seen.stages[-1].sample, names, inspection, side, name, where))
    whole = [seen for seen in inspection.draws if seen.stages and seen.error is None]
    epochs = [Stage(f"epoch {seen.key.epoch}", seen.stages[-1].sample) for seen in whole]
    errors = [f"epoch {seen.key.epoch}: {seen.error}" for seen in inspection.draws if seen.error is not None]
    drawn = [figure for figure in figures if figure is not None]
    return Draws(_sample_name(inspection.draws[0]), drawn, _history(epochs), errors)


def members_of(inspection: Inspection, side: int) -> tuple[list[Member], int]:
    """The samples of the batch, drawn, as many as are shown, and how many more there are."""
    normalize = inspection.normalized_by(["loaded", *inspection.chain, BATCH])
    samples, members = split(inspection.batch), []
    for place, sample in enumerate(samples[:IN_GRID]):
        drawing = draw(sample, classes=inspection.classes, normalize=normalize, side=side)
        if drawing is not None:
            name = label_of(sample, inspection.classes) or str(sample.get("index", place))
            members.append(Member(drawing, sample, place, name))
    return members, max(0, len(samples) - IN_GRID)


def grid_of(inspection: Inspection, side: int) -> tuple[list[Figure], int]:
    """The pictures of the batch, and how many samples are not among them."""
    members, unseen = members_of(inspection, min(side, _SIDE // 2))
    return [
        _figure(one.drawing, one.sample, one.name, f"sample {_place_of(one)} in the batch", inspection.classes)
        for one in members
    ], unseen


def label_of(sample: Any, classes: Sequence[str]) -> str:
    """The name of a sample's class, `label 3` where it has none; empty for a sample without a label."""
    found = labels_of(sample)
    if found is None or found[0] != "label":
        return ""
    label = int(found[1][0])
    return str(classes[label]) if 0 <= label < len(classes) else f"label {label}"


def _stage_figure(
    sample: Any, names: Sequence[str], inspection: Inspection, side: int, name: str, where: str
) -> Figure | None:
    drawing = draw(sample, classes=inspection.classes, normalize=inspection.normalized_by(names), side=side)
    return None if drawing is None else _figure(drawing, sample, name, where, inspection.classes)


def _figure(drawing: Drawing, sample: Any, name: str, where: str, classes: Sequence[str]) -> Figure:
    height, width = drawing.size
    points = sample.get("landmarks") if isinstance(sample, dict) else None
    objects = objects_of(sample, classes).in_words()
    drawn = [*([] if points is None else [f"{len(points)} landmarks"]), *([objects] if objects else [])]
    details = " · ".join(part for part in (f"{width} × {height}", objects, drawing.note) if part)
    alt = f"{where}, {width} by {height} pixels" + (f", with {', '.join(drawn)}" if drawn else "")
    return Figure(drawing.data_uri(), alt, name, details, *drawing.image.size, drawing.pixelated)


def _place_of(member: Member) -> Any:
    return member.sample.get("index", member.place)


def _history(stages: Sequence[Stage]) -> list[History]:
    return history([(stage.name, stage.sample) for stage in stages])


def _sample_name(seen: Inspected) -> str:
    return f"sample {seen.key.index}" if seen.key.index >= 0 else "sample"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
