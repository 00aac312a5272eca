"""What may be wrong with texts and tokens: nothing in them, numbers that mean nothing or something else, no shift."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from datakit.coding import Coder
from datakit.inspection.seen import Finding, Inspected
from datakit.inspection.survey import Survey, Texts, TokenCounts
from datakit.inspection.text import (
    TOKEN_KEYS,
    Coders,
    Tokens,
    coders_after,
    kinds_of,
    numbers_of,
    texts_in,
    tokens_in,
)
from datakit.inspection.text_batch import TokenBatch, token_batches
from datakit.inspection.trouble import LOADED, Trouble
from datakit.phrasing import shorten
from datakit.transforms.text import IGNORED
from datakit.vocab import ROLES

_UNKNOWN = {"characters": 0.05, "words": 0.3, "tokens": 0.3}
"""Of what is made of the text. Of held-out sentences of Tatoeba's a vocabulary of all words of the others does not know
16 %, one of those that come three times 25 %; but of surnames one of plain letters does not know 0.1 % of them."""

_LEAST = 50  # tokens of which that is said
_WORDS = 3  # unknown ones that are named
_WORD = 24  # characters of one


def text_trouble(record: Inspected, known: Mapping[str, Any]) -> Iterator[Trouble]:
    """What is wrong with the texts and tokens of a record, each at the first stage that shows it."""
    found: set[tuple[str, str]] = set()
    for place, stage in enumerate(record.stages):
        coders = coders_after([one.name for one in record.stages[: place + 1]], known)
        for trouble in _of_stage(stage.name, stage.sample, coders):
            if (trouble.kind, trouble.key) not in found:
                found.add((trouble.kind, trouble.key))
                yield trouble
    yield from _no_shift(record)


def _of_stage(stage: str, sample: Any, coders: Coders) -> Iterator[Trouble]:
    for key, text in texts_in(sample).items():
        if not text.strip():
            yield Trouble("no text", key, stage)
    for key in TOKEN_KEYS if isinstance(sample, dict) else ():
        if key in sample and (kind := _other_than_tokens(sample[key])):
            yield Trouble("token type", key, stage, detail=kind)
    for tokens in _each(sample):
        coder = coders.of.get(tokens.key)
        valid = tokens.numbers[: tokens.valid]
        if not len(valid):
            yield Trouble("no tokens", tokens.key, stage)
        if coder is not None:
            yield from _of_numbers(tokens.key, valid, coder, stage)


def _each(sample: Any) -> list[Tokens]:
    """The tokens and the targets, each by itself."""
    if not isinstance(sample, dict):
        return []
    alone = ({**sample, other: None} for other in reversed(TOKEN_KEYS))
    return [tokens for one in alone for tokens in tokens_in(one, Coders())]


def _of_numbers(key: str, numbers: np.ndarray, coder: Coder, stage: str) -> Iterator[Trouble]:
    outside = numbers[kinds_of(numbers, coder) == "outside"]
    if outside.size:
        low, high = float(outside.min()), float(outside.max())
        yield Trouble("no number", key, stage, low, high, outside.size, numbers.size, str(len(coder)))
    pad = coder.of("pad")
    if pad is None or any(role != "pad" and coder.of(role) == pad for role in ROLES):
        return  # some models end a text with the token that pads it
    others = np.flatnonzero((numbers != pad) & (numbers != IGNORED))
    inner = numbers[others[0] : others[-1] + 1] if len(others) else numbers[:0]
    if count := int((inner == pad).sum()):
        yield Trouble("pad inside", key, stage, pad, pad, count, numbers.size)


def _other_than_tokens(value: Any) -> str:
    """What a value is that is not int64 (T,); empty for one that is."""
    if isinstance(value, torch.Tensor | np.ndarray):
        kind = str(value.dtype).removeprefix("torch.")
        return "" if kind == "int64" and value.ndim == 1 else f"{kind} {tuple(value.shape)}"
    return f"a {type(value).__name__}"


def _no_shift(record: Inspected) -> Iterator[Trouble]:
    """A target that is the input itself, at the end of the chain."""
    sample = record.stages[-1].sample if record.stages and record.error is None else None
    values = sample if isinstance(sample, dict) else {}
    tokens, targets = (numbers_of(values.get(key)) for key in TOKEN_KEYS)
    if tokens is not None and targets is not None and len(tokens) and np.array_equal(tokens, targets):
        yield Trouble("no shift", "target_tokens", record.stages[-1].name)


def much_unknown(survey: Survey | None) -> Iterator[Finding]:
    """Texts of which a vocabulary knows too little."""
    if survey is not None:
        yield from unknown_tokens(survey.texts, survey.read)


def unknown_tokens(texts: Texts | None, records: int) -> Iterator[Finding]:
    """Those of `much_unknown`, of the texts of so many records."""
    for counts in () if texts is None else texts.tokens:
        made = counts.total - counts.special
        if made >= _LEAST and counts.unknown_share > _UNKNOWN[counts.unit]:
            yield Finding(
                f"{counts.unknown_share:.0%} of {counts.key} are unknown to the vocabulary: {counts.unknown:,} of "
                f"{made:,} in {records:,} records{_named(counts)}",
                "make the vocabulary of the same texts, with the same normalisation, and of characters where words are "
                "too many",
            )


def _named(counts: TokenCounts) -> str:
    named = ", ".join(f"{shorten(part, _WORD)!r} ({count:,})" for part, count in counts.missing[:_WORDS])
    return f"; most often {named}" if named else ""


def padded_with_a_token(batch: Any, coders: Coders) -> Iterator[Finding]:
    """Padding that a model cannot tell from what is in a sequence."""
    for one in token_batches(batch, coders):
        fill = _fill(one)
        if one.packed is not None or fill is None or one.coder is None:
            continue
        if one.key == "target_tokens" and (one.numbers[one.is_valid] == IGNORED).any() and fill != IGNORED:
            yield Finding(
                f"the batch pads target_tokens with {fill}, and the loss counts that: what it leaves out is {IGNORED}",
                f'pad with collate_fn=partial(collate.pad, value={{"target_tokens": {IGNORED}}})',
            )
        elif 0 <= fill < len(one.coder) and fill != one.coder.of("pad"):
            yield Finding(
                f"the batch pads {one.key} with {fill}, which is the number of {one.coder.token(fill)!r}",
                "the model has to go by the lengths; or pad with a number of its own, "
                f'collate_fn=partial(collate.pad, value={{"{one.key}": …}})',
            )


def _fill(one: TokenBatch) -> int | None:
    """The number that the batch is padded with; None where it is not, or with several."""
    padded = np.unique(one.numbers[~one.is_valid])
    return int(padded[0]) if len(padded) == 1 else None


def batch_stages(samples: Sequence[Inspected]) -> list[str]:
    """The names of the stages that the samples of a batch went through."""
    whole = (sample.stages for sample in samples if sample.error is None)
    return [stage.name for stage in next(whole, ())] or [LOADED]
