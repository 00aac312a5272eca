"""The first offenders of a finding, read again and drawn: pictures, sounds, texts, or what their keys hold."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from datakit.check.findings import Finding, Offender, Place, Report
from datakit.dataset import Dataset
from datakit.inspection.labels import labels_of
from datakit.inspection.moments import planes_of
from datakit.inspection.picture import image_in, normalizers
from datakit.inspection.records import inspected
from datakit.inspection.seen import Inspected, Stage
from datakit.inspection.sound import sound_in
from datakit.inspection.spectrum import spectrum_after, steps_by_name
from datakit.inspection.summary import Row, summarise
from datakit.inspection.text import coders_after
from datakit.phrasing import describe, shorten
from datakit.report.check.exhibit import Exhibit, Member
from datakit.report.check.marking import mark, side_for
from datakit.report.check.wording import clean, name_of, path_in
from datakit.report.check.wrong import wrong_in
from datakit.report.drawing import Drawing, draw
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
_ERROR, _WHY, _FOLDED = (
    600,
    120,
    2000,
)  # characters of a message; beside a picture; of a text, behind what is shown at once
_ROWS = 40  # keys of a sample
_PLOT = 50_000  # characters of a plot: larger ones become pictures
_QUALITY = 76  # of JPEG


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
        seed: of the keys under which samples are read.
    """

    origins: Mapping[str, Origin]
    room: Room
    end: float
    seed: int = 0

    def exhibits(self, finding: Finding) -> list[Exhibit]:
        """The first offenders of a finding."""
        return [self._exhibit(offender, finding.kind) for offender in finding.offenders[:SHOWN]]

    def _exhibit(self, offender: Offender, kind: str) -> Exhibit:
        detail = clean(offender.detail)
        if kind in _NEVER and detail:
            first = _named(offender.place, error=detail)
        else:
            first = self._member(offender.place, kind)
            first = replace(first, detail="" if detail in first.error else detail)
        others = [self._member(place, kind) for place in offender.related[:RELATED]]
        return Exhibit((first, *others), max(0, len(offender.related) - RELATED))

    def _member(self, place: Place, kind: str) -> Member:
        origin = self.origins.get(place.part)
        if origin is None:
            return replace(_named(place), left_out="not drawn: there is no dataset to read it from")
        if time.monotonic() >= self.end:
            return replace(_named(place), left_out="not drawn: there was no time left for it")
        try:
            return self._drawn(place, kind, origin)
        except Exception as error:
            return _named(place, error=f"it could not be drawn: {describe(error)}")

    def _drawn(self, place: Place, kind: str, origin: Origin) -> Member:
        seen = _read(origin.dataset, Key(self.seed, 0, place.index), kind)
        figures, passages, rows = list[Figure](), tuple[Passage, ...](), tuple[Row, ...]()
        for stage, before, name in _chosen(seen, kind, origin):
            figures += self._figures(stage, [one.name for one in before], name, place, kind, origin)
        if not figures and seen.stages:
            found = passages_of(seen.stages, lambda names: coders_after(names, origin.steps), self.room.tokens)
            passages = tuple(map(_brief, found))
        if seen.stages and (kind in ("drift", "missing-key") or not (figures or passages)):
            last = seen.stages[0] if kind == "missing-key" else seen.stages[-1]
            rows = tuple(summarise(last.sample)[:_ROWS])
        label = _label(seen.stages[0].sample, origin.dataset.classes) if seen.stages else ""
        return replace(_named(place, tuple(figures), passages, rows, seen.error or ""), label=label)

    def _figures(
        self, stage: Stage, before: list[str], name: str, place: Place, kind: str, origin: Origin
    ) -> list[Figure]:
        """The image of a stage with what is wrong in red, or its sound."""
        classes, where = origin.dataset.classes, f"{name_of(place)}, {name or 'as loaded'}"
        normalize = None if kind in _AS_THEY_ARE else origin.normalized_by(before)
        try:
            drawing, drawn = _image(stage.sample, kind, classes, normalize, self.room.side), stage.sample
        except Exception as error:  # boxes of three numbers are no reason to show no image
            drawing, drawn = _bare(stage.sample, normalize, self.room.side, error), None
        if drawing is not None:
            return [image_figure(drawing, drawn, name, where, classes)]
        sound = sound_in(stage.sample)
        if sound is None:
            return []
        plotted = draw_sound(sound, spectrum_after(before, origin.steps), self.room.side)
        figure = sound_figure(plotted, name, where, self.room.steps)
        if figure.svg is None or len(figure.svg) <= _PLOT:
            return [figure]
        picture = Drawing(plotted.image, plotted.image.size[::-1], quality=_QUALITY)
        width, height = picture.image.size
        return [replace(figure, svg=None, src=picture.data_uri(), width=width, height=height)]


def studio_of(report: Report, datasets: Mapping[str, Dataset], patience: float, seed: int = 0) -> Studio:
    """What draws the offenders of a report: smaller where there are many.

    Args:
        report: what was found.
        datasets: by the name of the part.
        patience: seconds after which no more is drawn.
        seed: of the keys under which samples are read.
    """
    origins = {name: Origin.of(dataset) for name, dataset in datasets.items()}
    pictures = sum(_pictures(finding, bool(report.chain)) for finding in report.findings)
    low, high = _SIDES
    side = int(min(high, max(low, (_PIXELS / max(1, pictures)) ** 0.5)))
    steps = min(_CLIP, _STEPS // max(1, pictures))
    return Studio(origins, Room(side, steps, tokens=_TOKENS), time.monotonic() + patience, seed)


def _pictures(finding: Finding, has_chain: bool) -> int:
    """How many are drawn of a finding, at most."""
    stages = 2 if has_chain and finding.kind not in _AS_LOADED | _MARKED else 1
    return sum(stages * (1 + min(RELATED, len(one.related))) for one in finding.offenders[:SHOWN])


def _image(sample: Any, kind: str, classes: Sequence[str], normalize: Normalize | None, side: int) -> Drawing | None:
    """The image of a sample with what is wrong in red, or with everything that is drawn on images elsewhere."""
    wrong = wrong_in(sample, kind, classes)
    if wrong is None:
        drawing = draw(sample, classes=classes, normalize=normalize, side=side)
        return None if drawing is None else replace(drawing, quality=_QUALITY)
    height, width = planes_of(image_in(sample)).shape[1:]
    image = draw({"image": sample["image"]}, normalize=normalize, side=side_for(wrong, (height, width), side))
    return None if image is None else mark(replace(image, quality=_QUALITY), wrong)


def _bare(sample: Any, normalize: Normalize | None, side: int, error: Exception) -> Drawing | None:
    """The image alone, and why nothing is drawn on it."""
    drawing = draw({"image": image_in(sample)}, normalize=normalize, side=side)
    if drawing is None:
        return None
    why = f"its objects cannot be drawn: {shorten(clean(describe(error)), _WHY)}"
    return replace(drawing, quality=_QUALITY, note=f"{drawing.note} · {why}".removeprefix(" · "))


def _named(
    place: Place,
    figures: tuple[Figure, ...] = (),
    passages: tuple[Passage, ...] = (),
    rows: tuple[Row, ...] = (),
    error: str = "",
) -> Member:
    path = path_in(place.path) if place.path else ""
    return Member(name_of(place), path, figures, passages, rows, shorten(clean(error), _ERROR))


def _brief(passage: Passage) -> Passage:
    """With less of its long texts."""
    texts = (
        replace(text, folded=text.folded[:_FOLDED], unlisted=text.unlisted + max(0, len(text.folded) - _FOLDED))
        for text in passage.texts
    )
    return replace(passage, texts=tuple(texts))


def _label(sample: Any, classes: Sequence[str]) -> str:
    found = labels_of(sample)
    return clean(label_of(sample, classes)) if found is not None and found[0] == "label" else ""


def _read(dataset: Dataset, key: Key, kind: str) -> Inspected:
    """The record, through the chain where the finding may be about that."""
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
