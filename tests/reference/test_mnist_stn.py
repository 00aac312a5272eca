"""`mnist-stn`: the transformer leaves digits alone before it has learnt, and bugs make the run miss its bar."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from datakit.reference import History
from datakit.reference.digits import nearest_mean
from datakit.reference.mnist_stn import MnistStn, Straightened, _told

BUGS = ["labels-shifted", "not-normalised"]


def test_there_is_a_test_for_each_bug():
    assert sorted(MnistStn.bugs()) == BUGS


def test_digits_are_read(trained):
    result = trained("mnist-stn")
    assert result.passed, str(result)
    picture = next(path for path in result.pictures if path.name == "straightened.png")
    assert Image.open(io.BytesIO(picture.read_bytes())).width > 1000


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_makes_it_miss_the_bar(trained, bug):
    assert not trained("mnist-stn", bug).passed


def test_the_bar_is_what_the_nearest_mean_image_tells():
    """Distances pair by pair, by another way than the reference's."""
    reference = MnistStn()
    reference.build()
    sets = [loader.records for loader in (reference.loader, reference.test)]
    (images, labels), (unseen, truth) = (
        (np.stack([s["image"].numpy() for s in samples]) / 1.0, np.array([s["label"] for s in samples]))
        for samples in (list(map(records.__getitem__, range(len(records)))) for records in sets)
    )
    means = [images[labels == label].mean(0) for label in range(10)]
    answers = [int(np.argmin([np.linalg.norm(image - mean) for mean in means])) for image in unseen]
    assert nearest_mean(reference) == np.mean(np.array(answers) == truth)
    (check,) = reference.checks(History())
    assert check.bar == nearest_mean(reference)
    assert check.what == f"accuracy after {MnistStn.synthetic_epochs} epochs"


def test_an_untrained_transformer_changes_nothing():
    images = torch.rand(3, 1, 28, 28)
    maps, seen = Straightened().straighten(images)
    torch.testing.assert_close(seen, images)
    torch.testing.assert_close(maps, torch.eye(2, 3).expand(3, 2, 3))


def test_a_map_is_told_as_what_happens_to_the_image():
    """A map to half the places shows the middle twice as large; of the turn, see where it puts the bottom."""
    assert _told(torch.tensor([[0.5, 0, 0], [0, 0.5, 0]])) == "×2.00  +0°"
    turned = torch.tensor([[0.0, -1, 0], [1, 0, 0]])  # what is seen at the right, (1, 0), comes from the bottom, (0, 1)
    image = torch.zeros(1, 1, 9, 9)
    image[..., 7:, 4] = 1
    grid = torch.nn.functional.affine_grid(turned[None], [1, 1, 9, 9], align_corners=False)
    seen = torch.nn.functional.grid_sample(image, grid, align_corners=False)
    assert seen[..., 4, 7:].min() > 0.99  # from the bottom to the right: a quarter turn against the clock
    assert _told(turned) == "×1.00  +90°"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_digits(trained, shared):
    result = trained("mnist-stn", root=shared)
    assert result.passed, str(result)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_on_all_digits(trained, shared, bug):
    result = trained("mnist-stn", bug, root=shared)
    assert not any(check.passed for check in result.checks), str(result)
