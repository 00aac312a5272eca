"""Memory that a batch is written into: where it comes from, and how a batch is told that is complete already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import get_worker_info


def empty(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """A tensor to write a batch into, on the CPU.

    In a worker process it lies in shared memory, so that sending it copies nothing.
    """
    if get_worker_info() is None:
        return torch.empty(tuple(shape), dtype=dtype)
    like = torch.empty(0, dtype=dtype)
    storage = like._typed_storage()._new_shared(int(np.prod(shape)), device=like.device)
    return like.new(storage).resize_(tuple(shape))


def rows(batch: torch.Tensor) -> list[torch.Tensor]:
    """The members of a batch (B, …) that is going to be written in place, each of which knows its batch."""
    members = list(batch.unbind())
    for place, member in enumerate(members):
        member._datakit_row = (batch, place)  # type: ignore[attr-defined]
    return members


def whole(members: Sequence[torch.Tensor]) -> torch.Tensor | None:
    """The batch that `rows` was given, where `members` are all of its rows in their order; else None."""
    found = [getattr(member, "_datakit_row", None) for member in members]
    batch = found[0][0] if found[0] is not None else None
    if batch is None or len(batch) != len(members):
        return None
    for place, (member, row) in enumerate(zip(members, found, strict=True)):
        if row is None or row[0] is not batch or row[1] != place or member.data_ptr() != batch[place].data_ptr():
            return None
    return batch  # type: ignore[no-any-return]
