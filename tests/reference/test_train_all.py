"""`datakit train --list` and `--all`: what there is to train, and all of it run, each in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from datakit.cli import command, train_all
from datakit.reference import BUILT_IN, dcgan, find, listing, several
from datakit.reference.split import held_out
from datakit.vision import RandomData

FILES = {
    "char-rnn-classify": ["data/names/Greek.txt"],
    "char-rnn-generate": ["names/Greek.txt"],
    "cifar10": ["cifar-10-batches-py/data_batch_1", "cifar-10-batches-py/test_batch"],
    "dcgan": [f"a/b/{number}.jpg" for number in range(38)],
    "faces": ["faces/", "faces/faces/", "faces/face_landmarks.csv"],
    "fgsm": [f"MNIST/raw/{part}-ubyte" for part in
             ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")],
    "hymenoptera": ["hymenoptera_data/train/a/1.jpg", "hymenoptera_data/val/", "hymenoptera_data/val/a/2.jpg"],
    "mnist-stn": [f"MNIST/raw/{part}-ubyte.gz" for part in
                  ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")],
    "penn-fudan": ["PennFudanPed/PNGImages/", "PennFudanPed/PedMasks/1.png", "PennFudanPed/PNGImages/1.png"],
    "spoken-digits": ["recordings/", "recordings/1_a_1.wav"],
    "style-transfer": ["dancing.jpg", "picasso.jpg"],
    "translate": ["fra.txt"],
    "yesno": ["waves_yesno/", "waves_yesno/1.wav"],
}  # fmt: skip
"""What makes the data of each be there, in one of the ways in which they may lie."""

MADE_UP = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
name, out = sys.argv[1], Path(next(word for word in sys.argv if word.startswith("--out="))[6:])
check = {"what": "accuracy", "figure": 0.9, "bar": 0.5, "better": "high", "unit": "%", "passed": True}
if name == "passes":
    print(json.dumps({"checks": [check], "notes": [os.environ["OMP_NUM_THREADS"] + " thread", *sys.argv[2:]]}))
if name == "misses":
    missed = [check, {**check, "what": "loss", "figure": None, "passed": False}]
    print(json.dumps({"checks": missed, "notes": []}))
    sys.exit(1)
if name == "raises":
    raise KeyError("weights")
if name == "refuses":
    print("error: the data are wrong", "       in a.py, line 3", sep="\\n", file=sys.stderr)
    sys.exit(3)
if name == "babbles":
    print("no JSON")
if name == "kills-itself":
    os.kill(os.getpid(), signal.SIGKILL)
if name == "crashes":
    signal.raise_signal(signal.SIGSEGV)
if name == "leaves-one-behind":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(json.dumps({"checks": [check], "notes": [str(child.pid)]}))
if name.startswith("hangs"):
    if name == "hangs-on":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    out.with_suffix(".pids").write_text(f"{os.getpid()} {child.pid}")
    time.sleep(60)
if name.startswith("meets-"):
    (out.parent / f"{name}.here").touch()
    other = out.parent / f"meets-{'b' if name.endswith('a') else 'a'}.here"
    end = time.monotonic() + 10
    while not other.exists():
        assert time.monotonic() < end, "the other one is not run beside this one"
    print(json.dumps({"checks": [check], "notes": []}))
"""

DRIVER = """
import sys
from datakit.cli import main, train_all
from datakit.reference.catalog import BUILT_IN
names = sys.argv.pop(1).split(",")
BUILT_IN.clear()
BUILT_IN.update({name: ("nowhere:Nothing", "") for name in names})
train_all.command = lambda name: [sys.executable, "made_up.py", name]
try:
    main()
finally:
    assert "torch" not in sys.modules, "where torch is broken, this must work"
"""


def train(*words):
    return CliRunner().invoke(command, ["train", *map(str, words)])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with what runs made-up references."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made_up.py").write_text(MADE_UP)
    (tmp_path / "driver.py").write_text(DRIVER)
    return tmp_path


@pytest.fixture
def made_up(folder, monkeypatch):
    """`datakit train --all --synthetic` with made-up references in place of the real ones."""
    monkeypatch.setattr(train_all, "command", lambda name: [sys.executable, "made_up.py", name])
    monkeypatch.setenv("OMP_NUM_THREADS", "7")  # of this process, not of theirs
    kept = dict(BUILT_IN)

    def run(names, *words):
        BUILT_IN.clear()
        BUILT_IN.update(dict.fromkeys(names, ("nowhere:Nothing", "")))
        return train("--all", "--synthetic", *words)

    yield run
    BUILT_IN.clear()
    BUILT_IN.update(kept)


def rows(printed):
    """Name and verdict, of the lines of the table that begin with them."""
    found = re.findall(r"^([\w-]+) {2,}(passed|missed|failed|stopped|not begun)\b", printed, re.M)
    return dict(found)


def here(root):
    return {entry.reference.name for entry in listing.entries(root) if entry.here}


# the list


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_list_tells_all_of_each_at_any_width(width):
    found = listing.entries()
    assert [entry.reference.name for entry in found] == sorted(BUILT_IN)
    for entry in found:
        lines = listing.lines([entry], width)
        longest = max(len(word) for line in lines for word in line.split())
        assert max(map(len, lines)) <= max(width, longest + 11)
        told = " ".join(" ".join(lines).split())
        assert told.startswith(f"{entry.reference.name}: {BUILT_IN[entry.reference.name][1]} data ")
        assert "; ".join(map(str, entry.reference.bars)) in told
        assert not any(re.match(r"\s*%", line) for line in lines), "a number is parted from its unit"


def test_the_list_knows_nothing_of_data_before_it_is_told_where_they_are(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "faces").mkdir()
    found = {entry.reference.name: entry for entry in listing.entries()}
    assert {name for name, entry in found.items() if entry.here is not None} == {"data-parallel"}
    assert not any(entry.missing for entry in found.values())
    assert found["faces"].data == "faces"
    assert found["fgsm"].data == "mnist"


@pytest.mark.parametrize("name", FILES)
def test_data_are_here_once_all_their_files_are_whatever_is_in_them(name, tmp_path):
    assert here(tmp_path) == {"data-parallel"}
    for number, file in enumerate(FILES[name]):
        assert name not in here(tmp_path), f"{number} of {len(FILES[name])} files are enough"
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).mkdir() if file.endswith("/") else (tmp_path / file).write_bytes(b"\0nothing to read")
    assert name in here(tmp_path)


def test_images_are_enough_where_enough_of_them_would_be_held_out():
    least = dcgan._LEAST
    test, fewer = (held_out([str(number) for number in range(count)], share=0.2)[0] for count in (least, least - 1))
    assert len(test) == dcgan._FEWEST > len(fewer)


def test_a_folder_of_another_use_is_not_the_tutorials(tmp_path):
    """It is called `data` too."""
    (tmp_path / "data").mkdir()
    assert here(tmp_path) == {"data-parallel"}


def test_what_is_missing_is_named_and_archives_that_lie_there(tmp_path):
    (tmp_path / "faces.zip").touch()
    entry = next(entry for entry in listing.entries(tmp_path) if entry.reference.name == "faces")
    assert (entry.here, entry.missing, entry.archives) == (False, ("faces",), ("faces.zip",))
    told = " ".join(train("--list", "--root", tmp_path).stdout.split())
    assert "not here: faces, for want of faces; --download unpacks faces.zip" in told
    assert f"1 of {len(BUILT_IN)} can be trained on what lies in" in told


def test_a_folder_that_may_not_be_read_is_told_and_the_others_are_listed(tmp_path, monkeypatch):
    def refuse(root):
        raise PermissionError(13, "Permission denied", str(root))

    monkeypatch.setattr(find("dcgan"), "missing", refuse)
    entry = next(entry for entry in listing.entries(tmp_path) if entry.reference.name == "dcgan")
    assert "Permission denied" in entry.missing[0]


def test_weights_are_looked_for_where_torch_keeps_them(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    of = {entry.reference.name: entry.weights for entry in listing.entries(tmp_path)}
    (name, option, is_here), *_ = of["hymenoptera"]
    assert (option, is_here) == ("", False)
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    (tmp_path / "hub/checkpoints" / name).touch()
    assert next(entry for entry in listing.entries(tmp_path) if entry.reference.name == "hymenoptera").weights[0][2]
    assert [option for _, option, _ in of["penn-fudan"]] == ["--model mask-rcnn", "--model faster-rcnn"]


def test_the_list_as_json_is_complete(tmp_path):
    document = json.loads(train("--list", "--json", "--root", tmp_path).stdout)
    assert [entry["name"] for entry in document] == sorted(BUILT_IN)
    for entry in document:
        cls = find(entry["name"])
        assert [bar["text"] for bar in entry["bars"]] == [str(bar) for bar in cls.bars]
        assert entry["sabotages"] == sorted(cls.bugs())
        assert entry["data"]["here"] is (not cls.needs_data)
        assert bool(entry["data"]["missing"]) is cls.needs_data
        assert entry["source"].startswith("https://")
    faces = next(entry for entry in document if entry["name"] == "faces")
    assert faces["bars"][0] | {"text": ""} == {
        "what": "error on held-out images", "bar": 0.75, "better": "low", "unit": "%", "of": "of the mean shape's",
        "when": "", "text": "",
    }  # fmt: skip


def test_real_data_are_found_where_they_lie(
    shared, faces, hymenoptera, nuclei, cifar, tutorial, said_digits, said_words, tmp_path
):
    assert here(shared) >= {"fgsm", "mnist-stn", "data-parallel"}
    assert "faces" in here(faces.root)
    assert here(tutorial) == {"char-rnn-classify", "char-rnn-generate", "translate", "data-parallel"}
    assert here(hymenoptera) == here(hymenoptera.parent) == {"hymenoptera", "dcgan", "data-parallel"}
    for root in (faces.root, nuclei.root, cifar, tutorial, said_digits, said_words, shared, hymenoptera.parent):
        for inner in root.iterdir():
            if inner.is_dir() and not (tmp_path / inner.name).exists():
                (tmp_path / inner.name).symlink_to(inner)
    assert here(tmp_path) == set(BUILT_IN) - {"style-transfer"}
    for name in here(tmp_path) - {"data-parallel", "dcgan", "hymenoptera"}:
        assert len(find(name).dataset(tmp_path))


def test_bars_that_are_computed_are_not_given_and_fixed_ones_not_changed():
    fixed, computed = find("faces").bars[0], find("char-rnn-generate").bars[0]
    with pytest.raises(ValueError, match="error on held-out images is 0.75, got the value 0.9"):
        fixed.check(0.8, bar=0.9)
    with pytest.raises(ValueError, match="trigram"):
        computed.check(0.8)


# all of them


def test_each_verdict_has_its_reason_and_the_worst_one_is_the_exit_code(made_up, folder):
    names = ["babbles", "crashes", "kills-itself", "misses", "passes", "raises", "refuses"]
    result = made_up(names, "--json", "-j", 3, "--seed", 7, "--workers", 1)
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    found = {one["name"]: one for one in document["references"]}
    assert list(found) == names
    assert {name: (one["verdict"], one["exit_code"], one["reason"]) for name, one in found.items()} == {
        "babbles": ("failed", 0, "it gave no result, exit code 0"),
        "crashes": ("failed", -11, "died with SIGSEGV"),
        "kills-itself": ("failed", -9, "died with SIGKILL, as where memory runs out"),
        "misses": ("missed", 1, ""),
        "passes": ("passed", 0, ""),
        "raises": ("failed", 1, "KeyError: 'weights'"),
        "refuses": ("failed", 3, "the data are wrong"),
    }
    notes = found["passes"]["result"]["notes"]
    assert notes == ["1 thread", "--json", "--force", "--out=runs/all/passes", "--seed=7", "--workers=1"]
    assert not document["passed"]
    assert document["jobs"] == 3
    assert 0 < document["cpu_seconds"] == sum(one["cpu_seconds"] for one in document["references"])
    assert json.loads((folder / "runs/all/results.json").read_text()) == document
    assert "KeyError" in (folder / "runs/all/raises.log").read_text()


@pytest.mark.parametrize(("names", "code"), [(["passes"], 0), (["misses", "passes"], 1), (["passes", "raises"], 3)])
def test_the_exit_code_and_the_table(made_up, names, code):
    result = made_up(names)
    assert result.exit_code == code
    words = {"passes": "passed", "misses": "missed", "raises": "failed"}
    assert rows(result.stdout) == {name: words[name] for name in names}
    assert " ".join(result.stdout.split()).startswith("reference verdict figure bar seconds what was measured ")
    if "misses" in names:  # of its two bars, the one that was missed
        assert re.search(r"^misses +missed +none +≥ 50 % +[\d.]+  loss$", result.stdout, re.M)
        assert "misses missed: loss not measured (bar: at least 50 %, missed)" in result.stdout
        assert "its log: runs/all/misses.log" in result.stdout
    if "raises" in names:
        assert "raises could not be run: KeyError: 'weights'\n  its log: runs/all/raises.log" in result.stdout
    assert "note on passes: 1 thread" in result.stdout
    ended = [line.split(",")[0] for line in result.stderr.splitlines()]
    assert sorted(line.partition(" ")[2] for line in ended) == sorted(f"{name} {words[name]}" for name in names)


@pytest.mark.parametrize("width", [40, 80, 160])
def test_the_table_is_no_wider_than_the_terminal_and_cuts_nothing(tmp_path, width):
    from datakit.reference.scores import table
    from datakit.reference.several import Outcome, Training

    training = Training("spoken-digits", [], tmp_path / "log", tmp_path / "document")
    reason = "a reason of so many words that it has to be put into several lines of the last column"
    lines = table([Outcome(training, "failed", 12.34, reason=reason)], width)
    assert max(map(len, lines)) <= max(width, 44)  # of the other columns
    assert " ".join(" ".join(lines).split()).endswith(f" measured spoken-digits failed 12.3 {reason}")


def test_as_many_run_at_once_as_are_asked_for(made_up):
    assert made_up(["meets-a", "meets-b"], "--jobs", 2).exit_code == 0


def test_one_at_a_time_is_one_at_a_time(tmp_path):
    note = "import time; print(time.time()); time.sleep(0.3); print(time.time())"
    trainings = [
        several.Training(name, [sys.executable, "-c", note], tmp_path / f"{name}.log", tmp_path / name)
        for name in ("a", "b", "c")
    ]
    told = []
    outcomes, stopped = several.run_all(trainings, tell=lambda outcome: told.append(outcome.training.name))
    assert not stopped
    assert told == ["a", "b", "c"] == [outcome.training.name for outcome in outcomes]
    times = [float(line) for name in told for line in (tmp_path / name).read_text().splitlines()]
    assert times == sorted(times)


def test_what_a_reference_leaves_behind_is_ended_with_it(made_up):
    document = json.loads(made_up(["leaves-one-behind"], "--json").stdout)
    assert is_gone(int(document["references"][0]["result"]["notes"][0]))


def test_only_and_skip_choose(made_up):
    names = ["misses", "passes", "raises"]
    assert rows(made_up(names, "--only", "passes,misses").stdout) == {"misses": "missed", "passes": "passed"}
    assert rows(made_up(names, "--skip", "raises, misses").stdout) == {"passes": "passed"}
    assert rows(made_up(names, "--only", "passes,misses", "--skip", "misses").stdout) == {"passes": "passed"}


def test_it_writes_over_its_own_runs_and_over_nothing_else(made_up, folder):
    for _ in range(2):
        assert made_up(["passes"], "--out", "out").exit_code == 0
    (folder / "mine").mkdir()
    (folder / "mine/results.txt").write_text("of a year")
    refused = made_up(["passes"], "--out", "mine")
    assert refused.exit_code == 2
    assert "give another --out" in refused.stderr
    assert [path.name for path in (folder / "mine").iterdir()] == ["results.txt"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--all"], "datakit train --all --synthetic"),
        (["--all", "--list"], "one of them"),
        (["--synthetic"], "one of them"),
        (["--all", "faces"], "goes without a name; datakit train faces --synthetic"),
        (["--synthetic", "faces"], "goes behind the name: datakit train faces --synthetic"),
        (["--all", "--synthetic", "--root", "."], "datakit train --list --root DIR says whose"),
        (["--list", "--seed", "1"], "--seed does not go with --list"),
        (["--list", "--root", "nowhere"], "there is no folder nowhere"),
        (["--all", "--synthetic", "--only", "fces"], "did you mean 'faces'"),
        (["--all", "--synthetic", "--only", "faces", "--skip", "faces"], "leaves none"),
        (["--all", "--synthetic", "--jobs", "0"], "--jobs"),
        (["--all", "--synthetic", "--only="], "give the names of references"),
        (["--all", "--synthetic", "--skip", ", "], "give the names of references"),
        (["--all", "--synthetic", "--device", "foo"], "--device: foo: "),
        (["--all", "--synthetic", "--out", f"{sys.executable}/runs"], "is a file"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_else(folder, words, told):
    before = sorted(folder.iterdir())
    result = train(*words)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())
    assert sorted(folder.iterdir()) == before


# signals


def is_gone(pid):
    """Whether there is no such process, or soon none: one that was killed is reaped by whoever took it over."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def started(folder):
    """The command in a process, once those that hang have begun; none of it outlives the test."""
    processes = []

    def start(names, *words, wait_for=()):
        arguments = [sys.executable, "driver.py", ",".join(names), "train", "--all", "--synthetic", *words]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        files, end = [folder / f"runs/all/{name}.pids" for name in wait_for], time.monotonic() + 30
        while not all(file.exists() and len(file.read_text().split()) == 2 for file in files):
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.02)
        return process, [int(pid) for file in files for pid in file.read_text().split()]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_all_that_was_begun_and_prints_the_table_so_far(started, number):
    process, pids = started(["hangs", "misses", "waits"], "-j", "1", "--only", "hangs,waits", wait_for=["hangs"])
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert rows(out) == {"hangs": "stopped", "waits": "not begun"}
    assert "of 2 references 1 stopped, 1 not begun" in out
    assert all(map(is_gone, pids))


def test_what_has_ended_before_is_in_the_table(started):
    process, pids = started(["a-raises", "hangs"], "-j", "2", "--json", wait_for=["hangs"])
    while "a-raises" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert [one["verdict"] for one in json.loads(out)["references"]] == ["failed", "stopped"]
    assert all(map(is_gone, pids))


@pytest.mark.parametrize("times", [1, 2])
def test_who_does_not_stop_is_made_to_and_at_once_where_it_is_asked_twice(started, times):
    process, pids = started(["hangs-on"], wait_for=["hangs-on"])
    began = time.monotonic()
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert (time.monotonic() - began < several._PATIENCE) is (times == 2)
    assert all(map(is_gone, pids))


def test_a_reader_who_has_seen_enough_does_not_change_the_exit_code(started):
    """`| head -1` breaks the pipe, once all is done."""
    process, _ = started(["misses"])
    process.stdout.close()
    assert process.wait(timeout=20) == 1


# the real ones


def held_against(checks, bars):
    """Whether every check of a result is of a bar of the list: what is listed is what a run is held against."""
    for check in checks:
        numbers = [bar["bar"] for bar in bars if (bar["better"], bar["unit"]) == (check["better"], check["unit"])
                   and (bar["what"].split(" after ")[0] in check["what"])]  # fmt: skip
        assert check["bar"] in numbers or None in numbers, check
    return bool(checks)


def run_for_real(tmp_path, *words):
    """The command itself, in a process; its document, exit code, and what it said."""
    env = {**os.environ, "COLUMNS": "100"}
    arguments = [sys.executable, "-m", "datakit", "train", "--all", "--synthetic", "--json", "--out", "out", *words]
    done = subprocess.run(arguments, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    return json.loads(done.stdout), done.returncode, done.stderr


def check_whole(document, tmp_path):
    bars = {entry["name"]: entry["bars"] for entry in listing.document(listing.entries())}
    for one in document["references"]:
        assert one["verdict"] == "passed", one
        assert held_against(one["result"]["checks"], bars[one["name"]])
        assert one["result"]["pictures"]
        assert all((tmp_path / picture).stat().st_size for picture in one["result"]["pictures"])


@pytest.mark.slow
def test_real_references_pass_and_are_held_against_the_bars_of_the_list(tmp_path):
    document, code, told = run_for_real(tmp_path, "--only", "data-parallel", "--device", "cpu")
    assert code == 0, told
    assert [one["name"] for one in document["references"]] == ["data-parallel"]
    check_whole(document, tmp_path)


def test_where_torch_is_broken_each_says_so(tmp_path, monkeypatch):
    (tmp_path / "broken/torch").mkdir(parents=True)
    (tmp_path / "broken/torch/__init__.py").write_text(
        "raise ImportError('libcudart.so.13: cannot open shared object')"
    )
    root = Path(train_all.__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'broken'}:{root}")
    document, code, _ = run_for_real(tmp_path, "--only", "faces,yesno", "--device", "cpu")
    assert code == 3
    for one in document["references"]:
        assert "torch cannot be imported: ImportError: libcudart.so.13: cannot open shared object" in one["reason"]
        assert "datakit doctor" in one["reason"]


@pytest.mark.slow
def test_all_of_them_pass_within_ten_minutes(tmp_path):
    document, code, told = run_for_real(tmp_path, "--device", "cpu")
    assert code == 0, told
    assert [one["name"] for one in document["references"]] == sorted(BUILT_IN)
    check_whole(document, tmp_path)
    assert document["cpu_seconds"] < 600


def test_a_dataset_that_needs_nothing_misses_nothing(tmp_path):
    assert RandomData.missing(tmp_path) == []


def test_the_list_in_the_documents_is_what_is_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).resolve().parents[2] / "docs/smoke-test.md"
    shown = re.search(r"\$ datakit train --list\n```\n\n```text\n(.*?)```", page.read_text(), re.S)
    assert train("--list").stdout == shown[1]
