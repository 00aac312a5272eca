"""Pickles of CIFAR: what is right equals what Python reads; what is hostile is refused, and nothing of it runs."""

import ctypes
import io
import json
import mmap
import os
import pickle
import pickletools
import random
import subprocess
import sys
import tarfile
import textwrap
import time

import numpy as np
import pytest

from datakit.errors import CorruptDataError, MissingDataError
from datakit.vision.pickled import read_pickle
from datakit.vision.thing_drawing import python2_pickle

RNG = np.random.default_rng(0)
BATCH = {
    "batch_label": "training batch 1 of 5",
    "labels": RNG.integers(0, 10, 20).tolist(),
    "data": RNG.integers(0, 256, (20, 3072)).astype(np.uint8),
    "filenames": [f"thing_{i:06d}.png" for i in range(20)],
}


def same(one, other):
    if isinstance(other, np.ndarray):
        return isinstance(one, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(other, dict):
        return type(one) is dict and one.keys() == other.keys() and all(same(one[key], other[key]) for key in other)
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("value", [
    BATCH,
    {key.encode(): value for key, value in BATCH.items()},
    {b"names": ["a", "é", "\ud800"], b"more": (1, (2,), (), (1, 2, 3, 4), -1, 255, 65535, -(2**31), True, False, None)},
    {"some": np.arange(6, dtype=np.uint8).reshape(1, 2, 3)},
    {"text": "x" * 70_000, "one": [1], "two": {3: []}},
])  # fmt: skip
def test_python_reads_the_same(tmp_path, protocol, value):
    (tmp_path / "x").write_bytes(pickle.dumps(value, protocol))
    assert same(read_pickle(tmp_path / "x"), value)


def test_strings_of_python_2_are_read_as_pythons_own_reader_does(tmp_path):
    data = python2_pickle(BATCH)
    (tmp_path / "x").write_bytes(data)
    assert same(read_pickle(tmp_path / "x"), pickle.loads(data, encoding="bytes"))
    (tmp_path / "x").write_bytes(pickletools.optimize(data))
    assert same(read_pickle(tmp_path / "x"), pickle.loads(data, encoding="bytes"))


def test_the_real_files(shared, tmp_path):
    archive = shared / "cifar10-subset" / "cifar-10-python.tar.gz"
    if not archive.exists():
        pytest.skip("the subset of CIFAR-10 is not among the real datasets")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    for path in (tmp_path / "cifar-10-batches-py").iterdir():
        with path.open("rb") as file:
            assert same(read_pickle(path), pickle.load(file, encoding="bytes"))


@pytest.mark.parametrize("data", [python2_pickle(BATCH), pickle.dumps(BATCH, 3), pickle.dumps(BATCH, 4)])
def test_the_bytes_of_an_array_stay_in_the_file(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    value = read_pickle(tmp_path / "x")
    owner = value.get("data", value.get(b"data"))
    while isinstance(owner, np.ndarray | memoryview):
        owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
    assert isinstance(owner, mmap.mmap)


# --- hostile files ----------------------------------------------------------------------------------------------------


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *given, state=None):
        self.parts = (function, given) if state is None else (function, given, state)

    def __reduce__(self):
        return self.parts


def array_of(state):
    """A pickle of an array with a state of one's own, written by Python."""
    return pickle.dumps({"data": Calls(np.zeros(0).__reduce__()[0], np.ndarray, (0,), b"b", state=state)}, 3)


U1, MEBI = np.dtype("u1"), 2**20
HOSTILE = {
    **{f"os.system, protocol {n}": pickle.dumps({"data": Calls(os.system, "touch hacked")}, n) for n in range(6)},
    "nested builtins": pickle.dumps(Calls(getattr, Calls(__import__, "os"), "system"), 4),
    "eval": pickle.dumps(Calls(eval, "open('hacked', 'w')"), 2),
    "a dotted name": b"\x80\x04\x8c\x05numpy\x94\x8c\x0ftesting.os.path\x94\x93.",
    "an instance": b"(S'touch hacked'\nios\nsystem\n.",
    "a persistent id": b"Pabc\n.",
    "an extension": b"\x80\x02\x82\x01.",
    "a class of C": pickle.dumps(ctypes.c_int(1), 4),
    "a file": pickle.dumps({"data": io.BytesIO(b"abc")}, 4),
    "array of objects": pickle.dumps({"data": np.array([{}, os.system], dtype=object)}, 4),
    "array of floats": pickle.dumps({"data": np.zeros(3)}, 2),
    "array in protocol 5": pickle.dumps({"data": np.zeros(3, np.uint8)}, 5),
    "column order": array_of((1, (2, 2), U1, True, bytes(4))),
    "a shape too long": array_of((1, (10**5, 3072), U1, False, bytes(4))),
    "a shape too short": array_of((1, (1,), U1, False, bytes(4))),
    "a negative shape": array_of((1, (-2, -2), U1, False, bytes(4))),
    "a shape of floats": array_of((1, (2.0, 2), U1, False, bytes(4))),
    "a shape of 30 sides": array_of((1, (1,) * 30, U1, False, bytes(1))),
    "an element type that lies": array_of((1, (4,), np.dtype("i4"), False, bytes(4))),
    "a state that is no tuple": array_of([1, 2]),
    "a state that is short": array_of((1, (4,))),
    "bytes that are a list": array_of((1, (1,), U1, False, [1])),
    "a length of 2**31 - 1": b"\x80\x02T\xff\xff\xff\x7fabc.",
    "a length of -1": b"\x80\x02T\xff\xff\xff\xffabc.",
    "a length of 2**64 - 1": b"\x80\x04\x8e" + b"\xff" * 8 + b"abc.",
    "a frame of 2**64 - 1": b"\x80\x04\x95" + b"\xff" * 8 + b"q.",
    "text that is not UTF-8": b"\x80\x02X\x02\0\0\0\xff\xfe.",
    "an odd dict": b"\x80\x02}(K\x01K\x02K\x03u.",
    "nothing on the stack": b"\x80\x02R.",
    "no mark": b"\x80\x02K\x01t.",
    "only a protocol": b"\x80\x02",
    "no end": b"\x80\x02]",
    "HTML": b"<html>not found</html>",
    "a key that takes for ever": b"\x80\x02}K\x01" + b"q\0h\0\x86" * 200 + b"K\x01s.",
    "a list as a key": b"\x80\x02}]K\x01s.",
    "a memo that is not there": b"\x80\x02j\xff\xff\xff\xff.",
    "more lists than instructions": b"\x80\x02" + b"]" * 2_000_000 + b".",
    "bytes made again and again": python2_pickle("a" * MEBI).replace(b"T", b"X", 1)[:-1]
    + b"q\0" + b"c_codecs\nencode\nh\0\x8c\6latin1\x86R" * 2000 + b".",
    "a batch cut in half": python2_pickle(BATCH)[:30_000],
    "a batch cut by a byte": python2_pickle(BATCH)[:-1],
}  # fmt: skip
HARMLESS = {
    "nested lists": b"\x80\x02" + b"]" * 300_000 + b"a" * 299_999 + b".",
    "nested tuples": b"\x80\x02)" + b"\x85" * 1_000_000 + b".",
    "a list in itself": b"\x80\x02]q\0h\0a.",
    "a value that doubles": b"\x80\x02]" + b"q\0h\0\x86" * 300 + b".",
    "a place in the memo of 2**32 - 1": b"\x80\x02K\x01r\xff\xff\xff\xff.",
}
"""No values of CIFAR, but nothing that costs anything; the dataset refuses them for what they are."""

READ = """
    import json, os, pickle, resource, sys, time
    from pathlib import Path
    from datakit.errors import CorruptDataError
    from datakit.vision.pickled import read_pickle
    events, told = [], {}
    def watch(event, given):
        reads = event == "open" and not given[2] & os.O_ACCMODE
        if not reads and event != "mmap.__new__":
            events.append(f"{event} {given}"[:200])
    def most():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    paths, before = sorted(Path().iterdir()), most()
    sys.addaudithook(watch)
    for path in paths:
        start = time.perf_counter()
        try:
            read_pickle(path)
            said = "value"
        except CorruptDataError as error:
            said = str(error)
        told[path.name] = said, time.perf_counter() - start, most() - before
    seen = list(events)
    pickle.loads(paths[2].read_bytes())
    print(json.dumps([told, seen, events[len(seen):]]))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a process of its own, under an audit hook, says of every hostile file."""
    folder = tmp_path_factory.mktemp("hostile")
    for number, data in enumerate({**HOSTILE, **HARMLESS}.values()):
        (folder / f"{number:03d}").write_bytes(data)
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(READ)], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    results, *events = json.loads(ran.stdout)
    return dict(zip([*HOSTILE, *HARMLESS], results.values(), strict=True)), *events


def test_nothing_runs_and_nothing_is_imported_or_written(told):
    assert told[1] == []
    assert any(event.startswith("os.system") for event in told[2])  # Python's own reader, under the same hook


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(told, name):
    said, seconds, kibibytes = told[0][name]
    assert "delete the file and get it again" in said
    assert ": byte " in said
    assert len(said) < 400
    assert seconds < 5
    assert kibibytes < 512 * 1024


@pytest.mark.parametrize("name", HARMLESS)
def test_an_odd_value_costs_little(told, name):
    said, seconds, kibibytes = told[0][name]
    assert said == "value"
    assert seconds < 5
    assert kibibytes < 512 * 1024


def test_messages_say_what_and_where(tmp_path):
    (tmp_path / "x").write_bytes(HOSTILE["os.system, protocol 4"])
    with pytest.raises(
        CorruptDataError, match=r"x: byte 37: posix.system is not part of this format; nothing in it was"
    ):
        read_pickle(tmp_path / "x")
    (tmp_path / "x").write_bytes(HOSTILE["a length of 2**31 - 1"])
    with pytest.raises(CorruptDataError, match=r"2,147,483,647 bytes are announced, 4 are left"):
        read_pickle(tmp_path / "x")
    (tmp_path / "x").write_bytes(HOSTILE["a shape too short"])
    with pytest.raises(CorruptDataError, match=r"an array of shape \(1,\) has 4 bytes"):
        read_pickle(tmp_path / "x")
    (tmp_path / "x").write_bytes(HOSTILE["more lists than instructions"])
    with pytest.raises(CorruptDataError, match=r"more than 1,048,576 instructions"):
        read_pickle(tmp_path / "x")
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(CorruptDataError, match="empty"):
        read_pickle(tmp_path / "x")
    with pytest.raises(MissingDataError):
        read_pickle(tmp_path / "y")


@pytest.mark.parametrize("data", [python2_pickle(BATCH), pickle.dumps(BATCH, 2), pickle.dumps(BATCH, 4)])
def test_mutations(tmp_path, data):
    chance = random.Random(0)
    path, start, refused = tmp_path / "x", time.perf_counter(), 0
    ends = [*range(250), *range(len(data) - 700, len(data))]  # where the instructions are, not the pixels
    for _ in range(1000):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            place = chance.choice(ends)
            kind = chance.random()
            if kind < 0.7:
                changed[place] = chance.choice((chance.randrange(256), *b"(t}]uebRcqhTUXKJ.\x85\x86\x93\x94"))
            elif kind < 0.85:
                del changed[place : place + chance.randint(1, 8)]
                changed += bytes(8)
            else:
                changed[place:place] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 8)))
        path.write_bytes(changed[: chance.randrange(len(changed))] if chance.random() < 0.1 else changed)
        try:
            read_pickle(path)
        except CorruptDataError:
            refused += 1
    assert 200 < refused < 1000
    assert time.perf_counter() - start < 20
