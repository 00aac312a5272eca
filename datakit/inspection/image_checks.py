"""Whether the values of an image are what a model expects of them: in [0, 1], or normalised as planned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from datakit.inspection.moments import is_flat, planes_of
from datakit.inspection.picture import image_in
from datakit.inspection.seen import Inspected
from datakit.inspection.trouble import Trouble, finite
from datakit.transforms import Normalize

_ROUNDING = 1e-3
_BYTES_FROM = 16.0  # a floating-point image above this, and up to 255, was not divided by 255
_FAR = 10.0  # standard deviations from the mean
_IN_BYTES = 2.0  # means and standard deviations above this are of values in 0 … 255
_FLAT = 0.6  # a normalised image whose values all lie within this was divided by a std that is too large


@dataclass(frozen=True)
class _Seen:
    """The image at one stage: whether it is floating point, its finite range, and that in units of white."""

    stage: str
    is_float: bool
    low: float
    high: float

    @property
    def white(self) -> float:
        return self.high if self.is_float else self.high / 255


def image_trouble(record: Inspected, normalize: Mapping[str, Normalize]) -> Iterator[Trouble]:
    """The first stage at which the values of the image go wrong; what follows from it is not said again."""
    before, normalized = None, False
    is_caffe = any(max(step.mean) > _IN_BYTES for step in normalize.values())
    for image in _images(record):
        step = normalize.get(image.stage)
        normalized = normalized or step is not None
        found = _normalized(image, step) if normalized else _plain(image, before, is_caffe)
        if found is not None:
            yield found
            return
        before = image


def _images(record: Inspected) -> Iterator[_Seen]:
    for stage in record.stages:
        image = image_in(stage.sample)
        if image is None:
            continue
        planes = planes_of(image)
        values = finite(planes)
        if values.size:
            yield _Seen(stage.name, planes.dtype.kind == "f", float(values.min()), float(values.max()))


def _plain(image: _Seen, before: _Seen | None, is_caffe: bool) -> Trouble | None:
    if not image.is_float:
        return None
    place = ("image", image.stage, image.low, image.high)
    if image.low >= -1 and _BYTES_FROM < image.high <= 256:
        return None if is_caffe else Trouble("bytes", *place)
    if image.low < -_ROUNDING or image.high > 1 + _ROUNDING:
        return Trouble("range", *place)
    is_dark = 0 < image.high <= 1.5 / 255
    if is_dark and (before is None or 0.5 < image.high * 255 / max(before.white, 1e-9) < 1.5):
        return Trouble("twice", *place)
    return None


def _normalized(image: _Seen, step: Normalize | None) -> Trouble | None:
    place = ("image", image.stage, image.low, image.high)
    is_far = max(abs(image.low), abs(image.high)) > _FAR
    is_in_bytes = step is not None and max(*step.mean, *step.std) > _IN_BYTES
    if is_in_bytes and (is_far or image.high - image.low < _FLAT):
        return Trouble("statistics", *place, detail=repr(step))
    return Trouble("far", *place) if is_far else None


def constant_image(record: Inspected) -> Iterator[Trouble]:
    """The stage from which on each channel has one value only, to the end, where that was not so as loaded."""
    since: str | None = None
    for place, stage in enumerate(record.stages):
        image = image_in(stage.sample)
        if image is None:
            continue
        is_constant = is_flat(planes_of(image))
        if is_constant and place == 0:
            return
        since = (since or stage.name) if is_constant else None
    if since is not None:
        yield Trouble("constant", "image", since)
