"""The colours of tokens in pictures; the page has its own in `parts.css`, for light and dark."""

from __future__ import annotations

from typing import TypeAlias

Colour: TypeAlias = tuple[int, int, int]

TINTS: tuple[Colour, ...] = (
    (226, 240, 239), (236, 233, 245), (244, 237, 224), (227, 237, 247), (245, 231, 236), (233, 242, 226),
)  # fmt: skip
"""Of ordinary tokens."""

FILL: dict[str, Colour] = {
    "special": (196, 226, 223), "unknown": (250, 214, 208), "hidden": (252, 234, 170), "outside": (163, 38, 28),
    "pad": (236, 238, 238), "ignored": (255, 255, 255), "plain": (240, 242, 242),
    **{f"c{place}": colour for place, colour in enumerate(TINTS)},
}  # fmt: skip
"""By the look of a chip."""

OVERVIEW: dict[str, Colour] = {
    "ordinary": (148, 196, 192), "special": (11, 110, 105), "unknown": (214, 69, 51), "hidden": (232, 183, 40),
    "outside": (90, 10, 10), "pad": (228, 230, 230), "ignored": (190, 196, 198),
}  # fmt: skip
"""By the kind of a place in a batch."""

LETTERS: dict[str, Colour] = {"outside": (255, 255, 255), "unknown": (138, 28, 20), "special": (6, 78, 74)}
"""By the look of a chip; `INK` for the others."""

INK: Colour = (29, 35, 39)
QUIET: Colour = (93, 104, 112)
