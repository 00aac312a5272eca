"""The order of an epoch, and the key that decides what a sample looks like."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence, Sized
from typing import Any, NamedTuple

import numpy as np
import torch.distributed
from numpy.random.bit_generator import ISeedSequence
from torch.utils.data import Sampler


class _Digest(ISeedSequence):
    """Hands a digest to a bit generator as its state: NumPy's own seed sequence costs three times as much."""

    def __init__(self, digest: bytes) -> None:
        self.digest = digest

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        return np.frombuffer(self.digest, dtype)[:n_words]


def philox(person: bytes, *numbers: int) -> np.random.Generator:
    """A Philox generator from a BLAKE2b hash of the numbers; `person`, up to 16 bytes, keeps uses of them apart."""
    text = b",".join(b"%d" % number for number in numbers)
    digest = hashlib.blake2b(text, digest_size=16, person=person).digest()
    return np.random.Generator(np.random.Philox(_Digest(digest)))  # type: ignore[arg-type]


class Key(NamedTuple):
    """What a sample is a function of: `dataset[Key(seed, epoch, index)]` is the same sample everywhere.

    Attributes:
        seed: the seed of the run.
        epoch: the pass over the data, from 0.
        index: the record's index in the dataset.

    Examples:
        >>> from datakit import Key
        >>> one, other = Key(seed=0, epoch=3, index=17), Key(seed=0, epoch=3, index=17)
        >>> one.generator().random() == other.generator().random()
        True
    """

    seed: int
    epoch: int
    index: int  # type: ignore[assignment]  # a tuple has a method of this name

    def generator(self) -> np.random.Generator:
        """A fresh Philox generator from a BLAKE2b hash of the key; equal keys draw equal numbers."""
        return philox(b"datakit.sample", *self)


class KeySampler(Sampler[Key]):
    """Yields the keys of one epoch, for this rank, from `start` on.

    Args:
        source: a dataset, or the number of its records.
        seed: decides the order (where `shuffle`) and what the transforms draw.
        shuffle: a new permutation each epoch, or the order of the records.
        rank: this process among `world_size`; by default as torch.distributed, else the environment, says.
        world_size: processes that share the epoch by stride: rank r takes positions r, r + world_size, …
        multiple_of: leave out the end of the epoch so that its length is a multiple of this (`drop_last`).
        groups: int (n,), a group for each record: each block of the order then holds records of one group, as far as
            these go; what is left of the groups comes at the end of the epoch.
        block: records of a block: a batch of all ranks.

    Attributes:
        epoch: the epoch that the next `iter()` yields.
        start: position in the order of all ranks at which the next `iter()` begins.

    Raises:
        ValueError: for a rank outside the world, and for groups that are not one of each record.

    Examples:
        >>> from datakit import KeySampler
        >>> keys = KeySampler(5, seed=0, shuffle=True)
        >>> sorted(key.index for key in keys)
        [0, 1, 2, 3, 4]
        >>> list(KeySampler(5, rank=1, world_size=2))
        [Key(seed=0, epoch=0, index=1), Key(seed=0, epoch=0, index=3)]
    """

    def __init__(
        self,
        source: Sized | int,
        *,
        seed: int = 0,
        shuffle: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
        multiple_of: int = 1,
        groups: Sequence[int] | np.ndarray | None = None,
        block: int = 1,
    ) -> None:
        self.length = source if isinstance(source, int) else len(source)
        self.seed, self.shuffle, self.multiple_of = seed, shuffle, multiple_of
        self.rank, self.world_size = resolve_rank(rank, world_size)
        self.groups, self.block = None if groups is None else np.asarray(groups), block
        if self.groups is not None and self.groups.shape != (self.length,):
            raise ValueError(f"groups have shape {self.groups.shape}: one for each of {self.length} records is needed")
        self.epoch = self.start = 0
        self.key_type: type[Key] = Key

    def order(self, epoch: int) -> np.ndarray:
        """The indices of `epoch` over all ranks: int64 (length,), each index once."""
        order = np.arange(self.length)
        if self.shuffle:
            order = philox(b"datakit.order", self.seed, epoch).permutation(self.length)
        return order if self.groups is None else order[_in_blocks(self.groups[order], self.block)]

    def end(self, start: int = 0) -> int:
        """The position at which an epoch that begins at `start` ends."""
        rest = self.length - start
        return start + rest - rest % self.multiple_of

    def __len__(self) -> int:
        return len(range(self.rank, self.end(), self.world_size))

    def share(self, epoch: int, start: int) -> Sequence[int]:
        """The indices of `epoch` that this rank gets, from `start` in the order of all ranks on."""
        share: Any = self.order(epoch)[start : self.end(start)][self.rank :: self.world_size]
        return share  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[Key]:
        epoch, mine = self.epoch, self.share(self.epoch, self.start)
        return (self.key_type(self.seed, epoch, int(index)) for index in mine)


def _in_blocks(groups: np.ndarray, block: int) -> np.ndarray:
    """Places in an order, int (n,), such that each block is of one group; it comes when its last member would have."""
    places = np.argsort(groups, kind="stable")
    _, first, counts = np.unique(groups[places], return_index=True, return_counts=True)
    within = np.arange(len(groups)) - np.repeat(first, counts)
    is_whole = within < np.repeat(counts - counts % block, counts)
    blocks = places[is_whole].reshape(-1, block)
    return np.concatenate([blocks[np.argsort(blocks[:, -1])].ravel(), places[~is_whole]])


def global_generator() -> np.random.Generator:
    """A generator seeded by torch's global one, for samples that are read without a key."""
    return np.random.default_rng(int(torch.randint(2**63 - 1, ())))


def resolve_rank(rank: int | None = None, world_size: int | None = None) -> tuple[int, int]:
    """This process's rank and the world size: as given, else torch.distributed's, else RANK and WORLD_SIZE, else 0, 1.

    Raises:
        ValueError: where only one of them is given, or the rank is outside the world.
    """
    if (rank is None) != (world_size is None):
        raise ValueError(f"rank and world_size go together: got rank={rank}, world_size={world_size}")
    if rank is None or world_size is None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        else:
            rank, world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if not 0 <= rank < world_size:
        raise ValueError(f"rank {rank} is outside a world of {world_size}")
    return rank, world_size
