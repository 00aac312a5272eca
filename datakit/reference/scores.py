"""What several trainings came to, for people and for programs."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from datakit.phrasing import shorten
from datakit.reference.checks import Check, shown
from datakit.reference.several import Outcome, Verdict

_HEAD = ("reference", "verdict", "figure", "bar", "seconds", "what was measured")
_WORDS: dict[Verdict, str] = {
    "passed": "passed", "missed": "missed a bar", "failed": "could not be run", "stopped": "stopped",
    "not begun": "not begun",
}  # fmt: skip
_NUMBERS = {2, 3, 4}  # columns
_LEAST = 20  # characters of the last column; for fewer it goes into a line of its own


def checks_of(outcome: Outcome) -> list[Check]:
    """The figures of a training, with their bars."""
    fields = ("what", "figure", "bar", "better", "unit")
    return [Check(**{field: check[field] for field in fields}) for check in (outcome.result or {}).get("checks", ())]


def table(outcomes: Sequence[Outcome], width: int = 80) -> list[str]:
    """A row for each: its first figure, or the first one that missed its bar.

    The last column is wrapped at `width`, and comes below the others where too little is left for it.
    """
    rows = [_HEAD, *map(_row, outcomes)]
    sizes = [max(len(row[column]) for row in rows) for column in range(len(_HEAD) - 1)]
    is_narrow = width < sum(sizes) + 2 * len(sizes) + _LEAST
    indent = "  " if is_narrow else " " * (sum(sizes) + 2 * len(sizes))
    found = []
    for *cells, last in rows:
        padded = [f"{cell:>{size}}" if column in _NUMBERS else f"{cell:<{size}}"
                  for column, (cell, size) in enumerate(zip(cells, sizes, strict=True))]  # fmt: skip
        begin = "  ".join(padded)
        if is_narrow:
            found += [begin.rstrip(), *textwrap.wrap(last, width, initial_indent=indent, subsequent_indent=indent)]
        else:
            wrapped = textwrap.wrap(last, width, initial_indent=f"{begin}  ", subsequent_indent=indent)
            found += wrapped or [begin.rstrip()]
    return found


def _row(outcome: Outcome) -> tuple[str, ...]:
    seconds = "" if outcome.verdict == "not begun" else f"{outcome.seconds:.1f}"
    name, checks = outcome.training.name, checks_of(outcome)
    if outcome.verdict not in ("passed", "missed") or not checks:
        return name, outcome.verdict, "", "", seconds, outcome.reason
    check = next((check for check in checks if not check.passed), checks[0])
    share = check.unit if check.unit == "%" else ""
    figure = "none" if check.figure is None else shown(check.figure, share)
    bar = f"{'≥' if check.better == 'high' else '≤'} {shown(check.bar, share)}"
    unit = f", {check.unit}" if check.unit and not share else ""
    return name, outcome.verdict, figure, bar, seconds, f"{check.what.rstrip(':')}{unit}"


def remarks(outcomes: Sequence[Outcome]) -> list[str]:
    """What else a reader must know: bars that were missed, why one could not be run and where its log is, notes."""
    lines = []
    for one in outcomes:
        name = one.training.name
        if one.verdict == "missed":
            lines += [f"{name} missed: {check}" for check in checks_of(one) if not check.passed]
        elif one.verdict == "failed":
            lines.append(f"{name} could not be run: {one.reason}")
        if one.verdict in ("missed", "failed"):
            lines.append(f"  its log: {one.training.log}")
    return [*lines, *(f"note on {names}: {note}" for note, names in _notes(outcomes).items())]


def _notes(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """The names of those that each note is of."""
    found: dict[str, list[str]] = {}
    for one in outcomes:
        for note in (one.result or {}).get("notes", ()):
            found.setdefault(shorten(note, 200), []).append(one.training.name)
    return {note: ", ".join(dict.fromkeys(names)) for note, names in found.items()}


def summary(outcomes: Sequence[Outcome], seconds: float, jobs: int) -> str:
    """The last line: how many came to what, and what it took."""
    counts = Counter(outcome.verdict for outcome in outcomes)
    told = [f"{counts[verdict]} {word}" for verdict, word in _WORDS.items() if counts[verdict]]
    cpu = sum(outcome.cpu_seconds for outcome in outcomes)
    many = f"of {len(outcomes)} references " if len(outcomes) > 1 else ""
    return f"{many}{', '.join(told)}; {seconds:.0f} s, {jobs} at a time ({cpu:.0f} s of processor time)"


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 where all passed, 1 where a bar was missed, 3 where one could not be run or was not run to its end."""
    verdicts = {outcome.verdict for outcome in outcomes}
    return 3 if verdicts - {"passed", "missed"} else 1 if "missed" in verdicts else 0


def document(outcomes: Sequence[Outcome], seconds: float, how: Mapping[str, Any]) -> dict[str, Any]:
    """All of it."""
    return {
        "passed": exit_code(outcomes) == 0,
        "seconds": seconds,
        "cpu_seconds": sum(outcome.cpu_seconds for outcome in outcomes),
        **how,
        "references": [
            {
                "name": one.training.name,
                "verdict": one.verdict,
                "seconds": one.seconds,
                "cpu_seconds": one.cpu_seconds,
                "exit_code": one.exit_code,
                "reason": one.reason,
                "log": str(one.training.log),
                "result": one.result,
            }
            for one in outcomes
        ],
    }
