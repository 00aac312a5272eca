"""The texts and the tokens of a sample, and what the numbers of the tokens stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from datakit.coding import Coder
from datakit.collate import length_key
from datakit.sample import SEQUENCES
from datakit.transforms import AddSpecials, Encode, MaskTokens, NextTokens
from datakit.transforms.text import IGNORED, TOKENS

TEXT_KEYS = tuple(TOKENS)
TOKEN_KEYS = tuple(TOKENS.values())

Kind: TypeAlias = Literal["ordinary", "special", "unknown", "pad", "hidden", "ignored", "outside"]
"""What a number is: `hidden` is one that a model shall find out, `ignored` a target that the loss leaves out,
`outside` one that the vocabulary does not have."""

Numbers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Coders:
    """What the numbers of a sample stand for.

    Attributes:
        of: the vocabulary or tokenizer of `tokens` and of `target_tokens`, as far as they are known.
        is_aligned: whether each target belongs to the token at its place.
    """

    of: Mapping[str, Coder] = field(default_factory=dict)
    is_aligned: bool = False


@dataclass(frozen=True)
class Tokens:
    """The tokens of one key.

    Attributes:
        key: `tokens` or `target_tokens`.
        numbers: int64 (T,).
        valid: steps that are no padding.
        coder: what they stand for; None where nobody knows.
        targets: of each token, where they belong to each other; None where they do not.
        target_coder: of the targets.
    """

    key: str
    numbers: Numbers
    valid: int
    coder: Coder | None = None
    targets: Numbers | None = None
    target_coder: Coder | None = None

    @property
    def is_masked(self) -> bool:
        """Whether some targets are left out of the loss: the others are what was hidden."""
        return self.targets is not None and bool((self.targets == IGNORED).any())

    def is_as(self, other: Tokens | None) -> bool:
        """Whether another one holds the same numbers and targets."""
        if other is None or self.valid != other.valid or not np.array_equal(self.numbers, other.numbers):
            return False
        if self.targets is None or other.targets is None:
            return self.targets is other.targets
        return np.array_equal(self.targets, other.targets)


def coders_after(names: Iterable[str], known: Mapping[str, Any]) -> Coders:
    """What tokens stand for after the stages of these names.

    Args:
        names: of stages, in their order; those that are not known are passed over.
        known: transforms by name.
    """
    of: dict[str, Coder] = {}
    is_aligned = False
    for name in names:
        step = known.get(name)
        if isinstance(step, Encode):
            of[TOKENS[step.key]] = step.codes
        elif isinstance(step, AddSpecials):
            of.setdefault(step.key, step.codes)
        elif isinstance(step, MaskTokens):
            of.setdefault("tokens", step.codes)
        if isinstance(step, MaskTokens | NextTokens):
            is_aligned = True
            of.pop("target_tokens", None)
            of.update({"target_tokens": of["tokens"]} if "tokens" in of else {})
    return Coders(of, is_aligned)


def texts_in(sample: Any) -> dict[str, str]:
    """The texts of a sample, by key."""
    values = sample if isinstance(sample, dict) else {}
    return {key: values[key] for key in TEXT_KEYS if isinstance(values.get(key), str)}


def tokens_in(sample: Any, coders: Coders) -> list[Tokens]:
    """The tokens of a sample; targets that belong to them at each place come with them, and not alone."""
    values = sample if isinstance(sample, dict) else {}
    found = {key: numbers for key in TOKEN_KEYS if (numbers := numbers_of(values.get(key))) is not None}
    present = [key for key in SEQUENCES if key in values]
    made = {
        key: Tokens(key, numbers, _valid(values, key, not present.index(key), len(numbers)), coders.of.get(key))
        for key, numbers in found.items()
    }
    if len(made) == len(TOKEN_KEYS):
        tokens, targets = (made[key] for key in TOKEN_KEYS)
        if are_aligned(tokens.numbers, targets.numbers, coders.is_aligned):
            return [Tokens("tokens", tokens.numbers, tokens.valid, tokens.coder, targets.numbers, targets.coder)]
    return list(made.values())


def has_text(sample: Any) -> bool:
    """Whether a single sample has a text or tokens."""
    return bool(texts_in(sample) or tokens_in(sample, Coders()))


def numbers_of(value: Any, axes: int = 1) -> Numbers | None:
    """Whole numbers as int64; None for anything else."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy() if not value.is_floating_point() and not value.is_complex() else None
    elif isinstance(value, list) and value and all(type(item) is int for item in value):
        value = np.array(value, np.int64)
    is_whole = isinstance(value, np.ndarray) and value.ndim == axes and value.dtype.kind in "iu"
    return value.astype(np.int64) if is_whole and value is not None else None


def are_aligned(tokens: Numbers, targets: Numbers, is_known: bool) -> bool:
    """Whether each target belongs to the token at its place: the chain says so, it is the next one, or one was hidden.

    Args:
        tokens: (T,).
        targets: of any length.
        is_known: whether the chain says so.
    """
    if tokens.shape != targets.shape or not tokens.size:
        return False
    is_shifted = len(tokens) > 1 and np.array_equal(tokens[1:], targets[:-1])
    return bool(is_known or is_shifted or (targets == IGNORED).any())


def kinds_of(numbers: Numbers, coder: Coder | None) -> npt.NDArray[np.str_]:
    """The `Kind` of each number, an array of the same shape; without a coder all but the ignored ones are ordinary."""
    each, places = np.unique(numbers, return_inverse=True)
    kinds = np.array([str(_kind(number, coder)) for number in each.tolist()], dtype="U8")
    return np.asarray(kinds[places].reshape(numbers.shape))


def _kind(number: int, coder: Coder | None) -> Kind:
    if number == IGNORED:
        return "ignored"
    if coder is None:
        return "ordinary"
    if not 0 <= number < len(coder):
        return "outside"
    if number == coder.of("unknown"):
        return "unknown"
    if number == coder.of("pad"):
        return "pad"
    return "special" if coder.is_special(number) else "ordinary"


def _valid(values: dict[str, Any], key: str, first: bool, steps: int) -> int:
    """The valid steps that `collate.pad` or the dataset says of a key."""
    value = values.get(length_key(key, first=first))
    value = value.item() if isinstance(value, torch.Tensor | np.ndarray) and value.ndim == 0 else value
    is_length = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return min(max(int(value), 0), steps) if is_length and value is not None else steps
