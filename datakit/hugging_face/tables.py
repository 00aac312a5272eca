"""Datasets over tables of Arrow: what is common to those of Hugging Face and to Parquet files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from datakit import collate
from datakit.audio import io as sound
from datakit.chain import Transform
from datakit.dataset import digest
from datakit.derived import Derived
from datakit.errors import DatakitError, SampleError
from datakit.hugging_face.plan import Choice, Plan
from datakit.sample import SEQUENCES


class Rows(Derived):
    """Samples that are rows of a table: a subclass says where a row is.

    Attributes:
        class_names: names of the labels by the key of the sample, for a sample with several.
    """

    def __init__(self, features: Mapping[str, Any], columns: Choice, transform: Transform | None) -> None:
        super().__init__(transform)
        self.plan = Plan(features, columns)
        self.classes, self.class_names = self.plan.classes, self.plan.class_names
        self.collate_fn = collate_of(self.plan)

    def row(self, index: int, columns: Sequence[str]) -> tuple[Mapping[str, Any], int]:
        """Arrow arrays by column, and the place of a record in them."""
        raise NotImplementedError

    def read(self, index: int, rng: np.random.Generator | None) -> Any:
        """The sample of a row."""
        return self.plan.sample(*self.row(index, self.plan.columns))

    def path_of(self, index: int) -> str | None:
        """The path that the row names, its image or sound left alone; None where it cannot be told."""
        if not self.plan.has_path:
            return None
        try:
            return self.plan.path(*self.row(index, self.plan.columns))
        except Exception:  # it is asked for to describe an error, and must not put another in its place
            return None

    def record(self, index: int) -> dict[str, Any]:
        """The numbers, texts and labels of a row, nothing decoded."""
        return self.plan.record(*self.row(index, self.plan.columns))

    def lengths(self) -> npt.NDArray[np.int64]:
        """How many steps each record has, (n,): frames of the waveform by its header, else of `features` or
        `tokens`, else the characters of `text`.

        Raises:
            DatakitError: the samples have none of these.
            SampleError: with the index, for the first sound that is broken.
        """
        return np.array([frames for frames, _ in self._measured()], np.int64)

    def durations(self) -> npt.NDArray[np.float64]:
        """How many seconds each sound lasts, (n,), by its header.

        Raises:
            DatakitError: the samples have no waveform.
            SampleError: with the index, for the first sound that is broken.
        """
        if "waveform" not in self.plan.keys:
            raise DatakitError(f"{self!r} has no waveform: nothing says how long its records last")
        return np.array([frames / rate for frames, rate in self._measured()], np.float64)

    def _measured(self) -> Iterator[tuple[int, int]]:
        """Steps, and steps a second where they are of sound, of each record."""
        field = next((f for key in (*SEQUENCES, "text") for f in self.plan.fields if f.key == key), None)
        if field is None or (field.kind != "Audio" and field.key not in ("features", "tokens", "text")):
            raise DatakitError(
                f"{self!r} has no waveform, features, tokens or text: only its samples say how long they are"
            )
        for index in range(len(self)):
            columns, row = self.row(index, [field.column])
            array = field.find(columns[field.column])
            try:
                yield _header(array, row) if field.kind == "Audio" else (_steps(array[row]), 1)
            except Exception as error:
                raise SampleError.of(error, dataset=type(self).__name__, index=index, stage="its length") from error

    def __repr__(self) -> str:
        shown = ", ".join(self.classes[:5]) + (", …" if len(self.classes) > 5 else "")
        classes = f", {len(self.classes)} classes: {shown}" if len(self.classes) else ""
        return (
            f"{type(self).__name__}({', '.join(self.plan.keys)}): {len(self)} record{'s' * (len(self) != 1)}{classes}"
        )


def _steps(value: Any) -> int:
    return len(value.as_py() if hasattr(value, "as_buffer") else value)  # a text, or a list


def _header(array: Any, row: int) -> tuple[int, int]:
    data = array.field("bytes")[row].as_py()
    about = sound.info(array.field("path")[row].as_py() if data is None else data)
    return about.frames, about.sample_rate


def one_array(column: Any) -> Any:
    """A column of a table as one array; a row is one chunk already, but for rows that were put together."""
    if column.num_chunks == 1:
        return column.chunk(0)
    import pyarrow as pa

    array = column.combine_chunks()
    return pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array


def collate_of(plan: Plan) -> Callable[[Sequence[Any]], Any] | None:
    """By what a `Loader` makes batches: as the datasets of sounds and of objects do."""
    if {"waveform", "tokens", "text"} & set(plan.keys):
        return collate.pad
    return collate.detection if {"image", "boxes"} <= set(plan.keys) else None


class HuggingFace(Rows):
    """A map-style dataset of Hugging Face as one of datakit; made by `datakit.from_hf`."""

    def __init__(self, dataset: Any, columns: Choice = None, transform: Transform | None = None) -> None:
        shown = dataset.format["columns"]
        features = {name: feature for name, feature in dataset.features.items() if name in shown}
        super().__init__(features, columns, transform)
        self.foreign = dataset
        self._table = dataset.with_format("arrow", columns=self.plan.columns)

    def __len__(self) -> int:
        return len(self.foreign)

    def row(self, index: int, columns: Sequence[str]) -> tuple[Mapping[str, Any], int]:
        """The row as Arrow arrays of one value each: a view into the table."""
        table = self._table[index]
        return {name: one_array(table.column(name)) for name in columns}, 0

    def fingerprint(self) -> str:
        """Hugging Face's own, with the columns that are taken."""
        taken = [f"{field.key}={field.name}" for field in self.plan.fields]
        return digest("HuggingFace", str(self.foreign._fingerprint), *taken)
