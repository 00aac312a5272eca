"""Clocks in a copy of a loader: its dataset's parts, its collate function, its workers. Nothing of the user's changes.

Each worker has a recorder of its own. What it recorded of a batch travels with the batch, in a parcel that is pickled
in the worker and opened in the training process; both are timed, and out comes the batch itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from multiprocessing.reduction import ForkingPickler
from time import perf_counter, thread_time
from typing import Any

from torch.utils.data import DataLoader, get_worker_info

from datakit import probe
from datakit.chain import Compose, name_of, steps
from datakit.dataset import Dataset

TRANSFER = "transfer"
"""Pickling a batch, copying it to shared memory where it is not there yet, and unpickling it."""
ITEM = "item"
"""What a dataset that has a `loader` of its own does besides."""

arrivals: list[dict[str, float]] | None = None
"""Seconds of the stages of each batch that has arrived in this process, while a pass is profiled."""


def with_clocks(loader: DataLoader[Any]) -> DataLoader[Any]:
    """`loader`, which must be a copy that nobody else uses, with clocks in it."""
    dataset = instrumented(loader.dataset)
    if not isinstance(dataset, Dataset):
        dataset = TimedItems(dataset, ITEM if _has_loader(dataset) else "load")
    object.__setattr__(loader, "dataset", dataset)  # DataLoader refuses it, since samplers may know the old one
    loader.collate_fn = TimedCollate(loader.collate_fn)
    loader.worker_init_fn = RecordingStart(loader.worker_init_fn)
    return loader


def stage_name(transform: Any) -> str:
    """What the stage of a transform is called, in one line; a `Compose` is left what it does besides its steps."""
    return "Compose (around its steps)" if _is_foreign_chain(transform) else " ".join(name_of(transform).split())


class RecordingStart:
    """A `worker_init_fn`: the loader's own, then a recorder for this worker."""

    def __init__(self, init_fn: Callable[[int], Any] | None) -> None:
        self.init_fn = init_fn

    def __call__(self, worker_id: int) -> None:
        """Called in the worker."""
        if self.init_fn is not None:
            self.init_fn(worker_id)
        probe.recorder = probe.Recorder()


class TimedCollate:
    """A `collate_fn` that times another and sends along what was recorded of the batch."""

    def __init__(self, collate_fn: Callable[[Any], Any]) -> None:
        self.collate_fn = collate_fn

    def __call__(self, read: Any) -> Any:
        """The batch; in a worker, a parcel with it."""
        with probe.stage("collate"):
            batch = self.collate_fn(read)
        if probe.recorder is None:
            return batch
        seconds = probe.recorder.take(stage_name)
        if get_worker_info() is not None:
            return Parcel(batch, seconds)
        if arrivals is not None:
            arrivals.append(seconds)
        return batch


class Parcel:
    """A batch on its way, with the seconds of its stages."""

    def __init__(self, batch: Any, seconds: dict[str, float]) -> None:
        self.batch, self.seconds = batch, seconds

    def __reduce__(self) -> tuple[Any, ...]:
        start = thread_time()  # pickling has a thread of its own, and may wait there for the one that decodes
        content = bytes(ForkingPickler.dumps(self.batch))
        return _opened, (content, self.seconds, thread_time() - start)


def _opened(content: bytes, seconds: dict[str, float], packing: float) -> Any:
    start = perf_counter()
    batch = ForkingPickler.loads(content)
    if arrivals is not None:
        arrivals.append({**seconds, TRANSFER: packing + perf_counter() - start})
    return batch


class TimedItems:
    """A dataset, map-style or a stream, whose items are timed; in everything else it is the dataset inside."""

    def __init__(self, inner: Any, stage: str) -> None:
        vars(self).update(_inner=inner, _stage=stage)

    def __reduce__(self) -> tuple[Any, ...]:
        return TimedItems, (self._inner, self._stage)

    def __getitem__(self, index: Any) -> Any:
        with probe.stage(self._stage):
            return self._inner[index]

    def __iter__(self) -> Iterator[Any]:
        items = iter(self._inner)
        while True:
            try:
                with probe.stage(self._stage):
                    item = next(items)
            except StopIteration:
                return
            yield item

    def __len__(self) -> int:
        return len(self._inner)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        return Timed(value, self._stage) if name == "__getitems__" and value else value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)  # a worker_init_fn may give each worker its part of a stream


class Timed:
    """A callable that is timed as a stage; in everything else it is the callable inside."""

    def __init__(self, inner: Callable[..., Any], name: str) -> None:
        self.inner, self.name = inner, name

    def __reduce__(self) -> tuple[Any, ...]:
        return Timed, (self.inner, self.name)

    def __call__(self, *values: Any, **options: Any) -> Any:
        """What the callable inside gives."""
        with probe.stage(self.name):
            return self.inner(*values, **options)

    def __getattr__(self, name: str) -> Any:
        if name == "transforms":  # for those who ask what a chain is made of
            return [self.inner]
        return getattr(self.inner, name)

    def __repr__(self) -> str:
        return repr(self.inner)


def instrumented(dataset: Any) -> Any:
    """A copy of `dataset` whose transforms report to the recorder, also those of datasets inside; or itself.

    Transforms are found where torchvision's datasets have them, in `transform`, `transforms`, `target_transform` and
    `loader`; datasets inside where torch's and datakit's have them, in `dataset`, `datasets` and `foreign`.
    """
    found = _replacements(getattr(dataset, "__dict__", {}))
    if not found:
        return dataset
    try:
        other = copy.copy(dataset)
    except Exception:  # then its items are timed as a whole
        return dataset
    if vars(other) is vars(dataset):
        return dataset
    vars(other).update(found)
    return other


def _replacements(attributes: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in attributes.items():
        if name in ("dataset", "foreign"):
            found[name] = instrumented(value)
        elif name == "datasets" and isinstance(value, list | tuple):
            found[name] = type(value)(map(instrumented, value)) if type(value) in (list, tuple) else value
        elif name == "_transform" and value is not None:
            found[name] = Compose(map(_parts_timed, steps(value)))
        elif name in ("transform", "transforms") and callable(value):
            found[name] = _timed(value)
        elif name == "target_transform" and callable(value):
            found[name] = Timed(value, f"target: {stage_name(value)}")
        elif name == "loader" and callable(value):
            found[name] = Timed(value, "load")
    return {name: value for name, value in found.items() if value is not attributes[name]}


def _timed(transform: Any) -> Any:
    if isinstance(transform, Compose):  # its steps report themselves
        return Compose(map(_parts_timed, transform.transforms))
    opened = _parts_timed(transform)
    if opened is not transform:
        return opened
    inside = getattr(transform, "__dict__", {})
    if type(transform).__name__ == "StandardTransform":  # torchvision's pair of transform and target_transform
        other = copy.copy(transform)
        vars(other).update(_replacements(inside))
        return other
    return Timed(transform, stage_name(transform))


def _parts_timed(transform: Any) -> Any:
    """A copy of torchvision's `Compose`, or one like it, with timed steps; anything else itself."""
    if not _is_foreign_chain(transform):
        return transform
    other = copy.copy(transform)
    other.transforms = [_timed(part) for part in transform.transforms]
    return other


def _is_foreign_chain(transform: Any) -> bool:
    if isinstance(transform, Compose) or type(transform).__name__ != "Compose":
        return False
    return isinstance(getattr(transform, "transforms", None), list)


def _has_loader(dataset: Any) -> bool:
    while hasattr(dataset, "dataset"):
        dataset = dataset.dataset
    return callable(getattr(dataset, "loader", None))
