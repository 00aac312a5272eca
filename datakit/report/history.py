"""What became of every key of a sample, stage by stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from datakit.inspection.summary import Row, equal, fields, row_of


@dataclass(frozen=True)
class Step:
    """What one stage did to a key.

    Attributes:
        stage: its name.
        status: `loaded` for what was there from the first stage on.
        before: None where the key was not there.
        after: None where it is there no more.
    """

    stage: str
    status: Literal["loaded", "changed", "added", "dropped"]
    before: Row | None
    after: Row | None


@dataclass(frozen=True)
class History:
    """A key through all stages: those that it was not touched by are left out."""

    key: str
    steps: tuple[Step, ...]

    @property
    def is_changed(self) -> bool:
        """Whether any stage did something to it."""
        return any(step.status != "loaded" for step in self.steps)


def history(stages: Sequence[tuple[str, Any]]) -> list[History]:
    """What became of every key of a sample, from (name, sample) of every stage."""
    tables = [(name, dict(fields(sample))) for name, sample in stages]
    keys = dict.fromkeys(key for _, table in tables for key in table)
    return [History(key, tuple(_steps(key, tables))) for key in keys]


def _steps(key: str, tables: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[Step]:
    row: Row | None = None
    last = tables[0][1]
    for place, (stage, table) in enumerate(tables):
        before = row
        if key in table and (before is None or not equal(last[key], table[key])):
            row = row_of(key, table[key])
            first: Literal["loaded", "added"] = "added" if place else "loaded"
            yield Step(stage, first if before is None else "changed", before, row)
        elif key not in table and before is not None:
            row = None
            yield Step(stage, "dropped", before, None)
        last = table
