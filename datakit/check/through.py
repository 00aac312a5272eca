"""Records through the whole chain, in a process of their own: what each of them shows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from datakit.check.drift import Forms, forms_of
from datakit.check.elsewhere import Print, print_of
from datakit.check.findings import Place
from datakit.check.purity import changer, different_later, kept_memory, makes_its_own, reseeding
from datakit.dataset import Dataset
from datakit.inspection.picture import normalizers
from datakit.inspection.record_checks import troubles
from datakit.inspection.records import inspected, unrepeatable
from datakit.inspection.seen import Inspected
from datakit.inspection.spectrum import steps_by_name
from datakit.inspection.text_survey import Reader, TextNumbers
from datakit.inspection.trouble import LOADED, Trouble
from datakit.sampling import Key

_EPOCHS, _SEVERAL = (1, 2), 16  # further epochs, and in how many records
_FEW = 4  # records for the checks of the code, which are the same for all


class Begun(NamedTuple):
    """A record is about to be read."""

    record: int


@dataclass(frozen=True)
class Through:
    """What one record shows.

    Attributes:
        place: where it is.
        has_chain: whether it has more stages than the one as loaded.
        troubles: what the chain brings about.
        error: what went wrong in the chain, or in loading it.
        failed: at which stage; empty where nothing did.
        epoch: in which epoch.
        impure: the stage that a second run makes otherwise.
        changed_by: the transform that changes what the dataset keeps.
        loaded: its form as loaded.
        end: at the end of the chain.
        text: numbers of its texts.
    """

    place: Place
    has_chain: bool = False
    troubles: tuple[Trouble, ...] = ()
    error: str = ""
    failed: str = ""
    epoch: int = 0
    impure: str | None = None
    changed_by: str | None = None
    loaded: Forms = field(default_factory=dict)
    end: Forms = field(default_factory=dict)
    text: TextNumbers | None = None

    @property
    def is_unread(self) -> bool:
        """Whether it could not be loaded at all."""
        return bool(self.error) and self.failed in ("", "loading")


class OfCode(NamedTuple):
    """What a few records show of the code: `what`, at which stage or key, and what else there is to say."""

    what: Literal["later", "kept", "reseeds", "makes"]
    where: str
    detail: str
    places: tuple[Place, ...]


class Printed(NamedTuple):
    """What a record holds, to be compared with that of another process."""

    key: Key
    print: Print


def look_through(
    dataset: Dataset, indices: Sequence[int], *, part: str, seed: int, seconds: float
) -> Iterator[Begun | Through | OfCode | Printed]:
    """Read records through the chain, each twice, and say what they show; small values, to cross between processes.

    Args:
        dataset: whose they are.
        indices: of the records.
        part: its name.
        seed: of the keys.
        seconds: after which no further record is begun.
    """
    start, looker = time.monotonic(), _Looker(dataset, part, seed)
    for count, index in enumerate(indices):
        if count >= _FEW and time.monotonic() - start > seconds:
            break
        yield Begun(index)
        yield from looker.look(index, several=count < _SEVERAL)
    yield from looker.of_code()


class _Looker:
    """Looks at one record after another and keeps the first good ones."""

    def __init__(self, dataset: Dataset, part: str, seed: int) -> None:
        self.dataset, self.part, self.seed = dataset, part, seed
        self.known, self.normalize = steps_by_name(dataset), normalizers(dataset)
        self.kept: list[Inspected] = []
        self.is_pure = True

    def look(self, index: int, several: bool) -> Iterator[Through]:
        """One record; with `several` in other epochs too."""
        seen = inspected(self.dataset, Key(self.seed, 0, index))
        impure = unrepeatable(self.dataset, seen)
        yield self._through(seen, impure)
        if seen.error is not None:
            return
        self.is_pure = self.is_pure and impure is None
        if len(self.kept) < _FEW:
            self.kept.append(seen)
        for epoch in _EPOCHS if several else ():
            other = inspected(self.dataset, seen.key._replace(epoch=epoch))
            if other.error is not None:
                yield Through(self._place(other), error=other.error, failed=other.failed, epoch=epoch)
                return

    def _through(self, seen: Inspected, impure: str | None) -> Through:
        place = self._place(seen)
        if not seen.stages:
            return Through(place, error=seen.error or "", failed=seen.failed)
        last = seen.stages[-1].sample
        found = troubles(seen, classes=self.dataset.classes, normalize=self.normalize, steps=self.known)
        return Through(
            place,
            has_chain=len(seen.stages) > 1 or seen.error is not None,
            troubles=tuple(one for one in found if one.stage != LOADED),
            error=seen.error or "",
            failed=seen.failed,
            impure=impure,
            changed_by=self._changer(seen.key) if impure == LOADED else None,
            loaded=forms_of(seen.stages[0].sample),
            end=forms_of(last) if seen.error is None else {},
            text=self._text(seen, last) if seen.error is None else None,
        )

    def _place(self, seen: Inspected) -> Place:
        return Place(self.part, seen.key.index, seen.path)

    def _changer(self, key: Key) -> str | None:
        try:
            return changer(self.dataset, key)
        except Exception:  # its chain fails now, which it did not before
            return None

    def _text(self, seen: Inspected, last: Any) -> TextNumbers:
        reader = Reader(self.known)
        for stage in seen.stages:
            reader.see(stage.name, stage.sample)
        return reader.last(last)

    def of_code(self) -> Iterator[OfCode | Printed]:
        """What does not depend on the record, from the few that were kept."""
        if not self.kept:
            return
        places = {seen.key.index: self._place(seen) for seen in self.kept}
        if self.is_pure:
            with suppress(Exception):
                for index, stage in different_later(self.dataset, self.kept):
                    self.is_pure = False
                    yield OfCode("later", stage, "", (places[index],))
        with suppress(Exception):
            yield from self._drawing(self.kept[0])
        if not self.is_pure:
            return
        with suppress(Exception):
            if len(self.kept) > 1 and (key := kept_memory(self.dataset, self.kept[0].key, self.kept[1].key)):
                yield OfCode("kept", key, "", (places[self.kept[0].key.index],))
        for seen in self.kept:
            with suppress(Exception):
                yield Printed(seen.key, print_of(self.dataset, seen.key))

    def _drawing(self, seen: Inspected) -> Iterator[OfCode]:
        for stage, names in reseeding(self.dataset, seen, self.known):
            yield OfCode("reseeds", stage, " and ".join(names), ())
        if self.is_pure:
            yield from (OfCode("makes", stage, name, ()) for stage, name in makes_its_own(seen, self.known))
