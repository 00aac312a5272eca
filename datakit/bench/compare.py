"""An earlier run beside this one: what changed, what is beyond the noise, and what cannot be compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from datakit.bench.advice import GAIN
from datakit.bench.results import Configuration, Machine, Measurement, Run, from_dict
from datakit.errors import CorruptDataError, MissingDataError

_ENOUGH = 3  # passes; of fewer, two ranges lie apart by chance too often
VERSION = 1
"""Of the JSON document; another one is not read."""


@dataclass(frozen=True)
class Change:
    """One configuration, or one stage, before and now.

    Attributes:
        what: the configuration or the name of the stage.
        before: samples a second; seconds a sample for a stage.
        now: the same, of this run.
        is_clear: the difference is at least `GAIN`, both runs have at least 3 passes, and the slowest pass of one is
            faster than the fastest of the other. Always False for a stage, of which no range is kept.
    """

    what: str
    before: float
    now: float
    is_clear: bool = False

    @property
    def ratio(self) -> float:
        """Now by before."""
        return self.now / self.before if self.before else float("inf")


@dataclass(frozen=True)
class Comparison:
    """Two runs.

    Attributes:
        changes: of the configurations that both have.
        stages: of the stages that both have, where both looked at the same configuration.
        obstacles: what differs besides the code, so that the figures do not say what they seem to.
        only_before: configurations that this run does not have.
        only_now: configurations that the earlier run does not have.
    """

    changes: tuple[Change, ...]
    stages: tuple[Change, ...]
    obstacles: tuple[str, ...]
    only_before: tuple[str, ...]
    only_now: tuple[str, ...]


def write_run(run: Run) -> dict[str, Any]:
    """The run as plain values for JSON, which `read_run` understands."""
    return {"version": VERSION, **asdict(run)}


def read_run(path: str | Path) -> Run:
    """A run that `datakit bench --json` has printed.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: it is something else, or of another version of datakit.
    """
    try:
        document = json.loads(Path(path).read_bytes())
    except FileNotFoundError as error:
        raise MissingDataError(f"{path}: there is no such file") from error
    except (ValueError, RecursionError, OSError) as error:
        raise CorruptDataError(f"{path} is no result of `datakit bench --json`: {error}") from error
    if not isinstance(document, dict) or "version" not in document or "measurements" not in document:
        raise CorruptDataError(f"{path} is no result of `datakit bench --json`: it has no version and measurements")
    if document["version"] != VERSION:
        raise CorruptDataError(
            f"{path} has version {document['version']!r} of the format; this datakit reads {VERSION}"
        )
    try:
        run: Run = from_dict(Run, document)
    except (TypeError, KeyError) as error:
        missing = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise CorruptDataError(f"{path} is no result of `datakit bench --json`: {missing}") from error
    if not run.measurements or not all(one.samples_per_second > 0 for one in run.measurements):
        raise CorruptDataError(f"{path} is no result of `datakit bench --json`: there is nothing measured in it")
    return run


def compare(before: Run, now: Run) -> Comparison:
    """The earlier run against this one."""
    old, new = ({one.configuration: one for one in run.measurements} for run in (before, now))
    both = [one for one in new if one in old]
    return Comparison(
        tuple(_change(one, old[one], new[one]) for one in both),
        _stages(before, now),
        tuple(_obstacles(before, now, [(old[one], new[one]) for one in both])),
        tuple(str(one) for one in old if one not in new),
        tuple(str(one) for one in new if one not in old),
    )


def _change(what: Configuration, old: Measurement, new: Measurement) -> Change:
    ratio = new.samples_per_second / old.samples_per_second
    is_apart = new.slowest > old.fastest or new.fastest < old.slowest
    is_clear = is_apart and abs(ratio - 1) >= GAIN and min(len(old.rates), len(new.rates)) >= _ENOUGH
    return Change(str(what), old.samples_per_second, new.samples_per_second, is_clear)


def _stages(before: Run, now: Run) -> tuple[Change, ...]:
    if before.profile is None or now.profile is None:
        return ()
    if _place(before.profile) != _place(now.profile):
        return ()
    old = {stage.name: stage.seconds for stage in before.profile.stages}
    return tuple(
        Change(stage.name, old[stage.name], stage.seconds) for stage in now.profile.stages if stage.name in old
    )


def _place(one: Configuration) -> tuple[Any, ...]:
    return one.workers, one.batch_size, one.start_method, one.features


def _obstacles(before: Run, now: Run, pairs: Sequence[tuple[Measurement, Measurement]]) -> list[str]:
    found = []
    for field in fields(Machine):
        old, new = getattr(before.machine, field.name), getattr(now.machine, field.name)
        if old != new:
            found.append(f"another {_CALLED.get(field.name, field.name)}: {old} before, {new} now")
    for name in ("dataset", "chain", "seed"):
        old, new = getattr(before, name), getattr(now, name)
        if old != new:
            shown = (" → ".join(part) or "none" if isinstance(part, tuple) else part for part in (old, new))
            found.append("another {}: {} before, {} now".format(name, *shown))
    lengths = {(old.samples, new.samples) for old, new in pairs if old.samples != new.samples}
    found += [f"passes of another length: {old:,} samples before, {new:,} now" for old, new in sorted(lengths)]
    if not pairs:
        found.append("not one configuration (workers, batch size, start method, features) is in both runs")
    if (passes := min(before.repeats, now.repeats)) < _ENOUGH:
        found.append(f"a run with --repeats {passes}: below {_ENOUGH} it cannot be told what is noise")
    return found


_CALLED = {"cores": "number of cores", "python": "version of Python", "torch": "version of torch"} | {
    "datakit": "version of datakit",
    "system": "operating system",
}
