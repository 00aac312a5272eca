"""One pass over a loader, timed from outside."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from datakit.bench.usage import cpu_seconds
from datakit.errors import DatakitError
from datakit.loader import Loader


@dataclass(frozen=True)
class TimedPass:
    """A plain loop over a loader.

    Attributes:
        samples: that it gave.
        seconds: from `iter(loader)` to the end of the loop.
        waits: seconds that the loop waited for each batch; the start of the workers is in the first.
        steps: seconds that the loop slept after each batch.
        cpu_share: CPU seconds of this process and the workers, by the seconds until the workers have ended.
        works: seconds that the loop's own work on the batches took.
    """

    samples: int
    seconds: float
    waits: tuple[float, ...]
    steps: tuple[float, ...]
    cpu_share: float
    works: float = 0.0

    @property
    def rate(self) -> float:
        """Samples per second."""
        return self.samples / self.seconds

    @property
    def waiting(self) -> float:
        """Share of the time that the loop waited, once it had its first batch; 0 for a single batch."""
        waited = sum(self.waits[1:])
        return waited / (waited + sum(self.steps[:-1])) if waited else 0.0


def timed(
    loader: DataLoader[Any],
    batches: int | None,
    *,
    step: float = 0.0,
    work: Callable[[Any], Any] | None = None,
    watch: Callable[[Any, int], None] | None = None,
) -> TimedPass:
    """One pass, and the end of its workers.

    Args:
        loader: from which the pass is taken.
        batches: length of the pass; None for the whole epoch.
        step: seconds to sleep after each batch, as a model on a GPU would leave the CPU alone.
        work: what the loop does with each batch; it counts.
        watch: called with the iterator and the batches so far.

    Raises:
        DatakitError: for a loader that gives no batch.
    """
    gc.collect()  # nobody pays for the garbage of another pass
    cpu = cpu_seconds(loader)
    start = asked = perf_counter()
    iterator, samples, batch = iter(loader), 0, None
    waits: list[float] = []
    steps: list[float] = []
    works = 0.0
    for batch in iterator:
        got = perf_counter()
        waits.append(got - asked)
        samples += _length(batch)
        if watch is not None:
            watch(iterator, len(waits))
        if work is not None:
            begun = perf_counter()
            work(batch)
            works += perf_counter() - begun
        if step:
            time.sleep(step)
            steps.append(perf_counter() - got)
        if len(waits) == batches:
            break
        asked = perf_counter()
    seconds = perf_counter() - start
    if not waits:
        raise DatakitError("the loader is empty: it gave no batch at all")
    samples = _delivered(loader, len(waits)) or samples
    del iterator, batch
    loader._iterator = None  # where workers are persistent they end here, as in every other pass
    share = (cpu_seconds(loader) - cpu) / (perf_counter() - start)
    return TimedPass(samples, seconds, tuple(waits), tuple(steps), share, works)


def _delivered(loader: DataLoader[Any], batches: int) -> int | None:
    """Samples in so many batches, where the loader's own sampler and batch size say it."""
    is_stream = isinstance(loader.dataset, IterableDataset)
    if loader.batch_size is None and loader.batch_sampler is None:
        return None if is_stream or isinstance(loader.sampler, BatchSampler) else batches
    skipped = len(loader.failures) if isinstance(loader, Loader) and loader.on_error == "skip" else 0
    try:
        return min(batches * int(loader.batch_size or 0), len(loader.sampler)) - skipped  # type: ignore[arg-type]
    except TypeError:  # a stream
        return None


def _length(batch: Any) -> int:
    """Samples in a batch: the length of its first part."""
    while isinstance(batch, dict) and batch:
        batch = next(iter(batch.values()))
    if isinstance(batch, list | tuple) and batch and hasattr(batch[0], "__len__"):
        return len(batch[0])
    return len(batch) if hasattr(batch, "__len__") else 1
