"""Bars, what was measured against them, and the result of a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal

from datakit.phrasing import number


@dataclass(frozen=True)
class Check:
    """A figure and the bar that it must reach.

    Attributes:
        what: what was measured.
        figure: the value; None where the run was too short to measure it.
        bar: the value to reach.
        better: whether a `high` figure is a good one, or a `low` one.
        unit: `%` for shares in [0, 1], which are shown as percent; anything else is written behind the number.
        key: the figure of each epoch that this is the last of; the curve draws the bar beside it.
        of: what the figure is a share of, such as `of the mean shape's`.

    Examples:
        >>> from datakit.reference import Check
        >>> check = Check("accuracy", 0.472, 0.45, unit="%")
        >>> print(check, check.passed)
        accuracy 47.2 % (bar: at least 45 %) True
        >>> Check("accuracy", float("nan"), 0.45, unit="%").passed
        False
    """

    what: str
    figure: float | None
    bar: float
    better: Literal["high", "low"] = "high"
    unit: str = ""
    key: str = ""
    of: str = ""

    @property
    def passed(self) -> bool:
        """Whether the bar is reached; not where the figure is missing or not a number."""
        if self.figure is None:
            return False
        return self.figure >= self.bar if self.better == "high" else self.figure <= self.bar

    def __str__(self) -> str:
        figure = "not measured" if self.figure is None else f"{shown(self.figure, self.unit)} {self.of}".rstrip()
        least = "at least" if self.better == "high" else "at most"
        missed = "" if self.passed else ", missed"
        return f"{self.what} {figure} (bar: {least} {shown(self.bar, self.unit)}{missed})"


@dataclass(frozen=True)
class Bar:
    """What a figure must reach, as it stands before any run; `datakit train --list` tells it.

    Attributes:
        what: what is measured.
        bar: the value to reach; a text that says it in words where it is computed from the data.
        better: whether a `high` figure is a good one, or a `low` one.
        unit: as of `Check`.
        key: as of `Check`.
        of: as of `Check`.
        when: for which runs it holds, such as `on the synthetic copy`; empty for all.

    Examples:
        >>> from datakit.reference import Bar
        >>> bar = Bar("error", 0.75, "low", "%", of="of the mean shape's")
        >>> print(bar)
        error: at most 75 % of the mean shape's
        >>> print(bar.check(0.5))
        error 50 % of the mean shape's (bar: at most 75 %)
        >>> print(Bar("accuracy", "the share of the larger class").check(0.5, bar=0.6))
        accuracy 0.5 (bar: at least 0.6, missed)
    """

    what: str
    bar: float | str
    better: Literal["high", "low"] = "high"
    unit: str = ""
    key: str = ""
    of: str = ""
    when: str = ""

    def check(
        self, figure: float | None, *, bar: float | None = None, what: str | None = None, of: str | None = None
    ) -> Check:
        """The figure held against it.

        Args:
            figure: what came out; None where it was not measured.
            bar: the value, where it is computed from the data; only there.
            what: in place of `what`, with what the data say.
            of: in place of `of`, likewise.

        Raises:
            ValueError: for a value in place of a fixed one, and where a computed one is not given.
        """
        if isinstance(self.bar, str) is (bar is None):
            raise ValueError(f"the bar of {self.what} is {self.bar!r}, got the value {bar}")
        value = self.bar if bar is None else bar
        own = (self.what if what is None else what, self.unit, self.key, self.of if of is None else of)
        return Check(own[0], figure, float(value), self.better, *own[1:])

    def __str__(self) -> str:
        when = f", {self.when}" if self.when else ""
        if self.better == "low" and self.bar == 0:
            return f"no {self.what}{when}"
        least = "at least" if self.better == "high" else "at most"
        value = self.bar if isinstance(self.bar, str) else f"{shown(self.bar, self.unit)} {self.of}".rstrip()
        return f"{self.what}{when}: {least} {value}"


@dataclass(frozen=True)
class Result:
    """What a run came to. Printed, it is the last line of `datakit train`.

    Attributes:
        name: of the reference.
        sabotage: the bug that was put in on purpose; empty for none.
        data: what it was trained on.
        checks: every one of them must be passed.
        epochs: how many were trained.
        seconds: the time of these, evaluation and loading included.
        lines: tables and other text for a person to read.
        notes: what a reader must know, such as missing pretrained weights.
        pictures: files that were written; the first is the curve, where something is learnt.
    """

    name: str
    sabotage: str
    data: str
    checks: Sequence[Check]
    epochs: int
    seconds: float
    lines: Sequence[str] = ()
    notes: Sequence[str] = ()
    pictures: Sequence[Path] = ()

    @property
    def passed(self) -> bool:
        """Whether every bar is reached, and there is one."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "NOT PASSED"
        return f"{titled(self.name, self.sabotage)}: {'; '.join(map(str, self.checks)) or 'no bar'}: {verdict}"


def titled(name: str, bug: str) -> str:
    """What a run is called, such as `faces with split-leaks`."""
    return f"{name} with {bug}" if bug else name


def shown(value: float, unit: str = "") -> str:
    """A figure for people.

    Examples:
        >>> from datakit.reference.checks import shown
        >>> shown(0.4567, "%"), shown(12.0, "px"), shown(0.01234), shown(10000)
        ('45.7 %', '12 px', '0.01234', '10,000')
    """
    text = f"{value * 100:.1f}".removesuffix(".0") if unit == "%" else number(value) if isfinite(value) else str(value)
    return f"{text} {unit}".rstrip()


def placeless(data: str) -> str:
    """A description of data without the folders of this machine, for what others will read.

    Examples:
        >>> from datakit.reference.checks import placeless
        >>> placeless("FaceLandmarks('/home/me/data'): 69 records")
        "FaceLandmarks('data'): 69 records"
    """
    return re.sub(r"'[^']*/(?=[^']*')", "'", data)
