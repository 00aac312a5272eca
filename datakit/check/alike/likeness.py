"""How two samples are alike."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Likeness:
    """That two samples are nearly the same.

    Attributes:
        what: `picture`, `sound` or `text`.
        ways: how they differ, such as `mirrored` and `at another size`; `identical` where they do not.
        figure: how near they are, 0 … 1: the correlation of pictures and sounds, the share of the words of two texts
            that are the same.

    Examples:
        >>> str(Likeness("picture", ("mirrored", "darker"), 0.9931))
        'the same picture, mirrored, darker (0.993)'
    """

    what: str
    ways: tuple[str, ...]
    figure: float

    def __str__(self) -> str:
        return ", ".join((f"the same {self.what}", *self.ways)) + f" ({self.figure:.3f})"
