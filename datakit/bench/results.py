"""What was measured, as plain values."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, fields
from typing import Any, Self

from datakit.cores import usable_cores

ENOUGH = 0.05
"""Share of the time that a model may wait before the loader is called too slow for it."""


@dataclass(frozen=True)
class Configuration:
    """One way to set a loader up.

    Attributes:
        workers: worker processes; 0 reads in the training process.
        batch_size: samples a batch; None for a loader that makes its batches in its own way, or none.
        start_method: of the workers; None for the platform's or the loader's own, and without workers.
        features: where features are computed, `in workers` or `per batch on cpu`; None where none were asked for.
    """

    workers: int
    batch_size: int | None = None
    start_method: str | None = None
    features: str | None = None

    def __str__(self) -> str:
        parts = [f"{self.workers} worker{'' if self.workers == 1 else 's'}"]
        parts += [] if self.batch_size is None else [f"batch {self.batch_size}"]
        parts += [] if self.start_method is None else [self.start_method]
        return ", ".join(parts + ([] if self.features is None else [f"features {self.features}"]))


@dataclass(frozen=True)
class Fed:
    """What a model sees whose step takes a while.

    Attributes:
        step: seconds that the loop slept after each batch.
        samples_per_second: of the whole pass, steps, first batch and all; median.
        waiting: share of the time, from the end of the first step on, that the loop waited for batches; median.
            The first batch is left out; 0 where a pass has one batch only.
        first_batch: seconds to the first batch; median.
    """

    step: float
    samples_per_second: float
    waiting: float
    first_batch: float

    @property
    def is_enough(self) -> bool:
        """Whether the model waits no more than `ENOUGH` of the time: the loader is not what bounds it."""
        return self.waiting <= ENOUGH


@dataclass(frozen=True)
class Measurement(Configuration):
    """One configuration, over all repeats.

    Attributes:
        samples: of one pass.
        batches: of one pass.
        samples_per_second: median over the passes, whole pass.
        slowest: the least of them.
        fastest: the greatest of them.
        rates: all of them, in the order of the rounds.
        first_batch: seconds from `iter(loader)` to the first batch, median; the start of the workers is in it.
        wait_p50: seconds that the loop waits for a batch after the first one, median over all passes; of the first one
            where a pass has no other.
        wait_p95: as above, the 95th percentile.
        private: bytes that this process and the workers have each for themselves (USS), summed; the greatest of a few
            readings during the warm-up, so that the passes that count carry none.
        shared: bytes that they share among themselves or with others, each page divided by its users (PSS - USS),
            summed; the greatest reading. Where the system knows no PSS, RSS - USS, which counts a page for each user.
        cpu_share: cores in use: CPU seconds of this process and the workers, by the clock's seconds until the workers
            have ended; median. 1.5 says that one and a half cores were busy.
        fed: what a model with a step sees, where one was asked for.
    """

    samples: int = 0
    batches: int = 0
    samples_per_second: float = 0.0
    slowest: float = 0.0
    fastest: float = 0.0
    rates: tuple[float, ...] = ()
    first_batch: float = 0.0
    wait_p50: float = 0.0
    wait_p95: float = 0.0
    private: int = 0
    shared: int = 0
    cpu_share: float = 0.0
    fed: Fed | None = None

    @property
    def configuration(self) -> Configuration:
        """What was measured."""
        return Configuration(self.workers, self.batch_size, self.start_method, self.features)


@dataclass(frozen=True)
class Stage:
    """A part of the work on a sample.

    Attributes:
        name: `read`, `decode`, the name of a transform, `collate`, `transfer` …
        seconds: for one sample, without the stages inside it; median over the passes.
    """

    name: str
    seconds: float


@dataclass(frozen=True)
class Profile(Configuration):
    """Where the time goes in one configuration.

    Attributes:
        stages: in the order of the work. With workers these share it: n of them spend `seconds / n` of the clock.
            `transfer` is what sending takes: pickling and copying to shared memory in the worker, the opposite here.
        idle: seconds for one sample that the workers had nothing to do, all together.
        waiting: seconds for one sample that the loop waited after the first batch.
        overhead: by how much the passes with clocks in them took longer than those without: 0.01 is one per cent.
        noise: by how much the passes without clocks differ among themselves, from the shortest to the longest.
        passes: of each kind.
        missing: why there are no stages, where there are none.
    """

    stages: tuple[Stage, ...] = ()
    idle: float = 0.0
    waiting: float = 0.0
    overhead: float = 0.0
    noise: float = 0.0
    passes: int = 0
    missing: str | None = None


@dataclass(frozen=True)
class Machine:
    """What a figure depends on besides the data and the code.

    Attributes:
        cores: that the process may use.
        processor: its name, as far as the system tells.
        system: name of the operating system.
        python: version.
        torch: version.
        datakit: version.
    """

    cores: int
    processor: str
    system: str
    python: str
    torch: str
    datakit: str

    @classmethod
    def this(cls) -> Self:
        """The one that this runs on."""
        import torch

        from datakit import __version__

        versions = platform.python_version(), str(torch.__version__), __version__
        return cls(usable_cores(), _processor(), platform.system(), *versions)


@dataclass(frozen=True)
class Run:
    """One run of `datakit bench`, as it is kept in JSON.

    Attributes:
        target: as it was typed.
        dataset: what it is.
        chain: names of the transforms.
        repeats: passes that count.
        seed: of the order and the transforms.
        machine: where it ran.
        measurements: one for each configuration.
        profile: where the time goes, in one of them.
    """

    target: str
    dataset: str
    chain: tuple[str, ...]
    repeats: int
    seed: int
    machine: Machine
    measurements: tuple[Measurement, ...]
    profile: Profile | None = None


def from_dict(cls: type[Any], values: Any) -> Any:
    """A result from the dict that `dataclasses.asdict` made of it; what is not known is left out.

    Raises:
        TypeError: where `values` is not such a dict.
        KeyError: where a field is not there.
    """
    if not isinstance(values, dict):
        raise TypeError(f"{cls.__name__} is an object in JSON, found {type(values).__name__}")
    later = dict.fromkeys(_LATER)
    return cls(**{field.name: _field(cls, field.name, {**later, **values}[field.name]) for field in fields(cls)})


_PARTS: dict[str, type[Any]] = {"machine": Machine, "profile": Profile, "fed": Fed}
_LISTS: dict[str, type[Any]] = {"measurements": Measurement, "stages": Stage, "rates": float, "chain": str}
_TEXT = {
    "target", "dataset", "name", "processor", "system", "python", "torch", "datakit", "start_method", "missing",
    "features",
}  # fmt: skip
_OPTIONAL = {"batch_size", "start_method", "fed", "profile", "missing", "features"}
_LATER = ("features",)  # fields that earlier documents do not have


def _field(cls: type[Any], name: str, value: Any) -> Any:
    if name in _OPTIONAL and value is None:
        return None
    if name in _PARTS:
        return from_dict(_PARTS[name], value)
    if name in _LISTS and isinstance(value, list):
        return tuple(_element(_LISTS[name], name, one) for one in value)
    expected = () if name in _LISTS else (str,) if name in _TEXT else (int, float)
    if not isinstance(value, expected):
        raise TypeError(f"{name} of {cls.__name__} is {value!r}")
    return value


def _element(kind: type[Any], name: str, value: Any) -> Any:
    if kind not in (float, str):
        return from_dict(kind, value)
    if not isinstance(value, (int, float) if kind is float else str):
        raise TypeError(f"{value!r} is in {name}")
    return value


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or os.uname().machine
