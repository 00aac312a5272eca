"""Reading all records: workers, workers that die, Ctrl-C, and the cache of what was read before."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from planted import clean, dataset, picture

from datakit import Concat, Dataset, Mapped, Subset
from datakit.check import cached
from datakit.check.run import CODE_KINDS
from datakit.check.run import check as check_
from datakit.columns import Columns
from datakit.text import Names
from datakit.vision import MNIST, ImageFolder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Twelve images of two classes, and a cache of their own."""
    monkeypatch.setenv("DATAKIT_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for number in range(12):
        place = tmp_path / "images" / ("ants", "bees")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(rng)).save(place / f"{number:02}.png")
    return tmp_path / "images"


def check(what, only=(), **options):
    """Of the records as they are, without those that are nearly the same."""
    options.setdefault("workers", 0)
    return check_(what, only=only, ignore=() if only else [*CODE_KINDS, "near-duplicate"], **options)


def cached_in(report):
    return [part.cached for part in report.parts]


def told(report):
    return [(finding.kind, [offender.place.index for offender in finding.offenders]) for finding in report.findings]


def test_workers_find_what_this_process_finds():
    samples = clean("points", 300)
    samples[250]["image"][:] = 9
    samples[299] = dict(samples[0])
    alone = check(dataset(samples), cache=False, workers=0)
    shared = check(dataset(samples), cache=False, workers=2)
    assert told(alone) == told(shared) == [("duplicate", [299]), ("constant", [250])]


class Deadly(Dataset):
    """Record 40 ends its process."""

    def index(self):
        return Columns(number=range(100))

    def load(self, record):
        if record.number == 40:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"number": record.number}


def test_a_record_that_kills_its_worker_is_named_and_the_others_are_read():
    report = check(Deadly("."), cache=False, workers=2, only=["unreadable", "duplicate"])
    (finding,) = report.findings
    assert (finding.kind, [offender.place.index for offender in finding.offenders]) == ("unreadable", [40])
    assert "ends or hangs the process" in finding.offenders[0].detail
    assert report.parts[0].read == 100


class Leaving(Deadly):
    """Record 40 ends the program, as some libraries do."""

    def load(self, record):
        if record.number == 40:
            raise SystemExit("bye")
        return {"number": record.number}


@pytest.mark.parametrize("made", [Deadly, Leaving])
def test_the_check_outlives_what_it_reads(made):
    (finding,) = check_(made("."), cache=False, only=["unreadable"]).findings  # few records, and no workers asked for
    assert [offender.place.index for offender in finding.offenders] == [40]


def test_nothing_is_read_again_that_has_not_changed(folder):
    first = check(ImageFolder(folder))
    assert (cached_in(first), told(first)) == ([0], [])
    second = check(ImageFolder(folder))
    assert (cached_in(second), told(second)) == ([12], [])


def test_a_file_that_changed_is_read_again_and_found(folder):
    check(ImageFolder(folder))
    Image.new("RGB", (64, 48), "grey").save(folder / "ants" / "04.png")
    report = check(ImageFolder(folder))
    assert (cached_in(report), told(report)) == ([11], [("constant", [2])])
    again = check(ImageFolder(folder))
    assert (cached_in(again), told(again)) == ([12], [("constant", [2])])


def test_a_change_of_the_same_size_and_time_is_seen(folder):
    """As `rsync -t` or `cp -p` leave it: the time of the change of the file itself tells."""
    check(ImageFolder(folder))
    path = folder / "ants" / "04.png"
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert told(check(ImageFolder(folder))) == [("unreadable", [2])]


def test_files_that_came_and_went_leave_the_others_known(folder):
    check(ImageFolder(folder))
    (folder / "ants" / "00.png").unlink()
    shutil.copy(folder / "ants" / "02.png", folder / "ants" / "99.png")
    report = check(ImageFolder(folder))
    assert (cached_in(report), told(report)) == ([11], [("duplicate", [5])])


def test_a_bad_file_is_read_each_time(folder):
    (folder / "bees" / "01.png").write_bytes(b"no image")
    for known in (0, 11):
        report = check(ImageFolder(folder))
        assert (cached_in(report), told(report)) == ([known], [("unreadable", [6])])


def test_a_part_of_the_records_does_not_forget_the_others(folder):
    check(ImageFolder(folder))
    check(Subset(ImageFolder(folder), [1, 2]))
    assert cached_in(check(ImageFolder(folder), at_most=3)) == [3]
    assert cached_in(check(ImageFolder(folder))) == [12]
    assert cached_in(check(Concat([Subset(ImageFolder(folder), [5]), ImageFolder(folder)]))) == [13]


def test_a_cache_that_is_damaged_is_written_anew(folder, tmp_path):
    check(ImageFolder(folder))
    (kept,) = (tmp_path / "cache" / "check").iterdir()
    data = kept.read_bytes()
    for bad in (b"", data[: len(data) // 2], b"x" * 100):
        kept.write_bytes(bad)
        assert cached_in(check(ImageFolder(folder))) == [0]
        assert cached_in(check(ImageFolder(folder))) == [12]


def test_a_cache_that_cannot_be_written_is_worth_a_note(folder, tmp_path):
    (tmp_path / "cache").write_text("a file is in its way")
    report = check(ImageFolder(folder))
    assert told(report) == []
    assert "the cache could not be written" in report.notes[0]


def test_no_cache_leaves_no_files(folder, tmp_path):
    check(ImageFolder(folder), cache=False)
    assert not (tmp_path / "cache" / "check").exists()


def test_other_options_of_a_dataset_are_other_samples(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAKIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "names").mkdir()
    (tmp_path / "names" / "German.txt").write_text("Bach\nHass\nbach\n", encoding="utf-8")
    (tmp_path / "names" / "Irish.txt").write_text("Ahearn\nAllen\n", encoding="utf-8")
    plain = {"split": "all"}
    assert told(check(Names(tmp_path, **plain))) == []
    assert cached_in(check(Names(tmp_path, **plain))) == [5]
    lower = check(Names(tmp_path, **plain, normalize=str.lower))
    assert (cached_in(lower), told(lower)) == ([0], [("duplicate", [2])])


class Sidecar(ImageFolder):
    """A class of a user's, whose samples come from two files."""

    def load(self, record):
        sample = super().load(record)
        note = Path(sample["path"]).with_suffix(".json")
        return {**sample, "text": note.read_text() if note.exists() else "none"}


def test_files_that_only_load_knows_of_count_too(folder):
    for path in folder.rglob("*.png"):
        path.with_suffix(".json").write_text(path.name)
    assert cached_in(check(Sidecar(folder))) == [0]
    assert cached_in(check(Sidecar(folder))) == [12]
    (folder / "bees" / "03.json").write_text("something else")
    assert cached_in(check(Sidecar(folder))) == [11]


def test_images_of_one_file_are_known_by_that_file(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAKIT_CACHE", str(tmp_path / "cache"))
    MNIST.synthesize(tmp_path, 20, np.random.default_rng(0))
    made = MNIST(tmp_path)
    assert cached_in(check(made)) == [0]
    assert cached_in(check(MNIST(tmp_path))) == [len(made)]
    (path,) = made.files_of(0)
    os.utime(path, (1, 1))
    assert cached_in(check(MNIST(tmp_path))) == [0]


def test_what_is_not_known_to_come_from_files_is_not_kept():
    assert cached.Keys(Mapped(clean("texts"))).name is None


def test_ctrl_c_gives_what_was_found_so_far(folder, tmp_path):
    """The code runs in a process of its own, which gets the signal as a terminal would send it: with its workers."""
    (folder / "ants" / "00.png").write_bytes(b"no image")
    code = (
        "import time, sys\n"
        "from datakit.check.run import check\n"
        "from datakit.vision import ImageFolder\n"
        "class Slow(ImageFolder):\n"
        "    def load(self, record):\n"
        "        time.sleep(0.03)\n"
        "        return super().load(record)\n"
        f"data = Slow({str(folder)!r})\n"
        "from datakit import Concat\n"
        "report = check(Concat([data] * 30), workers=2, ignore=['near-duplicate'], only=['unreadable'],\n"
        "    progress=lambda what, done, total: print(done, flush=True))\n"
        "print('END', report.interrupted, report.parts[0].read, [finding.count for finding in report.findings])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while (line := process.stdout.readline()).strip() in ("", "0"):
            pass
        assert int(line) >= 32
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stdout.read()
    end = rest.splitlines()[-1]
    assert end.startswith("END records")
    assert 32 <= int(end.split("[")[0].split()[-1]) < 360
    assert not end.endswith("[]")
