"""Reference trainings: the models of the tutorials on datakit's pipelines, and the bars that a bug makes them miss.

Names are imported on first use: to list the references takes no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from datakit.reference.catalog import BUILT_IN, find

if TYPE_CHECKING:
    from datakit.reference.base import Option, Reference
    from datakit.reference.checks import Bar, Check, Result
    from datakit.reference.history import History
    from datakit.reference.training import train

_HOME = {
    "Bar": "checks",
    "Check": "checks",
    "History": "history",
    "Option": "base",
    "Reference": "base",
    "Result": "checks",
    "train": "training",
}

__all__ = ["BUILT_IN", "Bar", "Check", "History", "Option", "Reference", "Result", "find", "train"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"datakit.reference.{_HOME[name]}"), name)
    raise AttributeError(f"module 'datakit.reference' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
