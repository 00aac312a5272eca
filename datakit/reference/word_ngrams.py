"""How well a language is known by counts of its words alone: what a translation must be better than."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

_START, _END = "<s>", "</s>"


class WordNgrams:
    """The chance of each word after those before it, by counts, smoothed as Witten and Bell do: nothing is to be set.

    A context that came n times, with t different words after it, gives a word that came c times after it
    (c + t p) / (n + t), where p is its chance by the context that is a word shorter; at last all words are alike.

    Source: https://doi.org/10.1109/18.87000, method C.

    Args:
        sentences: to count, words with blanks between them.
        order: a word and how many before it: 1 for none.

    Attributes:
        words: how many different ones there are, with the end of a sentence.

    Examples:
        >>> from datakit.reference.word_ngrams import WordNgrams
        >>> counted = WordNgrams(["it is cold", "it is late"], order=2)
        >>> round(counted.chance(["it"], "is"), 3), round(counted.chance(["it"], "late"), 3)
        (0.744, 0.051)
    """

    def __init__(self, sentences: Sequence[str], order: int) -> None:
        self.order = order
        self._counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for sentence in sentences:
            row = self._row(sentence)
            for place in range(order - 1, len(row)):
                for before in range(order):
                    self._counts[tuple(row[place - before : place])][row[place]] += 1
        self.words = len(self._counts[()])

    def chance(self, before: Sequence[str], word: str) -> float:
        """Of a word after some others, the last ones of which are looked at; of "</s>" that the sentence ends there."""
        chance = 1 / self.words
        for length in range(min(self.order, len(before) + 1)):
            counts = self._counts.get(tuple(before[len(before) - length :]))
            if counts is None:
                break
            count, different = counts.total(), len(counts)
            chance = (counts[word] + different * chance) / (count + different)
        return chance

    def loss(self, sentences: Sequence[str]) -> float:
        """Nats a word, the ends of the sentences too; of the words that were counted, as no other has a chance."""
        losses = []
        for sentence in sentences:
            row = self._row(sentence)
            places = [place for place in range(self.order - 1, len(row)) if row[place] in self._counts[()]]
            losses += [-math.log(self.chance(row[:place], row[place])) for place in places]
        return sum(losses) / len(losses)

    def _row(self, sentence: str) -> list[str]:
        return [*[_START] * (self.order - 1), *sentence.split(), _END]
