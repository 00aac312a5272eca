"""Every file of every dataset of images, damaged in many ways: an error that names it, at once, and nothing runs."""

import json
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from datakit import find

NAMES = ("celeba", "cifar10", "faces", "fashion-mnist", "mnist", "penn-fudan")
DAMAGES = {
    "empty": lambda data, rng: b"",
    "HTML": lambda data, rng: b"<html><body>not found</body></html>",
    "half": lambda data, rng: data[: len(data) // 2],
    "a byte short": lambda data, rng: data[:-1],
    "a pipe": lambda data, rng: b"|touch hacked",
    "a pickle": lambda data, rng: b"cos\nsystem\n(S'touch hacked'\ntR.",
    "zeros": lambda data, rng: bytes(len(data)),
    "noise": lambda data, rng: rng.bytes(len(data)),
    "noise after the head": lambda data, rng: data[:16] + rng.bytes(max(0, len(data) - 16)),
    "great numbers": lambda data, rng: data[:4] + b"\xff" * 12 + data[16:],
}
READ = """
    import json, os, sys, time, warnings
    from datakit import find
    from datakit.errors import DatakitError
    def read(name, root):
        splits = find(name).splits or (None,)
        for split in splits[:1] if "all" in splits else splits:
            options = {"split": split} if split else {}
            for _ in find(name)(root, **options):
                pass
    names, cases = json.load(sys.stdin)
    for name, root in names.items():
        read(name, root)  # everything is imported now
    events = []
    HARMLESS = ("mmap.", "array.__new__", "os.scandir", "os.listdir", "object.", "builtins.id", "time.sleep", "gc.")
    def watch(event, given):
        reads = event == "open" and not given[2] & os.O_ACCMODE
        if not reads and not event.startswith(HARMLESS):
            events.append(f"{event} {given}"[:200])
    sys.addaudithook(watch)
    for name, root, file in cases:
        start, said = time.perf_counter(), None
        try:
            read(name, root)
        except DatakitError as error:
            said = str(error)
        except Exception as error:
            said = f"NOT OURS: {type(error).__name__}: {error}"
        print(json.dumps([name, root, file, said, time.perf_counter() - start]))
    during = list(events)
    os.system("true")  # the hook does see such a thing
    print(json.dumps([during, events[len(during):]]))
"""
MAY_PASS = {"a byte short", "noise after the head", "great numbers", "zeros", "noise"}
"""What may leave a file of its format: labels that are noise are labels, and a JPEG has no checksum."""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """(dataset, damaged file, damage) -> (what was said, seconds); and what else happened meanwhile."""
    base, rng = tmp_path_factory.mktemp("damage"), np.random.default_rng(0)
    names = {name: find(name).synthetic(n=6).root for name in NAMES}
    cases = []
    for name, whole in names.items():
        files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
        kinds = {(file.parent, "".join(filter(str.isalpha, file.name))): file for file in files}
        for file in kinds.values():  # one of each kind
            for damage, made in DAMAGES.items():
                root = base / f"{len(cases)}"
                shutil.copytree(whole, root)
                (root / file).write_bytes(made((root / file).read_bytes(), rng))
                cases.append((name, str(root), file.name, damage))
    sent = json.dumps([{name: str(root) for name, root in names.items()}, [case[:3] for case in cases]])
    command = [sys.executable, "-c", textwrap.dedent(READ)]
    ran = subprocess.run(command, input=sent, cwd=base, capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stderr[-2000:]
    *lines, events = map(json.loads, ran.stdout.splitlines())
    assert not (base / "hacked").exists()
    keys = [(name, file, damage) for name, _, file, damage in cases]
    return dict(zip(keys, (line[3:] for line in lines), strict=True)), events


def test_the_files_of_all_datasets_are_tried(told):
    assert {name for name, _, _ in told[0]} == set(NAMES)
    assert len(told[0]) >= 20 * len(DAMAGES)


def test_nothing_runs_and_nothing_is_written(told):
    during, after = told[1]
    assert during == []
    assert [event.split()[0] for event in after] == ["os.system"]


def test_what_is_said_names_the_file_and_comes_at_once(told):
    wrong = {
        key: (said, seconds)
        for key, (said, seconds) in told[0].items()
        if seconds > 5 or (said is not None and (said.startswith("NOT OURS") or key[1].split(".")[0] not in said))
    }
    assert wrong == {}


def test_damage_is_seen(told):
    passed = [key for key, (said, _) in told[0].items() if said is None and key[2] not in MAY_PASS]
    assert passed == []
    seen = [damage for (_, _, damage), (said, _) in told[0].items() if said is not None]
    assert all(seen.count(damage) > 5 for damage in DAMAGES)
