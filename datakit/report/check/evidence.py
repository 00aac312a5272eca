"""The first offenders of a finding, read again and drawn: pictures, sounds, texts, or what their keys hold."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from datakit.check.findings import Finding, Offender, Place, Report
from datakit.dataset import Dataset
from datakit.inspection.labels import labels_of
from datakit.inspection.moments import planes_of
from datakit.inspection.picture import image_in, normalizers
from datakit.inspection.records import inspected
from datakit.inspection.seen import Inspected, Stage, describe
from datakit.inspection.sound import sound_in
from datakit.inspection.spectrum import spectrum_after, steps_by_name
from datakit.inspection.summary import Row, summarise
from datakit.inspection.text import coders_after
from datakit.phrasing import shorten
from datakit.report.check.marking import mark, side_for
from datakit.report.check.wording import clean, name_of, path_in
from datakit.report.check.wrong import wrong_in
from datakit.report.drawing import draw
from datakit.report.figure import Figure, image_figure, sound_figure
from datakit.report.figures import label_of
from datakit.report.room import Room
from datakit.report.sound.drawing import draw_sound
from datakit.report.text.passages import Passage, passages_of
from datakit.sampling import Key
from datakit.transforms import Normalize

SHOWN = 8
"""Offenders of a finding that are drawn."""

RELATED = 3
"""Records that one of them goes with, which are drawn beside it."""

_AS_LOADED = {
    *("duplicate", "near-duplicate", "contradiction", "leak", "near-leak", "missing-key", "empty-class", "imbalance"),
    *("unreadable-text", "split-folders", "outlier"),
}
_MARKED = {
    *("box-outside", "box-empty", "box-twice", "mask-empty", "mask-mismatch", "unknown-label"),
    *("point-outside", "identical-points"),
}
_AS_THEY_ARE = {"range", "normalized", "not-finite"}  # about values: no normalisation is undone
_TWICE = {"impure"}  # read two times under one key
_NEVER = {"unreadable"}  # it was tried already, and the offender says what came of it
_SIDES, _PIXELS = (140, 400), 4.6e6  # of a picture; of all together: about 1.6 MB
_STEPS, _CLIP = 800_000, 160_000  # of all clips together, 2 MB; of one
_TOKENS = 200
_ERROR = 600  # characters
_QUALITY = 76  # of JPEG


@dataclass(frozen=True)
class Member:
    """A record on the page.

    Attributes:
        name: such as `train[17]`.
        path: the file behind it; empty where that is not known.
        figures: its image or its sound, as loaded or after a transform.
        passages: its texts and tokens.
        rows: what its keys hold, where there is nothing else to show.
        error: why it is not shown.
        detail: what is special about it.
        label: the name of its class; empty where it has none.
    """

    name: str
    path: str
    figures: tuple[Figure, ...] = ()
    passages: tuple[Passage, ...] = ()
    rows: tuple[Row, ...] = ()
    error: str = ""
    detail: str = ""
    label: str = ""


@dataclass(frozen=True)
class Exhibit:
    """An offender, and the records that it goes with.

    Attributes:
        members: the offender first.
        others: how many more records it goes with.
    """

    members: tuple[Member, ...]
    others: int = 0

    @property
    def figures(self) -> int:
        """How many pictures stand beside each other."""
        return sum(len(member.figures) for member in self.members)

    @property
    def form(self) -> Literal["pictures", "plots", "texts", "words"]:
        """What it mostly is: that decides how much room it gets."""
        figures = [figure for member in self.members for figure in member.figures]
        if any(figure.svg for figure in figures):
            return "plots"
        if any(one.passages for one in self.members):
            return "texts"
        return "pictures" if figures and not any(one.rows for one in self.members) else "words"


@dataclass(frozen=True)
class Origin:
    """What is known of a part, so that its records can be drawn."""

    dataset: Dataset
    normalize: Mapping[str, Normalize] = field(default_factory=dict)
    steps: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Dataset) -> Origin:
        """With what its chain says of images, sounds and tokens."""
        return cls(dataset, normalizers(dataset), steps_by_name(dataset))

    def normalized_by(self, stages: Sequence[str]) -> Normalize | None:
        """What was applied to the image last in these stages."""
        return next((self.normalize[name] for name in reversed(stages) if name in self.normalize), None)


@dataclass(frozen=True)
class Studio:
    """Draws offenders.

    Attributes:
        origins: by the name of the part.
        room: that pictures and clips may take.
        end: when it stops, by `time.monotonic`: what comes later is named and not drawn.
    """

    origins: Mapping[str, Origin]
    room: Room
    end: float

    def exhibits(self, finding: Finding) -> list[Exhibit]:
        """The first offenders of a finding."""
        return [self._exhibit(offender, finding.kind) for offender in finding.offenders[:SHOWN]]

    def _exhibit(self, offender: Offender, kind: str) -> Exhibit:
        detail = clean(offender.detail)
        if kind in _NEVER and detail:
            first = _named(offender.place, error=detail)
        else:
            first = replace(self._member(offender.place, kind), detail=detail)
        others = [self._member(place, kind) for place in offender.related[:RELATED]]
        return Exhibit((first, *others), max(0, len(offender.related) - RELATED))

    def _member(self, place: Place, kind: str) -> Member:
        origin = self.origins.get(place.part)
        if origin is None:
            return _named(place, error="there is no dataset to read it from")
        if time.monotonic() > self.end:
            return _named(place, error="not drawn: there was no time left for it")
        try:
            return self._drawn(place, kind, origin)
        except Exception as error:
            return _named(place, error=f"it could not be drawn: {describe(error)}")

    def _drawn(self, place: Place, kind: str, origin: Origin) -> Member:
        seen = _read(origin.dataset, place.index, kind)
        figures, passages, rows = list[Figure](), tuple[Passage, ...](), tuple[Row, ...]()
        for stage, before, name in _chosen(seen, kind, origin):
            figures += self._figures(stage, [one.name for one in before], name, place, kind, origin)
        if not figures and seen.stages:
            passages = passages_of(seen.stages, lambda names: coders_after(names, origin.steps), self.room.tokens)
        if seen.stages and (kind in ("drift", "missing-key") or not (figures or passages)):
            last = seen.stages[0] if kind == "missing-key" else seen.stages[-1]
            rows = tuple(summarise(last.sample))
        label = _label(seen.stages[0].sample, origin.dataset.classes) if seen.stages else ""
        return replace(_named(place, tuple(figures), passages, rows, seen.error or ""), label=label)

    def _figures(
        self, stage: Stage, before: list[str], name: str, place: Place, kind: str, origin: Origin
    ) -> list[Figure]:
        """The image of a stage with what is wrong in red, or its sound."""
        classes, where = origin.dataset.classes, f"{name_of(place)}, {name or 'as loaded'}"
        normalize = None if kind in _AS_THEY_ARE else origin.normalized_by(before)
        wrong = wrong_in(stage.sample, kind, classes)
        shown, side = stage.sample, self.room.side
        if wrong is not None:
            height, width = planes_of(image_in(shown)).shape[1:]
            shown, side = {"image": shown["image"]}, side_for(wrong, (height, width), side)
        drawing = draw(shown, classes=classes, normalize=normalize, side=side)
        if drawing is not None:
            drawing = replace(drawing, quality=_QUALITY)
            drawing = drawing if wrong is None else mark(drawing, wrong)
            return [image_figure(drawing, stage.sample, name, where, classes)]
        sound = sound_in(stage.sample)
        if sound is None:
            return []
        plotted = draw_sound(sound, spectrum_after(before, origin.steps), self.room.side)
        return [sound_figure(plotted, name, where, self.room.steps)]


def studio_of(report: Report, datasets: Mapping[str, Dataset], patience: float) -> Studio:
    """What draws the offenders of a report: smaller where there are many.

    Args:
        report: what was found.
        datasets: by the name of the part.
        patience: seconds after which no more is drawn.
    """
    origins = {name: Origin.of(dataset) for name, dataset in datasets.items()}
    pictures = sum(_pictures(finding, bool(report.chain)) for finding in report.findings)
    low, high = _SIDES
    side = int(min(high, max(low, (_PIXELS / max(1, pictures)) ** 0.5)))
    steps = min(_CLIP, _STEPS // max(1, pictures))
    return Studio(origins, Room(side, steps, tokens=_TOKENS), time.monotonic() + patience)


def _pictures(finding: Finding, has_chain: bool) -> int:
    """How many are drawn of a finding, at most."""
    stages = 2 if has_chain and finding.kind not in _AS_LOADED | _MARKED else 1
    return sum(stages * (1 + min(RELATED, len(one.related))) for one in finding.offenders[:SHOWN])


def _named(
    place: Place,
    figures: tuple[Figure, ...] = (),
    passages: tuple[Passage, ...] = (),
    rows: tuple[Row, ...] = (),
    error: str = "",
) -> Member:
    path = path_in(place.path) if place.path else ""
    return Member(name_of(place), path, figures, passages, rows, shorten(clean(error), _ERROR))


def _label(sample: Any, classes: Sequence[str]) -> str:
    found = labels_of(sample)
    return clean(label_of(sample, classes)) if found is not None and found[0] == "label" else ""


def _read(dataset: Dataset, index: int, kind: str) -> Inspected:
    """The record under the key of seed 0 and epoch 0, through the chain where the finding may be about that."""
    key = Key(0, 0, index)
    if kind not in _AS_LOADED:
        return inspected(dataset, key)
    try:
        name, sample = next(iter(dataset.trace(key)))
    except Exception as error:
        return Inspected(key, None, (), describe(error))
    return Inspected(key, None, (Stage(name, sample),))


def _chosen(seen: Inspected, kind: str, origin: Origin) -> list[tuple[Stage, tuple[Stage, ...], str]]:
    """The stages to show, each with all up to it, and what it is called there."""
    stages = seen.stages
    if not stages:
        return []
    if kind in _MARKED:
        classes = origin.dataset.classes
        first = next((at for at, one in enumerate(stages) if wrong_in(one.sample, kind, classes) is not None), 0)
        return [_called(stages, first)]
    if kind in _TWICE:
        again = inspected(origin.dataset, seen.key).stages
        return [
            (run[-1], run, name)
            for run, name in ((stages, "read once"), (again, "read again under the same key"))
            if run
        ]
    if len(stages) == 1:
        return [(stages[0], stages, "")]
    return [_called(stages, at) for at in (0, len(stages) - 1)]


def _called(stages: tuple[Stage, ...], at: int) -> tuple[Stage, tuple[Stage, ...], str]:
    return stages[at], stages[: at + 1], "as loaded" if at == 0 else f"after {stages[at].name}"
