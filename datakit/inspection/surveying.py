"""Making a survey: a loader over the records, each turned into a few numbers in the worker that read it."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from datakit.dataset import Dataset
from datakit.derived import Derived, Mapped
from datakit.inspection.labels import all_labels, class_counts, labels_of
from datakit.inspection.mean_shape import mean_shape
from datakit.inspection.moments import Moments, moments_of, planes_of
from datakit.inspection.picture import image_in, normalizers
from datakit.inspection.sound import sounds_in
from datakit.inspection.spectrum import steps_by_name
from datakit.inspection.survey import Channels, ClassCounts, MeanShape, Sounds, Survey
from datakit.inspection.text_survey import Reader, TextNumbers, TextTally
from datakit.loader import Loader
from datakit.sampling import Key, KeySampler
from datakit.transforms import Normalize

_AT_ONCE = 16  # records of a batch; the same for every number of workers, and so is the order of the sums
_MESSAGES, _SHAPES = 20, 10_000  # kept at most


def survey(
    dataset: Any,
    *,
    records: int | None = 256,
    seed: int = 0,
    workers: int = 0,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Survey:
    """Figures of a dataset from reading some of its records, or all, through its chain of transforms.

    The records are the first ones of epoch 0 in the shuffled order of `seed`; random transforms draw under their keys.
    Memory does not grow with the images. The result is the same, to the last bit, for every number of workers.

    Args:
        dataset: any map-style dataset.
        records: how many to read; None for all.
        seed: of the order and of random transforms.
        workers: processes that read; 0 reads in this one.
        progress: called with what is done next, how many records are done, and how many there are.

    Raises:
        WorkerError: when a worker dies or cannot be started. A record that cannot be read is counted and named.
    """
    dataset = dataset if isinstance(dataset, Dataset) else Mapped(dataset)
    order = KeySampler(len(dataset), seed=seed, shuffle=True, rank=0, world_size=1).order(0)[:records]
    reading = _Reading(dataset, order, seed, normalizers(dataset), steps_by_name(dataset))
    loader = Loader(
        reading, _AT_ONCE, num_workers=workers, collate_fn=list, on_error="skip", max_bad=1.0, verify=False,
        rank=0, world_size=1,
    )  # fmt: skip
    tally, what = _Tally(all_labels(dataset)), f"figures of {len(order):,} records"
    progress(what, 0, len(order))
    for batch in loader if len(order) else ():
        tally.add(batch, loader)
        progress(what, tally.read + tally.failed, len(order))
    tally.add((), loader)
    return tally.result(dataset)


@dataclass(frozen=True)
class _Numbers:
    """What the survey needs of one record; `size` is (height, width), `sound` is (seconds, Hz, channels)."""

    index: int
    size: tuple[int, int] | None
    stage: str
    moments: Moments | None
    labels: tuple[str, np.ndarray] | None
    landmarks: np.ndarray | None
    sound: tuple[float, int, int] | None
    text: TextNumbers


class _Reading(Derived):
    """The records of `order`, each as its numbers."""

    def __init__(
        self,
        dataset: Dataset,
        order: np.ndarray,
        seed: int,
        normalize: Mapping[str, Normalize],
        steps: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.dataset, self.order, self.seed, self.normalize = dataset, order, seed, dict(normalize)
        self.steps = dict(steps)

    def __len__(self) -> int:
        return len(self.order)

    def read(self, index: int, rng: np.random.Generator | None) -> _Numbers:
        """The numbers of one record, under its key of epoch 0."""
        record = int(self.order[index])
        stages = self.dataset.trace(Key(self.seed, 0, record))
        stage, loaded = next(stages)
        text, sample = Reader(self.steps), loaded
        text.see(stage, loaded)
        image, before = image_in(loaded), image_in(loaded)
        is_before = stage not in self.normalize
        if not is_before:  # a foreign dataset normalised it while it was loaded
            before = _undone(before, self.normalize[stage])
        for name, sample in stages:
            text.see(name, sample)
            is_before = is_before and name not in self.normalize
            if is_before and (found := image_in(sample)) is not None:
                stage, before = name, found
        size = None if image is None else planes_of(image).shape[1:]
        moments = None if before is None else moments_of(before)
        found = (labels_of(loaded), _landmarks(loaded), _sound(loaded), text.last(sample))
        return _Numbers(record, size, stage, moments, *found)


def _undone(image: Any, normalize: Normalize) -> Any:
    is_planes = isinstance(image, torch.Tensor) and image.is_floating_point()
    return normalize.undo(image.double()) if is_planes and len(normalize.mean) in (1, len(image)) else image


def _sound(sample: Any) -> tuple[float, int, int] | None:
    for sound in sounds_in(sample):
        if sound.key == "waveform" and sound.rate and sound.seconds is not None:
            return sound.seconds, sound.rate, len(sound.values)
    return None


def _landmarks(sample: Any) -> np.ndarray | None:
    value = sample.get("landmarks") if isinstance(sample, dict) else None
    points = None if value is None else np.asarray(value)
    is_shape = points is not None and points.ndim == 2 and points.shape[1] == 2 and points.dtype.kind in "iuf"
    return points if is_shape else None


class _Tally:
    """What is known after the records so far: sums and small things, in the order of the records."""

    def __init__(self, index_labels: np.ndarray | None) -> None:
        self.index_labels = index_labels
        self.read = self.failed = 0
        self.failures: list[str] = []
        self.sizes = array("q")
        self.moments: dict[int, Moments] = {}  # by the number of channels
        self.stage = ""
        self.counts: dict[str, Counter[int]] = {}  # by key
        self.shapes: list[np.ndarray] = []
        self.durations = array("d")
        self.rates: Counter[int] = Counter()
        self.sound_channels: Counter[int] = Counter()
        self.texts = TextTally()

    def add(self, batch: Iterable[_Numbers], loader: Loader) -> None:
        """Count a batch, and the records that the loader skipped since the last one."""
        self.failed += len(loader.failures)
        self.failures.extend(map(str, loader.failures[: _MESSAGES - len(self.failures)]))
        loader.failures.clear()
        for numbers in batch:
            self.read += 1
            if numbers.size is not None:
                self.sizes.extend(numbers.size)
            if numbers.moments is not None:
                self._add_moments(numbers.stage, numbers.moments)
            if numbers.labels is not None:
                self._count(numbers.index, *numbers.labels)
            if numbers.landmarks is not None and len(self.shapes) < _SHAPES:
                self.shapes.append(numbers.landmarks)
            if numbers.sound is not None:
                seconds, rate, channels = numbers.sound
                self.durations.append(seconds)
                self.rates[rate] += 1
                self.sound_channels[channels] += 1
            self.texts.add(numbers.text)

    def _add_moments(self, stage: str, moments: Moments) -> None:
        channels = len(moments.mean)
        self.stage = self.stage or stage
        self.moments[channels] = self.moments[channels] + moments if channels in self.moments else moments

    def _count(self, index: int, key: str, labels: np.ndarray) -> None:
        self.counts.setdefault(key, Counter()).update(labels.tolist())
        if key == "label" and self.index_labels is not None and self.index_labels[index] != labels[0]:
            self.index_labels = None  # the dataset makes something else of the column

    def result(self, dataset: Dataset) -> Survey:
        """The figures."""
        return Survey(
            read=self.read,
            total=len(dataset),
            failures=tuple(self.failures),
            sizes=np.array(self.sizes, np.int64).reshape(-1, 2),
            channels=self._channels(),
            classes=self._classes(dataset),
            shape=self._shape(),
            failed=self.failed,
            sounds=self._sounds(),
            texts=self.texts.result(),
        )

    def _sounds(self) -> Sounds | None:
        if not self.durations:
            return None
        rates, channels = self.rates.most_common(), self.sound_channels.most_common()
        return Sounds(np.array(self.durations, np.float64), tuple(rates), tuple(channels))

    def _channels(self) -> Channels | None:
        if len(self.moments) != 1:
            return None
        moments = next(iter(self.moments.values()))
        return Channels(tuple(moments.mean.tolist()), tuple(moments.std.tolist()), self.stage)

    def _classes(self, dataset: Dataset) -> ClassCounts | None:
        if self.index_labels is not None and (self.counts.keys() == {"label"} or not self.read):
            numbers, counts = np.unique(self.index_labels, return_counts=True)
            all_counts = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
            return class_counts("label", all_counts, dataset.classes, of_all=True)
        key = next((key for key in ("label", "labels") if key in self.counts), None)
        if key is None:
            return None
        return class_counts(key, self.counts[key], dataset.classes, of_all=self.read == len(dataset))

    def _shape(self) -> MeanShape | None:
        if len({shape.shape for shape in self.shapes}) != 1:
            return None
        return mean_shape(np.stack(self.shapes))
