"""Reading records in workers, each into its facts; one that kills its worker is a record like others."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from datakit.check.alike import sketch
from datakit.check.cached import Stamps, origin, watched
from datakit.check.facts import UNREAD, Facts, Table
from datakit.check.measuring import facts_of, failed
from datakit.dataset import Dataset
from datakit.derived import Derived
from datakit.errors import DatakitError, SampleError, WorkerError
from datakit.loader import Loader
from datakit.sampling import Key

_AT_ONCE = 32  # records that a worker sends together

Indices = npt.NDArray[np.int64]


def read_into(
    table: Table,
    dataset: Dataset,
    indices: Indices,
    *,
    workers: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Put the facts of the records at `indices` into the table.

    Args:
        table: of the dataset.
        dataset: what is read, as loaded.
        indices: int64 (m,).
        workers: processes that read; 0 reads in this one.
        progress: called with how many are done.

    Raises:
        WorkerError: when workers cannot be started. A record that kills its worker is put into the table.
        KeyboardInterrupt: what was read until then is in the table.
    """
    done = 0
    while len(left := indices[table.rows["state"][indices] == UNREAD]):
        try:
            for batch, facts in _blocks(dataset, left, workers, _AT_ONCE):
                table.put(batch, facts)
                done += len(batch)
                progress(done)
        except WorkerError:
            if not workers:
                raise
            done += _one_by_one(table, dataset, left)


def _one_by_one(table: Table, dataset: Dataset, indices: Indices) -> int:
    """After a worker has died: read on in single records to the one that it died of; how many were read."""
    left = indices[table.rows["state"][indices] == UNREAD][: 64 * _AT_ONCE]
    done = 0
    with suppress(WorkerError):
        for one, facts in _blocks(dataset, left, 1, 1):
            table.put(one, facts)
            done += 1
    if done < len(left):  # the next one, unless what was read of it got lost with the worker
        done += _alone(table, dataset, left[done : done + 1])
    return done


def _alone(table: Table, dataset: Dataset, index: Indices) -> int:
    """Read one record in a worker of its own."""
    try:
        for one, facts in _blocks(dataset, index, 1, 1):
            table.put(one, facts)
    except WorkerError as error:
        if isinstance(error.__cause__, pickle.PicklingError | AttributeError | TypeError):
            raise  # it could not be started
        table.put(index, failed(f"it ends or hangs the process that reads it: {str(error).splitlines()[0]}"))
    return 1


def _blocks(dataset: Dataset, indices: Indices, workers: int, at_once: int) -> Any:
    """(indices, their facts), block by block."""
    loader = Loader(
        _Reading(dataset, indices),
        at_once,
        num_workers=workers,
        collate_fn=_gathered,
        verify=False,
        rank=0,
        world_size=1,
    )
    for place, facts in enumerate(loader):
        yield indices[place * at_once : (place + 1) * at_once], facts


def _gathered(facts: Any) -> Facts:
    return Facts.gathered(facts)


class _Reading(Derived):
    """The records at some indices, each as its facts."""

    def __init__(self, dataset: Dataset, indices: Indices) -> None:
        super().__init__()
        self.dataset, self.indices = dataset, indices
        self.stamps = Stamps()

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, index: int, rng: np.random.Generator | None) -> Facts:
        """The facts of one record, or why there are none."""
        record = int(self.indices[index])
        with watched() as opened:
            try:
                sample = next(self.dataset.trace(Key(0, 0, record)))[1]
            except (Exception, SystemExit) as error:  # code of somebody else's may do anything
                return failed(_reason(error))
            if sample is None:
                return failed("it is None, no sample")
            files = opened()
        facts = facts_of(sample, record, self.dataset.classes)
        base, inner = origin(self.dataset, record)
        whole = tuple(dict.fromkeys([*files, *map(str, base.files_of(inner))]))
        facts.rows["stamp"] = self.stamps.of(whole)
        found = sketch(sample)
        if found is not None and not facts.rows["is_plain"][0]:
            facts.rows["sketch"] = found
        return Facts(facts.rows, facts.labels, facts.troubles, facts.failures, [whole], facts.forms)


def _reason(error: BaseException) -> str:
    """Why a record could not be read; where it is, is said beside it."""
    if isinstance(error, SampleError):
        return error.cause
    return str(error) if isinstance(error, DatakitError) else f"{type(error).__name__}: {error}"
