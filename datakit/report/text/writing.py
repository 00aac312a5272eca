"""How a token and a text are written so that all of it can be seen."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Literal

TINTS = 6
"""Quiet colours of ordinary tokens; equal tokens have the same."""

_NAMED = {" ": "␣", "\n": "⏎", "\t": "⇥"}
_JOINERS = "\u200c\u200d"  # they belong to the spelling inside a word
_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
_KEPT = "\n\t"  # of controls, in a text


def visible(token: str) -> str:
    """A token with its blanks and control characters as signs; `∅` for an empty one.

    A character that is not seen by itself is written as `U+200B`, an accent alone on a dotted circle.
    """
    is_word = len(token) > 1
    whole = "".join(char if is_word and char in _JOINERS else _sign(char) for char in token)
    return f"◌{whole}" if token and unicodedata.category(token[0]).startswith("M") else whole or "∅"


def readable(text: str) -> str:
    """A text with its control characters as signs, but for line ends and tabs; those that turn its direction too."""
    return "".join(_sign(char) if _is_control(char) else char for char in text)


def wide(text: str) -> int:
    """How many columns of a terminal a text takes: two for a wide character, none for an accent."""
    kinds = ((unicodedata.east_asian_width(char), unicodedata.category(char)) for char in text)
    return sum(0 if kind in ("Mn", "Me", "Cf") else 2 if width in "WF" else 1 for width, kind in kinds)


def tint(number: int) -> int:
    """The place of a token's colour among the `TINTS`, by a hash of its number."""
    return (number * 2_654_435_761 >> 12) % TINTS


def direction(tokens: Iterable[str]) -> Literal["ltr", "rtl"]:
    """The direction in which tokens are read, by the first one that has any."""
    for kind in (unicodedata.bidirectional(char) for token in tokens for char in token):
        if kind in ("L", "R", "AL"):
            return "ltr" if kind == "L" else "rtl"
    return "ltr"


def _is_control(char: str) -> bool:
    is_turn = unicodedata.bidirectional(char) in _TURNS
    return char not in _KEPT and (is_turn or unicodedata.category(char) in ("Cc", "Cs"))


def _sign(char: str) -> str:
    if char in _NAMED:
        return _NAMED[char]
    kind = unicodedata.category(char)
    return f"U+{ord(char):04X}" if kind[0] == "Z" or kind in ("Cc", "Cf", "Cs", "Co", "Cn") else char
