"""Texts that are nearly the same, and sentences of one pattern."""

import numpy as np
import pytest
from alterations import TEXTS

from datakit.check.alike import candidates, confirm, sketch
from datakit.text import TranslationPairs

TEXT = """
river stone garden quiet morning walked slowly under heavy clouds while children played near old mill and nobody
remembered why that bridge had been closed since winter except one farmer who still kept his key below loose brick
beside door of an empty house on hill where été naïve señor’s well-known café stood
"""
KNOWN = [3, 18342511007258061586, 8834809696713103704, 9879040688119742373, 4556749289875914122]


def paragraph(seed, count=30):
    return " ".join(np.random.default_rng(seed).permutation(TEXT.split())[:count]).capitalize() + "."


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("count", [25, 50])
def test_an_altered_copy_is_found_among_others(name, count):
    originals = [{"text": paragraph(seed, count)} for seed in range(40)]
    copies = [{"text": TEXTS[name](sample["text"])} for sample in originals]
    rows = np.array([sketch(sample) for sample in (*originals, *copies)])
    pairs = set(map(tuple, candidates(rows).pairs.tolist()))
    assert sum((place, 40 + place) in pairs for place in range(40)) >= 39
    assert all(confirm(one, other) for one, other in zip(originals, copies, strict=True))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I am happy.", "I am sad."),
        ("He is here.", "He is there."),
        ("Smith", "Smyth"),
        ("Ślusàrski", "Slusarski"),
        ("resume", "résumé"),
        (paragraph(1, 30), paragraph(2, 30)),
        (paragraph(1, 30), " ".join(reversed(paragraph(1, 30).split()))),
        (paragraph(1, 30) + " It was in 2019.", paragraph(1, 30) + " It was in 2020."),
        ("The cat sat on the mat and slept all day", "The dog sat on the mat and slept all day"),
        ("?", "!"),
        ("", "."),
    ],
)
def test_other_texts_are_others(one, other):
    assert confirm({"text": one}, {"text": other}) is None


@pytest.mark.parametrize(
    ("one", "other", "way"),
    [
        ("I won!", "I won!", "identical"),
        ("I won!", "i WON!", "in another case"),
        ("I won!", "I won.", "with other punctuation, case or blanks"),
        ("Il est là\u00a0!", "Il est là !", "in another Unicode form"),
        ("Ne\u0301al", "N\u00e9al", "in another Unicode form"),
        ("I  won !", "I won !", "with other blanks"),
        ("a well-known man", "A WELL KNOWN MAN", "with other punctuation, case or blanks"),
        (paragraph(1), paragraph(1).replace(" ", "  "), "with other blanks"),
        (paragraph(1), paragraph(1).replace(paragraph(1).split()[7], "otherwise"), "with 1 word changed"),
        (paragraph(1), " ".join(paragraph(1).split()[:-2]), "with 2 words changed"),
    ],
)
def test_it_says_how(one, other, way):
    likeness = confirm({"text": one}, {"text": other})
    assert (likeness.what, likeness.ways) == ("text", (way,))
    assert likeness.figure >= 0.9


def test_all_texts_of_a_sample_count():
    one = {"text": "I won!", "target_text": "J'ai gagné !"}
    assert confirm(one, {"text": "I won.", "target_text": "J'ai gagné."}) is not None
    assert confirm(one, {"text": "I won.", "target_text": "Je l'ai emporté."}) is None
    assert (sketch(one) != sketch({"text": "I won!"})).any()


def test_tuples_and_languages_without_blanks():
    assert confirm((3, "I won!"), (4, "i won")) is not None
    assert (sketch((3, "I won!")) == sketch({"text": "i won"})).all()
    chinese = "我们在河边的老磨坊旁边走了很久因为孩子们还在那里玩耍没有人记得那座桥为什么关闭"
    assert confirm({"text": chinese}, {"text": chinese.replace("河", "海")}) is not None
    assert confirm({"text": chinese[:6]}, {"text": chinese[:6].replace("河", "海")}) is None


@pytest.mark.parametrize("sample", [{}, {"text": ""}, {"text": " ?! "}, {"label": 3}, (1, 2), {"text": None}])
def test_there_is_nothing_to_compare_without_letters(sample):
    assert sketch(sample) is None


def test_every_process_makes_the_same_bits():
    """They are kept in a cache; Python's own hashes of strings are others in each process."""
    assert sketch({"text": paragraph(4)}).tolist() == KNOWN


def test_bits_agree_as_often_as_words_are_shared():
    """(1 + J) / 2 of 256 bits, with a standard error of 3 %."""
    shares = []
    for seed in range(40):
        words = np.random.default_rng(seed).permutation([f"word{number}" for number in range(400)])
        one, other = " ".join(words[:200]), " ".join(words[50:250])  # J = 150 / 250
        different = np.bitwise_count(sketch({"text": one})[1:] ^ sketch({"text": other})[1:]).sum()
        shares.append(1 - different / 256)
    assert np.mean(shares) == pytest.approx(0.8, abs=0.02)


def test_real_sentences_that_are_reported_have_the_same_letters(tutorial):
    pairs = TranslationPairs(tutorial)
    samples = [pairs[index] for index in range(len(pairs))]

    def letters(sample):
        both = sample["text"] + sample["target_text"]
        return "".join(char for char in both.casefold() if char.isalnum())

    near = candidates(np.array([sketch(sample) for sample in samples])).pairs.tolist()
    found = {(one, other) for one, other in near if confirm(samples[one], samples[other])}
    assert all(letters(samples[one]) == letters(samples[other]) for one, other in found)
    groups = {}
    for place, sample in enumerate(samples):
        groups.setdefault(letters(sample), []).append(place)
    truth = {(group[0], other) for group in groups.values() for other in group[1:]}
    assert len(truth) > 200
    assert truth <= found
