"""Whole passes of a loader in many configurations, with nothing put into it.

A pass is a plain loop over the loader: the clock runs from `iter(loader)` to the end of the loop, so that the start of
the workers counts, as it does in training. Configurations take turns, each round in the opposite order of the last, so
that a machine that slows down slows all of them; a first round is not counted. Round *r* reads epoch *r* in every
configuration: the same samples, whatever the transforms draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median, quantiles
from typing import Any, TypeAlias

from torch.utils.data import DataLoader

from datakit.bench.loaders import Features, Make, at_epoch, configurations, maker, work_of
from datakit.bench.results import Configuration, Fed, Measurement
from datakit.bench.timing import TimedPass, timed
from datakit.bench.usage import MemoryWatch
from datakit.dataset import Dataset

Progress: TypeAlias = Callable[[str, int, int], None]


def measure(
    source: Dataset | DataLoader[Any] | Make,
    *,
    workers: Sequence[int] | None = None,
    batch_sizes: Sequence[int] | None = None,
    start_methods: Sequence[str] | None = None,
    repeats: int = 3,
    batches: int | None = None,
    seed: int = 0,
    step: float | None = None,
    features: Features | None = None,
    progress: Progress = lambda what, done, total: None,
) -> list[Measurement]:
    """Samples per second and what goes with them, of every combination.

    Args:
        source: a dataset, read by a shuffled `Loader`; a loader of your own, made anew with other numbers of workers;
            or a function from a `Configuration` to a loader.
        workers: numbers of worker processes; by default up to the cores that this process may use.
        batch_sizes: for a dataset; 32 by default.
        start_methods: of the worker processes, `fork`, `spawn` or `forkserver`; by default the platform's.
        repeats: passes that count, of each configuration.
        batches: length of a pass; by default the whole epoch.
        seed: for a dataset.
        step: seconds of a model's step. Each round then has a second pass in which the loop sleeps that long after
            each batch; a sleeping loop stands for a GPU at work, since it leaves the CPU to the workers.
        features: to be computed in the workers, and beside that per batch in the loop; each is a configuration.
        progress: called before each pass with what it is, passes done, and passes in all.

    Returns:
        One measurement for each configuration; see `configurations` for their order.

    Raises:
        ValueError: for counts that are not positive.
        DatakitError: for a loader that cannot be made anew, or that gives no batch.
    """
    if repeats < 1 or (batches is not None and batches < 1) or (step is not None and not 0 < step < 3600):
        raise ValueError(f"repeats and batches are at least 1, step above 0, got {repeats}, {batches}, {step}")
    make = maker(source, seed, features)
    wanted = configurations(source, workers, batch_sizes, start_methods, features)
    plain: dict[Configuration, list[TimedPass]] = {one: [] for one in wanted}
    fed: dict[Configuration, list[TimedPass]] = {one: [] for one in wanted}
    memory = {one: MemoryWatch() for one in wanted}
    rounds = list(_rounds(wanted, repeats, step))
    for done, (turn, one, pause) in enumerate(rounds):
        progress(f"{one}, with steps" if pause else str(one), done, len(rounds))
        loader = at_epoch(make(one), turn)
        into = fed if pause else plain
        work = work_of(one, features)
        into[one].append(timed(loader, batches, step=pause, work=work, watch=None if turn else memory[one]))
    return [_measurement(one, plain[one][1:], memory[one], step, fed[one]) for one in wanted]


def _rounds(
    wanted: Sequence[Configuration], repeats: int, step: float | None
) -> Iterator[tuple[int, Configuration, float]]:
    """(round, configuration, seconds of a step) of every pass; round 0 warms up."""
    for turn in range(repeats + 1):
        for one in wanted if turn % 2 else reversed(wanted):
            pauses = (0.0, step) if turn and step else (0.0,)
            yield from ((turn, one, pause) for pause in (pauses if turn % 2 else reversed(pauses)))


def _measurement(
    one: Configuration, passes: Sequence[TimedPass], memory: MemoryWatch, step: float | None, fed: Sequence[TimedPass]
) -> Measurement:
    rates = tuple(each.rate for each in passes)
    waits = [wait for each in passes for wait in each.waits[1:]] or [each.waits[0] for each in passes]
    return Measurement(
        one.workers,
        one.batch_size,
        one.start_method,
        one.features,
        samples=passes[0].samples,
        batches=len(passes[0].waits),
        samples_per_second=median(rates),
        slowest=min(rates),
        fastest=max(rates),
        rates=rates,
        first_batch=median(each.waits[0] for each in passes),
        wait_p50=median(waits),
        wait_p95=_p95(waits),
        private=memory.private,
        shared=memory.shared,
        cpu_share=median(each.cpu_share for each in passes),
        fed=_fed(step, fed) if step else None,
    )


def _p95(values: Sequence[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


def _fed(step: float, passes: Sequence[TimedPass]) -> Fed:
    return Fed(
        step,
        samples_per_second=median(each.rate for each in passes),
        waiting=median(each.waiting for each in passes),
        first_batch=median(each.waits[0] for each in passes),
    )
