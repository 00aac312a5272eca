"""Streams of Hugging Face."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from datakit.border import as_image
from datakit.chain import Transform
from datakit.dataset import digest
from datakit.errors import DatakitError, UnknownNameError
from datakit.hugging_face.plan import Choice, Plan
from datakit.hugging_face.tables import collate_of, one_array
from datakit.streams import Stream


class HuggingFaceStream(Stream):
    """An iterable dataset of Hugging Face as a `Stream`; made by `datakit.from_hf`."""

    def __init__(self, dataset: Any, columns: Choice = None, transform: Transform | None = None) -> None:
        if getattr(dataset, "_distributed", None) is not None:
            raise DatakitError(
                "the stream is one node's part already (split_dataset_by_node); give the whole one, a Loader shares "
                "each batch among the ranks"
            )
        super().__init__(dataset, transform=transform)
        self.chosen = columns
        self.plan = None if dataset.features is None else Plan(dataset.features, columns)
        if self.plan is not None:
            self.classes, self.collate_fn = self.plan.classes, collate_of(self.plan)
            self.source = undecoded(dataset).select_columns(self.plan.columns).with_format("arrow")

    def begin(self, epoch: int) -> Iterator[Any]:
        """The rows of an epoch from the first on: tables of Arrow where the features are known, else dicts."""
        source: Any = copy.copy(self.source)
        source._epoch = 0  # of its own: the copies of all processes share one number, and may be in two epochs
        source.set_epoch(epoch)
        return iter(source)

    def decode(self, raw: Any) -> Any:
        """The sample of a row."""
        if self.plan is None:
            return _plain(raw, self.chosen)
        return self.plan.sample(_arrays(raw), 0)

    def read(self, index: int, rng: np.random.Generator | None) -> Any:
        """The sample at a position; nothing in it is drawn."""
        return super().read(index, None)

    def raw_path(self, raw: Any) -> str | None:
        """The path that the row names."""
        if self.plan is None or not self.plan.has_path:
            return None
        try:
            return self.plan.path(_arrays(raw), 0)
        except Exception:  # it is asked for to describe an error, and must not put another in its place
            return None

    def fingerprint(self) -> str:
        """Of the features, the split and the columns that are taken: what is in the stream is not known."""
        about: Any = self.source
        declared = None if about.features is None else about.features.to_dict()
        return digest("HuggingFaceStream", repr(declared), str(about.split), repr(self.chosen))

    def __repr__(self) -> str:
        return f"HuggingFaceStream({', '.join(self.plan.keys if self.plan else ['columns unknown'])})"


def undecoded(dataset: Any) -> Any:
    """The stream with images and sounds as bytes and paths."""
    kinds = {type(feature).__name__ for feature in dataset.features.values()}
    return dataset.decode(False) if kinds - {"Value", "ClassLabel"} else dataset


def _arrays(table: Any) -> dict[str, Any]:
    return {name: one_array(table.column(name)) for name in table.column_names}


def _plain(row: Any, chosen: Choice) -> dict[str, Any]:
    """A row whose columns nobody declared: values as they come, images as arrays."""
    taken = chosen if isinstance(chosen, Mapping) else {name: name for name in (row if chosen is None else chosen)}
    sample = {}
    for key, name in taken.items():
        if name not in row:
            raise UnknownNameError.of("column", name, row)
        sample[key] = as_image(row[name])
    return sample
