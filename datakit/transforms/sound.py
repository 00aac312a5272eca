"""What the transforms of sound share: torchaudio's modules built once, on one thread; checked arguments.

The values of a sample are checked in `datakit.sounds`, whose names are here too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import torch

from datakit.cores import one_thread
from datakit.sounds import rate_of, replaced, spectrogram_of, waveform_of

__all__ = [
    "Range", "as_range", "check_among", "check_kernel", "check_positive", "check_range", "check_whole", "drawn",
    "functional", "module", "one_thread", "rate_of", "replaced", "run", "spectrogram_of", "waveform_of",
]  # fmt: skip

Range: TypeAlias = float | tuple[float, float]
"""A number, or (low, high) to draw evenly between."""

LARGEST_KERNEL = 2**24
"""Numbers in a kernel of resampling: 64 MiB. Rates without a common divisor need one as large as their product."""


@lru_cache(maxsize=64)
def module(name: str, device: torch.device, **parameters: Any) -> Callable[..., torch.Tensor]:
    """Torchaudio's transform of this name, with its window or kernel built once in a process for its parameters."""
    import torchaudio.transforms

    built: Callable[..., torch.Tensor] = getattr(torchaudio.transforms, name)(**parameters).to(device)
    return built


def run(name: str, values: torch.Tensor, /, **parameters: Any) -> torch.Tensor:
    """What torchaudio's transform of this name makes of the values, on one thread."""
    with one_thread():
        return module(name, values.device, **parameters)(values)


def functional(name: str, values: torch.Tensor, /, *arguments: Any, **parameters: Any) -> torch.Tensor:
    """What torchaudio's function of this name makes of the values, on one thread."""
    import torchaudio.functional

    with one_thread():
        result: torch.Tensor = getattr(torchaudio.functional, name)(values, *arguments, **parameters)
    return result


def as_range(name: str, what: str, value: Range) -> tuple[float, float]:
    """(low, high) of a number or a pair.

    Raises:
        ValueError: unless both are finite and in this order.
    """
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    is_pair = len(pair) == 2 and all(isinstance(end, int | float | np.number) for end in pair)
    low, high = pair if is_pair else (math.nan, math.nan)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"{name} needs a finite {what}, or (low, high) with low <= high, got {value!r}")
    return float(low), float(high)


def check_range(transform: Any, field: str, what: str) -> tuple[float, float]:
    """(low, high) of a field of a frozen dataclass; raises as `as_range`. A list becomes the tuple that it stands for.

    So the transform prints, compares and hashes as one that was given the tuple.
    """
    value = getattr(transform, field)
    bounds = as_range(type(transform).__name__, what, value)
    if isinstance(value, list):
        object.__setattr__(transform, field, tuple(value))
    return bounds


def drawn(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    """A number evenly between the bounds; nothing is drawn where they are equal."""
    low, high = bounds
    return low if low == high else float(rng.uniform(low, high))


def check_positive(name: str, **values: float | None) -> None:
    """Raise ValueError unless every value that is there is finite and above 0."""
    for what, value in values.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} needs {what} above 0, got {what}={value!r}")


def check_whole(name: str, **values: int | None) -> None:
    """Raise ValueError unless every value that is there is a whole number above 0."""
    for what, value in values.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"{name} needs a whole {what} above 0, got {what}={value!r}")


def check_among(name: str, what: str, value: object, known: tuple[object, ...]) -> None:
    """Raise ValueError unless the value is one of the known ones."""
    if value not in known:
        raise ValueError(f"{name} needs {what} among {', '.join(map(repr, known))}, got {what}={value!r}")


def check_kernel(who: object, rate: int, new_rate: int, width: int = 6, rolloff: float = 0.99) -> None:
    """Raise ValueError where the kernel that resamples between two rates would be larger than `LARGEST_KERNEL`."""
    divisor = math.gcd(rate, new_rate)
    old, new = rate // divisor, new_rate // divisor
    taps = old + 2 * math.ceil(width * old / (min(old, new) * rolloff))
    if taps * new > LARGEST_KERNEL:
        raise ValueError(
            f"{who} from {rate} Hz to {new_rate} Hz needs a kernel of {new} x {taps} numbers, as the rates have no "
            f"larger common divisor than {divisor}; resample to a rate that has one"
        )
