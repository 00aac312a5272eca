"""Where the time goes: passes with clocks in them, beside passes without, so that the cost of the clocks is known.

The clocks are hooks that exist all the time and do nothing unless such a pass runs (`datakit.probe`), and wrappers in a
copy of the loader (`datakit.bench.clocks`). What was measured as speed has neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from torch.utils.data import DataLoader

from datakit import probe
from datakit.bench import clocks
from datakit.bench.loaders import PER_BATCH, Features, Make, Work, at_epoch, is_remakable, maker, work_of
from datakit.bench.results import Configuration, Profile, Stage
from datakit.bench.sweep import Progress
from datakit.bench.timing import TimedPass, timed
from datakit.dataset import Dataset

_ENDS = ("collate", clocks.TRANSFER, probe.OTHER)
_STARTS = ("read", "decode", "load (read and decode)")


def profile(
    source: Dataset | DataLoader[Any] | Make,
    configuration: Configuration,
    *,
    repeats: int = 3,
    batches: int | None = None,
    seed: int = 0,
    features: Features | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Profile:
    """Seconds a sample of each stage, in one configuration.

    Passes with and without clocks take turns. Stages are timed in the process that does the work, by the clock on the
    wall: where more processes want to run than there are cores, waiting for a core is in them.

    Args:
        source: as for `measure`.
        configuration: one of those measured.
        repeats: passes of each kind.
        batches: length of a pass; by default the whole epoch.
        seed: for a dataset.
        features: as for `measure`.
        progress: called before each pass.
    """
    make, work = maker(source, seed, features), work_of(configuration, features)
    if isinstance(source, DataLoader) and not is_remakable(source):
        kind = type(source).__name__
        return _of(configuration, missing=f"{kind} cannot be made anew, and nothing is put into your own loader")
    plain: list[TimedPass] = []
    clocked: list[tuple[TimedPass, dict[str, float]]] = []
    for turn in range(1, repeats + 1):
        for place, has_clocks in enumerate((False, True) if turn % 2 else (True, False)):
            progress("where the time goes", 2 * (turn - 1) + place, 2 * repeats)
            loader = at_epoch(make(configuration), turn)
            if not has_clocks:
                plain.append(timed(loader, batches, work=work))
            elif is_remakable(loader) and loader is not source:
                clocked.append(_clocked(loader, batches, work, features))
            else:
                return _of(configuration, missing=f"nothing is put into a {type(loader).__name__}")
    return _profile(configuration, plain, clocked)


def _clocked(
    loader: DataLoader[Any], batches: int | None, work: Work | None = None, features: Features | None = None
) -> tuple[TimedPass, dict[str, float]]:
    """A pass, and the seconds of each stage in all of it."""
    loader = clocks.with_clocks(loader)
    arrived: list[dict[str, float]] = []
    clocks.arrivals = arrived
    probe.recorder = None if loader.num_workers else probe.Recorder()
    try:
        one = timed(loader, batches, work=work)
    finally:
        clocks.arrivals = probe.recorder = None
    total: dict[str, float] = {}
    for seconds in arrived[: len(one.waits)]:  # what was fetched ahead and not used does not count
        for name, value in seconds.items():
            total[name] = total.get(name, 0.0) + value
    if work is not None and features is not None:
        total[f"{features.name} {features.places[1]}"] = one.works
    return one, total


def _profile(
    configuration: Configuration, plain: Sequence[TimedPass], clocked: Sequence[tuple[TimedPass, dict[str, float]]]
) -> Profile:
    per_sample = {
        name: median(total.get(name, 0.0) / one.samples for one, total in clocked) for name in _names(clocked)
    }
    idle = per_sample.pop(probe.IDLE, 0.0)
    if "load" in per_sample:
        name = "decode" if "read" in per_sample else "load (read and decode)"
        per_sample[name] = per_sample.get(name, 0.0) + per_sample.pop("load")
    waiting = median(sum(one.waits[1:]) / (one.samples * max(1 - 1 / len(one.waits), 1e-9)) for one, _ in clocked)
    return _of(
        configuration,
        stages=tuple(Stage(name, per_sample[name]) for name in sorted(per_sample, key=_place)),
        idle=idle if configuration.workers else 0.0,
        waiting=waiting if len(plain[0].waits) > 1 else 0.0,
        overhead=median(one.seconds for one, _ in clocked) / median(one.seconds for one in plain) - 1,
        noise=max(one.seconds for one in plain) / min(one.seconds for one in plain) - 1,
        passes=len(clocked),
    )


def _of(configuration: Configuration, **values: Any) -> Profile:
    place = configuration.workers, configuration.batch_size, configuration.start_method, configuration.features
    return Profile(*place, **values)


def _names(clocked: Sequence[tuple[TimedPass, dict[str, float]]]) -> list[str]:
    return list(dict.fromkeys(name for _, total in clocked for name in total))


def _place(name: str) -> int:
    """Read and decode first, then the transforms as they came, then what happens to the batch."""
    if name in _STARTS:
        return _STARTS.index(name) - len(_STARTS)
    if name in _ENDS:
        return 1 + _ENDS.index(name)
    return 1 + len(_ENDS) if PER_BATCH in name else 0
