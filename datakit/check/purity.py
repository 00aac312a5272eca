"""Whether a sample is a function of its key, and of all of it: read twice, after others, drawn by the key."""

from __future__ import annotations

import copy
import random
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from datakit.chain import apply, name_of, same, steps, takes_generator
from datakit.check.objects import is_of_user, names_in
from datakit.dataset import Dataset
from datakit.derived import Concat, Mapped, Subset
from datakit.foreign import global_states, put_back
from datakit.inspection.seen import Inspected
from datakit.inspection.summary import fields
from datakit.sampling import Key

GENERATORS = ("random", "numpy.random", "torch")
"""The global generators, in the order of `global_states`."""

_MAKERS = {"default_rng", "RandomState", "Random", "Generator", "Philox", "PCG64", "PCG64DXSM", "MT19937", "SFC64"}
_NOT_CALLED = {"__init__", "__new__", "__post_init__", "__repr__"}
_TRIES = 8


def changer(dataset: Dataset, key: Key) -> str | None:
    """The first transform that changes its input in place, for a dataset that hands out what it keeps; else None.

    Of a dataset's own chain; those of datasets inside it count as loading.
    """
    rng = key.generator()
    sample = dataset.with_transform(None).get(key.index, rng)
    for step in steps(dataset.transform):
        before = copy.deepcopy(sample)
        result = apply(step, sample, rng)
        if not same(before, sample) and result is not None:
            return name_of(step)
        sample = result
    return None


def kept_memory(dataset: Dataset, key: Key, other: Key) -> str | None:
    """The key of a sample whose values are the dataset's own memory: whoever changes them changes the next read.

    None for what only holds values (a list, a `TensorDataset`), for values that cannot be written to, and for what all
    records share.

    Args:
        dataset: whose records are read.
        key: of a record.
        other: of another one.
    """
    if _only_holds(dataset) or key.index == other.index:
        return None
    first, again, third = (dict(fields(dataset[one])) for one in (key, key, other))
    for name, value in first.items():
        place = _memory(value)
        if place is not None and place == _memory(again.get(name)) and place != _memory(third.get(name)):
            return name
    return None


def _only_holds(dataset: Any) -> bool:
    if isinstance(dataset, Subset | torch.utils.data.Subset):
        return _only_holds(dataset.dataset)
    if isinstance(dataset, Concat):
        return any(map(_only_holds, dataset.datasets))
    if isinstance(dataset, Mapped):
        return _only_holds(dataset.foreign)
    return isinstance(dataset, list | tuple | dict | torch.utils.data.TensorDataset) or not is_of_user(type(dataset))


def _memory(value: Any) -> int | None:
    """Where values lie that can be written to."""
    if isinstance(value, torch.Tensor):
        return value.data_ptr() or None
    is_array = isinstance(value, np.ndarray) and value.size and value.flags.writeable
    return int(value.__array_interface__["data"][0]) if is_array else None


def reseeded(run: Callable[[], Any]) -> tuple[str, ...]:
    """The global generators that `run` sets to the same state, whatever they were before; they are put back.

    Not found: one that is put back by `run` itself.

    Examples:
        >>> import random
        >>> from datakit.check.purity import reseeded
        >>> reseeded(lambda: random.seed(0)), reseeded(random.random)
        (('random',), ())
    """
    before, ends = global_states(), []
    try:
        for seed in (1, 2):
            random.seed(seed)
            np.random.seed(seed)
            torch.default_generator.manual_seed(seed)
            run()
            ends.append(global_states())
    finally:
        put_back(before)
    return tuple(name for name, one, other in zip(GENERATORS, *ends, strict=True) if _equal(one, other))


def _equal(one: Any, other: Any) -> bool:
    return same(one, other) if not isinstance(one, torch.Tensor) else torch.equal(one, other)


def reseeding(dataset: Dataset, seen: Inspected, known: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(stage, generators) where reading a record seeds a global generator with a constant.

    Args:
        dataset: whose record it is.
        seen: the record, stage by stage.
        known: transforms by the name of their stage.
    """
    if not reseeded(lambda: dataset.get(seen.key.index, None)):
        return
    found = False
    for step, given in _inputs(seen, known):
        names = reseeded(lambda step=step, given=given: apply(step, copy.deepcopy(given), None))  # type: ignore[misc]
        if names:
            found = True
            yield name_of(step), names
    if not found:
        yield "loaded", reseeded(lambda: dataset.get(seen.key.index, None))


def _inputs(seen: Inspected, known: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """(transform, the sample that it got) of the stages whose transform is known."""
    for before, stage in zip(seen.stages, seen.stages[1:], strict=False):
        if stage.name in known:
            yield known[stage.name], before.sample


def makes_its_own(seen: Inspected, known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(stage, name) of transforms that make a generator when they are called, and draw nothing from the key's.

    Found by the names in their code, `default_rng` and the like, together with the states of all generators before and
    after eight calls. Not found: a generator that is made in a function which they call.
    """
    for step, given in _inputs(seen, known):
        makers = sorted(_MAKERS.intersection(_names_of(step)))
        if makers and not any(_draws(step, given, seed) for seed in range(_TRIES)):
            yield name_of(step), makers[0]


def _names_of(step: Any) -> Iterator[str]:
    if isinstance(step, types.FunctionType):
        yield from names_in(step.__code__)
        return
    step = getattr(step, "func", step)
    if isinstance(step, types.FunctionType):
        yield from names_in(step.__code__)
    for cls in type(step).__mro__:
        for name, value in vars(cls).items() if is_of_user(cls) else ():
            if isinstance(value, types.FunctionType) and name not in _NOT_CALLED:
                yield from names_in(value.__code__)


def _draws(step: Any, given: Any, seed: int) -> bool:
    """Whether a call takes anything from the sample's generator or the global ones."""
    rng, states = np.random.default_rng(seed), global_states()
    before = copy.deepcopy(rng.bit_generator.state)
    try:
        apply(step, copy.deepcopy(given), rng if takes_generator(step) else None)
        is_moved = not all(map(_equal, states, global_states()))
    finally:
        put_back(states)
    return is_moved or not _same_state(before, rng.bit_generator.state)


def _same_state(one: Any, other: Any) -> bool:
    return same(dict(one), dict(other))


def different_later(dataset: Dataset, seen: Sequence[Inspected]) -> Iterator[tuple[int, str]]:
    """(index, stage) of records that are others now, after more were read, in the reverse order."""
    for record in reversed(seen):
        stages = dataset.trace(record.key)
        for stage, (name, sample) in zip(record.stages, stages, strict=False):
            if not same(stage.sample, sample):
                yield record.key.index, name
                break
