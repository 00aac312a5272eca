"""Samples of an inspection as figures with captions and tables of keys, for the page and the notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from datakit.inspection.batch import split
from datakit.inspection.labels import labels_of
from datakit.inspection.look import Inspected, Inspection, Stage
from datakit.inspection.normalize import BATCH
from datakit.inspection.sound import changed, sound_in
from datakit.phrasing import shorten
from datakit.report.drawing import Drawing, draw
from datakit.report.figure import Figure, image_figure, sound_figure
from datakit.report.history import History, history
from datakit.report.room import IN_GRID, SIDE, Room
from datakit.report.sound.drawing import SoundDrawing, draw_sound, loudest
from datakit.report.text.chips import legend_of
from datakit.report.text.passages import Passage, epoch_passages, passages_of

_TEXT = 48  # characters of a text that stands for a sample


@dataclass(frozen=True)
class Record:
    """A sample on the page.

    Attributes:
        title: its heading.
        path: the file behind it.
        figures: a picture of every stage that has an image or a sound.
        keys: what became of each key.
        error: why it came no further.
        index: of the record; None for a sample that came without one.
        passages: its texts and tokens after every stage that changed them.
    """

    title: str
    path: str | None
    figures: list[Figure]
    keys: list[History]
    error: str | None
    index: int | None
    passages: tuple[Passage, ...] = ()

    @property
    def legend(self) -> list[tuple[str, str]]:
        """(look, meaning) of the colours of its tokens."""
        return legend_of({look for passage in self.passages for run in passage.runs for look in run.looks})


@dataclass(frozen=True)
class Draws:
    """One record in several epochs.

    Attributes:
        title: what that record is called.
        figures: the last stage of each epoch.
        keys: of the last stage, from epoch to epoch.
        errors: of the epochs in which it failed.
        passages: texts and tokens that differ.
    """

    title: str
    figures: list[Figure]
    keys: list[History]
    errors: list[str]
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True)
class Member:
    """A sample of the batch, drawn."""

    drawing: Drawing | SoundDrawing
    sample: dict[str, Any]
    place: int
    name: str


def record_of(seen: Inspected, inspection: Inspection, room: Room) -> Record:
    """A sample with a picture of every stage."""
    names, before = [stage.name for stage in seen.stages], None
    room = replace(room, highest=loudest(stage.sample for stage in seen.stages))
    figures: list[Figure] = []
    for place, stage in enumerate(seen.stages):
        where = f"{_sample_name(seen)} {'as loaded' if place == 0 else f'after {stage.name}'}"
        figures += _stage_figures(stage, before, names[: place + 1], inspection, room, stage.name, where)
        before = stage.sample
    label = label_of(seen.stages[-1].sample, inspection.classes) if seen.stages else ""
    title = _sample_name(seen) + (f" · {label}" if label else "")
    index = seen.key.index if seen.key.index >= 0 else None
    passages = passages_of(seen.stages, inspection.coders_after, room.tokens)
    return Record(_capital(title), seen.path, figures, _history(seen.stages), seen.error, index, passages)


def draws_of(inspection: Inspection, room: Room) -> Draws | None:
    """The record that was drawn in several epochs; None where there is none."""
    if not inspection.draws:
        return None
    figures: list[Figure] = []
    whole = [seen for seen in inspection.draws if seen.stages and seen.error is None]
    room = replace(room, highest=loudest(seen.stages[-1].sample for seen in whole))
    for seen in whole:
        stage, names = seen.stages[-1], [stage.name for stage in seen.stages]
        name, where = f"epoch {seen.key.epoch}", f"{_sample_name(seen)} in epoch {seen.key.epoch}"
        figures += _stage_figures(stage, stage.sample, names, inspection, room, name, where)
    epochs = [Stage(f"epoch {seen.key.epoch}", seen.stages[-1].sample) for seen in whole]
    errors = [f"epoch {seen.key.epoch}: {seen.error}" for seen in inspection.draws if seen.error is not None]
    coders = inspection.coders_after([stage.name for stage in whole[0].stages] if whole else [])
    passages = epoch_passages([(stage.name, stage.sample) for stage in epochs], coders, room.tokens)
    return Draws(_sample_name(inspection.draws[0]), figures, _history(epochs), errors, passages)


def members_of(inspection: Inspection, side: int) -> tuple[list[Member], int]:
    """The samples of the batch, drawn, as many as are shown, and how many more there are."""
    stages = ["loaded", *inspection.chain, BATCH]
    samples, members = split(inspection.batch), []
    highest = loudest(samples[:IN_GRID])
    for place, sample in enumerate(samples[:IN_GRID]):
        drawing = drawing_of(sample, inspection, stages, side, highest)
        if drawing is not None:
            name = label_of(sample, inspection.classes) or str(sample.get("index", place))
            members.append(Member(drawing, sample, place, name))
    return members, max(0, len(samples) - IN_GRID)


def grid_of(inspection: Inspection, room: Room) -> tuple[list[Figure], int]:
    """The pictures of the batch, and how many samples are not among them."""
    members, unseen = members_of(inspection, min(room.side, SIDE // 2))
    return [_member_figure(one, inspection, room) for one in members], unseen


def drawing_of(
    sample: Any, inspection: Inspection, stages: Sequence[str], side: int, highest: float = 0.0
) -> Drawing | SoundDrawing | None:
    """The image of a sample, or else its sound as the model gets it; None without either.

    Args:
        sample: of the inspection.
        inspection: for the names of classes, and for what the transforms say of the values.
        stages: that the sample went through.
        side: of the drawing, pixels.
        highest: amplitude for which the axis of a waveform has room too.
    """
    normalize = inspection.normalized_by(stages)
    if (drawing := draw(sample, classes=inspection.classes, normalize=normalize, side=side)) is not None:
        return drawing
    sound = sound_in(sample)
    return None if sound is None else draw_sound(sound, inspection.spectrum_after(stages), side, highest)


def label_of(sample: Any, classes: Sequence[str]) -> str:
    """The name of a sample's class, `label 3` where it has none; without a label the start of its text, or nothing."""
    found = labels_of(sample)
    if found is None or found[0] != "label":
        text = sample.get("text") if isinstance(sample, dict) else None
        return shorten(text, _TEXT) if isinstance(text, str) else ""
    label = int(found[1][0])
    return str(classes[label]) if 0 <= label < len(classes) else f"label {label}"


def _stage_figures(
    stage: Stage, before: Any, names: Sequence[str], inspection: Inspection, room: Room, name: str, where: str
) -> list[Figure]:
    """The image of a stage, and the sounds that the stage before it has not."""
    normalize = inspection.normalized_by(names)
    drawing = draw(stage.sample, classes=inspection.classes, normalize=normalize, side=room.side)
    figures = [] if drawing is None else [image_figure(drawing, stage.sample, name, where, inspection.classes)]
    spectrum = inspection.spectrum_after(names)
    for sound in changed(stage.sample, before):
        plotted = draw_sound(sound, spectrum, room.side, room.highest)
        figures.append(sound_figure(plotted, name, where, room.steps))
    return figures


def _member_figure(member: Member, inspection: Inspection, room: Room) -> Figure:
    where = f"sample {_place_of(member)} in the batch"
    if isinstance(member.drawing, SoundDrawing):
        return sound_figure(member.drawing, member.name, where, room.steps)
    return image_figure(member.drawing, member.sample, member.name, where, inspection.classes)


def _place_of(member: Member) -> Any:
    return member.sample.get("index", member.place)


def _history(stages: Sequence[Stage]) -> list[History]:
    return history([(stage.name, stage.sample) for stage in stages])


def _sample_name(seen: Inspected) -> str:
    return f"sample {seen.key.index}" if seen.key.index >= 0 else "sample"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
