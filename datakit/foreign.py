"""Callables that know nothing of datakit, seeded from the key.

A foreign callable draws from `random`, NumPy's and torch's global generators. They are seeded from the sample's
generator around the call and put back afterwards, so the callable is as reproducible as ours. One that carries a
generator of its own is out of reach; `datakit.chain.irreproducible` finds it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.utils.data import get_worker_info

States: TypeAlias = tuple[Any, Any, torch.Tensor]


def global_states() -> States:
    """Of the global generators of Python, NumPy and torch."""
    return random.getstate(), np.random.get_state(), torch.default_generator.get_state()


def put_back(states: States) -> None:
    """Set the global generators to what `global_states` gave."""
    python, numpy, torch_state = states
    random.setstate(python)
    np.random.set_state(numpy)
    torch.default_generator.set_state(torch_state)


class _Kept:
    """The states of the global generators before the first foreign callable of a block, if there was one."""

    def __init__(self) -> None:
        self.states: States | None = None

    def keep(self) -> None:
        self.states = self.states or global_states()

    def put_back(self) -> None:
        if self.states is not None:
            put_back(self.states)


_blocks: list[_Kept] = []


@contextmanager
def preserved() -> Iterator[None]:
    """Put the global generators back at the end, once for all foreign callables in between.

    Saving and restoring NumPy's state alone takes 70 µs, so it is done once a batch. In a worker process, where every
    draw follows a key, it is not done at all.
    """
    kept = _Kept()
    _blocks.append(kept)
    try:
        yield
    finally:
        _blocks.pop()
        kept.put_back()


@contextmanager
def seeded(rng: np.random.Generator | None) -> Iterator[None]:
    """Seed Python's, NumPy's and torch's global generators from `rng` for a while. With None nothing is touched."""
    if rng is None:
        yield
        return
    with nullcontext() if _blocks else preserved():
        if get_worker_info() is None:
            _blocks[-1].keep()
        seed = int(rng.integers(2**63))
        random.seed(seed)
        np.random.seed(seed & 0xFFFFFFFF)
        torch.default_generator.manual_seed(seed)
        yield
