"""What a person would want to know before training, in the samples of an inspection and in its survey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from datakit.inspection.labels import is_split
from datakit.inspection.record_checks import merged, troubles, where, worded
from datakit.inspection.seen import Finding, Inspected
from datakit.inspection.sound_checks import loud_padding, several_rates
from datakit.inspection.survey import Survey
from datakit.inspection.text import coders_after
from datakit.inspection.text_checks import batch_stages, much_unknown, padded_with_a_token
from datakit.inspection.trouble import Trouble
from datakit.inspection.wording import WORDS
from datakit.transforms import Normalize

_FIRST = 5  # indices of a finding


def find(
    samples: Sequence[Inspected],
    *,
    classes: Sequence[str] = (),
    normalize: Mapping[str, Normalize] | None = None,
    unrepeatable: Mapping[int, str] | None = None,
    draws: Sequence[Inspected] = (),
    survey: Survey | None = None,
    batch: Any = None,
    steps: Mapping[str, Any] | None = None,
) -> tuple[Finding, ...]:
    """Everything that may be wrong, one finding for each kind of trouble, key and stage; none for a clean dataset.

    Args:
        samples: records, stage by stage.
        classes: names of the labels; empty where they are not known.
        normalize: normalisations by the name of their stage.
        unrepeatable: index of a sample, and the stage at which a second run under its key was another.
        draws: one record under the keys of several epochs.
        survey: figures of the dataset.
        batch: what a loader gave first.
        steps: transforms by the name of their stage.
    """
    known = steps or {}
    groups: dict[tuple[str, str, str], list[tuple[int, Trouble]]] = {}
    for record in _each_once(samples):
        for trouble in troubles(record, classes=classes, normalize=normalize, steps=known):
            groups.setdefault((trouble.kind, trouble.key, trouble.stage), []).append((record.key.index, trouble))
    count = len(_each_once(samples))
    said = (_worded(group, count) for group in groups.values())
    found = [*split_folders(classes), *_chance(unrepeatable or {}), *_failing(draws), *_unread(survey, samples)]
    found.extend(one for one in said if one)
    found.extend([*several_rates(_each_once(samples)), *loud_padding(batch), *much_unknown(survey)])
    found.extend(padded_with_a_token(batch, coders_after(batch_stages(samples), known)))
    if not any(kind == "label" for kind, *_ in groups):
        found.extend(_unknown(survey, classes))
    return tuple(dict.fromkeys(found))


def _each_once(samples: Sequence[Inspected]) -> list[Inspected]:
    return list({record.key: record for record in samples}.values())


def _worded(group: Sequence[tuple[int, Trouble]], samples: int) -> Finding | None:
    """One finding for what several records have in common."""
    indices, of_each = zip(*group, strict=True)
    said = worded(reduce(merged, of_each), len(of_each), samples)
    return None if said is None else Finding(*said, indices[:_FIRST])


def split_folders(classes: Sequence[str]) -> Iterator[Finding]:
    """Classes that are named as splits are."""
    if len(classes) > 1 and all(map(is_split, classes)):
        yield Finding(
            f"the classes are {', '.join(classes)}: these look like the splits of a dataset",
            f"give the folder of a split, such as that of {classes[0]!r}, in which each class has a folder",
        )


def _chance(unrepeatable: Mapping[int, str]) -> Iterator[Finding]:
    for stage in dict.fromkeys(unrepeatable.values()):
        indices = tuple(index for index, other in unrepeatable.items() if other == stage)
        yield Finding(
            f"two runs under the same key give different samples {where(stage)}, in {len(indices)} of those looked "
            "at: it draws from a generator of its own, and a Loader stops there before the first batch",
            "give it a parameter rng (the sample's NumPy generator), or let it draw from the global generators",
            indices[:_FIRST],
        )


def _failing(draws: Sequence[Inspected]) -> Iterator[Finding]:
    failed = [draw for draw in draws if draw.error is not None]
    if failed:
        epochs = ", ".join(str(draw.key.epoch) for draw in failed)
        yield Finding(
            f"this record came through in epoch {draws[0].key.epoch}, and fails in epoch {epochs}: {failed[0].error}",
            "a random transform does not suit every draw; let it cope with the smallest images",
            (draws[0].key.index,),
        )


def _unread(survey: Survey | None, samples: Sequence[Inspected]) -> Iterator[Finding]:
    """Records that the survey could not read, unless all of them are named already as errors of the samples."""
    named = {record.error for record in samples}
    if survey is not None and survey.failed and not (survey.failed <= len(named) and named.issuperset(survey.failures)):
        tried = survey.read + survey.failed
        hint = 'repair or remove them, or let Loader(on_error="skip") pass over them'
        yield Finding(
            f"{survey.failed:,} of {tried:,} records could not be read: {'; '.join(survey.failures[:1])}",
            hint if survey.read else "all of them fail: look at the chain, or at where the data lie, not at one record",
        )


def _unknown(survey: Survey | None, classes: Sequence[str]) -> Iterator[Finding]:
    """Labels that no sample looked at has, but the survey met."""
    counts = survey.classes if survey is not None and classes else None
    named = set(map(str, classes))
    others = [] if counts is None else [
        (name, count) for name, count in zip(counts.names, counts.counts, strict=True) if name not in named
    ]  # fmt: skip
    if counts is not None and others:
        numbers = ", ".join(name for name, _ in others[:_FIRST]) + (", …" if len(others) > _FIRST else "")
        amount = sum(count for _, count in others)
        yield Finding(
            f"{amount:,} of {sum(counts.counts):,} values of {counts.key} are outside the {len(classes)} classes: "
            f"{numbers}",
            WORDS["label"].hint,
        )
