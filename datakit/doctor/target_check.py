"""A dataset or loader as a load on the machine: its first batch was made in a child."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from datakit.doctor.child import Outcome
from datakit.doctor.model import Check, Load, Status
from datakit.doctor.wording import memory, plural
from datakit.errors import TargetError

_SAID_WHOLE = ("MissingDataError", "CorruptDataError", "CollateError", "SampleError")  # messages for a person
_PREFETCH, _BATCH_SIZE = 2, 32  # of torch's DataLoader, and of datakit bench


def load_of(workers: int | None, prefetch: int | None, batch_size: int | None, cores: int) -> Load:
    """The load that was asked for; without figures, a worker for each of `cores`, 2 batches ahead, 32 samples."""
    source = "a typical float32 batch of 3 x 224 x 224"
    count = cores if workers is None else workers
    return Load(count, prefetch or _PREFETCH, batch_size or _BATCH_SIZE, source=source)


def batch_check(outcome: Outcome, options: Mapping[str, Any], load: Load, workers: int | None) -> tuple[Check, Load]:
    """What one batch weighs, and the load that comes of it.

    Args:
        outcome: of the stage `batch` of `target_probe`.
        options: of the target.
        load: that was asked for.
        workers: that were asked for; a loader's own count where none were.

    Raises:
        TargetError: the target makes no sense as it was typed.
    """
    name = str(options["target"])
    if not outcome.is_good:
        why = "shared memory is held against a typical batch instead"
        said = outcome.text.splitlines()[0] if outcome.kind in _SAID_WHOLE and outcome.text else f"it {outcome.error}"
        status: Status = "warning" if outcome.kind == "MissingDataError" else "broken"
        return Check("batch", status, f"{name} gave no batch: {said}", why, _remedy(outcome, options)), load
    value = outcome.value
    if "refused" in value:
        raise TargetError(value["refused"])
    if "empty" in value:
        why = "a training on it makes no step; shared memory is held against a typical batch instead"
        said = f"{name} gave no batch: it has no records, or fewer than a batch that may not be cut short"
        return Check("batch", "broken", said, why, _remedy(outcome, options)), load
    count = value["workers"] if workers is None and value["workers"] is not None else load.workers
    load = replace(
        load,
        workers=count,
        prefetch=value["prefetch"] or load.prefetch,
        batch_size=value["batch_size"] or load.batch_size,
        batch_bytes=value["bytes"],
        batch_tensors=value["tensors"],
        source="as measured",
    )
    found = f"{memory(value['bytes'])} in {plural(value['tensors'], 'tensor')}, the largest {value['shapes']}"
    return Check("batch", "ok", found, figures=load.document()), load


def _remedy(outcome: Outcome, options: Mapping[str, Any]) -> str:
    """The command that fetches what is missing, else the one that shows what is wrong."""
    target, root, split = options["target"], options["root"], options["split"]
    words = [str(target)]
    words += [] if root is None else ["--root", str(root)]
    words += [] if split is None else ["--split", str(split)]
    if outcome.kind == "MissingDataError" and root is not None and ":" not in target:
        return f"datakit download {shlex.join(words)}"
    words += ["--synthetic"] if options["synthetic"] else []
    words += [word for typed in options["typed"] for word in ("-t", typed)]
    return f"datakit inspect {shlex.join(words)}"
