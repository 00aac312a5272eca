"""What datakit raises. Every error crosses from a worker process whole: it is picklable with all its fields."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, Self


class DatakitError(Exception):
    """The base of every error that datakit raises on purpose."""


class MissingDataError(DatakitError, FileNotFoundError):
    """A file or folder that a dataset needs is not there."""


class CorruptDataError(DatakitError, ValueError):
    """A file is there, but its contents are not what its format promises."""


class DownloadError(DatakitError, OSError):
    """No mirror and no upstream address delivered the file."""


class CollateError(DatakitError, ValueError):
    """Samples that are fine one by one cannot be put into one batch."""


class StateError(DatakitError, ValueError):
    """A saved loader state does not belong to this loader."""


class WorkerError(DatakitError, RuntimeError):
    """A worker process died, hung or could not be started."""


class ReproducibilityError(DatakitError, RuntimeError):
    """The same key gave two different samples."""


class UnknownNameError(DatakitError, LookupError):
    """A name that is not among the known ones; the message suggests the nearest."""

    @classmethod
    def of(cls, kind: str, name: object, known: Iterable[str]) -> Self:
        """The error for `name`, which is no `kind` among `known`."""
        return cls(f"unknown {kind} {name!r}; {suggest(str(name), known)}")


class TargetError(DatakitError, ValueError):
    """What was asked for on the command line makes no sense as it stands; the message says how to ask."""


class SampleError(DatakitError, ValueError):
    """One record could not be turned into a sample.

    Attributes:
        dataset: name of the dataset, such as `FaceLandmarks`.
        index: the record's index in the dataset that was asked.
        path: the file behind the record, where there is one.
        stage: what was being done: `loading`, or the `repr` of a transform.
        cause: what went wrong, with the type of the original error.

    Examples:
        >>> from datakit import Mapped
        >>> from datakit.errors import SampleError
        >>> try:
        ...     Mapped([1, 2, 3], lambda number: 1 / (number - 2))[1]
        ... except SampleError as error:
        ...     print(error)
        Mapped[1]: ZeroDivisionError: division by zero (loading)
    """

    def __init__(
        self,
        cause: str,
        *,
        stage: str | None = None,
        dataset: str | None = None,
        index: int | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(cause)
        self.cause, self.stage, self.dataset, self.index, self.path = cause, stage, dataset, index, path

    @classmethod
    def of(cls, error: BaseException, **place: Any) -> Self:
        """`error` as a record that can be sent and counted; a `SampleError` keeps the place it already knows."""
        if isinstance(error, SampleError):
            known = {name: value for name, value in error._place().items() if value is not None}
            return cls(error.cause, **{**place, **known})
        text = str(error) or "no message"
        return cls(text if isinstance(error, DatakitError) else f"{type(error).__name__}: {text}", **place)

    def _place(self) -> dict[str, Any]:
        return {"stage": self.stage, "dataset": self.dataset, "index": self.index, "path": self.path}

    def __str__(self) -> str:
        where = f"{self.dataset or 'sample'}" + (f"[{self.index}]" if self.index is not None else "")
        path = f" {self.path}" if self.path and not _names(self.cause, self.path) else ""
        stage = f" ({self.stage})" if self.stage else ""
        return f"{where}{path}: {self.cause}{stage}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _sample_error, (type(self), self.cause, self._place()), {"__notes__": getattr(self, "__notes__", [])}


def _names(text: str, path: str) -> bool:
    """Whether `text` says `path` already, perhaps with folders before it."""
    return re.search(rf"(^|[\s'\"/]){re.escape(path)}($|[\s:,'\"])", text) is not None


def _sample_error(cls: type[SampleError], cause: str, place: dict[str, Any]) -> SampleError:
    return cls(cause, **place)


def suggest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'faces'?` where one of `known` is near `name`, and the list of them otherwise."""
    names = sorted(known)
    lowered = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), lowered, n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(repr(lowered[match]) for match in near) + "?"
    return "known: " + ", ".join(names) if names else "none are known"
