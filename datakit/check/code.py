"""What is wrong with the code around the data: the dataset as an object, its transforms, and what a loader does."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader

from datakit.check.children import ProbeError, attended
from datakit.check.containers import many_objects
from datakit.check.elsewhere import changed_elsewhere, prints_elsewhere
from datakit.check.findings import Finding, Offender, Place
from datakit.check.generators import generators
from datakit.check.growth import growing
from datakit.check.handles import open_handles, shared_handles
from datakit.check.kinds import KINDS
from datakit.check.objects import Held, held, is_of_user
from datakit.check.pickling import unpicklable
from datakit.check.tally import Tally, of_code
from datakit.check.through import Begun, OfCode, Printed, Through, look_through
from datakit.dataset import Dataset
from datakit.inspection.batch_checks import batch_findings
from datakit.inspection.findings import split_folders
from datakit.loader import Loader
from datakit.sampling import Key, KeySampler

_SECONDS = 8.0  # for the records that go through the chain
_PATIENCE = 20.0  # for one record, or for the first batch
_ELSEWHERE = 30.0  # for a process that is started anew
_FILES = 9  # records that are read to see which files they share
_OF_OBJECTS = {"generator", "split-folders"}  # kinds for which no record has to be read


def code_findings(
    dataset: Dataset,
    loader: DataLoader[Any] | None = None,
    *,
    part: str = "",
    seed: int = 0,
    records: int = 64,
    kinds: Collection[str] = tuple(KINDS),
    notes: list[str] | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Iterator[Finding]:
    """What is wrong with a dataset, its transforms and its loader, one finding after another as they become known.

    All that runs code of the dataset's does so in processes of its own, which are killed when they hang and when this
    iterator is closed. At Ctrl-C it still yields what is known of the records that went through the chain.

    What cannot be found: what comes with time (another sample tomorrow, memory that grows once an hour), what a
    transform does for other records than the ones looked at, a generator that is made and seeded in a library that a
    transform calls, and one that puts the global generators back to where they were.

    Args:
        dataset: with its transforms. A stream is looked at by its first records: `stream.take(256)`.
        loader: the user's own loader over it, where there is one.
        part: what the dataset is called in places: a split.
        seed: which records are looked at, and of the keys.
        records: how many are looked at, spread over the dataset.
        kinds: of findings that are wanted: what only shows others is not run. Others may come all the same.
        notes: where it is said what was left out.
        progress: called with what is done next, how many such steps are done, and how many there are.

    Examples:
        >>> from datakit import Mapped
        >>> from datakit.check.code import code_findings
        >>> finding = next(code_findings(Mapped([{"value": 1.5}] * 4, lambda sample: sample)))
        >>> finding.severity, finding.kind, finding.text.split(" (")[0]
        ('warning', 'unpicklable', 'dataset.fn is a lambda')
    """
    if isinstance(loader, Loader):
        seed = loader.seed
    check = _Check(dataset, loader, part, seed, records, progress, kinds)
    check.notes = [] if notes is None else notes
    yield from check.findings()


class _Check:
    """The parts of the check, and what they tell each other."""

    def __init__(
        self,
        dataset: Dataset,
        loader: DataLoader[Any] | None,
        part: str,
        seed: int,
        records: int,
        progress: Callable[[str, int, int], None],
        kinds: Collection[str] = tuple(KINDS),
    ) -> None:
        self.dataset, self.loader, self.part, self.seed, self.progress = dataset, loader, part, seed, progress
        order = KeySampler(len(dataset), seed=seed, shuffle=True, rank=0, world_size=1).order(0)
        self.indices = [int(index) for index in order[:records]]
        self.order = order
        self.kinds = frozenset(kinds)
        self.total = 1 + len(self.indices) + len(self._probes())
        self.done = 0
        self.hangs = False
        self.prints: list[Printed] = []
        self.unsendable = False
        self.notes: list[str] = []

    def findings(self) -> Iterator[Finding]:
        yield from self._objects()
        if self.indices and not self.kinds <= _OF_OBJECTS:
            yield from self._chain()
        if self.indices and not self.hangs:
            for probe in self._probes():
                yield from probe()

    def _probes(self) -> list[Callable[[], Iterator[Finding]]]:
        """What runs after the chain, for the kinds that are wanted."""
        probes = (
            (self._files, {"handle"}),
            (self._memory, {"memory"}),
            (self._batch, {"batch", "padding"}),
            (self._elsewhere, {"impure", "unpicklable"}),
        )
        return [probe for probe, kinds in probes if self.kinds & kinds]

    def _begin(self, what: str) -> None:
        self.progress(what, self.done, self.total)
        self.done += 1

    def _roots(self) -> list[Held]:
        roots = [Held("dataset", self.dataset)]
        if self.loader is None:
            return roots
        collate_fn: Any = self.loader.collate_fn
        init_fn: Any = self.loader.worker_init_fn
        if isinstance(self.loader, Loader):
            collate_fn, init_fn = getattr(collate_fn, "collate_fn", None), getattr(init_fn, "init_fn", None)
        given = [Held("collate_fn", collate_fn), Held("worker_init_fn", init_fn)]
        return roots + [one for one in given if one.value is not None]

    def _samplers(self) -> list[Held]:
        """Those of the user's, which stay in this process."""
        named = [Held(name, getattr(self.loader, name, None)) for name in ("sampler", "batch_sampler")]
        return [one for one in named if one.value is not None and is_of_user(type(one.value))]

    def _objects(self) -> Iterator[Finding]:
        self._begin("the objects of the dataset")
        yield from split_as_classes(self.dataset)
        found = [one for root in self._roots() + self._samplers() for one in held(root.value, root.path)]
        yield from generators(found)
        yield from many_objects(found)
        method = start_method(self.loader)
        shared = [] if method != "fork" else [one.path for one in open_handles(found)]
        for finding in unpicklable(self._roots(), start_method=method):
            is_handle = any(finding.text.startswith(path) for path in shared)
            self.unsendable = self.unsendable or finding.kind == "unpicklable"
            if not is_handle:  # which is said by itself, and is the worse of the two
                yield finding

    def _chain(self) -> Iterator[Finding]:
        tally, last, begun = Tally(), -1, 0
        code: list[OfCode] = []
        trouble = ""
        try:
            for one in self._looked_through():
                if isinstance(one, Begun):
                    last, begun = one.record, begun + 1
                    self._begin(f"record {last}")
                elif isinstance(one, Through):
                    tally.add(one)
                elif isinstance(one, OfCode):
                    code.append(one)
                else:
                    self.prints.append(one)
        except ProbeError as error:
            self.hangs, trouble = True, str(error)
        except KeyboardInterrupt:
            yield from tally.findings()
            raise
        self.done = 1 + len(self.indices)
        if trouble:
            yield self._stuck(last, trouble)
        elif begun < len(self.indices):
            self.notes.append(
                f"{begun} of {len(self.indices)} records{self.part and f' of {self.part}'} went through the chain: "
                f"they take long, and no more were begun after {_SECONDS:g} s"
            )
        yield from tally.findings()
        yield from of_code(code, tally.read)

    def _looked_through(self) -> Iterator[Begun | Through | OfCode | Printed]:
        def work() -> Iterator[Begun | Through | OfCode | Printed]:
            return look_through(self.dataset, self.indices, part=self.part, seed=self.seed, seconds=_SECONDS)

        return work() if torch.cuda.is_initialized() else attended(work, _PATIENCE)  # CUDA does not survive a fork

    def _stuck(self, index: int, trouble: str) -> Finding:
        place = self._place(index)
        text = f"reading record {index} did not come to its end: {trouble}. The rest was not looked at"
        return Finding("chain", text, 1, len(self.indices), (Offender(place, trouble),))

    def _files(self) -> Iterator[Finding]:
        self._begin("files that workers share")
        if start_method(self.loader) == "fork" and not torch.cuda.is_initialized():
            keys = [Key(self.seed, 0, index) for index in self.indices[:_FILES]]
            yield from shared_handles(self.dataset, keys, self._roots)

    def _memory(self) -> Iterator[Finding]:
        self._begin("memory while records are read")
        if not torch.cuda.is_initialized():
            yield from growing(self.dataset, self.order, self.seed)

    def _batch(self) -> Iterator[Finding]:
        self._begin("the first batch")
        loader, is_own = self.loader, self.loader is not None
        if loader is None:
            loader = Loader(self.dataset, 16, seed=self.seed, shuffle=True, rank=0, world_size=1)
        given, keys = loader, [Key(self.seed, 0, index) for index in self.indices[:16]]

        def work() -> Iterator[Finding]:
            for what, found in batch_findings(given, self.dataset, keys, is_own=is_own):
                offenders = tuple(Offender(self._place(index)) for index in found.indices)
                yield Finding(
                    what, found.text, len(offenders), 0, offenders, found.hint, "warning" if what == "padding" else None
                )

        try:
            yield from work() if torch.cuda.is_initialized() else attended(work, _PATIENCE)
        except ProbeError as error:
            yield Finding("batch", f"the loader made no batch: {error}")

    def _elsewhere(self) -> Iterator[Finding]:
        self._begin("samples in another process")
        if not self.prints or self.unsendable or not self._has_code_of_user():
            return
        try:
            prints, error = prints_elsewhere(self.dataset, [one.key for one in self.prints], _ELSEWHERE)
        except TimeoutError:
            return
        if error:
            yield Finding("unpicklable", f"dataset can be pickled, but not be made of that again: {error}")
        own = [(self._place(one.key.index), one.print) for one in self.prints]
        yield from changed_elsewhere(own, prints)

    def _has_code_of_user(self) -> bool:
        """Whether there is code that nobody has tested; what is of a script cannot be made in another process."""
        kinds = (_kind(one.value) for one in held(self.dataset, "dataset"))
        modules = {kind.__module__ for kind in kinds if is_of_user(kind)}
        return bool(modules) and "__main__" not in modules

    def _place(self, index: int) -> Place:
        return Place(self.part, index, self.dataset.path_of(index))


def _kind(value: Any) -> Any:
    return value if hasattr(value, "__qualname__") else type(value)


def split_as_classes(dataset: Dataset) -> Iterator[Finding]:
    """Classes that are the names of splits."""
    for found in split_folders(dataset.classes):
        yield Finding("split-folders", found.text, advice=found.hint)


def start_method(loader: DataLoader[Any] | None) -> str:
    """How a loader starts its workers: as it says, else as Python does here.

    Examples:
        >>> from datakit import Loader
        >>> from datakit.check.code import start_method
        >>> start_method(Loader([1, 2], num_workers=1, multiprocessing_context="spawn"))
        'spawn'
    """
    context = getattr(loader, "multiprocessing_context", None)
    if context is not None:
        return str(context.get_start_method())
    return multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
