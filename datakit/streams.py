"""Streams: records that come one after another, of unknown number, under the promises that such a thing can keep.

The position in the stream takes the place of the index. Every worker reads the stream forward and decodes the records
of its own batches alone, so a sample does not depend on who reads it.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import operator
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np
import torch.utils.data
from torch.utils.data._utils import worker as torch_worker

from datakit.border import as_image
from datakit.chain import Transform
from datakit.dataset import Batch, LoaderKey, digest
from datakit.derived import Derived
from datakit.errors import CorruptDataError, DatakitError
from datakit.foreign import preserved, seeded
from datakit.sampling import Key, KeySampler, philox


class StreamError(CorruptDataError):
    """The source of a stream failed, and nothing comes after that."""


class Stream(Derived):
    """The records of anything that can be iterated over again and again, such as an iterable of Hugging Face.

    It has no length and no index. `Loader(stream, batch_size, num_workers=...)` gives the records in the stream's own
    order; `Key(seed, epoch, position)` decides what the transforms draw.

    A `source` with `set_epoch`, as streams of Hugging Face have, is told the epoch. Reading it runs with the global
    generators seeded from (seed, epoch, position), and as if there were no workers, so that it is whole in each.

    Args:
        source: gives an iterator over all records each time it is asked, in the same order for the same epoch.
        fn: turns a record into a sample dict; by default the record is the sample. An `image` that is a PIL image
            becomes an array.
        transform: runs on the sample.

    Raises:
        TypeError: `source` cannot be iterated over, or only once.

    Examples:
        >>> from datakit import Loader, Stream
        >>> stream = Stream(range(5), lambda number: {"number": number})
        >>> [batch["number"].tolist() for batch in Loader(stream, batch_size=2)]
        [[0, 1], [2, 3], [4]]
        >>> stream.take(3)[2]
        {'index': 2, 'number': 2}
    """

    def __init__(
        self, source: Iterable[Any], fn: Callable[[Any], Any] | None = None, transform: Transform | None = None
    ) -> None:
        super().__init__(transform)
        if not hasattr(source, "__iter__"):
            raise TypeError(f"Stream needs something to iterate over, got {type(source).__name__}")
        if hasattr(source, "__next__"):
            raise TypeError(
                f"a {type(source).__name__} can be iterated over once; give an object that begins anew each time, such "
                "as one of a class with __iter__"
            )
        self.source, self.fn = source, fn
        self._forward: _Forward | None = None

    def begin(self, epoch: int) -> Iterator[Any]:
        """The raw records of an epoch from the first on."""
        source: Any = self.source
        if hasattr(source, "set_epoch"):
            source = copy.copy(source)
            source.set_epoch(epoch)
        return iter(source)

    def decode(self, raw: Any) -> Any:
        """A sample from a raw record."""
        sample = self.fn(raw) if self.fn else raw
        if isinstance(sample, dict) and "image" in sample:
            sample = {**sample, "image": as_image(sample["image"])}
        return sample

    def raw_path(self, raw: Any) -> str | None:
        """The file behind a raw record, where it says so."""
        return None

    def take(self, count: int) -> Head:
        """The first `count` records as a dataset with an index; they are read now and kept, not decoded."""
        raws = list(itertools.islice(_Forward(self, 0, 0), count))
        return Head(self, raws)

    def read(self, index: int, rng: np.random.Generator | None) -> Any:
        """The sample at a position, by reading forward to it."""
        raw = self.forward(0, 0, begun=True).at(index)
        if isinstance(raw, _End):
            raise IndexError(f"record {index} of a stream that ended after {raw.length}")
        with seeded(rng):
            return self.decode(raw)

    def forward(self, seed: int, epoch: int, *, begun: bool = False) -> _Forward:
        """What this process reads by, in the given pass; with `begun` in whichever it is in."""
        now = self._forward
        if now is None or now.process != os.getpid() or not (begun or (now.seed, now.epoch) == (seed, epoch)):
            now = self._forward = _Forward(self, seed, epoch)
        return now

    def rest(self) -> None:
        """Let go of what is open."""
        self._forward = None

    def __getitem__(self, key: int | Key) -> Any:
        if not isinstance(key, Key):
            raise TypeError(f"{type(self).__name__} is read forward and has no [i]: iterate, or .take(n) first")
        self.forward(key.seed, key.epoch)
        return super().__getitem__(key)

    def trace(self, key: int | Key) -> Iterator[tuple[str, Any]]:
        """The sample at the position of a key as loaded and after every transform."""
        if isinstance(key, Key):
            self.forward(key.seed, key.epoch)
        yield from super().trace(key)

    def __iter__(self) -> Iterator[Any]:
        """The samples in their order; the transforms draw from the global generators."""
        own = copy.copy(self)  # a pass of its own, whatever else reads this stream meanwhile
        own._forward = _Forward(own, 0, 0)
        for index in itertools.count():
            if isinstance(own._forward.at(index), _End):
                return
            yield own.get(index)

    def position(self, index: int) -> int:
        """`index`, which counts from the start."""
        position = operator.index(index)
        if position < 0:
            raise IndexError(f"{type(self).__name__}[{position}]: a stream has no end to count from")
        return position

    def path_of(self, index: int) -> str | None:
        """The file behind the record that was read last; None for others."""
        now = self._forward
        return None if now is None or now.position != index + 1 else self.raw_path(now.raw)

    def records(self) -> NoReturn:
        """A stream has no index.

        Raises:
            DatakitError: always.
        """
        raise DatakitError(f"{type(self).__name__} has no index; .take(n) makes a dataset of its first records")

    def fingerprint(self) -> str:
        """The type of the source alone: what is in a stream is not known."""
        return digest("Stream", type(self.source).__name__)

    def __len__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} has no length: a stream ends when it ends")

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self.source).__name__})"

    def __getstate__(self) -> dict[str, Any]:
        """Without what is open: every process reads for itself."""
        return {**self.__dict__, "_forward": None}


class Head(Derived):
    """The first records of a stream, made by `Stream.take`."""

    def __init__(self, stream: Stream, raws: Sequence[Any]) -> None:
        super().__init__(stream.transform)
        self.stream, self.raws = stream, raws
        self.classes, self.collate_fn = stream.classes, stream.collate_fn

    def __len__(self) -> int:
        return len(self.raws)

    def read(self, index: int, rng: np.random.Generator | None) -> Any:
        """The record at this position of the stream."""
        with seeded(rng):
            return self.stream.decode(self.raws[index])

    def path_of(self, index: int) -> str | None:
        """The file behind the record, where it says so."""
        return self.stream.raw_path(self.raws[index])

    def fingerprint(self) -> str:
        """That of the stream with the number of records."""
        return digest("Head", self.stream.fingerprint(), str(len(self)))

    def __repr__(self) -> str:
        return f"the first {len(self)} records of {self.stream!r}"


class _End:
    """In place of a record behind the end."""

    def __init__(self, length: int) -> None:
        self.length = length


class _Forward(Iterator[Any]):
    """One pass over a stream in one process: it reads on, never back but by beginning again."""

    def __init__(self, stream: Stream, seed: int, epoch: int) -> None:
        self.stream, self.seed, self.epoch, self.process = stream, seed, epoch, os.getpid()
        self._begin()

    def _begin(self) -> None:
        self.iterator: Iterator[Any] | None = None
        self.position, self.raw = 0, None  # records read so far, and the last of them
        self.length: int | None = None
        self.error: StreamError | None = None

    def at(self, index: int) -> Any:
        """The raw record at a position, or `_End`.

        Raises:
            StreamError: the source failed at it or before.
        """
        if index < self.position - 1:
            self._begin()
        while self.position <= index and self.length is None:
            try:
                next(self)
            except StopIteration:
                self.length = self.position
        return self.raw if index < self.position else _End(self.position)

    def __next__(self) -> Any:
        if self.error is not None:
            raise self.error
        try:
            with _alone(), seeded(philox(b"datakit.stream", self.seed, self.epoch, self.position)):
                if self.iterator is None:
                    self.iterator = self.stream.begin(self.epoch)
                self.raw = next(self.iterator)
        except StopIteration:
            raise
        except Exception as error:
            self.error = StreamError(
                f"{self.stream!r} failed at record {self.position} of epoch {self.epoch}, and nothing comes after "
                f"that: {type(error).__name__}: {error}"
            )
            raise self.error from error
        self.position += 1
        return self.raw


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """As if this were no worker: streams that share themselves out among workers come whole."""
    info = torch_worker._worker_info
    torch_worker._worker_info = None
    try:
        yield
    finally:
        torch_worker._worker_info = info


class StreamKeys(KeySampler):
    """The keys of a stream: positions without end, shared among ranks as those of an index are."""

    def __init__(self, *, seed: int, rank: int | None, world_size: int | None) -> None:
        super().__init__(sys.maxsize, seed=seed, rank=rank, world_size=world_size)

    def share(self, epoch: int, start: int) -> range:
        """The positions of this rank from `start` on."""
        return range(start + self.rank, self.length, self.world_size)

    def end(self, start: int = 0) -> int:
        """Beyond any position."""
        return self.length

    def __len__(self) -> NoReturn:
        raise TypeError("a stream has no length: it ends when it ends")


class StreamBatches(torch.utils.data.Dataset[Any]):
    """What the workers of a `Loader` read of a stream: batches, the last of which says how long the stream is.

    Args:
        stream: what is read.
        size: samples of a batch on one rank.
        rank: this process among `world_size`.
        world_size: number of ranks.
        drop_last: whether a batch that is not whole on every rank is left out.
    """

    def __init__(self, stream: Stream, size: int, rank: int, world_size: int, drop_last: bool) -> None:
        self.stream, self.size, self.rank, self.world_size, self.drop_last = stream, size, rank, world_size, drop_last

    def __getitems__(self, keys: Sequence[LoaderKey]) -> Batch:
        """The samples at the positions of a batch, as far as the stream goes."""
        end = keys[0].index - self.rank + self.size * self.world_size  # of the batches of all ranks
        forward = self.stream.forward(keys[0].seed, keys[0].epoch)
        samples: list[Any] = []
        with preserved():
            try:
                for key in keys:
                    if isinstance(forward.at(key.index), _End):
                        break
                    samples.append(self.stream[key])
            except StreamError as error:
                return Batch([], keys, error=error)
            length = _length_if_over(forward, end)
        return Batch([] if self.drop_last and length is not None and length < end else samples, keys, length=length)


def _length_if_over(forward: _Forward, end: int) -> int | None:
    """The length of the stream where it has no record at `end`; None where it goes on, or fails there."""
    try:
        raw = forward.at(end)
    except StreamError:
        return None
    return raw.length if isinstance(raw, _End) else None


def check_options(*, shuffle: bool, groups: Any, lengths: Any, on_error: str) -> None:
    """Refuse options of a `Loader` that only records with an index can have.

    Raises:
        DatakitError: saying what to do instead.
    """
    if shuffle:
        raise DatakitError(
            "a stream is read in its own order, so shuffle=True cannot be had; shuffle the stream itself, for one of "
            "Hugging Face from_hf(stream.shuffle(seed=0, buffer_size=1000))"
        )
    if groups is not None or lengths is not None:
        raise DatakitError("groups= and lengths= order the records of an epoch, which a stream does not know before")
    if on_error == "replace":
        raise DatakitError('a stream cannot go back for another record; take on_error="skip" instead of "replace"')
