"""The texts and tokens of a batch, as the page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from datakit.inspection.look import Inspection
from datakit.inspection.normalize import BATCH
from datakit.inspection.text_batch import TokenBatch, text_columns, token_batches
from datakit.phrasing import shorten
from datakit.report.room import IN_GRID
from datakit.report.text.chips import legend_of
from datakit.report.text.matrix import Matrix, matrix_of
from datakit.report.text.writing import readable
from datakit.transforms.text import TOKENS

_TEXT_OF = {tokens: text for text, tokens in TOKENS.items()}
_NAME, _TEXT = 24, 300  # characters


@dataclass(frozen=True)
class TextTable:
    """Texts of a batch.

    Attributes:
        keys: such as `text`, `target_text`.
        rows: (name of the sample, its texts).
        unseen: samples that are left out.
    """

    keys: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    unseen: int


@dataclass(frozen=True)
class WrittenBatch:
    """What of a batch can be read.

    Attributes:
        matrices: its tokens.
        texts: None where it has none, or tokens of all of them.
    """

    matrices: tuple[Matrix, ...]
    texts: TextTable | None

    @property
    def legend(self) -> list[tuple[str, str]]:
        """(look, meaning) of the colours of all matrices."""
        return legend_of({look for matrix in self.matrices for look in matrix.looks})

    def __bool__(self) -> bool:
        return bool(self.matrices or self.texts)


def batches_of(inspection: Inspection) -> list[TokenBatch]:
    """The tokens of the batch, with what they stand for."""
    return token_batches(inspection.batch, inspection.coders_after(["loaded", *inspection.chain, BATCH]))


def written_batch(inspection: Inspection, *, has_pictures: bool = False) -> WrittenBatch:
    """The tables.

    Args:
        inspection: with the batch.
        has_pictures: whether the samples are pictures or sounds with texts, which stand below them.
    """
    batches = batches_of(inspection)
    matrices = tuple(matrix_of(one, names_of(inspection, len(one.numbers), one.key)) for one in batches)
    columns = {} if matrices or has_pictures else text_columns(inspection.batch)
    if not columns:
        return WrittenBatch(matrices, None)
    count = len(next(iter(columns.values())))
    labels = labels_in(inspection, count)
    each = zip(*columns.values(), strict=True)
    texts = [tuple(_in_table(text) for text in values) for values in each]
    rows = tuple(zip(labels, texts, strict=True))[:IN_GRID]
    return WrittenBatch(matrices, TextTable(tuple(columns), rows, count - len(rows)))


def names_of(inspection: Inspection, count: int, key: str = "tokens") -> list[str]:
    """What the samples of the batch are called: by the start of their text, else their class, index or place.

    Args:
        inspection: with the batch.
        count: of the samples.
        key: of the tokens; the targets have texts of their own in a translation.
    """
    columns = text_columns(inspection.batch)
    texts = columns.get(_TEXT_OF[key]) or columns.get("text", [])
    if len(texts) == count:
        return [shorten(readable(text[:_TEXT]), _NAME) or "∅" for text in texts]
    return labels_in(inspection, count)


def labels_in(inspection: Inspection, count: int) -> list[str]:
    """The classes of the samples of a batch, else their indices or places."""
    return _labels(inspection.batch, inspection.classes, count) or _indices(inspection.batch, count)


def _in_table(text: str) -> str:
    return readable(text[:_TEXT]) + ("…" if len(text) > _TEXT else "")


def _labels(batch: Any, classes: Sequence[str], count: int) -> list[str]:
    labels = _whole(batch, "label", count)
    return [str(classes[one]) if 0 <= one < len(classes) else f"label {one}" for one in labels]


def _indices(batch: Any, count: int) -> list[str]:
    return [str(one) for one in _whole(batch, "index", count) or range(count)]


def _whole(batch: Any, key: str, count: int) -> list[int]:
    """The whole numbers of a key, one for each sample; none for a batch without."""
    values: Any = batch.get(key) if isinstance(batch, dict) else None
    is_whole = isinstance(values, torch.Tensor) and values.shape == (count,) and not values.is_floating_point()
    return [int(value) for value in values.tolist()] if is_whole else []
