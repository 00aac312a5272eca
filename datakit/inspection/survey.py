"""Figures of a dataset that was read: sizes, durations, lengths, channel means, class counts and the mean shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Channels:
    """Mean and standard deviation of each image channel over all pixels that were read, as `Normalize` takes them.

    Attributes:
        mean: of [0, 1] values.
        std: of [0, 1] values; of all pixels, not a mean over images.
        stage: the stage that they are of, the one whose result `Normalize` would get.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    stage: str

    @property
    def line(self) -> str:
        """The transform, ready to paste."""
        return f"Normalize(mean={_numbers(self.mean)}, std={_numbers(self.std)})"


@dataclass(frozen=True)
class ClassCounts:
    """How often each class is there.

    Attributes:
        key: `label` of a record, or `labels` of its objects.
        names: of the classes; the number as text where a class has no name.
        counts: one for each name; 0 for a class that was not met.
        of_all: whether they are of all records (from the index) and not of those that were read.
    """

    key: str
    names: tuple[str, ...]
    counts: tuple[int, ...]
    of_all: bool


@dataclass(frozen=True)
class MeanShape:
    """The mean of landmarks after generalised Procrustes alignment: moved, scaled and turned onto each other.

    Attributes:
        points: (K, 2), centred on 0, of centroid size 1, y down, upright as the records are on average.
        spread: (K,), root mean square distance of the aligned points from their mean, in the same unit.
        count: shapes that it is of.
    """

    points: np.ndarray
    spread: np.ndarray
    count: int


@dataclass(frozen=True)
class Sounds:
    """The waveforms of the records.

    Attributes:
        durations: float64 (n,), seconds, as loaded.
        rates: (Hz, how many have it), the most frequent first.
        channels: (number of channels, how many have it), the most frequent first.
    """

    durations: np.ndarray
    rates: tuple[tuple[int, int], ...]
    channels: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Lengths:
    """How long the texts, or the sequences of tokens, of one key are.

    Attributes:
        key: such as `text`, `tokens`.
        unit: `characters` of texts as loaded, `tokens` after the chain.
        lengths: int64 (n,).
    """

    key: str
    unit: str
    lengths: np.ndarray


@dataclass(frozen=True)
class TokenCounts:
    """What the tokens of one key are, after the chain.

    Attributes:
        key: `tokens` or `target_tokens`.
        unit: what the vocabulary knows: `characters` or `words`; `tokens` of a tokenizer.
        total: how many there are, without those that the loss leaves out.
        special: of them, such as start and end; `unknown` is not among them.
        unknown: of them, those that stand for what the vocabulary has no number for.
        outside: of them, those that are no number of the vocabulary.
        used: how many different numbers of the vocabulary come.
        size: of the vocabulary.
        missing: what most often became unknown while it was encoded, and how often.
    """

    key: str
    unit: str
    total: int
    special: int
    unknown: int
    outside: int
    used: int
    size: int
    missing: tuple[tuple[str, int], ...] = ()

    @property
    def unknown_share(self) -> float:
        """Of the tokens that are made of the text, in [0, 1]; 0 without any."""
        return self.unknown / max(1, self.total - self.special)

    @property
    def special_share(self) -> float:
        """Of all tokens, in [0, 1]."""
        return self.special / max(1, self.total)


@dataclass(frozen=True)
class Texts:
    """The texts and tokens of the records.

    Attributes:
        lengths: of each key.
        tokens: of each key whose vocabulary is known, and one for all records.
    """

    lengths: tuple[Lengths, ...]
    tokens: tuple[TokenCounts, ...] = ()


@dataclass(frozen=True)
class Survey:
    """Figures of the records that were read.

    Attributes:
        read: how many were read, through the whole chain.
        total: how many there are.
        failures: what went wrong with those that could not be read, the first ones.
        sizes: (n, 2), height and width of the images as loaded, pixels; empty without images.
        channels: of the images whose values are all finite; None without any, or with several channel counts.
        classes: None without labels.
        shape: of the first landmarks, at most 10,000; None without any, or where their number differs.
        failed: how many could not be read.
        sounds: None without waveforms that say their sample rate.
        texts: None without texts and tokens.
    """

    read: int
    total: int
    failures: tuple[str, ...]
    sizes: np.ndarray
    channels: Channels | None
    classes: ClassCounts | None
    shape: MeanShape | None
    failed: int = 0
    sounds: Sounds | None = None
    texts: Texts | None = None


def _numbers(values: tuple[float, ...]) -> str:
    inner = ", ".join(f"{value:.4f}" for value in values)
    return f"({inner},)" if len(values) == 1 else f"({inner})"
