"""What a check of the machine found, and all of them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

Status: TypeAlias = Literal["ok", "note", "warning", "broken"]
STATUSES: tuple[Status, ...] = get_args(Status)
"""From harmless to what will break."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: of the check, such as `open files`.
        status: `ok`; `note` for what is worth knowing; `warning` for what may break or is slow; `broken` for what will.
        found: what is there, with figures.
        why: what comes of it; empty where all is well.
        fix: commands to paste, one a line; empty where there is nothing to do.
        group: of checks, such as `workers`; `examine` fills it in.
        figures: numbers behind `found`, for programs; bytes, cores, files.

    Examples:
        >>> from datakit.doctor import Check
        >>> Check("open files", "broken", "256 at most, 900 needed", "workers fail", "ulimit -n 4096").status
        'broken'
    """

    name: str
    status: Status
    found: str
    why: str = ""
    fix: str = ""
    group: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The check as JSON has it."""
        names = ("group", "name", "status", "found", "why", "fix")
        return {**{name: getattr(self, name) for name in names}, "figures": dict(self.figures)}


@dataclass(frozen=True)
class Load:
    """What the machine has to bear: a loader's workers and what they fetch ahead.

    Attributes:
        workers: processes that read.
        prefetch: batches that each of them makes ahead, `prefetch_factor`.
        batch_size: samples a batch.
        batch_bytes: bytes of the tensors of one batch; None where none was measured.
        batch_tensors: how many pieces of memory these are, each an open file while it is shared.
        source: where the figures of the batch come from.
    """

    workers: int
    prefetch: int = 2
    batch_size: int = 32
    batch_bytes: int | None = None
    batch_tensors: int = 2
    source: str = ""

    @property
    def in_flight(self) -> int:
        """Batches that lie in shared memory at once, at most.

        torch's DataLoader asks for `prefetch` batches of every worker ahead; beside them there are the batch of the
        last step, which the loop still holds, and the one that it is being given. 0 without workers: nothing is shared.
        """
        return self.workers * self.prefetch + 2 if self.workers else 0

    def document(self) -> dict[str, Any]:
        """The load as JSON has it."""
        names = ("workers", "prefetch", "batch_size", "batch_bytes", "batch_tensors", "in_flight", "source")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Report:
    """What `datakit doctor` found.

    Attributes:
        checks: in the order in which they were made.
        interrupted: whether Ctrl-C came before the last of them.

    Examples:
        >>> from datakit.doctor import Check, Report
        >>> report = Report((Check("swap", "ok", "none"), Check("cache", "broken", "not writable")))
        >>> report.exit_code, report.summary()
        (1, '1 broken, 1 ok')
    """

    checks: tuple[Check, ...]
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, 1 where something will break, else 0."""
        if self.interrupted:
            return 130
        return int(any(check.status == "broken" for check in self.checks))

    def counts(self) -> dict[Status, int]:
        """Checks of each status, the worst first."""
        return {status: sum(check.status == status for check in self.checks) for status in reversed(STATUSES)}

    def summary(self) -> str:
        """The counts in words, such as `1 broken, 2 warnings, 20 ok`."""
        counts = self.counts()
        plural = {"note": "notes", "warning": "warnings"}
        words = [f"{n} {status if n == 1 else plural.get(status, status)}" for status, n in counts.items() if n]
        return ", ".join(words) or "nothing was looked at"
