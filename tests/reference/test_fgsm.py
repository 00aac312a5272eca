"""`fgsm`: the attack does what it says, and each bar is missed by a bug of its own."""

import pytest
import torch

from datakit.reference.digits import NORMALIZE
from datakit.reference.fgsm import EPSILONS, Fgsm

MISSED = {"transposed": [0], "eps-forgotten": [1], "pixels-of-255": [2], "attack-normalised": [2]}
"""The bars that each bug misses at least: accuracy without an attack, the fall at each step, accuracy at the end."""


def test_there_is_a_test_for_each_bug():
    assert Fgsm.bugs().keys() == MISSED.keys()


def test_a_net_is_trained_and_fooled(trained):
    result = trained("fgsm")
    assert result.passed, str(result)
    assert [path.name for path in result.pictures] == ["curve.png", "attack.png", "examples.png"]


@pytest.mark.parametrize("bug", MISSED)
def test_a_bug_makes_it_miss_the_bar(trained, bug):
    result = trained("fgsm", bug)
    assert not any(result.checks[place].passed for place in MISSED[bug]), str(result)


def test_the_attack_moves_every_pixel_by_eps_to_where_the_loss_grows(one_thread):
    """Against the slope of the loss by differences, one pixel at a time, in float64."""
    reference = Fgsm()
    torch.manual_seed(0)
    reference.build()
    reference.model.double()
    image = torch.randint(60, 200, (1, 1, 28, 28), dtype=torch.uint8)
    label = torch.tensor([3])
    pixels = image.double() / 255

    def loss(at):
        return torch.nn.functional.cross_entropy(reference.model(NORMALIZE.on(at)), label).item()

    slopes = torch.zeros(784, dtype=torch.float64)
    reference.model.eval()
    for place in range(784):
        step = torch.zeros(784, dtype=torch.float64)
        step[place] = 1e-5
        slopes[place] = (loss(pixels + step.view_as(pixels)) - loss(pixels - step.view_as(pixels))) / 2e-5
    slope = slopes.view_as(pixels)
    seen = slope.abs() > 1e-7  # no max-pooling is at its corner there
    reference.model.float()
    for eps, (moved, answers) in zip(EPSILONS, reference.attacked({"image": image, "label": label}), strict=True):
        expected = (pixels + eps * slope.sign()).clamp(0, 1)
        torch.testing.assert_close(moved.double()[seen], expected[seen], atol=1e-6, rtol=0)
        assert answers == reference.model(NORMALIZE.on(moved)).argmax(1)
    assert seen.float().mean() > 0.5


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_digits(trained, shared):
    result = trained("fgsm", root=shared)
    assert result.passed, str(result)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("bug", MISSED)
def test_a_bug_on_all_digits(trained, shared, bug):
    result = trained("fgsm", bug, root=shared)
    assert not any(result.checks[place].passed for place in MISSED[bug]), str(result)
