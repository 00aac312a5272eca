"""What the transforms of sound share: checked values of a sample, torchaudio's modules built once, one thread.

On several threads torch adds numbers up in another order: a cepstrum then has other last bits in the main process than
in a worker, which has one thread. So everything here runs on one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import torch

from datakit.cores import one_thread
from datakit.sample import Sample

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


def waveform_of(sample: Sample, who: object) -> torch.Tensor:
    """The waveform (C, T) of a sample, with a channel and a step at least.

    Raises:
        ValueError: where there is none, or of another shape or dtype.
        TypeError: where it is no tensor.
    """
    return _tensor(sample, "waveform", who, "(C, T)", (torch.float32,))


def spectrogram_of(sample: Sample, who: object, *, is_complex: bool = False) -> torch.Tensor:
    """The spectrogram (C, F, T) of a sample; raises as `waveform_of`, and for a complex one unless it is asked for."""
    dtype = torch.complex64 if is_complex else torch.float32
    hint = "Spectrogram(power=None) makes a complex one" if is_complex else "Spectrogram(power=2.0) makes a real one"
    return _tensor(sample, "spectrogram", who, "(C, F, T)", (dtype,), hint)


def _tensor(
    sample: Sample, key: str, who: object, shape: str, dtypes: tuple[torch.dtype, ...], hint: str = ""
) -> torch.Tensor:
    if key not in sample:
        raise ValueError(f"{who} needs {key!r} {shape}; the sample has {', '.join(map(str, sample)) or 'no keys'}")
    value = sample[key]
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{who} needs a tensor {shape} as {key!r}, got {type(value).__name__}; ToTensor() makes one")
    if value.ndim != shape.count(",") + 1 or 0 in value.shape:
        raise ValueError(f"{who} needs {key!r} of shape {shape}, none of them 0, got {tuple(value.shape)}")
    if value.dtype not in dtypes:
        raise ValueError(
            f"{who} needs {key!r} of {dtypes[0]}, got {value.dtype} {tuple(value.shape)}"
            + (f"; {hint}" if hint else "")
        )
    return value


def rate_of(sample: Sample, who: object) -> int:
    """The sampling rate of a sample, Hz.

    Raises:
        ValueError: where there is none, or it is not a whole number above 0.
    """
    rate = sample.get("sample_rate")
    if isinstance(rate, bool) or not isinstance(rate, int | np.integer) or rate <= 0:
        raise ValueError(f"{who} needs 'sample_rate', a whole number of Hz above 0, got {rate!r}")
    return int(rate)


def replaced(sample: Sample, old: str, new: str, value: torch.Tensor, *, keep: bool = False) -> Sample:
    """The sample with `value` as `new` in the place of `old`, which stays before it where it is to be kept.

    Raises:
        ValueError: where the time axis changes although the sample says how many of its steps are valid.
    """
    steps, was = value.shape[-1], sample[old].shape[-1]
    if "length" in sample and steps != was:
        raise ValueError(
            f"the sample has length={sample['length']!r} of {was} steps of {old!r}, which would no longer hold for the "
            f"{steps} steps of {new!r}; pad after this transform, as collate.pad does, or drop 'length' before it"
        )
    out: Sample = {}
    for key, kept in sample.items():
        if key != old or (keep and new != old):
            out[key] = kept
        if key == old:
            out[new] = value
    out[new] = value
    return out


def as_range(name: str, what: str, value: Range) -> tuple[float, float]:
    """(low, high) of a number or a pair.

    Raises:
        ValueError: unless both are finite and in this order.
    """
    low, high = value if isinstance(value, tuple) else (value, value)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"{name} needs a finite {what}, or (low, high) with low <= high, got {value!r}")
    return float(low), float(high)


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
