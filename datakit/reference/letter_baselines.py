"""What models without memory make of names: their letters counted, or three letters in a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from datakit.text.splitting import is_held_out
from datakit.vocab import Vocab

PENALTY = 1e-6  # on the squares of the weights, of a bag of letters
WEIGHTS = (2.0, 4.0, 8.0, 16.0, 32.0)  # that a trigram tries: letters that the shorter context is worth

Labelled = Sequence[tuple[str, int]]
"""Texts with the numbers of their languages."""


def bag_of_letters(train: Labelled, test: Labelled, letters: Vocab) -> float:
    """The accuracy on `test` of logistic regression on how often a name has each letter: their order is not seen.

    It is fitted in float64 by L-BFGS from zero, so there is nothing of chance in it.

    Examples:
        >>> from datakit.reference.letter_baselines import bag_of_letters
        >>> from datakit.text import Vocab
        >>> train = [("ana", 0), ("nana", 0), ("olo", 1), ("lol", 1)]
        >>> bag_of_letters(train, [("anna", 0), ("lolo", 1)], Vocab.characters(["anlo"]))
        1.0
    """
    (counts, labels), (unseen, truth) = _counted(train, letters), _counted(test, letters)
    classes = 1 + int(max(labels.max(), truth.max()))
    weights = torch.zeros(len(letters) + 1, classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(counts @ weights, labels) + PENALTY * weights[:-1].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        return float(((unseen @ weights).argmax(1) == truth).double().mean())


def majority(train: Labelled, test: Labelled) -> float:
    """The accuracy on `test` of who always says the most frequent language of `train`."""
    labels = np.bincount([label for _, label in train])
    return float(np.mean([label == labels.argmax() for _, label in test]))


def trigram_loss(train: Labelled, test: Labelled, letters: Vocab, *, seed: int = 0) -> float:
    """The cross entropy, in nats a letter, of a trigram on `test`: of all letters but the first, and of the end.

    A letter's chance depends on its language and the two letters before it. Counts of a context are mixed with what
    shorter contexts and other languages say, which weighs as much as a few letters (Dirichlet smoothing, MacKay and
    Peto 1995). How many, for one language and for all together, is chosen on a tenth of the training names.

    Examples:
        >>> from datakit.reference.letter_baselines import trigram_loss
        >>> from datakit.text import Vocab
        >>> train = [("ana", 0), ("nana", 0), ("olo", 1), ("lol", 1)]
        >>> round(trigram_loss(train, [("anana", 0)], Vocab.characters(["anlo"])), 2)
        0.48
    """
    labels = np.array([label for _, label in train])
    left_out = is_held_out([text for text, _ in train], labels, 0.1, seed)
    shape = (int(labels.max()) + 1, *[len(letters)] * 3)
    kept = [name for name, is_out in zip(train, left_out, strict=True) if not is_out]
    tried = [name for name, is_out in zip(train, left_out, strict=True) if is_out]
    counts, found = _trigrams(kept, letters, shape), {}
    for own in WEIGHTS:
        for shared in WEIGHTS:
            found[_loss(_smoothed(counts, own, shared), tried, letters)] = own, shared
    return _loss(_smoothed(_trigrams(train, letters, shape), *found[min(found)]), test, letters)


def _counted(names: Labelled, letters: Vocab) -> tuple[torch.Tensor, torch.Tensor]:
    """How often each letter comes, and 1: float64 (N, letters + 1); and labels (N,)."""
    counts = np.zeros((len(names), len(letters) + 1))
    for row, (text, _) in zip(counts, names, strict=True):
        np.add.at(row, letters.encode(text).numpy(), 1)
    counts[:, -1] = 1
    return torch.from_numpy(counts), torch.tensor([label for _, label in names])


def _places(names: Labelled, letters: Vocab) -> npt.NDArray[np.int64]:
    """Language, two letters and what follows them, (4, n): for all letters but the first, and for the end."""
    start, end = letters.of("start"), letters.of("end")
    rows: list[tuple[int | None, ...]] = []
    for text, label in names:
        row = [start, *letters.encode(text).tolist(), end]
        rows += [(label, *row[place : place + 3]) for place in range(len(row) - 2)]
    return np.array(rows, np.int64).T


def _trigrams(names: Labelled, letters: Vocab, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """How often each letter follows each two letters in each language: (languages, letters, letters, letters)."""
    size = int(np.prod(shape))
    flat = np.bincount(np.ravel_multi_index(tuple(_places(names, letters)), shape), minlength=size)
    return flat.reshape(shape).astype(np.float64)


def _smoothed(counts: npt.NDArray[np.float64], own: float, shared: float) -> npt.NDArray[np.float64]:
    """Chances for counts, of the same shape."""

    def mixed(some: npt.NDArray[np.float64], before: npt.NDArray[np.float64], weight: float) -> npt.NDArray[np.float64]:
        chances: npt.NDArray[np.float64] = (some + weight * before) / (some.sum(-1, keepdims=True) + weight)
        return chances

    together = counts.sum(0)
    all_1 = mixed(together.sum((0, 1)), np.full(counts.shape[-1], 1 / counts.shape[-1]), shared)
    all_2 = mixed(together.sum(0), all_1, shared)
    all_3 = mixed(together, all_2, shared)
    one_1 = mixed(counts.sum((1, 2)), all_1, own)
    one_2 = mixed(counts.sum(1), (one_1[:, None] + all_2) / 2, own)
    return mixed(counts, (one_2[:, None] + all_3) / 2, own)


def _loss(chances: npt.NDArray[np.float64], names: Labelled, letters: Vocab) -> float:
    return float(-np.log(chances[tuple(_places(names, letters))]).mean())
