"""References that are broken off, in the middle of an epoch or after the last one, go on as if nothing had been."""

import itertools
from types import SimpleNamespace

import pytest
import torch

from datakit import Subset
from datakit.reference import History, checkpoint, cifar10, dcgan, digits, find
from datakit.vision import CIFAR10


@pytest.fixture(autouse=True)
def less(monkeypatch):
    """How much there is to learn from is no matter here."""
    images = CIFAR10.synthetic(400)
    for module in (cifar10, digits):
        monkeypatch.setattr(module, "DRAWN", 400)
    monkeypatch.setattr(dcgan, "CIFAR10", SimpleNamespace(synthetic=lambda n: Subset(images, range(120))))


@pytest.mark.parametrize(
    ("name", "workers"),
    [
        *[("cifar10", 2), ("fgsm", 0), ("hymenoptera", 0), ("mnist-stn", 0), ("penn-fudan", 0)],
        *[("spoken-digits", 2), ("yesno", 0), ("char-rnn-classify", 0), ("char-rnn-generate", 2), ("translate", 0)],
    ],
)
def test_steps_after_a_break_are_those_of_the_unbroken_run(name, workers, tmp_path, one_thread):
    """Dropout draws from torch's generator, optimizers keep their moments, the schedule its step."""
    whole, broken = find(name)(), find(name)(num_workers=workers)
    torch.manual_seed(0)
    whole.build()
    batches = iter(whole.loader)
    for batch in itertools.islice(batches, 4):
        whole.step(batch)
    checkpoint.save(tmp_path, whole, History())
    expected = [whole.step(batch) for batch in itertools.islice(batches, 4)]

    torch.manual_seed(1)
    broken.build()
    checkpoint.restore(tmp_path, broken, History())
    assert [broken.step(batch) for batch in itertools.islice(broken.loader, 4)] == expected
    for own, other in zip(broken.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(own, other)


@pytest.mark.parametrize(
    "name",
    [
        *["cifar10", "dcgan", "fgsm", "penn-fudan", "spoken-digits", "style-transfer", "yesno"],
        *["char-rnn-classify", "char-rnn-generate"],
    ],
)
def test_a_finished_run_that_is_taken_up_says_and_shows_the_same(name, trained, few, tmp_path):
    """It may have been killed after its last epoch, while the results were being made."""
    shown = []
    for resume in (False, True):
        result = trained(name, epochs=1, out=tmp_path, resume=resume)
        shown.append((result.checks, result.lines, [path.read_bytes() for path in result.pictures]))
    assert shown[0] == shown[1]


def test_a_run_may_be_longer_than_usual(tmp_path, one_thread):
    """The schedule of a cycle ends; the steps after it go on at its last rate."""
    reference = find("hymenoptera")()
    reference.build()
    last = len(reference.loader) * reference.usual_epochs
    rates = []
    for _ in range(last + 5):
        reference.optimizer.step()
        reference.schedule.step()
        rates.append(reference.optimizer.param_groups[0]["lr"])
    assert rates[-1] == min(rates) == rates[last - 2]
