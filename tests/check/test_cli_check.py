"""`datakit check` as a person types it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from planted import picture

from datakit.cli import command

FAST = "unreadable,duplicate,leak,constant,empty,outlier,drift,contradiction,near-leak"

MODULE = """
from datakit import Loader, Mapped, Stream
from datakit.vision import ImageFolder

good = [{"text": f"number {number} of the list", "label": number % 2} for number in range(8)]
bad = [*good[:4], {"text": " ", "label": 1}, *good[:1]]

both = {"train": good, "test": bad}

def made():
    print("this is the user's own code")
    return {"train": Mapped(good), "test": Mapped(bad)}

loader = Loader(bad, 2)
nothing = {}
number = 3
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to be in, with a module of the user's and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATAKIT_CACHE", str(tmp_path / "cache"))
    name = f"checked_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(MODULE)
    yield name
    sys.modules.pop(name, None)


@pytest.fixture
def pets(here, tmp_path):
    """Two splits of two classes; an image of test is one of train, and one of train is no image."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for number in range(8):
            place = tmp_path / "pets" / split / ("cats", "dogs")[number % 2]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(rng)).save(place / f"{number}.png")
    (tmp_path / "pets/test/dogs/9.png").write_bytes((tmp_path / "pets/train/cats/2.png").read_bytes())
    (tmp_path / "pets/train/dogs/8.png").write_bytes(b"")
    return "pets"


def run(*words, code=0):
    result = CliRunner().invoke(command, ["check", *map(str, words)])
    assert result.exit_code == code, result.output
    return result


def kinds(result):
    return [finding["kind"] for finding in json.loads(result.stdout)["findings"]]


def test_a_folder_of_splits(pets, tmp_path):
    result = run(pets, "--only", FAST, code=1)
    assert "error unreadable: 1 of 9 records of train cannot be read" in result.stdout
    assert "train[8] dogs/8.png" in result.stdout
    assert "error leak: 1 of 9 records of test is in train too, bit for bit" in result.stdout
    assert "test[8] dogs/9.png" in result.stdout
    assert result.stdout.endswith("pictures: datakit-check.html\n")
    page = (tmp_path / "datakit-check.html").read_text()
    assert "datakit inspect pets/test --index 8" in page
    run(pets, "--only", FAST, code=1)  # our own page may be written over


def test_a_split_that_is_no_dataset_does_not_hide_the_other(pets, tmp_path):
    (tmp_path / "pets/train/birds").mkdir()
    result = run(pets, "--json", "--only", FAST, code=1)
    (finding,) = json.loads(result.stdout)["findings"]
    assert finding["kind"] == "unreadable"
    assert "train cannot be opened: no images in 'birds'" in finding["text"]


def test_the_folder_that_an_archive_unpacks_to(pets, tmp_path):
    (tmp_path / "outer").mkdir()
    (tmp_path / "pets").rename(tmp_path / "outer/pets")
    assert [part["name"] for part in json.loads(run("outer", "--json", "--only", "leak", code=1).stdout)["parts"]] == [
        "train",
        "test",
    ]


def test_what_makes_it_fail(pets):
    quiet = ("--json", "--only", "leak,unreadable,outlier")
    run(pets, *quiet, "--fail-on", "never")
    run(pets, *quiet, "--fail-on", "note", code=1)
    run("pets/test", *quiet, "--fail-on", "warning")
    assert kinds(run(pets, "--json", "--ignore", "unreadable,leak,contradiction", "--only", FAST)) == []


def test_several_targets_are_compared(pets):
    result = run("pets/train", "pets/test", "--json", "--only", "leak", code=1)
    document = json.loads(result.stdout)
    assert [part["name"] for part in document["parts"]] == ["pets/train", "pets/test"]
    assert document["findings"][0]["offenders"][0]["part"] == "pets/test"


def test_a_page_only_where_there_is_something_to_show(pets, tmp_path):
    run("pets/test", "--only", FAST)
    assert not (tmp_path / "datakit-check.html").exists()
    run("pets/test", "--only", FAST, "--out", "clean.html")
    assert "nothing found" in (tmp_path / "clean.html").read_text().lower()
    run(pets, "--json", "--only", FAST, code=1)
    assert not (tmp_path / "datakit-check.html").exists()


def test_what_is_in_the_way_of_the_page_stays(pets, tmp_path):
    (tmp_path / "datakit-check.html").write_text("my own notes")
    assert "--force" in run(pets, "--only", FAST, code=2).stderr
    assert (tmp_path / "datakit-check.html").read_text() == "my own notes"
    run(pets, "--only", FAST, "--force", code=1)
    assert "my own notes" not in (tmp_path / "datakit-check.html").read_text()


@pytest.mark.parametrize("what", ["both", "made"])
def test_a_mapping_of_datasets(here, what):
    result = run(f"{here}:{what}", "--json", "--only", FAST, code=1)
    document = json.loads(result.stdout)
    assert [(part["name"], part["records"]) for part in document["parts"]] == [("train", 8), ("test", 6)]
    assert kinds(result) == ["leak", "empty", "duplicate"]


def test_one_split_of_a_mapping(here):
    assert kinds(run(f"{here}:both", "--split", "train", "--json", "--only", FAST)) == []
    assert "did you mean 'test'" in run(f"{here}:both", "--split", "tset", code=2).stderr


def test_a_loader(here):
    assert kinds(run(f"{here}:loader", "--json", "--only", FAST)) == ["empty", "duplicate"]
    assert "--seed goes with a dataset" in run(f"{here}:loader", "--seed", "3", code=2).stderr
    assert "checked alone" in run(f"{here}:loader", f"{here}:bad", code=2).stderr


def test_all_splits_of_a_name_and_those_that_are_not_there(here):
    document = json.loads(run("mnist", "--synthetic", "--records", "20", "--json", "--only", FAST).stdout)
    assert [part["name"] for part in document["parts"]] == ["train", "test"]
    one = json.loads(run("mnist", "--synthetic", "--split", "test", "--json", "--only", FAST).stdout)
    assert [part["name"] for part in one["parts"]] == [""]
    names = json.loads(run("names", "--synthetic", "--json", "--only", "leak").stdout)
    assert [part["name"] for part in names["parts"]] == ["train", "test"]  # `all` holds both


def test_a_split_that_is_not_there_is_said(shared, here):
    result = run("librispeech", "--root", shared, "--only", "leak", code=1)
    assert "download librispeech" in result.stderr or "missing" in result.stderr


def test_at_most_so_many(pets):
    document = json.loads(run("pets/test", "--at-most", "3", "--json", "--only", FAST).stdout)
    assert document["parts"][0]["read"] == 3
    assert "3 of 9 records were read, chosen by chance" in document["notes"]


def test_at_most_is_the_same_with_what_is_known_of_the_others(pets):
    words = ["pets/test", "--at-most", "3", "--json", "--only", FAST]
    alone = json.loads(run(*words, "--no-cache").stdout)
    run("pets/test", "--only", FAST)
    known = json.loads(run(*words).stdout)
    assert (known["parts"][0]["read"], known["parts"][0]["cached"]) == (3, 3)
    assert (known["findings"], known["notes"]) == (alone["findings"], alone["notes"])


def test_the_second_time_is_from_the_cache(pets):
    run("pets/test", "--only", FAST)
    assert json.loads(run("pets/test", "--json", "--only", FAST).stdout)["parts"][0]["cached"] == 9
    assert json.loads(run("pets/test", "--json", "--only", FAST, "--no-cache").stdout)["parts"][0]["cached"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere/at/all"], "there is no folder"),
        (["facs"], "did you mean 'faces'"),
        (["faces"], "--root DIR for the real ones, --synthetic"),
        (["{module}:nothing"], "no datasets in the mapping"),
        (["{module}:number"], "not a dataset"),
        (["{module}:god"], "did you mean 'good'"),
        (["faces", "--synthetic", "--only", "leek"], "did you mean 'leak'"),
        (["faces", "--synthetic", "--at-most", "0"], "0 is not in the range"),
        (["faces", "--synthetic", "-t", "Rescal(3)"], "did you mean 'Rescale'"),
        (["pets", "--split", "train"], "--split goes with a name of the catalog only"),
        ([], "Missing argument"),
    ],
)
def test_what_makes_no_sense_is_said(pets, here, words, said):
    result = run(*(word.format(module=here) for word in words), code=2)
    assert said in result.stderr


def test_the_kinds_are_listed(here):
    lines = run("--list").stdout.splitlines()
    assert lines[0].split() == ["unreadable", "error", "records", "that", "cannot", "be", "read"]


def test_ctrl_c_shows_what_was_found_and_ends_with_130(pets, tmp_path):
    """The signal goes to all processes, as a terminal sends it, when the 200th record is read."""
    (tmp_path / "slowly.py").write_text(
        "import os, signal, time\n"
        "from datakit import Concat\n"
        "from datakit.vision import ImageFolder\n"
        "class Slow(ImageFolder):\n"
        "    count = 0\n"
        "    def load(self, record):\n"
        "        self.count += 1\n"
        "        if self.count == 200:\n"
        "            os.killpg(os.getpgrp(), signal.SIGINT)\n"
        "            time.sleep(60)\n"
        "        return super().load(record)\n"
        "data = Concat([Slow('pets/train')] * 40)\n"
    )
    words = ["slowly:data", "--workers", "1", "--no-cache", "--only", "unreadable"]
    done = subprocess.run(
        [sys.executable, "-m", "datakit", "check", *words],
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 130, done.stderr
    assert "cannot be read" in done.stdout
    assert "Traceback" not in done.stderr
