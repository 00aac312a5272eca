"""Running a chain of transforms on a sample: who gets the generator, and which step an error came from."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import torch

from datakit import probe
from datakit.border import at_border
from datakit.errors import SampleError
from datakit.foreign import seeded
from datakit.sampling import global_generator

Transform: TypeAlias = Callable[..., Any]


class Compose:
    """Transforms one after another, as one transform.

    A step that has a parameter `rng` gets the sample's NumPy generator. Any other callable, such as a transform of
    torchvision or a function that draws from `random`, runs with the global generators seeded from it.

    Args:
        transforms: callables on a sample. A nested `Compose` is flattened.

    Raises:
        SampleError: where a step fails; its `stage` is the `repr` of that step.

    Examples:
        >>> from datakit.transforms import Compose, RandomCrop, Rescale, ToTensor
        >>> from datakit.vision import FaceLandmarks
        >>> chain = Compose([Rescale(64), RandomCrop(56), ToTensor()])
        >>> chain
        Compose([Rescale(64), RandomCrop(56), ToTensor()])
        >>> tuple(chain(FaceLandmarks.synthetic(n=4)[0])["image"].shape)
        (3, 56, 56)
    """

    def __init__(self, transforms: Iterable[Transform]) -> None:
        self.transforms: tuple[Transform, ...] = tuple(step for transform in transforms for step in (steps(transform)))
        for step in self.transforms:
            if not callable(step):
                raise TypeError(f"a transform is a callable on a sample, got {step!r}")

    def __call__(self, sample: Any, rng: np.random.Generator | None = None) -> Any:
        """The sample after all steps."""
        for step in self.transforms:
            sample = apply(step, sample, rng)
        return sample

    def __repr__(self) -> str:
        return f"Compose([{', '.join(map(name_of, self.transforms))}])"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Compose) and self.transforms == other.transforms

    def __hash__(self) -> int:
        return hash(self.transforms)


def steps(transform: Transform | None) -> tuple[Transform, ...]:
    """The single transforms of a chain: () for None, those of a `Compose`, else the transform itself."""
    if transform is None:
        return ()
    return transform.transforms if isinstance(transform, Compose) else (transform,)


def apply(transform: Transform, sample: Any, rng: np.random.Generator | None) -> Any:
    """One step of a chain.

    Raises:
        SampleError: whatever went wrong, with the step's `repr` as its stage.
    """
    recorder = probe.recorder
    if recorder is not None:
        recorder.enter(transform)
    try:
        if takes_generator(transform):
            result = transform(sample, rng=rng if rng is not None else global_generator())
        elif getattr(transform, "is_deterministic", False):  # it says that it draws nothing, so nothing is seeded
            result = transform(sample)
        else:
            with seeded(rng):
                result = at_border(transform)(sample)
        if result is None:
            raise TypeError("returned None; a transform returns the sample")
    except Exception as error:
        raise SampleError.of(error, stage=name_of(transform)) from error
    finally:
        if recorder is not None:
            recorder.leave()
    return result


def takes_generator(transform: Transform) -> bool:
    """Whether `transform` has a parameter named `rng`."""
    is_function = inspect.isroutine(transform) or hasattr(transform, "func")
    return _has_rng(transform if is_function else type(transform).__call__)


@lru_cache(maxsize=4096)
def _has_rng(function: Transform) -> bool:
    try:
        return "rng" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def name_of(transform: Transform) -> str:
    """How a step is called in messages, pictures and tables: a function by its name, an object by its `repr`."""
    name = getattr(transform, "__qualname__", None)
    text = str(name) if name else re.sub(r"\s*\n\s*", " ", repr(transform))
    if text.startswith("<") and " at 0x" in text:
        text = f"{type(transform).__module__}.{type(transform).__qualname__}"
    return text if len(text) <= 120 else text[:117] + "..."


def trace(
    load: Callable[[], Any], transform: Transform | None, rng: np.random.Generator | None
) -> Iterator[tuple[str, Any]]:
    """The sample as loaded and after every step, as (name, sample): copies, so that no later step changes them."""
    sample = load()
    yield "loaded", copy.deepcopy(sample)
    for step in steps(transform):
        sample = apply(step, sample, rng)
        yield name_of(step), copy.deepcopy(sample)


def irreproducible(run: Callable[[], Iterator[tuple[str, Any]]]) -> str | None:
    """The first stage that differs between two runs of a trace, or None: there a generator is not under the key."""
    for (name, first), (_, second) in zip(run(), run(), strict=True):
        if not same(first, second):
            return name
    return None


def same(a: Any, b: Any) -> bool:
    """Whether two samples are equal in every type, shape and bit (NaN equals NaN)."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and same(a.detach().cpu().numpy(), b.detach().cpu().numpy())
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    return bool(a == b) or (a != a and b != b)  # a NaN differs from itself
