"""The base of datasets of text: what all of them read, and how long their texts are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from datakit import collate
from datakit.columns import Record
from datakit.dataset import Dataset
from datakit.sample import Sample


class TextDataset(Dataset):
    """A dataset whose texts lie in its index: a subclass writes `index` alone.

    The index has the columns `text` and `file`, a path relative to `root`. A sample is the values of the columns, and
    the path. A `Loader` makes batches of it by `collate.pad`.

    Examples:
        >>> from datakit.text import Names
        >>> names = Names.synthetic(n=60)
        >>> next(names.texts()), names.lengths()[:4]
        ('Dang', array([4, 3, 3, 4]))
    """

    collate_fn = staticmethod(collate.pad)

    def load(self, record: Record) -> Sample:
        """What the index says, and the path."""
        sample = dict(vars(record))
        sample["path"] = f"{self.root}/{sample.pop('file')}"
        return sample

    def texts(self, key: str = "text") -> Iterator[str]:
        """The texts of all records, one after another, of this key."""
        column: Any = self.columns.column(key)
        return (column[index] for index in range(len(self)))

    def lengths(self) -> npt.NDArray[np.int64]:
        """How many characters each text has, (n,)."""
        lengths: npt.NDArray[np.int64] = self.columns.column("text").lengths()
        return lengths
