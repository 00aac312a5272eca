import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from datakit.doctor.child import Probe

STAGES = """
import os, signal, subprocess, sys, time

def value(number):
    if number == 3:
        print("noise on stdout", "x" * 300_000)
    return {"number": number}

def raises():
    try:
        raise KeyError("below")
    except KeyError as error:
        raise OSError("libcudart.so.13: cannot open\\nshared object file") from error

def leaves():
    raise SystemExit("not licensed")

def missing():
    import no_such_module.part

def dies(number):
    print("the last words", file=sys.stderr)
    os.kill(os.getpid(), number)

def exits(status):
    os._exit(status)

def hangs(file):
    child = subprocess.Popen(["sleep", "60"])
    with open(file, "w") as out:
        out.write(str(child.pid))
    time.sleep(60)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "stages_of_a_test.py").write_text(STAGES)
    monkeypatch.syspath_prepend(tmp_path)
    return "stages_of_a_test"


def is_alive(process):
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_every_stage_is_told_and_those_after_a_dead_one_still_run(module):
    stages = {
        "value": (3,), "raises": (), "dies": (signal.SIGSEGV,), "value again": (4,), "exits": (3,), "leaves": (),
        "missing": (),
    }  # fmt: skip
    found = Probe(module, stages, limit=20).outcomes()
    assert list(found) == list(stages)
    assert found["value"].value == {"number": 3}
    assert found["value again"].value == {"number": 4}
    assert found["raises"].kind == "OSError"
    below = "raises OSError: libcudart.so.13: cannot open shared object file … 'below'"
    assert found["raises"].error == below
    assert found["dies"].error == "dies with SIGSEGV (the last words)"
    assert found["exits"].error == "ends the process with status 3"
    assert found["leaves"].error == "raises SystemExit: not licensed"
    assert (found["missing"].kind, found["missing"].name) == ("ModuleNotFoundError", "no_such_module")


def test_a_stage_that_hangs_is_ended_with_what_it_started(module, tmp_path):
    file, begun = tmp_path / "pid", time.monotonic()
    found = Probe(module, {"hangs": (str(file),), "value": (1,)}, limit=0.7).outcomes()
    assert found["hangs"].how == "hung"
    assert found["hangs"].error == "hangs: nothing after 0.7 s"
    assert found["value"].is_good
    assert time.monotonic() - begun < 5
    deadline = time.monotonic() + 5
    while is_alive(int(file.read_text())) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(int(file.read_text()))


def test_stages_that_build_on_a_hung_one_are_not_waited_for(module, tmp_path):
    begun = time.monotonic()
    stages = {"hangs": (str(tmp_path / "pid"),), "value": (1,), "value more": (2,)}
    found = Probe(module, stages, limit=0.7, basis="hangs").outcomes()
    assert {outcome.how for outcome in found.values()} == {"hung"}
    assert time.monotonic() - begun < 1.4


def test_a_module_that_cannot_be_imported_ends_all_its_stages():
    found = Probe("no_such_module", {"one": (), "two": ()}, limit=20).outcomes()
    assert {outcome.error for outcome in found.values()} == {
        "ends the process with status 1 (ModuleNotFoundError: No module named 'no_such_module')"
    }


def test_a_probe_needs_no_disk_and_leaves_nothing(module, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/no/such/folder")
    before = set(os.listdir("/proc/self/fd"))
    assert Probe(module, {"value": (1,)}, limit=20).outcomes()["value"].is_good
    assert set(os.listdir("/proc/self/fd")) == before


def test_stopping_ends_the_child(module, tmp_path):
    file = tmp_path / "pid"
    probe = Probe(module, {"hangs": (str(file),)}, limit=60)
    deadline = time.monotonic() + 10
    while not (file.exists() and file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    probe.stop()
    deadline = time.monotonic() + 5
    while is_alive(int(file.read_text())) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(int(file.read_text()))


def test_a_child_sees_the_path_of_its_parent(module, tmp_path):
    (tmp_path / "shows_the_path.py").write_text("import sys\ndef path():\n    return sys.path\n")
    assert Probe("shows_the_path", {"path": ()}, limit=20).outcomes()["path"].value == sys.path


SLOW = """
import subprocess, time
from pathlib import Path
from torch.utils.data import DataLoader

class Slow:
    def __len__(self):
        return 100

    def __getitem__(self, index):
        subprocess.Popen(["sleep", "60"])
        Path("begun").touch()
        time.sleep(60)

loader = DataLoader(Slow(), 4, num_workers=2, prefetch_factor=8)
"""


def belonging_to(mark):
    """The processes that were started with a mark in their environment."""
    found = set()
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{process}/environ", "rb") as file:
            if mark.encode() in file.read() and is_alive(process):
                found.add(int(process))
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_nothing_is_left_behind_however_it_is_ended(tmp_path, number):
    (tmp_path / "slow.py").write_text(SLOW)
    mark, words = f"MARK_OF_A_TEST={tmp_path}", ["doctor", "slow:loader", "--only", "loader"]
    variables = {**os.environ, "MARK_OF_A_TEST": str(tmp_path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-m", "datakit", *words], cwd=tmp_path, env=variables, **pipes) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert (tmp_path / "begun").exists()
        assert len(belonging_to(mark)) >= 3  # itself, the child that makes the batch, and what that has started
        process.send_signal(number)
        said = process.communicate(timeout=20)[0]
    assert process.returncode == (-number if number == signal.SIGKILL else 130)
    assert number == signal.SIGKILL or "interrupted" in said
    deadline = time.monotonic() + 5
    while belonging_to(mark) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not belonging_to(mark)
