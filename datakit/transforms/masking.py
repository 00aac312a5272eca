"""Masks over bands and frames, as SpecAugment (Park et al., 2019) has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from datakit.sample import Sample
from datakit.sounds import check_is_sample
from datakit.transforms.base import Random, check_probability
from datakit.transforms.sound import check_whole, spectrogram_of


class _Masking(Random):
    """What masks along an axis have in common."""

    width: int
    value: float | None
    iid_masks: bool

    def _limit(self, size: int) -> int:
        """The width that a mask stays below, of an axis of this size."""
        return self.width

    def _axis(self, key: str) -> int:
        raise NotImplementedError

    def draw(self, sample: Sample, rng: np.random.Generator) -> np.ndarray:
        """Begin and end of the mask of every channel, or of all: int (C, 2) or (1, 2)."""
        key, spectrogram = _target(sample, self)
        size = spectrogram.shape[self._axis(key)]
        count = len(spectrogram) if self.iid_masks and key == "spectrogram" else 1
        width = rng.random(count) * self._limit(size)
        begin = (rng.random(count) * (size - width)).astype(np.int64)
        return np.stack([begin, begin + width.astype(np.int64)], 1)

    def apply(self, sample: Sample, params: np.ndarray) -> Sample:
        """The sample with these masks."""
        key, spectrogram = _target(sample, self)
        places = torch.arange(spectrogram.shape[self._axis(key)], device=spectrogram.device)
        begin, end = torch.as_tensor(params, device=spectrogram.device).T[..., None]
        mask = (places >= begin) & (places < end)  # (C or 1, size)
        if key == "features":
            mask = mask[0]
        mask = mask.unsqueeze(-1 if self._axis(key) == -2 else -2)
        value = float(spectrogram.mean()) if self.value is None else self.value
        return {**sample, key: spectrogram.masked_fill(mask, value)}


@dataclass(frozen=True, repr=False)
class FrequencyMasking(_Masking):
    """Hide neighbouring bands of the `spectrogram`, or of the `features` where there is no spectrogram.

    The distribution of `torchaudio.transforms.FrequencyMasking`, drawn from the sample's generator: a width evenly in
    [0, width), truncated, at an even place. So `width` itself never comes up, and a mask of more than all bands, where
    `width` is larger than their number, hides everything.

    Args:
        width: bands; the mask is narrower.
        value: what is put there: 0 is silence for power, but loud in dB. None is the mean of the sample's spectrogram.
        iid_masks: a mask of its own for every channel.

    Examples:
        >>> import torch
        >>> from datakit.transforms import FrequencyMasking
        >>> masked = FrequencyMasking(27)({"spectrogram": torch.ones(1, 80, 100)})["spectrogram"]
        >>> hidden = int((masked == 0).all(-1).sum())
        >>> hidden < 27, int((masked == 0).sum()) == hidden * 100
        (True, True)
    """

    width: int
    value: float | None = 0.0
    iid_masks: bool = False

    def __post_init__(self) -> None:
        check_whole("FrequencyMasking", width=self.width)

    def _axis(self, key: str) -> int:
        return -2 if key == "spectrogram" else -1


@dataclass(frozen=True, repr=False)
class TimeMasking(_Masking):
    """Hide neighbouring frames. Otherwise as `FrequencyMasking`.

    Args:
        width: frames; the mask is narrower.
        value: what is put there; None is the mean of the sample's spectrogram.
        iid_masks: a mask of its own for every channel.
        p: no mask is wider than this share of the frames; 1.0 sets no limit, as in torchaudio, where a mask of more
            frames than a short sample has hides all of it.

    Examples:
        >>> import torch
        >>> from datakit.transforms import TimeMasking
        >>> masked = TimeMasking(100, p=0.2)({"features": torch.ones(50, 80)})["features"]
        >>> int((masked == 0).all(-1).sum()) < 10
        True
    """

    width: int
    value: float | None = 0.0
    iid_masks: bool = False
    p: float = 1.0

    def __post_init__(self) -> None:
        check_whole("TimeMasking", width=self.width)
        check_probability("TimeMasking", self.p)

    def _limit(self, size: int) -> int:
        return self.width if self.p == 1 else min(self.width, int(size * self.p))

    def _axis(self, key: str) -> int:
        return -1 if key == "spectrogram" else -2


def _target(sample: Sample, who: object) -> tuple[str, torch.Tensor]:
    check_is_sample(sample, who, "spectrogram")
    if "spectrogram" in sample or "features" not in sample:
        return "spectrogram", spectrogram_of(sample, who)
    features = sample["features"]
    if not isinstance(features, torch.Tensor) or features.ndim != 2 or not features.is_floating_point():
        raise ValueError(f"{who} needs 'features' as a tensor (T, F), got {type(features).__name__}")
    return "features", features
