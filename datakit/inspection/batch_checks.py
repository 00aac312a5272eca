"""What keeps a loader from giving its first batch, and what is wrong with the one that it gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch.utils.data import DataLoader

from datakit.dataset import Dataset
from datakit.errors import SampleError
from datakit.inspection.first_batch import blame, first_batch
from datakit.inspection.records import inspected
from datakit.inspection.seen import Finding
from datakit.inspection.sound_checks import loud_padding
from datakit.inspection.spectrum import steps_by_name
from datakit.inspection.text import coders_after
from datakit.inspection.text_checks import batch_stages, padded_with_a_token
from datakit.sampling import Key


def batch_findings(
    loader: DataLoader[Any], dataset: Dataset, keys: Sequence[Key], *, is_own: bool
) -> Iterator[tuple[str, Finding]]:
    """(what, finding) of the first batch; what is `batch` where there is none, and `padding` for how it is padded.

    A record that cannot be read is not said again here.

    Args:
        loader: that makes it.
        dataset: of the loader.
        keys: of records that may be read to find out which key is to blame.
        is_own: whether the loader is the user's: else samples as they were loaded need not fit together.
    """
    batch = first_batch(loader)
    if batch.cause is None and batch.error is None:
        seen = [inspected(dataset, key) for key in keys[:1]]
        coders = coders_after(batch_stages(seen), steps_by_name(dataset))
        found = [*loud_padding(batch.value), *padded_with_a_token(batch.value, coders)]
        yield from (("padding", one) for one in found)
    elif not isinstance(batch.cause, SampleError) and (is_own or not batch.is_raw):
        seen = [inspected(dataset, key) for key in keys]
        blamed = blame(batch, loader, dataset, seen, keys[0].seed if keys else 0)
        yield from (("batch", one) for one in blamed or (Finding(f"the loader made no batch: {batch.error}"),))
