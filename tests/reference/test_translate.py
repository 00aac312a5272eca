"""`translate`: sentences are translated, bugs make the run miss its bars, and the figures are what they say."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from datakit.errors import DatakitError
from datakit.reference import History, checkpoint, find, translate
from datakit.reference.attention_drawing import draw_attention
from datakit.reference.translate import TranslateByAttention
from datakit.reference.word_ngrams import WordNgrams

MISSED = {"sources-sorted-alone": 0, "target-not-shifted": 1, "lengths-ignored": 2, "split-leaks": 3}
"""The bar that each bug misses: held-out loss, training sentences, those told otherwise alone, and on both sides."""


@pytest.fixture
def built(one_thread):
    """The reference on its synthetic copy, with weights of chance."""
    torch.manual_seed(0)
    reference = find("translate")()
    reference.build()
    return reference


def test_there_is_a_test_for_each_bug():
    assert TranslateByAttention.bugs().keys() == MISSED.keys()


def test_sentences_are_translated(trained):
    result = trained("translate")
    assert result.passed, str(result)
    assert result.checks[0].figure < 0.4, str(result)
    assert [path.name for path in result.pictures] == ["curve.png", "attention.png"]
    first = result.lines[1:5]
    assert [line[:2] for line in first] == ["", "> ", "= ", "< "]
    assert first[2][2:] == first[3][2:]
    assert "of 61 held-out sentences are right, word for word" in result.lines[0]


def test_sources_in_another_order_than_their_translations_are_not_learnt(trained):
    result = trained("translate", "sources-sorted-alone", epochs=5)
    assert result.checks[0].figure > 1.3, str(result)
    assert not result.checks[0].passed
    assert not result.checks[1].passed


def test_a_decoder_that_is_given_what_it_must_say_has_no_loss_and_no_sense(trained):
    result = trained("translate", "target-not-shifted", epochs=3)
    assert result.checks[0].figure < 0.1, str(result)
    assert result.checks[1].figure < 0.05
    assert not result.checks[1].passed


def test_padding_that_is_read_is_found_after_two_epochs(trained):
    result = trained("translate", "lengths-ignored", epochs=2)
    assert not result.checks[2].passed, str(result)


def test_a_split_that_leaks_is_found(leaks):
    found = leaks("translate", "split-leaks")
    assert found.figure > 30
    assert not found.passed


def test_the_held_out_loss_is_that_of_sentences_alone_without_padding(tutorial, one_thread):
    """Words that no training sentence has count neither here nor there."""
    torch.manual_seed(0)
    reference = TranslateByAttention(tutorial)
    reference.build()
    losses, unknown = [], 0
    for sample in reference.test.records:
        tokens, target = sample["tokens"], sample["target_tokens"]
        with torch.inference_mode():
            scores = reference.model.eval()(tokens[None], torch.tensor([len(tokens)]), target[None, :-1])[0]
        is_unknown = target[1:] == reference.english.of("unknown")
        unknown += int(is_unknown.sum())
        losses.append(functional.cross_entropy(scores[~is_unknown], target[1:][~is_unknown], reduction="none"))
    assert unknown == 21
    assert reference.loss(reference.test) == pytest.approx(torch.cat(losses).double().mean().item(), rel=1e-5)


def test_the_loss_of_a_step_is_the_mean_over_the_words_of_its_sentences(built, monkeypatch):
    monkeypatch.setattr(translate, "HIDDEN", 0.0)
    built.model.dropout.p = 0.0
    batch = next(iter(built.loader))
    losses = []
    for place, length in enumerate(batch["length"].tolist()):
        target = batch["target_tokens"][place, : batch["target_tokens_length"][place]]
        with torch.no_grad():
            scores = built.model(batch["tokens"][place : place + 1, :length], torch.tensor([length]), target[None, :-1])
        losses.append(functional.cross_entropy(scores[0], target[1:], reduction="none"))
        assert target[-1] == built.english.of("end")
    assert built.step(batch)["loss"] == pytest.approx(torch.cat(losses).mean().item(), rel=1e-5)


def test_words_are_hidden_and_neither_ends_nor_padding(built, monkeypatch):
    monkeypatch.setattr(translate, "HIDDEN", 1.0)
    batch, seen, forward = next(iter(built.loader)), [], built.model.forward
    monkeypatch.setattr(built.model, "forward", lambda tokens, *rest: seen.append(tokens) or forward(tokens, *rest))
    built.step(batch)
    pad, unknown, end = built.numbers("pad", "unknown", "end")
    special = (batch["tokens"] == pad) | (batch["tokens"] == end)
    assert torch.equal(seen[0], torch.where(special, batch["tokens"], unknown))
    assert special.any(1).all()


def test_a_sentence_with_several_translations_is_right_by_any_of_them(built):
    rows = [{"text": "tu es gentil", "target_text": target} for target in ("you re kind", "you are kind")]
    data = SimpleNamespace(records=SimpleNamespace(records=lambda: rows))
    found = [translate.Translation("tu es gentil", text, None) for text in ("you are kind", "you re kind", "you kind")]
    assert built.right(found, data) == [True, True, False]


def test_what_is_typed_is_normalised_and_unknown_words_are_said(built):
    (line,) = built.predict("Je suis FATIGUÉ, zut!")
    assert line.startswith("< ")
    assert built.notes == ["no training sentence has '!', 'zut'"]
    assert built.predict("je suis fatigue zut !") == [line]
    built.notes.clear()
    sentence = built.test.records[0]["text"]
    assert built.predict(sentence) == [f"< {built.translations(built.test)[0].found}"]
    assert built.notes == []
    with pytest.raises(DatakitError, match="no word to translate"):
        built.predict(" ... ")


def test_what_is_saved_translates_without_the_data(built, tmp_path):
    checkpoint.save(tmp_path, built, History())
    again = TranslateByAttention(tmp_path / "nothing here")
    again.rebuild(checkpoint.read(tmp_path)["states"])
    for sentence in ("je suis fatigue", "vous n etes pas vraiment tristes"):
        assert again.predict(sentence) == built.predict(sentence)


def test_the_picture_is_dark_where_the_decoder_looked(built):
    def drawn(row, column):
        weights = torch.zeros(4, 5)
        weights[row, column] = 1
        png = draw_attention(built, [["mot"] * 5], [["word"] * 4], [weights])
        return np.asarray(Image.open(io.BytesIO(png)).convert("L"), float)

    low_left, high_right = drawn(3, 0), drawn(0, 4)
    places = [np.argwhere(one < other - 90).mean(0) for one, other in ((low_left, high_right), (high_right, low_left))]
    assert places[0][0] > places[1][0] + 100
    assert places[0][1] < places[1][1] - 100


def test_the_tutorial_are_those_of_the_tutorial(tutorial):
    reference = TranslateByAttention(tutorial)
    reference.build()
    assert (len(reference.loader.records), len(reference.test.records), reference.leaked) == (693, 76, 0)
    sides = [set(part.records.columns.column("text")) for part in (reference.loader, reference.test)]
    assert not sides[0] & sides[1]
    assert "</s>" not in reference.french
    assert 1.5 < reference.by_counts() < 1.7
    english = [row["target_text"] for row in reference.seen.records.records()]
    assert WordNgrams(english, 1).words == len(reference.english) - 3  # its end of a sentence, of four special tokens


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_tutorial(trained, tutorial):
    result = trained("translate", root=tutorial)
    assert result.passed, str(result)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("bug", MISSED)
def test_a_bug_on_tutorial(trained, tutorial, bug):
    result = trained("translate", bug, root=tutorial)
    assert not result.checks[MISSED[bug]].passed, str(result)
