"""The figures of a dataset as tables and charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datakit.inspection.survey import Channels, ClassCounts, Lengths, Sounds, Survey, Texts, TokenCounts
from datakit.phrasing import number
from datakit.report.charts import Chart, duration_histogram, length_histogram, mean_shape, ratio_histogram, size_scatter

UNFOLDED = 20
"""Classes that are shown at once."""

_LISTED = 1000  # classes that are shown at all
_COLOURS = {1: ("grey",), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}


@dataclass(frozen=True)
class Sizes:
    """Sizes of images.

    Attributes:
        count: images.
        rows: (name, least, median, greatest) of width and height.
        common: the size that is met most often.
        share: of the images that have it.
        kinds: how many different sizes there are.
        scatter: None where all are of one size.
        ratios: None where all have one aspect ratio.
    """

    count: int
    rows: tuple[tuple[str, float, float, float], ...]
    common: str
    share: float
    kinds: int
    scatter: Chart | None
    ratios: Chart | None


@dataclass(frozen=True)
class ClassRow:
    """How often a class is there; `bar` is its count as a share of the greatest."""

    name: str
    count: int
    share: float
    bar: float


@dataclass(frozen=True)
class Classes:
    """Counts of classes: those shown at once, those folded away, and how many are not listed."""

    key: str
    total: int
    of_all: bool
    kinds: int
    absent: int
    first: tuple[ClassRow, ...]
    folded: tuple[ClassRow, ...]
    unlisted: int


@dataclass(frozen=True)
class SoundsView:
    """Durations and kinds of sounds.

    Attributes:
        count: sounds.
        total: how long all of them last, such as `1.5 hours`.
        seconds: least, median and greatest duration.
        rates: such as `8,000 Hz`, with counts where there are several.
        channels: such as `1 channel`, with counts where there are several.
        histogram: None where all last as long.
    """

    count: int
    total: str
    seconds: tuple[float, float, float]
    rates: str
    channels: str
    histogram: Chart | None


@dataclass(frozen=True)
class LengthsView:
    """Lengths of the texts or tokens of one key; `histogram` is None where all are as long."""

    key: str
    unit: str
    count: int
    values: tuple[float, float, float]
    histogram: Chart | None

    @property
    def name(self) -> str:
        """Such as `characters of text`, `tokens`."""
        return self.key if self.unit == "tokens" else f"{self.unit} of {self.key}"


@dataclass(frozen=True)
class TextsView:
    """Lengths of texts and tokens, and what the tokens are."""

    lengths: tuple[LengthsView, ...]
    tokens: tuple[TokenCounts, ...]


@dataclass(frozen=True)
class SurveyView:
    """What the page shows of a `Survey`."""

    survey: Survey
    sizes: Sizes | None
    channels: Sequence[tuple[str, float, float]]
    classes: Classes | None
    shape: Chart | None
    sounds: SoundsView | None
    texts: TextsView | None = None


def view_of(survey: Survey | None) -> SurveyView | None:
    """The tables and charts; None where no figures were asked for, or there are none."""
    if survey is None:
        return None
    view = _view(survey)
    has_any = view.sizes or view.channels or view.classes or view.shape or view.sounds or view.texts or survey.failures
    return view if has_any else None


def _view(survey: Survey) -> SurveyView:
    return SurveyView(
        survey,
        _sizes(np.asarray(survey.sizes)) if len(survey.sizes) else None,
        () if survey.channels is None else _channels(survey.channels),
        None if survey.classes is None or not survey.classes.counts else _classes(survey.classes),
        None if survey.shape is None or not len(survey.shape.points) else mean_shape(survey.shape),
        None if survey.sounds is None else _sounds(survey.sounds),
        None if survey.texts is None else _texts(survey.texts),
    )


def _sounds(sounds: Sounds) -> SoundsView:
    durations = sounds.durations
    rates = [(f"{rate:,} Hz", count) for rate, count in sounds.rates]
    channels = [(f"{some} channel{'s' if some > 1 else ''}", count) for some, count in sounds.channels]
    seconds = (float(durations.min()), float(np.median(durations)), float(durations.max()))
    total = _span(float(durations.sum()))
    return SoundsView(
        len(durations), total, seconds, _counted(rates), _counted(channels), duration_histogram(durations)
    )


def _texts(texts: Texts) -> TextsView:
    return TextsView(tuple(map(_lengths, texts.lengths)), texts.tokens)


def _lengths(one: Lengths) -> LengthsView:
    low, middle, high = np.quantile(one.lengths, (0, 0.5, 1)).tolist()
    drawn = length_histogram(one.lengths, one.unit)
    return LengthsView(one.key, one.unit, len(one.lengths), (low, middle, high), drawn)


def _span(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:,.1f} hours"
    return f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.3g} s"


def _counted(kinds: Sequence[tuple[str, int]]) -> str:
    return kinds[0][0] if len(kinds) == 1 else ", ".join(f"{name} ({count:,})" for name, count in kinds)


def _sizes(sizes: np.ndarray) -> Sizes:
    kinds, counts = np.unique(sizes, axis=0, return_counts=True)
    height, width = kinds[counts.argmax()].tolist()
    low, middle, high = sizes.min(0).tolist(), np.median(sizes, axis=0).tolist(), sizes.max(0).tolist()
    return Sizes(
        len(sizes),
        tuple((name, low[axis], middle[axis], high[axis]) for name, axis in (("width", 1), ("height", 0))),
        f"{number(width)} × {number(height)}",
        float(counts.max() / len(sizes)),
        len(kinds),
        size_scatter(sizes) if len(kinds) > 1 else None,
        ratio_histogram(sizes),
    )


def _channels(channels: Channels) -> list[tuple[str, float, float]]:
    names = _COLOURS.get(len(channels.mean), tuple(map(str, range(len(channels.mean)))))
    return list(zip(names, channels.mean, channels.std, strict=True))


def _classes(classes: ClassCounts) -> Classes:
    total, most = sum(classes.counts), max(classes.counts)
    pairs = zip(classes.names, classes.counts, strict=True)
    rows = tuple(ClassRow(name, count, count / max(total, 1), count / max(most, 1)) for name, count in pairs)
    absent = sum(count == 0 for count in classes.counts)
    folded = rows[UNFOLDED:_LISTED]
    return Classes(
        classes.key, total, classes.of_all, len(rows), absent, rows[:UNFOLDED], folded, max(0, len(rows) - _LISTED)
    )
