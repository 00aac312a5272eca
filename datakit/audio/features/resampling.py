"""Kaldi's resampling: `LinearResample` of `resample.cc`."""

from __future__ import annotations

import math

import torch


def resample_waveform(
    waveform: torch.Tensor, orig_freq: int, new_freq: int, lowpass_filter_width: int = 6
) -> torch.Tensor:
    """A waveform at another rate, as Kaldi's `LinearResample` and `torchaudio.compliance.kaldi.resample_waveform`.

    Args:
        waveform: (..., T), float32 or float64.
        orig_freq: Hz, of the waveform.
        new_freq: Hz, of the result.
        lowpass_filter_width: zeros of the filter on each side; more are sharper and slower.

    Returns:
        (..., ceil(T new_freq / orig_freq)). The filter ends at 0.99 of half the lower rate; beyond the waveform's ends
        it sees zeros.

    Raises:
        ValueError: for rates or a width that are not positive whole numbers.

    Examples:
        >>> import torch
        >>> from datakit.audio.features import resample_waveform
        >>> resample_waveform(torch.rand(1, 276858), 44100, 4410).shape
        torch.Size([1, 27686])
    """
    given = {"orig_freq": orig_freq, "new_freq": new_freq, "lowpass_filter_width": lowpass_filter_width}
    for name, value in given.items():
        if value != int(value) or value < 1:
            raise ValueError(f"resample_waveform needs whole numbers above 0, got {name}={value!r}")
    if not waveform.is_floating_point():
        raise TypeError(f"resample_waveform takes floating-point samples, got {waveform.dtype}")
    common = math.gcd(int(orig_freq), int(new_freq))
    old, new = int(orig_freq) // common, int(new_freq) // common
    length = waveform.shape[-1]
    wanted = -(-length * new // old)
    if old == new or wanted == 0:
        return waveform[..., :wanted].clone()
    first, weights = _filters(old, new, int(lowpass_filter_width))
    weights = weights.to(waveform.device, waveform.dtype)
    units = -(-wanted // new)
    before = -first
    behind = max(0, (units - 1) * old + first + weights.shape[1] - length)
    flat = torch.nn.functional.pad(waveform.reshape(-1, 1, length), (before, behind))
    found = torch.nn.functional.conv1d(flat, weights[:, None], stride=old)
    return found.transpose(1, 2).reshape(*waveform.shape[:-1], -1)[..., :wanted]


def _filters(old: int, new: int, zeros: int) -> tuple[int, torch.Tensor]:
    """The first input step of all filters, and their weights, (new, steps), float64, with time in units of the gcd.

    Output i of a unit looks at inputs around i / new; its weights stand where these inputs are, zeros elsewhere.
    """
    cutoff = 0.99 * 0.5 * min(old, new)
    half = zeros / (2 * cutoff)
    out = torch.arange(new, dtype=torch.float64)[:, None] / new
    first = math.ceil(-half * old)
    last = math.floor((half + (new - 1) / new) * old)
    apart = torch.arange(first, last + 1, dtype=torch.float64) / old - out
    window = 0.5 * (1 + (2 * math.pi * cutoff / zeros * apart).cos())
    weights = 2 * cutoff * torch.sinc(2 * cutoff * apart) * window / old
    return first, torch.where(apart.abs() < half, weights, 0.0)
