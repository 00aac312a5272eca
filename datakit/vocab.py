"""Vocabularies: which number stands for which character or word."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import torch

from datakit.counting import compiled, count_characters, count_words, words_of
from datakit.errors import CorruptDataError, UnknownNameError
from datakit.files.plain_text import read_json
from datakit.files.writing import write_whole

Unit: TypeAlias = Literal["characters", "words"]
Role: TypeAlias = Literal["pad", "unknown", "start", "end", "mask"]

ROLES: tuple[Role, ...] = ("pad", "unknown", "start", "end", "mask")
SPECIALS: Mapping[Role, str] = MappingProxyType({"pad": "<pad>", "unknown": "<unk>", "start": "<s>", "end": "</s>"})
"""The special tokens of a vocabulary, unless it is given others: their numbers are 0 to 3."""

_FORMAT, _VERSION = "datakit.vocab", 1
_SHORT = 32  # characters that are looked up faster one by one


@dataclass(frozen=True)
class Coverage:
    """How much of some texts a vocabulary knows.

    Attributes:
        tokens: how many characters or words they have.
        unknown: how many of these the vocabulary has no number for.
        missing: the most frequent of them, with how often they come.
    """

    tokens: int
    unknown: int
    missing: Mapping[str, int]

    @property
    def share(self) -> float:
        """Of the unknown ones, in [0, 1]; 0 for no tokens."""
        return self.unknown / max(self.tokens, 1)


class Vocab:
    """Characters or words with their numbers, the special tokens first.

    A text never makes a special token, whatever it spells. What has no number gets that of `unknown`; without one it is
    an error. Equal ones are equal, and they are pickled, saved and loaded whole.

    Args:
        tokens: characters or words, in the order of their numbers.
        unit: what a text is taken apart into.
        specials: roles and how they are written, in the order of their numbers; `{}` for none.
        pattern: a regular expression of a word; by default what stands between blanks.
        counts: how often each of `tokens` came in the data, where that is known.
        left_out: how many characters or words of the data have no number, where that is known.

    Attributes:
        tokens: all tokens by their number, special ones included.
        counts: int64 (n,), how often each came in the data; 0 for special ones.

    Raises:
        ValueError: for a token that is there twice, is empty, or is no single character where these are the unit.
        UnknownNameError: for another unit or role.

    Examples:
        >>> from datakit.text import NAME_LETTERS, Vocab
        >>> vocab = Vocab.characters(["Ana", "Anna"])
        >>> vocab, vocab.tokens
        (Vocab(7 characters, 4 of them special), ('<pad>', '<unk>', '<s>', '</s>', 'n', 'A', 'a'))
        >>> vocab.encode("Anja").tolist(), vocab.decode([5, 4, 4, 6])
        ([5, 4, 1, 6], 'Anna')
        >>> letters = Vocab(NAME_LETTERS, "characters", specials={})  # as the tutorial on names has them
        >>> len(letters), letters.one_hot("Jones").shape
        (57, torch.Size([5, 1, 57]))
    """

    tokens: tuple[str, ...]
    counts: np.ndarray[Any, np.dtype[np.int64]]

    def __init__(
        self,
        tokens: Iterable[str],
        unit: Unit,
        *,
        specials: Mapping[Role, str] = SPECIALS,
        pattern: str | None = None,
        counts: Iterable[int] | None = None,
        left_out: int = 0,
    ) -> None:
        own = list(tokens)
        _check(own, unit, specials, pattern)
        self.unit, self.pattern, self.specials = unit, pattern, dict(specials)
        self.tokens = (*specials.values(), *own)
        known = np.zeros(len(own), np.int64) if counts is None else np.fromiter(counts, np.int64)
        if len(known) != len(own):
            raise ValueError(f"there are {len(known)} counts for {len(own)} tokens")
        self.counts = np.concatenate([np.zeros(len(specials), np.int64), known])
        self.left_out = left_out
        self._prepare()

    @classmethod
    def characters(
        cls,
        texts: Iterable[str],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        specials: Mapping[Role, str] = SPECIALS,
    ) -> Self:
        """The characters (code points) of some texts, the most frequent ones first.

        Args:
            texts: read once, a few thousand at a time.
            min_count: what comes less often is left out.
            max_size: of the vocabulary, special tokens included.
            specials: as of the class.

        Raises:
            ValueError: for a size that the special tokens alone fill.
        """
        return cls._of(count_characters(texts), "characters", None, min_count, max_size, specials)

    @classmethod
    def words(
        cls,
        texts: Iterable[str],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        specials: Mapping[Role, str] = SPECIALS,
        pattern: str | None = None,
    ) -> Self:
        r"""The words of some texts, the most frequent ones first. Otherwise as `characters`.

        Args:
            texts: read once.
            min_count: what comes less often is left out.
            max_size: of the vocabulary, special tokens included.
            specials: as of the class.
            pattern: of a word, such as `\w+|[^\w\s]`; by default what stands between blanks.

        Examples:
            >>> from datakit.text import Vocab
            >>> Vocab.words(["so so", "so it goes"], specials={}, max_size=2).tokens
            ('so', 'goes')
        """
        return cls._of(count_words(texts, pattern), "words", pattern, min_count, max_size, specials)

    @classmethod
    def _of(
        cls,
        counted: Counter[str],
        unit: Unit,
        pattern: str | None,
        min_count: int,
        max_size: int | None,
        specials: Mapping[Role, str],
    ) -> Self:
        _check_specials(specials)
        room = len(counted) if max_size is None else max_size - len(specials)
        if room < 0 or min_count < 1:
            raise ValueError(
                f"a vocabulary with {len(specials)} special tokens has room for these and counts from 1 on, got "
                f"max_size={max_size}, min_count={min_count}"
            )
        for written in specials.values():  # a word that is written so stays unknown
            counted.pop(written, None) if unit == "words" else None
        ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
        kept = [item for item in ranked if item[1] >= min_count][:room]
        left_out = sum(counted.values()) - sum(count for _, count in kept)
        tokens, counts = [token for token, _ in kept], [count for _, count in kept]
        return cls(tokens, unit, specials=specials, pattern=pattern, counts=counts, left_out=left_out)

    def encode(self, text: str) -> torch.Tensor:
        """The numbers of a text, int64 (T,).

        Raises:
            ValueError: naming character or word and its place, where there is no `unknown` and no number for it.
        TypeError: for anything else than a str.
        """
        if not isinstance(text, str):
            raise TypeError(f"encode takes a text, got a {type(text).__name__}; words that are split already: ' '.join")
        return torch.from_numpy(self._numbers(text))

    def decode(self, numbers: Iterable[int], *, specials: bool = False) -> str:
        """The text of some numbers, without special tokens unless asked for; words with blanks between them.

        Raises:
            ValueError: for a number that is not in the vocabulary.
        """
        given = [int(number) for number in numbers]
        if outside := [number for number in given if not 0 <= number < len(self)]:
            raise ValueError(f"{outside[0]} is no number of a vocabulary of {len(self)}")
        first = 0 if specials else len(self.specials)
        kept = [self.tokens[number] for number in given if number >= first]
        return ("" if self.unit == "characters" else " ").join(kept)

    def one_hot(self, tokens: str | torch.Tensor) -> torch.Tensor:
        """A text or numbers (T,) as the tutorials take them, `float32` (T, 1, n); of a batch (B, T): (T, B, n)."""
        numbers = self.encode(tokens) if isinstance(tokens, str) else tokens
        batch = numbers[None] if numbers.ndim == 1 else numbers
        return torch.nn.functional.one_hot(batch.T, len(self)).to(torch.float32)

    def coverage(self, texts: Iterable[str], *, most: int = 10) -> Coverage:
        """How much of some texts has a number.

        Args:
            texts: read once.
            most: how many of the unknown ones are named.

        Examples:
            >>> from datakit.text import Vocab
            >>> known = Vocab.words(["it is cold", "it is late"])
            >>> known.coverage(["it was late", "it was cold"])
            Coverage(tokens=6, unknown=2, missing={'was': 2})
        """
        counted = count_characters(texts) if self.unit == "characters" else count_words(texts, self.pattern)
        unknown = Counter({token: count for token, count in counted.items() if token not in self._numbers_of})
        ranked = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))
        return Coverage(counted.total(), unknown.total(), dict(ranked[:most]))

    def token(self, number: int) -> str:
        """How a number is written."""
        return self.tokens[number]

    def number(self, token: str) -> int | None:
        """That of a character or word; None where it has none of its own."""
        return self._numbers_of.get(token)

    def is_special(self, number: int) -> bool:
        """Whether a number is that of a special token."""
        return 0 <= number < len(self.specials)

    def of(self, role: Role) -> int | None:
        """The number of a special token; None where there is no such one.

        Examples:
            >>> from datakit.text import Vocab
            >>> vocab = Vocab.characters(["Ana"])
            >>> vocab.of("pad"), vocab.of("mask")
            (0, None)
        """
        if role not in ROLES:
            raise UnknownNameError.of("role of a special token", role, ROLES)
        return list(self.specials).index(role) if role in self.specials else None

    def save(self, path: str | Path) -> None:
        """Write it as JSON, whole or not at all."""
        document = {
            "format": _FORMAT,
            "version": _VERSION,
            "unit": self.unit,
            "pattern": self.pattern,
            "specials": self.specials,
            "tokens": self.tokens[len(self.specials) :],
            "counts": self.counts[len(self.specials) :].tolist(),
            "left_out": self.left_out,
        }
        text = json.dumps(document, ensure_ascii=False, indent=1)
        if not text.isprintable() and any("\ud800" <= char <= "\udfff" for char in text):
            text = json.dumps(document, indent=1)  # half a character is no UTF-8
        write_whole(path, f"{text}\n".encode())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """As `save` wrote it.

        Raises:
            MissingDataError: there is no such file.
            CorruptDataError: it is no vocabulary of datakit's.

        Examples:
            >>> from datakit.text import Vocab
            >>> vocab = Vocab.words(["it is cold"])
            >>> vocab.save("vocab.json")
            >>> Vocab.load("vocab.json") == vocab
            True
        """
        return cls._from_document(read_json(path), path)

    @classmethod
    def _from_document(cls, document: Mapping[str, Any], path: str | Path) -> Self:
        if document.get("format") != _FORMAT or document.get("version") != _VERSION:
            raise CorruptDataError(f"{path}: no vocabulary that Vocab.save of this version wrote")
        try:
            listed = [*document["tokens"], *document["specials"].values()]
            if not all(isinstance(token, str) for token in listed):
                raise TypeError("a token is text")
            options = {key: document[key] for key in ("specials", "pattern", "counts", "left_out")}
            return cls(document["tokens"], document["unit"], **options)
        except (KeyError, TypeError, ValueError, AttributeError, LookupError) as error:
            raise CorruptDataError(f"{path}: a damaged vocabulary: {type(error).__name__}: {error}") from error

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._numbers_of

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocab):
            return NotImplemented
        return self._identity() == other._identity() and np.array_equal(self.counts, other.counts)

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        special = f", {len(self.specials)} of them special" if self.specials else ""
        return f"Vocab({len(self):,} {self.unit}{special})"

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if not key.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._prepare()

    def _identity(self) -> tuple[Any, ...]:
        return self.unit, self.pattern, tuple(self.specials.items()), self.tokens, self.left_out

    def _prepare(self) -> None:
        first = len(self.specials)
        self._numbers_of = {token: number for number, token in enumerate(self.tokens[first:], first)}
        self._unknown = self.of("unknown")
        self._words = compiled(self.pattern)
        self._table = np.empty(0, np.int64)
        if self.unit == "characters":  # by code point; the last place is for those beyond it
            highest = max(map(ord, self._numbers_of), default=-1)
            self._table = np.full(highest + 2, -1 if self._unknown is None else self._unknown, np.int64)
            for token, number in self._numbers_of.items():
                self._table[ord(token)] = number

    def _numbers(self, text: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        if self.unit == "characters" and len(text) > _SHORT:
            codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
            numbers = self._table[np.minimum(codes, len(self._table) - 1)]
        else:
            unknown, find = -1 if self._unknown is None else self._unknown, self._numbers_of.get
            parts = text if self.unit == "characters" else words_of(text, self._words)
            numbers = np.array([find(part, unknown) for part in parts], np.int64)
        if self._unknown is None and len(numbers) and numbers.min() < 0:
            place = int(np.argmin(numbers))
            missing = text[place] if self.unit == "characters" else words_of(text, self._words)[place]
            raise ValueError(
                f"{missing!r}, {self.unit[:-1]} {place} of {text[:60]!r}, is not in {self!r}, nor is unknown"
            )
        return numbers


def _check_specials(specials: Any) -> None:
    if not isinstance(specials, Mapping):
        raise TypeError(f"specials are roles and how they are written, such as {dict(SPECIALS)}, not {specials!r}")
    for role in specials:
        if role not in ROLES:
            raise UnknownNameError.of("role of a special token", role, ROLES)


def _check(tokens: Sequence[str], unit: str, specials: Mapping[Role, str], pattern: str | None) -> None:
    if unit not in ("characters", "words"):
        raise UnknownNameError.of("unit", unit, ("characters", "words"))
    _check_specials(specials)
    if pattern is not None and unit == "characters":
        raise ValueError("a pattern is of words, not of characters")
    if twice := [token for token, count in Counter(chain(specials.values(), tokens)).items() if count > 1]:
        raise ValueError(f"the token {twice[0]!r} is there twice")
    if wrong := [token for token in tokens if not token or (unit == "characters" and len(token) != 1)]:
        raise ValueError(f"{wrong[0]!r} is no token of a vocabulary of {unit}")
