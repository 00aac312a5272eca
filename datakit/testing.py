"""Checks for the tests of whoever writes a dataset or a transform."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from datakit.chain import irreproducible, same
from datakit.dataset import Dataset
from datakit.loader import Loader
from datakit.sampling import Key

_EXPECTED: dict[str, Callable[[Any], bool]] = {
    "image": lambda v: _is(v, np.uint8, ndim=3) if isinstance(v, np.ndarray) else _is_unit_image(v),
    "landmarks": lambda v: _is(v, np.float32, ndim=2) and v.shape[1] == 2,
    "boxes": lambda v: _is(v, np.float32, ndim=2) and v.shape[1] == 4,
    "labels": lambda v: _is(v, np.int64, ndim=1),
    "masks": lambda v: _is(v, np.uint8, ndim=3),
    "area": lambda v: _is(v, np.float32, ndim=1),
    "iscrowd": lambda v: _is(v, np.int64, ndim=1),
    "keypoints": lambda v: _is(v, np.float32, ndim=3) and v.shape[2] == 3,
    "scores": lambda v: _is(v, np.float32, ndim=1),
    "waveform": lambda v: _is(v, np.float32, ndim=2) and bool(abs(v).max() <= 1),
    "codes": lambda v: _is(v, np.int64, ndim=2),
    "spectrogram": lambda v: _is(v, np.float32, ndim=3) or _is(v, np.complex64, ndim=3),
    "features": lambda v: _is(v, np.float32, ndim=2),
    "tokens": lambda v: _is(v, np.int64, ndim=1),
    "label": lambda v: isinstance(v, int),
    "image_id": lambda v: isinstance(v, int),
    "sample_rate": lambda v: isinstance(v, int) and v > 0,
    "length": lambda v: isinstance(v, int) and v >= 0,
    "text": lambda v: isinstance(v, str),
    "path": lambda v: isinstance(v, str),
    "index": lambda v: isinstance(v, int),
}


def assert_sample(sample: Any) -> None:
    """Check that every known key of a sample holds what `datakit.sample` says.

    Raises:
        AssertionError: naming the key and what was found.

    Examples:
        >>> import numpy as np
        >>> from datakit.testing import assert_sample
        >>> assert_sample({"image": np.zeros((8, 9, 3), np.uint8), "label": 1})
        >>> assert_sample({"boxes": np.zeros((2, 4))})
        Traceback (most recent call last):
        AssertionError: sample['boxes'] is not what datakit.sample says: ndarray float64 (2, 4)
    """
    _check(isinstance(sample, dict), f"a sample is a dict, got {type(sample).__name__}")
    for key, value in sample.items():
        _check(isinstance(key, str), f"the keys of a sample are str, got {key!r}")
        if key in _EXPECTED:
            _check(_EXPECTED[key](value), f"sample[{key!r}] is not what datakit.sample says: {_describe(value)}")


def assert_dataset(dataset: Dataset, indices: range | None = None) -> None:
    """Check what datakit promises of a dataset: contract of the keys, one stream, errors, pickling, lengths.

    Args:
        dataset: a small one, such as `MyDataset.synthetic(n=8)`; without a transform the keys' contract is exact.
        indices: records to read; all by default.

    Raises:
        AssertionError: saying which promise is not kept, and where.

    Examples:
        >>> from datakit.testing import assert_dataset
        >>> from datakit.vision import FaceLandmarks
        >>> assert_dataset(FaceLandmarks.synthetic(n=4))
    """
    _check(len(dataset) > 0, f"{dataset!r} has no records")
    for index in indices if indices is not None else range(len(dataset)):
        sample = dataset[index]
        if isinstance(sample, dict):
            assert_sample(sample)
            _check(sample["index"] == index, f"sample {index} says that its index is {sample['index']}")
        stage = irreproducible(partial(dataset.trace, Key(0, 0, index)))
        _check(stage is None, f"record {index}: two runs under one key differ at {stage!r}")
    _check(same(dataset[-1], dataset[len(dataset) - 1]) or dataset.transform is not None, "dataset[-1] is not the last")
    try:
        dataset[len(dataset)]
    except IndexError:
        pass
    else:
        raise AssertionError(f"dataset[{len(dataset)}] must raise IndexError, there are {len(dataset)} records")
    copy = pickle.loads(pickle.dumps(dataset))  # noqa: S301  (what was just pickled)
    _check(copy.fingerprint() == dataset.fingerprint(), "a pickled copy has another fingerprint")
    assert_one_stream(dataset)


def assert_one_stream(
    dataset: Any, *, workers: tuple[int, ...] = (0, 2), batch_sizes: tuple[int, ...] = (1, 3)
) -> None:
    """Check that samples are the same, pixels included, at every number of workers and every batch size.

    Raises:
        AssertionError: naming the first difference.

    Examples:
        >>> from datakit import Mapped
        >>> from datakit.testing import assert_one_stream
        >>> assert_one_stream(Mapped([{"number": n} for n in range(6)]), workers=(0, 1))
    """
    truth = None
    for num_workers in workers:
        for batch_size in batch_sizes:
            loader = Loader(dataset, batch_size, shuffle=True, num_workers=num_workers, collate_fn=_as_list)
            samples = [sample for batch in loader for sample in batch]
            truth = samples if truth is None else truth
            for place, (one, other) in enumerate(zip(truth, samples, strict=True)):
                _check(
                    same(one, other),
                    f"sample {place} of the stream differs with num_workers={num_workers}, batch_size={batch_size}",
                )


def _as_list(samples: Any) -> list[Any]:
    return list(samples)


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def _is(value: Any, dtype: Any, ndim: int) -> bool:
    array = value.numpy() if isinstance(value, torch.Tensor) else value
    return isinstance(array, np.ndarray) and array.dtype == dtype and array.ndim == ndim


def _is_unit_image(value: Any) -> bool:
    if not isinstance(value, torch.Tensor) or value.ndim != 3:
        return False
    return value.dtype == torch.uint8 or (value.is_floating_point() and value.shape[0] <= 4)


def _describe(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__} {value.dtype} {tuple(shape)}" if shape is not None else repr(value)
