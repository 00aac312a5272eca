"""What differs in form between samples: keys, types, axes, channels, units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch

from datakit.check.findings import Finding, Offender, Place, Severity
from datakit.inspection.moments import planes_of
from datakit.inspection.picture import image_in
from datakit.inspection.summary import fields
from datakit.inspection.trouble import finite, numbers
from datakit.phrasing import number

Forms: TypeAlias = dict[tuple[str, str], str]
"""By (key of the sample, aspect) how a sample has it."""

AS_LOADED = "as loaded"
"""Of the first stage, within a sentence."""

_KEPT = 5  # records of a form
_SHOWN = 3  # forms in a sentence
_BYTES_FROM = 16.0  # a floating-point image above this is one of 0 … 255
_ADVICE = {
    "type": "bring it to one type in load, or in a transform",
    "axes": "bring it to one number of axes in load, or in a transform: grey images are (H, W, 1)",
    "channels": "read all images as RGB, or use Grayscale(3); for sounds there is Mono()",
    "points": "the same points belong at the same places of all samples; NaN for those that are not marked",
    "values": "divide all images by 255 in one place: ToTensor does that to uint8",
    "units": "multiply by width and height what is in shares of the image: coordinates are pixels",
    "rate": "at another rate a model hears another speed",
}


def forms_of(sample: Any) -> Forms:
    """Which keys a sample has, and in what form.

    Examples:
        >>> import numpy as np
        >>> from datakit.check.drift import forms_of
        >>> for (key, aspect), form in forms_of({"image": np.zeros((4, 6, 3), np.uint8), "label": 1}).items():
        ...     print(key, aspect, form)
        image type uint8 array
        image axes 3 axes
        label type int
        image channels 3 channels
    """
    found: Forms = {}
    values = {str(key): value for key, value in fields(sample)}
    for key, value in values.items():
        found[key, "type"] = _type(value)
        if isinstance(value, np.ndarray | torch.Tensor):
            found[key, "axes"] = f"{value.ndim} axes" if value.ndim != 1 else "1 axis"
    image = image_in(sample)
    if image is not None:
        found["image", "channels"] = _channels(len(planes_of(image)))
        array = numbers(image)
        if array is not None and array.dtype.kind == "f" and (known := finite(array)).size and known.max() > 0:
            found["image", "values"] = "0 … 255" if known.max() > _BYTES_FROM else "0 … 1 or normalised"
    wave = numbers(values.get("waveform"))
    if wave is not None and wave.ndim == 2:
        found["waveform", "channels"] = _channels(len(wave))
    if isinstance(rate := values.get("sample_rate"), int):
        found["sample_rate", "rate"] = f"{rate:,} Hz"
    points = numbers(values.get("landmarks"))
    if points is not None and points.ndim == 2:
        found["landmarks", "points"] = f"{len(points)} points"
    for key in ("boxes", "landmarks"):
        array = numbers(values.get(key))
        if array is not None and array.size >= 4 and (known := finite(array)).size and known.max() > 0:
            found[key, "units"] = "shares of the image" if known.max() <= 1 else "pixels"
    return found


def _type(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array"
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} tensor"
    return type(value).__name__


def _channels(count: int) -> str:
    return f"{count} channel{'s' * (count != 1)}"


def _keep(known: list[Place], places: Sequence[Place]) -> None:
    known.extend(places[: _KEPT - len(known)])


class FormCounts:
    """Counts the forms of samples as they come; what it keeps does not grow with them.

    Examples:
        >>> import numpy as np
        >>> from datakit.check.drift import FormCounts, forms_of
        >>> from datakit.check.findings import Place
        >>> counts = FormCounts()
        >>> for index, channels in enumerate([3, 3, 1]):
        ...     counts.add(Place("", index), forms_of({"image": np.zeros((4, 6, channels), np.uint8)}))
        >>> [finding.text for finding in counts.findings("as loaded")]
        ['the channels of image differ as loaded: 3 channels in 2 samples, 1 channel in 1 sample']
    """

    def __init__(self) -> None:
        self.samples = 0
        self._counts: dict[tuple[str, str], dict[str, int]] = {}
        self._places: dict[tuple[str, str, str], list[Place]] = {}
        self._without: dict[str, list[Place]] = {}
        self._first: list[Place] = []

    def add(self, place: Place, forms: Mapping[tuple[str, str], str]) -> None:
        """Count a sample."""
        self.add_all([place], 1, forms)

    def add_all(self, places: Sequence[Place], count: int, forms: Mapping[tuple[str, str], str]) -> None:
        """Count samples of the same forms: where the first ones are, and how many there are."""
        self.samples += count
        for (key, aspect), form in forms.items():
            counts = self._counts.setdefault((key, aspect), {})
            counts[form] = counts.get(form, 0) + count
            _keep(self._places.setdefault((key, aspect, form), []), places)
        own = {key for key, aspect in forms if aspect == "type"}
        for key in own - self._without.keys():  # none of those before had it
            self._without[key] = list(self._first)
        for key in self._without.keys() - own:
            _keep(self._without[key], places)
        _keep(self._first, places)

    @property
    def drifting(self) -> set[tuple[str, str]]:
        """(key, aspect) of what differs; a key that some samples do not have with the aspect `key`."""
        several = {of for of, counts in self._counts.items() if len(counts) > 1}
        return several | {(key, "key") for key, _ in self._missing()}

    def _missing(self) -> Iterator[tuple[str, int]]:
        """(key, how many samples have it) of keys that not all samples have."""
        for (key, aspect), counts in self._counts.items():
            if aspect == "type" and sum(counts.values()) < self.samples:
                yield key, sum(counts.values())

    def findings(self, where: str, without: set[tuple[str, str]] | None = None) -> Iterator[Finding]:
        """One for each key and aspect that differs.

        Args:
            where: the stage, within a sentence.
            without: what of `drifting` is known already.
        """
        known = without or set()
        for key, count in self._missing():
            if (key, "key") not in known:
                yield self._missing_key(key, count, where)
        for (key, aspect), counts in self._counts.items():
            if len(counts) > 1 and (key, aspect) not in known:
                yield self._drift(key, aspect, counts, where)

    def _missing_key(self, key: str, count: int, where: str) -> Finding:
        missing = self.samples - count
        offenders = tuple(Offender(place, f"no {key}") for place in self._without.get(key, ()))
        text = f"{missing:,} of {self.samples:,} samples have no {key} {where}, the others have"
        return Finding("missing-key", text, missing, self.samples, offenders)

    def _drift(self, key: str, aspect: str, counts: dict[str, int], where: str) -> Finding:
        ranked = sorted(counts.items(), key=lambda item: -item[1])
        shown = ", ".join(f"{form} in {number(count)} sample{'s' * (count != 1)}" for form, count in ranked[:_SHOWN])
        more = f", and {len(ranked) - _SHOWN} more" if len(ranked) > _SHOWN else ""
        rarer = [Offender(place, form) for form, _ in ranked[1:] for place in self._places[key, aspect, form]]
        verb = "differs" if aspect in ("type", "rate") else "differ"
        what = f"the {aspect} of {key} {verb}"
        if aspect in ("axes", "points"):
            what = f"the number of {aspect} of {key} differs"
        advice = _ADVICE[aspect]
        level: Severity | None = None
        if aspect == "rate":
            what = "the sample rate differs"
            advice = f"Resample({ranked[0][0].removesuffix(' Hz').replace(',', '')}) brings all to one: {advice}"
            level = "note" if where.startswith(AS_LOADED) else None  # of several sources; a chain brings them to one
        few = sum(count for _, count in ranked[1:])
        text = f"{what} {where}: {shown}{more}"
        return Finding("drift", text, few, self.samples, tuple(rarer[: 2 * _KEPT]), advice, level)
