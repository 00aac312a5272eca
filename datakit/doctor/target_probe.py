"""Stages of a child process that open a dataset or loader and make one batch of it."""

from __future__ import annotations

from copy import copy
from itertools import islice
from typing import Any


def batch(options: dict[str, Any]) -> dict[str, Any]:
    """Make the first batch as a loader would: bytes and number of its tensors, and what the loader asks for.

    Returns:
        `refused` alone, with the message, where the command line makes no sense; `empty` alone where there is none.
    """
    from datakit.errors import TargetError, UnknownNameError

    try:
        made, loader = _made(options)
    except (TargetError, UnknownNameError) as error:
        return {"refused": str(error)}
    batches = list(islice(made, 1))
    if not batches:
        return {"empty": True}
    (first,) = batches
    storages = _storages(first)
    return {
        "bytes": sum(storages.values()),
        "tensors": len(storages),
        "shapes": _shapes(first),
        "batch_size": getattr(made, "batch_size", None),
        "workers": None if loader is None else loader.num_workers,
        "prefetch": getattr(loader, "prefetch_factor", None),
    }


def _made(options: dict[str, Any]) -> tuple[Any, Any]:
    """What gives the batch, and the target's own loader, where it is one."""
    from datakit.errors import TargetError
    from datakit.loader import Loader
    from datakit.targets import chain_of, open_target

    places = {"root": options["root"], "split": options["split"]}
    records = options["records"] if options["synthetic"] else None
    chain = chain_of(options["typed"], options["transform"])
    target = open_target(options["target"], synthetic=records, transform=chain, **places)
    own = target.loader
    if own is None:
        seed = options["seed"] or 0
        return Loader(target.source, options["batch_size"] or 32, shuffle=True, seed=seed), None
    if options["batch_size"] is not None:
        raise TargetError(f"{target.name} is a loader and brings its own; --batch-size goes with a dataset")
    if isinstance(own, Loader) and type(own).__init__ is Loader.__init__:
        return own.with_workers(0), own
    return _alone(own), own


def _alone(loader: Any) -> Any:
    """The same loader of torch's without workers: they would make what it fetches ahead, and share it."""
    from torch.utils.data import DataLoader

    if not isinstance(loader, DataLoader) or not loader.num_workers:
        return loader
    other = copy(loader)
    name = "_DataLoader__multiprocessing_context"  # is checked against the number of workers when it is set
    resting = {"num_workers": 0, "prefetch_factor": None, "persistent_workers": False, "timeout": 0, "_iterator": None}
    vars(other).update({**resting, "pin_memory": False, name: None})
    return other


def _storages(value: Any) -> dict[int, int]:
    """Bytes of the pieces of memory behind the tensors in a batch, by their address: each is shared once."""
    import torch

    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided:
            return {key: size for part in (value.indices(), value.values()) for key, size in _storages(part).items()}
        storage = value.untyped_storage()
        return {storage.data_ptr(): storage.nbytes()} if storage.nbytes() else {}
    return {key: size for part in _parts(value) for key, size in _storages(part).items()}


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list | tuple):
        return list(value)
    return (
        list(vars(value).values())
        if type(value).__module__.startswith("datakit.") and hasattr(value, "__dict__")
        else []
    )


def _shapes(value: Any) -> str:
    """The largest tensor of a batch, such as `float32 (32, 3, 224, 224)`."""
    import torch

    found: list[torch.Tensor] = []

    def gather(part: Any) -> None:
        if isinstance(part, torch.Tensor):
            found.append(part)
        for inner in [] if isinstance(part, torch.Tensor) else _parts(part):
            gather(inner)

    gather(value)
    if not found:
        return "no tensors"
    largest = max(found, key=lambda tensor: tensor.numel() * tensor.element_size())
    return f"{str(largest.dtype).removeprefix('torch.')} {tuple(largest.shape)}"


def remotes(name: str, split: str | None, root: str) -> list[dict[str, Any]]:
    """What a dataset of the catalog needs: each file, its size where it is known, and whether it is there."""
    from pathlib import Path

    from datakit.catalog import find

    cls = find(name)
    missing = cls.missing(root, split)

    def is_there(remote: Any) -> bool:
        paths = (remote.name, *remote.produces)
        whole = bool(remote.produces) and all(Path(root, path).exists() for path in remote.produces)
        return not missing or (whole and not any(entry.startswith(paths) for entry in missing))

    return [
        {
            "name": remote.name,
            "size": remote.size,
            "unpack": remote.unpack,
            "urls": remote.urls,
            "is_there": is_there(remote),
        }
        for remote in cls.remotes_of(split)
    ]
