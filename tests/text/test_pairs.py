"""Translation pairs, beside the code of the tutorial."""

import re
import unicodedata

import pytest

from datakit.errors import CorruptDataError, DatakitError, MissingDataError, UnknownNameError
from datakit.testing import assert_dataset
from datakit.text import ENGLISH_PREFIXES, TranslationPairs, normalize_sentence, unicode_to_ascii

TUTORIAL = {"normalize": normalize_sentence, "max_words": 9, "prefixes": {"eng": ENGLISH_PREFIXES}}


def normalized_as_in_the_tutorial(text):
    text = "".join(c for c in unicodedata.normalize("NFD", text.lower().strip()) if unicodedata.category(c) != "Mn")
    text = re.sub(r"([.!?])", r" \1", text)
    return re.sub(r"[^a-zA-Z!?]+", r" ", text).strip()


def pairs_of_the_tutorial(path):
    """French and English after `prepareData('eng', 'fra', True)`, as in the tutorial's script."""
    lines = path.read_text("utf-8").strip().split("\n")
    pairs = [[normalized_as_in_the_tutorial(text) for text in line.split("\t")[:2]][::-1] for line in lines]
    return [
        (french, english)
        for french, english in pairs
        if len(french.split(" ")) < 10 and len(english.split(" ")) < 10 and english.startswith(ENGLISH_PREFIXES)
    ]


def file_of(tmp_path, content, name="eng-fra.txt"):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_copy_keeps_the_promises():
    pairs = TranslationPairs.synthetic(n=40)
    assert_dataset(pairs, range(3))
    assert pairs[5].keys() == {"index", "text", "target_text", "line", "path"}
    assert len(set(TranslationPairs.synthetic(n=2000).as_tuple("text", "target_text"))) == 2000
    with pytest.raises(ValueError, match="a copy cannot have 100,000"):
        TranslationPairs.synthetic(n=100_000)


def test_the_real_pairs_are_those_of_the_file(tutorial):
    pairs = TranslationPairs(tutorial)
    rows = [line.split("\t") for line in (tutorial / "data" / "eng-fra.txt").read_text("utf-8").strip().split("\n")]
    assert [[sample["text"], sample["target_text"]] for sample in pairs] == rows
    assert pairs[77]["line"] == 78


def test_the_third_column_says_who_wrote_them(anki, tutorial):
    pairs = TranslationPairs(anki)
    rows = [line.split("\t") for line in (anki / "fra.txt").read_text("utf-8").strip().split("\n")]
    assert [[sample[key] for key in ("text", "target_text", "attribution")] for sample in pairs] == rows
    two = TranslationPairs(tutorial).as_tuple("text", "target_text")
    assert list(pairs.as_tuple("text", "target_text")) == list(two)


def test_the_filter_of_the_tutorial(tutorial):
    pairs = TranslationPairs(tutorial, source="fra", target="eng", **TUTORIAL)
    assert list(pairs.as_tuple("text", "target_text")) == pairs_of_the_tutorial(tutorial / "data" / "eng-fra.txt")
    assert len(pairs) == 769
    kept = TranslationPairs(tutorial)
    line = pairs[100]["line"]
    assert normalized_as_in_the_tutorial(kept[line - 1]["text"]) == pairs[100]["target_text"]


def test_any_file_of_any_languages(tmp_path):
    for name, languages in (
        ("deu.txt", ("eng", "deu")),
        ("data/eng-deu.txt", ("eng", "deu")),
        ("deu-eng/deu.txt", ("eng", "deu")),
        ("fra-deu.txt", ("fra", "deu")),
    ):
        root = tmp_path / name.replace("/", "_")
        file_of(root, "one\teins\ntwo\tzwei\n", name)
        source, target = languages
        assert list(TranslationPairs(root, source=source, target=target).texts()) == ["one", "two"]
        other = TranslationPairs(root, source=target, target=source)
        assert (other[1]["text"], other[1]["target_text"]) == ("zwei", "two")
        assert list(TranslationPairs(root / name, source=target, target=source).texts()) == ["eins", "zwei"]


def test_a_file_of_ones_own_has_the_source_first(tmp_path):
    path = file_of(tmp_path, "Hallo\tHello\n", "mine.tsv")
    sample = TranslationPairs(path, source="deu", target="eng")[0]
    assert (sample["text"], sample["target_text"]) == ("Hallo", "Hello")


def test_a_split_keeps_equal_sources_together(tutorial):
    train, test = (TranslationPairs(tutorial, split, seed=1) for split in ("train", "test"))
    assert len(train) + len(test) == 5000
    assert not set(train.texts()) & set(test.texts())
    different = len(set(train.texts())) + len(set(test.texts()))
    assert len(set(test.texts())) == round(0.1 * different)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tb\nc\n", r"line 2: 1 columns, where the first line has 2"),
        ("a\tb\tx\nc\td\n", r"line 2: 2 columns, where the first line has 3"),
        ("a\tb\nc\td\te\n", r"line 2: 3 columns, where the first line has 2"),
        ("a\tb\tc\td\n", r"line 1: 4 columns; a pair is two sentences"),
        ("no tab\n", r"line 1: 1 columns; a pair is two sentences"),
        ("a\tb\n\nc\td\n", r"line 2: 1 columns"),
        ("a\t\nc\td\n", r"line 1, column 2: no sentence"),
        ("a\tb\n \td\n", r"line 2, column 1: no sentence"),
        (b"a\tb\nc\t\xe9\n", r"line 2, byte 6: 0xe9 is not UTF-8"),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path, content, message):
    file_of(tmp_path, content)
    with pytest.raises(CorruptDataError, match=rf"eng-fra\.txt: {message}"):
        TranslationPairs(tmp_path)


def test_what_cannot_be_asked_for(tmp_path):
    with pytest.raises(MissingDataError, match=r"none of data/eng-deu\.txt, .*manythings"):
        TranslationPairs(tmp_path, target="deu")
    with pytest.raises(DatakitError, match="the same language"):
        TranslationPairs(tmp_path, source="fra")
    file_of(tmp_path, "a\tb\n")
    with pytest.raises(UnknownNameError, match="unknown language of prefixes 'en'; did you mean 'eng'"):
        TranslationPairs(tmp_path, prefixes={"en": ("i am",)})
    with pytest.raises(TypeError, match=r"several: \{'eng': \('i am',\)\}"):
        TranslationPairs(tmp_path, prefixes={"eng": "i am"})
    with pytest.raises(MissingDataError, match=r"prefixes=\{'eng': \('i am',\)\} leaves none of 1 pairs"):
        TranslationPairs(tmp_path, prefixes={"eng": ("i am",)})
    with pytest.raises(CorruptDataError, match=r"line 1, column 1: no sentence, '12' normalised is ''"):
        TranslationPairs(file_of(tmp_path, "12\tdouze\n"), normalize=normalize_sentence)
    with pytest.raises(MissingDataError, match="there are no pairs in it"):
        TranslationPairs(file_of(tmp_path, "\n\n"))


def test_normalisation_is_the_tutorials():
    for text in ("J'ai froid\u202f!", "Ça va ?", "Où es-tu ? 3 fois...", "I'm  OK.", "ÉTÉ", "œuvre"):
        assert normalize_sentence(text) == normalized_as_in_the_tutorial(text)
    assert unicode_to_ascii("Ślusàrski") == "Slusarski"


def test_damage_is_an_error_or_other_pairs(tutorial, tmp_path):
    """Any byte of a file replaced, and any end cut off: no crash, and nothing but our errors."""
    import numpy as np

    whole = (tutorial / "data" / "eng-fra.txt").read_bytes()[:2000].rpartition(b"\n")[0]
    rng, refused = np.random.default_rng(0), 0
    for _ in range(400):
        data = bytearray(whole)
        if rng.random() < 0.3:
            del data[int(rng.integers(len(data))) :]
        for place in rng.integers(0, max(len(data), 1), 2):
            if len(data):
                data[place] = int(rng.choice([0, 9, 10, 13, 0x80, 0xC3, 0xFF, 65]))
        try:
            pairs = TranslationPairs(file_of(tmp_path, bytes(data)))
            assert all(sample["text"].strip() and sample["target_text"].strip() for sample in pairs)
        except (CorruptDataError, MissingDataError):
            refused += 1
    assert 50 < refused < 400
