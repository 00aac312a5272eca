"""The loaders that are measured: one source, set up in many ways."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_all_start_methods
from typing import Any, TypeAlias

from torch.utils.data import DataLoader, IterableDataset

from datakit.bench.results import Configuration
from datakit.cores import usable_cores
from datakit.dataset import Dataset
from datakit.delivery import WorkerStart
from datakit.errors import DatakitError, UnknownNameError
from datakit.loader import Loader

Make: TypeAlias = Callable[[Configuration], DataLoader[Any]]
Work: TypeAlias = Callable[[Any], Any]
IN_WORKERS, PER_BATCH = "in workers", " per batch on "


@dataclass(frozen=True)
class Features:
    """Features that are computed in the workers, and beside that per batch in the loop.

    Attributes:
        name: what they are.
        in_workers: the dataset, with the features in its samples.
        per_batch: makes them of a batch of the plain dataset; they are there when it returns.
        device: where it does so.
    """

    name: str
    in_workers: Dataset
    per_batch: Work
    device: str = "cpu"

    @property
    def places(self) -> tuple[str, str]:
        """What `Configuration.features` may be."""
        return (IN_WORKERS, f"{PER_BATCH}{self.device}".strip())


DEFAULT_BATCH = 32
"""Samples a batch of a dataset for which none was asked."""


def configurations(
    source: Any,
    workers: Sequence[int] | None,
    batch_sizes: Sequence[int] | None,
    start_methods: Sequence[str] | None,
    features: Features | None = None,
) -> list[Configuration]:
    """All combinations, in the order of features, then of the batch sizes, the start methods, and the workers.

    Without workers there is nothing to start, so that 0 workers come once for each batch size.

    Raises:
        ValueError: for counts that make no sense.
        UnknownNameError: for a start method that this system does not have.
        DatakitError: for another batch size than that of a loader.
    """
    counts = _sensible_workers(source) if workers is None else workers
    if any(count < 0 for count in counts) or any(size < 1 for size in batch_sizes or ()):
        raise ValueError(f"workers are at least 0 and batch sizes at least 1, got {workers}, {batch_sizes}")
    for method in start_methods or ():
        if method not in get_all_start_methods():
            raise UnknownNameError.of("start method", method, get_all_start_methods())
    places = (None,) if features is None else features.places
    combined = product(places, _batch_sizes(source, batch_sizes), start_methods or (None,), counts)
    return list(
        dict.fromkeys(
            Configuration(count, size, start if count else None, place) for place, size, start, count in combined
        )
    )


def _batch_sizes(source: Any, wanted: Sequence[int] | None) -> Iterable[int | None]:
    if isinstance(source, Dataset):
        return wanted or (DEFAULT_BATCH,)
    own = source.batch_size if isinstance(source, DataLoader) else None
    if isinstance(source, DataLoader) and wanted and any(size != own for size in wanted):
        raise DatakitError(
            f"a loader brings its own batch size, here {own}; others, such as {max(set(wanted) - {own})}, go with its "
            "dataset"
        )
    return (own,) if isinstance(source, DataLoader) else wanted or (None,)


def maker(source: Any, seed: int, features: Features | None = None) -> Make:
    """From a configuration to a loader: `source` is a dataset, a loader, or such a function already."""
    make = _maker(source, seed)
    with_features = make if features is None else _maker(features.in_workers, seed)

    def quietly(wanted: Configuration) -> DataLoader[Any]:
        with warnings.catch_warnings():  # to try more workers than cores is what was asked for
            warnings.filterwarnings("ignore", message="This DataLoader will create", category=UserWarning)
            return (with_features if wanted.features == IN_WORKERS else make)(wanted)

    return quietly


def work_of(wanted: Configuration, features: Features | None) -> Work | None:
    """What the loop does with each batch in this configuration."""
    return None if features is None or wanted.features == IN_WORKERS else features.per_batch


def _maker(source: Any, seed: int) -> Make:
    if isinstance(source, Dataset):
        plain = Loader(source, seed=seed, shuffle=True, rank=0, world_size=1)
        return lambda wanted: plain.with_workers(
            wanted.workers, start_method=wanted.start_method, batch_size=wanted.batch_size
        )
    if isinstance(source, DataLoader):
        return lambda wanted: remade(source, wanted.workers, wanted.start_method)
    return source  # type: ignore[no-any-return]


def at_epoch(loader: DataLoader[Any], epoch: int) -> DataLoader[Any]:
    """`loader`, set to begin with this epoch, where it knows epochs."""
    if isinstance(loader, Loader):
        loader.verify = False  # its double reading of a sample is not part of a pass
        loader.load_state_dict({**loader.state_dict(), "epoch": epoch, "samples": 0})
    elif hasattr(loader.sampler, "set_epoch"):
        loader.sampler.set_epoch(epoch)
    return loader


def is_remakable(loader: DataLoader[Any]) -> bool:
    """Whether it is known how such a loader is made."""
    return type(loader) is DataLoader or type(loader).__init__ is Loader.__init__


def remade(loader: DataLoader[Any], workers: int, start_method: str | None = None) -> DataLoader[Any]:
    """The same loader with another number of workers: a `Loader` or a plain `DataLoader`, made anew.

    Raises:
        DatakitError: for a subclass, of which nobody knows how it is made, unless it has that number of workers.
    """
    if not is_remakable(loader):
        if workers == loader.num_workers and start_method is None:
            return loader
        kind = type(loader).__name__
        raise DatakitError(
            f"{kind} is a DataLoader of its own kind and cannot be made anew with {workers} workers; "
            f"measure it with its own {loader.num_workers}"
        )
    if isinstance(loader, Loader):
        return loader.with_workers(workers, start_method=start_method)
    start: Any = loader.worker_init_fn
    own_start = start.init_fn if isinstance(start, WorkerStart) else start
    options: dict[str, Any] = {"pin_memory": loader.pin_memory, "worker_init_fn": own_start}
    if workers:
        options["prefetch_factor"] = loader.prefetch_factor
        options["persistent_workers"] = loader.persistent_workers
        options["multiprocessing_context"] = start_method or loader.multiprocessing_context
        options["timeout"] = loader.timeout
    return DataLoader(
        loader.dataset,
        num_workers=workers,
        collate_fn=loader.collate_fn,
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


def _sensible_workers(source: Any) -> Sequence[int]:
    if isinstance(source, DataLoader) and not is_remakable(source):
        return [source.num_workers]
    return default_workers()


def default_workers(cores: int | None = None) -> list[int]:
    """Numbers of workers worth trying: 0, 1, 2, 4 … up to the cores, by default `usable_cores()`."""
    cores = usable_cores() if cores is None else cores
    powers = [2**exponent for exponent in range(cores.bit_length()) if 2**exponent < cores]
    return [0, *powers, cores]
