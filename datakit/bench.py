"""How fast a loader is: whole passes timed from outside, with nothing put into the loader.

A pass is a plain loop over the loader: the clock runs from `iter(loader)` to the end of the loop, so that the start of
the workers counts, as it does in training. The time to the first batch is given beside it, since that is where the
start shows. Passes with different numbers of workers take turns, each round in the opposite order of the last, so that
a machine that slows down slows all of them; a first round is not counted. Round *r* reads epoch *r* with every number
of workers: the same samples, whatever the transforms draw.
"""

from __future__ import annotations

import gc
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Literal, TypeAlias

from torch.utils.data import DataLoader, IterableDataset

from datakit.dataset import Dataset
from datakit.delivery import WorkerStart
from datakit.errors import DatakitError
from datakit.loader import Loader

StartMethod: TypeAlias = Literal["fork", "spawn", "forkserver"]
Make: TypeAlias = Callable[[int], "DataLoader[Any]"]


@dataclass(frozen=True)
class Measurement:
    """One number of workers, over all repeats.

    Attributes:
        workers: worker processes; 0 reads in the training process.
        samples: of one pass.
        batches: of one pass.
        samples_per_second: median over the repeats, whole pass.
        slowest: the least of them.
        fastest: the greatest of them.
        first_batch: seconds from `iter(loader)` to the first batch, median; the start of the workers is in it.
    """

    workers: int
    samples: int
    batches: int
    samples_per_second: float
    slowest: float
    fastest: float
    first_batch: float


@dataclass(frozen=True)
class _Pass:
    samples: int
    batches: int
    seconds: float
    first_batch: float


def measure(
    source: Dataset | DataLoader[Any] | Make,
    *,
    workers: Sequence[int] | None = None,
    batch_size: int = 32,
    repeats: int = 3,
    batches: int | None = None,
    seed: int = 0,
    start_method: StartMethod | None = None,
    progress: Callable[[int, int, int], None] = lambda workers, done, total: None,
) -> list[Measurement]:
    """Samples per second with each number of workers.

    Args:
        source: a dataset, read by a shuffled `Loader`; a loader of your own, made anew with other numbers of workers;
            or a function from a number of workers to a loader.
        workers: numbers of worker processes; by default up to the cores that this process may use.
        batch_size: for a dataset.
        repeats: passes that count, for each number of workers.
        batches: length of a pass; by default the whole epoch.
        seed: for a dataset.
        start_method: of the worker processes; by default the platform's.
        progress: called before each pass with its workers, passes done, and passes in all.

    Returns:
        One measurement for each of `workers`, in their order.

    Raises:
        ValueError: for counts that are not positive.
        DatakitError: for a loader that cannot be made anew, or that gives no batch.
    """
    if repeats < 1 or batch_size < 1 or (batches is not None and batches < 1):
        raise ValueError(f"repeats, batch_size and batches are at least 1, got {repeats}, {batch_size}, {batches}")
    make = _maker(source, batch_size, seed, start_method)
    counts = list(dict.fromkeys(_sensible_workers(source) if workers is None else workers))
    passes: dict[int, list[_Pass]] = {count: [] for count in counts}
    total = len(counts) * (repeats + 1)
    for turn in range(repeats + 1):
        for place, count in enumerate(counts if turn % 2 else reversed(counts)):
            progress(count, turn * len(counts) + place, total)
            passes[count].append(_timed(_at_epoch(make(count), turn), batches))
            gc.collect()  # nobody pays for the garbage of another pass
    return [_measurement(count, passes[count][1:]) for count in counts]


def _timed(loader: DataLoader[Any], batches: int | None) -> _Pass:
    count = samples = 0
    first = math.nan
    start = perf_counter()
    iterator = iter(loader)
    for batch in iterator:
        if not count:
            first = perf_counter() - start
        count += 1
        samples += _length(batch)
        if count == batches:
            break
    seconds = perf_counter() - start
    if not count:
        raise DatakitError("the loader is empty: it gave no batch at all")
    return _Pass(_delivered(loader, count) or samples, count, seconds, first)


def _delivered(loader: DataLoader[Any], batches: int) -> int | None:
    """Samples in so many batches, where the loader's own sampler and batch size say it."""
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


def _measurement(workers: int, passes: Sequence[_Pass]) -> Measurement:
    rates = [one.samples / one.seconds for one in passes]
    first = median(one.first_batch for one in passes)
    return Measurement(workers, passes[0].samples, passes[0].batches, median(rates), min(rates), max(rates), first)


def _at_epoch(loader: DataLoader[Any], epoch: int) -> DataLoader[Any]:
    if isinstance(loader, Loader):
        loader.verify = False  # its double reading of a sample is not part of a pass
        loader.load_state_dict({**loader.state_dict(), "epoch": epoch, "samples": 0})
    elif hasattr(loader.sampler, "set_epoch"):
        loader.sampler.set_epoch(epoch)
    return loader


def _maker(source: Any, batch_size: int, seed: int, start_method: StartMethod | None) -> Make:
    if isinstance(source, Dataset):

        def make(count: int) -> DataLoader[Any]:
            context = start_method if count else None
            return Loader(
                source,
                batch_size,
                seed=seed,
                shuffle=True,
                num_workers=count,
                rank=0,
                world_size=1,
                multiprocessing_context=context,
            )

        return make
    if isinstance(source, DataLoader):
        return lambda count: remade(source, count, start_method)
    return source  # type: ignore[no-any-return]


def remade(loader: DataLoader[Any], workers: int, start_method: StartMethod | None = None) -> DataLoader[Any]:
    """The same loader with another number of workers: a `Loader` or a plain `DataLoader`, made anew.

    Raises:
        DatakitError: for a subclass, of which nobody knows how it is made, unless it has that number of workers.
    """
    if type(loader) not in (Loader, DataLoader):
        if workers == loader.num_workers and start_method is None:
            return loader
        kind = type(loader).__name__
        raise DatakitError(
            f"{kind} is a DataLoader of its own kind and cannot be made anew with {workers} workers; "
            f"measure it with its own {loader.num_workers}"
        )
    start: Any = loader.worker_init_fn
    own_start = start.init_fn if isinstance(start, WorkerStart) else start
    options: dict[str, Any] = {"pin_memory": loader.pin_memory, "worker_init_fn": own_start}
    if workers:
        options["prefetch_factor"] = loader.prefetch_factor
        options["persistent_workers"] = loader.persistent_workers
        options["multiprocessing_context"] = start_method or loader.multiprocessing_context
    if isinstance(loader, Loader):
        return _remade_loader(loader, workers, options)
    return DataLoader(
        loader.dataset,
        num_workers=workers,
        collate_fn=loader.collate_fn,
        timeout=loader.timeout if workers else 0,
        generator=loader.generator,
        **_order(loader),
        **options,
    )


def _order(loader: DataLoader[Any]) -> dict[str, Any]:
    if isinstance(loader.dataset, IterableDataset):
        return {"batch_size": loader.batch_size, "drop_last": loader.drop_last}
    if loader.batch_size is not None:
        return {"batch_size": loader.batch_size, "sampler": loader.sampler, "drop_last": loader.drop_last}
    if loader.batch_sampler is not None:
        return {"batch_sampler": loader.batch_sampler}
    return {"batch_size": None, "sampler": loader.sampler}


def _remade_loader(loader: Loader, workers: int, options: dict[str, Any]) -> Loader:
    collate: Any = loader.collate_fn
    return Loader(
        loader.records,
        int(loader.batch_size or 1),
        seed=loader.seed,
        shuffle=loader.keys.shuffle,
        drop_last=loader.drop_last,
        num_workers=workers,
        collate_fn=collate.collate_fn,
        rank=loader.keys.rank,
        world_size=loader.keys.world_size,
        on_error=loader.on_error,
        max_bad=loader.max_bad,
        timeout=loader.patience,
        **options,
    )


def _sensible_workers(source: Any) -> Sequence[int]:
    if isinstance(source, DataLoader) and type(source) not in (Loader, DataLoader):
        return [source.num_workers]
    return default_workers()


def default_workers(cores: int | None = None) -> list[int]:
    """Numbers of workers worth trying: 0, 1, 2, 4 … up to the cores, by default `usable_cores()`."""
    cores = usable_cores() if cores is None else cores
    powers = [2**exponent for exponent in range(cores.bit_length()) if 2**exponent < cores]
    return [0, *powers, cores]


def usable_cores(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Cores that this process may use: its affinity, and the CPU quota of its cgroup and those above (v2 and v1)."""
    cores = float(len(os.sched_getaffinity(0)))
    for quota, period in _quotas(groups, own):
        cores = min(cores, quota / period)
    return max(1, math.ceil(cores))


def _quotas(groups: Path, own: Path) -> Iterator[tuple[float, float]]:
    """(quota, period) of every limit that holds, microseconds."""
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "cpu", "cpu,cpuacct"):
            continue
        base = groups / controllers if controllers else groups
        for folder in (base / path.lstrip("/"), *(base / path.lstrip("/")).parents):
            maximum = _text(folder / "cpu.max").split()
            maximum = maximum or [
                *_text(folder / "cpu.cfs_quota_us").split(),
                *_text(folder / "cpu.cfs_period_us").split(),
            ]
            if len(maximum) == 2 and maximum[0].isdigit():
                yield float(maximum[0]), float(maximum[1])
            if folder == base:
                break


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
