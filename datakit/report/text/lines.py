"""Tokens in a terminal, and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from datakit.inspection.survey import Lengths, Texts, TokenCounts
from datakit.inspection.text import TOKEN_KEYS, Coders, Tokens, texts_in, tokens_in
from datakit.phrasing import number
from datakit.report.styles import styled
from datakit.report.text.chips import Chip, Run, run_of
from datakit.report.text.writing import visible, wide

_WIDTH, _LONGEST = 79, 24  # columns of a line, of a token
_LISTED, _CHARACTERS = 1000, 20_000  # in JSON, of a sequence and of a text
_STYLED = {"special": "special", "unknown": "alarm", "outside": "alarm", "hidden": "look", "pad": "quiet"}
_NAMED = 5  # unknown ones


def token_lines(sample: Any, coders: Coders) -> list[str]:
    """The tokens of a sample with their numbers below, as many as fit into a line."""
    runs = [run_of(tokens, _WIDTH) for tokens in tokens_in(sample, coders)]
    margin = max((len(key) for run in runs for key in run.key.split(", ")), default=0)
    return [line for run in runs for line in _run_lines(run, margin)]


def _run_lines(run: Run, margin: int) -> list[str]:
    """Tokens, their numbers, and the same of what is below them."""
    chips = (*run.first, *run.folded)
    columns = [_columns(chip) for chip in chips]
    widths = [max(map(wide, column)) for column in columns]
    shown = _fitting(widths, _WIDTH - margin - 16)
    left = len(chips) - shown + run.unlisted
    key, _, other = run.key.partition(", ")
    lines = []
    for place, head in enumerate((key, "", other, "")):
        last = max((step for step in range(shown) if columns[step][place]), default=-1)
        cells = [
            _cell(chips[step], columns[step][place], 0 if step == last else widths[step], place)
            for step in range(last + 1)
        ]
        more = f"  … {left:,} more" if left and not place else ""
        if place == 0 or any(column[place] for column in columns[:shown]):
            lines.append(f"  {head.ljust(margin)}  {'  '.join(cells)}{more}".rstrip())
    return lines


def texts_json(sample: Any, coders: Coders) -> dict[str, Any]:
    """The texts and tokens of a stage; empty where it has none. Of long ones the start, and how much is left out."""
    texts = [
        {"key": key, "text": text[:_CHARACTERS], "left_out": max(0, len(text) - _CHARACTERS)}
        for key, text in texts_in(sample).items()
    ]
    alone = [one for key in TOKEN_KEYS for one in tokens_in(_only(sample, key), coders)]
    tokens = [
        {
            "key": one.key,
            "numbers": one.numbers[:_LISTED].tolist(),
            "tokens": _tokens(one),
            "left_out": max(0, len(one.numbers) - _LISTED),
        }
        for one in alone
    ]
    return {**({"texts": texts} if texts else {}), **({"tokens": tokens} if tokens else {})}


def survey_lines_of(texts: Texts) -> list[tuple[str, str]]:
    """Lengths, shares and the numbers that come, a line for each key."""
    counts = {one.key: one for one in texts.tokens}
    rows: list[tuple[str, str]] = []
    for one in texts.lengths:
        shares = f"; {_shares(counts[one.key])}" if one.key in counts else ""
        rows.append((one.key, f"{span_of(one)}{shares}"))
        if one.key in counts and (missing := named(counts[one.key], _NAMED)):
            rows.append(("", f"most often unknown: {missing}"))
    return rows


def span_of(lengths: Lengths) -> str:
    """Such as `2 … 15 characters, median 7`."""
    low, middle, high = (float(value) for value in np.quantile(lengths.lengths, (0, 0.5, 1)))
    if low == high:
        return f"all of {number(low)} {lengths.unit}"
    return f"{number(low)} … {number(high)} {lengths.unit}, median {number(middle)}"


def named(counts: TokenCounts, most: int) -> str:
    """What most often became unknown, with how often."""
    return ", ".join(f"{visible(part)} {count:,}" for part, count in counts.missing[:most])


def lengths_json(texts: Texts) -> dict[str, Any]:
    """The figures."""
    lengths = [
        {
            "key": one.key,
            "unit": one.unit,
            **dict(zip(("least", "median", "greatest"), np.quantile(one.lengths, (0, 0.5, 1)).tolist(), strict=True)),
        }
        for one in texts.lengths
    ]
    return {"lengths": lengths, "tokens": [_counts_json(one) for one in texts.tokens]}


def _counts_json(counts: TokenCounts) -> dict[str, Any]:
    shares = {"unknown_share": counts.unknown_share, "special_share": counts.special_share}
    return {**vars(counts), "missing": dict(counts.missing), **shares}


def _shares(counts: TokenCounts) -> str:
    unknown = f"{counts.unknown_share:.1%}".replace("%", " %") if counts.unknown else "0 %"
    special = f", {counts.special_share:.0%} special".replace("%", " %") if counts.special else ""
    return f"{unknown} unknown{special}; {counts.used:,} of {counts.size:,} numbers used"


def _columns(chip: Chip) -> list[str]:
    """What stands under each other."""
    below = ["", ""] if chip.below is None else [chip.below.text, chip.below.number]
    return [_cut(part) for part in (chip.text, chip.number, *below)]


def _fitting(widths: Sequence[int], room: int) -> int:
    """How many columns fit, with two blanks between them; one at least."""
    ends = np.cumsum(np.array(widths, np.int64) + 2)
    return min(len(widths), max(1, int((ends <= room).sum())))


def _cell(chip: Chip, text: str, width: int, place: int) -> str:
    padded = text + " " * (width - wide(text))
    look = chip.look if place < 2 or chip.below is None else chip.below.look
    if place % 2:
        return styled("quiet", padded)
    return styled(_STYLED[look], padded) if look in _STYLED else padded


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _only(sample: Any, key: str) -> Any:
    """The sample without the tokens of the other key."""
    others = set(TOKEN_KEYS) - {key}
    return {name: value for name, value in sample.items() if name not in others} if isinstance(sample, dict) else sample


def _tokens(tokens: Tokens) -> list[str | None] | None:
    """How they are written: None for a number that the vocabulary does not have; None where nobody knows."""
    coder, numbers = tokens.coder, tokens.numbers[:_LISTED].tolist()
    if coder is None:
        return None
    return [coder.token(number) if 0 <= number < len(coder) else None for number in numbers]
