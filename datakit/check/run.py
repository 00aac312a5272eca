"""`check`: what is wrong with datasets, their transforms and their loader."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, default_collate

from datakit.chain import name_of, steps
from datakit.check.cached import Keys, recall, remember
from datakit.check.code import code_findings
from datakit.check.copies import copies
from datakit.check.corpus import FIRST, All, Read, path_of, records_of
from datakit.check.facts import READ, UNREAD, Table
from datakit.check.findings import SEVERITIES, Finding, Part, Report
from datakit.check.kinds import KINDS
from datakit.check.near import near_copies
from datakit.check.parts import parts_of
from datakit.check.reading import read_into
from datakit.check.troubles import KIND_OF, Troubles
from datakit.check.whole import class_lists, classes_of, drifts, outliers
from datakit.collate import stack
from datakit.cores import usable_cores
from datakit.dataset import Dataset
from datakit.derived import Derived, Mapped
from datakit.errors import DatakitError, UnknownNameError, WorkerError
from datakit.sampling import KeySampler

_NEAR = {"near-duplicate", "near-leak"}
CODE_KINDS = {
    *("impure", "generator", "ignores-key", "unpicklable", "memory", "handle", "chain", "batch", "split-folders"),
    *("unknown-text", "padding"),
}
"""Kinds of findings that come from running the code, and from nothing else."""

_CHAIN_KINDS = {*KIND_OF.values(), "point-outside", "drift", "missing-key"}  # seen as loaded, and after transforms

_PROBED = {"handle", "memory", "impure", "unpicklable"}
"""Of them, those that are looked for in processes of their own."""

_UNOPENED = "mend what it says; until then this part was not checked"
_UNSTACKABLE = ("the channels of", "the number of")  # how findings on shapes begin
_UNSTACKED = "the loader cannot stack them and stops at the first such batch; bring them to one shape, or pad"

_WORTH_WORKERS = 256  # records from which on processes are started by themselves
_SAVED_EVERY = 120.0  # seconds
_TOLD_EVERY = 0.1

Progress = Callable[[str, int, int], None]


@dataclass
class Options:
    """How a check is made; see `check`."""

    kinds: Collection[str] = tuple(KINDS)
    seed: int = 0
    looked: int = 64
    at_most: int | None = None
    workers: int | None = None
    cache: bool = True
    progress: Progress = field(default=lambda what, done, total: None)


def check(
    what: Any,
    *,
    target: str = "",
    loader: DataLoader[Any] | None = None,
    only: Collection[str] = (),
    ignore: Collection[str] = (),
    seed: int = 0,
    looked: int = 64,
    at_most: int | None = None,
    workers: int | None = None,
    cache: bool = True,
    notes: Iterable[str] = (),
    unopened: Mapping[str, str] | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Report:
    """Look for what is wrong with a dataset, or with its splits, before somebody trains on it.

    All records are read as they are loaded; what does not change with the code of a chain is kept in a cache, by row of
    the index and by the time and size of files. Some records are run through the transforms, and the code itself is
    tried. Ctrl-C ends it: the report then holds what was found so far, and says so.

    Args:
        what: a dataset, or datasets by name, which are also compared with each other.
        target: what the report calls it.
        loader: that the training uses, where there is one; `what` is its dataset.
        only: names of `KINDS` to look for; all without any.
        ignore: names of `KINDS` to leave out.
        seed: of the records that are run through the transforms.
        looked: how many of them.
        at_most: records of each part to read, chosen by the seed; None for all.
        workers: processes that read; None for as many as there are cores, and one for few records.
        cache: whether to use and write the cache.
        notes: to be said in the report.
        unopened: parts that are no dataset, and why; they are findings.
        progress: called with what is done, how much of it, and of how much.

    Raises:
        UnknownNameError: for a kind that there is not.
        DatakitError: there is nothing to check, or nothing left to look for.
        WorkerError: workers cannot be started.

    Examples:
        >>> from datakit.check import check
        >>> samples = [{"label": 0, "text": "to be"}, {"label": 1, "text": "or not"}, {"label": 0, "text": "to be"}]
        >>> for finding in check(samples).findings:
        ...     print(f"{finding.severity}: {finding.kind}: {finding.text}")
        note: duplicate: 1 record is a copy of an earlier one, bit for bit, in 1 set
    """
    for kind in (*only, *ignore):
        if kind not in KINDS:
            raise UnknownNameError.of("kind of finding", kind, KINDS)
    kinds = [kind for kind in KINDS if (not only or kind in only) and kind not in ignore]
    if not kinds:
        raise DatakitError("there is nothing left to look for: all kinds of findings that were asked for are ignored")
    options = Options(kinds, seed, looked, at_most, workers, cache, progress)
    run = _Run(parts_of(what), target, loader, options, list(notes))
    for name, reason in (unopened or {}).items():
        run.findings.append(Finding("unreadable", f"{name} cannot be opened: {reason}", advice=_UNOPENED))
    return run.report()


class _Run:
    """One check: what was found so far, whatever happens."""

    def __init__(
        self,
        parts: Mapping[str, Dataset],
        target: str,
        loader: DataLoader[Any] | None,
        options: Options,
        notes: list[str],
    ) -> None:
        self.target, self.loader, self.options, self.notes = target, loader, options, notes
        self.parts = [Read(name, dataset, Table(len(dataset))) for name, dataset in parts.items()]
        self.cached = dict.fromkeys(parts, 0)
        self.findings: list[Finding] = []
        self.doing = ""
        self.looked = 0

    def report(self) -> Report:
        """Run, and say what was found."""
        start, interrupted = time.monotonic(), ""
        try:
            self._code()
            self._read()
        except KeyboardInterrupt:
            interrupted = self.doing
        self.findings.extend(self._of_records())
        if not interrupted:
            try:
                self._near()
            except KeyboardInterrupt:
                interrupted = self.doing
        dataset = self.parts[0].dataset
        return Report(
            target=self.target,
            parts=tuple(
                Part(part.name, _described(part.dataset), len(part.dataset), part.table.known, self.cached[part.name])
                for part in self.parts
            ),
            findings=self._wanted(),
            chain=tuple(map(name_of, steps(dataset.transform))),
            looked=self.looked,
            seconds=time.monotonic() - start,
            notes=tuple(self.notes),
            interrupted=interrupted,
        )

    def _wanted(self) -> tuple[Finding, ...]:
        """The findings of the kinds that were asked for, the worst first, each once."""
        order = {severity: place for place, severity in enumerate(SEVERITIES)}
        known = map(self._as_seen, self.findings)
        listed = dict.fromkeys(finding for finding in known if finding.kind in self.options.kinds)
        kinds = list(KINDS)
        return tuple(sorted(listed, key=lambda finding: (order[finding.severity], kinds.index(finding.kind))))

    def _as_seen(self, finding: Finding) -> Finding:
        """A finding in the words of the user, who may know of no `Mapped`, and as bad as it is for their loader."""
        dataset = self.parts[0].dataset
        if isinstance(dataset, Mapped):
            finding = replace(finding, text=finding.text.replace("dataset.foreign", "dataset"))
        if _stacks(self.loader) and finding.kind == "drift" and finding.text.startswith(_UNSTACKABLE):
            return replace(finding, level="error", advice=_UNSTACKED)
        return finding

    def _progress(self, what: str, done: int, total: int) -> None:
        self.doing = what.split(", about")[0]
        self.options.progress(what, done, total)

    def _code(self) -> None:
        """The code, on some records of each part; what takes processes, once for the same class and chain."""
        tried: set[tuple[type, int]] = set()
        for part in self.parts:
            shown = CODE_KINDS | (_CHAIN_KINDS if steps(part.dataset.transform) else set())
            if not len(part.dataset) or not shown.intersection(self.options.kinds):
                continue
            self.looked = max(self.looked, min(self.options.looked, len(part.dataset)))
            made_of = (type(part.dataset), id(part.dataset.transform))
            kinds = set(self.options.kinds) - (_PROBED if made_of in tried else set())
            if not isinstance(part.dataset, Derived):  # of which the code is that of what they are made of
                tried.add(made_of)
            found = code_findings(
                part.dataset, self.loader, part=part.name, seed=self.options.seed, records=self.options.looked,
                kinds=kinds, notes=self.notes, progress=self._progress,
            )  # fmt: skip
            for finding in found:
                self.findings.append(finding)

    def _read(self) -> None:
        """All records, as loaded."""
        if CODE_KINDS.issuperset(self.options.kinds):
            return
        for part in self.parts:
            self._read_part(part)

    def _read_part(self, part: Read) -> None:
        count = len(part.dataset)
        wanted = _chosen(count, self.options.at_most, self.options.seed)
        if len(wanted) < count:
            self.notes.append(f"{len(wanted):,} of {count:,} records{part.of} were read, chosen by chance")
        keys = Keys(part.dataset) if self.options.cache else None
        table = part.table
        numbers = np.zeros(0, np.uint64)
        if keys is not None and keys.name is not None:
            self._progress(f"asking the cache about the files{part.of}", 0, count)
            numbers = np.zeros(count, np.uint64)  # 0 stands for none: what is not wanted is not looked up
            numbers[wanted] = [keys.of(int(index)) for index in wanted]
            known = recall(keys.name, numbers, table)
            self.cached[part.name] = int(known.sum())
        left = wanted[table.rows["state"][wanted] == UNREAD]
        workers = self.options.workers
        if workers is None:  # one at least: whatever ends the process that reads shall not end this one
            workers = usable_cores() if len(left) >= _WORTH_WORKERS else min(1, len(left))
        estimate = _Estimate(f"records{part.of}", len(wanted) - len(left), len(wanted), self._progress)
        saving = _Saving(lambda: self._save(keys, numbers, table))

        def count_(done: int) -> None:
            estimate(done)
            saving()

        try:
            estimate(0)
            try:
                read_into(table, part.dataset, left, workers=workers, progress=count_)
            except WorkerError:  # they could not be started
                if self.options.workers:
                    raise
                read_into(table, part.dataset, left, progress=count_)
        finally:
            if table.rows["state"][left].any():
                self._save(keys, numbers, table)

    def _save(self, keys: Keys | None, numbers: Any, table: Table) -> None:
        if keys is None or keys.name is None:
            return
        try:
            remember(keys.name, numbers, table)
        except OSError as error:
            note = f"the cache could not be written: {error}"
            if note not in self.notes:
                self.notes.append(note)

    def _of_records(self) -> Iterator[Finding]:
        """What the facts of the records say."""
        for part in self.parts:
            yield from _unreadable(part)
            yield from _troubles(part)
            yield from drifts(part)
            yield from classes_of(part)
            yield from outliers(part)
        yield from class_lists(self.parts)
        yield from copies(All.of(self.parts))

    def _near(self) -> None:
        if _NEAR.intersection(self.options.kinds):
            for finding in near_copies(All.of(self.parts), self.notes, self._progress):
                self.findings.append(finding)


def _stacks(loader: DataLoader[Any] | None) -> bool:
    """Whether a loader makes its batches by stacking."""
    made_by = getattr(loader, "collate_fn", None)
    return getattr(made_by, "collate_fn", made_by) in (default_collate, stack)


def _described(dataset: Dataset) -> str:
    """A dataset in a line; one of somebody else's by its own name."""
    if isinstance(dataset, Mapped) and dataset.fn is None:
        return f"{type(dataset.foreign).__name__}: {records_of(len(dataset))}"
    return repr(dataset)


def _chosen(count: int, at_most: int | None, seed: int) -> np.ndarray:
    """The records to read, in their order."""
    if at_most is None or at_most >= count:
        return np.arange(count)
    order = KeySampler(count, seed=seed, shuffle=True, rank=0, world_size=1).order(0)
    return np.sort(order[:at_most])


class _Estimate:
    """Says how much is read, and how long the rest will take."""

    def __init__(self, what: str, before: int, total: int, progress: Progress) -> None:
        self.what, self.before, self.total, self.progress = what, before, total, progress
        self.start, self.told = time.monotonic(), -math.inf

    def __call__(self, done: int) -> None:
        """So many were read; said a few times a second, and at the end."""
        now, left = time.monotonic(), self.total - self.before - done
        if left and now - self.told < _TOLD_EVERY:
            return
        self.told, passed = now, now - self.start
        rest = f", {duration(passed / done * left)} left" if done and left and passed > 2 else ""
        self.progress(f"{self.what}{rest}", self.before + done, self.total)


def duration(seconds: float) -> str:
    """About how long, such as `40 s`, `12 min`, `3 h`.

    Examples:
        >>> duration(42), duration(700), duration(10_000)
        ('about 40 s', 'about 12 min', 'about 3 h')
    """
    if seconds < 90:
        return f"about {max(1, round(seconds, -1 if seconds > 20 else 0)):.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.0f} h"


class _Saving:
    """Saves from time to time, so that a run that is killed has not read for nothing."""

    def __init__(self, save: Callable[[], None]) -> None:
        self.save, self.last = save, time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self.last > _SAVED_EVERY:
            self.save()
            self.last = time.monotonic()


def _unreadable(part: Read) -> Iterator[Finding]:
    if not len(part.dataset):
        yield Finding(
            "empty",
            f"there are no records{part.of}",
            advice="look at where the data lie, and at the split",
            level="error",
        )
    failures = part.table.failures
    if failures:
        tried = part.table.known
        text = f"{len(failures):,} of {tried:,} records{part.of} cannot be read"
        everything = len(failures) == tried and tried > 1
        advice = "all of them fail: look at where the data lie, or at load, not at one record" if everything else ""
        indices = sorted(failures)
        reasons = {index: _without_path(part, index, failures[index]) for index in indices[:FIRST]}
        yield Finding("unreadable", text, len(failures), tried, part.offenders(indices, reasons), advice)


def _without_path(part: Read, index: int, reason: str) -> str:
    """Why a record cannot be read, without the path that stands beside it."""
    path = path_of(part.dataset, index)
    return reason.split(f"{path}: ", 1)[-1] if path else reason


def _troubles(part: Read) -> Iterator[Finding]:
    collected = Troubles()
    for index in sorted(part.table.troubles):
        collected.add(part.place(index), part.table.troubles[index])
    collected.samples = int((part.table.rows["state"] == READ).sum())
    of = f"of {collected.samples:,} samples"
    for finding in collected.findings():
        yield replace(finding, text=finding.text.replace(of, f"{of}{part.of}"))
