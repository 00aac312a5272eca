"""An offender on the page: its record, those that it goes with, and what is shown of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from datakit.inspection.summary import Row
from datakit.report.figure import Figure
from datakit.report.text.passages import Passage


@dataclass(frozen=True)
class Member:
    """A record on the page.

    Attributes:
        name: such as `train[17]`.
        path: the file behind it; empty where that is not known.
        figures: its image or its sound, as loaded or after a transform.
        passages: its texts and tokens.
        rows: what its keys hold, where there is nothing else to show.
        error: why it is not shown.
        detail: what is special about it.
        label: the name of its class; empty where it has none.
        left_out: why nothing was tried to show it.
    """

    name: str
    path: str
    figures: tuple[Figure, ...] = ()
    passages: tuple[Passage, ...] = ()
    rows: tuple[Row, ...] = ()
    error: str = ""
    detail: str = ""
    label: str = ""
    left_out: str = ""


@dataclass(frozen=True)
class Exhibit:
    """An offender, and the records that it goes with.

    Attributes:
        members: the offender first.
        others: how many more records it goes with.
    """

    members: tuple[Member, ...]
    others: int = 0

    @property
    def figures(self) -> int:
        """How many pictures stand beside each other."""
        return sum(len(member.figures) for member in self.members)

    @property
    def form(self) -> Literal["pictures", "plots", "texts", "words"]:
        """What it mostly is: that decides how much room it gets."""
        figures = [figure for member in self.members for figure in member.figures]
        if any(figure.svg for figure in figures):
            return "plots"
        if any(one.passages for one in self.members):
            return "texts"
        return "pictures" if figures and not any(one.rows for one in self.members) else "words"
