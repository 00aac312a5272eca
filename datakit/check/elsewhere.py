"""The same samples in a process that was started anew, as a worker that is spawned or tomorrow's run."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np

from datakit.check.findings import Finding, Offender, Place
from datakit.check.pickling import pickled_bytes
from datakit.dataset import Dataset
from datakit.inspection.record_checks import where
from datakit.inspection.summary import fields
from datakit.inspection.trouble import numbers
from datakit.sampling import Key

Print: TypeAlias = list[tuple[str, dict[str, Any]]]
"""(name of a stage, what each key of the sample holds) of a record: small, and comparable between processes."""

_LARGE = 200e6  # bytes of a dataset that is not sent
_VALUES = 64  # of a floating-point array
_TOLERANCE = 1e-4  # of the greatest value: other memory may give sums another order
_START = "from datakit.check.elsewhere import answer; answer()"


def print_of(dataset: Dataset, key: Key) -> Print:
    """What a record holds, stage by stage."""
    return [(name, {str(key): _of(value) for key, value in fields(sample)}) for name, sample in dataset.trace(key)]


def _of(value: Any) -> Any:
    """Of whole numbers a hash, of floating-point ones some of them, of anything else how it is written."""
    array = numbers(value)
    if array is None:
        text = repr(sorted(map(repr, value)) if isinstance(value, set | frozenset) else value)
        return hashlib.blake2b(re.sub(r" at 0x[0-9a-f]+", "", text).encode(), digest_size=8).hexdigest()
    if array.dtype.kind != "f":
        data = np.ascontiguousarray(array).tobytes()
        return f"{array.dtype} {array.shape} {hashlib.blake2b(data, digest_size=8).hexdigest()}"
    flat = array.astype(np.float64).ravel()
    some = flat[:: max(1, len(flat) // _VALUES)]
    whole = [flat.min(), flat.max(), flat.mean(), flat.std()] if len(flat) else []
    return [f"{array.dtype} {array.shape}", *map(float, whole), *some.tolist()]


def differences(one: Print, other: Print) -> dict[str, str]:
    """The keys that differ, each with the first stage at which it does."""
    found: dict[str, str] = {}
    for (stage, first), (_, second) in zip(one, other, strict=False):
        for key in dict.fromkeys([*first, *second]):
            if key not in first or key not in second or not _like(first[key], second[key]):
                found.setdefault(key, stage)
    return found


def changed_elsewhere(own: Sequence[tuple[Place, Print]], others: Sequence[Any]) -> Iterator[Finding]:
    """A finding for each key that other processes hold otherwise.

    Args:
        own: where the records are, and their prints here.
        others: the prints of another process.
    """
    differing: dict[tuple[str, str], list[Offender]] = {}
    for (place, here), there in zip(own, others, strict=False):
        for key, stage in differences(here, there).items():
            differing.setdefault((key, stage), []).append(Offender(place))
    for (key, stage), offenders in differing.items():
        yield Finding(
            "impure",
            f"{key} is another in another process {where(stage)}, in {len(offenders)} of {len(others)} samples: it "
            "depends on the process, its worker number, or the order of a set",
            len(offenders),
            len(others),
            tuple(offenders),
            "sort what comes from a set, and use neither hash() nor the process id",
        )


def _like(one: Any, other: Any) -> bool:
    if not isinstance(one, list) or not isinstance(other, list):
        return bool(one == other)
    if one[0] != other[0]:
        return False
    first, second = np.array(one[1:], np.float64), np.array(other[1:], np.float64)
    scale = float(np.nanmax(np.abs(first), initial=0.0)) if np.isfinite(first).any() else 1.0
    return bool(np.allclose(first, second, rtol=_TOLERANCE, atol=_TOLERANCE * scale, equal_nan=True))


def prints_elsewhere(dataset: Dataset, keys: Sequence[Key], patience: float) -> tuple[list[Print], str]:
    """The prints of records in a process started anew, or else why the dataset could not be made there.

    It has another process id and another hash seed, and is told that it is worker 1 of 2.

    Args:
        dataset: is pickled for it.
        keys: of the records.
        patience: seconds for all of it, with the start of the process.

    Raises:
        TimeoutError: it took longer; it was killed.
    """
    try:
        if pickled_bytes(dataset) > _LARGE:
            return [], ""
        sent = pickle.dumps((list(map(tuple, keys)), pickle.dumps(dataset)))
    except Exception:
        return [], ""  # a finding of another check
    environment = {**os.environ, "PYTHONHASHSEED": _other_seed(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with tempfile.TemporaryFile() as file:
        start = _START.replace("answer()", f"answer({file.fileno()})")
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", start],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[file.fileno()],
            start_new_session=True,
            env=environment,
        )
        try:
            process.communicate(sent, timeout=patience)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"another process did not read {len(keys)} records in {patience:g} seconds") from None
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.communicate()
        file.seek(0)
        answered = json.loads(file.read() or b"{}")
    return answered.get("prints", []), answered.get("error", "")


def _other_seed() -> str:
    return "4243" if os.environ.get("PYTHONHASHSEED") == "4242" else "4242"


def answer(descriptor: int) -> None:
    """What the other process does: reads the dataset and the keys, and writes their prints."""
    import torch
    from torch.utils.data._utils import worker

    torch.set_num_threads(1)
    keys, data = pickle.load(sys.stdin.buffer)  # noqa: S301  (of the process that started this one)
    try:
        dataset = pickle.loads(data)  # noqa: S301
    except (AttributeError, ImportError):
        return  # a class of a script, which has no module here
    except Exception as error:
        _write(descriptor, {"error": f"{type(error).__name__}: {error}"})
        return
    told: Any = worker
    told._worker_info = worker.WorkerInfo(id=1, num_workers=2, seed=1, dataset=dataset)
    _write(descriptor, {"prints": [_read(dataset, Key(*key)) for key in keys]})


def _read(dataset: Dataset, key: Key) -> Print:
    try:
        return print_of(dataset, key)
    except Exception as error:
        return [("loaded", {f"the error ({type(error).__name__}: {error})": ""})]


def _write(descriptor: int, what: Mapping[str, Any]) -> None:
    with open(descriptor, "wb") as pipe:
        pipe.write(json.dumps(what).encode())
