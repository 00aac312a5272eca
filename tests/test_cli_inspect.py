"""The options of `datakit inspect` beyond the page itself."""

import io
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from datakit.cli import command
from datakit.vision import FaceLandmarks

CHAIN = ["-t", "Rescale(40)", "-t", "RandomCrop(32)", "-t", "ToTensor"]
FACES = ["inspect", "faces", "--synthetic", "--records", "12", *CHAIN, "--samples", "2"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return tmp_path


def run(*words, code=0, **options):
    result = CliRunner().invoke(command, list(map(str, words)), **options)
    assert result.exit_code == code, result.output
    return result


def test_all_records_give_the_figures_that_numpy_gives():
    whole = json.loads(run(*FACES, "--all", "--json").stdout)["survey"]
    images = [sample["image"] for sample in FaceLandmarks.synthetic(n=12)]
    heights, widths = zip(*(image.shape[:2] for image in images), strict=True)
    assert (whole["read"], whole["total"]) == (12, 12)
    assert whole["sizes"]["width"] == [min(widths), float(np.median(widths)), max(widths)]
    assert whole["sizes"]["height"] == [min(heights), float(np.median(heights)), max(heights)]


def test_the_line_of_the_terminal_can_be_pasted_and_then_normalises():
    result = run("inspect", "faces", "--synthetic", "--records", "12", "-t", "Rescale(40)", "-t", "CenterCrop(32)",
                 "-t", "ToTensor", "--samples", "1", "--survey", "12")  # fmt: skip
    line = re.search(r"Normalize\(.*\)", result.stdout)[0]
    after = run("inspect", "faces", "--synthetic", "--records", "12", "-t", "Rescale(40)", "-t", "CenterCrop(32)",
                "-t", "ToTensor", "-t", line, "--samples", "0", "--batch-size", "12", "--json")  # fmt: skip
    (image,) = [row for row in json.loads(after.stdout)["batch"] if row["key"] == "image"]
    assert abs(image["mean"]) < 0.02  # the line has four digits


def test_part_of_the_records_and_none():
    assert "figures of 5 of 12 records" in run(*FACES, "--survey", 5).stdout
    nothing = run(*FACES, "--survey", 0, "--json")
    assert json.loads(nothing.stdout)["survey"] is None
    assert "figures" not in run(*FACES, "--survey", 0).stdout


def test_workers_of_the_survey_change_nothing():
    alone, shared = (json.loads(run(*FACES, "--json", "--workers", count).stdout)["survey"] for count in (0, 2))
    assert alone == shared


def test_what_is_worth_a_look_goes_to_stderr_and_keeps_the_exit_code():
    result = run(*FACES, "--index", "0,1,2,3", "-t", "Normalize((110.0, 110.0, 110.0), (60.0, 60.0, 60.0))", "--json")
    assert "look: " in result.stderr
    assert "divide the mean and std by 255" in result.stderr
    findings = json.loads(result.stdout)["findings"]
    assert any("as for 0 … 255" in finding["text"] for finding in findings)


def test_the_grid_alone(here):
    result = run(*FACES, "--batch-size", 4, "--png", "grid.png")
    assert [path.name for path in here.iterdir()] == ["grid.png"]
    size = (here / "grid.png").stat().st_size
    assert result.stdout.endswith(f"picture: grid.png ({size / 1e3:.0f} kB)\n")
    assert Image.open(here / "grid.png").convert("L").getextrema() != (255, 255)
    assert "must end in .png" in run(*FACES, "--png", "grid.jpg", code=2).stderr
    assert "no folder" in run(*FACES, "--png", "nowhere/grid.png", code=2).stderr


def test_a_grid_of_nothing_is_an_error(here):
    (here / "numbers_only.py").write_text("def numbers():\n    return [{'x': 1}, {'x': 2}]\n")
    assert "nothing to draw" in run("inspect", "numbers_only:numbers", "--png", "grid.png", code=1).stderr
    assert not (here / "grid.png").exists()


def test_a_given_normalisation_is_undone(here):
    (here / "own_norm.py").write_text(
        "import torch\n"
        "from datakit.transforms import Compose, Rescale, ToTensor\n"
        "def norm(sample):\n"
        "    return {**sample, 'image': (sample['image'] - 0.5) / 0.25}\n"
        "plain = Compose([Rescale((32, 32)), ToTensor()])\n"
        "own = Compose([Rescale((32, 32)), ToTensor(), norm])\n"
    )

    def grid(*words):
        run("inspect", "faces", "--synthetic", "--records", "4", "--samples", "0", *words, "--png", "g.png")
        return np.asarray(Image.open(io.BytesIO((here / "g.png").read_bytes())).convert("RGB"), np.int16)

    undo = "Normalize(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))"
    plain, wrong = grid("--transform", "own_norm:plain"), grid("--transform", "own_norm:own")
    right = grid("--transform", "own_norm:own", "--undo", undo)
    assert np.abs(plain - right).max() <= 1
    assert np.abs(plain - wrong).max() > 20
    assert "--undo takes a Normalize" in run(*FACES, "--undo", "ToTensor", code=2).stderr


def test_the_browser_is_opened_with_the_page(here, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    run(*FACES, "--open")
    assert opened == [(here / "datakit-inspect.html").as_uri()]
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    assert "note: no browser was found" in run(*FACES, "--open").stderr


def test_tables_in_colour_where_that_is_wanted(monkeypatch):
    assert "\x1b[1mFaceLandmarks" in run(*FACES, color=True).stdout
    assert "\x1b" not in run(*FACES).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run(*FACES, color=True).output
