"""Features of one sample, as a step of a dataset's chain: in a worker, where the model has no device to spare."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from datakit.audio.features.base import KaldiFeatures
from datakit.audio.features.context import Deltas, Splice
from datakit.audio.features.normalization import Cmvn, SlidingCmvn
from datakit.cores import one_thread
from datakit.sample import Sample

After = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


class OnSample:
    """A transform of samples: `waveform` (1, T) becomes `features` (frames, F).

    On the command line, `-t "Fbank(num_mel_bins=80, dither=0.0)" -t Cmvn`; the others are written the same way.

    Args:
        module: `Spectrogram`, `Fbank`, `Mfcc` or `Plp`; dither is drawn from the sample's generator. Or what follows
            them alone, such as `Cmvn()`, which takes the sample's `features`.
        after: what follows, in order, such as `Cmvn()` and `Deltas()`.
        keep: leave the waveform in the sample.

    Raises:
        TypeError: for a module that neither makes features nor takes them.
        ValueError: when it is called, for a sample of another rate than the module's `sample_frequency`, of several
            channels, without a waveform, or with a `length` that the features would no longer have.

    Examples:
        >>> import torch
        >>> from datakit.audio.features import Cmvn, Fbank, OnSample
        >>> step = OnSample(Fbank(num_mel_bins=80, dither=0.0), Cmvn())
        >>> step
        OnSample(Fbank(dither=0.0, num_mel_bins=80), Cmvn())
        >>> step({"waveform": torch.rand(1, 16000) - 0.5, "sample_rate": 16000})["features"].shape
        torch.Size([98, 80])
    """

    def __init__(self, module: KaldiFeatures | After, *after: After, keep: bool = False) -> None:
        if not isinstance(module, KaldiFeatures | Cmvn | SlidingCmvn | Deltas | Splice):
            raise TypeError(
                f"OnSample takes Spectrogram, Fbank, Mfcc or Plp, or what follows them, such as Cmvn, got {module!r}"
            )
        self.module = module if isinstance(module, KaldiFeatures) else None
        self.after = after if isinstance(module, KaldiFeatures) else (module, *after)
        self.keep = keep

    @property
    def is_deterministic(self) -> bool:
        """It draws nothing."""
        return self.module is None or not self.module.dither

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None) -> Sample:
        """The sample with `features`."""
        with one_thread():
            features, frames = self._features(sample) if self.module is None else self._made(sample, self.module, rng)
            for step in self.after:
                features, frames = step(features, frames)
        kept = {key: value for key, value in sample.items() if key != "waveform" or self.module is None or self.keep}
        return {**kept, "features": features[0]}

    def _features(self, sample: Sample) -> tuple[torch.Tensor, torch.Tensor]:
        """Those of the sample, as a batch of one."""
        features = sample.get("features")
        if not isinstance(features, torch.Tensor) or features.ndim != 2:
            found = tuple(features.shape) if isinstance(features, torch.Tensor) else type(features).__name__
            raise ValueError(f"{self} needs features (frames, F), got {found}; Fbank and the others make some")
        return features[None], torch.tensor([len(features)], device=features.device)

    def _made(
        self, sample: Sample, module: KaldiFeatures, rng: np.random.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Those of the sample's waveform."""
        waveform, generator = self._waveform(sample, module), None
        if module.dither and rng is not None:
            generator = torch.Generator(waveform.device).manual_seed(int(rng.integers(2**63)))
        features, frames = module(waveform, generator=generator)
        return features, frames

    def _waveform(self, sample: Sample, module: KaldiFeatures) -> torch.Tensor:
        waveform, rate = sample.get("waveform"), sample.get("sample_rate")
        if not isinstance(waveform, torch.Tensor) or waveform.ndim != 2 or waveform.shape[0] != 1:
            found = tuple(waveform.shape) if isinstance(waveform, torch.Tensor) else type(waveform).__name__
            raise ValueError(f"{self} needs a waveform (1, T), got {found}; Mono() makes one channel of several")
        if rate != module.sample_frequency:
            wanted = module.sample_frequency
            raise ValueError(
                f"{self} has sample_frequency={wanted:g} Hz, and the sample's sample_rate is {rate!r}; give the module "
                f"the rate of the sounds, or put Resample({wanted:g}) before it"
            )
        if "length" in sample:
            raise ValueError(
                f"{self} makes frames, for which length={sample['length']!r} would no longer hold; pad after it"
            )
        return waveform

    def __repr__(self) -> str:
        made = () if self.module is None else (self.module,)
        parts = [*map(repr, (*made, *self.after)), *(["keep=True"] if self.keep else [])]
        return f"OnSample({', '.join(parts)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OnSample) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))
