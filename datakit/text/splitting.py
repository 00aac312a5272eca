"""Splits of text by a hash of the seed and the text: equal texts are on one side."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from datakit.errors import MissingDataError

SPLITS = ("all", "train", "test")


def is_held_out(texts: Sequence[str], labels: npt.NDArray[np.int64], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which records (n,) are the test set: of each label this share of its different texts, one at least.

    A text is on one side only, however often it comes and under whatever labels. Which texts are held out depends on
    the seed and the texts, on nothing else.

    Args:
        texts: of the records.
        labels: of the records; all 0 where there are none.
        share: of the texts of a label, in (0, 1).
        seed: of the split.

    Raises:
        ValueError: for another share, and a seed that is no whole number.
        MissingDataError: where a label has no two different texts, or nothing would be left to learn from.
    """
    if not 0 < share < 1 or isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"a split needs a share in (0, 1) and a whole number as its seed, got {share!r}, {seed!r}")
    by_label: dict[int, set[str]] = {}
    for text, label in zip(texts, labels.tolist(), strict=True):
        by_label.setdefault(label, set()).add(text)
    held_out: dict[str, bool] = {}
    for label in sorted(by_label, key=lambda label: (len(by_label[label]), label)):  # the small ones choose first
        own = by_label[label]
        if len(own) < 2:
            raise MissingDataError(f"a split needs two different texts of each class, there is one: {min(own)!r}")
        count = min(max(1, round(share * len(own))), len(own) - 1)
        undecided = sorted(own - held_out.keys(), key=lambda text: _order(seed, text))
        missing = max(0, count - sum(held_out[text] for text in own & held_out.keys()))
        held_out.update((text, place < missing) for place, text in enumerate(undecided))
    return np.array([held_out[text] for text in texts], bool)


def _order(seed: int, text: str) -> bytes:
    return hashlib.blake2b(f"{seed} {text}".encode(errors="surrogatepass"), digest_size=16).digest()
