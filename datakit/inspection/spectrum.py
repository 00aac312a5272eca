"""What the axes and values of a spectrogram mean, as far as the transforms say that made it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from datakit.audio import features
from datakit.audio.features import OnSample
from datakit.chain import name_of, steps
from datakit.dataset import Dataset
from datakit.sound_border import sequence, torchaudio_name
from datakit.transforms import (
    MFCC,
    AmplitudeToDB,
    ComputeDeltas,
    MelScale,
    MelSpectrogram,
    Spectrogram,
)

Bins: TypeAlias = Literal["Hz", "mel", "coefficient", "bin"]
Values: TypeAlias = Literal["power", "magnitude", "dB", "log", "value"]


@dataclass(frozen=True)
class Spectrum:
    """The meaning of a spectrogram.

    Attributes:
        bins: what its rows are: frequencies apart by as many Hz, mel bands, or just numbered.
        values: what it holds.
        hop: steps of the waveform from frame to frame; None where it is not known.
        first: step of the waveform on which the first frame is centred.
        low: Hz, of the lowest bin, or the lower end of the lowest band.
        high: Hz, of the highest bin, or the upper end of the highest band; None for half the rate.
        mel_scale: "htk" or "slaney".
    """

    bins: Bins = "bin"
    values: Values = "value"
    hop: int | None = None
    first: float = 0.0
    low: float = 0.0
    high: float | None = None
    mel_scale: str = "htk"


UNKNOWN = Spectrum()


def steps_by_name(dataset: Dataset | None) -> dict[str, Any]:
    """The transforms of a dataset and of those inside it, by the name of the stage that they are.

    Without those of one name that encode text in different ways: nobody knows which of them a sample went through.
    """
    found: dict[str, Any] = {}
    for step in (step for part in _parts(dataset) for step in steps(getattr(part, "transform", None))):
        known = found.setdefault(name_of(step), step)
        if getattr(known, "codes", None) != getattr(step, "codes", None):
            found[name_of(step)] = None
    return {name: step for name, step in found.items() if step is not None}


def spectrum_after(names: Iterable[str], known: Mapping[str, Any]) -> Spectrum:
    """The meaning of the spectrogram after the stages of these names.

    Args:
        names: of stages, in their order; those that are not known are passed over.
        known: transforms by name.
    """
    spectrum = UNKNOWN
    for name in names:
        if name in known:
            spectrum = _after(known[name], spectrum)
    return spectrum


def share_of(hertz: float, spectrum: Spectrum, highest: float) -> float:
    """The share of the way up at which a frequency stands: from the middle of the lowest bin, or the lowest band's end.

    Args:
        hertz: the frequency.
        spectrum: in Hz or mel.
        highest: Hz, at the top.
    """
    if spectrum.bins == "Hz":
        return (hertz - spectrum.low) / (highest - spectrum.low)
    low, at, high = (_mel(value, spectrum.mel_scale) for value in (spectrum.low, hertz, highest))
    return (at - low) / (high - low)


def _after(step: Any, before: Spectrum) -> Spectrum:
    if isinstance(step, OnSample):
        return _kaldi(step, before)
    name = torchaudio_name(step)
    if name is not None:
        return _after_torchaudio(name, step, before)
    for member in sequence(step) or ():
        before = _after(member, before)
    if isinstance(step, MFCC):
        return replace(_frames(step.mel, step.mel.hop), bins="coefficient", values="value")
    if isinstance(step, MelSpectrogram):
        return replace(_frames(step, step.hop), bins="mel", low=step.f_min, high=step.f_max, mel_scale=step.mel_scale)
    if isinstance(step, Spectrogram):
        return _frames(step, step.hop)
    if isinstance(step, MelScale):
        return replace(before, bins="mel", low=step.f_min, high=step.f_max, mel_scale=step.mel_scale)
    if isinstance(step, AmplitudeToDB):
        return replace(before, values="dB")
    if isinstance(step, ComputeDeltas):
        return replace(before, bins="bin" if step.append else before.bins, values="value")
    return before


def _kaldi(step: OnSample, before: Spectrum) -> Spectrum:
    """Of Kaldi's features; what follows them changes the values, and deltas and splicing the rows too."""
    module, spectrum = step.module, before
    if module is not None:
        first = module.size / 2 if module.snip_edges else module.shift / 2
        spectrum = Spectrum("coefficient", "value", module.shift, first)
        if isinstance(module, features.Spectrogram):
            spectrum = replace(spectrum, bins="Hz", values="log")
        elif isinstance(module, features.Fbank):
            rows: Bins = "bin" if module.use_energy else "mel"
            values: Values = "log" if module.use_log_fbank else "value"
            spectrum = replace(spectrum, bins=rows, values=values, low=module.mel.low, high=module.mel.high)
    if any(isinstance(after, features.Deltas | features.Splice) for after in step.after):
        spectrum = replace(spectrum, bins="bin")
    return replace(spectrum, values="value") if step.after else spectrum


def _after_torchaudio(name: str, step: Any, before: Spectrum) -> Spectrum:
    """The same for torchaudio's transform of this name."""
    match name:
        case "Spectrogram":
            return replace(_frames(step, step.hop_length), bins="Hz" if step.onesided else "bin")
        case "MelSpectrogram":
            return _after(step.mel_scale, _after(step.spectrogram, before))
        case "MFCC" | "LFCC":
            frames = _after(step.MelSpectrogram if name == "MFCC" else step.Spectrogram, before)
            return replace(frames, bins="coefficient", values="value", low=0.0, high=None)
        case "SpectralCentroid":
            return Spectrum(hop=step.hop_length, first=-step.pad)
        case "MelScale":
            return replace(before, bins="mel", low=step.f_min, high=step.f_max, mel_scale=step.mel_scale)
        case "InverseMelScale":
            return replace(before, bins="Hz", low=0.0, high=None)
        case "AmplitudeToDB":
            return replace(before, values="dB")
        case "ComputeDeltas" | "SlidingWindowCmn":
            return replace(before, values="value")
    return before


def _frames(step: Any, hop: int) -> Spectrum:
    """Of a short-time transform of datakit's or torchaudio's."""
    values: dict[float | None, Values] = {2.0: "power", 1.0: "magnitude", None: "magnitude"}
    first = -step.pad + (0.0 if step.center else step.n_fft / 2)
    return Spectrum("Hz", values.get(step.power, "value"), hop, first)


def _mel(hertz: float, scale: str) -> float:
    if scale == "htk":
        return 2595.0 * math.log10(1.0 + hertz / 700.0)
    return hertz * 3 / 200 if hertz < 1000 else 15.0 + 27.0 * math.log(hertz / 1000.0) / math.log(6.4)


def _parts(dataset: Any) -> Iterator[Any]:
    """The datasets inside, then those around them: the order in which their chains run."""
    if isinstance(dataset, Dataset):
        for inner in (getattr(dataset, "dataset", None), *getattr(dataset, "datasets", ())):
            yield from _parts(inner)
        yield dataset
