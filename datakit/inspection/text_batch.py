"""The tokens of a batch as matrices, padded or packed, and its texts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from datakit.coding import Coder
from datakit.collate import length_key
from datakit.inspection.text import TEXT_KEYS, TOKEN_KEYS, Coders, Numbers, kinds_of, numbers_of
from datakit.sample import SEQUENCES
from datakit.transforms.text import IGNORED


@dataclass(frozen=True)
class TokenBatch:
    """The tokens of one key in a batch.

    Attributes:
        key: `tokens` or `target_tokens`.
        numbers: int64 (B, T).
        lengths: int64 (B,), valid steps of each sample.
        coder: what they stand for; None where nobody knows.
        packed: how many samples take part in each step, (T,); None for a batch that was padded.
        is_hidden: (B, T), the places whose tokens a model shall find out; None where nothing was hidden.
    """

    key: str
    numbers: Numbers
    lengths: Numbers
    coder: Coder | None = None
    packed: Numbers | None = None
    is_hidden: npt.NDArray[np.bool_] | None = None

    @property
    def is_valid(self) -> npt.NDArray[np.bool_]:
        """(B, T), False where the batch was padded."""
        return np.asarray(np.arange(self.numbers.shape[1]) < self.lengths[:, None])

    def kinds(self, rows: int, steps: int) -> npt.NDArray[np.str_]:
        """The `Kind` of each place, at most (rows, steps); all padding is `pad`, whatever its number."""
        kinds = kinds_of(self.numbers[:rows, :steps], self.coder)
        if self.is_hidden is not None:
            kinds[self.is_hidden[:rows, :steps]] = "hidden"
        return np.where(self.is_valid[:rows, :steps], kinds, "pad")


def token_batches(batch: Any, coders: Coders) -> list[TokenBatch]:
    """The `tokens` and the `target_tokens` of a batch that `collate.pad`, `collate.pack` or `collate.stack` made."""
    values = batch if isinstance(batch, dict) else {}
    present = [key for key in SEQUENCES if key in values]
    read = ((key, _read(values, key, not present.index(key))) for key in TOKEN_KEYS if key in values)
    found = {key: TokenBatch(key, *one[:2], coders.of.get(key), one[2]) for key, one in read if one is not None}
    tokens, targets = (found.get(key) for key in TOKEN_KEYS)
    if tokens is not None and targets is not None and tokens.numbers.shape == targets.numbers.shape:
        is_hidden = (targets.numbers != IGNORED) & targets.is_valid & tokens.is_valid
        if ((targets.numbers == IGNORED) & targets.is_valid).any():
            found["tokens"] = replace(tokens, is_hidden=is_hidden)
    return list(found.values())


def text_columns(batch: Any) -> dict[str, list[str]]:
    """The texts of a batch by key, one for each sample."""
    values = batch if isinstance(batch, dict) else {}
    return {key: values[key] for key in TEXT_KEYS if _is_texts(values.get(key))}


def _read(values: dict[str, Any], key: str, first: bool) -> tuple[Numbers, Numbers, Numbers | None] | None:
    """Numbers, lengths, and how many samples take part in each step of what was packed."""
    value, packed = values[key], None
    lengths: Any = values.get(length_key(key, first=first))
    if isinstance(value, PackedSequence):
        if value.data.ndim != 1:
            return None
        packed = value.batch_sizes.numpy()
        value, lengths = pad_packed_sequence(value, batch_first=True)
    numbers = numbers_of(value, axes=2)
    if numbers is None or not numbers.size:
        return None
    is_known = isinstance(lengths, torch.Tensor) and lengths.shape == numbers.shape[:1]
    steps = np.full(len(numbers), numbers.shape[1])
    return numbers, (lengths.cpu().numpy() if is_known else steps).astype(np.int64), packed


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)
