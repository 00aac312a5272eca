"""Batches of sequences: what may be given as one, how long its members are, and zeros behind their ends."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.utils.rnn import pad_sequence

from datakit.errors import CollateError


def as_batch(
    name: str, waveforms: torch.Tensor | Sequence[torch.Tensor]
) -> tuple[torch.Tensor | list[torch.Tensor], bool]:
    """Waveforms as (B, T) or a list of (T,), in float32 or float64, and whether it was a single one, (T,).

    Raises:
        ValueError: for another number of axes, several channels, an empty batch.
        TypeError: for samples that are not floating point.
    """
    if isinstance(waveforms, torch.Tensor):
        if waveforms.ndim == 3:
            raise ValueError(
                f"{name} takes waveforms (B, T), got (B, C, T) = {tuple(waveforms.shape)}; choose a channel, "
                "waveforms[:, 0], or make features of each"
            )
        if waveforms.ndim not in (1, 2) or (waveforms.ndim == 2 and waveforms.shape[0] == 0):
            raise ValueError(f"{name} takes waveforms (B, T), or (T,) alone, got {tuple(waveforms.shape)}")
        is_single = waveforms.ndim == 1
        return _floating(name, waveforms[None] if is_single else waveforms), is_single
    if not waveforms:
        raise ValueError(f"{name} takes at least one waveform, got an empty list")
    members = [_floating(name, _mono(name, place, member)) for place, member in enumerate(waveforms)]
    kinds = {(member.dtype, member.device) for member in members}
    if len(kinds) > 1:
        raise CollateError(f"{name} takes waveforms of one dtype on one device, got {sorted(map(str, kinds))}")
    return members, False


def _mono(name: str, place: int, waveform: torch.Tensor) -> torch.Tensor:
    if waveform.ndim == 1 or (waveform.ndim == 2 and len(waveform) == 1):
        return waveform.reshape(-1)
    raise ValueError(
        f"{name} takes a list of waveforms (T,) or (1, T), and number {place} is {tuple(waveform.shape)}; choose a "
        "channel, waveform[0]"
    )


def _floating(name: str, waveform: torch.Tensor) -> torch.Tensor:
    if not waveform.is_floating_point():
        raise TypeError(
            f"{name} takes floating-point samples in [-1, 1], got {waveform.dtype}; waveform.float() with scale=1.0 "
            "takes 16-bit values as they are"
        )
    return waveform if waveform.dtype in (torch.float32, torch.float64) else waveform.float()


def lengths_of(
    name: str, batch: torch.Tensor | list[torch.Tensor], lengths: torch.Tensor | None, unit: str = "samples"
) -> torch.Tensor:
    """How much of each member counts, (B,) int64, on the device of the batch.

    Lengths on another device than the CPU are clamped, not checked: that would wait for the device.

    Raises:
        ValueError: for another shape or kind, and for lengths below 0 or beyond the end of a member.
    """
    device = batch.device if isinstance(batch, torch.Tensor) else batch[0].device
    count = batch.shape[0] if isinstance(batch, torch.Tensor) else len(batch)
    if lengths is None:
        if isinstance(batch, torch.Tensor):
            return torch.full((count,), batch.shape[1], device=device)
        return torch.tensor([member.shape[0] for member in batch], device=device)
    if lengths.ndim == 0 and count == 1:
        lengths = lengths[None]
    if lengths.ndim != 1 or lengths.shape[0] != count or lengths.is_floating_point():
        raise ValueError(f"{name} takes lengths ({count},) in whole {unit}, got {tuple(lengths.shape)} {lengths.dtype}")
    if lengths.device.type == "cpu" and not torch.compiler.is_compiling():
        for place, (length, member) in enumerate(zip(lengths.tolist(), batch, strict=True)):
            if not 0 <= length <= len(member):
                raise ValueError(f"{name}: member {place} has {len(member)} {unit}, and its length is {length}")
    most = batch.shape[1] if isinstance(batch, torch.Tensor) else max(map(len, batch))
    return lengths.to(device, torch.int64).clamp(0, most)


def padded(rows: list[torch.Tensor], most: int) -> torch.Tensor:
    """(B, most, F) of rows (n, F), with zeros behind their ends."""
    batch = pad_sequence(rows, batch_first=True)
    more = most - batch.shape[1]
    return torch.nn.functional.pad(batch, (0, 0, 0, more)) if more else batch


def inside(frames: torch.Tensor, most: int) -> torch.Tensor:
    """(B, most, 1): True where a frame is none of padding."""
    return (torch.arange(most, device=frames.device) < frames[:, None])[..., None]


def frames_of_features(name: str, features: torch.Tensor, frames: torch.Tensor | None) -> torch.Tensor:
    """The frame counts (B,) that belong to features (B, N, F), all of them where none are given.

    Raises:
        ValueError: for another number of axes, or counts that do not fit.
    """
    if features.ndim != 3 or not features.is_floating_point():
        raise ValueError(
            f"{name} takes floating-point features (B, frames, F), got {tuple(features.shape)} of {features.dtype}; "
            "features[None] makes a batch of one utterance"
        )
    return lengths_of(name, features, frames, "frames")
