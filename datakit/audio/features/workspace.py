"""Memory that one chunk of frames hands on to the next: to get it anew from the system takes as long as the FFT."""

from __future__ import annotations

import torch


class Workspace:
    """Buffers by name, of as many rows as a chunk has at most; none of them where gradients are wanted.

    Args:
        like: gives dtype and device.
        rows: of the largest chunk.
        used: False makes every step take memory of its own, which gradients need.
    """

    def __init__(self, like: torch.Tensor, rows: int, used: bool) -> None:
        self.like, self.rows, self.used = like, rows, used
        self.buffers: dict[str, torch.Tensor] = {}

    def out(self, name: str, rows: int, columns: int, *, is_complex: bool = False) -> torch.Tensor | None:
        """A buffer (rows, columns), zeros when it is first asked for, to be given as `out=`."""
        if not self.used:
            return None
        if name not in self.buffers:
            dtype = self.like.dtype.to_complex() if is_complex else self.like.dtype
            self.buffers[name] = self.like.new_zeros(self.rows, columns, dtype=dtype)
        return self.buffers[name][:rows]
