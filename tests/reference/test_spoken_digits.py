"""`spoken-digits`: digits are told apart, bugs make the run miss its bars, and padding is never heard."""

import pytest
import torch

from datakit import Loader
from datakit.reference.speech import Convolutions, LogMel
from datakit.reference.spoken_digits import DigitNet, DigitsByCnn

MISSED = {"rate-ignored": 0, "lengths-ignored": 1, "takes-forgotten": 2}
"""The bar that each bug misses: accuracy, recordings told otherwise alone, test recordings that were trained on."""


def test_there_is_a_test_for_each_bug():
    assert DigitsByCnn.bugs().keys() == MISSED.keys()


def test_digits_are_told_apart(trained):
    result = trained("spoken-digits")
    assert result.passed, str(result)
    table = [line.split() for line in result.lines[1:]]
    assert [row[0] for row in table][:3] == ["zero", "one", "two"]
    of_classes = [float(row[1]) / 100 for row in table]  # each has as many test recordings as any other
    assert sum(of_classes) / 10 == pytest.approx(result.checks[0].figure, abs=1e-3)
    assert [path.name for path in result.pictures] == ["curve.png", "predictions.png"]


def test_the_rate_that_is_ignored_makes_it_miss_the_bar(trained):
    result = trained("spoken-digits", "rate-ignored")
    assert result.checks[0].figure < 0.5, str(result)
    assert [check.passed for check in result.checks] == [False, True, True]


def test_padding_that_is_heard_is_found_after_an_epoch(trained):
    """However much is learnt: the bar is an exact one."""
    result = trained("spoken-digits", "lengths-ignored", epochs=1)
    assert not result.checks[1].passed, str(result)


def test_takes_of_the_test_that_are_trained_on_are_found(leaks):
    found = leaks("spoken-digits", "takes-forgotten")
    assert (found.figure, found.passed) == (300, False)


def test_a_batch_gives_what_its_members_give_alone():
    """In float64; shorter than a window, and shorter than a convolution, included."""
    generator = torch.Generator().manual_seed(3)
    lengths = torch.tensor([4000, 150, 201, 1000, 0, 2333])
    waveform = torch.randn(6, 1, 4000, generator=generator, dtype=torch.float64)
    mel, convolutions = LogMel(8000, norm_vars=True), Convolutions((40, 6, 6, 6), (1, 2, 2)).double()
    found, frames = convolutions(*mel(waveform, lengths))
    for place, length in enumerate(lengths.tolist()):
        own, count = convolutions(*mel(waveform[place : place + 1, :, :length], lengths[place : place + 1]))
        assert count[0] == frames[place]
        assert own.shape[1] == max(1, count[0])
        torch.testing.assert_close(found[place, : count[0]], own[0, : count[0]])
        assert not found[place, count[0] :].any()


def test_a_batch_without_a_single_frame_is_told_as_silence():
    net = DigitNet(LogMel(8000)).eval()
    scores = net(torch.randn(2, 1, 150), torch.tensor([150, 20]))
    torch.testing.assert_close(scores, net.last.bias.expand(2, -1))


def test_convolutions_are_those_of_torch():
    convolutions = Convolutions((3, 4, 2), (2, 1), width=3)
    features = torch.randn(2, 9, 3)
    expected = features.transpose(1, 2)
    for layer in convolutions.layers:
        expected = torch.nn.functional.conv1d(expected, layer.weight, layer.bias, layer.stride, 1).relu()
    found, frames = convolutions(features, torch.tensor([9, 9]))
    torch.testing.assert_close(found, expected.transpose(1, 2))
    assert frames.tolist() == [5, 5]


def test_the_official_split_of_the_real_recordings(said_digits):
    reference = DigitsByCnn(said_digits)
    reference.build()
    assert (len(reference.loader.records), len(reference.test.records)) == (2700, 300)
    assert {row["take"] for row in reference.test.records.records()} == {0, 1, 2, 3, 4}
    assert reference.leaked == 0
    batch = next(iter(Loader(reference.test.records, 2, rank=0, world_size=1)))
    assert set(batch["sample_rate"].tolist()) == {8000}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_real_recordings(trained, said_digits):
    result = trained("spoken-digits", root=said_digits)
    assert result.passed, str(result)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("bug", MISSED)
def test_a_bug_on_real_recordings(trained, said_digits, bug):
    result = trained("spoken-digits", bug, root=said_digits)
    assert not result.checks[MISSED[bug]].passed, str(result)
