"""A run on disk: whole at every moment, and refused where it is another run's."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Literal

import torch

from datakit.errors import CorruptDataError, DatakitError, MissingDataError, StateError
from datakit.files.writing import write_whole
from datakit.reference.base import Reference
from datakit.reference.history import History

NAME = "checkpoint.pt"
_VERSION = 1
_PARTS = {"version", "run", "done", "states", "history", "generator", "cuda"}


def save(folder: Path, reference: Reference, history: History, *, done: bool = False) -> None:
    """Write all that the run needs to go on: states, history, and where torch's generators are."""
    document = {
        "version": _VERSION,
        "run": _identity(reference),
        "done": done,
        "states": reference.state_dict(),
        "history": history.state_dict(),
        "generator": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if reference.device.type == "cuda" else [],
    }
    buffer = io.BytesIO()
    torch.save(document, buffer)
    write_whole(folder / NAME, buffer.getvalue())


def restore(folder: Path, reference: Reference, history: History) -> None:
    """Put a run that has been built into the state that was saved.

    Raises:
        MissingDataError: where nothing was saved.
        CorruptDataError: where the file is no checkpoint of a reference.
        StateError: where it is one of another run, or of another version of the reference; it says what differs.
    """
    document = read(folder)
    theirs, own = document["run"], _identity(reference)
    for field in {**own, **theirs}:
        if theirs.get(field) != own.get(field):
            raise StateError(
                f"{folder / NAME} is of another run: its {field} is {theirs.get(field)!r}, here {own.get(field)!r}; "
                "give the same options, or another --out"
            )
    reference.load_state_dict(document["states"])
    history.load_state_dict(document["history"])
    torch.set_rng_state(document["generator"])
    if document["cuda"] and reference.device.type == "cuda":
        torch.cuda.set_rng_state_all(document["cuda"])


def read(folder: Path) -> dict[str, Any]:
    """The document of a checkpoint; nothing in it is run.

    Raises:
        MissingDataError: where there is none.
        CorruptDataError: where the file is no checkpoint of a reference.
    """
    path = folder / NAME
    if not path.is_file():
        raise MissingDataError(f"{folder} holds no run to go on with: there is no {NAME}")
    try:
        document = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise CorruptDataError(f"{path} is no checkpoint: {type(error).__name__}") from error
    if not isinstance(document, dict) or document.get("version") != _VERSION or not document.keys() >= _PARTS:
        raise CorruptDataError(f"{path} is no checkpoint of a reference")
    if not isinstance(document["run"], dict):
        raise CorruptDataError(f"{path} is no checkpoint of a reference")
    return document


def recall(folder: Path, cls: type[Reference], root: Path | None = None) -> Reference:
    """The reference of a run with its weights, ready to `predict`, on the CPU.

    Args:
        folder: the run's.
        cls: what was trained, without a bug.
        root: where the data lie; needed for a run on real data of a reference that does not remember what it needs.

    Raises:
        MissingDataError: where nothing was saved, or the data are needed and not there.
        CorruptDataError: where the file is no checkpoint of a reference.
        StateError: where it is one of another reference, of another version of it, or of other data.
    """
    document = read(folder)
    run = document["run"]
    if run.get("reference") != cls.name:
        raise StateError(f"{folder / NAME} is a run of {run.get('reference')}, not of {cls.name}")
    is_real = run.get("data") == "real"
    if is_real and root is None and not cls.remembers and cls.needs_data:
        raise MissingDataError(
            f"the run in {folder} was on real data, and {cls.name} needs them again: give --root DIR"
        )
    own = cls.sabotaged(run["sabotage"]) if run.get("sabotage") else cls
    reference = own(root if is_real else None, seed=run["seed"], options=run["options"])
    try:
        reference.rebuild(document["states"])
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, DatakitError):
            raise
        raise StateError(f"{folder / NAME} is of another version of {cls.name}: {str(error)[:200]}") from error
    return reference


def kind(folder: Path) -> Literal["none", "unfinished", "real", "synthetic"]:
    """Whether a run lies there: one that was stopped before its end, or a finished one on which data."""
    if not (folder / NAME).is_file():
        return "none"
    document = read(folder)
    if not document["done"]:
        return "unfinished"
    return "real" if document["run"].get("data") == "real" else "synthetic"


def _identity(reference: Reference) -> dict[str, Any]:
    identity = {
        "reference": reference.name,
        "sabotage": reference.bug,
        "seed": reference.seed,
        "options": dict(reference.chosen),
        "data": "synthetic" if reference.is_synthetic else "real",
    }
    return {**identity, "contents": reference.contents} if reference.contents else identity
