"""The FFT of Kaldi, with the error that its float32 makes.

Kaldi's real FFT (`SplitRadixRealFft::Compute` of `srfft.cc`, `RealFft` of `matrix-functions.cc`) transforms even and
odd samples together, E and O, and joins them to E + w O. It finds the factors w by multiplying one with the other in
float32, so that they drift by some 1e-6, and each bin gets that much of the bin that mirrors it at a quarter of the
rate. Beside a loud tone this is all there is in a silent bin.
"""

from __future__ import annotations

import numpy as np
import torch

from datakit.audio.features.workspace import Workspace


def twiddle_errors(points: int) -> torch.Tensor:
    """How far Kaldi's factors are off, (points // 2 + 1,), complex128: (w' - w) / 2 w for each bin."""
    half = points // 2
    real, imaginary = np.float32(1), np.float32(0)
    step = np.float32(-2 * np.pi / points)
    cosine, sine = np.cos(step), np.sin(step)
    found = np.exp(-2j * np.pi * np.arange(half + 1) / points)
    exact = found.copy()
    for place in range(1, half // 2 + 1):
        real, imaginary = real * cosine - imaginary * sine, real * sine + imaginary * cosine
        found[place] = complex(real, imaginary)
        found[half - place] = -found[place].conjugate()
    return torch.from_numpy((found - exact) / (2 * exact))


def mirror_factors(points: int) -> torch.Tensor:
    """Factors of the mirror of each bin for `spectrum_of`, (points // 2 + 1, 2): real and imaginary part, float64."""
    return torch.view_as_real(-twiddle_errors(points).conj().resolve_conj())


def spectrum_of(
    frames: torch.Tensor, points: int, errors: torch.Tensor | None, sign: torch.Tensor, space: Workspace
) -> torch.Tensor:
    """FFT of frames (N, size), padded to `points`: real and imaginary parts in turn, (N, points + 2).

    With `errors` (points // 2 + 1, 2) it is Kaldi's: each bin less its error times the conjugate of its mirror. That
    the error also scales the bin itself, by 1e-6, is nothing. `sign` (points + 2,) is 1 for real parts, else -1.
    """
    count, bins = frames.shape[0], points // 2 + 1
    spectrum = torch.fft.rfft(frames, n=points)  # with out= it would be copied there
    parts = torch.view_as_real(spectrum).flatten(1)
    if errors is None:
        return parts
    mirror = torch.mul(
        spectrum.flip(1), torch.view_as_complex(errors), out=space.out("mirror", count, bins, is_complex=True)
    )
    leaked = torch.view_as_real(mirror).flatten(1)
    return torch.addcmul(parts, leaked, sign, out=parts if space.used else None)


def power_of(spectrum: torch.Tensor) -> torch.Tensor:
    """(N, bins) of real and imaginary parts in turn (N, 2 bins)."""
    squares = spectrum.square()
    return squares[:, ::2] + squares[:, 1::2]  # a sum over an axis of two takes ten times as long
