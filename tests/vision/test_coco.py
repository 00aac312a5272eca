"""COCO's numbers, against numbers by hand and against average precision written independently."""

import builtins
import pickle

import numpy as np
import pytest
import torch

from datakit import Loader, Mapped, collate
from datakit.errors import DatakitError
from datakit.transforms import ToTensor
from datakit.vision import CocoEvaluation, evaluate_detector

THRESHOLDS = np.linspace(0.5, 0.95, 10)
SQUARE = [10.0, 10.0, 60.0, 60.0]


def truth(*boxes, labels=None):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return {"boxes": boxes, "labels": torch.ones(len(boxes), dtype=torch.int64) if labels is None else labels}


def found(*boxes, scores=None, labels=None):
    values = truth(*boxes, labels=labels)
    return {**values, "scores": torch.ones(len(values["boxes"])) if scores is None else torch.tensor(scores)}


def boxes_of(*pairs, **options):
    evaluation = CocoEvaluation(**options)
    for prediction, target in pairs:
        evaluation.update([prediction], [target])
    return evaluation.results()["boxes"]


def test_what_is_right_is_1_and_what_is_not_there_is_minus_1():
    result = boxes_of((found(SQUARE), truth(SQUARE)))
    assert (result.ap, result.ap50, result.ap75, result.ap_medium, result.ar1) == pytest.approx((1, 1, 1, 1, 1))
    assert (result.ap_small, result.ap_large, result.ar_small, result.ar_large) == (-1, -1, -1, -1)
    assert result.classes == pytest.approx({1: 1.0})


@pytest.mark.parametrize(("shift", "right"), [(2, 9), (5, 7), (10, 4), (16, 1), (17, 0)])
def test_an_overlap_is_right_up_to_its_threshold(shift, right):
    """Boxes 50 wide, moved: the overlap is (50 - s) / (50 + s)."""
    assert right == ((50 - shift) / (50 + shift) + 1e-9 >= THRESHOLDS).sum()
    result = boxes_of((found([10.0 + shift, 10, 60 + shift, 60]), truth(SQUARE)))
    assert result.ap == pytest.approx(right / 10)
    assert result.ar100 == pytest.approx(right / 10)


def test_nothing_found_and_too_much_found():
    assert boxes_of((found(), truth(SQUARE))).ap == 0
    first_wrong = found([200, 200, 220, 220], SQUARE, scores=[0.9, 0.8])
    assert boxes_of((first_wrong, truth(SQUARE))).ap == pytest.approx(0.5)
    assert boxes_of((first_wrong, truth(SQUARE))).ar1 == 0
    for score, ap in ((0.5, 1.0), (0.9, 0.5)):  # found where nothing is, after and before what is right
        made_up = found(SQUARE, scores=[score])
        assert boxes_of((made_up, truth()), (found(SQUARE, scores=[0.7]), truth(SQUARE))).ap == pytest.approx(ap)
    assert boxes_of((found(), truth())).ap == -1


def average_precision(pairs, threshold, overlap):
    """From the definition: greedy matches by score, precision made monotone, read at 101 recalls."""
    rows = sorted(
        ((score, image, place) for image, (p, _) in enumerate(pairs) for place, score in enumerate(p["scores"])),
        key=lambda row: -row[0],
    )
    used = [np.zeros(len(t["boxes"]), bool) for _, t in pairs]
    hits = []
    for _, image, place in rows:
        shares = overlap(pairs[image][0], pairs[image][1])[place] if len(used[image]) else np.zeros(0)
        shares = np.where(used[image], -1, shares)
        best = int(shares.argmax()) if len(shares) else -1
        hits.append(best >= 0 and shares[best] >= threshold)
        if hits[-1]:
            used[image][best] = True
    total = sum(len(one) for one in used)
    right = np.cumsum(hits)
    recall, precision = right / total, right / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    return np.where(at < len(precision), precision[np.minimum(at, len(precision) - 1)], 0).mean(), right[-1] / total


def box_overlap(one, other):
    a, b = one["boxes"].double().numpy()[:, None], other["boxes"].double().numpy()[None]
    sides = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    common = sides.prod(-1)
    return common / ((a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - common)


def mask_overlap(one, other):
    a = (one["masks"][:, 0].numpy() >= 0.5)[:, None]
    b = (other["masks"].numpy() > 0)[None]
    return (a & b).sum((2, 3)) / np.maximum((a | b).sum((2, 3)), 1)


def scene(rng):
    """A few objects, found with errors, missed, or made up."""
    corners = rng.uniform(0, 90, (rng.integers(1, 6), 2))
    boxes = np.concatenate([corners, corners + rng.uniform(10, 40, corners.shape)], 1).round()
    seen = boxes[rng.random(len(boxes)) < 0.8] + rng.normal(0, 2, 4).round()
    made_up = rng.uniform(0, 60, (rng.integers(0, 3), 2))
    seen = np.concatenate([seen, np.concatenate([made_up, made_up + 20], 1)]).round()
    scores = rng.permutation(1000)[: len(seen)] / 1000 + rng.random() * 1e-4
    target, prediction = truth(*boxes.tolist()), found(*seen.tolist(), scores=scores.astype(np.float32).tolist())
    for part, is_float in ((target, False), (prediction, True)):
        masks = np.zeros((len(part["boxes"]), 140, 140), np.float32)
        for mask, (x1, y1, x2, y2) in zip(masks, part["boxes"].int().tolist(), strict=True):
            mask[max(y1, 0) : y2, max(x1, 0) : x2] = 0.9
            mask[max(y1, 0) : y1 + 4, max(x1, 0) : x1 + 4] = 0.4 if is_float else 0  # not an object's corner
        part["masks"] = torch.from_numpy(masks)[:, None] if is_float else torch.from_numpy(masks > 0).to(torch.uint8)
    return prediction, target


@pytest.mark.parametrize("seed", range(5))
def test_numbers_are_those_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    pairs = [scene(rng) for _ in range(12)]
    evaluation = CocoEvaluation(("boxes", "masks"))
    for prediction, target in pairs:
        evaluation.update([prediction], [target])
    for kind, overlap in (("boxes", box_overlap), ("masks", mask_overlap)):
        result = evaluation.results()[kind]
        by_hand = [average_precision(pairs, threshold - 1e-10, overlap) for threshold in THRESHOLDS]
        assert result.ap == pytest.approx(np.mean([ap for ap, _ in by_hand]), abs=1e-6)
        assert (result.ap50, result.ap75) == pytest.approx((by_hand[0][0], by_hand[5][0]), abs=1e-6)
        assert result.ar100 == pytest.approx(np.mean([recall for _, recall in by_hand]), abs=1e-6)
        assert 0 < result.ap < 1


def test_classes_count_alike_and_a_crowd_is_neither_right_nor_wrong():
    labels = torch.tensor([1, 2])
    far = [300.0, 10.0, 350.0, 60.0]
    result = boxes_of((found(SQUARE, [300, 200, 350, 250], labels=labels), truth(SQUARE, far, labels=labels)))
    assert result.classes == pytest.approx({1: 1.0, 2: 0.0})
    assert result.ap == pytest.approx(0.5)
    crowd = truth(SQUARE, far) | {"iscrowd": torch.tensor([0, 1])}
    assert boxes_of((found(far, SQUARE, scores=[0.9, 0.8]), crowd)).ap == pytest.approx(1)


def test_sizes_are_told_by_the_area_of_the_truth():
    small = truth(SQUARE) | {"area": torch.tensor([100.0])}
    result = boxes_of((found(SQUARE), small))
    assert (result.ap_small, result.ap_medium) == pytest.approx((1, -1))


def test_parts_of_several_processes_are_merged():
    rng = np.random.default_rng(9)
    pairs = [scene(rng) for _ in range(6)]
    whole, parts = CocoEvaluation(("boxes", "masks")), [CocoEvaluation(("boxes", "masks")) for _ in range(2)]
    for place, (prediction, target) in enumerate(pairs):
        parts[place // 3].update([prediction], [target])
        whole.update([prediction], [target])
    parts[0].merge(pickle.loads(pickle.dumps(parts[1:])))
    assert len(parts[0]) == 6
    assert parts[0].results() == whole.results()


def test_the_printout_is_that_of_the_tutorial():
    lines = str(boxes_of((found(SQUARE), truth(SQUARE)))).splitlines()
    assert lines[0] == "IoU metric: bbox"
    assert lines[1] == " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 1.000"
    assert lines[6] == " Average Precision  (AP) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = -1.000"
    assert len(lines) == 13


def test_nothing_is_printed(capfd):
    boxes_of((found(SQUARE), truth(SQUARE)))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("prediction", "target", "says"), [
    ({"boxes": torch.zeros(1, 4)}, truth(SQUARE), "prediction of image 0 has no labels, scores"),
    (found(SQUARE), {"boxes": torch.zeros(1, 4)}, "target of image 0 has no labels"),
    (found(SQUARE) | {"scores": torch.ones(3)}, truth(SQUARE), "prediction of image 0 has 1 boxes and 3 scores"),
    (found([float("nan")] * 4), truth(SQUARE), "boxes that are not finite"),
    (found(SQUARE), truth(SQUARE) | {"area": torch.ones(2)}, "target of image 0 has 1 boxes and 2 area"),
])  # fmt: skip
def test_what_does_not_fit_is_said(prediction, target, says):
    with pytest.raises(ValueError, match=says):
        CocoEvaluation().update([prediction], [target])


def test_what_cannot_be_evaluated_is_said(monkeypatch):
    with pytest.raises(ValueError, match="1 predictions and 2 targets"):
        CocoEvaluation().update([found(SQUARE)], [truth(SQUARE)] * 2)
    with pytest.raises(ValueError, match="'boxes', 'masks' or both"):
        CocoEvaluation(("points",))
    with pytest.raises(DatakitError, match="nothing to evaluate"):
        CocoEvaluation().results()
    masks = {"masks": torch.zeros(1, 2, 5, 5)}
    with pytest.raises(ValueError, match=r"masks of shape \(1, 2, 5, 5\)"):
        CocoEvaluation(("masks",)).update([found(SQUARE) | masks], [truth(SQUARE) | {"masks": torch.zeros(1, 5, 5)}])
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("pycocotools"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DatakitError, match=r"pip install .datakit\[detection\]"):
        CocoEvaluation()


def test_a_detector_is_evaluated_over_a_loader_and_left_as_it_was():
    class Perfect(torch.nn.Linear):
        """Knows where the bright square is; gives losses while it trains, as torchvision's do."""

        def forward(self, images):
            assert not self.training
            assert not torch.is_grad_enabled()
            places = [torch.nonzero(image[0] > 0.5) for image in images]
            corners = [torch.cat([at.min(0).values.flip(0), at.max(0).values.flip(0) + 1]).tolist() for at in places]
            return [found(corner) for corner in corners]

    records = []
    for place in range(5):
        image = np.zeros((50, 60, 3), np.uint8)
        image[5 + place : 30, 10 : 40 + place] = 255
        box = np.float32([[10, 5 + place, 40 + place, 30]])
        records.append({"image": image, "boxes": box, "labels": np.ones(1, np.int64)})
    loader = Loader(Mapped(records, transform=ToTensor()), 2, collate_fn=collate.detection)
    model = Perfect(1, 1).train()
    assert evaluate_detector(model, loader)["boxes"].ap == pytest.approx(1)
    assert model.training
