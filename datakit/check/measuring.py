"""From a sample as loaded to its facts; this runs in the workers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from datakit.check import facts as kinds
from datakit.check.drift import forms_of
from datakit.check.facts import NO_LABEL, ROW, Facts
from datakit.check.one_record import troubles_of
from datakit.inspection.labels import labels_of
from datakit.inspection.moments import planes_of
from datakit.inspection.picture import image_in
from datakit.inspection.seen import Inspected, Stage
from datakit.inspection.sound import sounds_in
from datakit.inspection.text import texts_in
from datakit.inspection.trouble import LOADED, numbers, values_of
from datakit.sampling import Key

INPUTS = ("image", "waveform", "codes", "spectrogram", "features", "text", "tokens")
"""What a model is given: the first of these that a sample has."""

ANSWERS = ("label", "labels", "boxes", "masks", "landmarks", "keypoints", "text", "target_text", "target_tokens")
"""What it shall say of that."""

_PLACES = {"index", "path", "line", "file", "row", "image_id"}  # where a record is, not what it is


def facts_of(sample: Any, index: int, classes: Sequence[str]) -> Facts:
    """The facts of one record.

    Args:
        sample: as loaded.
        index: of the record.
        classes: names of the labels; empty where they are not known.
    """
    row = np.zeros(1, ROW)
    values = _values(sample)
    form = {f"{key}\0{aspect}": how for (key, aspect), how in forms_of(sample).items()}
    row["state"], row["form"], row["label"] = kinds.READ, _word(repr(sorted(form.items()))), NO_LABEL
    _describe(row, sample)
    row["content"], row["annotation"] = _contents(values)
    found = labels_of(sample)
    if found is not None and found[0] == "label":
        row["label"] = int(found[1][0])
    labels = tuple(found[1].tolist()) if found is not None and found[0] == "labels" else ()
    record = Inspected(Key(0, 0, index), None, (Stage(LOADED, sample),))
    troubles = tuple(troubles_of(record, classes))
    if any(trouble.kind in ("flat", "no values", "no text", "silent") for trouble in troubles):
        row["is_plain"] = True
    return Facts(row, [labels], [troubles], [""], [()], {int(row["form"][0]): form})


def failed(error: str) -> Facts:
    """Those of a record that could not be read."""
    row = np.zeros(1, ROW)
    row["state"], row["label"] = kinds.FAILED, NO_LABEL
    return Facts(row, [()], [()], [error], [()])


def _values(sample: Any) -> dict[str, Any]:
    """The keys of a sample, without those that say where it is."""
    values = values_of(sample) or ({} if isinstance(sample, dict) else {"value": sample})
    if not isinstance(sample, dict) and not values.keys() & {*INPUTS}:
        items = sample if isinstance(sample, list | tuple) else [sample]
        values = {**values, **{f"item {place}": item for place, item in enumerate(items)}}
    return {str(key): value for key, value in values.items() if key not in _PLACES}


def _describe(row: Any, sample: Any) -> None:
    """Modality, size and range."""
    image = image_in(sample)
    if image is not None:
        planes = planes_of(image)
        row["modality"], row["size"] = kinds.IMAGE, (*planes.shape[1:], planes.shape[0])
        row["is_whole"] = planes.dtype.kind in "iu"
        row["low"], row["high"] = _range(planes)
        return
    wave = next((sound for sound in sounds_in(sample) if sound.key == "waveform"), None)
    if wave is not None:
        row["modality"], row["size"] = kinds.SOUND, (wave.valid, wave.rate or 0, len(wave.values))
        row["low"], row["high"] = _range(wave.values)
        return
    texts = texts_in(sample)
    if texts:
        row["modality"], row["size"] = kinds.TEXT, (len(next(iter(texts.values()))), 0, 0)


def _range(values: np.ndarray) -> tuple[float, float]:
    """Least and greatest; NaN where one of them is."""
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def _contents(values: dict[str, Any]) -> tuple[tuple[int, int], int]:
    """Digests of what a model is given, and of what it shall say."""
    given = next((key for key in INPUTS if key in values), None)
    answers = [key for key in ANSWERS if key in values and key != given]
    inputs = [given] if given is not None else [key for key in values if key not in answers]
    total = hashlib.blake2b(digest_size=16)
    for key in [*inputs, *(["sample_rate"] if given == "waveform" and "sample_rate" in values else [])]:
        for part in _bytes_of(values[key]):
            total.update(part)
    words = np.frombuffer(total.digest(), np.uint64)
    said = hashlib.blake2b(digest_size=8)
    for key in answers:
        said.update(key.encode())
        for part in _bytes_of(values[key]):
            said.update(part)
    return (int(words[0]), int(words[1])), int.from_bytes(said.digest(), "little")


def _bytes_of(value: Any) -> Iterator[Any]:
    """A value as bytes, the same for equal values."""
    array = numbers(value) if not isinstance(value, bool | int | float) else None
    if array is not None:
        yield f"{array.dtype}{array.shape}".encode()
        yield np.ascontiguousarray(array).data
    elif isinstance(value, list | tuple):
        yield f"{type(value).__name__}{len(value)}".encode()
        for item in value:
            yield from _bytes_of(item)
    elif isinstance(value, dict):
        for key in sorted(value, key=repr):
            yield repr(key).encode()
            yield from _bytes_of(value[key])
    else:
        yield (value if isinstance(value, str) else repr(value)).encode("utf-8", "surrogatepass")


def _word(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
