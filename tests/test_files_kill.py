"""Many processes at once, and killed ones: one download, nothing half-done, and the next run completes."""

import fcntl
import hashlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from servers import serving
from test_files_prepare import own, pack, tree

from datakit.errors import MissingDataError
from datakit.files import Remote, ensure

FILES = {
    f"{top}/{number}.bin": random.Random(f"{top}{number}").randbytes(20_000) for top in "abc" for number in range(3)
}
PRODUCES = ("a/0.bin", "b/1.bin", "c/2.bin")
REMOTE = Remote("abc.zip", unpack=True, produces=PRODUCES)


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as running:
        monkeypatch.setenv("DATAKIT_MIRROR", running.url)
        pack(tmp_path / "abc.zip", FILES)
        running.files["/abc.zip"] = (tmp_path / "abc.zip").read_bytes()
        yield running


RACER = """
import hashlib, json, sys, time
from pathlib import Path
from datakit.files import Remote, ensure
rounds, produces = int(sys.argv[2]), tuple(sys.argv[3:])
for number in range(rounds):
    sys.stdin.readline()
    root = Path(sys.argv[1], str(number))
    ensure([Remote("abc.zip", unpack=True, produces=produces)], root, download=True, progress=False)
    found = {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.glob("*/*.bin")}
    print(json.dumps(found), flush=True)
"""


@pytest.mark.parametrize("rounds", [8, pytest.param(50, marks=pytest.mark.slow)])
def test_of_eight_processes_one_downloads_and_all_see_whole_files(server, tmp_path, rounds):
    server.fault = lambda number, path: "trickle" if path == "/abc.zip" else ""
    command = [sys.executable, "-c", RACER, str(tmp_path), str(rounds), *PRODUCES]
    racers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    truth = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    try:
        for _ in range(rounds):
            for racer in racers:
                racer.stdin.write("\n")
                racer.stdin.flush()
            for racer in racers:
                assert json.loads(racer.stdout.readline()) == truth
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()
    assert server.count("/abc.zip") == rounds


# A child process that kills itself at its n-th step on the disk, where a step is an open for writing, a rename, a
# folder or a deletion. It is forked from a small process, so that hundreds of kills take seconds.

KILLER = """
import json, os, signal, sys
from datakit.files import Remote, ensure
remote = Remote("abc.zip", unpack=True, produces=tuple(sys.argv[2:]))
STEPS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")

def child(root, step):
    seen = 0
    def hook(event, args):
        nonlocal seen
        if event in STEPS and (event != "open" or args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    ensure([remote], root, download=True, progress=False)

import datakit.files.unpack, filelock, json
for line in sys.stdin:
    root, step = json.loads(line)
    pid = os.fork()
    if pid == 0:
        try:
            child(root, step)
        finally:
            os._exit(0)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


@pytest.fixture
def kill_at(tmp_path, monkeypatch):
    """A function (root, step): prepares `root`, killed at that step; `True` if it got so far."""
    pack(tmp_path / "mirror/abc.zip", FILES)
    monkeypatch.setenv("DATAKIT_MIRROR", (tmp_path / "mirror").as_uri())
    command = [sys.executable, "-c", KILLER, "", *PRODUCES]
    killer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(root, step):
        print(json.dumps([str(root), step]), file=killer.stdin, flush=True)
        return os.waitstatus_to_exitcode(int(killer.stdout.readline())) == -signal.SIGKILL

    yield run
    killer.communicate()


def check_unfinished(root):
    """What a killed run left is not taken for ready, or is whole; what is under its final name is right."""
    found = tree(root) if root.exists() else {}
    assert found.items() <= FILES.items()
    assert all(len([name for name in found if name[0] == top]) in (0, 3) for top in "abc")
    try:
        ensure([REMOTE], root)
    except MissingDataError:
        return
    assert found == FILES


def test_a_kill_at_any_step_is_mended_by_the_next_run(tmp_path, kill_at):
    for step in itertools.count(1):
        root = tmp_path / str(step)
        killed = kill_at(root, step)
        check_unfinished(root)
        ensure([REMOTE], root, download=True, progress=False)
        assert tree(root) == FILES
        assert own(root) == ["abc.zip.json", "lock"]
        if not killed:
            break
    assert step > 30


@pytest.mark.parametrize("rounds", [12, pytest.param(100, marks=pytest.mark.slow)])
def test_kill_after_kill_comes_to_an_end(tmp_path, kill_at, rounds):
    draw = random.Random(5)
    for number in range(rounds):
        root = tmp_path / str(number)
        while kill_at(root, draw.randrange(5, 45)):
            check_unfinished(root)
        assert tree(root) == FILES
        assert own(root) == ["abc.zip.json", "lock"]


DOWNLOADER = """
import sys
from datakit.files import Remote, ensure
ensure([Remote("abc.zip", unpack=True, produces=tuple(sys.argv[2:]))], sys.argv[1], download=True, progress=False)
"""


def test_a_download_that_is_killed_at_any_time_is_resumed(server, tmp_path):
    draw = random.Random(11)
    server.fault = lambda number, path: "trickle" if path == "/abc.zip" else ""
    for number in range(4):
        root, server.asked = tmp_path / str(number), []
        run = subprocess.Popen([sys.executable, "-c", DOWNLOADER, str(root), *PRODUCES])
        while not server.count("/abc.zip"):
            time.sleep(0.01)
        time.sleep(draw.random() * 0.4)
        run.send_signal(signal.SIGKILL)
        run.wait()
        check_unfinished(root)
        ensure([REMOTE], root, download=True, progress=False)
        assert tree(root) == FILES
        assert own(root) == ["abc.zip.json", "lock"]


def test_an_interrupted_move_is_not_ready_until_it_is_completed(tmp_path, kill_at):
    """The journal says so, even when all that is produced happens to be there."""
    for step in itertools.count(1):
        root = tmp_path / str(step)
        assert kill_at(root, step)
        if (root / ".datakit/abc.zip.journal").exists() and (root / "c").exists():
            break
    assert all((root / path).exists() for path in PRODUCES)
    with pytest.raises(MissingDataError, match="is being unpacked, or that was cut off: pass download=True"):
        ensure([REMOTE], root)
    with pytest.raises(MissingDataError, match="cut off"):
        ensure([Remote("abc.zip", unpack=True)], root)
    (tmp_path / "mirror/abc.zip").unlink()
    ensure([REMOTE], root, download=True, progress=False)
    assert tree(root) == FILES


@pytest.fixture
def cut_off(tmp_path, kill_at):
    """A root whose preparation was killed before anything was moved."""
    for step in itertools.count(1):
        root = tmp_path / str(step)
        assert kill_at(root, step)
        if (root / ".datakit/abc.zip.journal").exists():
            return root


def test_files_that_were_deleted_before_they_could_be_moved_are_missed(cut_off):
    (cut_off / ".datakit/staging/abc.zip/a/1.bin").unlink()
    for _ in range(2):
        with pytest.raises(MissingDataError, match=r"a/1.bin is missing: .* delete .*abc.zip.journal and"):
            ensure([REMOTE], cut_off, download=True, progress=False)
    (cut_off / ".datakit/abc.zip.journal").unlink()
    for top in "abc":
        shutil.rmtree(cut_off / top)
    ensure([REMOTE], cut_off, download=True, progress=False)
    assert tree(cut_off) == FILES


def test_what_a_user_made_in_the_meantime_is_not_overwritten(cut_off):
    (cut_off / "c").mkdir()
    (cut_off / "c/0.bin").write_bytes(b"mine")
    with pytest.raises(MissingDataError, match="c/0.bin is in the way"):
        ensure([REMOTE], cut_off, download=True, progress=False)
    assert (cut_off / "c/0.bin").read_bytes() == b"mine"
    (cut_off / "c/0.bin").unlink()
    ensure([REMOTE], cut_off, download=True, progress=False)
    assert tree(cut_off) == FILES


def test_waiting_for_another_process_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("datakit.files.prepare._QUIET_WAIT", 0.05)
    monkeypatch.setenv("DATAKIT_MIRROR", tmp_path.as_uri())
    pack(tmp_path / "abc.zip", FILES)
    (tmp_path / "root/.datakit").mkdir(parents=True)
    with open(tmp_path / "root/.datakit/lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        threading.Timer(0.5, fcntl.flock, [held.fileno(), fcntl.LOCK_UN]).start()
        ensure([REMOTE], tmp_path / "root", download=True)
    assert f"waiting for another process that prepares {tmp_path / 'root'}\n" in capsys.readouterr().err
    assert tree(tmp_path / "root") == FILES
