"""Transforms of text: to tokens, and of tokens to what a model learns from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch

from datakit.coding import Coder, coder_of, number_of
from datakit.sample import Sample
from datakit.sounds import check_is_sample
from datakit.transforms.base import Random, Shown, check_probability

TextKey: TypeAlias = Literal["text", "target_text"]
TokenKey: TypeAlias = Literal["tokens", "target_tokens"]

TOKENS: dict[str, str] = {"text": "tokens", "target_text": "target_tokens"}
"""Where the tokens of a text go."""

IGNORED = -100
"""The target that the cross entropy of torch leaves out."""


class _Coded(Shown):
    """A transform with a coder, which is read from its file once."""

    coder: Any

    def __post_init__(self) -> None:
        coder = coder_of(self.coder)
        is_file = isinstance(self.coder, str | os.PathLike)
        object.__setattr__(self, "coder", os.fspath(self.coder) if is_file else coder)
        object.__setattr__(self, "_codes", coder)

    @property
    def codes(self) -> Coder:
        """What was given, or the file holds."""
        coder: Coder = self._codes  # type: ignore[attr-defined]
        return coder


@dataclass(frozen=True, repr=False)
class Encode(_Coded):
    """The `text` of a sample as `tokens`, int64 (T,); its `target_text` as `target_tokens` where `key` says so.

    The text stays in the sample. A tokenizer of Hugging Face puts its own special tokens around, a `Vocab` none.

    Args:
        coder: a `Vocab`, a tokenizer of `tokenizers` or `transformers`, or the path of a file that one of them saved.
        key: the text: `text` or `target_text`.

    Examples:
        >>> from datakit.text import Vocab
        >>> from datakit.transforms import Encode
        >>> encode = Encode(Vocab.words(["it is cold", "it is late"]))
        >>> encode
        Encode(Vocab(8 words, 4 of them special))
        >>> encode({"text": "is it cold"})
        {'text': 'is it cold', 'tokens': tensor([4, 5, 6])}
    """

    coder: Any
    key: TextKey = "text"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_key(self, self.key, tuple(TOKENS))

    def __call__(self, sample: Sample) -> Sample:
        """The sample with its tokens."""
        check_is_sample(sample, self, self.key)
        text = sample.get(self.key)
        if not isinstance(text, str):
            raise ValueError(f"{self} needs {self.key!r} as a str, got {_kind(sample, self.key)}")
        return {**sample, TOKENS[self.key]: self.codes.encode(text)}


@dataclass(frozen=True, repr=False)
class Truncate(Shown):
    """No more than `length` tokens.

    Args:
        length: how many stay.
        side: what is cut off: the `end` or the `start`.
        key: `tokens` or `target_tokens`.

    Examples:
        >>> import torch
        >>> from datakit.transforms import Truncate
        >>> Truncate(2)({"tokens": torch.tensor([7, 8, 9])})["tokens"].tolist()
        [7, 8]
    """

    length: int
    side: Literal["end", "start"] = "end"
    key: TokenKey = "tokens"

    def __post_init__(self) -> None:
        _check_key(self, self.key, tuple(TOKENS.values()))
        if isinstance(self.length, bool) or not isinstance(self.length, int) or self.length < 1:
            raise ValueError(f"Truncate needs a length of 1 token at least, got {self.length!r}")
        if self.side not in ("end", "start"):
            raise ValueError(f"Truncate cuts off the 'end' or the 'start', got side={self.side!r}")

    def __call__(self, sample: Sample) -> Sample:
        """The sample with the tokens that stay."""
        tokens = _tokens_of(sample, self.key, self)
        return {**sample, self.key: tokens[: self.length] if self.side == "end" else tokens[-self.length :]}


@dataclass(frozen=True, repr=False)
class AddSpecials(_Coded):
    """The special tokens of a vocabulary at the start and at the end of a sequence.

    Args:
        coder: as of `Encode`.
        start: put that of `start` before the first token.
        end: put that of `end` behind the last one.
        key: `tokens` or `target_tokens`.

    Raises:
        ValueError: where the vocabulary has no such special token.

    Examples:
        >>> import torch
        >>> from datakit.text import Vocab
        >>> from datakit.transforms import AddSpecials
        >>> AddSpecials(Vocab.characters(["Ana"]))({"tokens": torch.tensor([4, 5, 6])})["tokens"].tolist()
        [2, 4, 5, 6, 3]
    """

    coder: Any
    start: bool = True
    end: bool = True
    key: TokenKey = "tokens"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_key(self, self.key, tuple(TOKENS.values()))
        before = [number_of(self.codes, "start", self)] if self.start else []
        behind = [number_of(self.codes, "end", self)] if self.end else []
        object.__setattr__(self, "_around", (torch.tensor(before).long(), torch.tensor(behind).long()))

    def __call__(self, sample: Sample) -> Sample:
        """The sample with its tokens between the special ones."""
        before, behind = self._around  # type: ignore[attr-defined]
        return {**sample, self.key: torch.cat((before, _tokens_of(sample, self.key, self), behind))}


@dataclass(frozen=True, repr=False)
class NextTokens(Shown):
    """For language models: `tokens` without the last one, and as `target_tokens` the one that follows each.

    Raises:
        ValueError: for fewer than two tokens, which leave nothing to predict; `AddSpecials` makes two of none.

    Examples:
        >>> import torch
        >>> from datakit.transforms import NextTokens
        >>> NextTokens()({"tokens": torch.tensor([2, 5, 6, 3])})
        {'tokens': tensor([2, 5, 6]), 'target_tokens': tensor([5, 6, 3])}
    """

    def __call__(self, sample: Sample) -> Sample:
        """The sample with its input and its target."""
        tokens = _tokens_of(sample, "tokens", self)
        if len(tokens) < 2:
            raise ValueError(f"{self} needs two tokens at least, got {len(tokens)}; AddSpecials adds two")
        return {**sample, "tokens": tokens[:-1], "target_tokens": tokens[1:].clone()}


@dataclass(frozen=True, repr=False)
class MaskTokens(_Coded, Random):
    """Hide tokens by chance, for a model that fills them in, as BERT is trained (Devlin et al., 2019).

    Each token that is not special is chosen with probability `p`. A chosen one becomes the mask token, or with
    probability `random` any token that is not special, or with probability `kept` stays as it is. `target_tokens` are
    the chosen tokens as they were, and -100 elsewhere, which torch's cross entropy leaves out: pad with
    `collate.pad(samples, value={"target_tokens": -100})`.

    Args:
        coder: as of `Encode`; it must have a mask token.
        p: of being chosen.
        random: of becoming another token, for a chosen one.
        kept: of staying, for a chosen one.

    Raises:
        ValueError: where the vocabulary has no mask token, and for probabilities that are none.

    Examples:
        >>> import torch
        >>> from datakit.text import SPECIALS, Vocab
        >>> from datakit.transforms import MaskTokens
        >>> vocab = Vocab.characters(["Ana"], specials={**SPECIALS, "mask": "<mask>"})
        >>> masked = MaskTokens(vocab, p=1.0, random=0.0, kept=0.0)({"tokens": torch.tensor([2, 5, 6, 3])})
        >>> masked["tokens"].tolist(), masked["target_tokens"].tolist()
        ([2, 4, 4, 3], [-100, 5, 6, -100])
    """

    is_deterministic: ClassVar[bool] = False

    coder: Any
    p: float = 0.15
    random: float = 0.1
    kept: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        for share in (self.p, self.random, self.kept, self.random + self.kept):
            check_probability("MaskTokens", share)
        number_of(self.codes, "mask", self)
        ordinary = [number for number in range(len(self.codes)) if not self.codes.is_special(number)]
        object.__setattr__(self, "_ordinary", np.array(ordinary, np.int64))

    @property
    def _numbers(self) -> np.ndarray:
        """Those of all tokens that are not special, int64 (n,)."""
        numbers: np.ndarray = self._ordinary  # type: ignore[attr-defined]
        return numbers

    def draw(self, sample: Sample, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each token two numbers in [0, 1), whether and how it is hidden, and a token: (T,) each."""
        count = len(_tokens_of(sample, "tokens", self))
        return rng.random(count), rng.random(count), rng.choice(self._numbers, count)

    def apply(self, sample: Sample, params: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Sample:
        """The sample with what is hidden as its target."""
        tokens = _tokens_of(sample, "tokens", self)
        whether, how, other = map(torch.from_numpy, params)
        special = torch.tensor([self.codes.is_special(number) for number in tokens.tolist()], dtype=torch.bool)
        chosen = (whether < self.p) & ~special
        masked = torch.where(chosen, number_of(self.codes, "mask", self), tokens)
        masked = torch.where(chosen & (how < self.random + self.kept), tokens, masked)
        masked = torch.where(chosen & (how < self.random), other, masked)
        return {**sample, "tokens": masked, "target_tokens": torch.where(chosen, tokens, IGNORED)}


def _tokens_of(sample: Sample, key: str, who: object) -> torch.Tensor:
    check_is_sample(sample, who, key)
    tokens = sample.get(key)
    if isinstance(tokens, np.ndarray) and tokens.dtype.kind in "iu":  # numbers out of a table
        tokens = torch.from_numpy(tokens.astype(np.int64))
    if not isinstance(tokens, torch.Tensor) or tokens.dtype != torch.int64 or tokens.ndim != 1:
        raise ValueError(f"{who} needs {key!r} as int64 (T,), which Encode makes; got {_kind(sample, key)}")
    return tokens


def _kind(sample: Sample, key: str) -> str:
    value = sample.get(key)
    if isinstance(value, torch.Tensor):
        return f"{value.dtype} {tuple(value.shape)}"
    return type(value).__name__ if key in sample else f"a sample with {', '.join(map(str, sample)) or 'no keys'}"


def _check_key(who: object, key: str, known: tuple[str, ...]) -> None:
    if key not in known:
        raise ValueError(f"{type(who).__name__} takes key={' or '.join(map(repr, known))}, got {key!r}")
