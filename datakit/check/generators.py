"""Generators that a dataset, its transforms or its loader keep for themselves."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

from datakit.check.findings import Finding
from datakit.check.objects import Held

_KINDS = (random.Random, np.random.Generator, np.random.RandomState, np.random.BitGenerator, torch.Generator)


def generators(found: Iterable[Held]) -> Iterator[Finding]:
    """A finding for each generator among the objects of `held`.

    The global ones, under whatever name, are no finding: they follow the key.

    Examples:
        >>> import numpy as np
        >>> from datakit import Mapped
        >>> from datakit.check.generators import generators
        >>> from datakit.check.objects import held
        >>> class Noise:
        ...     def __init__(self):
        ...         self.rng = np.random.default_rng(0)
        ...
        ...     def __call__(self, sample):
        ...         return {**sample, "value": sample["value"] + self.rng.normal()}
        >>> dataset = Mapped([{"value": 1.0}], transform=Noise())
        >>> for finding in generators(held(dataset, "dataset")):
        ...     print(finding.text)
        dataset.transform.rng is a numpy.random.Generator: the samples, or their order, depend on how often it was used
    """
    ours: set[int] = set()
    for one in found:
        if isinstance(one.value, _KINDS) and not _is_global(one.value) and id(one.value) not in ours:
            ours.update({id(one.value), id(getattr(one.value, "bit_generator", None))})
            yield Finding(
                "generator",
                f"{one.path} is a {_name(one.value)}: the samples, or their order, depend on how often it was used",
            )


def _is_global(generator: Any) -> bool:
    own = (getattr(random, "_inst", None), np.random.mtrand._rand, torch.default_generator)
    return any(generator is one for one in own)


def _name(generator: Any) -> str:
    kind = next(kind for kind in _KINDS if isinstance(generator, kind))
    module = "numpy.random" if kind.__module__.startswith("numpy") else kind.__module__.removeprefix("_")
    return f"{module.removesuffix('._C').replace('torch._C', 'torch')}.{kind.__name__}"
