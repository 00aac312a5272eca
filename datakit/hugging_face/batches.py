"""From the samples of a dataset to batches of Arrow, a few megabytes at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import numpy as np

from datakit.dataset import Dataset
from datakit.derived import Concat, Mapped, Subset
from datakit.errors import DatakitError, SampleError
from datakit.hugging_face.kinds import Kind, Sound, check_names, kind_of
from datakit.hugging_face.media import is_picture, is_sound
from datakit.hugging_face.plan import size_of
from datakit.hugging_face.tables import Rows
from datakit.sample import Sample
from datakit.sampling import Key
from datakit.streams import Stream

_FIRST, _FIRST_BYTES = 16, 2**26
"""Samples that say what the columns are, and the memory that they may take."""

AUDIO = "audio"
"""The column of a waveform and its rate."""


class Columns:
    """What the columns of a dataset are, found from its first samples.

    Args:
        dataset: whose samples are written.
        first: the first of them.

    Attributes:
        kinds: of each column.
        features: of `datasets`.
    """

    def __init__(self, dataset: Dataset, first: list[Sample]) -> None:
        check_names(dataset.classes)
        self.dataset, self.first_keys = dataset, set(first[0])
        self.numbered = _counts(dataset) and all(sample.get("index") == place for place, sample in enumerate(first))
        media = _media(first[0])
        self.sound, self.medium = "waveform" in media, media[0] if len(media) == 1 else None
        labelled = next((key for key in ("label", "labels") if key in first[0]), None)
        self.kinds: dict[str, Kind] = {}
        for key in self._keys(first[0]):
            names = dataset.classes if key == labelled else ()
            values = [sample[key] for sample in first if key in sample]
            try:
                self.kinds[key] = kind_of(values, key, names, with_path=key == self.medium)
            except ValueError as error:
                raise self._error(error, key, 0, first[0]) from error
        if self.sound:
            self.kinds[AUDIO] = Sound(self.medium is not None)

    def _keys(self, sample: Sample) -> list[str]:
        """Those with a column of their own: the path goes with an image or sound, an index that counts goes without."""
        left = {"index"} if self.numbered else set()
        left |= {"path"} if self.medium else set()
        left |= {"waveform", "sample_rate"} if self.sound else set()
        if self.sound and AUDIO in sample:
            raise DatakitError(
                f"the sample has a waveform, which becomes the column {AUDIO!r}, and a key {AUDIO!r} too"
            )
        return [key for key in sample if key not in left]

    @property
    def features(self) -> Any:
        """Of `datasets`."""
        import datasets

        return datasets.Features({key: kind.feature for key, kind in self.kinds.items()})

    def pieces(self, sample: Any, index: int) -> dict[str, Any]:
        """What is kept of a sample until it is written.

        Raises:
            SampleError: with index and key, where it is not as the first samples were.
        """
        if not isinstance(sample, dict) or set(sample) != self.first_keys:
            shown = ", ".join(map(str, sample)) if isinstance(sample, dict) else type(sample).__name__
            raise self._error(
                f"has {shown}, the first sample had {', '.join(map(str, self.first_keys))}", None, index, sample
            )
        if self.numbered and sample["index"] != index:
            raise self._error(f"is {sample['index']} in a dataset that counts its records", "index", index, sample)
        _check_masks(self, sample, index)
        found, path = {}, sample.get("path")
        for key, kind in self.kinds.items():
            value = (sample["waveform"], sample["sample_rate"]) if key == AUDIO and self.sound else sample[key]
            try:
                found[key] = kind.piece(value, path)
            except ValueError as error:
                raise self._error(error, key, index, sample) from error
        return found

    def batch(self, rows: list[dict[str, Any]]) -> Any:
        """These rows as a table of Arrow."""
        import pyarrow as pa

        arrays = [kind.array([row[key] for row in rows]) for key, kind in self.kinds.items()]
        schema = self.features.arrow_schema
        return pa.Table.from_arrays(arrays, schema=schema)

    def _error(self, error: Any, key: str | None, index: int, sample: Any) -> SampleError:
        path = sample.get("path") if isinstance(sample, dict) else None
        text = f"{key!r} {error}" if key else str(error)
        return SampleError(
            text,
            stage="writing a column",
            dataset=type(self.dataset).__name__,
            index=index,
            path=path if isinstance(path, str) else None,
        )


def _counts(dataset: Dataset) -> bool:
    """Whether the index of a sample is its place in the dataset, and not in one inside, or what a column says."""
    if isinstance(dataset, Mapped):
        return not isinstance(dataset.foreign, Dataset)
    is_over_others = isinstance(dataset, Subset | Concat)
    return not (is_over_others or (isinstance(dataset, Rows) and "index" in dataset.plan.keys))


def _check_masks(columns: Columns, sample: Sample, index: int) -> None:
    """Masks of no object are read back as large as the image."""
    masks, image = sample.get("masks"), sample.get("image")
    if getattr(masks, "ndim", 0) != 3 or masks is None or len(masks):
        return
    if getattr(image, "ndim", 0) != 3 or tuple(masks.shape[1:]) != size_of(image):
        raise columns._error("is empty, and not as large as an image of the sample", "masks", index, sample)


def _media(sample: Sample) -> list[str]:
    """The keys that become files, of an image and of a sound."""
    found = ["image"] if is_picture(sample.get("image")) else []
    is_whole = is_sound(sample.get("waveform")) and type(sample.get("sample_rate")) is int
    return found + (["waveform"] if is_whole else [])


def tables(dataset: Dataset, *, seed: int, most_bytes: int, most_rows: int) -> tuple[Any, Iterator[Any]]:
    """The features of a dataset, and its samples as tables of Arrow of up to so many bytes and rows.

    Raises:
        DatakitError: for a dataset without records, a stream, and samples that are no dicts.
        SampleError: for a sample that cannot be read or is not as the first ones, also while the tables are taken.
    """
    if isinstance(dataset, Stream) or not isinstance(dataset, Dataset):
        hint = (
            "; .take(n) makes one of its first records" if isinstance(dataset, Stream) else "; put others into Mapped"
        )
        raise DatakitError(f"a dataset of datakit with an index is needed, got {type(dataset).__name__}{hint}")
    samples = (dataset[Key(seed, 0, index)] for index in range(len(dataset)))
    first: list[Sample] = []
    for sample in islice(samples, _FIRST):
        if not isinstance(sample, dict):
            raise DatakitError(
                f"samples are dicts whose keys name the columns, {dataset!r} gives {type(sample).__name__}"
            )
        first.append(sample)
        if _weight(list(sample.values())) * len(first) > _FIRST_BYTES:
            break
    if not first:
        raise DatakitError(f"{dataset!r} has no records, and so nothing that says what its columns are")
    columns = Columns(dataset, first)
    return columns.features, _tables(columns, chain(_emptied(first), samples), most_bytes, most_rows)


def _emptied(samples: list[Sample]) -> Iterator[Sample]:
    """The samples, let go of one by one."""
    samples.reverse()
    while samples:
        yield samples.pop()


def _tables(columns: Columns, samples: Iterator[Sample], most_bytes: int, most_rows: int) -> Iterator[Any]:
    rows: list[dict[str, Any]] = []
    weight = 0
    for index, sample in enumerate(samples):
        row = columns.pieces(sample, index)
        rows.append(row)
        weight += _weight(list(row.values()))
        if weight >= most_bytes or len(rows) >= most_rows:
            yield columns.batch(rows)
            rows, weight = [], 0
    if rows:
        yield columns.batch(rows)


def _weight(value: Any) -> int:
    """About how many bytes a value takes."""
    if isinstance(value, dict):
        return _weight(list(value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_weight, value))
    if isinstance(value, bytes | str):
        return len(value)
    return int(value.nbytes) if isinstance(value, np.ndarray) or hasattr(value, "nbytes") else 8
