"""The datasets of a check with what is known of their records, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from datakit.check.facts import ROW, TEXT, Rows, Table
from datakit.check.findings import Offender, Place
from datakit.dataset import Dataset
from datakit.inspection.text import texts_in
from datakit.phrasing import shorten

FIRST = 20
"""Offenders of a finding that are named."""

_CHARACTERS = 40  # of a text


@dataclass(frozen=True)
class Read:
    """A dataset and what is known of it.

    Attributes:
        name: of the part.
        dataset: as it was given, with its transforms.
        table: the facts of its records as loaded.
    """

    name: str
    dataset: Dataset
    table: Table

    def place(self, index: int) -> Place:
        """Where a record is."""
        return Place(self.name, index, path_of(self.dataset, index))

    @property
    def of(self) -> str:
        """Behind a number of records: ` of train`, or nothing where there is one part only."""
        return f" of {self.name}" if self.name else ""

    def offenders(self, indices: Iterable[int], details: Mapping[int, str] | None = None) -> tuple[Offender, ...]:
        """The first of these records."""
        known = details or {}
        chosen = [index for index, _ in zip(indices, range(FIRST), strict=False)]
        return tuple(Offender(self.place(int(index)), known.get(int(index), "")) for index in chosen)


def path_of(dataset: Dataset, index: int) -> str | None:
    """The file behind a record; None where a foreign dataset does not say."""
    try:
        return dataset.path_of(index)
    except Exception:  # a finding must not fail for want of a name
        return None


@dataclass(frozen=True)
class All:
    """The records of all parts that could be read, in one table.

    Attributes:
        parts: the datasets.
        part: int (n,), number of the part of each record.
        index: int (n,), where it is there.
        rows: of dtype `ROW`, (n,).
    """

    parts: Sequence[Read]
    part: npt.NDArray[np.int64]
    index: npt.NDArray[np.int64]
    rows: Rows

    @classmethod
    def of(cls, parts: Sequence[Read]) -> All:
        """Of these parts."""
        read = [part.table.read for part in parts]
        counts = [len(indices) for indices in read]
        return cls(
            parts,
            np.repeat(np.arange(len(parts)), counts),
            np.concatenate([*read, np.zeros(0, np.int64)]),
            np.concatenate([*(part.table.rows[at] for part, at in zip(parts, read, strict=True)), np.zeros(0, ROW)]),
        )

    def place(self, row: int) -> Place:
        """Where a record is."""
        return self.parts[int(self.part[row])].place(int(self.index[row]))

    def text(self, row: int) -> str:
        """The text of a record, shortened, in quotation marks; empty where it is none."""
        if self.rows["modality"][row] != TEXT:
            return ""
        part = self.parts[int(self.part[row])]
        try:
            sample = next(part.dataset.trace(int(self.index[row])))[1]
        except Exception:  # a file that went away since it was read
            return ""
        return repr(shorten(next(iter(texts_in(sample).values()), ""), _CHARACTERS))


def records_of(count: int) -> str:
    """A number of records in words."""
    return f"{count:,} record{'s' * (count != 1)}"


def are(count: int) -> str:
    """The verb for a number of records."""
    return "are" if count != 1 else "is"
