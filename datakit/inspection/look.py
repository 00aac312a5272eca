"""What `inspect` looks at: samples stage by stage and a batch, with what went wrong in place of what is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch.utils.data import DataLoader

from datakit.chain import name_of, steps
from datakit.dataset import Dataset
from datakit.errors import DatakitError, TargetError
from datakit.inspection.findings import find
from datakit.inspection.first_batch import blame, first_batch
from datakit.inspection.picture import normalizers
from datakit.inspection.records import drawn, inspected, unrepeatable
from datakit.inspection.seen import Finding, Inspected, Stage
from datakit.inspection.spectrum import Spectrum, spectrum_after, steps_by_name
from datakit.inspection.survey import Survey
from datakit.inspection.surveying import survey
from datakit.inspection.text import Coders, coders_after
from datakit.loader import Loader
from datakit.phrasing import describe
from datakit.sampling import Key, KeySampler
from datakit.targets import Target
from datakit.transforms import Normalize

__all__ = ["Finding", "Inspected", "Inspection", "Stage", "chain_names", "look"]


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
        steps: the transforms, by the name of their stage.
        left_out: what was left out of the target, and why; may be empty.
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
    steps: Mapping[str, Any] = field(default_factory=dict)
    left_out: str = ""

    def spectrum_after(self, stages: Sequence[str]) -> Spectrum:
        """What a spectrogram means after these stages."""
        return spectrum_after(stages, self.steps)

    def coders_after(self, stages: Sequence[str]) -> Coders:
        """What tokens stand for after these stages."""
        return coders_after(stages, self.steps)

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
        return [note for note in (self.left_out, self.batch_error if self.is_raw else None) if note]


def look(
    target: Target,
    *,
    indices: Sequence[int] | None = None,
    samples: int = 8,
    batch_size: int = 16,
    seed: int = 0,
    draws: int = 8,
    survey_records: int | None = 256,
    survey_workers: int = 0,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Inspection:
    """Look at samples of a target, at one of them in several epochs, at a batch, and at the figures of the dataset.

    Without `indices` the samples are the first ones of epoch 0 in the shuffled order of `seed`, as a `Loader` delivers
    them; the batch of a dataset is the first one of that loader. A target that is a loader gives its own first batch.

    Args:
        target: what to look at.
        indices: records to look at; negative ones count from the end.
        samples: how many records to look at, without `indices`.
        batch_size: samples of the batch, for a dataset.
        seed: of order and transforms.
        draws: epochs in which to look at the first sample that comes through the chain.
        survey_records: how many records to read for the figures; 0 for no figures, None for all.
        survey_workers: processes that read them.
        progress: called with what is done next, how many such steps are done, and how many there are.

    Raises:
        TargetError: for an index outside the dataset.
    """
    dataset, loader = target.dataset, target.loader
    if isinstance(loader, Loader):
        seed = loader.seed
    chosen, surveyed = _chosen(dataset, indices, samples, seed), _surveyed(dataset, survey_records)
    before = len(chosen) + (max(draws - 1, 0) if chosen else 0)
    bar = _Steps(progress, before + 1 + surveyed)
    seen, differing = _seen(dataset, chosen, seed, bar)
    epochs = _epochs(dataset, seen, draws, bar)
    bar.begin("batch", before)
    if dataset is not None and loader is None:
        loader = Loader(dataset, batch_size, seed=seed, shuffle=True, rank=0, world_size=1)
    batch = first_batch(loader)
    is_raw = batch.is_raw and target.loader is None
    figures, trouble = _figures(dataset, surveyed, seed, survey_workers, bar)
    normalize, classes = normalizers(dataset), () if dataset is None else dataset.classes
    known = steps_by_name(dataset)
    seen_whole = {"unrepeatable": differing, "draws": epochs, "survey": figures, "batch": batch.value}
    found = find(seen, classes=classes, normalize=normalize, steps=known, **seen_whole)
    blamed = () if is_raw else blame(batch, loader, dataset, seen, seed)
    return Inspection(
        target=target.name,
        dataset=repr(getattr(loader, "dataset", None) if dataset is None else dataset),
        records=None if dataset is None else len(dataset),
        classes=classes,
        chain=_chain(dataset, seen),
        seed=seed,
        samples=seen,
        batch=batch.value,
        batch_error=batch.error,
        is_raw=is_raw,
        loader=_described(loader, own=target.loader is not None),
        normalize=normalize,
        draws=epochs,
        survey=figures,
        findings=(*blamed, *trouble, *found),
        steps=known,
        left_out=target.note,
    )


class _Steps:
    """Counts what is done, for `progress`."""

    def __init__(self, progress: Callable[[str, int, int], None], total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def begin(self, what: str, done: int | None = None) -> None:
        """Say what is done next; it counts as one step. `done`: where steps were left out."""
        self.done = self.done if done is None else done
        self.progress(what, self.done, self.total)
        self.done += 1


def _seen(
    dataset: Dataset | None, chosen: Sequence[int], seed: int, bar: _Steps
) -> tuple[tuple[Inspected, ...], dict[int, str]]:
    """The samples, and by index the stages at which a second run differs from the first."""
    seen: list[Inspected] = []
    differing: dict[int, str] = {}
    if dataset is None:
        return (), differing
    for index in chosen:
        bar.begin(f"sample {index}")
        seen.append(inspected(dataset, Key(seed, 0, index)))
        if (stage := unrepeatable(dataset, seen[-1])) is not None:
            differing[index] = stage
    return tuple(seen), differing


def _epochs(dataset: Dataset | None, seen: Sequence[Inspected], count: int, bar: _Steps) -> tuple[Inspected, ...]:
    first = next((sample for sample in seen if sample.error is None), None)
    return () if dataset is None or first is None else drawn(dataset, first, count, bar.begin)


def _surveyed(dataset: Dataset | None, records: int | None) -> int:
    """How many records the survey reads."""
    total = 0 if dataset is None else len(dataset)
    return total if records is None else min(records, total)


def _figures(
    dataset: Dataset | None, records: int, seed: int, workers: int, bar: _Steps
) -> tuple[Survey | None, tuple[Finding, ...]]:
    """The survey, or a finding that says why there is none."""
    if dataset is None or not records:
        return None, ()
    done = bar.done
    try:
        return survey(
            dataset,
            records=records,
            seed=seed,
            workers=workers,
            progress=lambda what, read, total: bar.progress(what, done + read, bar.total),
        ), ()
    except DatakitError as error:
        return None, (Finding(f"the figures of the dataset could not be made: {describe(error)}"),)


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
