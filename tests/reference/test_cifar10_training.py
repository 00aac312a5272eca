"""`cifar10`: photographs are told apart, and bugs make the run miss its bar."""

import pytest

from datakit import Concat, Subset
from datakit.reference import History
from datakit.reference.cifar10 import Cifar10

MISSED = {"axes-viewed": 0, "tests-on-train": 1}
"""The bar that each bug misses: accuracy, test images that were trained on."""


def test_there_is_a_test_for_each_bug():
    assert Cifar10.bugs().keys() == MISSED.keys()


def test_things_are_told_apart(trained):
    result = trained("cifar10")
    assert result.passed, str(result)
    table = [line.split() for line in result.lines[1:]]
    assert [row[0] for row in table][:3] == ["airplane", "automobile", "bird"]
    of_classes = [float(row[1]) / 100 for row in table]  # each has as many test images as any other
    assert sum(of_classes) / 10 == pytest.approx(result.checks[0].figure, abs=1e-3)


def test_a_bug_makes_it_miss_the_bar(trained):
    result = trained("cifar10", "axes-viewed")
    assert not result.checks[MISSED["axes-viewed"]].passed, str(result)


def test_test_images_that_are_trained_on_are_found(leaks):
    found = leaks("cifar10", "tests-on-train")
    assert (found.figure, found.passed) == (2000, False)


@pytest.mark.parametrize(("images", "epochs"), [(2000, 50), (1500, 67)])
def test_as_many_epochs_as_make_the_samples_of_the_bar(images, epochs):
    class Real(Cifar10):
        is_synthetic = False

        def split(self, name):
            return Subset(super().split(name), range(images))

    reference = Real()
    reference.build()
    assert reference.usual_epochs == reference.bar_epoch == epochs


def test_one_leaked_image_is_found():
    class Leaking(Cifar10):
        def split(self, name):
            whole = super().split(name)
            return whole if name == "test" else Concat([whole, Subset(super().split("test"), [17])])

    reference = Leaking()
    reference.build()
    assert reference.checks(History())[1].figure == 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_real_photographs(trained, cifar):
    result = trained("cifar10", root=cifar)
    assert result.passed, str(result)
    assert "100,000 samples" in result.checks[0].what


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("bug", MISSED)
def test_a_bug_on_real_photographs(trained, cifar, bug):
    result = trained("cifar10", bug, root=cifar)
    assert not result.checks[MISSED[bug]].passed, str(result)
