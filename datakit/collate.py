"""From samples to a batch. A collate function takes a list of samples; these name the key and the samples at fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from datakit import buffers
from datakit.errors import CollateError
from datakit.sample import SEQUENCES, TIME_LAST, Sample, per_object


def stack(samples: Sequence[Any]) -> Any:
    """Stack samples of equal shapes: dicts key by key, tuples place by place.

    Arrays, tensors and numbers become tensors (B, …); an array keeps its dtype, an `int` gives `int64`, a `float`
    `float32`. Text and anything else becomes a list of B values.

    Raises:
        CollateError: naming the key and the samples, where shapes, dtypes or keys differ.

    Examples:
        >>> import numpy as np
        >>> from datakit import collate
        >>> samples = [{"landmarks": np.zeros((68, 2), np.float32), "path": f"{n}.jpg"} for n in range(3)]
        >>> batch = collate.stack(samples)
        >>> batch["landmarks"].shape, batch["path"]
        (torch.Size([3, 68, 2]), ['0.jpg', '1.jpg', '2.jpg'])
    """
    return _collate(samples, _stack_values)


def pad(samples: Sequence[Sample], *, value: float | Mapping[str, float] = 0) -> Sample:
    """As `stack`, with tensors of different lengths padded at their end by `value`.

    The batch gets `length` (B,) `int64`, unless the samples have it: the valid steps of the first of `waveform`,
    `codes`, `spectrogram` (last axis), `features`, `tokens` and `target_tokens` (first axis) that is there. Those of a
    further one of them come as `spectrogram_length`, `target_tokens_length` and so on. Of these keys the time axis
    alone is padded: sounds of one and of two channels do not become a batch.

    Args:
        samples: at least one.
        value: of the padding; a number for each key, such as `{"target_tokens": -100}`, 0 for the others.

    Raises:
        CollateError: where the number of axes, the dtypes, or the other axes of a sequence differ.

    Examples:
        >>> import torch
        >>> from datakit import collate
        >>> batch = collate.pad([{"tokens": torch.tensor([5, 6, 7])}, {"tokens": torch.tensor([8])}])
        >>> batch["tokens"].tolist(), batch["length"].tolist()
        ([[5, 6, 7], [8, 0, 0]], [3, 1])
    """
    values = value if isinstance(value, Mapping) else None
    known = samples[0].keys() if samples and isinstance(samples[0], dict) else (values or {}).keys()
    if unknown := sorted((values or {}).keys() - known):
        raise CollateError(f"a value for the padding of {unknown[0]!r}, which no sample has: {', '.join(samples[0])}")
    batch: Sample = _collate(
        samples,
        lambda tensors, key: _pad_values(tensors, values.get(key, 0) if values is not None else value),  # type: ignore[arg-type]
    )
    keys = SEQUENCES if isinstance(batch, dict) else ()
    present = [key for key in keys if isinstance(batch.get(key), torch.Tensor) and batch[key].ndim > 1]
    for place, key in enumerate(present):
        _check_other_axes(samples, key)
        batch.setdefault(length_key(key, first=not place), _steps(samples, key))
    return batch


def pack(samples: Sequence[Sample], *, value: float | Mapping[str, float] = 0) -> Sample:
    """As `pad`, with `tokens`, `target_tokens` and `features` as a `PackedSequence` each, for torch's recurrent nets.

    The members keep their order: what `pad_packed_sequence` or a net gives back is in that of the samples.

    Args:
        samples: at least one; none of their sequences is empty.
        value: of the padding of other keys; as of `pad`.

    Raises:
        CollateError: as of `pad`, and for a sequence of no steps, which cannot be packed.

    Examples:
        >>> import torch
        >>> from datakit import collate
        >>> batch = collate.pack([{"tokens": torch.tensor([8])}, {"tokens": torch.tensor([5, 6, 7])}])
        >>> batch["tokens"].data.tolist(), batch["tokens"].batch_sizes.tolist(), batch["length"].tolist()
        ([5, 8, 6, 7], [2, 1, 1], [1, 3])
    """
    batch = pad(samples, value=value)
    keys = [key for key in SEQUENCES if isinstance(batch, dict) and isinstance(batch.get(key), torch.Tensor)]
    packed = [key for key in keys if key not in TIME_LAST and batch[key].ndim > 1]
    if not packed:
        raise CollateError("there is nothing to pack: samples have no tokens, which Encode makes, and no features")
    for key in packed:
        steps = _steps(samples, key)
        if empty := (steps == 0).nonzero().flatten().tolist():
            raise CollateError(f"key {key!r}: {_who(samples[empty[0]], empty[0])} has no steps, so it cannot be packed")
        batch[key] = pack_padded_sequence(batch[key], steps, batch_first=True, enforce_sorted=False)
    return batch


def length_key(key: str, *, first: bool) -> str:
    """Where a padded batch says how long its members are: for its first sequence, or for a further one."""
    return "length" if first else f"{key}_length"


def _steps(samples: Sequence[Sample], key: str) -> torch.Tensor:
    axis = -1 if key in TIME_LAST else 0
    return torch.tensor([_tensor(sample[key]).shape[axis] for sample in samples])


def _check_other_axes(samples: Sequence[Sample], key: str) -> None:
    """Raise CollateError where samples differ in another axis than time, such as the number of channels."""
    shapes = [tuple(_tensor(sample[key]).shape) for sample in samples]
    others = [shape[:-1] if key in TIME_LAST else shape[1:] for shape in shapes]
    for place, other in enumerate(others):
        if other != others[0]:
            raise CollateError(
                f"key {key!r} cannot be put into one batch: {_who(samples[0], 0)} has {shapes[0]}, "
                f"{_who(samples[place], place)} has {shapes[place]}; only the time axis is padded"
            )


def detection(samples: Sequence[Sample]) -> tuple[list[torch.Tensor], list[dict[str, Any]]]:
    """`images, targets` as torchvision's detectors take them.

    Returns:
        images: a list of B tensors (C, H, W), each of its own size.
        targets: a list of B dicts with the per-object keys of the samples, such as `boxes`, `labels`, `masks`, `area`,
            `iscrowd` and `keypoints`, and `image_id`.

    Raises:
        CollateError: for a sample without `image` or `boxes`, or one that `ToTensor` has not seen.

    Examples:
        >>> import torch
        >>> from datakit import collate
        >>> sample = {"image": torch.zeros(3, 8, 9), "boxes": torch.tensor([[0.0, 0.0, 4.0, 4.0]]), "path": "1.png"}
        >>> images, targets = collate.detection([sample, sample])
        >>> images[0].shape, list(targets[0])
        (torch.Size([3, 8, 9]), ['boxes'])
    """
    for sample in samples:
        missing = {"image", "boxes"} - sample.keys()
        if missing:
            raise CollateError(f"collate.detection: {_who(sample, 0)} has no {', '.join(sorted(missing))}")
        if not isinstance(sample["image"], torch.Tensor):
            raise CollateError(
                f"collate.detection: the image of {_who(sample, 0)} is not a tensor; end with ToTensor()"
            )
    targets = [
        {key: _target(sample[key]) for key in (*per_object(sample), "image_id") if key in sample} for sample in samples
    ]
    return [sample["image"] for sample in samples], targets


def _target(value: Any) -> Any:
    return torch.as_tensor(value) if isinstance(value, np.ndarray) else value


def _collate(samples: Sequence[Any], combine: Any) -> Any:
    if not samples:
        raise CollateError("there are no samples to collate")
    first = samples[0]
    if isinstance(first, dict):
        _check_keys(samples)
        return {key: _combine(samples, key, [sample[key] for sample in samples], combine) for key in first}
    if isinstance(first, tuple):
        if len({len(sample) for sample in samples}) > 1:
            raise CollateError(f"tuples of different lengths: {[len(sample) for sample in samples]}")
        return tuple(_combine(samples, i, [sample[i] for sample in samples], combine) for i in range(len(first)))
    return _combine(samples, "sample", list(samples), combine)


def _check_keys(samples: Sequence[Sample]) -> None:
    for place, sample in enumerate(samples):
        if different := samples[0].keys() ^ sample.keys():
            raise CollateError(
                f"{_who(samples[0], 0)} and {_who(sample, place)} do not have the same keys: {sorted(different)}"
            )


def _combine(samples: Sequence[Any], key: Any, values: list[Any], combine: Any) -> Any:
    if isinstance(values[0], dict | tuple):
        return _collate(values, combine)
    if not _is_numeric(values[0]):
        return values
    try:
        return combine([_tensor(value) for value in values], key)
    except (RuntimeError, TypeError, ValueError) as error:
        raise CollateError(_disagreement(samples, key, values) or f"key {key!r}: {error}") from error


def _is_numeric(value: Any) -> bool:
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "biufc"
    return isinstance(value, torch.Tensor | bool | int | float)


def _tensor(value: Any) -> torch.Tensor:
    if isinstance(value, np.ndarray) and not value.flags.writeable:
        value = value.copy()
    return torch.as_tensor(value)


def _stack_values(tensors: list[torch.Tensor], key: Any) -> torch.Tensor:
    first = tensors[0]
    if any(tensor.dtype != first.dtype or tensor.shape != first.shape for tensor in tensors):
        raise ValueError("they differ")
    written = buffers.whole(tensors)
    if written is not None:
        return written
    if first.device.type != "cpu":
        return torch.stack(tensors)
    return torch.stack(tensors, out=buffers.empty((len(tensors), *first.shape), first.dtype))


def _pad_values(tensors: list[torch.Tensor], value: float) -> torch.Tensor:
    first = tensors[0]
    if any(tensor.dtype != first.dtype or tensor.ndim != first.ndim for tensor in tensors):
        raise ValueError("they differ")
    longest = [max(sizes) for sizes in zip(*(tensor.shape for tensor in tensors), strict=True)]
    out = buffers.empty((len(tensors), *longest), first.dtype)
    for row, tensor in zip(out, tensors, strict=True):
        ends = [(0, full - size) for full, size in zip(longest, tensor.shape, strict=True)]
        row.copy_(F.pad(tensor, [side for pair in reversed(ends) for side in pair], value=value))
    return out


def _disagreement(samples: Sequence[Any], key: Any, values: list[Any]) -> str | None:
    """Says which two samples do not fit together, and in what."""
    described = [_describe(value) for value in values]
    for place, (kind, sample) in enumerate(zip(described, samples, strict=True)):
        if kind != described[0]:
            return (
                f"key {key!r} cannot be put into one batch: {_who(samples[0], 0)} has {described[0]}, "
                f"{_who(sample, place)} has {kind}"
            )
    return None


def _describe(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"{value.dtype} {tuple(shape)}" if shape is not None else type(value).__name__


def _who(sample: Any, place: int) -> str:
    index = sample.get("index") if isinstance(sample, dict) else None
    return f"sample {place} of the batch" if index is None else f"index {index}"
