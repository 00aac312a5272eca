"""The worker's half of the loader: from what was read to a packet that crosses to the training process whole."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from datakit import collate
from datakit.dataset import Batch, Dataset, Failed
from datakit.errors import CollateError, DatakitError, SampleError
from datakit.foreign import seeded
from datakit.sampling import philox

OnError: TypeAlias = Literal["raise", "skip", "replace"]
Collate: TypeAlias = Callable[[Sequence[Any]], Any]

_TRIES = 10


class Packet(NamedTuple):
    """One batch on its way, with what went wrong in it.

    Attributes:
        batch: what the collate function made; None where no sample was left.
        failures: the records that could not be read.
        error: why there is no batch, where that is not a record's fault.
        length: of a stream, with its last batch; else None.
    """

    batch: Any
    failures: tuple[SampleError, ...] = ()
    error: DatakitError | None = None
    length: int | None = None


class Collator:
    """The `collate_fn` of a `Loader`: the user's, around it what is done about bad records."""

    def __init__(self, dataset: Dataset, collate_fn: Collate, on_error: OnError) -> None:
        self.dataset, self.collate_fn, self.on_error = dataset, collate_fn, on_error

    def __call__(self, read: Batch) -> Packet:
        """Put the samples that were read into a packet."""
        if read.error is not None:
            return Packet(None, error=read.error)
        failures = tuple(item.error for item in read if isinstance(item, Failed))
        if failures and self.on_error == "raise":
            return Packet(None, failures)
        try:
            samples = [self._replacement(item) if isinstance(item, Failed) else item for item in read]
            samples = [sample for sample in samples if sample is not None]
            return Packet(self._collated(samples, read) if samples else None, failures, length=read.length)
        except Exception as error:
            return Packet(None, failures, _sendable(error))

    def _replacement(self, failed: Failed) -> Any:
        """Another record in its place, chosen by the key, so that it is the same one everywhere; None to skip it."""
        if self.on_error == "skip":
            return None
        choices = philox(b"datakit.replace", *failed.key)
        for index in choices.integers(len(self.dataset), size=_TRIES):
            other = self.dataset[failed.key._replace(index=int(index))]
            if not isinstance(other, Failed):
                return other
        raise CollateError(f"no readable record in {_TRIES} tries to replace {failed.error}")

    def _collated(self, samples: list[Any], read: Batch) -> Any:
        if self.collate_fn.__module__ == collate.__name__:
            return self.collate_fn(samples)
        with seeded(philox(b"datakit.collate", *read.keys[0])):  # mixing images, say, draws while it collates
            return self.collate_fn(samples)


class WorkerStart:
    """The `worker_init_fn` of a `Loader`: the user's, then a check that the training process still lives.

    torch's workers leave when their parent process changes, but one whose parent died before it began to look, while it
    was importing torch, say, would stay for ever.
    """

    def __init__(self, init_fn: Callable[[int], Any] | None, context: Any) -> None:
        self.init_fn = init_fn
        self.by_server = _start_method(context) == "forkserver"

    def __call__(self, worker_id: int) -> None:
        """Run the user's function; end the process if it has no parent any more."""
        if self.init_fn is not None:
            self.init_fn(worker_id)
        parent = multiprocessing.parent_process()
        if parent is not None:
            is_orphan = not parent.is_alive() if self.by_server else os.getppid() != parent.pid
            if is_orphan:
                os._exit(1)


def _start_method(context: Any) -> str:
    """The start method of a `multiprocessing_context` option: a name, a context, or None for the default."""
    if context is None:  # asking for the default with allow_none=False would fix it for the whole program
        return multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    return context if isinstance(context, str) else str(context.get_start_method())


def _sendable(error: Exception) -> DatakitError:
    if not isinstance(error, DatakitError):
        error = CollateError(f"{type(error).__name__} in the collate function: {error}")
    error.add_note(traceback.format_exc().rstrip())
    return error


def unpicklable(dataset: Dataset, error: Exception) -> str:
    """Which attribute of the dataset cannot be sent to another process."""
    for name, value in vars(dataset).items():
        try:
            pickle.dumps(value)
        except Exception as reason:
            kind = type(dataset).__name__
            return f"{kind}.{name} cannot be pickled ({reason}); a function at the top of a module can, a lambda cannot"
    return str(error)
