"""A `DataLoader` with a seed and a state."""

from __future__ import annotations

import pickle
import time
import warnings
from collections.abc import Iterator, Sequence
from copy import copy
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter

from datakit import collate
from datakit.buckets import BucketSampler, padding_share
from datakit.chain import irreproducible
from datakit.dataset import Dataset, LoaderKey, digest
from datakit.delivery import Collate, Collator, OnError, Packet, WorkerStart, unpicklable
from datakit.derived import Mapped
from datakit.errors import (
    CorruptDataError,
    DatakitError,
    ReproducibilityError,
    SampleError,
    UnknownNameError,
    WorkerError,
)
from datakit.passes import Pass, StreamPass, Workers
from datakit.resuming import STATE_VERSION, check_state
from datakit.sampling import Key, KeySampler
from datakit.streams import Stream, StreamBatches, StreamKeys, check_options

_CHECK_SAMPLES, _CHECK_SECONDS = 16, 0.25
_FEW = 1000  # records of a stream of which a share may be bad
_NEED_WORKERS = {"prefetch_factor", "persistent_workers", "multiprocessing_context"}
_DECIDED_HERE = {"sampler", "batch_sampler", "generator", "in_order"}


class Loader(DataLoader[Any]):
    """Batches whose samples depend on (seed, epoch, index) alone, and that can be taken up again at any step.

    Each pass over the loader is one epoch. The first pass after `load_state_dict` goes on at the sample after the last
    one that the training loop received; every later pass begins the next epoch.

    Args:
        dataset: a datakit dataset or `Stream`; any other map-style dataset is put into `Mapped`. A stream is read in
            its own order and takes no `shuffle`, `groups`, `lengths` and `on_error="replace"`.
        batch_size: samples a batch, on this rank.
        seed: decides the order and every random transform.
        shuffle: a new permutation each epoch.
        drop_last: leave out what does not fill a batch on every rank.
        num_workers: worker processes; 0 reads in this process.
        collate_fn: from a list of samples to a batch; by default the dataset's own, else `collate.stack`.
        rank: this process among `world_size`, which share each global batch by stride; by default as torch.distributed,
            else the environment, says. Nothing is padded or repeated: without `drop_last` the last ranks may have a
            smaller last batch, or one less.
        world_size: number of ranks.
        groups: int (n,), a group for each record, such as `datakit.vision.aspect_ratio_groups` gives: a batch holds
            records of one group, on all ranks alike. What does not fill a batch comes at the end of the epoch, mixed.
            The order then depends on batch_size x world_size too.
        lengths: (n,), the length of each record in any unit: a batch then holds records of like length, on all ranks
            alike, as `BucketSampler` orders them, so that little is padded. Without `shuffle` the longest come first.
            The order depends on batch_size x world_size too. With `groups` a batch is of one group and of like length.
        on_error: what a record that cannot be read does: `raise` a `SampleError`, `skip` it (the batch is smaller), or
            `replace` it by another record, chosen by its key. Skipped and replaced records are listed in `failures`.
        max_bad: how many records of an epoch may fail before `skip` and `replace` raise all the same: a share of the
            dataset (float) or a number (int); at least 1. Of a stream a share of what was received so far, and of the
            first thousand at least.
        verify: before the first pass, read up to 16 samples twice, for about a quarter of a second, and raise where
            two differ.
        timeout: seconds to wait for a worker's batch before it counts as hung.
        **options: of `torch.utils.data.DataLoader`: `pin_memory`, `persistent_workers`, `prefetch_factor`,
            `multiprocessing_context` …

    Attributes:
        seed: the seed of the stream.
        failures: the records of this epoch that could not be read, up to the last batch received.

    Raises:
        SampleError: while iterating, for a record that cannot be read.
        CorruptDataError: while iterating, for more bad records than `max_bad`, and for a stream whose source fails.
        DatakitError: for a stream with options that need an index.
        CollateError: while iterating, for samples that do not fit into one batch.
        WorkerError: while iterating, when a worker dies, hangs or cannot be started.
        ReproducibilityError: at the first pass, for a transform that is not a function of the key.

    Examples:
        >>> from datakit import Loader
        >>> loader = Loader([{"number": n} for n in range(10)], batch_size=4)
        >>> for batch in loader:
        ...     print(batch["number"].tolist())
        [0, 1, 2, 3]
        [4, 5, 6, 7]
        [8, 9]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        *,
        seed: int = 0,
        shuffle: bool = False,
        drop_last: bool = False,
        num_workers: int = 0,
        collate_fn: Collate | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        groups: Sequence[int] | np.ndarray | None = None,
        lengths: Sequence[float] | np.ndarray | None = None,
        on_error: OnError = "raise",
        max_bad: float | int = 0.01,
        verify: bool = True,
        timeout: float = 300.0,
        **options: Any,
    ) -> None:
        if taken := sorted(_DECIDED_HERE & options.keys()):
            raise TypeError(f"Loader decides the order of the stream itself and does not take {', '.join(taken)}")
        if on_error not in ("raise", "skip", "replace"):
            raise UnknownNameError.of("on_error", on_error, ("raise", "skip", "replace"))
        if not isinstance(seed, int) or max_bad < 0:
            raise ValueError(f"seed is an int and max_bad at least 0, got seed={seed!r}, max_bad={max_bad!r}")
        if num_workers and timeout <= 0:
            raise ValueError(f"timeout={timeout}: a worker that hangs must be found; give seconds above 0")
        self.records = dataset if isinstance(dataset, Dataset) else Mapped(dataset)
        self._options, self._collate = dict(options), collate_fn or self.records.collate_fn or collate.stack
        if isinstance(self.records, Stream):
            check_options(shuffle=shuffle, groups=groups, lengths=lengths, on_error=on_error)
            self.keys: KeySampler = StreamKeys(seed=seed, rank=rank, world_size=world_size)
        else:
            sampler = KeySampler if lengths is None else partial(BucketSampler, lengths=lengths)
            self.keys = sampler(
                self.records, seed=seed, shuffle=shuffle, rank=rank, world_size=world_size, groups=groups
            )
        self.keys.block = self._block = batch_size * self.keys.world_size
        self.keys.key_type = LoaderKey
        self.keys.multiple_of = batch_size * self.keys.world_size if drop_last else 1
        self.on_error, self.max_bad, self.verify = on_error, max_bad, verify
        self.failures: list[SampleError] = []
        self._fingerprint = ""
        self._next = self._at = (0, 0)  # (epoch, position): where the next pass begins, where the training loop is
        self._passes = 0  # counted, not held: a pass that nobody holds lets its workers go
        self.patience = timeout
        super().__init__(
            self._read(batch_size, drop_last),
            batch_size,
            sampler=self.keys,
            drop_last=drop_last,
            num_workers=num_workers,
            collate_fn=Collator(self.records, self._collate, on_error),  # type: ignore[arg-type]
            generator=torch.Generator(),  # so that a pass draws nothing from torch's global generator
            worker_init_fn=WorkerStart(options.pop("worker_init_fn", None), options.get("multiprocessing_context")),
            **options,
        )

    @property
    def seed(self) -> int:
        """The seed of the stream."""
        return self.keys.seed

    @property
    def epoch(self) -> int:
        """The epoch that is being delivered, or the next one when that is complete."""
        return self._at[0]

    def __iter__(self) -> Pass:  # type: ignore[override]
        if self.verify:
            self._check_reproducible()
        self.verify = False
        epoch, start = self._next
        self.keys.epoch, self.keys.start = epoch, start
        if not start:
            self.keys.block = self._block
        self._at, self._next = (epoch, start), (epoch + 1, 0)
        self.failures = []
        self._passes += 1
        kind = StreamPass if isinstance(self.records, Stream) else Pass
        return kind(self, self._packets(), self._passes, epoch, start)

    def with_workers(self, num_workers: int, *, start_method: str | None = None, batch_size: int | None = None) -> Self:
        """The same stream from where this loader is, by another number of workers.

        Everything else is as it was given to this loader; options that need workers (`prefetch_factor`,
        `persistent_workers`, `multiprocessing_context`) rest while there are none.

        Args:
            num_workers: worker processes; 0 reads in this process.
            start_method: of the workers: `fork`, `spawn` or `forkserver`; by default as this loader's.
            batch_size: samples a batch; by default as this loader's.

        Raises:
            DatakitError: for a subclass with a constructor of its own, of which nobody knows how it is called.
        """
        cls = type(self)
        if cls.__init__ is not Loader.__init__:
            raise DatakitError(
                f"{cls.__name__} has a constructor of its own and cannot be made anew with {num_workers} workers; "
                f"measure it with its own {self.num_workers}"
            )
        context = start_method or self._options.get("multiprocessing_context")
        options = {**self._options, "multiprocessing_context": context}
        other = cls(
            self.records,
            int(self.batch_size or 1) if batch_size is None else batch_size,
            seed=self.seed,
            shuffle=self.keys.shuffle,
            drop_last=self.drop_last,
            num_workers=num_workers,
            collate_fn=self._collate,
            rank=self.keys.rank,
            world_size=self.keys.world_size,
            groups=self.keys.groups,
            lengths=self.keys.lengths if isinstance(self.keys, BucketSampler) else None,
            on_error=self.on_error,
            max_bad=self.max_bad,
            verify=self.verify,
            timeout=self.patience,
            **{key: value for key, value in options.items() if num_workers or key not in _NEED_WORKERS},
        )
        other._options = options
        other._next = other._at = self._at
        other.keys.block = self.keys.block if self._at[1] else other._block
        return other

    def padding(self, epoch: int = 0) -> float:
        """The share of padding in the batches of a whole epoch over all ranks, in [0, 1), by the `lengths` given.

        Nothing is loaded. For the same records in another order there is `padding_share`.

        Raises:
            DatakitError: for a loader without `lengths`.

        Examples:
            >>> from datakit import KeySampler, Loader, padding_share
            >>> records, lengths = range(1000), [100 + number * 37 % 1000 for number in range(1000)]
            >>> loader = Loader(records, batch_size=8, shuffle=True, lengths=lengths)
            >>> chance = padding_share(lengths, KeySampler(1000, shuffle=True).order(0), batch_size=8)
            >>> f"{loader.padding():.3f} where chance has {chance:.3f}"
            '0.044 where chance has 0.392'
        """
        if not isinstance(self.keys, BucketSampler):
            raise DatakitError("this loader knows no lengths: give it lengths=..., or call datakit.padding_share")
        keys = copy(self.keys)
        keys.block = self._block
        order = keys.order(epoch)[: keys.end()]
        return padding_share(keys.lengths, order, int(self.batch_size or 1), world_size=keys.world_size)

    def state_dict(self) -> dict[str, Any]:
        """Where the training loop is: small and plain.

        It counts the samples that the loops of all ranks have received, not what workers have fetched ahead. Ranks that
        have made the same number of steps have the same state.

        Examples:
            >>> from datakit import Loader
            >>> records = [{"number": n} for n in range(10)]
            >>> loader = Loader(records, batch_size=4)
            >>> for batch in loader:
            ...     state = loader.state_dict()
            ...     break
            >>> resumed = Loader(records, batch_size=3)
            >>> resumed.load_state_dict(state)
            >>> next(iter(resumed))["number"].tolist()
            [4, 5, 6]
        """
        epoch, samples = self._at
        self._fingerprint = self._fingerprint or self.records.fingerprint()
        return {
            "version": STATE_VERSION,
            "seed": self.seed,
            "epoch": epoch,
            "samples": samples,
            "shuffle": self.keys.shuffle,
            "length": self._length(),
            "fingerprint": self._fingerprint,
            "groups": "" if self.keys.groups is None else digest(self.keys.groups.tobytes()),
            "lengths": self._lengths_digest(),
            "block": self.keys.block,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after the last sample of `state`; batch size, workers and ranks may be others than when it was saved.

        With `groups` or `lengths` the rest of the epoch keeps the order of the batch size that it began with.

        Raises:
            StateError: where the state is not a loader's, or is of another dataset or order; it says what differs.
        """
        check_state(state, self.state_dict(), self._length(), repr(self.records))
        self.keys.seed, self.keys.block = state["seed"], state["block"]
        self._next = self._at = (state["epoch"], state["samples"])
        self._passes += 1

    def _read(self, batch_size: int, drop_last: bool) -> torch.utils.data.Dataset[Any]:
        """What the workers read from."""
        if not isinstance(self.records, Stream):
            return self.records
        return StreamBatches(self.records, batch_size, self.keys.rank, self.keys.world_size, drop_last)

    def _length(self) -> int | None:
        """How many records there are; None for a stream."""
        return None if isinstance(self.records, Stream) else len(self.records)

    def _lengths_digest(self) -> str:
        keys = self.keys
        return digest(keys.lengths.tobytes(), repr(keys.pool).encode()) if isinstance(keys, BucketSampler) else ""

    def _get_iterator(self) -> _BaseDataLoaderIter:
        return Workers(self, self.patience) if self.num_workers else super()._get_iterator()

    def _packets(self) -> Iterator[Packet]:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Got pickle error")  # the error below says which attribute
                return super().__iter__()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            if not self.num_workers:
                raise
            raise WorkerError(f"the workers could not be started: {unpicklable(self.records, error)}") from error

    def _check_reproducible(self) -> None:
        """Read some samples twice: more than one, since a transform may act by chance, but not for long."""
        stage, deadline = None, time.monotonic() + _CHECK_SECONDS
        length = self._length()
        for index in range(_CHECK_SAMPLES if length is None else min(length, _CHECK_SAMPLES)):
            key = Key(self.seed, self._next[0], index)
            try:
                stage = irreproducible(partial(self.records.trace, key))
            except (SampleError, IndexError):
                continue  # the pass itself deals with bad records, and with a stream that is over
            if stage is not None or time.monotonic() > deadline:
                break
        if isinstance(self.records, Stream):
            self.records.rest()
        if stage is not None:
            raise ReproducibilityError(
                f"{stage}: two runs under the same key, {key}, gave different samples. It draws from a generator of "
                "its own. Give it a parameter rng (the sample's NumPy generator) or let it draw from the global "
                "generators; verify=False turns this check off"
            )

    def received(self, current: Pass, steps: int, is_end: bool) -> None:
        """For `Pass`: the training loop has got `steps` batches of it. An older pass no longer counts."""
        if current.number == self._passes:
            samples = current.start + steps * int(self.batch_size or 1) * self.keys.world_size
            is_end = is_end or samples >= self.keys.end(current.start)
            self._at = (current.epoch + 1, 0) if is_end else (current.epoch, samples)

    def count(self, failures: tuple[SampleError, ...]) -> None:
        """For `Pass`: bad records of the batch that is due; raises where they are too many."""
        if failures and self.on_error == "raise":
            raise failures[0]
        self.failures.extend(failures)
        length = self._length()
        records = max(self._at[1], _FEW) if length is None else length
        share = self.max_bad * records if isinstance(self.max_bad, float) else self.max_bad
        allowed = max(1, int(share))
        if failures and len(self.failures) > allowed:
            first = "\n  ".join(map(str, self.failures[:5]))
            raise CorruptDataError(
                f"{len(self.failures)} of {length or self._at[1]} records could not be read, more than the {allowed} "
                f"that max_bad={self.max_bad} allows in an epoch; the first:\n  {first}"
            )
