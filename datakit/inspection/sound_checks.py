"""What may be wrong with sounds: silence, several sample rates, padding that is louder than the sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from datakit.inspection.batch import padding_of
from datakit.inspection.seen import Finding, Inspected
from datakit.inspection.sound import Sound, sound_in, sounds_in
from datakit.inspection.trouble import Trouble
from datakit.phrasing import number

_FIRST = 5  # indices of a finding
_LOUDER = 0.75  # of the values that padding has to exceed to stand out
_FULL, _CLIPPED = 1e-4, 1e-3  # off full scale; share of the steps
_LEAST = 100  # values of which that is said


def silent(record: Inspected) -> Iterator[Trouble]:
    """The first stage after which a waveform of two steps and more has one value only, in every channel."""
    for stage in record.stages:
        for sound in sounds_in(stage.sample):
            if sound.key == "waveform" and sound.valid > 1 and _is_constant(sound):
                yield Trouble("silent", "waveform", stage.name)
                return


def clipped(record: Inspected) -> Iterator[Trouble]:
    """The first transform after which runs of a waveform stand at ±1, where they did not before."""
    before = False
    for place, stage in enumerate(record.stages):
        waves = [sound for sound in sounds_in(stage.sample) if sound.key == "waveform"]
        cut = sum(_cut(wave) for wave in waves)
        of = sum(wave.values.size for wave in waves)
        if place and cut > _CLIPPED * max(of, 1) and not before:
            yield Trouble("clipped", "waveform", stage.name, count=cut, of=of)
            return
        before = cut > _CLIPPED * max(of, 1)


def loud_mask(record: Inspected) -> Iterator[Trouble]:
    """The first transform that put whole frames or bins to 0 among values nearly all of which are less."""
    before: Any = None
    for stage in record.stages:
        sound = next((one for one in sounds_in(stage.sample) if one.key in ("spectrogram", "features")), None)
        if sound is not None and before is not None and sound.values.shape == before.shape:
            blank = _blank(sound.values) & ~_blank(before)
            if blank.any() and (before < 0).mean() > _LOUDER:
                yield Trouble("loud mask", sound.key, stage.name, float(before.min()), float(before.max()))
                return
        before = None if sound is None else sound.values


def several_rates(samples: Sequence[Inspected]) -> Iterator[Finding]:
    """Sounds of different rates at the end of the chain: the same number of steps is another time in each."""
    rates: dict[int, list[int]] = {}
    for record in samples:
        sound = sound_in(record.stages[-1].sample) if record.stages and record.error is None else None
        if sound is not None and sound.rate:
            rates.setdefault(sound.rate, []).append(record.key.index)
    if len(rates) > 1:
        common = Counter({rate: len(indices) for rate, indices in rates.items()}).most_common()
        shown = ", ".join(f"{rate:,} Hz ({count})" for rate, count in common)
        rarer = [index for rate, _ in common[1:] for index in rates[rate]]
        yield Finding(
            f"the samples have {len(rates)} sample rates at the end of the chain: {shown}",
            f"a model hears them at other speeds; Resample({common[0][0]}) brings all to one rate",
            tuple(rarer[:_FIRST]),
        )


def loud_padding(batch: Any) -> Iterator[Finding]:
    """Padding whose value is greater than nearly all values of the spectrograms or features that it follows."""
    padding = padding_of(batch)
    if padding is None or padding.key not in ("spectrogram", "features") or padding.share <= 0:
        return
    values = batch[padding.key].detach().cpu().float().numpy()
    values = np.moveaxis(values, -1, 1) if padding.key == "spectrogram" else values  # (B, T, …)
    is_valid = np.arange(values.shape[1]) < padding.lengths[:, None]
    padded, fill = values[~is_valid], float(values[~is_valid].flat[0])
    heard = values[is_valid]
    heard = heard[heard != fill]  # a mask may have put the same there
    if heard.size < _LEAST or not (padded == fill).all() or not (heard < fill).mean() > _LOUDER:
        return
    low, high = (number(float(f"{value:.3g}")) for value in (heard.min(), heard.max()))
    yield Finding(
        f"the batch pads {padding.key} with {number(fill)}, which is louder than {(heard < fill).mean():.0%} of its "
        f"values, {low} to {high}",
        f"pad with silence, collate_fn=partial(collate.pad, value={low}), unless the model masks by the lengths",
    )


def _cut(sound: Sound) -> int:
    """Steps at ±1 beside another such step."""
    full = np.abs(np.abs(sound.values) - 1) <= _FULL
    return int((full[:, 1:] & full[:, :-1]).sum())


def _blank(values: np.ndarray) -> np.ndarray:
    """(C, F, T): whether the whole frame, or the whole bin, is 0."""
    zero = np.equal(values, 0)
    whole = np.logical_or(np.all(zero, axis=1, keepdims=True), np.all(zero, axis=2, keepdims=True))
    return np.asarray(np.logical_and(whole, zero))


def _is_constant(sound: Sound) -> bool:
    values = sound.values[:, : sound.valid]
    return bool((values == values[:, :1]).all())
