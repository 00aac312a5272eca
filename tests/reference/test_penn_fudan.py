"""`penn-fudan`: a small detector passes on drawn scenes and on real nuclei, and a bug in its pipeline makes it fail."""

import pytest
import torch
from torchvision.models import mobilenet_v2
from torchvision.models.detection import maskrcnn_resnet50_fpn

from datakit.reference import detectors, find
from datakit.reference.weights import Pretrained

EPOCHS = 3  # of four: on five seeds the least figure is 73 % where 50 % are asked for, with the bug 15 % at most
MISSED = {"boxes-not-flipped": "on training images", "boxes-y-first": "on held-out images"}
"""Where each bug shows: a detector may learn from labels of which half are right, but cannot agree with them."""


def test_there_is_a_test_for_each_bug():
    assert find("penn-fudan").bugs().keys() == {*MISSED, "split-leaks"}


def test_drawn_figures_are_found(trained):
    result = trained("penn-fudan", epochs=EPOCHS)
    assert result.passed, str(result)
    assert len(result.checks) == 5
    assert [path.name for path in result.pictures] == ["curve.png", "found.png"]
    tables = [line.split() for line in result.lines[:-1]]
    assert [row[0] for row in tables if row[0] != "epoch"] == ["box,", "mask,"]
    for check, last in zip(result.checks[:2], (tables[result.epochs], tables[-1]), strict=True):
        assert last[1] == str(result.epochs)
        assert len(last[2:]) == 12
        assert float(last[3]) == pytest.approx(100 * check.figure, abs=0.06), "AP50"


@pytest.mark.parametrize("bug", ["boxes-not-flipped", pytest.param("boxes-y-first", marks=pytest.mark.slow)])
def test_a_bug_makes_it_miss_the_bar(trained, bug):
    """By default the one that is harder to see: the other leaves next to nothing that is found."""
    result = trained("penn-fudan", bug, epochs=EPOCHS)
    missed = [check for check in result.checks if MISSED[bug] in check.what]
    assert len(missed) == 2
    assert not any(check.passed for check in missed), str(result)


def test_held_out_images_that_are_trained_on_are_found(few, trained):
    leaks = trained("penn-fudan", "split-leaks", epochs=1).checks[-1]
    assert (leaks.figure, leaks.passed) == (1, False)


@pytest.mark.parametrize("model", [pytest.param("mask-rcnn", marks=pytest.mark.slow), "faster-rcnn"])
def test_the_models_of_the_tutorial_learn_and_are_measured(few, one_thread, model):
    reference = find("penn-fudan")(options={"model": model})
    reference.build()
    before = [parameter.clone() for parameter in reference.model.parameters()]
    losses = reference.step(next(iter(reference.loader)))
    assert ("masks" in losses) is (model == "mask-rcnn")
    assert any(not torch.equal(old, new) for old, new in zip(before, reference.model.parameters(), strict=True))
    figures = reference.evaluate()
    assert {name.split()[0] for name in figures} == ({"box", "mask"} if model == "mask-rcnn" else {"box"})
    assert all(0 <= figure <= 1 for figure in figures.values())


def test_pretrained_weights_of_the_whole_net_are_taken():
    state = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
    model = detectors.mask_rcnn(96, Pretrained(state))
    loaded = model.state_dict()
    new = {key for key in loaded if not torch.equal(loaded[key], state.get(key, torch.zeros(0)))}
    assert {key.rpartition(".")[0] for key in new} == {
        "roi_heads.box_predictor.cls_score", "roi_heads.box_predictor.bbox_pred",
        "roi_heads.mask_predictor.conv5_mask", "roi_heads.mask_predictor.mask_fcn_logits",
    }  # fmt: skip
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert not any("body.conv1" in name or "body.layer1" in name or ".bn" in name for name in learning)
    assert any("body.layer2" in name for name in learning)


def test_pretrained_weights_of_the_backbone_are_taken():
    net = mobilenet_v2(weights=None)
    model = detectors.faster_rcnn(96, Pretrained(net.state_dict()))
    assert torch.equal(model.backbone[0][0].weight, net.features[0][0].weight)


@pytest.mark.parametrize("is_bright", [True, False])
def test_otsu_finds_patches_of_either_kind(is_bright):
    image = torch.full((3, 40, 60), 20 if is_bright else 220, dtype=torch.uint8)
    image[:, 5:15, 10:30] = image[:, 20:38, 40:50] = 120
    image[:, 0:2, 0:2] = 120  # dirt
    (found,) = detectors.OtsuPatches()([image])
    assert found["boxes"].tolist() == [[10, 5, 30, 15], [40, 20, 50, 38]]
    assert found["masks"].sum((1, 2)).tolist() == [200, 180]
    assert found["scores"].tolist() == [1, 1]


def test_otsu_finds_nothing_where_nothing_is():
    (found,) = detectors.OtsuPatches()([torch.full((3, 8, 9), 7, dtype=torch.uint8)])
    assert {key: tuple(value.shape) for key, value in found.items()} == {
        "boxes": (0, 4), "labels": (0,), "scores": (0,), "masks": (0, 8, 9),
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("bug", [None, *MISSED])
def test_real_nuclei(trained, nuclei, bug):
    result = trained("penn-fudan", bug, root=nuclei.root)
    assert result.passed is (bug is None), str(result)


@pytest.mark.slow
def test_a_leak_among_real_nuclei(trained, nuclei):
    leaks = trained("penn-fudan", "split-leaks", root=nuclei.root, epochs=1).checks[-1]
    assert (leaks.figure, leaks.passed) == (34, False)
