"""A sequence of tokens as chips: how each is written, its number, its colour, and what belongs below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datakit.coding import Coder
from datakit.inspection.text import Kind, Numbers, Tokens, kinds_of
from datakit.report.text.writing import direction, tint, visible

AT_ONCE = 120
"""Chips that are shown before the others are folded away."""

LEGEND: dict[str, str] = {
    "special": "special",
    "unknown": "unknown",
    "hidden": "to be found out by the model",
    "outside": "outside the vocabulary",
    "pad": "padding",
    "ignored": "left out of the loss",
}
"""What the colours of chips mean, those of ordinary tokens aside."""


@dataclass(frozen=True)
class Chip:
    """A token.

    Attributes:
        text: how it is written; its number where nobody knows.
        number: in small letters; empty where `text` is it.
        look: its kind, or the tint of an ordinary one, `c0` … `c5`.
        below: what belongs to it: the next token, or the one that was hidden.
    """

    text: str
    number: str
    look: str
    below: Chip | None = None


@dataclass(frozen=True)
class Run:
    """Tokens of one key.

    Attributes:
        key: `tokens` or `target_tokens`, or both where they belong together.
        details: their number, and what is below.
        first: those that are shown at once.
        folded: those that are shown on demand.
        unlisted: how many more there are.
        direction: in which they are read.
    """

    key: str
    details: str
    first: tuple[Chip, ...]
    folded: tuple[Chip, ...]
    unlisted: int
    direction: str

    @property
    def looks(self) -> set[str]:
        """Of all its chips."""
        chips = (*self.first, *self.folded)
        return {one.look for chip in chips for one in (chip, chip.below) if one is not None}


def run_of(tokens: Tokens, most: int) -> Run:
    """The chips of a sequence.

    Args:
        tokens: of a sample.
        most: chips, at most.
    """
    chips = _chips(tokens, min(most, len(tokens.numbers)))
    ordinary = [chip.text for chip in chips if chip.look.startswith("c")] if tokens.coder is not None else []
    key = tokens.key if tokens.targets is None else f"{tokens.key}, target_tokens"
    shown = AT_ONCE if len(chips) > AT_ONCE + AT_ONCE // 4 else len(chips)  # nobody unfolds three chips
    unlisted = len(tokens.numbers) - len(chips)
    return Run(key, _details(tokens), tuple(chips[:shown]), tuple(chips[shown:]), unlisted, direction(ordinary))


def chip_of(number: int, kind: Kind | str, coder: Coder | None, below: Chip | None = None) -> Chip:
    """A single token."""
    look = f"c{tint(number)}" if kind == "ordinary" and coder is not None else "plain" if kind == "ordinary" else kind
    if kind == "ignored":
        return Chip("·", "", look, below)
    if coder is None or kind == "outside" or not 0 <= number < len(coder):
        return Chip(str(number), "", look, below)
    return Chip(visible(coder.token(number)), str(number), look, below)


def legend_of(looks: set[str]) -> list[tuple[str, str]]:
    """(look, meaning) of those that need words."""
    return [(look, words) for look, words in LEGEND.items() if look in looks]


def _chips(tokens: Tokens, count: int) -> list[Chip]:
    numbers = tokens.numbers[:count]
    kinds = _kinds(numbers, tokens.coder, tokens.valid)
    below: Sequence[Chip | None] = [None] * count
    if tokens.targets is not None:
        targets, coder = tokens.targets[:count], tokens.target_coder
        looks = _kinds(targets, coder, tokens.valid)
        below = [chip_of(number, kind, coder) for number, kind in zip(targets.tolist(), looks.tolist(), strict=True)]
        if tokens.is_masked:
            below = [None if chip is None or chip.look == "ignored" else chip for chip in below]
            kinds = np.where([chip is not None for chip in below], "hidden", kinds)
    each = zip(numbers.tolist(), kinds.tolist(), below, strict=True)
    return [chip_of(number, kind, tokens.coder, under) for number, kind, under in each]


def _kinds(numbers: Numbers, coder: Coder | None, valid: int) -> np.ndarray:
    return np.where(np.arange(len(numbers)) < valid, kinds_of(numbers, coder), "pad")


def _details(tokens: Tokens) -> str:
    count = len(tokens.numbers)
    parts = [f"{count:,} token{'s' if count != 1 else ''}"]
    if tokens.valid < count:
        parts.append(f"padding from {tokens.valid:,} on")
    if tokens.is_masked and tokens.targets is not None:
        hidden = int((tokens.targets != -100).sum())
        parts.append(f"{hidden:,} hidden")
    elif tokens.targets is not None:
        parts.append("the target of each below it")
    return ", ".join(parts)
