"""The data half of PyTorch training code: lazy datasets, transforms over sample dicts, a loader that can be trusted.

Names are imported on first use, so that `import datakit` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from datakit import audio, collate, errors, testing, text, transforms, vision
    from datakit.buckets import BucketSampler, padding_share
    from datakit.catalog import find, names
    from datakit.columns import Columns
    from datakit.dataset import Dataset
    from datakit.derived import Concat, Mapped, Subset
    from datakit.files import Remote, ensure
    from datakit.hugging_face.parquet import load
    from datakit.hugging_face.reading import from_hf
    from datakit.hugging_face.saving import save
    from datakit.hugging_face.writing import to_hf
    from datakit.loader import Loader
    from datakit.report.show import show
    from datakit.sampling import Key, KeySampler
    from datakit.streams import Stream
    from datakit.tables import read_table

_HOME = {
    "BucketSampler": "buckets",
    "Columns": "columns",
    "Concat": "derived",
    "Dataset": "dataset",
    "Key": "sampling",
    "KeySampler": "sampling",
    "Loader": "loader",
    "Mapped": "derived",
    "Remote": "files",
    "Stream": "streams",
    "Subset": "derived",
    "ensure": "files",
    "find": "catalog",
    "from_hf": "hugging_face.reading",
    "load": "hugging_face.parquet",
    "names": "catalog",
    "padding_share": "buckets",
    "read_table": "tables",
    "save": "hugging_face.saving",
    "show": "report.show",
    "to_hf": "hugging_face.writing",
}
_MODULES = ("audio", "collate", "errors", "testing", "text", "transforms", "vision")

__all__ = [
    "BucketSampler",
    "Columns",
    "Concat",
    "Dataset",
    "Key",
    "KeySampler",
    "Loader",
    "Mapped",
    "Remote",
    "Stream",
    "Subset",
    "audio",
    "collate",
    "ensure",
    "errors",
    "find",
    "from_hf",
    "load",
    "names",
    "padding_share",
    "read_table",
    "save",
    "show",
    "testing",
    "text",
    "to_hf",
    "transforms",
    "vision",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"datakit.{name}")
    if name in _HOME:
        return getattr(import_module(f"datakit.{_HOME[name]}"), name)
    raise AttributeError(f"module 'datakit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
