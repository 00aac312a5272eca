"""From the files of the real nuclei through the transforms of detectors to batches and numbers."""

import numpy as np
import pytest
import torch
from skimage.measure import regionprops

from datakit import Loader, Subset, collate
from datakit.transforms import (
    Compose,
    RandomCrop,
    RandomHorizontalFlip,
    RandomIoUCrop,
    RandomResizedCrop,
    RandomZoomOut,
    Rescale,
    ScaleJitter,
    ToTensor,
)
from datakit.vision import CocoEvaluation, aspect_ratio_groups

CHAINS = {
    "tutorial": [RandomHorizontalFlip(), ToTensor()],
    "ssd": [RandomZoomOut(), RandomIoUCrop(), RandomHorizontalFlip(), Rescale((160, 160)), ToTensor()],
    "jitter": [ScaleJitter((256, 256)), RandomCrop((256, 256), pad=True), RandomHorizontalFlip(), ToTensor()],
    "resized": [RandomResizedCrop(128, scale=(0.02, 0.2)), ToTensor()],
}


@pytest.mark.parametrize("name", CHAINS)
def test_real_objects_stay_whole_through_the_chains_of_detectors(nuclei, name):
    loader = Loader(nuclei.with_transform(Compose(CHAINS[name])), 4, shuffle=True, collate_fn=collate.detection)
    counts = []
    for images, targets in loader:
        for image, target in zip(images, targets, strict=True):
            masks = target["masks"].numpy()
            assert masks.shape[1:] == image.shape[1:]
            assert {len(target[key]) for key in ("boxes", "labels", "area", "iscrowd")} == {len(masks)}
            corners = [regionprops(mask)[0].bbox for mask in masks]
            boxes = np.float32([(left, top, right, bottom) for top, left, bottom, right in corners]).reshape(-1, 4)
            np.testing.assert_array_equal(target["boxes"], boxes)
            np.testing.assert_array_equal(target["area"], masks.sum((1, 2)))
            counts.append(len(masks))
    assert len(counts) == 170
    assert max(counts) > 5
    if name in ("jitter", "resized"):
        assert len(set(counts)) > 5
    if name == "resized":
        assert 0 in counts  # an image may end with no objects


def test_batches_of_like_shape_of_the_real_nuclei(nuclei):
    groups = aspect_ratio_groups(nuclei, k=0)
    assert sorted(set(groups)) == [1]  # 256 x 256 and 256 x 320: none is upright
    groups = aspect_ratio_groups(nuclei, k=4)  # 320 / 256 is above 2^(1/4)
    assert len(set(groups)) == 2
    loader = Loader(nuclei.with_transform(ToTensor()), 4, shuffle=True, groups=groups, collate_fn=collate.detection)
    shapes = [{tuple(image.shape) for image in images} for images, _ in loader]
    assert sum(len(batch) > 1 for batch in shapes) <= 1


def test_the_truth_itself_is_found_and_half_of_it_half(nuclei):
    whole, half = CocoEvaluation(("boxes", "masks")), CocoEvaluation(("boxes", "masks"))
    some = Subset(nuclei.with_transform(ToTensor()), range(0, 170, 4))
    for _, targets in Loader(some, 10):
        found = [{**target, "scores": torch.ones(len(target["boxes"]))} for target in targets]
        whole.update(found, targets)
        half.update([{key: found[n][key][::2] for key in WANTED} for n in range(len(found))], targets)
    for kind in ("boxes", "masks"):
        assert whole.results()[kind].ap == pytest.approx(1)
        kept = sum((len(sample) + 1) // 2 for sample in sizes(some)) / sum(map(len, sizes(some)))
        assert half.results()[kind].ar100 == pytest.approx(kept, abs=1e-3)


WANTED = ("boxes", "labels", "scores", "masks")


def sizes(dataset):
    return [sample["boxes"] for sample in dataset]
