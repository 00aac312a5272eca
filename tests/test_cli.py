import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

import datakit
from datakit import catalog
from datakit.cli import command
from datakit.cli.bench import duration
from datakit.cli.output import progress

SMALL = ["-t", "Rescale((32, 32))", "-t", "ToTensor"]
SYNTHETIC = ["faces", "--synthetic", "--records", "8"]

MODULE = """
import time
from datakit import Loader
from datakit.vision import FaceLandmarks
from datakit.transforms import Rescale, ToTensor

print("printed by the user's module")

class Endless:
    def __len__(self):
        return 1_000_000

    def __getitem__(self, index):
        time.sleep(0.005)
        return {"x": index}

def fails():
    raise RuntimeError("no such GPU")

def loader():
    return Loader(FaceLandmarks.synthetic(n=8, transform=chain[0]), 3, num_workers=1)

chain = [Rescale((32, 32)), ToTensor()]
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty current folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("DATAKIT_DEBUG", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return tmp_path


@pytest.fixture
def module(here):
    name = f"mine_{here.name}".replace("-", "_")
    (here / f"{name}.py").write_text(MODULE)
    yield name
    sys.modules.pop(name, None)


def run(*arguments, code=0, **options):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], **options)
    assert result.exit_code == code, result.output
    return result


def files(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")


# --- list, download, help


def test_list():
    lines = run("list").stdout.splitlines()
    assert [line.split() for line in lines] == [[name, target] for name, target in sorted(catalog.targets().items())]
    assert "faces" in {line.split()[0] for line in lines}
    assert len({line.index("datakit.") for line in lines}) == 1  # aligned
    listed = json.loads(run("list", "--json").stdout)
    assert {"name": "faces", "target": "datakit.vision:FaceLandmarks"} in listed
    assert len(listed) == len(lines)


def test_version_and_help():
    assert datakit.__version__ in run("--version").stdout
    for name in ("list", "download", "inspect", "bench"):
        assert name in run("--help").stdout
        assert run(name, "-h").stdout.startswith(f"Usage: command {name}")


@pytest.fixture
def mirror(shared, monkeypatch):
    monkeypatch.setenv("DATAKIT_MIRROR", shared.as_uri())


def test_download_the_real_faces_and_look_at_them(mirror, here):
    assert run("download", "faces", "--root", "data").stdout == "data/faces\n"
    again = run("download", "faces", "--root", "data", "--json")
    assert json.loads(again.stdout) == {"name": "faces", "root": "data", "paths": ["data/faces"]}
    assert again.stderr == ""
    result = run("inspect", "faces", "--root", "data", *SMALL, "--index", "65,0", "--json", "--out", "page.html")
    document = json.loads(result.stdout)
    assert document["records"] == 69
    assert [sample["index"] for sample in document["samples"]] == [65, 0]
    assert document["samples"][0]["path"] == "data/faces/person-7.jpg"
    assert document["samples"][1]["stages"][0]["keys"][1]["shape"] == [324, 215, 3]
    assert files(here) == ["data", "page.html"]


def test_download_says_what_it_can_not(here):
    assert "did you mean 'faces'" in run("download", "face", "--root", "x", code=2).stderr
    assert "Missing option '--root'" in run("download", "faces", code=2).stderr
    assert files(here) == []


# --- inspect


def test_inspect_writes_a_page_and_says_where(here):
    result = run("inspect", *SYNTHETIC, *SMALL, "--samples", 2, "--batch-size", 4)
    assert files(here) == ["datakit-inspect.html"]
    size = (here / "datakit-inspect.html").stat().st_size
    assert result.stdout.endswith(f"page: datakit-inspect.html ({size / 1e3:.0f} kB)\n")
    assert re.search(r"image +float32 \(4, 3, 32, 32\)", result.stdout)
    assert result.stderr == ""


def test_inspect_json_is_all_of_stdout(here, module):
    result = run("inspect", f"{module}:loader", "--samples", 1, "--json")
    document = json.loads(result.stdout)
    assert "printed by the user's module" in result.stderr
    assert document["errors"] == []
    assert document["page"] == "datakit-inspect.html"
    assert document["loader"].startswith("your Loader(batch_size=3")
    assert {"key", "type", "shape", "min", "max", "mean"} <= document["batch"][0].keys()


def test_a_chain_of_ones_own(module):
    result = run("inspect", *SYNTHETIC, "--transform", f"{module}:chain", "--samples", 0)
    assert "Rescale((32, 32)) → ToTensor()" in result.stdout


def test_a_bad_record_is_named_on_the_page_and_in_the_exit_code(here):
    (here / "pets" / "cats").mkdir(parents=True)
    Image.new("RGB", (40, 30), "red").save(here / "pets" / "cats" / "1.png")
    (here / "pets" / "cats" / "2.png").write_bytes(b"<html>")
    result = run("inspect", "pets", "--json", code=1)
    assert "pets/cats/2.png" in result.stderr
    assert result.stderr.startswith("error: ImageFolder[1]:")
    assert result.stderr.count("error:") == 1
    assert json.loads(result.stdout)["errors"] == [result.stderr.removeprefix("error: ").strip()]
    assert "pets/cats/2.png: not an image" in (here / "datakit-inspect.html").read_text()


def test_only_pages_of_datakit_are_overwritten_unasked(here):
    (here / "thesis.html").write_text("years of work")
    arguments = ["inspect", *SYNTHETIC, *SMALL, "--samples", 0, "--out", "thesis.html"]
    assert "--force overwrites it" in run(*arguments, code=2).stderr
    assert (here / "thesis.html").read_text() == "years of work"
    run(*arguments, "--force")
    run(*arguments)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["inspect", "faces"], 2, r"--root DIR .* --synthetic"),
        (["inspect", "fases"], 2, "did you mean 'faces'"),
        (["inspect", "./nowhere"], 2, "there is no folder /.*/nowhere"),
        (["inspect", "faces", "--root", "nowhere"], 1, "datakit download faces --root nowhere"),
        (["inspect", "faces", "--synthetic", "--split", "train"], 2, "FaceLandmarks has no splits"),
        (["inspect", *SYNTHETIC, "-t", "Rescal(3)"], 2, r"'Rescal\(3\)'.*did you mean 'Rescale'"),
        (["inspect", *SYNTHETIC, "--index", "8"], 2, "index 8 is outside"),
        (["inspect", *SYNTHETIC, "--index", "1;2"], 2, "'1;2' is not of the form 0,1,2"),
        (["inspect", *SYNTHETIC, "--out", "nowhere/page.html"], 2, "there is no folder /.*/nowhere"),
        (["inspect", *SYNTHETIC, "--out", "."], 2, "is a directory"),
        (["bench", *SYNTHETIC, "--workers", "0,-1"], 2, "-1 is below 0"),
        (["bench", *SYNTHETIC, "--plot", "plot.txt"], 2, r"must end in \.png"),
        (["bench", *SYNTHETIC], 1, "key 'image' cannot be put into one batch"),
        (["bnech"], 2, "No such command 'bnech'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_are_one_clean_message(here, arguments, code, message):
    result = run(*arguments, code=code)
    assert re.search(message, result.stderr, re.DOTALL)
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert files(here) == []


def test_a_loader_brings_its_batch_size(module):
    arguments = ["bench", f"{module}:loader", "--workers", "0", "--repeats", 1, "--no-stages", "--batch-size"]
    assert "brings its own batch size, 3; another --batch-size goes with a dataset" in run(*arguments, 4, code=2).stderr
    assert "brings its own batch size, 3" in run(*arguments, "3,6", code=2).stderr
    run(*arguments, 3)


def test_errors_of_other_peoples_code_say_where_and_how_to_see_more(module, monkeypatch):
    result = run("inspect", f"{module}:fails", code=1)
    assert "RuntimeError: no such GPU" in result.stderr
    assert re.search(rf"{module}\.py, line \d+; DATAKIT_DEBUG=1", result.stderr)
    assert "Traceback" not in result.stderr
    for arguments in (["--debug", "inspect", f"{module}:fails"], ["inspect", f"{module}:fails", "--debug"]):
        assert "Traceback" in run(*arguments, code=1).stderr
    monkeypatch.setenv("DATAKIT_DEBUG", "1")
    assert "Traceback" in run("inspect", f"{module}:fails", code=1).stderr
    assert "Traceback" in run("inspect", "fases", code=2).stderr


def test_nothing_is_left_of_a_page_that_could_not_be_written(here, monkeypatch):
    def full(*paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    assert "No space left" in run("inspect", *SYNTHETIC, *SMALL, "--samples", 0, code=1).stderr
    assert files(here) == []


def test_colour_only_where_it_is_wanted(monkeypatch):
    assert "\x1b[" in run("inspect", "fases", code=2, color=True).stderr
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in run("inspect", "fases", code=2, color=True).stderr


# --- bench


def test_bench_prints_tables_and_draws_them(here):
    result = run("bench", *SYNTHETIC, *SMALL, "--workers", "0,1", "--repeats", 1, "--batch-size", 4, "--plot", "b.png")
    lines = result.stdout.splitlines()
    assert "8 samples in 2 batches a pass, one pass, after a warm-up" in lines[2]
    assert [line.split()[0] for line in lines[4:7]] == ["workers", "0", "1"]
    assert [lines.count(line) for line in lines if line.startswith("Loader(dataset, batch_size=4, num_workers=")] == [1]
    assert {"read", "decode", "Rescale((32,", "ToTensor()", "collate"} < {line.split()[0] for line in lines if line}
    assert lines[-1] == "plot: b.png"
    assert "\x1b" not in result.stdout
    assert files(here) == ["b.png"]
    Image.open(here / "b.png").verify()


def test_bench_sweeps_and_compares(here):
    arguments = ["bench", *SYNTHETIC, *SMALL, "--repeats", 3, "--no-stages", "--step", "2ms"]
    first = run(*arguments, "--workers", "0", "--batch-size", "4,8", "--json")
    document = json.loads(first.stdout)
    assert [one["batch_size"] for one in document["measurements"]] == [4, 8]
    assert document["version"] == 1
    assert document["profile"] is None
    assert document["recommendation"]["line"].startswith("Loader(dataset, batch_size=")
    (here / "before.json").write_text(first.stdout)
    again = run(
        *arguments, "--workers", "0,1", "--batch-size", "8", "--start-method", "fork", "--compare", "before.json"
    )
    assert re.search(r"0 workers, batch 8 +[\d.,]+ +[\d.,]+ +\d\.\d\d", again.stdout)
    assert "only before: 0 workers, batch 4" in again.stdout
    assert "only now: 1 worker, batch 8, fork" in again.stdout
    assert "NOT COMPARABLE" not in again.stdout
    assert "loader-bound" in again.stdout or "keeps up" in again.stdout
    assert "where the time goes" not in again.stdout
    compared = run(
        *arguments, "--repeats", 1, "--workers", "0", "--batch-size", "8", "--compare", "before.json", "--json"
    )
    (change,) = json.loads(compared.stdout)["comparison"]["changes"]
    assert change["ratio"] == pytest.approx(change["now"] / change["before"])


def test_bench_json_of_a_loader(module):
    result = run("bench", f"{module}:loader", "--workers", "0", "--repeats", 1, "--batches", 2, "--json")
    document = json.loads(result.stdout)
    (measured,) = document["measurements"]
    assert (measured["workers"], measured["samples"], measured["batches"]) == (0, 6, 2)
    assert measured["slowest"] <= measured["samples_per_second"] <= measured["fastest"]
    assert document["recommendation"]["line"] == "num_workers=0"
    assert [stage["name"] for stage in document["profile"]["stages"]][:2] == ["read", "decode"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--step", "12"], "'12' is not a time with its unit, such as 12ms"),
        (["--step", "0ms"], "'0ms' is not between 0 and an hour"),
        (["--step", "-3ms"], "'-3ms' is not a time"),
        (["--start-method", "fork,spwan"], r"unknown start method 'spwan'; did you mean 'spawn'\?"),
        (["--batch-size", "8,0"], "0 is below 1"),
        (["--batch-size", "8;9"], "'8;9' is not of the form 0,1,2"),
        (["--compare", "nowhere.json"], "nowhere.json: there is no such file"),
        (["--compare", "page.html"], "page.html is no result of `datakit bench --json`"),
    ],
)
def test_bench_says_what_is_wrong_before_it_measures(here, arguments, message):
    (here / "page.html").write_text("<html>")
    result = run("bench", *SYNTHETIC, *SMALL, *arguments, code=1 if arguments[0] == "--compare" else 2)
    assert re.search(message, result.stderr)
    assert result.stdout == ""


@pytest.mark.parametrize(("text", "seconds"), [("12ms", 0.012), ("0.5s", 0.5), ("800us", 0.0008), (" 3 µs ", 3e-6)])
def test_times_with_their_units(text, seconds):
    assert duration(text) == pytest.approx(seconds)


def test_bench_has_colour_on_a_terminal_only(monkeypatch):
    arguments = ["bench", *SYNTHETIC, *SMALL, "--workers", "0", "--repeats", 1, "--no-stages"]
    assert "\x1b[" in run(*arguments, color=True).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run(*arguments, color=True).stdout


# --- processes


def start(*arguments, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True, **options}
    return subprocess.Popen([sys.executable, "-m", "datakit", *arguments], **options)


def group(leader):
    """The processes of a session that still run."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[2]) == leader and fields[0] not in "ZX":
                found.append(int(entry))
    return found


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("whom", ["the process alone", "its group, as a terminal does"])
def test_ctrl_c_ends_everything_and_leaves_nothing(module, here, whom):
    process = start("bench", f"{module}:Endless", "--workers", "2", "--plot", "b.png")
    wait_for(lambda: len(group(process.pid)) >= 3)  # the workers are there
    time.sleep(0.3)
    if whom == "the process alone":
        process.send_signal(signal.SIGINT)
    else:
        os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert output == ""
    assert errors.endswith("\ninterrupted\n")
    assert "Traceback" not in errors
    wait_for(lambda: not group(process.pid), 10)
    assert files(here) == [f"{module}.py"]


def test_a_ctrl_c_that_python_drops_is_raised_again():
    code = """
import signal, time, weakref
from datakit.cli.interrupts import keep_interrupts
keep_interrupts()
class Thing:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
thing = Thing()
del thing
try:
    time.sleep(20)
except KeyboardInterrupt:
    print("raised")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=15, check=True)
    assert (run.stdout, run.stderr) == ("raised\n", "")


def test_a_reader_that_leaves_early_ends_it_quietly():
    process = start("list", "--json")
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(30) == 0


def test_without_a_terminal_without_utf8_and_with_names_that_are_no_text(here):
    (here / "pets").mkdir()
    Image.new("RGB", (40, 30), "red").save(os.fsencode(here / "pets") + b"/caf\xe9.png")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    process = start("inspect", "pets", *SMALL, env=environment, stdin=subprocess.DEVNULL)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert "ToTensor()" in output
    assert re.search(r"pets/caf(\?|\\udce9)\.png", output)
    assert "\x1b" not in output
    assert r"pets/caf\udce9.png" in (here / "datakit-inspect.html").read_text()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_there_is_a_bar_that_goes_again(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr", Terminal())
    with progress() as show:
        show("sample 3", 1, 4)
    shown = sys.stderr.getvalue()
    assert re.search(r"\r1/4 [#█]+ +sample 3", shown)
    assert re.search(r"\r +\r$", shown)
    assert capsys.readouterr().out == ""


def test_elsewhere_there_is_none(capsys):
    with progress() as show:
        show("sample 3", 1, 4)
    assert capsys.readouterr() == ("", "")
