"""`datakit predict`: what it prints, and what it says where it cannot."""

import json

import pytest
import torch
from click.testing import CliRunner

from datakit.cli import command
from datakit.errors import MissingDataError, StateError
from datakit.reference import Reference, checkpoint, find, train


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a run of each reference, an epoch long."""
    folder = tmp_path_factory.mktemp("predict")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for name in ("char-rnn-classify", "char-rnn-generate"):
        train(find(name)(), folder / "runs" / name, epochs=1)
    torch.set_num_threads(threads)
    return folder


@pytest.fixture
def predict(runs, monkeypatch, one_thread):
    """`datakit predict` with these arguments, beside the runs."""
    monkeypatch.chdir(runs)
    return lambda *arguments, **options: CliRunner().invoke(command, ["predict", *map(str, arguments)], **options)


def test_it_prints_as_the_tutorial_does(predict, runs):
    result = predict("char-rnn-classify", "Dovesky", "Jackson")
    assert result.exit_code == 0, result.output
    blank, title, *lines = result.stdout.splitlines()
    assert (blank, title) == ("", "> Dovesky")
    reference = checkpoint.recall(runs / "runs/char-rnn-classify", find("char-rnn-classify"))
    assert lines[:3] == reference.predict("Dovesky")
    assert lines[3:] == ["", "> Jackson", *reference.predict("Jackson")]
    assert lines[0].startswith("(-")


def test_what_it_does_not_know_is_told_and_it_answers(predict):
    result = predict("char-rnn-classify", "Wałęsa")
    assert len(result.stdout.splitlines()) == 5
    assert "note: Wałęsa: unknown" in result.stderr
    assert "'ł'" in result.stderr


def test_names_come_on_stdin_too(predict):
    result = predict("char-rnn-generate", input="Russian:RU\n\nChinese:C\n")
    assert [line[:9] for line in result.stdout.splitlines() if line.startswith(">")] == ["> Russian", "> Chinese"]
    assert [line[0] for line in result.stdout.splitlines() if line and line[0] != ">"] == ["R", "U", "C"]


def test_what_cannot_be_answered_keeps_nothing_else_from_being_asked(predict):
    result = predict("char-rnn-classify", "Kim", " ", "Bo")
    assert result.exit_code == 1
    assert [line for line in result.stdout.splitlines() if line.startswith(">")] == ["> Kim", "> Bo"]
    assert "error: ' ' is no name" in result.stderr
    document = json.loads(predict("char-rnn-classify", " ", "Bo", "--json").stdout)
    assert ["error" in answer for answer in document] == [True, False]
    assert "is not UTF-8" in predict("char-rnn-classify", input=b"\xff\xfe\n").stderr


def test_json(predict):
    result = predict("char-rnn-generate", "Russian:RS", "Italian:Đ", "--json")
    first, second = json.loads(result.stdout)
    assert first["input"] == "Russian:RS"
    assert len(first["predictions"]) == 2
    assert first["notes"] == []
    assert "Đ" in second["notes"][0]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("char-rnn-clasify", "Kim"), 2, "did you mean 'char-rnn-classify'"),
        (("char-rnn-classify", "Kim", "--run", "elsewhere"), 1, "datakit train char-rnn-classify --root DIR"),
        (("char-rnn-classify", "Kim", "--run", "runs/char-rnn-generate"), 1, "a run of char-rnn-generate"),
        (("faces", "Kim"), 1, "faces predicts nothing from text"),
        (("char-rnn-generate", "Russian"), 1, "not of the form Russian:RUS"),
        (("char-rnn-generate", "Rusian:R"), 1, "did you mean 'Russian'"),
        (("char-rnn-classify", " "), 1, "no letters"),
    ],
)
def test_what_cannot_be_predicted_is_told(predict, arguments, code, told):
    result = predict(*arguments)
    assert result.exit_code == code
    assert told in " ".join(result.stderr.split())


def test_an_unfinished_run_is_told(predict, runs):
    document = checkpoint.read(runs / "runs/char-rnn-classify")
    (runs / "stopped").mkdir(exist_ok=True)
    torch.save({**document, "done": False}, runs / "stopped/checkpoint.pt")
    result = predict("char-rnn-classify", "Kim", "--run", "stopped")
    assert result.exit_code == 0
    assert "has not come to its end" in result.stderr


def test_a_run_of_another_version_is_told(predict, runs):
    document = checkpoint.read(runs / "runs/char-rnn-classify")
    (runs / "older").mkdir(exist_ok=True)
    torch.save({**document, "states": {"model": {}}}, runs / "older/checkpoint.pt")
    result = predict("char-rnn-classify", "Kim", "--run", "older")
    assert result.exit_code == 1
    assert "another version of char-rnn-classify" in result.stderr


class Doubled(find("char-rnn-classify")):
    """Needs its data to predict."""

    name = "doubled"
    remembers = False
    rebuild = Reference.rebuild


def test_a_reference_that_does_not_remember_is_built_from_its_data(tmp_path, surnames_of, one_thread):
    train(Doubled(surnames_of(1)), tmp_path / "run", epochs=1)
    with pytest.raises(MissingDataError, match="--root"):
        checkpoint.recall(tmp_path / "run", Doubled)
    assert checkpoint.recall(tmp_path / "run", Doubled, surnames_of(1)).predict("Kim")
    with pytest.raises(StateError):
        checkpoint.recall(tmp_path / "run", Doubled, surnames_of(2))


@pytest.fixture
def surnames_of(tmp_path):
    """A folder of a few names, by its number."""

    def written(number):
        folder = tmp_path / f"{number}/names"
        folder.mkdir(parents=True, exist_ok=True)
        for language, first in (("Inner", "a"), ("Outer", "o")):
            names = [f"{first}{'lmn'[place % 3] * number}{first * (place % 7 + 1)}" for place in range(60)]
            (folder / f"{language}.txt").write_text("\n".join(names) + "\n")
        return folder.parent

    return written
