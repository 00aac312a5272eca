"""Vocabularies: what gets a number, what a text becomes, and files."""

import json
import pickle
import string
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from datakit.errors import CorruptDataError, MissingDataError, UnknownNameError
from datakit.text import NAME_LETTERS, SPECIALS, Names, TranslationPairs, Vocab

FIRST = len(SPECIALS)


def ranked(counts):
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def test_characters_of_the_real_names_are_those_that_are_counted(tutorial):
    texts = list(Names(tutorial).texts())
    vocab, counts = Vocab.characters(texts), Counter("".join(texts))
    assert vocab.tokens[FIRST:] == tuple(token for token, _ in ranked(counts))
    assert vocab.counts.tolist() == [0] * FIRST + [count for _, count in ranked(counts)]
    assert vocab.left_out == 0
    assert [vocab.decode(vocab.encode(text)) for text in texts] == texts


def test_words_of_the_real_sentences_are_those_that_are_counted(tutorial):
    texts = list(TranslationPairs(tutorial).texts("target_text"))
    vocab, counts = Vocab.words(iter(texts), min_count=3), Counter(" ".join(texts).split())
    kept = [(word, count) for word, count in ranked(counts) if count >= 3]
    assert vocab.tokens[FIRST:] == tuple(word for word, _ in kept)
    assert vocab.left_out == counts.total() - sum(count for _, count in kept)
    for text in texts[::97]:
        expected = [word if counts[word] >= 3 else "<unk>" for word in text.split()]
        assert vocab.decode(vocab.encode(text), specials=True).split(" ") == expected


@given(st.lists(st.text(), min_size=1, max_size=8), st.text(max_size=80))
def test_a_text_comes_back_where_all_of_it_is_known(texts, other):
    vocab = Vocab.characters(texts)
    for text in texts:
        numbers = vocab.encode(text)
        assert (numbers.dtype, numbers.shape) == (torch.int64, (len(text),))
        assert vocab.decode(numbers) == text
    known = set("".join(texts))
    expected = [vocab.number(char) if char in known else vocab.of("unknown") for char in other]
    assert vocab.encode(other).tolist() == expected
    assert vocab.encode(other * 40).tolist() == expected * 40  # long ones go another way


def test_a_text_that_spells_a_special_token_does_not_make_one():
    words = Vocab.words(["<pad> is a word", "<unk> too"])
    assert words.encode("<pad> </s> is").tolist() == [1, 1, words.number("is")]
    assert words.number("<pad>") is None
    assert "<s>" not in words
    assert Vocab.characters(["<pad>"]).decode(Vocab.characters(["<pad>"]).encode("<pad>")) == "<pad>"


def test_how_many_tokens_there_are():
    texts = ["a a a b b c"]
    assert Vocab.words(texts, max_size=6).tokens[FIRST:] == ("a", "b")
    assert Vocab.words(texts, max_size=6).left_out == 1
    assert Vocab.words(texts, min_count=2, max_size=100).tokens[FIRST:] == ("a", "b")
    assert len(Vocab.words(texts, max_size=4)) == 4
    assert len(Vocab.characters([], specials={})) == 0
    with pytest.raises(ValueError, match="room"):
        Vocab.words(texts, max_size=3)
    with pytest.raises(ValueError, match="counts from 1"):
        Vocab.words(texts, min_count=0)
    with pytest.raises(TypeError, match="got one str"):
        Vocab.characters("a a a")


def test_words_by_a_pattern():
    vocab = Vocab.words(["Is it? It is."], pattern=r"\w+|[^\w\s]", specials={})
    assert sorted(vocab.tokens) == [".", "?", "Is", "It", "is", "it"]
    assert vocab.decode(vocab.encode("It is?")) == "It is ?"


def test_the_letters_of_the_tutorial_in_its_shapes():
    """Beside `lineToTensor` of the tutorial's script."""
    all_letters = string.ascii_letters + " .,;'"

    def line_to_tensor(line):
        tensor = torch.zeros(len(line), 1, len(all_letters))
        for place, letter in enumerate(line):
            tensor[place][0][all_letters.find(letter)] = 1
        return tensor

    letters = Vocab(NAME_LETTERS, "characters", specials={})
    for name in ("Jones", "O'Neal", "a"):
        torch.testing.assert_close(letters.one_hot(name), line_to_tensor(name))
    batch = torch.stack([letters.encode("Jones"), letters.encode("Smith")])
    torch.testing.assert_close(letters.one_hot(batch), torch.cat([line_to_tensor("Jones"), line_to_tensor("Smith")], 1))


def test_what_is_not_known_is_an_error_where_no_token_stands_for_it():
    with pytest.raises(ValueError, match="'ł', character 2 of 'Wałęsa', is not in"):
        Vocab(NAME_LETTERS, "characters", specials={}).encode("Wałęsa")
    with pytest.raises(ValueError, match="'x', character 40 of"):
        Vocab.characters(["a"], specials={}).encode("a" * 40 + "x")
    with pytest.raises(ValueError, match="'is', word 1 of 'it is', is not in"):
        Vocab.words(["it"], specials={}).encode("it is")


def test_what_a_vocabulary_knows_of_other_texts():
    found = Vocab.words(["it is cold"]).coverage(["it was late", "it was cold", "so late"], most=1)
    assert (found.tokens, found.unknown, found.share, found.missing) == (8, 5, 0.625, {"late": 2})
    assert Vocab.characters(["ab"]).coverage([]).share == 0
    texts = ["Wałęsa", "Ana"]
    vocab = Vocab.characters(["Wesan"])
    counted = sum(int((vocab.encode(text) == vocab.of("unknown")).sum()) for text in texts)
    assert vocab.coverage(texts).unknown == counted == 3


@pytest.mark.parametrize("wrong", [["a", "b"], b"ab", None, 3])
def test_what_is_no_text_is_refused(wrong):
    for vocab in (Vocab.characters(["ab"]), Vocab.words(["ab"])):
        with pytest.raises(TypeError, match=f"encode takes a text, got a {type(wrong).__name__}"):
            vocab.encode(wrong)
    with pytest.raises(TypeError, match="made of texts, got a"):
        Vocab.characters(["a", wrong])
    with pytest.raises(TypeError, match="specials are roles and how they are written"):
        Vocab.words(["a"], specials=["<unk>", "<pad>"])


def test_numbers_that_are_none_are_refused():
    vocab = Vocab.characters(["ab"])
    for number in (-1, 6):
        with pytest.raises(ValueError, match=f"{number} is no number of a vocabulary of 6"):
            vocab.decode([number])
    assert vocab.decode(torch.tensor([2, 4, 3]), specials=True) == "<s>a</s>"


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((["a", "a"], "characters"), {}, ValueError, "'a' is there twice"),
        ((["ab"], "characters"), {}, ValueError, "'ab' is no token of a vocabulary of characters"),
        (([""], "words"), {}, ValueError, "'' is no token"),
        ((["<pad>"], "words"), {}, ValueError, "'<pad>' is there twice"),
        ((["a"], "letters"), {}, UnknownNameError, "unknown unit 'letters'"),
        ((["a"], "words"), {"specials": {"begin": "<s>"}}, UnknownNameError, "unknown role of a special token 'begin'"),
        ((["a"], "characters"), {"pattern": "x"}, ValueError, "a pattern is of words"),
        ((["a"], "words"), {"counts": [1, 2]}, ValueError, "2 counts for 1 tokens"),
    ],
)
def test_what_makes_no_vocabulary(arguments, options, error, message):
    with pytest.raises(error, match=message):
        Vocab(*arguments, **options)
    with pytest.raises(UnknownNameError, match="did you mean 'pad'"):
        Vocab(["a"], "words").of("padding")


@pytest.mark.parametrize(
    "vocab",
    [
        Vocab.characters(["Zażółć gęślą jaźń 🙂\u2028\ud800"]),
        Vocab.words(["it is cold", "it is late"], min_count=2, specials={**SPECIALS, "mask": "<mask>"}),
        Vocab.words(["it's it"], pattern=r"\w+", specials={}),
        Vocab(NAME_LETTERS, "characters", specials={"unknown": "_"}),
    ],
    ids=["characters", "words", "pattern", "letters"],
)
def test_it_is_saved_and_sent_whole(vocab, tmp_path):
    vocab.save(tmp_path / "vocab.json")
    for other in (Vocab.load(tmp_path / "vocab.json"), pickle.loads(pickle.dumps(vocab))):
        assert other == vocab
        assert hash(other) == hash(vocab)
        assert (other.tokens, other.specials, other.left_out) == (vocab.tokens, vocab.specials, vocab.left_out)
        np.testing.assert_array_equal(other.counts, vocab.counts)
        assert other.encode("it").tolist() == vocab.encode("it").tolist()
    assert vocab != Vocab.words(["other"])


def test_a_file_that_is_no_vocabulary_is_refused(tmp_path):
    path = tmp_path / "vocab.json"
    Vocab.words(["it is"]).save(path)
    good = json.loads(path.read_text("utf-8"))
    with pytest.raises(MissingDataError):
        Vocab.load(tmp_path / "other.json")
    changes = [{"format": "x"}, {"version": 2}, {"unit": "letters"}, {"tokens": ["a", "a"]}, {"tokens": [1]}]
    changes += [{"counts": [1]}, {"specials": {"x": "y"}}, {"specials": []}, {"tokens": None}, {"pattern": "("}]
    for change in changes:
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(CorruptDataError, match=r"vocab\.json"):
            Vocab.load(path)
    for key in good:
        path.write_text(json.dumps({name: value for name, value in good.items() if name != key}))
        with pytest.raises(CorruptDataError, match=r"vocab\.json"):
            Vocab.load(path)
    whole = json.dumps(good).encode()
    for content in (b"", b"[]", b"\xff", *(whole[:count] for count in range(1, len(whole), 17))):
        path.write_bytes(content)
        with pytest.raises(CorruptDataError, match=r"vocab\.json"):
            Vocab.load(path)
