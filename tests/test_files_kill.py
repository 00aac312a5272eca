"""Many processes at once, and killed ones: one download, nothing half-done, and the next run completes."""

import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
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


def test_of_eight_processes_one_downloads_and_all_see_whole_files(server, tmp_path):
    rounds, server.fault = 8, lambda number, path: "trickle" if path == "/abc.zip" else ""
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


def test_kill_after_kill_comes_to_an_end(tmp_path, kill_at):
    draw = random.Random(5)
    for number in range(12):
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


def test_a_journal_that_lost_its_files_is_dropped(tmp_path, kill_at):
    for step in itertools.count(1):
        root = tmp_path / str(step)
        assert kill_at(root, step)
        if (root / ".datakit/abc.zip.journal").exists():
            break
    for path in sorted((root / ".datakit/staging").rglob("*.bin")):
        path.unlink()
    ensure([REMOTE], root, download=True, progress=False)
    assert tree(root) == FILES
