"""`faces`: passes on drawn and on real faces, and a bug in its pipeline makes it fail."""

import pytest

from datakit.reference import find

BUGS = sorted(find("faces").bugs())


def test_synthetic_faces_are_learnt(trained):
    result = trained("faces")
    assert result.passed, result
    assert [path.name for path in result.pictures] == ["curve.png", "predictions.png"]


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_makes_it_fail(trained, bug):
    epochs = 1 if bug == "split-leaks" else None  # which is no matter of learning
    assert not trained("faces", bug, epochs=epochs).passed


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("bug", [None, *BUGS])
def test_real_faces(trained, faces, bug):
    assert trained("faces", bug, root=faces.root).passed is (bug is None)
