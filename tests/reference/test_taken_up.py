"""References on digits and photographs that are broken off in the middle of an epoch go on as if nothing had been."""

import itertools

import pytest
import torch

from datakit.reference import History, checkpoint, find


@pytest.fixture(autouse=True)
def _own_generator():
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.mark.parametrize("name", ["cifar10", "fgsm", "mnist-stn"])
def test_steps_after_a_break_are_those_of_the_unbroken_run(name, tmp_path, one_thread):
    """Dropout draws from torch's generator, optimizers keep their moments, the schedule its step."""
    whole, broken = find(name)(), find(name)()
    torch.manual_seed(0)
    whole.build()
    batches = iter(whole.loader)
    for batch in itertools.islice(batches, 5):
        whole.step(batch)
    checkpoint.save(tmp_path, whole, History())
    expected = [whole.step(batch) for batch in itertools.islice(batches, 5)]

    torch.manual_seed(1)
    broken.build()
    checkpoint.restore(tmp_path, broken, History())
    assert [broken.step(batch) for batch in itertools.islice(broken.loader, 5)] == expected
    for own, other in zip(broken.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(own, other)


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
