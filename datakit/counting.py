"""Counting the characters and the words of many texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

_CHUNK = 4096  # texts that are counted together


def compiled(pattern: str | None) -> re.Pattern[str] | None:
    """A regular expression of a word.

    Raises:
        ValueError: where it is none.
    """
    try:
        return None if pattern is None else re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error


def words_of(text: str, pattern: re.Pattern[str] | None) -> list[str]:
    """What stands between blanks, or the matches of a pattern."""
    return text.split() if pattern is None else [match.group() for match in pattern.finditer(text)]


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    if isinstance(texts, str):
        raise TypeError("a vocabulary is made of several texts, got one str; put it into a list")
    left = iter(texts)
    while chunk := list(islice(left, _CHUNK)):
        if wrong := [type(text).__name__ for text in chunk if not isinstance(text, str)]:
            raise TypeError(f"a vocabulary is made of texts, got a {wrong[0]} among them")
        yield chunk


def count_characters(texts: Iterable[str]) -> Counter[str]:
    """How often each code point comes."""
    counts = np.zeros(0x110000, np.int64)
    for chunk in _chunks(texts):
        codes = np.frombuffer("".join(chunk).encode("utf-32-le", "surrogatepass"), np.uint32)
        found = np.bincount(codes)
        counts[: len(found)] += found
    return Counter({chr(code): int(counts[code]) for code in np.flatnonzero(counts).tolist()})


def count_words(texts: Iterable[str], pattern: str | None) -> Counter[str]:
    """How often each word comes; `pattern` as of `Vocab.words`."""
    word, counted = compiled(pattern), Counter[str]()
    for chunk in _chunks(texts):
        for text in chunk:
            counted.update(words_of(text, word))
    return counted
