"""`datakit train`: what it prints, writes and refuses, and the page of results."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from datakit.cli import command
from datakit.errors import MissingDataError
from datakit.reference import Check, Result, find
from datakit.reference.ledger import write_row
from datakit.vision import FaceLandmarks


@pytest.fixture
def run(tmp_path, monkeypatch, one_thread):
    """`datakit train` with these arguments, in a folder of its own; how much there is to learn from is no matter."""
    few = FaceLandmarks.synthetic(24)
    monkeypatch.setattr(FaceLandmarks, "synthetic", lambda n: few)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(command, ["train", *map(str, arguments)])


def test_names_are_listed_and_near_ones_suggested(run):
    listed = run("--help")
    assert listed.exit_code == 0
    assert "faces" in listed.stdout
    wrong = run("fces", "--synthetic")
    assert wrong.exit_code == 2
    assert "did you mean 'faces'" in wrong.stderr


def test_the_help_of_a_reference_says_its_bar_and_its_bugs(run):
    told = " ".join(run("faces", "--help").stdout.split())
    assert "three quarters" in told
    assert "points-not-rescaled: The image is rescaled, its points are not." in told
    assert f"[default: {find('faces').epochs}, or {find('faces').synthetic_epochs} with --synthetic]" in told


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 2, "either --root DIR"),
        (("--synthetic", "--root", "."), 2, "either --root DIR"),
        (("--root", "nowhere"), 2, "there is no folder nowhere"),
        (("--root", sys.executable), 2, "is a file"),
        (("--synthetic", "--out", f"{sys.executable}/runs"), 2, "is a file"),
        (("--synthetic", "--device", "cud"), 2, "--device"),
        (("--synthetic", "--epochs", "0"), 2, "--epochs"),
        (("--synthetic", "--sabotage", "points-not-rescald"), 2, "points-not-rescaled"),
        (("--synthetic", "--device", "meta"), 2, "--device"),
        (("--synthetic", "--seed", "99999999999999999999"), 2, "--seed"),
        (("--synthetic", "--resume", "--force"), 2, "give one of them"),
        (("--synthetic", "--report", "nowhere/page.md"), 2, "there is no folder"),
        (("--synthetic", "--resume"), 3, "no run to go on with"),
    ],
)
def test_what_cannot_be_run_is_told_before_anything_else(run, tmp_path, arguments, code, told):
    result = run("faces", *arguments)
    assert result.exit_code == code
    assert told in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "file"), [("faces", "faces"), ("style-transfer", "dancing.jpg"), ("dcgan", None)])
def test_missing_data_are_told_and_so_is_download_where_there_is_one(run, tmp_path, name, file):
    result = run(name, "--root", tmp_path)
    assert result.exit_code == 3
    assert (file or "no images") in result.stderr
    assert ("add --download" in result.stderr) is (file is not None)
    assert "download=True" not in result.stderr


def test_pictures_that_are_both_named_need_no_root(run, tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    result = run("style-transfer", "--content", "a.png", "--style", "b.png")
    assert result.exit_code == 3
    assert "b.png: not an image" in result.stderr


def test_a_reader_who_has_seen_enough_does_not_make_it_pass(tmp_path):
    """`| head -1` breaks the pipe, and so the run: that is no 0."""
    arguments = [sys.executable, "-m", "datakit", "train", "data-parallel", "--out", str(tmp_path / "out")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        process.stderr.read()
    assert process.returncode == 3


def test_a_run_on_real_data_is_not_written_over(run, tmp_path):
    (tmp_path / "out").mkdir()
    parts = {key: {} for key in ("states", "history", "generator", "cuda")}
    torch.save({"version": 1, "done": True, "run": {"data": "real"}, **parts}, tmp_path / "out/checkpoint.pt")
    result = run("faces", "--synthetic", "--out", "out")
    assert result.exit_code == 2
    assert "--force writes over it" in " ".join(result.stderr.split())


def test_a_run_prints_epochs_pictures_and_its_verdict_last(run, tmp_path):
    result = run("faces", "--synthetic", "--epochs", "1", "--device", "cpu")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("faces: FaceLandmarks(")
    assert lines[1].startswith("epoch 1/1  distance ")
    assert "picture: runs/faces/curve.png" in lines
    assert lines[-1].startswith("faces: error on held-out images")
    assert result.exit_code == (0 if lines[-1].endswith(": passed") else 1)
    assert {path.name for path in (tmp_path / "runs/faces").iterdir()} == {
        "checkpoint.pt", "curve.png", "predictions.png",
    }  # fmt: skip
    again = run("faces", "--synthetic", "--epochs", "1", "--device", "cpu", "--json", "--seed", "1")
    document = json.loads(again.stdout)
    assert document["passed"] is (again.exit_code == 0)
    assert document["checks"][0]["bar"] == 0.75
    assert "epoch 1/1" in again.stderr


def test_a_page_that_cannot_be_written_to_is_told_before_the_training(run, tmp_path):
    (tmp_path / "page.md").write_text("mine\n")
    result = run("faces", "--synthetic", "--report", "page.md")
    assert result.exit_code == 3
    assert "no place for results" in result.stderr
    assert not (tmp_path / "runs").exists()


def test_a_broken_checkpoint_is_no_dead_end(run, tmp_path):
    (tmp_path / "runs/faces").mkdir(parents=True)
    (tmp_path / "runs/faces/checkpoint.pt").write_bytes(b"torn")
    result = run("faces", "--synthetic", "--epochs", "1")
    assert result.exit_code == 2
    assert "--force begins anew" in " ".join(result.stderr.split())


def test_an_unfinished_run_is_not_written_over(run, tmp_path):
    (tmp_path / "runs/faces").mkdir(parents=True)
    parts = {key: {} for key in ("run", "states", "history", "generator", "cuda")}
    torch.save({"version": 1, "done": False, **parts}, tmp_path / "runs/faces/checkpoint.pt")
    result = run("faces", "--synthetic", "--epochs", "1")
    assert result.exit_code == 2
    assert "--resume goes on with it, --force begins anew" in " ".join(result.stderr.split())
    assert run("faces", "--synthetic", "--epochs", "1", "--force", "--device", "cpu").exit_code in (0, 1)


def test_ctrl_c_says_how_to_go_on(tmp_path):
    arguments = ["train", "fgsm", "--synthetic", "--epochs", "200", "--out", str(tmp_path / "out")]
    with subprocess.Popen(
        [sys.executable, "-m", "datakit", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        for line in process.stdout:
            if line.startswith("epoch"):
                break
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume goes on from what is saved" in told
    assert (tmp_path / "out/checkpoint.pt").exists()


def result_of(figure, bug=""):
    checks = [Check("error", figure, 0.75, "low", "%")]
    return Result("faces", bug, "FaceLandmarks('/home/me/data'): 69 records", checks, 3, 250.0, notes=["a|b"])


def test_a_page_of_results_has_a_row_for_each_run(tmp_path):
    page, cls = tmp_path / "references.md", find("faces")
    page.write_text("# Results\n\n<!-- results -->\n<!-- end of results -->\n\nThe end.\n")
    write_row(page, cls("data"), result_of(0.9))
    write_row(page, cls("data"), result_of(1.2, "split-leaks"))
    write_row(page, cls("data"), result_of(0.5))  # in place of the first
    write_row(page, cls("data", seed=1), result_of(0.6))
    write_row(page, cls(), result_of(0.7))
    text = page.read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `faces`")]
    assert [row.split("|")[1].strip() for row in rows[2:]] == ["`faces` `--seed 1`", "`faces` `--synthetic`"]
    assert len(rows) == 4
    assert "error 50 % (bar: at most 75 %) | passed | 3 | 4 min" in rows[0]
    assert "`split-leaks` | error 120 % (bar: at most 75 %, missed) | **not passed**" in rows[1]
    assert all(row.count("|") == 9 for row in rows)
    assert "/home/me" not in text
    assert text.startswith("# Results\n")
    assert text.endswith("The end.\n")


def test_a_page_without_a_place_for_results_is_left_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("mine\n")
    with pytest.raises(MissingDataError, match="no place for results"):
        write_row(page, find("faces")(), result_of(0.5))
    assert page.read_text() == "mine\n"
