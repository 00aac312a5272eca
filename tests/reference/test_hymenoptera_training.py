"""Ants and bees: the bars, the bugs that miss them, and what learns in which mode."""

import math

import pytest
import torch
from PIL import Image
from torchvision.models import resnet18

from datakit.errors import MissingDataError
from datakit.reference import hymenoptera as module
from datakit.reference.hymenoptera import Hymenoptera, above_chance
from datakit.reference.insect_drawing import Insects
from datakit.reference.weights import Pretrained
from datakit.synthetic import synthetic_root

NAME = "hymenoptera"


@pytest.fixture
def folder():
    """A drawn folder with `train` and `val`, to be taken for a real one."""
    return synthetic_root(Insects, 8, 0)


@pytest.fixture
def weights(monkeypatch):
    """Weights as those of ImageNet, but random ones."""
    torch.manual_seed(7)
    state = resnet18().state_dict()
    monkeypatch.setattr(module, "pretrained", lambda url, download: Pretrained(state))
    return state


def test_there_is_a_test_for_each_bug():
    assert Hymenoptera.bugs().keys() == {"classes-unsorted", "not-normalised", "splits-mixed"}


def test_the_honest_run_reaches_its_bars(trained):
    result = trained(NAME)
    assert result.passed, str(result)
    assert "trained from scratch" in result.notes[0]
    with Image.open(result.pictures[0].with_name("predictions.png")) as picture:
        assert picture.width > 900


@pytest.mark.parametrize("bug", ["classes-unsorted", pytest.param("not-normalised", marks=pytest.mark.slow)])
def test_a_sabotaged_run_finds_no_more_than_chance(trained, bug):
    """Both miss the same bar; by default one of them."""
    result = trained(NAME, bug)
    accuracy, leaked = result.checks
    assert not accuracy.passed, str(result)
    assert leaked.passed


def test_images_of_the_test_that_are_trained_on_are_found(leaks):
    found = leaks(NAME, "splits-mixed")
    assert (found.figure, found.passed) == (80, False)


def test_a_few_images_are_too_little(tmp_path):
    for split in ("train", "val"):
        for name in ("ants", "bees"):
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("RGB", (70, 66), (len(split) * 9, len(name), 0)).save(tmp_path / split / name / "1.png")
    with pytest.raises(MissingDataError, match="learns from batches of 16, and there are 8 records"):
        Hymenoptera(tmp_path).build()


def test_fixed_features_need_weights():
    with pytest.raises(MissingDataError, match="--mode features needs the weights of ImageNet"):
        Hymenoptera(options={"mode": "features"}).build()


@pytest.mark.parametrize(("mode", "count"), [("features", 2), ("finetune", 62)])
def test_what_learns(folder, weights, mode, count):
    reference = Hymenoptera(folder, options={"mode": mode})
    reference.build()
    assert sum(weight.requires_grad for weight in reference.model.parameters()) == count
    before = {name: value.clone() for name, value in reference.model.state_dict().items()}
    assert all(torch.equal(before[name], value) for name, value in weights.items() if not name.startswith("fc."))
    reference.step(next(iter(reference.loader)))
    changed = {name for name, value in reference.model.state_dict().items() if not torch.equal(before[name], value)}
    if mode == "features":
        assert changed == {"fc.weight", "fc.bias"}, "the batch norms keep their statistics too"
    else:
        assert {"conv1.weight", "bn1.running_mean", "fc.weight"} <= changed


def test_with_weights_it_is_the_tutorial(folder, weights):
    from datakit.reference import History

    reference = Hymenoptera(folder)
    reference.build()
    assert reference.notes == []
    assert next(iter(reference.loader))["image"].shape == (4, 3, 224, 224)
    assert reference.checks(History())[0].bar == 0.92


def test_the_bar_without_weights_is_what_guessing_does_not_reach():
    share = 83 / 153
    assert above_chance([0] * 70 + [1] * 83) == pytest.approx(share + 2 * math.sqrt(share * (1 - share) / 153))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("bug", [None, "classes-unsorted", "not-normalised"])
def test_on_real_images(trained, hymenoptera, bug):
    result = trained(NAME, bug, root=hymenoptera)
    assert result.passed == (bug is None), str(result)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_splits_mixed_on_real_images(trained, hymenoptera):
    result = trained(NAME, "splits-mixed", root=hymenoptera, epochs=1)
    assert result.checks[1].figure == 153
    assert not result.passed
