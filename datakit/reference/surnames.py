"""What the references on names share: the split, the letters that they know, and what a run must remember of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch

from datakit.dataset import Dataset, digest
from datakit.derived import Subset
from datakit.errors import DatakitError
from datakit.reference.base import Reference
from datakit.reference.kept import Kept
from datakit.reference.letter_baselines import Labelled
from datakit.reference.split import held_out
from datakit.text import Names, Vocab, unicode_to_ascii

DRAWN = 1200  # names of the synthetic copy
RARE = 2  # a letter that comes less often is unknown


class OnNames(Reference):
    """A reference on surnames: it remembers languages and letters, so that it predicts without the data."""

    dataset = Names
    remembers: ClassVar[bool] = True

    languages: Sequence[str]

    def open(self) -> None:
        """The names, without accents; letters that come twice in the training names get a number."""
        self.train, self.unseen = self.split()
        self.languages = self.names("all").classes
        self.letters = Vocab.characters((text for text, _ in listed(self.train)), min_count=RARE)
        self.known = Kept([list(self.languages), list(self.letters.tokens[len(self.letters.specials) :])])
        self.contents = digest("\n".join(f"{text} {label}" for text, label in listed(self.names("all"))))
        trained_on = {text for text, _ in listed(self.train)}
        self.leaked = sum(text in trained_on for text, _ in listed(self.unseen))
        kind = "synthetic names" if self.is_synthetic else "Names"
        counts = f"{len(self.train):,} names to train on, {len(self.unseen):,} to test on"
        self.data = f"{kind} of {len(self.languages)} languages: {counts}"

    def names(self, split: str) -> Names:
        """The names of a split."""
        if self.root is None:
            return Names.synthetic(DRAWN, split=split)
        return Names(self.root, split, normalize=unicode_to_ascii, download=self.download)

    def split(self) -> tuple[Dataset, Dataset]:
        """The names to train on and those to test on."""
        return self.names("train"), self.names("test")

    def rebuild(self, states: Mapping[str, Any]) -> None:
        """Languages, letters and the net, from what was saved."""
        languages, letters = states["known"]["items"]
        self.languages, self.letters = tuple(languages), Vocab(letters, "characters")
        self.model = self.net().to(self.device)
        self.model.load_state_dict(states["model"])

    def net(self) -> torch.nn.Module:
        """The net, untrained."""
        raise NotImplementedError(f"{type(self).__name__} must make its net: def net(self)")

    def read(self, name: str) -> torch.Tensor:
        """The numbers of the letters of a name, int64 (1, T); a note tells which are unknown.

        Raises:
            DatakitError: for a name without letters.
        """
        plain = unicode_to_ascii(name).strip()
        if not plain:
            raise DatakitError(f"{name!r} is no name: there are no letters in it")
        if missing := self.letters.coverage([plain]).missing:
            unknown = ", ".join(map(repr, missing))
            self.notes.append(f"{name}: unknown to the run, and read as one and the same letter: {unknown}")
        return self.letters.encode(plain)[None].to(self.device)


def listed(names: Dataset) -> Labelled:
    """Texts and labels, without loading anything twice."""
    return [(row["text"], row["label"]) for row in names.records()]


def by_line(reference: OnNames) -> tuple[Dataset, Dataset]:
    """A split that forgets that many names come more than once: what is held out may be trained on too."""
    names = reference.names("all")
    test, train = held_out([f"line {index}" for index in range(len(names))], share=0.15)
    return Subset(names, train), Subset(names, test)
