"""`datakit vocab`: what it counts, what it writes, and what it refuses."""

import json

import pytest
from click.testing import CliRunner

from datakit.cli import command
from datakit.text import Names, TranslationPairs, Vocab


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments, code=0):
    result = CliRunner().invoke(command, ["vocab", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def test_characters_of_a_catalog_dataset():
    result = run("names", "--synthetic", "--records", 40)
    expected = Vocab.characters(Names.synthetic(n=40).texts())
    assert Vocab.load("vocab.json") == expected
    assert result.output.splitlines()[:2] == [
        f"vocab.json: {expected!r}",
        f"counted {expected.counts.sum()} characters, none of them left out",
    ]
    assert CliRunner().invoke(command, ["inspect", "names", "--synthetic", "-t", "Encode('vocab.json')"]).exit_code == 0


def test_words_that_are_left_out_are_counted():
    options = ["--synthetic", "--records", 60, "--words", "--key", "target_text", "--min-count", 3, "--mask"]
    document = json.loads(run("translation-pairs", *options, "--out", "french.json", "--json").stdout)
    made = Vocab.load("french.json")
    texts = list(TranslationPairs.synthetic(n=60).texts("target_text"))
    assert made.of("mask") == 4
    assert made.counts[5:].min() >= 3
    total = sum(len(text.split()) for text in texts)
    assert document["counted"] == total == made.counts.sum() + document["left_out"]
    assert document["left_out"] == made.coverage(texts).unknown > 0
    by_pattern = run("translation-pairs", *options[:3], "--pattern", r"\w+", "--json")
    assert json.loads(by_pattern.stdout)["unit"] == "words"
    assert Vocab.load("vocab.json").pattern == r"\w+"


def test_texts_of_corpora_and_of_somebodys_own_dataset(here, monkeypatch):
    monkeypatch.syspath_prepend(here)
    (here / "mine_of_vocab.py").write_text(
        "from datakit import Mapped\nmade = Mapped([{'text': 'so'}, {'text': 'it'}])\nnone = Mapped([{'number': 1}])\n"
    )
    run("mine_of_vocab:made", "--words")
    assert set(Vocab.load("vocab.json").tokens[4:]) == {"so", "it"}
    run("yesno", "--synthetic", "--records", 4, "--words", "--out", "yes.json")
    assert set(Vocab.load("yes.json").tokens[4:]) == {"yes", "no"}
    assert "has no texts" in run("mine_of_vocab:none", code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["names", "--synthetic", "--key", "txt"], 2, "unknown text of names 'txt'; did you mean 'text'"),
        (["faces", "--synthetic"], 2, "faces has no texts"),
        (["names"], 2, "names needs its data"),
        (["nams", "--synthetic"], 2, "did you mean 'names'"),
        (["names", "--synthetic", "--out", "vocab.txt"], 2, "must end in .json"),
        (["names", "--synthetic", "--out", "no/vocab.json"], 2, "there is no folder"),
        (["names", "--synthetic", "--pattern", "("], 2, "is no regular expression"),
        (["names", "--synthetic", "--max-size", "2"], 2, "room"),
    ],
)
def test_what_cannot_be_done_says_why(arguments, code, message):
    assert message in run(*arguments, code=code).stderr


def test_nothing_but_a_vocabulary_is_written_over(here):
    (here / "vocab.json").write_text("{}")
    assert "vocab.json exists and is no vocabulary of datakit's; --force" in run("names", "--synthetic", code=2).stderr
    assert (here / "vocab.json").read_text() == "{}"
    run("names", "--synthetic", "--force")
    run("names", "--synthetic", "--words")
    assert Vocab.load("vocab.json").unit == "words"
