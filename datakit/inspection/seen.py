"""One record as it was seen, stage by stage, and what there is to say about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from datakit.sampling import Key


@dataclass(frozen=True)
class Stage:
    """A sample as loaded or after one transform: the name of that, and the sample."""

    name: str
    sample: Any


@dataclass(frozen=True)
class Inspected:
    """One record under its key.

    Attributes:
        key: what the sample is a function of.
        path: the file behind it, where there is one.
        stages: as loaded and after every transform, as far as it came.
        error: why it came no further.
        failed: at which stage that was; empty where that is not known.
    """

    key: Key
    path: str | None
    stages: tuple[Stage, ...]
    error: str | None = None
    failed: str = ""


@dataclass(frozen=True)
class Finding:
    """Something that a person would want to know before training.

    Attributes:
        text: what it is, with key, stage and numbers, in one sentence.
        hint: what may be done about it; may be empty.
        indices: the first records that show it.
    """

    text: str
    hint: str = ""
    indices: tuple[int, ...] = ()
