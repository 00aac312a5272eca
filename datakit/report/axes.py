"""Where the ticks of an axis stand and what they say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_RATIOS = ((1, 4), (1, 3), (1, 2), (9, 16), (2, 3), (3, 4), (1, 1), (4, 3), (3, 2), (16, 9), (2, 1), (3, 1), (4, 1))
_APART = 30.0  # between the labels of an axis


@dataclass(frozen=True)
class Tick:
    """A place on an axis and what is written there."""

    at: float
    text: str


def round_ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Round values from below `low` to above `high`; from 0 where `low` is not far from it."""
    low = 0.0 if low < 0.6 * high else low
    raw = max((high - low) / 4, 1e-9 if not whole else 1.0, high * 1e-3)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    if whole or high >= 10:
        step = max(1.0, math.ceil(step))
    first, last = math.floor(low / step), math.ceil(high / step)
    if first == last:
        first, last = first - 1, last + 1
    return [place * step for place in range(first, last + 1)]


def ratio_ticks(low: float, high: float, left: float, right: float) -> tuple[Tick, ...]:
    """Known ratios that lie inside, or the two ends where there are none; none so near another that they touch."""

    def place(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    ends = (Tick(left, f"{math.exp(low):.2f}"), Tick(right, f"{math.exp(high):.2f}"))
    known = [(f"{a}:{b}", math.log(a / b)) for a, b in _by_fame() if low <= math.log(a / b) <= high]
    chosen: list[Tick] = []
    for tick in (*(Tick(place(value), text) for text, value in known), *(ends if len(known) < 2 else ())):
        if all(abs(tick.at - other.at) >= _APART for other in chosen):
            chosen.append(tick)
    return tuple(sorted(chosen, key=lambda tick: tick.at))


def _by_fame() -> Sequence[tuple[int, int]]:
    return sorted(_RATIOS, key=lambda ratio: max(ratio))


def inner_ticks(low: float, high: float, most: float) -> list[float]:
    """Round values from `low` to `high`, about as many as `most`, or the two ends where none is round enough."""
    if high <= low:
        return [low]
    raw = (high - low) / max(most, 1.0)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)] or [low, high]
