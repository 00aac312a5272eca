"""What `inspect` looks at: samples stage by stage and a batch, with what went wrong in place of what is missing."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader

from datakit.chain import name_of, steps
from datakit.dataset import Dataset
from datakit.errors import CollateError, DatakitError
from datakit.loader import Loader
from datakit.report.picture import normalizers
from datakit.report.survey import Survey
from datakit.sampling import Key, KeySampler
from datakit.targets import Target, TargetError
from datakit.transforms import Normalize

_ONE_SIZE = 'a batch needs samples of one size; try -t "Rescale(256)" -t "CenterCrop(224)" -t ToTensor'


@dataclass(frozen=True)
class Stage:
    """A sample as loaded or after one transform: the name of that, and the sample."""

    name: str
    sample: Any


@dataclass(frozen=True)
class Inspected:
    """One record under its key.

    Attributes:
        key: what the sample is a function of.
        path: the file behind it, where there is one.
        stages: as loaded and after every transform, as far as it came.
        error: why it came no further.
    """

    key: Key
    path: str | None
    stages: tuple[Stage, ...]
    error: str | None = None


@dataclass(frozen=True)
class Finding:
    """Something that a person would want to know before training.

    Attributes:
        text: what it is, with key, stage and numbers, in one sentence.
        hint: what may be done about it; may be empty.
        indices: the first records that show it.
    """

    text: str
    hint: str = ""
    indices: tuple[int, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """Samples and a batch of one target.

    Attributes:
        target: as it was typed.
        dataset: the `repr` of the dataset, or of the loader where it has no dataset with an index.
        records: their number, where it is known.
        classes: names of the labels.
        chain: names of the transforms.
        seed: of the keys.
        samples: the records that were looked at.
        batch: what the loader gave first; None where it failed.
        batch_error: why there is no batch.
        is_raw: whether there is no batch because the samples are as they were loaded, of different sizes.
        loader: which loader that was.
        normalize: normalisations in the chain, by the name of their stage, to be undone in pictures.
        draws: one record under the keys of several epochs, where its random transforms make a difference.
        survey: figures of the dataset; None where they were not asked for.
        findings: what may be wrong.
    """

    target: str
    dataset: str
    records: int | None
    classes: Sequence[str]
    chain: tuple[str, ...]
    seed: int
    samples: tuple[Inspected, ...]
    batch: Any
    batch_error: str | None
    is_raw: bool
    loader: str
    normalize: Mapping[str, Normalize]
    draws: tuple[Inspected, ...] = ()
    survey: Survey | None = None
    findings: tuple[Finding, ...] = ()

    def normalized_by(self, stages: Sequence[str]) -> Normalize | None:
        """What was applied to the image last in these stages."""
        return next((self.normalize[name] for name in reversed(stages) if name in self.normalize), None)

    @property
    def errors(self) -> list[str]:
        """Everything that went wrong, each once."""
        found = [sample.error for sample in self.samples] + [None if self.is_raw else self.batch_error]
        return list(dict.fromkeys(error for error in found if error is not None))

    @property
    def notes(self) -> list[str]:
        """What is worth saying, but is no error."""
        return [self.batch_error] if self.is_raw and self.batch_error else []


def look(
    target: Target,
    *,
    indices: Sequence[int] | None = None,
    samples: int = 8,
    batch_size: int = 16,
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Inspection:
    """Look at samples of a target and at a batch.

    Without `indices` the samples are the first ones of epoch 0 in the shuffled order of `seed`, as a `Loader` delivers
    them; the batch of a dataset is the first one of that loader. A target that is a loader gives its own first batch.

    Args:
        target: what to look at.
        indices: records to look at; negative ones count from the end.
        samples: how many records to look at, without `indices`.
        batch_size: samples of the batch, for a dataset.
        seed: of order and transforms.
        progress: called with what is done next, how many such steps are done, and how many there are.

    Raises:
        TargetError: for an index outside the dataset.
    """
    dataset, loader = target.dataset, target.loader
    if isinstance(loader, Loader):
        seed = loader.seed
    chosen, seen = _chosen(dataset, indices, samples, seed), []
    for done, index in enumerate(chosen):
        progress(f"sample {index}", done, len(chosen) + 1)
        seen.append(_inspected(dataset, Key(seed, 0, index)))
    progress("batch", len(chosen), len(chosen) + 1)
    if dataset is not None and loader is None:
        loader = Loader(dataset, batch_size, seed=seed, shuffle=True, rank=0, world_size=1)
    batch, error, is_raw = _first_batch(loader)
    return Inspection(
        target=target.name,
        dataset=repr(getattr(loader, "dataset", None) if dataset is None else dataset),
        records=None if dataset is None else len(dataset),
        classes=() if dataset is None else dataset.classes,
        chain=_chain(dataset, seen),
        seed=seed,
        samples=tuple(seen),
        batch=batch,
        batch_error=error,
        is_raw=is_raw and target.loader is None,
        loader=_described(loader, own=target.loader is not None),
        normalize=normalizers(dataset),
    )


def _chosen(dataset: Dataset | None, indices: Sequence[int] | None, samples: int, seed: int) -> list[int]:
    if dataset is None:
        return []
    if indices is None:
        order = KeySampler(len(dataset), seed=seed, shuffle=True, rank=0, world_size=1).order(0)
        return [int(index) for index in order[:samples]]
    count = len(dataset)
    if outside := [index for index in indices if not -count <= index < count]:
        raise TargetError(f"index {outside[0]} is outside {dataset!r}; they go from 0 to {count - 1}")
    return [index % count for index in indices]


def _inspected(dataset: Any, key: Key) -> Inspected:
    stages: list[Stage] = []
    try:
        for name, sample in dataset.trace(key):
            stages.append(Stage(name, sample))
    except Exception as error:
        return Inspected(key, dataset.path_of(key.index), tuple(stages), describe(error))
    sample = stages[-1].sample
    path = sample.get("path") if isinstance(sample, dict) else dataset.path_of(key.index)
    return Inspected(key, path, tuple(stages))


def _first_batch(loader: DataLoader[Any] | None) -> tuple[Any, str | None, bool]:
    """The batch, or why there is none, and whether that is because samples are as they were loaded."""
    if loader is None:
        return None, "there is neither a dataset nor a loader", False
    try:
        return next(iter(loader)), None, False
    except StopIteration:
        return None, "the loader is empty: it gave no batch at all", False
    except CollateError as error:
        is_raw = getattr(loader.dataset, "transform", None) is None
        return None, describe(error) + (f"\n{_ONE_SIZE}" if is_raw else ""), is_raw
    except Exception as error:
        traceback.clear_frames(error.__traceback__)  # they hold the loader's workers, which would linger
        return None, describe(error), False


def chain_names(dataset: Dataset | None) -> list[str]:
    """The names of the transforms of a dataset, without those of datasets inside."""
    return [] if dataset is None else list(map(name_of, steps(dataset.transform)))


def _chain(dataset: Dataset | None, seen: Sequence[Inspected]) -> tuple[str, ...]:
    """The names of the stages, of datasets inside too; where no record was read, of the dataset's own transform."""
    whole = [sample.stages[1:] for sample in seen if sample.error is None]
    return tuple(stage.name for stage in whole[0]) if whole else tuple(chain_names(dataset))


def _described(loader: DataLoader[Any] | None, own: bool) -> str:
    parts = [f"batch_size={getattr(loader, 'batch_size', None)}", f"num_workers={getattr(loader, 'num_workers', 0)}"]
    if isinstance(loader, Loader):
        parts[1:1] = [f"seed={loader.seed}", f"shuffle={loader.keys.shuffle}"]
    return f"{'your ' if own else ''}{type(loader).__name__}({', '.join(parts)})"


def describe(error: BaseException) -> str:
    """An error as a person should read it: one of datakit's by its message, any other with its type."""
    text = str(error).strip() or "no message"
    if "\nOriginal Traceback" in text:  # torch puts the traceback of a worker into the message
        return f"{text.splitlines()[-1]} (in a worker of the loader)"
    return text if isinstance(error, DatakitError) else f"{type(error).__name__}: {text}"
