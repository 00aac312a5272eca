"""The order of an epoch whose batches hold records of like length, and what padding costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized

import numpy as np

from datakit.sampling import KeySampler, philox

POOL = 16  # blocks; measured on the spoken digits: docs/decisions/0012


class BucketSampler(KeySampler):
    """As `KeySampler`, in an order whose blocks hold records of like length.

    With `shuffle` the permutation of the epoch is cut into pools of up to `pool` blocks, all of about the same size.
    Each pool is sorted by length, longest first, and cut into blocks; then the blocks of all pools are shuffled. What
    does not fill a block is a run of neighbours in the last of the sorted pools, from a random place on, and comes at
    the end of the epoch: any record is as likely as any other to be among them. Without `shuffle` all records are
    sorted, longest first, so that memory which does not suffice is found out by the first batch; equal ones keep their
    order, and the shortest come last.

    Args:
        source: a dataset, or the number of its records.
        lengths: (n,), the length of each record in any unit, at least 0.
        pool: blocks that are sorted together with `shuffle`. More of them save padding, and put the same records into
            one batch again more often; None sorts the whole epoch.
        seed: decides the order (where `shuffle`) and what the transforms draw.
        shuffle: a new order each epoch, or longest first.
        rank: this process among `world_size`; by default as torch.distributed, else the environment, says.
        world_size: processes that share the epoch by stride, so that the batches of one step are of like length on all
            of them.
        multiple_of: leave out the end of the epoch so that its length is a multiple of this (`drop_last`).
        groups: int (n,), a group for each record: a block then holds records of one group and of like length. What is
            left of each group comes at the end of the epoch.
        block: records of a block: a batch of all ranks.

    Attributes:
        lengths: float64 (n,).
        epoch: the epoch that the next `iter()` yields.
        start: position in the order of all ranks at which the next `iter()` begins.

    Raises:
        ValueError: for lengths that are not one number of at least 0 for each record, a pool below 1, a rank outside
            the world, and groups that are not one of each record.

    Examples:
        >>> from datakit import BucketSampler
        >>> lengths = [30, 10, 31, 11, 32, 12]
        >>> BucketSampler(6, lengths, block=2).order(0).tolist()
        [4, 2, 0, 5, 3, 1]
        >>> order = BucketSampler(6, lengths, block=3, shuffle=True).order(0)
        >>> sorted([sorted(order[:3].tolist()), sorted(order[3:].tolist())])
        [[0, 2, 4], [1, 3, 5]]
    """

    def __init__(
        self,
        source: Sized | int,
        lengths: Sequence[float] | np.ndarray,
        *,
        pool: int | None = POOL,
        seed: int = 0,
        shuffle: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
        multiple_of: int = 1,
        groups: Sequence[int] | np.ndarray | None = None,
        block: int = 1,
    ) -> None:
        super().__init__(
            source,
            seed=seed,
            shuffle=shuffle,
            rank=rank,
            world_size=world_size,
            multiple_of=multiple_of,
            groups=groups,
            block=block,
        )
        if pool is not None and pool < 1:
            raise ValueError(f"pool={pool}: a pool has at least one block; None sorts the whole epoch")
        self.lengths, self.pool = _checked(lengths, self.length), pool

    def order(self, epoch: int) -> np.ndarray:
        """The indices of `epoch` over all ranks: int64 (length,), each index once."""
        rng = philox(b"datakit.order", self.seed, epoch)
        records = rng.permutation(self.length) if self.shuffle else np.arange(self.length)
        parts = [self._cut(records, rng) for records in self._by_group(records)]
        blocks = np.concatenate([whole for whole, _ in parts])
        if self.shuffle:
            blocks = rng.permutation(blocks)
        else:
            blocks = blocks[np.argsort(-self.lengths[blocks[:, 0]], kind="stable")]
        return np.concatenate([blocks.ravel(), *(rest for _, rest in parts)])

    def _by_group(self, records: np.ndarray) -> Iterator[np.ndarray]:
        if self.groups is None or not len(records):
            yield records
            return
        groups = self.groups[records]
        places = np.argsort(groups, kind="stable")
        yield from np.split(records[places], np.flatnonzero(np.diff(groups[places])) + 1)

    def _cut(self, records: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Blocks (k, block) of like length, and what is left over: fewer than a block."""
        whole, rest = divmod(len(records), self.block)
        pools = -(-whole // self.pool) if self.pool and whole and self.shuffle else 1
        starts = np.arange(pools) * whole // pools * self.block
        ranked = np.concatenate([self._longest_first(pool) for pool in np.split(records, starts[1:])])
        if self.shuffle:  # round the last pool, as its ends would be left over less often than its middle
            size = max(len(records) - starts[-1], 1)
            left = np.sort(starts[-1] + (rng.integers(size) + np.arange(rest)) % size)
        else:
            left = np.arange(whole * self.block, len(records))
        return np.delete(ranked, left).reshape(whole, self.block), ranked[left]

    def _longest_first(self, records: np.ndarray) -> np.ndarray:
        return records[np.argsort(-self.lengths[records], kind="stable")]


def padding_share(
    lengths: Sequence[float] | np.ndarray, order: Sequence[int] | np.ndarray, batch_size: int, *, world_size: int = 1
) -> float:
    """The share of padding in the batches of an epoch, in [0, 1); nothing is loaded.

    Every record of a batch is padded to the longest of that batch: of the B x T_max positions of all batches together,
    those that hold no data.

    Args:
        lengths: (n,), the length of each record of the dataset.
        order: int (m,), the records in the order of all ranks, as `KeySampler.order` gives it.
        batch_size: records a batch, on one rank.
        world_size: ranks that share each batch_size x world_size records by stride.

    Returns:
        The share; 0 where there is nothing to pad.

    Raises:
        ValueError: for lengths that are not numbers of at least 0, for a batch size or a world size below 1.

    Examples:
        >>> from datakit import BucketSampler, KeySampler, padding_share
        >>> lengths = [30, 10, 31, 11, 32, 12]
        >>> round(padding_share(lengths, KeySampler(6).order(0), batch_size=2), 3)
        0.323
        >>> round(padding_share(lengths, BucketSampler(6, lengths, block=2).order(0), batch_size=2), 3)
        0.137
    """
    if batch_size < 1 or world_size < 1:
        raise ValueError(f"batch_size and world_size are at least 1, got {batch_size} and {world_size}")
    inside = _checked(lengths, len(lengths))[np.asarray(order, np.int64)]
    blocks = -(-len(inside) // (batch_size * world_size))
    shape = (blocks, batch_size, world_size)
    padded, is_there = np.zeros(shape), np.zeros(shape, bool)
    padded.ravel()[: len(inside)], is_there.ravel()[: len(inside)] = inside, True
    positions = float((padded.max(axis=1, initial=0) * is_there.sum(axis=1)).sum())
    return 1 - float(inside.sum()) / positions if positions else 0.0


def _checked(lengths: Sequence[float] | np.ndarray, n: int) -> np.ndarray:
    """The lengths as float64 (n,), which holds every length that a record can have."""
    given = np.asarray(lengths)
    if given.shape != (n,):
        raise ValueError(f"lengths have shape {given.shape}: one for each of {n} records is needed")
    if n and given.dtype.kind not in "iuf":
        raise ValueError(f"lengths are numbers, got values of type {given.dtype}")
    checked: np.ndarray = given.astype(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(checked) & (checked >= 0)))
    if len(wrong):
        raise ValueError(f"lengths are at least 0 and finite: that of record {wrong[0]} is {given[wrong[0]]}")
    return checked
