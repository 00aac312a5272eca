"""Batches, and what is said when there can be none."""

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from datakit import collate
from datakit.errors import CollateError


def test_stack_equals_torch_on_what_torch_stacks():
    samples = [
        {"image": torch.rand(3, 4, 5), "points": np.float32([[i, 2]]), "label": i, "deep": {"x": (i, np.int16(i))}}
        for i in range(3)
    ]
    ours, theirs = collate.stack(samples), default_collate(samples)
    assert torch.equal(ours["image"], theirs["image"])
    assert torch.equal(ours["points"], theirs["points"])
    assert torch.equal(ours["label"], theirs["label"])
    assert ours["deep"]["x"][1].dtype == torch.int16
    assert torch.equal(ours["deep"]["x"][0], theirs["deep"]["x"][0])


def test_stack_of_text_numbers_and_tuples():
    batch = collate.stack([("a", 1.5, True, None), ("b", 2.5, False, None)])
    assert batch[0] == ["a", "b"]
    assert batch[1].dtype == torch.float32
    assert batch[2].dtype == torch.bool
    assert batch[3] == [None, None]


@pytest.mark.parametrize(("samples", "message"), [
    ([{"image": torch.zeros(3, 4, 4), "index": 7}, {"image": torch.zeros(3, 5, 4), "index": 9}],
     r"key 'image' cannot be put into one batch: index 7 has torch.float32 \(3, 4, 4\), index 9 has .*\(3, 5, 4\)"),
    ([{"a": 1}, {"a": 2, "b": 3}], r"sample 0 of the batch and sample 1 .*same keys: \['b'\]"),
    ([{"a": 1}, {"a": "x"}], "key 'a'.*int, sample 1 of the batch has str"),
    ([{"a": np.zeros(2)}, {"a": np.zeros(2, np.float32)}], r"float64 \(2,\), .*float32 \(2,\)"),
    ([(1, 2), (1,)], "different lengths"),
    ([], "no samples"),
])  # fmt: skip
def test_what_does_not_fit_is_named(samples, message):
    with pytest.raises(CollateError, match=message):
        collate.stack(samples)


def test_pad():
    samples = [{"waveform": torch.ones(2, length), "label": length} for length in (3, 5)]
    batch = collate.pad(samples)
    assert batch["waveform"].shape == (2, 2, 5)
    assert batch["waveform"][0, :, 3:].abs().sum() == 0
    assert batch["length"].tolist() == [3, 5]
    features = collate.pad([{"features": torch.ones(n, 4)} for n in (2, 1)], value=-1)
    assert features["features"][1].tolist() == [[1] * 4, [-1] * 4]
    assert features["length"].tolist() == [2, 1]
    assert collate.pad([{"tokens": torch.ones(n), "length": 9} for n in (2, 1)])["length"].tolist() == [9, 9]
    with pytest.raises(CollateError, match="'waveform'"):
        collate.pad([{"waveform": torch.ones(3)}, {"waveform": torch.ones(1, 3)}])


def test_detection_gives_what_the_detectors_take():
    samples = [
        {
            "image": torch.zeros(3, 4 + n, 5),
            "boxes": torch.zeros(n, 4),
            "labels": torch.zeros(n),
            "image_id": n,
            "index": n,
        }
        for n in range(3)
    ]
    images, targets = collate.detection(samples)
    assert [image.shape[1] for image in images] == [4, 5, 6]
    assert [sorted(target) for target in targets] == [["boxes", "image_id", "labels"]] * 3
    with pytest.raises(CollateError, match="index 4 has no boxes"):
        collate.detection([{"image": torch.zeros(3, 2, 2), "index": 4}])
    with pytest.raises(CollateError, match="ToTensor"):
        collate.detection([{"image": np.zeros((2, 2, 3)), "boxes": np.zeros((0, 4))}])
