"""What datakit's own transforms share: frozen dataclasses that take the sample's generator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import MISSING, fields
from typing import Any, ClassVar

import numpy as np

from datakit.sample import Sample
from datakit.sampling import global_generator


class Shown:
    """Prints a frozen dataclass as it was probably typed: `RandomCrop(224)`, without what is as by default.

    Attributes:
        is_deterministic: it draws nothing, not even from a global generator, so that none is seeded for it.
    """

    is_deterministic: ClassVar[bool] = True

    def __repr__(self) -> str:
        shown = []
        for field in fields(self):  # type: ignore[arg-type]
            if not field.init:
                continue
            value = getattr(self, field.name)
            if field.default is MISSING:
                shown.append(repr(value))
            elif value != field.default:
                shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


class Random(Shown, ABC):
    """A random transform in two halves: `draw` holds all the chance, `apply` none.

    A subclass is a frozen dataclass, with `repr=False` to be printed as it was typed. Called without a generator it
    draws from one that torch's global generator seeds, so that `torch.manual_seed` does what a reader expects.

    Examples:
        >>> from dataclasses import dataclass
        >>> from datakit.transforms import Random
        >>> @dataclass(frozen=True, repr=False)
        ... class Shift(Random):
        ...     '''Add a whole number up to `most`.'''
        ...
        ...     most: int = 3
        ...
        ...     def draw(self, sample, rng):
        ...         return int(rng.integers(1, self.most + 1))
        ...
        ...     def apply(self, sample, params):
        ...         return {**sample, "number": sample["number"] + params}
        >>> Shift(5)
        Shift(most=5)
        >>> Shift(1)({"number": 7})
        {'number': 8}
    """

    is_deterministic: ClassVar[bool] = False

    @abstractmethod
    def draw(self, sample: Sample, rng: np.random.Generator) -> Any:
        """Choose the parameters for this sample. The only random code."""

    @abstractmethod
    def apply(self, sample: Sample, params: Any) -> Sample:
        """The transformed sample; the given one is left as it is."""

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None) -> Sample:
        """`apply` with what `draw` chose."""
        return self.apply(sample, self.draw(sample, rng or global_generator()))


def as_size(name: str, size: Any) -> tuple[int, int]:
    """(height, width) of an int, for a square, or of a pair.

    Raises:
        ValueError: for anything else, and for sizes below 1.
    """
    height, width = (size, size) if isinstance(size, int) else (*size, 0, 0)[:2]
    is_pair = isinstance(size, int) or len(size) == 2
    if not is_pair or not all(isinstance(side, int) and side > 0 for side in (height, width)):
        raise ValueError(f"{name} needs a positive int or (height, width), got {size!r}")
    return height, width


def check_probability(name: str, p: float) -> None:
    """Raise ValueError unless 0 <= p <= 1."""
    if not 0 <= p <= 1:
        raise ValueError(f"{name} needs a probability in [0, 1], got p={p!r}")
