"""`to_hf`."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

from datakit.dataset import Dataset
from datakit.hugging_face.batches import tables

_BYTES, _ROWS = 2**24, 1000


def to_hf(dataset: Dataset, *, seed: int = 0, cache_dir: str | os.PathLike[str] | None = None) -> Any:
    """A dataset of datakit as a `datasets.Dataset`: to map, to push to the hub, to give to who has no datakit.

    The samples are read once, with their transforms, and written to a file of Arrow a few megabytes at a time; the
    result is that file, mapped into memory. Nothing is looked up in a cache or on the network.

    | key of the sample | column |
    | --- | --- |
    | `image`, `uint8` (H, W, 3) or (H, W, 1) | `Image`: the original file where the image is it still, else a PNG |
    | `waveform`, `float32` tensor, with `sample_rate` | `audio`, `Audio`: the original file, else a WAV of `float32` |
    | `path` | the path of the only image or sound; a column where there is none |
    | `label`, `labels` of a dataset with `classes` | `ClassLabel`, a `List` of them |
    | arrays, tensors, lists of numbers | `List` of their dtype, free in its sizes; `boxes` four wide, `landmarks` two |
    | `int`, `float`, `bool`, `str`, `bytes`, NumPy's numbers | `Value` of their dtype; None is null |
    | dicts, lists of anything | structs, `List` |
    | `index` | no column where it is the row; else a column, as of a `Subset` |

    `from_hf` gives the same samples again, bit for bit.

    Args:
        dataset: with an index.
        seed: of random transforms, which run as in epoch 0 of a `Loader`.
        cache_dir: where the file is left for good. By default it lies in a temporary folder, and goes when this process
            ends.

    Raises:
        SampleError: with the index, for a sample that cannot be read, or that is not as the first ones were.
        DatakitError: for a stream, no records, samples that are not dicts, and names of classes that are not different.

    Examples:
        >>> import datakit
        >>> faces = datakit.vision.FaceLandmarks.synthetic(n=4)
        >>> table = datakit.to_hf(faces)
        >>> table.features
        {'image': Image(mode='RGB', decode=True), 'landmarks': List(List(Value('float32'), length=2))}
        >>> same = datakit.from_hf(table)[3]
        >>> (same["image"] == faces[3]["image"]).all(), same["path"] == faces[3]["path"]
        (np.True_, True)
    """
    import datasets
    from datasets.table import MemoryMappedTable

    features, parts = tables(dataset, seed=seed, most_bytes=_BYTES, most_rows=_ROWS)
    folder = _temporary_folder() if cache_dir is None else Path(cache_dir)
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"datakit-{uuid.uuid4().hex}.arrow"
    draft = final.with_name(f".{final.name}.part")
    try:
        fingerprint = _write(draft, features, parts)
        os.replace(draft, final)
    finally:
        draft.unlink(missing_ok=True)
    return datasets.Dataset(MemoryMappedTable.from_file(str(final)), fingerprint=fingerprint)


def _write(path: Path, features: Any, parts: Any) -> str:
    """Write tables to a file of Arrow; gives a hash of all of it, by which caches of Hugging Face go."""
    import pyarrow as pa

    total = hashlib.blake2b(digest_size=8)
    with open(path, "wb") as file, pa.ipc.new_stream(_Hashed(file, total), features.arrow_schema) as writer:
        for part in parts:
            writer.write_table(part)
    return total.hexdigest()


class _Hashed:
    """A file that hashes what is written to it."""

    closed = False

    def __init__(self, file: Any, total: Any) -> None:
        self.file, self.total = file, total

    def write(self, data: Any) -> int:
        """Write it, and take it into the hash."""
        self.total.update(data)
        return int(self.file.write(data))

    def flush(self) -> None:
        """Flush the file."""
        self.file.flush()

    def close(self) -> None:
        """The file itself is closed by who opened it."""
        self.closed = True


def _temporary_folder() -> Path:
    """A folder that goes when this process, and not one forked from it, ends."""
    folder, process = tempfile.mkdtemp(prefix="datakit-"), os.getpid()

    def remove() -> None:
        if os.getpid() == process:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return Path(folder)
