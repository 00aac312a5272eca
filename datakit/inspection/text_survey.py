"""What a survey counts of the texts and the tokens of its records."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from datakit.coding import Coder
from datakit.counting import words_of
from datakit.inspection.survey import Lengths, Texts, TokenCounts
from datakit.inspection.text import TOKEN_KEYS, Coders, Numbers, coders_after, kinds_of, numbers_of, texts_in
from datakit.transforms import Encode
from datakit.transforms.text import TOKENS
from datakit.vocab import Vocab

_MISSING = 100_000  # different unknown ones that are counted; later ones are not
_NAMED = 10
_LONG = 64  # characters of an unknown one that are kept


@dataclass(frozen=True)
class TokenNumbers:
    """Of the tokens of one record.

    Attributes:
        length: how many.
        kinds: how many of which kind.
        numbers: the different ones, int64.
        size: of the vocabulary; None where it is not known.
        unit: of the vocabulary: characters, words or tokens.
    """

    length: int
    kinds: Mapping[str, int]
    numbers: Numbers
    size: int | None
    unit: str = "tokens"


@dataclass
class TextNumbers:
    """Of the texts and tokens of one record.

    Attributes:
        characters: of each text, as loaded.
        tokens: at the end of the chain, by key.
        missing: how often each character or word without a number comes, by the key of its tokens.
    """

    characters: dict[str, int]
    tokens: dict[str, TokenNumbers] = field(default_factory=dict)
    missing: dict[str, Counter[str]] = field(default_factory=dict)


class Reader:
    """Looks at a record stage by stage.

    Args:
        known: transforms by the name of their stage.
    """

    def __init__(self, known: Mapping[str, Any]) -> None:
        self.known = known
        self.names: list[str] = []
        self.numbers = TextNumbers({})

    def see(self, name: str, sample: Any) -> None:
        """The next stage, and the sample after it."""
        if not self.names:
            self.numbers.characters.update({key: len(text) for key, text in texts_in(sample).items()})
        self.names.append(name)
        step = self.known.get(name)
        if isinstance(step, Encode) and (text := texts_in(sample).get(step.key)) is not None:
            tokens = numbers_of(sample.get(TOKENS[step.key]))
            if tokens is not None and (tokens == step.codes.of("unknown")).any():
                self.numbers.missing[TOKENS[step.key]] = missing(text, step.codes)

    def last(self, sample: Any) -> TextNumbers:
        """What is known after the last stage, which made this sample."""
        coders = coders_after(self.names, self.known)
        for key in TOKEN_KEYS if isinstance(sample, dict) else ():
            if (numbers := numbers_of(sample.get(key))) is not None:
                self.numbers.tokens[key] = _counted(numbers, key, coders)
        return self.numbers


def missing(text: str, coder: Coder) -> Counter[str]:
    """The characters or words of a text for which a vocabulary has no number, with how often they come.

    Of a tokenizer that does not say where its tokens are in the text, nothing.
    """
    if isinstance(coder, Vocab):
        is_words = coder.unit == "words"
        pattern = None if coder.pattern is None else re.compile(coder.pattern)
        parts = words_of(text, pattern) if is_words else text
        return Counter(part[:_LONG] for part in parts if part not in coder)
    encoded = coder.tokenizer.encode(text) if hasattr(coder, "tokenizer") else None
    places = zip(getattr(encoded, "ids", ()), getattr(encoded, "offsets", ()), strict=True)
    unknown = coder.of("unknown")
    return Counter(text[start:end][:_LONG] for number, (start, end) in places if number == unknown and end > start)


def _counted(numbers: Numbers, key: str, coders: Coders) -> TokenNumbers:
    coder = coders.of.get(key)
    each, counts = np.unique(numbers, return_counts=True)
    kinds: Counter[str] = Counter()
    for kind, count in zip(kinds_of(each, coder).tolist(), counts.tolist(), strict=True):
        kinds[kind] += count
    size, unit = None if coder is None else len(coder), coder.unit if isinstance(coder, Vocab) else "tokens"
    return TokenNumbers(len(numbers), kinds, each, size, unit)


class TextTally:
    """Sums over the records."""

    def __init__(self) -> None:
        self.characters: dict[str, array[int]] = {}
        self.lengths: dict[str, array[int]] = {}
        self.kinds: dict[str, Counter[str]] = {}
        self.used: dict[str, set[int]] = {}
        self.coders: dict[str, set[tuple[int | None, str]]] = {}
        self.missing: dict[str, Counter[str]] = {}

    def add(self, one: TextNumbers) -> None:
        """Count a record."""
        for key, length in one.characters.items():
            self.characters.setdefault(key, array("q")).append(length)
        for key, tokens in one.tokens.items():
            self.lengths.setdefault(key, array("q")).append(tokens.length)
            self.kinds.setdefault(key, Counter()).update(tokens.kinds)
            self.used.setdefault(key, set()).update(tokens.numbers.tolist() if tokens.size is not None else ())
            self.coders.setdefault(key, set()).add((tokens.size, tokens.unit))
        for key, counts in one.missing.items():
            known = self.missing.setdefault(key, Counter())
            has_room = len(known) < _MISSING
            known.update(counts if has_room else {part: count for part, count in counts.items() if part in known})

    def result(self) -> Texts | None:
        """The figures; None where no record has text or tokens."""
        if not self.characters and not self.lengths:
            return None
        listed = (("characters", self.characters), ("tokens", self.lengths))
        lengths = (Lengths(key, unit, np.array(counts)) for unit, found in listed for key, counts in found.items())
        return Texts(tuple(lengths), tuple(counts for key in self.lengths if (counts := self._counts(key)) is not None))

    def _counts(self, key: str) -> TokenCounts | None:
        size, unit = next(iter(self.coders[key])) if len(self.coders[key]) == 1 else (None, "")
        if size is None:  # nobody knows, or parts of the dataset have a vocabulary each
            return None
        kinds = self.kinds[key]
        ranked = sorted(self.missing.get(key, Counter()).items(), key=lambda item: (-item[1], item[0]))
        return TokenCounts(
            key,
            unit,
            total=kinds.total() - kinds["ignored"],
            special=kinds["special"] + kinds["pad"],
            unknown=kinds["unknown"],
            outside=kinds["outside"],
            used=sum(0 <= number < size for number in self.used[key]),
            size=size,
            missing=tuple(ranked[:_NAMED]),
        )
