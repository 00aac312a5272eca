"""Whether two texts are nearly the same, by their characters."""

from __future__ import annotations

import difflib
import unicodedata

import numpy as np

from datakit.check.alike.likeness import Likeness
from datakit.check.alike.texts import LONG, normal, shingles

NEAR = 0.8
"""Share of the strings of five characters that two texts have in common, of those that either has."""


def text_likeness(one: str, other: str) -> Likeness | None:
    """How the second of two texts is the first one again; None where it is another one.

    Texts of less than `LONG` words must be equal but for case, blanks, punctuation and Unicode forms, and all must have
    the same words with digits: `in 2019` and `in 2020` are two sentences.
    """
    if one == other:
        return Likeness("text", ("identical",), 1.0)
    first, second = normal(one), normal(other)
    if not first or not second:
        return None
    if first == second:
        return Likeness("text", (_form(one, other),), 1.0)
    words = first.split(), second.split()
    if min(map(len, words)) < LONG or _numbers(words[0]) != _numbers(words[1]):
        return None
    share = jaccard(first, second)
    return Likeness("text", (_changed(*words),), share) if share >= NEAR else None


def jaccard(one: str, other: str) -> float:
    """Share of the strings of `SHINGLE` characters that two texts have in common, of those that either has."""
    first, second = shingles(one), shingles(other)
    both = len(np.intersect1d(first, second, assume_unique=True))
    return both / (len(first) + len(second) - both)


def _numbers(words: list[str]) -> list[str]:
    return [word for word in words if any(char.isdigit() for char in word)]


def _form(one: str, other: str) -> str:
    """In what two texts differ that are normally the same."""
    if unicodedata.normalize("NFKC", one) == unicodedata.normalize("NFKC", other):
        return "in another Unicode form"
    if one.split() == other.split():
        return "with other blanks"
    if " ".join(one.split()).casefold() == " ".join(other.split()).casefold():
        return "in another case"
    return "with other punctuation, case or blanks"


def _changed(one: list[str], other: list[str]) -> str:
    """How many words differ, if both are not too long to say."""
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    changes = [(c - b, e - d) for kind, b, c, d, e in matcher.get_opcodes() if kind != "equal"]
    count = sum(max(pair) for pair in changes)
    return f"with {count} word{'s' * (count != 1)} changed"
