"""Texts and tokens as pictures, for contact sheets and TensorBoard; the page has them as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from datakit.inspection.text import Coders, texts_in, tokens_in
from datakit.inspection.text_batch import TokenBatch
from datakit.report.lettering import cut, font
from datakit.report.text.chips import Chip, chip_of, run_of
from datakit.report.text.colours import FILL, INK, LETTERS, OVERVIEW, QUIET, Colour
from datakit.report.text.passages import prose_of

_TEXT, _SMALL, _LINE = 17, 11, 24  # pixels of letters, of numbers, from line to line
_CHIP, _GAP, _PAD = 38, 4, 7  # height of a chip, between chips, beside its letters
_LINES, _CHIPS = 8, 160  # of a text, of a sequence
_WIDTH = 1600  # of a matrix
_NAME = 150  # of the names of its samples
_CELL, _READABLE = 74, 22  # pixels of a step, at most; from which on it has letters
_STEPS = 1400  # of a matrix

_FALLBACK: Colour = (255, 255, 255)


def sample_picture(sample: Any, coders: Coders, width: int) -> Image.Image | None:
    """The texts and tokens of a sample on white; None without any.

    Args:
        sample: of the inspection.
        coders: what its tokens stand for.
        width: of the picture, pixels.
    """
    parts = [_prose(prose_of(key, text).first, width) for key, text in texts_in(sample).items()]
    for tokens in tokens_in(sample, coders):
        chips = run_of(tokens, _CHIPS).first
        left = len(tokens.numbers) - len(chips)
        parts.append(_chips(chips, left, width))
    return _stacked(parts, width) if parts else None


def matrix_picture(batches: Sequence[TokenBatch], names: Sequence[str], most: int) -> Image.Image:
    """The tokens of a batch, a row for each sample, a column for each step; the matrices of two keys under each other.

    Args:
        batches: at least one.
        names: of the samples.
        most: samples that are drawn, from the first on.
    """
    return _stacked([_matrix(one, names, most) for one in batches], _WIDTH, margin=28)


def _stacked(parts: Sequence[Image.Image], width: int, margin: int = 0) -> Image.Image:
    """Pictures under each other, on white that is as wide as the widest one."""
    wide = max(part.width for part in parts) + 2 * margin
    apart = max(8, margin // 2)
    height = sum(part.height for part in parts) + apart * (len(parts) - 1) + 2 * margin
    whole, top = Image.new("RGB", (max(1, wide if margin else width), max(1, height)), "white"), margin
    for part in parts:
        whole.paste(part, (margin, top))
        top += part.height + apart
    return whole


def _prose(text: str, width: int) -> Image.Image:
    """A text in lines."""
    lines, letters = _wrapped(text, width, font(_TEXT)), font(_TEXT)
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], cut(lines[_LINES - 1] + " …", width, letters)]
    image = Image.new("RGB", (width, _LINE * max(1, len(lines))), "white")
    for place, line in enumerate(lines):
        ImageDraw.Draw(image).text((0, place * _LINE), line, fill=INK, font=letters)
    return image


def _wrapped(text: str, width: float, letters: ImageFont.FreeTypeFont) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and letters.getlength(f"{lines[-1]} {word}") > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".lstrip()
    return [cut(line, width, letters) for line in lines]


def _chips(chips: Sequence[Chip], left: int, width: int) -> Image.Image:
    """Chips that wrap, each with what is below it."""
    high = _CHIP * 2 + 2 if any(chip.below for chip in chips) else _CHIP
    places: list[tuple[float, int, float]] = []
    x, y = 0.0, 0
    for chip in chips:
        wide = min(float(width), max(_wide(chip), _wide(chip.below)))
        if x and x + wide > width:
            x, y = 0.0, y + high + _GAP
        places.append((x, y, wide))
        x += wide + _GAP
    more = _LINE if left else 0
    image = Image.new("RGB", (width, y + high + 1 + more), "white")
    pen = ImageDraw.Draw(image)
    for chip, (left_edge, top, wide) in zip(chips, places, strict=True):
        _chip(pen, chip, (left_edge, top, left_edge + wide, top + _CHIP))
        if chip.below is not None:
            _chip(pen, chip.below, (left_edge, top + _CHIP + 2, left_edge + wide, top + 2 * _CHIP + 2))
    if left:
        pen.text((0, y + high + 4), f"… {left:,} more", fill=QUIET, font=font(_TEXT - 3))
    return image


def _wide(chip: Chip | None) -> float:
    if chip is None:
        return 0.0
    return max(26.0, font(_TEXT).getlength(chip.text) + 2 * _PAD, font(_SMALL).getlength(chip.number) + 2 * _PAD)


def _chip(pen: ImageDraw.ImageDraw, chip: Chip, box: tuple[float, float, float, float]) -> None:
    """A token with its number in small letters."""
    left, top, right, bottom = box
    pen.rounded_rectangle(box, 5, fill=FILL.get(chip.look, _FALLBACK))
    middle, ink = (left + right) / 2, LETTERS.get(chip.look, INK)
    text = cut(chip.text, right - left, font(_TEXT))
    has_number = bool(chip.number) and bottom - top >= _CHIP
    pen.text((middle, top + (0.36 if has_number else 0.5) * (bottom - top)), text, ink, font(_TEXT), anchor="mm")
    if has_number:
        quiet = LETTERS.get(chip.look, QUIET)
        pen.text((middle, top + 0.79 * (bottom - top)), chip.number, quiet, font(_SMALL), anchor="mm")


def _matrix(batch: TokenBatch, names: Sequence[str], most: int) -> Image.Image:
    """Cells with letters where there is room, else with the colour of their kind alone."""
    kinds = batch.kinds(most, _STEPS)
    count = len(kinds)
    steps = kinds.shape[1]
    wide = min(_CELL, (_WIDTH - _NAME) // steps)
    cells = [[chip_of(number, kind, batch.coder) for number, kind in zip(row.tolist(), of.tolist(), strict=True)]
             for row, of in zip(batch.numbers[:most, :_STEPS], kinds, strict=True)]  # fmt: skip
    is_read = wide >= _READABLE
    if is_read:
        wide = min(wide, round(max(_wide(chip) for row in cells for chip in row)))
    high = _CHIP if is_read else max(8, min(_LINE - 4, 1200 // count))
    gap = 2 if is_read else 0
    image = Image.new("RGB", (_NAME + steps * wide, _LINE + count * (high + max(gap, 1))), "white")
    pen = ImageDraw.Draw(image)
    pen.text((0, 0), f"{batch.key}, {' × '.join(map(str, batch.numbers.shape))}", fill=QUIET, font=font(_TEXT - 3))
    for place, row in enumerate(cells):
        top = _LINE + place * (high + max(gap, 1))
        if high >= _SMALL:
            label = font(min(_TEXT - 3, high))
            pen.text((0, top + high / 2), cut(names[place], _NAME - 8, label), INK, label, anchor="lm")
        for step, chip in enumerate(row):
            left = _NAME + step * wide
            if kinds[place, step] == "pad":
                pen.rectangle((left, top, left + wide - gap - 1, top + high), fill=FILL["pad"])
            elif is_read:
                _chip(pen, chip, (left, top, left + wide - gap, top + high))
            else:
                pen.rectangle((left, top, left + wide - 1, top + high - 1), fill=OVERVIEW[str(kinds[place, step])])
    return image
