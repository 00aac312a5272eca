"""Which configuration to use: as few workers as do the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from datakit.bench.results import Fed, Measurement

GAIN = 0.05
"""More workers are taken only if they give this much more samples a second."""
ROUNDS = 0.75
"""And only if they were faster in this share of the rounds."""
_ROOM = 4 * GAIN  # from the slowest pass of one to the fastest of the other


@dataclass(frozen=True)
class Advice:
    """What to use, and why.

    Attributes:
        best: the measurement of what is recommended.
        line: to paste.
        reason: one sentence, with the figures.
        caution: why it may be otherwise; empty where the passes speak clearly.
    """

    best: Measurement
    line: str
    reason: str
    caution: str = ""


def recommend(measurements: Sequence[Measurement], *, has_loader: bool = False) -> Advice:
    """The fewest workers that help.

    Within a batch size and start method, the least number of workers is held first. A larger one takes its place only
    if its median is at least `GAIN` higher and it was faster in at least `ROUNDS` of the rounds, compared round by
    round. Where a model's step was given, the fewest workers with which it waits no more than `results.ENOUGH` of the
    time are recommended instead, if there are such. Between batch sizes and start methods, in their order, the same
    rule decides.

    Args:
        measurements: of one source; at least one.
        has_loader: the source is a loader of the user's, so that the line names what to change in it.
    """
    groups = _groups(measurements)
    chosen = [_of_group(group) for group in groups]
    place = 0
    for other in range(1, len(groups)):
        if _is_faster(chosen[other], chosen[place]):
            place = other
    best, group = chosen[place], groups[place]
    reason = _reason(best, group) if best.fed is None else _fed_reason(best, best.fed, group)
    return Advice(best, _line(best, has_loader), reason + _beside(best, chosen), _caution(best, group))


def _groups(measurements: Sequence[Measurement]) -> list[list[Measurement]]:
    """Those that differ in their workers alone, from the least; without workers there is no start method."""
    methods = list(dict.fromkeys(one.start_method for one in measurements if one.workers)) or [None]
    keys = dict.fromkeys((one.features, one.batch_size, method) for one in measurements for method in methods)
    members = [
        [
            one
            for one in measurements
            if (one.features, one.batch_size) == (place, size) and (one.start_method == method or not one.workers)
        ]
        for place, size, method in keys
    ]
    return [sorted(group, key=lambda one: one.workers) for group in members if group]


def _of_group(group: Sequence[Measurement]) -> Measurement:
    enough = [one for one in group if one.fed is not None and one.fed.is_enough]
    if enough:
        return enough[0]
    held = group[0]
    for one in group[1:]:
        if _is_faster(one, held):
            held = one
    return held


def _is_faster(one: Measurement, held: Measurement) -> bool:
    return _gain(one, held) >= GAIN and _won(one, held) >= ROUNDS


def _gain(one: Measurement, held: Measurement) -> float:
    return one.samples_per_second / held.samples_per_second - 1


def _won(one: Measurement, held: Measurement) -> float:
    """Share of the rounds in which `one` was faster."""
    pairs = list(zip(one.rates, held.rates, strict=False))
    return sum(a > b for a, b in pairs) / len(pairs) if pairs else 0.0


def _line(best: Measurement, has_loader: bool) -> str:
    parts = [f"num_workers={best.workers}"]
    if best.start_method is not None:
        parts.append(f'multiprocessing_context="{best.start_method}"')
    if has_loader or best.batch_size is None:
        return ", ".join(parts)
    return f"Loader(dataset, {', '.join([f'batch_size={best.batch_size}', *parts])})"


def _reason(best: Measurement, group: Sequence[Measurement]) -> str:
    least, parts = group[0], []
    if best.workers > least.workers:
        ratio = _times(best.samples_per_second / least.samples_per_second)
        parts.append(f"{_workers(best)} {ratio} times the samples of {least.workers or 'none'}")
    more = [one for one in group if one.workers > best.workers]
    if more:
        parts.append(_no_more(max(more, key=lambda one: one.samples_per_second), best))
    return "; ".join(parts) or "no other number of workers was tried"


def _no_more(one: Measurement, best: Measurement) -> str:
    gain = f"{100 * _gain(one, best):+.0f} %".replace("-", "−")
    if _gain(one, best) < GAIN:
        than = "" if best.workers else " than none"
        return f"{_workers(one)} no more{than} ({gain})"
    rounds = len(one.rates)
    return f"{_workers(one)} more at the median ({gain}), but in {_won(one, best) * rounds:.0f} of {rounds} rounds only"


def _fed_reason(best: Measurement, fed: Fed, group: Sequence[Measurement]) -> str:
    step = f"{fed.step * 1000:g} ms"
    if fed.is_enough:
        said = f"with {_count(best.workers)} the model waits {_share(fed.waiting)} of the time at a step of {step}"
        less = [(one.workers, one.fed.waiting) for one in group if one.workers < best.workers and one.fed is not None]
        return said + "".join(f", with {_count(workers)} {_share(waiting)}" for workers, waiting in less[-1:])
    waits, least = min((one.fed.waiting, one.workers) for one in group if one.fed is not None)
    top = max(one.samples_per_second for one in group)
    return (
        f"none of these is enough for a step of {step}: with {_count(least)} the model still waits {_share(waits)} of "
        f"the time, and the loader gives {_rate(top)} samples/s at most; {_reason(best, group)}"
    )


def _beside(best: Measurement, chosen: Sequence[Measurement]) -> str:
    """How it stands among the batch sizes and start methods, and the full stop."""
    others = [one for one in chosen if one is not best]
    if not others:
        return "."
    other = max(others, key=lambda one: one.samples_per_second)
    return f"; beside it, {other.configuration} gives {_rate(other.samples_per_second)} samples/s."


def _caution(best: Measurement, group: Sequence[Measurement]) -> str:
    if len(best.rates) == 1 and len(group) > 1:
        return "One pass cannot tell noise from gain; try --repeats 5."
    if best.fed is not None and best.fed.is_enough:
        return ""
    unclear = [one for one in group if one is not best and _is_unclear(one, best)]
    if not unclear:
        return ""
    names = " and ".join(str(one.workers) for one in sorted([*unclear, best], key=lambda one: one.workers))
    return f"The passes vary too much to tell {names} workers apart; try --repeats {2 * len(best.rates) + 1}."


def _is_unclear(one: Measurement, best: Measurement) -> bool:
    """Whether neither was faster in most rounds, and the passes leave room for a difference that counts."""
    room = max(one.fastest / best.slowest, best.fastest / one.slowest) - 1
    return 1 - ROUNDS < _won(one, best) < ROUNDS and room > _ROOM


def _workers(one: Measurement) -> str:
    return "1 worker gives" if one.workers == 1 else f"{one.workers or 'no'} workers give"


def _count(workers: int) -> str:
    return "1 worker" if workers == 1 else f"{workers or 'no'} workers"


def _times(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"


def _share(part: float) -> str:
    return "< 1 %" if 0 < part < 0.01 else f"{100 * part:.0f} %"


def _rate(rate: float) -> str:
    return f"{rate:,.1f}" if rate < 1000 else f"{rate:,.0f}"
