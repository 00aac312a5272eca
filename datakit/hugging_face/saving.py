"""`save`: a dataset as Parquet files, whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datakit.dataset import Dataset
from datakit.errors import DatakitError
from datakit.hugging_face.batches import tables

_GROUP_BYTES, _GROUP_ROWS = 2**20, 1000  # a sample costs reading its row group


def save(
    dataset: Dataset,
    path: str | os.PathLike[str],
    *,
    max_shard_size: int = 500 * 10**6,
    seed: int = 0,
    overwrite: bool = False,
) -> None:
    """Write a dataset as Parquet, which `load`, `datasets.load_dataset`, pandas and the hub read.

    Columns are those of `to_hf`, and say so to `datasets` in the metadata. Row groups hold 1,000 samples or about 1 MB,
    so that a sample is read without the rest; pages have checksums. The files are written beside their place and moved
    there when they are whole. Memory stays flat.

    Args:
        dataset: with an index; its samples are read once, with their transforms.
        path: one file, where it ends in `.parquet`; else a folder, with files `data-00000-of-00003.parquet` in it.
        max_shard_size: about how many bytes each file of a folder takes.
        seed: of random transforms, which run as in epoch 0 of a `Loader`.
        overwrite: take the place of what is there already.

    Raises:
        DatakitError: there is something at `path`; or as for `to_hf`.
        SampleError: with the index, for a sample that cannot be read, or that is not as the first ones were.
        OSError: it cannot be written.

    Examples:
        >>> import datakit
        >>> faces = datakit.vision.FaceLandmarks.synthetic(n=4)
        >>> datakit.save(faces, "faces.parquet")
        >>> datakit.load("faces.parquet")
        ParquetFiles(image, landmarks): 4 records
        >>> datakit.save(faces, "faces.parquet")
        Traceback (most recent call last):
        datakit.errors.DatakitError: faces.parquet is there already; overwrite=True takes its place
    """
    final = Path(path)
    if os.path.lexists(final) and not overwrite:
        raise DatakitError(f"{final} is there already; overwrite=True takes its place")
    if max_shard_size < 1:
        raise ValueError(f"max_shard_size is a number of bytes, got {max_shard_size}")
    most = min(_GROUP_BYTES, max_shard_size)
    features, parts = tables(dataset, seed=seed, most_bytes=most, most_rows=_GROUP_ROWS)
    draft = final.absolute().with_name(f".{final.name}.{os.getpid()}.part")
    draft.parent.mkdir(parents=True, exist_ok=True)
    try:
        if final.suffix.lower() == ".parquet":
            _write_file(draft, features, parts, None)
        else:
            draft.mkdir()
            _write_folder(draft, features, parts, max_shard_size)
        _move(draft, final)
    finally:
        _remove(draft)


def _write_folder(folder: Path, features: Any, parts: Iterator[Any], most: int) -> None:
    drafts: list[Path] = []
    while True:
        draft = folder / f"{len(drafts)}"
        if not _write_file(draft, features, parts, most):
            draft.unlink()
            break
        drafts.append(draft)
    for number, draft in enumerate(drafts):
        draft.rename(folder / f"data-{number:05d}-of-{len(drafts):05d}.parquet")


def _write_file(path: Path, features: Any, parts: Iterator[Any], most: int | None) -> int:
    """Write tables to a file, each a row group, until it has `most` bytes; gives how many."""
    import pyarrow.parquet as pq

    groups = 0
    media = [name for name, feature in features.items() if type(feature).__name__ in ("Image", "Audio")]
    options = {
        "compression": {column: _compression(column, media) for column in _leaves(features)},
        "use_dictionary": [column for column in _leaves(features) if column.split(".")[0] not in media],
        "write_page_checksum": True,
    }
    with open(path, "wb") as file:
        with pq.ParquetWriter(file, features.arrow_schema, **options) as writer:
            for part in parts:
                writer.write_table(part, row_group_size=len(part))
                groups += 1
                if most is not None and file.tell() >= most:
                    break
        file.flush()
        os.fsync(file.fileno())
    return groups


def _compression(column: str, media: list[str]) -> str:
    return "NONE" if column.split(".")[0] in media else "ZSTD"


def _leaves(features: Any) -> list[str]:
    """The paths of the columns of Parquet, such as `image.bytes` and `boxes.list.element`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, features.arrow_schema) as writer:
        del writer
    schema = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    return [schema.column(number).path for number in range(len(schema))]


def _move(draft: Path, final: Path) -> None:
    """Put the draft in its place; a folder that is there is moved aside first."""
    if final.is_dir() and not final.is_symlink():
        aside = draft.with_name(f"{draft.name}.old")
        os.rename(final, aside)
        os.rename(draft, final)
        _remove(aside)
    else:
        os.replace(draft, final)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
