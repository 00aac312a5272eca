"""What is kept of a record once it was read: a row of numbers, and the little that is no number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from datakit.check.alike import WORDS
from datakit.inspection.trouble import Trouble

NO_LABEL = np.iinfo(np.int64).min

NONE, IMAGE, SOUND, TEXT = range(4)
"""What a record is for those who compare records with each other."""

UNREAD, READ, FAILED = range(3)
"""States of a record."""

ROW = np.dtype(
    [
        ("state", "u1"),
        ("modality", "u1"),
        ("is_whole", "?"),  # an image of whole numbers
        ("is_plain", "?"),  # one value only, or nothing at all: no copy of anything
        ("content", "u8", 2),  # digest of what a model is given
        ("annotation", "u8"),  # digest of what it shall say of that
        ("form", "u8"),  # digest of the keys and their types
        ("sketch", "u8", WORDS),
        ("size", "i8", 3),  # height, width, channels of an image; steps, Hz, channels of a sound; characters of a text
        ("low", "f8"),
        ("high", "f8"),
        ("label", "i8"),
        ("stamp", "u8"),  # state of the files that it was read from; 0 where that is not known
    ]
)
"""The numbers of a record. Digests are not checksums of files: two files may hold the same pixels."""

Rows = npt.NDArray[Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Facts:
    """Of some records, in their order.

    Attributes:
        rows: of dtype `ROW`, (n,).
        labels: class numbers of the objects of each record.
        troubles: what is wrong with each, as far as it can be seen in that record alone.
        failures: why each could not be read; empty where it could.
        files: those that each was read from, where that is known.
        forms: what the digests of `form` stand for, as `forms_of` says it, with a NUL between key and aspect.
    """

    rows: Rows
    labels: Sequence[tuple[int, ...]]
    troubles: Sequence[tuple[Trouble, ...]]
    failures: Sequence[str]
    files: Sequence[tuple[str, ...]]
    forms: Mapping[int, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def gathered(cls, facts: Iterable[Facts]) -> Facts:
        """Those of several records, one after another."""
        known = list(facts)
        return cls(
            np.concatenate([one.rows for one in known]) if known else np.zeros(0, ROW),
            [item for one in known for item in one.labels],
            [item for one in known for item in one.troubles],
            [item for one in known for item in one.failures],
            [item for one in known for item in one.files],
            {key: form for one in known for key, form in one.forms.items()},
        )


def _keep(known: dict[int, T], index: int, value: T) -> None:
    """What is empty is not worth an entry."""
    if value:
        known[index] = value


class Table:
    """The facts of all records of a dataset, as far as they are known.

    Attributes:
        rows: of dtype `ROW`, (n,), in the order of the dataset.
        labels: class numbers of objects, by index, of records that have any.
        troubles: by index, of records that have any.
        failures: by index, of records that could not be read.
        files: by index.
        forms: what the digests of `form` stand for.
    """

    def __init__(self, records: int) -> None:
        self.rows: Rows = np.zeros(records, ROW)
        self.labels: dict[int, tuple[int, ...]] = {}
        self.troubles: dict[int, tuple[Trouble, ...]] = {}
        self.failures: dict[int, str] = {}
        self.files: dict[int, tuple[str, ...]] = {}
        self.forms: dict[int, Mapping[str, str]] = {}

    def put(self, indices: npt.NDArray[np.int64], facts: Facts) -> None:
        """Remember the facts of the records at `indices`."""
        self.rows[indices] = facts.rows
        self.forms.update(facts.forms)
        for place, index in enumerate(indices.tolist()):
            _keep(self.labels, index, facts.labels[place])
            _keep(self.troubles, index, facts.troubles[place])
            _keep(self.failures, index, facts.failures[place])
            _keep(self.files, index, facts.files[place])

    @property
    def read(self) -> npt.NDArray[np.int64]:
        """Indices of the records that could be read."""
        return np.flatnonzero(self.rows["state"] == READ)

    @property
    def known(self) -> int:
        """How many records were tried."""
        return int((self.rows["state"] != UNREAD).sum())
