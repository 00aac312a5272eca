"""`faces`: passes on drawn and on real faces, and a bug in its pipeline makes it fail."""

import numpy as np
import pytest

from datakit.reference import find
from datakit.reference.faces import MIDDLE

EPOCHS = 8  # of ten: the error is 58 % of the mean shape's at most on five seeds, and with the bug above 115 %
MISSED = {"points-not-rescaled": 0, "sides-not-swapped": 0, "split-leaks": 1}
"""The bar that each bug misses: the error, held-out images that were trained on."""


def test_there_is_a_test_for_each_bug():
    assert find("faces").bugs().keys() == MISSED.keys()


def test_synthetic_faces_are_learnt(trained):
    result = trained("faces", epochs=EPOCHS)
    assert result.passed, result
    assert [path.name for path in result.pictures] == ["curve.png", "predictions.png"]


@pytest.mark.parametrize("bug", [pytest.param("points-not-rescaled", marks=pytest.mark.slow), "sides-not-swapped"])
def test_a_bug_makes_it_miss_the_bar(trained, bug):
    """Both miss the same bar; that which is nearer to it is tried by default."""
    result = trained("faces", bug, epochs=EPOCHS)
    assert not result.checks[MISSED[bug]].passed, str(result)


def test_held_out_images_that_are_trained_on_are_found(leaks):
    found = leaks("faces", "split-leaks")
    assert (found.figure, found.passed) == (21, False)


def test_colours_are_known_from_the_training_images_alone():
    reference = find("faces")()
    reference.build()
    trained_on = reference.loader.records
    pixels = np.stack([MIDDLE(trained_on.dataset.with_transform(None)[int(i)])["image"] for i in trained_on.indices])
    assert np.allclose(reference.normalize.mean, (pixels / 255).mean((0, 2, 3)), atol=1e-6)
    assert np.allclose(reference.normalize.std, (pixels / 255).std((0, 2, 3)), atol=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("bug", [None, *MISSED])
def test_real_faces(trained, faces, bug):
    result = trained("faces", bug, root=faces.root)
    assert result.passed if bug is None else not result.checks[MISSED[bug]].passed, str(result)
