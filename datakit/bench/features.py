"""Features of sounds in the two places where they can be computed: in the workers, and per batch on a device."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch

from datakit.audio.features import OnSample
from datakit.bench.loaders import Features
from datakit.chain import Compose, steps
from datakit.dataset import Dataset
from datakit.errors import DatakitError


def on_device(dataset: Dataset, step: Any, device: str) -> Features:
    """A dataset with these features in its samples, and the same features of its batches.

    Args:
        dataset: of waveforms with one channel, at the rate of the features.
        step: `OnSample` of a module of features.
        device: such as `cpu` or `cuda`.

    Raises:
        DatakitError: for another step, and for a device that is not there.
    """
    if not isinstance(step, OnSample) or step.module is None:
        raise DatakitError(f"--features takes Fbank, Mfcc or Plp with its options, got {step!r}")
    try:
        module = deepcopy(step.module).to(device)  # the workers keep theirs on the CPU
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DatakitError(f"--device {device}: {str(error).splitlines()[0]}") from error
    with_features = dataset.with_transform(Compose([*steps(dataset.transform), step]))
    return Features(repr(step.module), with_features, _PerBatch(module, torch.device(device)), device)


class _PerBatch:
    """Makes the features of a batch, from its waveforms to their last number."""

    def __init__(self, module: Any, device: torch.device) -> None:
        self.module, self.device = module, device

    @torch.inference_mode()
    def __call__(self, batch: Any) -> None:
        """Waveforms and lengths go to the device; returns when the features are there."""
        waveform, rate = batch["waveform"], batch["sample_rate"]
        if waveform.shape[1] != 1 or not (rate == self.module.sample_frequency).all():
            wanted, rates = f"{self.module.sample_frequency:g}", ", ".join(map(str, sorted(set(rate.tolist()))))
            raise DatakitError(
                f"{self.module!r} needs one channel at {wanted} Hz, got waveforms {tuple(waveform.shape)} at {rates} "
                f"Hz; put Mono() and Resample({wanted}) into the chain"
            )
        lengths = batch.get("length")
        moved = waveform[:, 0].to(self.device, non_blocking=True)
        self.module(moved, None if lengths is None else lengths.to(self.device))
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
