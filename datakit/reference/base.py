"""What a reference is: a pipeline, a model, a training step, and a bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch

from datakit.dataset import Dataset
from datakit.delivery import Collate
from datakit.errors import DatakitError, MissingDataError, StateError, UnknownNameError
from datakit.files import Remote
from datakit.files.prepare import lacking
from datakit.loader import Loader
from datakit.reference.checks import Bar, Check
from datakit.reference.history import History


@dataclass(frozen=True)
class Option:
    """A choice that a reference leaves to its user.

    Attributes:
        name: as on the command line, without the dashes: letters and `-`.
        help: one line.
        default: the value; None for a file that need not be given.
        choices: the values there are; none for a file.
    """

    name: str
    help: str
    default: str | None = None
    choices: tuple[str, ...] = ()


class Reference:
    """The model of a tutorial, trained by a datakit pipeline, and the bar that it must reach.

    A subclass says in `build` what its data and its model are, in `step` how it learns from a batch, in `evaluate` what
    is measured after an epoch, and in `checks` what must come out. All that has a `state_dict` and is set in `build`
    (model, optimizer, schedule, loader) belongs to the checkpoint. A subclass of that one which sets `bug` is the same
    reference with a bug put in on purpose: its run must miss the bar.

    Args:
        root: where the data lie; None for a small synthetic copy.
        device: where the model is.
        seed: of the weights, of the order and of the transforms.
        num_workers: worker processes of the loader.
        download: fetch data and weights that are missing.
        options: values for `options`.

    Attributes:
        name: in the catalog of references.
        source: the tutorial, or where the data are from.
        epochs: of a run on real data.
        synthetic_epochs: of a run on the synthetic copy.
        options: what a user may choose.
        needs_data: whether it reads data that somebody must have; else it makes its own, and takes no `root`.
        dataset: what it reads below `root`, where that is one of datakit's datasets.
        reads: the same in words, where it is none.
        weights_of: addresses of pretrained weights that a run on real data begins with where they can be had, by the
            option that asks for them; "" for a run without options.
        bars: what `checks` holds the figures against, as far as it can be told before a run.
        learns: whether there is a curve to draw.
        units: of the figures, as in `Check`.
        remembers: whether its states are enough for `predict`, without the data.
        bug: what is wrong on purpose; empty in the reference itself.
        loader: what the training loop reads; set in `build`.
        data: what it is trained on, in a line; set in `build`.
        contents: a digest of what it is trained and tested on, where names and numbers do not tell; set in `build`.
        notes: what a reader of the result must know.

    Raises:
        UnknownNameError: for an option or a value that there is not.
    """

    name: ClassVar[str] = ""
    source: ClassVar[str] = ""
    epochs: ClassVar[int] = 1
    synthetic_epochs: ClassVar[int] = 1
    options: ClassVar[tuple[Option, ...]] = ()
    needs_data: ClassVar[bool] = True
    dataset: ClassVar[type[Dataset] | None] = None
    reads: ClassVar[str] = ""
    weights_of: ClassVar[Mapping[str, str]] = {}
    bars: ClassVar[tuple[Bar, ...]] = ()
    learns: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {}
    remembers: ClassVar[bool] = False
    bug: ClassVar[str] = ""

    loader: Loader
    data: str = ""
    contents: str = ""

    def __init__(
        self,
        root: str | Path | None = None,
        *,
        device: str | torch.device = "cpu",
        seed: int = 0,
        num_workers: int = 0,
        download: bool = False,
        options: Mapping[str, str | None] | None = None,
    ) -> None:
        self.root = None if root is None else Path(root)
        self.device, self.seed, self.download = torch.device(device), seed, download
        self.num_workers = num_workers
        self.notes: list[str] = []
        self.chosen = {option.name: option.default for option in self.options}
        for name, value in (options or {}).items():
            self._choose(name, value)

    @property
    def is_synthetic(self) -> bool:
        """Whether it is trained on a synthetic copy."""
        return self.root is None

    @property
    def usual_epochs(self) -> int:
        """How many epochs a run has, where the user does not say."""
        return self.synthetic_epochs if self.is_synthetic else self.epochs

    def learn_from(
        self,
        dataset: Dataset,
        batch_size: int,
        *,
        shuffle: bool = True,
        drop_last: bool = False,
        collate_fn: Collate | None = None,
        lengths: Sequence[float] | None = None,
    ) -> Loader:
        """What the training loop reads: all of the dataset, also where the environment speaks of several ranks.

        Raises:
            MissingDataError: where there is not one batch in it.
        """
        loader = Loader(
            dataset, batch_size, seed=self.seed, shuffle=shuffle, drop_last=drop_last, num_workers=self.num_workers,
            collate_fn=collate_fn, lengths=lengths, rank=0, world_size=1,
        )  # fmt: skip
        if not len(loader):
            raise MissingDataError(
                f"{self.name} learns from batches of {batch_size}, and there are {len(dataset)} records"
            )
        return loader

    def test_on(self, dataset: Dataset, batch_size: int, *, collate_fn: Collate | None = None) -> Loader:
        """All of the dataset, in its order, in this process."""
        return Loader(dataset, batch_size, collate_fn=collate_fn, rank=0, world_size=1)

    def build(self) -> None:
        """Open the data, make model, optimizer and `loader`; torch's generator is seeded."""
        raise NotImplementedError(f"{type(self).__name__} must make its loader and its model: def build(self)")

    def step(self, batch: Any) -> dict[str, float]:
        """Learn from a batch; the losses by name, the one to be minimised first."""
        raise NotImplementedError(f"{type(self).__name__} must learn from a batch: def step(self, batch)")

    def evaluate(self) -> dict[str, float]:
        """What is measured after an epoch, by name."""
        return {}

    def checks(self, history: History) -> Sequence[Check]:
        """What must have come out."""
        raise NotImplementedError(f"{type(self).__name__} must have a bar: def checks(self, history)")

    def lines(self) -> Sequence[str]:
        """Tables to print at the end."""
        return ()

    def pictures(self, history: History) -> Mapping[str, bytes]:
        """Files to write at the end, by name, beside the curve."""
        return {}

    def predict(self, text: str) -> Sequence[str]:
        """What the trained model makes of a text, as lines to print; what it did not know goes to `notes`.

        Raises:
            DatakitError: where the reference predicts nothing from text, and for a text that is none of its kind.
        """
        raise DatakitError(f"{self.name} predicts nothing from text")

    def rebuild(self, states: Mapping[str, Any]) -> None:
        """Make what `predict` needs, as a run saved it: by default all, from the data. See `remembers`."""
        self.build()
        self.load_state_dict(states)

    def state_dict(self) -> dict[str, Any]:
        """The states of all that `build` made and that has one."""
        return {name: part.state_dict() for name, part in self._stateful()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As it was saved; `build` has been called."""
        parts = dict(self._stateful())
        if different := sorted(parts.keys() ^ state.keys()):
            raise StateError(f"the run is of another version of {self.name}: {', '.join(different)} not on both sides")
        for name, part in parts.items():
            part.load_state_dict(state[name])

    @classmethod
    def remotes(cls) -> Sequence[Remote]:
        """What a download would bring: of `dataset`, unless a reference has files of its own."""
        return () if cls.dataset is None else cls.dataset.remotes_of(None)

    @classmethod
    def missing(cls, root: Path) -> list[str]:
        """What the reference needs and is not below `root`; names are looked for, nothing is read."""
        return lacking(cls.remotes(), root) if cls.dataset is None else cls.dataset.missing(root)

    @classmethod
    def bugs(cls) -> dict[str, type[Self]]:
        """The same reference with one bug each, by name."""
        return {sub.bug: sub for sub in cls.__subclasses__() if sub.bug}

    @classmethod
    def sabotaged(cls, bug: str) -> type[Self]:
        """The reference with this bug.

        Raises:
            UnknownNameError: where it has no such one.
        """
        if bug not in cls.bugs():
            raise UnknownNameError.of(f"sabotage of {cls.name}", bug, cls.bugs())
        return cls.bugs()[bug]

    def _stateful(self) -> list[tuple[str, Any]]:
        return [(name, part) for name, part in vars(self).items() if hasattr(part, "load_state_dict")]

    def _choose(self, name: str, value: str | None) -> None:
        known = {option.name: option for option in self.options}
        if name not in known:
            raise UnknownNameError.of(f"option of {self.name}", name, known)
        if known[name].choices and value not in known[name].choices:
            raise UnknownNameError.of(f"--{name}", value, known[name].choices)
        self.chosen[name] = value
