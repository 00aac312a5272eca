"""30 SIGKILLs of a training-like loop or of its workers: nothing lost, nothing conflicting."""

import itertools
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from material import Numbers, digests

from datakit import Loader
from datakit.errors import WorkerError

N, EPOCHS, KILLS = 3000, 2, 30
CIRCUMSTANCES = [(0, 3), (1, 5), (2, 4), (2, 7)]  # workers, batch size


LENGTHS = np.random.default_rng(0).integers(100, 2000, N)


def train(folder, workers, batch_size, pause, lengths=None):
    """Log what was received, save the state, step by step, as a careful training script does."""
    torch.set_num_threads(1)
    loader = Loader(
        Numbers(N), batch_size, seed=1, shuffle=True, num_workers=workers, collate_fn=digests, lengths=lengths
    )
    saved, log = folder / "state.json", os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    if saved.exists():
        loader.load_state_dict(json.loads(saved.read_text()))
    before = loader.state_dict()
    for _ in range(loader.epoch, EPOCHS):
        for batch in loader:
            os.write(log, (json.dumps([before["epoch"], before["samples"], batch]) + "\n").encode())
            time.sleep(pause)
            before = loader.state_dict()
            (folder / "draft").write_text(json.dumps(before))
            os.replace(folder / "draft", saved)


def run(folder, circumstances, pause, kill_after=None, kill_worker=False, lengths=None):
    """Start the loop in a process of its own; kill it, or one of its workers, after a while."""
    process = multiprocessing.get_context("fork").Process(target=train, args=(folder, *circumstances, pause, lengths))
    process.start()
    if kill_after is not None:
        time.sleep(kill_after)
        children = psutil.Process(process.pid).children() if process.is_alive() else []
        victim = children[0].pid if kill_worker and children else process.pid
        os.kill(victim, signal.SIGKILL)
    process.join()  # without a limit: with one it would wait for the orphaned workers too, which leave within 5 seconds
    return process.exitcode


def truth(batch_size, lengths):
    loader = Loader(Numbers(N), batch_size, seed=1, shuffle=True, collate_fn=digests, lengths=lengths)
    return {
        (epoch, place): [index, digest]
        for epoch in range(EPOCHS)
        for place, (index, digest) in enumerate(sample for batch in loader for sample in batch)
    }


@pytest.mark.parametrize(("kills", "lengths", "circumstances"), [
    (KILLS, None, CIRCUMSTANCES),
    (KILLS // 3, LENGTHS, [(workers, 5) for workers in (0, 1, 2)]),  # an order of lengths is that of a batch size
], ids=["plain", "lengths"])  # fmt: skip
def test_kills_lose_nothing_and_change_nothing(tmp_path, kills, lengths, circumstances, capfd):
    chance = random.Random(0)
    for number, now in zip(range(kills), itertools.cycle(circumstances), strict=False):
        kill = {"kill_after": chance.uniform(0.02, 0.25), "kill_worker": number % 3 == 0}
        run(tmp_path, now, 0.004, **kill, lengths=lengths)
    assert json.loads(Path(tmp_path / "state.json").read_text())["epoch"] < EPOCHS, (
        "the loop ended before the last kill"
    )
    assert run(tmp_path, (2, 16 if lengths is None else 5), 0, lengths=lengths) == 0
    capfd.readouterr()  # the tracebacks of loops that lost a worker

    received, repeated = {}, 0
    for line in (tmp_path / "log").read_text().splitlines():
        epoch, start, batch = json.loads(line)
        places = [(epoch, start + offset) for offset in range(len(batch))]
        repeated += sum(place in received for place in places)
        for place, sample in zip(places, batch, strict=True):
            assert received.setdefault(place, sample) == sample
    assert received == truth(5, lengths)
    largest = max(size for _, size in circumstances)
    assert repeated <= kills * largest  # the step that was logged when the kill came before its state was saved


def test_a_loop_without_its_worker_says_so():
    loader = iter(Loader(Numbers(N), 4, num_workers=2))
    next(loader)
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="records"):
        list(loader)


SLOW_START = """
import functools, os, pathlib, sys, time
sys.path.insert(0, {tests!r})
from material import Numbers, start_slowly
from datakit import Loader
init = functools.partial(start_slowly, {folder!r})
for _ in Loader(Numbers(99), 4, num_workers=2, multiprocessing_context={method!r}, worker_init_fn=init): pass
"""


@pytest.mark.parametrize("method", ["fork", pytest.param("forkserver", marks=pytest.mark.slow)])
def test_workers_that_were_starting_when_their_loop_was_killed_leave(method, tmp_path):
    code = SLOW_START.format(tests=str(Path(__file__).parent), folder=str(tmp_path), method=method)
    loop = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(names := os.listdir(tmp_path)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    workers = [psutil.Process(int(name)) for name in names]
    loop.kill()
    loop.wait()
    assert len(workers) == 2
    _, alive = psutil.wait_procs(workers, timeout=4)
    for worker in alive:
        worker.kill()
    assert not alive
