"""`yesno`: words are heard in their order, and bugs make the run miss its bars."""

import random

import pytest
import torch

from datakit.reference import find
from datakit.reference.yesno import YesNoByCtc, beside_a_long_one, word_errors, words_of

MISSED = {"lengths-ignored": 0, "split-leaks": 1}
"""The bar that each bug misses: word errors, held-out recordings that were trained on."""


def test_there_is_a_test_for_each_bug():
    assert YesNoByCtc.bugs().keys() == MISSED.keys()


def test_words_are_heard(trained):
    result = trained("yesno")
    assert result.passed, str(result)
    assert "of 18 held-out recordings are right" in result.lines[0]
    assert [path.name for path in result.pictures] == ["curve.png", "predictions.png"]


def test_lengths_that_are_ignored_make_it_miss_the_bar(trained):
    result = trained("yesno", "lengths-ignored")
    assert result.checks[0].figure > 0.1, str(result)
    assert [check.passed for check in result.checks] == [False, True]
    assert len(result.lines) > 1
    assert all(line.startswith("said ") for line in result.lines[1:])


def test_a_split_that_leaks_is_found(leaks):
    found = leaks("yesno", "split-leaks")
    assert found.figure > 5
    assert not found.passed


def test_the_padding_beside_a_long_recording_is_not_heard(one_thread):
    """Weights of chance tell more than trained ones, which may be sure of all words."""
    reference = find("yesno")()
    torch.manual_seed(0)
    reference.build()
    batch = next(iter(reference.test))
    assert batch["waveform"].shape[-1] == batch["length"].sum()
    with torch.inference_mode():
        found, frames = reference.model(batch["waveform"], batch["length"])
        for place, length in enumerate(batch["length"].tolist()):
            alone, count = reference.model(batch["waveform"][place : place + 1, :, :length], torch.tensor([length]))
            assert count[0] == frames[place]
            torch.testing.assert_close(found[place, : count[0]], alone[0], rtol=1e-4, atol=1e-4)


def test_room_is_made_behind_the_longest():
    samples = [{"waveform": torch.ones(1, steps), "sample_rate": 8000} for steps in (5, 3, 4)]
    batch = beside_a_long_one(samples)
    assert batch["waveform"].shape == (3, 1, 12)
    assert batch["length"].tolist() == [5, 3, 4]
    for row, length in zip(batch["waveform"][:, 0], (5, 3, 4), strict=True):
        assert row.tolist() == [1] * length + [0] * (12 - length)


def test_word_errors_are_those_of_torchaudio():
    from torchaudio import functional

    draw = random.Random(5)
    for _ in range(200):
        said, heard = ([draw.randrange(2) for _ in range(draw.randrange(9))] for _ in range(2))
        assert word_errors(said, heard) == functional.edit_distance(said, heard)


def test_words_are_read_as_ctc_defines_them():
    """Of all words that CTC's own loss is asked about, those read off one path are the most probable."""
    path = [0, 1, 1, 0, 2, 2, 1, 0, 0, 1, 1]
    chances = torch.log(torch.eye(3)[path] * 0.97 + 0.01)[None]
    heard = words_of(chances, torch.tensor([11]))[0]
    assert heard == [0, 1, 0, 0]
    every = [[number >> place & 1 for place in range(4)] for number in range(16)]
    losses = [
        torch.nn.functional.ctc_loss(chances[0], torch.tensor([words]) + 1, torch.tensor([11]), torch.tensor([4]))
        for words in every
    ]
    assert every[int(torch.stack(losses).argmin())] == heard
    assert words_of(chances, torch.tensor([4])) == [[0]]


def test_the_split_of_the_real_recordings(said_words):
    reference = YesNoByCtc(said_words)
    reference.build()
    assert (len(reference.loader.records), len(reference.test.records)) == (42, 18)
    assert reference.leaked == 0
    names = [{row["file"] for row in part.records.records()} for part in (reference.loader, reference.test)]
    assert not names[0] & names[1]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_real_words(trained, said_words):
    result = trained("yesno", root=said_words)
    assert result.passed, str(result)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("bug", MISSED)
def test_a_bug_on_real_words(trained, said_words, bug):
    result = trained("yesno", bug, root=said_words)
    assert not result.checks[MISSED[bug]].passed, str(result)
