"""The first batch of a loader, or why there is none and which key is to blame."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from torch.utils.data import DataLoader

from datakit.dataset import Dataset
from datakit.errors import CollateError
from datakit.inspection.records import inspected
from datakit.inspection.seen import Finding, Inspected
from datakit.inspection.stacking import is_of_batch, unstackable
from datakit.loader import Loader
from datakit.phrasing import describe
from datakit.sampling import Key

_ONE_SIZE = 'a batch needs samples of one size; try -t "Rescale(256)" -t "CenterCrop(224)" -t ToTensor'
_CHANNELS = 'a batch needs sounds of as many channels; try -t "Mono()"'


@dataclass(frozen=True)
class FirstBatch:
    """What a loader gave first.

    Attributes:
        value: the batch; None where there is none.
        error: why there is none.
        is_raw: whether that is because the samples are as they were loaded.
        cause: the error itself, where one was raised.
    """

    value: Any
    error: str | None = None
    is_raw: bool = False
    cause: Exception | None = None


def first_batch(loader: DataLoader[Any] | None) -> FirstBatch:
    """The batch that `loader` gives first; its own check of reproducibility is left to a later pass."""
    if loader is None:
        return FirstBatch(None, "there is neither a dataset nor a loader")
    try:
        with _unverified(loader):
            return FirstBatch(next(iter(loader)))
    except StopIteration:
        return FirstBatch(None, "the loader is empty: it gave no batch at all")
    except CollateError as error:
        is_raw = getattr(loader.dataset, "transform", None) is None
        return FirstBatch(None, describe(error) + (_hint(str(error)) if is_raw else ""), is_raw, error)
    except Exception as error:
        traceback.clear_frames(error.__traceback__)  # they hold the loader's workers, which would linger
        return FirstBatch(None, describe(error), cause=error)


def _hint(message: str) -> str:
    if "cannot be put into one batch" not in message:
        return ""
    return f"\n{_CHANNELS if 'only the time axis is padded' in message else _ONE_SIZE}"


@contextmanager
def _unverified(loader: DataLoader[Any]) -> Iterator[None]:
    """For a look, a transform that is not reproducible is a finding, and no reason to show no batch."""
    if not isinstance(loader, Loader):
        yield
        return
    verify, loader.verify = loader.verify, False
    try:
        yield
    finally:
        loader.verify = verify


def blame(
    batch: FirstBatch, loader: DataLoader[Any] | None, dataset: Dataset | None, seen: Sequence[Inspected], seed: int
) -> tuple[Finding, ...]:
    """Which key keeps the batch from being made, where that is not one bad record.

    Args:
        batch: that there is not.
        loader: where it should have come from.
        dataset: of that loader.
        seen: samples that were looked at.
        seed: for those that have to be read again.
    """
    if batch.cause is None or loader is None or dataset is None or not is_of_batch(batch.cause):
        return ()
    count = loader.batch_size or 1
    keys = loader.keys if isinstance(loader, Loader) else (Key(seed, 0, index) for index in range(len(dataset)))
    own = [inspected(dataset, Key(*key)) for key in islice(keys, count)]
    whole = {sample.key.index: sample for sample in (*own, *seen) if sample.error is None}
    found = unstackable(batch.cause, [(index, sample.stages[-1].sample) for index, sample in whole.items()])
    return () if found is None else (found,)
