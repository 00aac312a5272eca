"""Running the chain on single records: once, under the keys of several epochs, and twice under the same key."""

from __future__ import annotations

from collections.abc import Callable

from datakit.chain import irreproducible, same
from datakit.dataset import Dataset
from datakit.errors import SampleError
from datakit.inspection.seen import Inspected, Stage
from datakit.phrasing import describe
from datakit.sampling import Key


def inspected(dataset: Dataset, key: Key) -> Inspected:
    """The record of `key`, stage by stage, as far as it comes."""
    stages: list[Stage] = []
    try:
        for name, sample in dataset.trace(key):
            stages.append(Stage(name, sample))
    except Exception as error:
        failed = error.stage if isinstance(error, SampleError) else None
        return Inspected(key, dataset.path_of(key.index), tuple(stages), describe(error), failed or "")
    sample = stages[-1].sample
    path = sample.get("path") if isinstance(sample, dict) else dataset.path_of(key.index)
    return Inspected(key, path, tuple(stages))


def drawn(
    dataset: Dataset, seen: Inspected, count: int, progress: Callable[[str], None] = lambda what: None
) -> tuple[Inspected, ...]:
    """A record under the keys of epochs 0 … count - 1; empty where all of them look the same.

    Args:
        dataset: of the record.
        seen: the record under its key of epoch 0.
        count: how many draws.
        progress: called with what is done next.
    """
    draws = [seen][:count]
    for epoch in range(1, count):
        progress(f"draw {epoch + 1} of {count}")
        draws.append(_shared(inspected(dataset, seen.key._replace(epoch=epoch)), seen))
    return tuple(draws) if any(_differs(draw, seen) for draw in draws) else ()


def _differs(draw: Inspected, first: Inspected) -> bool:
    """Whether a draw has an error or a stage of its own, after `_shared`."""
    return list(map(id, draw.stages)) != list(map(id, first.stages)) or draw.error != first.error


def _shared(draw: Inspected, first: Inspected) -> Inspected:
    """`draw` with the stages of `first` where they are equal, so that a photograph is not kept eight times."""
    places = range(len(draw.stages))
    pairs = [(draw.stages[place], first.stages[place] if place < len(first.stages) else None) for place in places]
    stages = (known if known and _is_same(stage, known) else stage for stage, known in pairs)
    return Inspected(draw.key, draw.path, tuple(stages), draw.error)


def _is_same(a: Stage, b: Stage) -> bool:
    return a.name == b.name and same(a.sample, b.sample)


def unrepeatable(dataset: Dataset, seen: Inspected) -> str | None:
    """The first stage that a second run under the same key makes otherwise; None where the two runs are equal.

    A record that came through whole, and does not a second time, is no function of its key either.
    """
    if seen.error is not None:
        return None
    runs = iter([((stage.name, stage.sample) for stage in seen.stages), dataset.trace(seen.key)])
    try:
        return irreproducible(lambda: next(runs))
    except SampleError as error:
        return error.stage or "loading"
    except ValueError:  # of zip: one of the two has more stages
        return seen.stages[-1].name
