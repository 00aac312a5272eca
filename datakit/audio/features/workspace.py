"""Memory that one chunk of frames hands on to the next: to get it anew from the system takes as long as the FFT."""

from __future__ import annotations

import threading

import torch

_KEPT = threading.local()


class Workspace:
    """Buffers by name, of as many rows as a chunk has at most; none of them where gradients are wanted.

    On a CPU each thread keeps them for its next batch: some 5 MB.

    Args:
        like: gives dtype and device.
        rows: of the largest chunk.
        used: False makes every step take memory of its own, which gradients need.
    """

    def __init__(self, like: torch.Tensor, rows: int, used: bool) -> None:
        self.like, self.rows, self.used = like, rows, used
        self.buffers: dict[tuple[str, torch.dtype, int], torch.Tensor] = {}
        if used and like.device.type == "cpu":
            self.buffers = _KEPT.__dict__.setdefault("buffers", self.buffers)

    def out(self, name: str, rows: int, columns: int, *, is_complex: bool = False) -> torch.Tensor | None:
        """A buffer (rows, columns) to be given as `out=`; it holds what it was last left with, at first zeros."""
        if not self.used:
            return None
        dtype = self.like.dtype.to_complex() if is_complex else self.like.dtype
        key = name, dtype, columns
        if key not in self.buffers or len(self.buffers[key]) < rows:
            with torch.inference_mode(False):
                self.buffers[key] = torch.zeros(max(rows, self.rows), columns, dtype=dtype, device=self.like.device)
        return self.buffers[key][:rows]
