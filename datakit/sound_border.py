"""torchaudio's transforms on sample dicts.

They are known by their names, so that torchaudio itself is imported only by who builds one.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import torch

from datakit.cores import one_thread
from datakit.sample import SEQUENCES, Sample
from datakit.sounds import rate_of, replaced, tensor_of

_TAKES: dict[str, tuple[str, str, torch.dtype]] = {
    "waveform": ("waveform", "(C, T)", torch.float32),
    "codes": ("codes", "(C, T)", torch.int64),
    "real": ("spectrogram", "(C, F, T)", torch.float32),
    "complex": ("spectrogram", "(C, F, T)", torch.complex64),
}
"""What a transform may take: the key of the sample, the shape, the dtype."""

_KNOWN: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("Deemphasis", "Fade", "PitchShift", "Preemphasis"), ("waveform", "waveform")),
    **dict.fromkeys(("Resample", "Speed", "SpeedPerturbation", "Vad", "Vol"), ("waveform", "waveform")),
    **dict.fromkeys(("LFCC", "MFCC", "MelSpectrogram", "Spectrogram"), ("waveform", "spectrogram")),
    "SpectralCentroid": ("waveform", "spectrogram"),
    **dict.fromkeys(("AmplitudeToDB", "ComputeDeltas", "InverseMelScale", "MelScale"), ("real", "spectrogram")),
    **dict.fromkeys(("FrequencyMasking", "SlidingWindowCmn", "SpecAugment", "TimeMasking"), ("real", "spectrogram")),
    "TimeStretch": ("complex", "spectrogram"),
    "GriffinLim": ("real", "waveform"),
    "InverseSpectrogram": ("complex", "waveform"),
    "MuLawEncoding": ("waveform", "codes"),
    "MuLawDecoding": ("codes", "waveform"),
}
"""What each of torchaudio's transforms takes, see `_TAKES`, and the key of what it gives."""

_WRAP = "a function of the sample that calls it can stand in its place"

_REFUSED: dict[str, str] = {
    "AddNoise": "takes noise besides the waveform; datakit.transforms.AddNoise draws it from a list or a dataset",
    **dict.fromkeys(
        ("Convolve", "FFTConvolve"),
        "takes a second waveform; datakit.transforms.Reverb draws an impulse response from a list or a dataset",
    ),
    "Loudness": "gives a number, not a sound; a function can add it to the sample: "
    'lambda sample: {**sample, "loudness": f(sample["waveform"])}',
    "PSD": f"gives a matrix of channels for each frequency, not a spectrogram; {_WRAP}",
    **dict.fromkeys(("MVDR", "RTFMVDR", "SoudenMVDR"), f"takes masks or matrices besides the spectrogram; {_WRAP}"),
    "RNNTLoss": "is a loss, of the outputs of a model and their targets; it has no place in a chain",
}
"""Why the others cannot stand in a chain, and what to do."""


def on_sound(transform: Any) -> Callable[[Any], Any] | None:
    """A transform of torchaudio, or an `nn.Sequential` of them, as a callable on a sample; None for anything else.

    It gets the waveform, spectrogram or codes of the sample, and what it gives takes their place, as with datakit's own
    transforms. `SpectralCentroid` gives a spectrogram (C, 1, T) of one row. A subclass with a `forward` of its own is
    not torchaudio's.

    Raises:
        TypeError: by the callable, for a transform that needs more than the sample has, or gives no sound.
        ValueError: by the callable, for a transform that was built for another sampling rate than the sample's.
    """
    name = torchaudio_name(transform)
    if name is not None:
        return functools.partial(_through, transform, name)
    members = sequence(transform)
    if members is not None and all(on_sound(member) for member in members):
        return functools.partial(_one_by_one, members)
    return None


def torchaudio_name(transform: object) -> str | None:
    """The name of torchaudio's transform that this is an instance of, or None."""
    for own in type(transform).__mro__:
        if "forward" in vars(own) and not own.__module__.startswith("torchaudio.transforms."):
            return None
        if own.__module__.startswith("torchaudio.transforms."):
            return own.__name__
    return None


def sequence(transform: object) -> tuple[Any, ...] | None:
    """The members of an `nn.Sequential`, or None for anything else."""
    is_plain = isinstance(transform, torch.nn.Sequential) and type(transform).forward is torch.nn.Sequential.forward
    return tuple(transform) if is_plain else None  # type: ignore[arg-type]


def _one_by_one(members: tuple[Any, ...], sample: Any) -> Any:
    for member in members:
        step = on_sound(member)
        sample = sample if step is None else step(sample)
    return sample


def _through(transform: Callable[..., Any], name: str, sample: Sample) -> Sample:
    who = f"torchaudio's {name}"
    if name not in _KNOWN:
        raise TypeError(f"{who} {_REFUSED.get(name, f'is not known to datakit; {_WRAP}')}")
    takes, gives = _KNOWN[name]
    key, shape, dtype = _TAKES[takes]
    hint = {"real": "one with power=2.0", "complex": "one with power=None"}.get(takes, "")
    values = tensor_of(sample, key, who, shape, (dtype,), hint and f"put {hint} before it")
    _check_rate(transform, who, sample)
    is_traced = values.requires_grad and torch.is_grad_enabled()  # not for the kernel of PitchShift, a parameter
    with one_thread(), torch.set_grad_enabled(is_traced):
        new = transform(values)
    if name in ("Speed", "SpeedPerturbation"):
        new = new[0]  # besides it, lengths, which were not given
    if name == "SpectralCentroid":
        new = new.unsqueeze(-2)
    out = replaced(sample, key, gives, new)
    return {**out, "sample_rate": int(transform.new_freq)} if name == "Resample" else out  # type: ignore[attr-defined]


def _check_rate(transform: Any, who: str, sample: Sample) -> None:
    """Raise ValueError where a transform was built for another rate than that of the sample."""
    speeders = getattr(transform, "speeders", None)
    for key in ("sample_rate", "orig_freq"):  # in this order, as PitchShift has both, and means the first
        built = getattr(speeders[0] if speeders else transform, key, None)
        if built is not None:
            rate = rate_of(sample, who)
            if built != rate:
                new = getattr(transform, "new_freq", None)
                other = f"Resample({built if new is None else new}) of datakit.transforms"
                raise ValueError(
                    f"{who} was built for {key}={built}, the sample has {rate} Hz; build it for {rate} Hz, or "
                    + (f"put {other} before it" if new is None else f"take {other}, which asks the sample")
                )
            return


def hint_for(transform: object, sample: object, error: Exception) -> str | None:
    """What to say besides an error of a function or module of torch or torchaudio that was given the sample itself.

    None where the error is another one, and where the callable is somebody's own: its errors stay as they are.
    """
    if not isinstance(sample, dict) or re.search(r"\bdict\b", str(error)) is None or not _is_of_torch(transform):
        return None
    key = next((key for key in SEQUENCES if key in sample), None)
    return key and (
        f'a transform takes the sample, a dict; to use this on the {key}: lambda sample: {{**sample, "{key}": '
        f'f(sample["{key}"])}}, or a named function where workers are spawned'
    )


def _is_of_torch(transform: Any) -> bool:
    while isinstance(transform, functools.partial):
        transform = transform.func
    members = sequence(transform)
    if members is not None:
        return bool(members) and all(_is_of_torch(member) for member in members)
    module = str(getattr(transform, "__module__", None))
    return module in ("torch", "torch.functional") or module.startswith(("torch.nn.", "torch._C.", "torchaudio."))
