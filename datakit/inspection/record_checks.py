"""Every check of a single record, and the sentence for what many records have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from datakit.inspection.image_checks import constant_image, image_trouble
from datakit.inspection.place_checks import broken_objects, empty_boxes, places
from datakit.inspection.seen import Inspected
from datakit.inspection.sound_checks import clipped, loud_mask, silent
from datakit.inspection.text_checks import text_trouble
from datakit.inspection.trouble import LOADED, Trouble
from datakit.inspection.value_checks import grey_masks, loud_waveform, not_finite, unknown_labels
from datakit.inspection.wording import CROP, WORDS
from datakit.phrasing import number, shorten
from datakit.transforms import Normalize

_NAME = 60  # characters of a stage


def troubles(
    record: Inspected,
    *,
    classes: Sequence[str] = (),
    normalize: Mapping[str, Normalize] | None = None,
    steps: Mapping[str, Any] | None = None,
) -> Iterator[Trouble]:
    """What is wrong with one record, each at the stage that brought it about.

    Args:
        record: stage by stage, as far as it came.
        classes: names of the labels; empty where they are not known.
        normalize: normalisations by the name of their stage.
        steps: transforms by the name of their stage.
    """
    yield from not_finite(record)
    yield from image_trouble(record, normalize or {})
    yield from constant_image(record)
    yield from silent(record)
    yield from loud_waveform(record)
    yield from clipped(record)
    yield from loud_mask(record)
    yield from unknown_labels(record, len(classes))
    yield from grey_masks(record)
    yield from places(record)
    yield from empty_boxes(record)
    yield from broken_objects(record)
    yield from text_trouble(record, steps or {})


def merged(one: Trouble, other: Trouble) -> Trouble:
    """The trouble of two records in one: sums of the counts, and the range of both; details are those of `one`."""
    low, high = min(one.low, other.low), max(one.high, other.high)
    return replace(one, low=low, high=high, count=one.count + other.count, of=one.of + other.of)


def worded(trouble: Trouble, records: int, samples: int) -> tuple[str, str] | None:
    """What is said about the trouble that records have in common, and what may be done about it.

    Args:
        trouble: theirs, `merged`.
        records: how many have it.
        samples: how many were looked at.

    Returns:
        None for what counts only where all of them have it, and not all do.
    """
    words, in_data = WORDS[trouble.kind], trouble.stage == LOADED
    if records < samples and (words.always or (trouble.kind == "twice" and in_data)):
        return None
    text = words.text.format(
        key=trouble.key,
        where=where(trouble.stage),
        who=f"{records:,} of {samples:,} samples",
        low=number(trouble.low),
        high=number(trouble.high),
        count=number(trouble.count),
        of=number(trouble.of),
        detail=trouble.detail,
    )
    is_cut = trouble.kind == "outside" and not in_data and "crop" in trouble.stage.lower()
    hint = CROP if is_cut else (words.in_data or words.hint) if in_data else words.hint
    return text, hint.format(key=trouble.key)


def where(stage: str) -> str:
    """A stage within a sentence."""
    return "as loaded" if stage == LOADED else f"after {shorten(stage, _NAME)}"
