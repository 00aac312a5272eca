"""The values of sound in a sample: checked on the way into a transform, put in their place on the way out.

On several threads torch adds numbers up in another order: a cepstrum then has other last bits in the main process than
in a worker, which has one thread. So transforms of sound run on one, `datakit.cores.one_thread`.
"""

from __future__ import annotations

import numpy as np
import torch

from datakit.sample import Sample


def waveform_of(sample: Sample, who: object) -> torch.Tensor:
    """The waveform (C, T) of a sample, with a channel and a step at least.

    Raises:
        ValueError: where there is none, or of another shape or dtype.
        TypeError: where it is no tensor, or `sample` no dict.
    """
    return tensor_of(sample, "waveform", who, "(C, T)", (torch.float32,))


def spectrogram_of(sample: Sample, who: object, *, is_complex: bool = False) -> torch.Tensor:
    """The spectrogram (C, F, T) of a sample; raises as `waveform_of`, and for a complex one unless it is asked for."""
    dtype = torch.complex64 if is_complex else torch.float32
    hint = "Spectrogram(power=None) makes a complex one" if is_complex else "Spectrogram(power=2.0) makes a real one"
    return tensor_of(sample, "spectrogram", who, "(C, F, T)", (dtype,), hint)


def tensor_of(
    sample: Sample, key: str, who: object, shape: str, dtypes: tuple[torch.dtype, ...], hint: str = ""
) -> torch.Tensor:
    """The value of a key of a sample, a tensor of this shape, such as "(C, T)", and of one of these dtypes.

    Args:
        sample: what the transform was given.
        key: of the value.
        who: the transform, for messages.
        shape: names of the axes, none of which may be empty.
        dtypes: those that are taken.
        hint: how to get the right dtype.

    Raises:
        ValueError: where there is none, or of another shape or dtype.
        TypeError: where it is no tensor, or `sample` no dict.
    """
    check_is_sample(sample, who, key)
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


def check_is_sample(sample: object, who: object, key: str) -> None:
    """Raise TypeError for what is no dict, such as a waveform given directly."""
    if not isinstance(sample, dict):
        shape = getattr(sample, "shape", None)
        found = type(sample).__name__ + ("" if shape is None else f" {tuple(shape)}")
        raise TypeError(f"{who} takes a sample, a dict with {key!r}, got {found}")


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
