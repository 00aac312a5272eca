"""Errors cross a process whole, and say where they happened."""

import pickle

import pytest

from datakit import errors


def test_a_sample_error_survives_pickling_with_all_its_fields_and_notes():
    error = errors.SampleError("truncated PNG", stage="loading", dataset="PennFudan", index=37, path="a/38.png")
    error.add_note("in worker 1")
    back = pickle.loads(pickle.dumps(error))
    assert (back.cause, back.stage, back.dataset, back.index, back.path) == (
        "truncated PNG", "loading", "PennFudan", 37, "a/38.png"
    )  # fmt: skip
    assert back.__notes__ == ["in worker 1"]
    assert str(back) == "PennFudan[37] a/38.png: truncated PNG (loading)"


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.DatakitError)]
)
def test_every_error_is_picklable_and_prints_its_message(kind):
    back = pickle.loads(pickle.dumps(kind("what, where, what to do")))
    assert type(back) is kind
    assert "what, where, what to do" in str(back)


def test_the_first_place_that_an_error_learns_stays():
    inner = errors.SampleError.of(KeyError("x"), stage="Rescale(3)", dataset="Faces", index=1)
    outer = errors.SampleError.of(inner, stage="loading", dataset="Subset", index=0, path="p")
    assert (outer.stage, outer.dataset, outer.index, outer.path) == ("Rescale(3)", "Faces", 1, "p")
    assert "KeyError" in outer.cause


def test_the_path_is_said_once_and_never_lost():
    said = [str(errors.SampleError(cause, path="a/1.png")) for cause in ("/data/a/1.png: empty file", "empty file")]
    assert [text.count("1.png") for text in said] == [1, 1]
    assert str(errors.SampleError("no attribute", dataset="F", index=0, path="a")) == "F[0] a: no attribute"


def test_suggestions():
    assert errors.suggest("Fases", ["faces", "mnist"]) == "did you mean 'faces'?"
    assert errors.suggest("zzz", ["faces", "mnist"]) == "known: faces, mnist"
    assert errors.suggest("zzz", []) == "none are known"
