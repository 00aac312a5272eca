"""Which key is to blame where samples do not fit into one batch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from datakit.errors import CollateError, SampleError, WorkerError
from datakit.inspection.seen import Finding
from datakit.inspection.summary import fields
from datakit.inspection.trouble import numbers
from datakit.phrasing import describe
from datakit.sample import PER_OBJECT, SEQUENCES, TIME_LAST

_SHOWN = 3  # kinds of values in a message
_MISSING = "nothing"

_HINTS = {
    **dict.fromkeys(SEQUENCES, "sequences of different lengths need collate_fn=collate.pad"),
    **dict.fromkeys(PER_OBJECT, "objects of different number need collate_fn=collate.detection"),
    "image": "a batch needs images of one size: put Rescale(256) and CenterCrop(224) or RandomCrop(224) into the chain",
}
_CHANNELS = "the time axis alone is padded: Mono() brings sounds to one channel"
_ANY_SHAPE = "bring them to one shape in the chain, or write a collate function that takes them as they are"


def is_of_batch(error: BaseException | None) -> bool:
    """Whether a batch failed although its samples may be fine: not for a bad record, and not for a dead worker."""
    return error is not None and not isinstance(error, SampleError | WorkerError)


def unstackable(error: BaseException, samples: Sequence[tuple[int, Any]]) -> Finding | None:
    """What keeps samples from being put into one batch: the key, its shapes, and who has them.

    Args:
        error: of the collate function, whosever it is.
        samples: (index, sample) at the end of the chain.

    Returns:
        None where the error is none of datakit's collate functions, and the samples do fit.
    """
    differing = dict(_differing(samples))
    named = re.match(r"key '?(\w+)'? cannot", str(error))
    chosen = [key for key in differing if named and key.rsplit(".", 1)[-1] == named[1]]
    for key in chosen[:1] or list(differing)[:1]:
        return _blamed(key, differing[key], [other for other in differing if other != key and not chosen])
    if isinstance(error, CollateError):
        return Finding(f"the samples cannot be put into one batch: {describe(error).splitlines()[0]}")
    return None


def _differing(samples: Sequence[tuple[int, Any]]) -> Iterator[tuple[str, dict[str, list[int]]]]:
    """(key, {what it holds: indices}) of the keys that do not hold the same in all samples."""
    tables = [(index, {key: _described(value) for key, value in fields(sample)}) for index, sample in samples]
    for key in dict.fromkeys(key for _, table in tables for key in table):
        kinds: dict[str, list[int]] = {}
        for index, table in tables:
            kinds.setdefault(table.get(key, _MISSING), []).append(index)
        if len(kinds) > 1:
            yield key, kinds


def _described(value: Any) -> str:
    if isinstance(value, list | str | bytes):
        return f"{type(value).__name__} of {len(value)}" if isinstance(value, list) else type(value).__name__
    array = numbers(value)
    is_array = array is not None and hasattr(value, "shape")
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}" if is_array else type(value).__name__


def _blamed(key: str, kinds: dict[str, list[int]], others: Sequence[str]) -> Finding:
    shown = ", ".join(f"{kind} at index {indices[0]}" for kind, indices in list(kinds.items())[:_SHOWN])
    more = f", and {len(kinds) - _SHOWN} more" if len(kinds) > _SHOWN else ""
    also = f"; {', '.join(others)} differ too" if others else ""
    firsts = tuple(indices[0] for indices in kinds.values())
    name = f"field {key}" if key[:1].isdigit() else key
    return Finding(f"{name} keeps the batch from being made: {shown}{more}{also}", _hint(key, kinds), firsts[:5])


def _hint(key: str, kinds: dict[str, list[int]]) -> str:
    if _MISSING in kinds:
        return "every sample of a batch needs the same keys: drop it everywhere, or fill it in"
    if len({kind.split(" ")[0] for kind in kinds}) > 1:
        return "bring it to one type in the chain"
    firsts = {re.sub(r", \d+\)$", "", kind) for kind in kinds}  # all axes but the last
    if key.rsplit(".", 1)[-1] in TIME_LAST and len(firsts) > 1:
        return _CHANNELS
    return _HINTS.get(key.rsplit(".", 1)[-1], _ANY_SHAPE)
