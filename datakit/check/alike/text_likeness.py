"""Whether two texts are nearly the same, by their words."""

from __future__ import annotations

import difflib
import unicodedata

from datakit.check.alike.likeness import Likeness
from datakit.check.alike.texts import letters_of, normal, words_of

LONG = 20
"""Words of the longer one from which on some may differ: in a short text, a word is much of what it says."""

NEAR = 0.9
"""Share of the words of both that are the same in the same order: two of twenty may be others."""


def text_likeness(one: str, other: str) -> Likeness | None:
    """How the second of two texts is the first one again; None where it is another one.

    Short ones must be equal but for case, blanks, punctuation and Unicode forms. In long ones words may differ, but
    none with digits: `in 2019` and `in 2020` are two texts.
    """
    if one == other:
        return Likeness("text", ("identical",), 1.0)
    first, second = normal(one), normal(other)
    if not first or not second:
        return None
    if letters_of(first) == letters_of(second):
        return Likeness("text", (_form(one, other),), 1.0)
    words = words_of(first), words_of(second)
    if max(map(len, words)) < LONG or _numbers(words[0]) != _numbers(words[1]):
        return None
    matcher = difflib.SequenceMatcher(None, *words)
    if matcher.real_quick_ratio() < NEAR or matcher.quick_ratio() < NEAR or matcher.ratio() < NEAR:
        return None
    steps = (step for step in matcher.get_opcodes() if step[0] != "equal")
    count = sum(max(end - start, to - since) for _, start, end, since, to in steps)
    return Likeness("text", (f"with {count} word{'s' * (count != 1)} changed",), matcher.ratio())


def _numbers(words: list[str]) -> list[str]:
    return [word for word in words if any(char.isdigit() for char in word)]


def _form(one: str, other: str) -> str:
    """In what two texts differ that are normally the same."""
    if unicodedata.normalize("NFKC", one) == unicodedata.normalize("NFKC", other):
        return "in another Unicode form"
    if one.split() == other.split():
        return "with other blanks"
    if one.casefold() == other.casefold():
        return "in another case"
    return "with other punctuation, case or blanks"
