"""Machines made up of files, and what a real loader really takes."""

import contextlib
import itertools
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from torch.utils.data import DataLoader

from datakit.doctor.child import Outcome
from datakit.doctor.fitting import Room, as_arguments, files_needed, fitting
from datakit.doctor.limits import Memory, group_limits, read_memory, read_processes
from datakit.doctor.machine import cores_check, memory_check, processes_check, system_checks, threads_check
from datakit.doctor.model import Load
from datakit.doctor.shared_memory import Share, files_check, read_share, share_check, strategy_check
from datakit.doctor.start import start_checks
from datakit.doctor.target_probe import _storages
from datakit.doctor.wording import amount, megabytes, memory, plural

V1 = "memory/x/memory."
MB, GB = 2**20, 2**30
BATCH = 32 * 3 * 512 * 512 * 4
MEASURED = Load(4, batch_bytes=BATCH, batch_tensors=2, source="as measured")


def groups(tmp_path, own, files):
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(text + "\n")
    (tmp_path / "own").write_text(own)
    return tmp_path / "groups", tmp_path / "own"


def meminfo(tmp_path, total, available, swap=0, swap_free=0):
    lines = {"MemTotal": total, "MemFree": 1, "MemAvailable": available, "SwapTotal": swap, "SwapFree": swap_free}
    (tmp_path / "meminfo").write_text("".join(f"{name}: {value // 1024} kB\n" for name, value in lines.items()))
    return tmp_path


# --- memory and processes


@pytest.mark.parametrize(
    ("own", "files", "limit", "available"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/b/memory.current": "5"}, 64 * GB, 32 * GB),
        ("0::/a/b\n", {"a/b/memory.max": str(8 * GB), "a/b/memory.current": str(GB)}, 8 * GB, 7 * GB),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": str(4 * GB), "a/memory.current": "0"}, 4 * GB, 4 * GB),
        ("0::/not/here\n", {"memory.max": str(2 * GB), "memory.current": str(3 * GB)}, 2 * GB, 0),
        ("3:memory:/x\n0::/\n", {f"{V1}limit_in_bytes": str(GB), f"{V1}usage_in_bytes": "0"}, GB, GB),
        ("3:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, 64 * GB, 32 * GB),
        ("", {}, 64 * GB, 32 * GB),
    ],
)  # fmt: skip
def test_the_memory_of_a_container(tmp_path, own, files, limit, available):
    found = read_memory(meminfo(tmp_path, 64 * GB, 32 * GB, 4 * GB, GB), *groups(tmp_path, own, files))
    assert found == Memory(64 * GB, limit, available, 4 * GB, 3 * GB)


def test_the_memory_of_this_machine_is_what_the_kernel_says():
    found = read_memory()
    assert found.total == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < found.available <= found.limit <= found.total


def test_memory_that_workers_do_not_fit_into():
    small = Memory(64 * GB, 2 * GB, GB, 0, 0)
    (wanted, fits), room = (Load(8), Load(4)), Room(shared=GB, memory=GB)  # 200 MB each, and 18 batches of 19 MB
    assert fitting(wanted, room) == replace(fits, prefetch=2)
    check = memory_check(small, wanted, as_arguments(wanted, fits))
    assert check.status == "broken"
    assert "the limit of the container" in check.found
    assert check.fix == "Loader(…, num_workers=4)"
    assert memory_check(small, fits).status == "ok"
    assert memory_check(small, MEASURED).status == "broken"  # its batches are 1 GB
    assert memory_check(Memory(64 * GB, 64 * GB, 4 * GB, 0, 0), Load(2)).status == "warning"
    assert memory_check(Memory(0, 0, 0, 0, 0), Load(0)).status == "note"


def test_the_limit_of_processes(tmp_path):
    where = groups(tmp_path, "0::/a\n", {"a/pids.max": "100", "a/pids.current": "90"})
    assert read_processes(*where) == (100, 90)
    assert read_processes(*where, soft=5) == (5, 0)
    assert processes_check(100, 90, Load(4)).status == "broken"
    assert "docker run --pids-limit=4196" in processes_check(100, 90, Load(4)).fix
    assert processes_check(100, 10, Load(4)).status == "ok"
    assert processes_check(None, 0, Load(64)).found == "no limit"
    assert list(group_limits("pids", (("pids.max", "pids.current"),), tmp_path / "no", tmp_path / "no")) == []


# --- cores and threads


def test_cores():
    assert cores_check(8, 8, Load(8)).status == "ok"
    assert cores_check(2, 64, Load(2)).status == "note"
    check = cores_check(2, 64, Load(8))
    assert (check.status, check.fix) == ("warning", "Loader(…, num_workers=2)")
    assert "2 of 64" in check.found


@pytest.mark.parametrize(
    ("threads", "environment", "cores", "status"),
    [
        (2, {}, 2, "ok"),
        (32, {}, 2, "warning"),  # torch counts the machine's cores, not those of the quota
        (1, {"OMP_NUM_THREADS": "1"}, 2, "ok"),
        (4, {"OMP_NUM_THREADS": "4"}, 4, "note"),
        (4, {"OMP_NUM_THREADS": "four"}, 4, "warning"),
        (4, {"OMP_NUM_THREADS": "0"}, 4, "warning"),
        (None, {"OMP_NUM_THREADS": "8"}, 2, "warning"),
        (None, {}, 2, "note"),
    ],
)
def test_threads(threads, environment, cores, status):
    check = threads_check(threads, environment, cores, Load(4))
    assert check.status == status
    assert status != "warning" or check.fix == f"export OMP_NUM_THREADS={cores}"


# --- shared memory


def test_the_64_mb_of_docker_and_a_batch_of_large_images():
    share = Share("/dev/shm", 64 * MB, 64 * MB, True)
    check = share_check(share, MEASURED)
    assert check.status == "broken"
    needed = 10 * (BATCH + 2 * 4096)  # 4 workers x 2 ahead, one that the loop holds, one that it is given
    assert check.figures["needed"] == needed
    size = check.fix.splitlines()[0].removeprefix("docker run --shm-size=").removesuffix(" …")
    assert size == "2g"
    assert int(size[:-1]) * GB >= 1.25 * needed
    assert "mount -o remount,size=2g /dev/shm" in check.fix


@pytest.mark.parametrize(
    ("load", "room", "said"),
    [
        (MEASURED, Room(GB, 64 * GB), "num_workers=4, prefetch_factor=1"),
        (MEASURED, Room(GB, 64 * GB, cores=2), "num_workers=2"),
        (MEASURED, Room(GB // 2, 64 * GB), "num_workers=2, prefetch_factor=1"),
        (MEASURED, Room(GB, 3 * 200_000_000), "num_workers=1, prefetch_factor=1"),
        (MEASURED, Room(64 * MB, 64 * GB), "batch_size=5, num_workers=1, prefetch_factor=1"),
        (MEASURED, Room(MB, 64 * GB), "num_workers=0"),
        (MEASURED, Room(GB, 1000), "num_workers=0"),
        (MEASURED, Room(16 * GB, 64 * GB, files=100), "num_workers=2"),
        (MEASURED, Room(16 * GB, 64 * GB, files=100, strategy="file_system"), ""),
        (MEASURED, Room(16 * GB, 64 * GB), ""),
        (Load(0), Room(0, 0), ""),
    ],
)
def test_what_is_proposed_fits_and_the_next_larger_does_not(load, room, said):
    found = fitting(load, room)
    assert as_arguments(load, found) == (f"Loader(…, {said})" if said else "")
    assert room.holds(found)
    share, ram = Share("/dev/shm", room.shared, room.shared, True), Memory(room.memory, room.memory, room.memory, 0, 0)
    assert not room.shared or share_check(share, found).status == "ok"
    assert memory_check(ram, found).status != "broken"
    assert files_check(room.files, room.files, room.opened, found, room.strategy).status == "ok"
    larger = itertools.product(range(1, min(load.workers, room.cores) + 1), range(1, load.prefetch + 1))
    for workers, prefetch in larger:
        if (workers, prefetch) > (found.workers, found.prefetch):
            assert not room.holds(replace(load, workers=workers, prefetch=prefetch))


def test_no_more_shared_memory_is_proposed_than_half_of_the_memory():
    share = Share("/dev/shm", 64 * MB, 64 * MB, True)
    assert "shm-size=2g" in share_check(share, MEASURED, ram=4 * GB).fix
    check = share_check(share, MEASURED, ram=3 * GB, smaller="Loader(…, num_workers=0)")
    assert check.fix == "Loader(…, num_workers=0)"
    assert "3 GiB of that are too few" in check.why
    assert share_check(Share("/dev/shm", 0, 0, False), MEASURED, ram=3 * GB).fix == "Loader(…, num_workers=0)"


def test_shared_memory_that_is_there_or_not():
    large = Share("/dev/shm", 16 * GB, 16 * GB, True)
    assert share_check(large, MEASURED).status == "ok"
    assert share_check(Share("/dev/shm", 16 * GB, 1_200_000_000, True), MEASURED).status == "warning"  # just so
    docker = Share("/dev/shm", 64 * MB, 64 * MB, True)
    assert share_check(docker, Load(2)).status == "warning"  # 110 MiB that nobody measured
    assert share_check(docker, Load(8)).status == "broken"  # 330 MiB are by far too much
    assert share_check(Share("/dev/shm", 2 * MB, 2 * MB, True), Load(1)).status == "broken"  # not even one batch
    assert share_check(Share("/dev/shm", 64 * MB, 64 * MB, True), Load(0, batch_bytes=BATCH)).status == "ok"
    assert share_check(Share("/dev/shm", 0, 0, False), Load(2)).status == "broken"
    assert "not writable" in share_check(Share("/dev/shm", GB, GB, False), Load(2)).found


def test_shared_memory_is_read_from_the_file_system(tmp_path):
    found = read_share(tmp_path)
    truth = subprocess.run(["df", "-B1", "--output=size", tmp_path], capture_output=True, text=True, check=True)
    assert found.size == int(truth.stdout.split()[-1])
    assert found.is_writable
    assert read_share(tmp_path / "no").size == 0


class Images:
    """Samples of three tensors; worker 0 is slow once, so that the others get ahead of it."""

    def __len__(self):
        return 4000

    def __getitem__(self, index):
        if index == 8:
            time.sleep(0.4)
        return {"image": torch.zeros(3, 128, 128), "a": torch.zeros(3), "b": torch.zeros(1)}


def shared_by(*processes):
    """Bytes of the files of torch in /dev/shm that these processes hold open, each counted once."""
    found = {}
    for process in processes:
        for entry in os.listdir(f"/proc/{process}/fd"):
            with contextlib.suppress(OSError):  # closed meanwhile
                if os.readlink(f"/proc/{process}/fd/{entry}").startswith("/dev/shm/torch_"):
                    stat = os.stat(f"/proc/{process}/fd/{entry}")
                    found[stat.st_ino] = 512 * stat.st_blocks
    return sum(found.values())


@pytest.mark.parametrize(("workers", "prefetch"), [(1, 2), (2, 2), (3, 4)])
def test_a_real_loader_has_that_much_in_flight_and_no_more(workers, prefetch):
    size, peak, files = 8, 0, 0
    load = Load(workers, prefetch, size, batch_bytes=size * (3 * 128 * 128 + 3 + 1) * 4, batch_tensors=3)
    opened = len(os.listdir("/proc/self/fd"))
    loader = DataLoader(Images(), size, num_workers=workers, prefetch_factor=prefetch)
    iterator = iter(loader)
    for step, _ in zip(range(14), iterator, strict=False):
        time.sleep(0.25 if step in (3, 9) else 0.01)  # the workers get as far ahead as they may
        peak = max(peak, shared_by(os.getpid(), *(worker.pid for worker in iterator._workers)))
        files = max(files, len(os.listdir("/proc/self/fd")))
    needed = load.in_flight * (load.batch_bytes + 3 * 4096)
    del iterator
    assert (load.in_flight - 2) * load.batch_bytes < peak <= needed
    assert files <= files_needed(load, opened)
    assert files > opened + load.batch_tensors


def test_the_tensors_of_a_batch_are_counted_as_they_are_shared():
    base = torch.zeros(4, 100)
    found = _storages({"a": base, "view": base[1:], "b": [torch.zeros(3), ("text", torch.zeros(0))], "n": 3})
    assert sorted(found.values()) == [12, 1600]
    packed = torch.nn.utils.rnn.pack_sequence([torch.zeros(3), torch.zeros(2)])
    assert len(_storages(packed)) == 2
    assert sum(_storages(torch.eye(3).to_sparse()).values()) == 2 * 3 * 8 + 3 * 4


# --- open files


def test_a_limit_of_256_files_and_a_batch_of_many_tensors():
    load = Load(8, 2, batch_bytes=1000, batch_tensors=20)
    check = files_check(256, 4096, 10, load)
    assert check.status == "broken"
    assert check.fix.splitlines()[0] == "ulimit -n 4096"
    assert files_check(256, 2048, 10, load).fix.splitlines()[0] == "ulimit -n 2048"
    check = files_check(256, 256, 10, load, smaller="Loader(…, num_workers=1)")
    assert "ulimit -n " not in check.fix
    for part in ("sudo prlimit --nofile=4096:4096 --pid $$", "docker run --ulimit nofile=4096:4096", "limits.conf"):
        assert part in check.fix
    assert "\nLoader(…, num_workers=1)\n" in check.fix
    assert "256 is the hard limit" in check.why
    assert files_check(256, 4096, 10, load, "file_system").status == "ok"
    assert files_check(files_needed(load, 10) + 5, 4096, 10, load).status == "warning"
    assert files_check(1024, 4096, 10, load).status == "ok"
    assert files_check(-1, -1, 10, load).found.startswith("no limit")


LIMITED = """
import resource, sys, time, torch
from torch.utils.data import DataLoader

class Many:
    def __len__(self):
        return 200

    def __getitem__(self, index):
        time.sleep(0.3 * (index == 8))  # the other worker gets ahead, and its batches wait
        return {str(n): torch.zeros(1) for n in range(20)}

for limit in sys.argv[1:]:
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(limit), 4096))
    print(sum(1 for _ in DataLoader(Many(), 4, num_workers=2, prefetch_factor=8)), flush=True)
"""


@pytest.mark.slow
def test_the_files_that_are_needed_are_enough_and_a_quarter_of_them_is_not():
    needed = files_needed(Load(2, 8, 4, batch_tensors=20), 8)
    run = [sys.executable, "-c", LIMITED, str(needed), str(needed // 4)]
    ended = subprocess.run(run, capture_output=True, text=True)
    assert ended.stdout == "50\n"  # with what is needed, and not with less
    assert ended.returncode != 0
    assert "Too many open files" in ended.stderr


def test_strategies():
    assert [check.status for check in strategy_check("file_descriptor")] == ["ok"]
    assert [check.status for check in strategy_check("file_system")] == ["note"]
    assert list(strategy_check(None)) == []


# --- how workers start


def started(exitcode=0, semaphores=None):
    spawn = Outcome("returned", {"exitcode": exitcode, "seconds": 0.1})
    return {"semaphores": semaphores or Outcome("returned", True), "started spawn": spawn}


def test_start_methods(monkeypatch):
    assert [check.status for check in start_checks(started())] == ["ok"]
    (check,) = start_checks(started(), has_gpu=True)
    expected = "note" if "fork by default" in check.found else "ok"  # of Python 3.14 on it is forkserver
    assert check.status == expected
    assert [check.status for check in start_checks(started(exitcode=-9))] == ["broken"]
    no = Outcome("raised", error="raises ImportError: This platform lacks a functioning sem_open implementation")
    assert [check.status for check in start_checks(started(semaphores=no))] == ["broken", "ok"]
    hung = {**started(), "started spawn": Outcome("hung", error="hangs: nothing after 60 s")}
    (check,) = start_checks(hung)
    assert "spawn hangs" in check.found


def test_the_system(tmp_path, monkeypatch):
    (tmp_path / ".dockerenv").touch()
    (check,) = system_checks(tmp_path)
    assert "in a container (docker)" in check.found
    assert "glibc" in check.found
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert [check.name for check in system_checks(tmp_path / "no")] == ["system", "clock"]


def test_figures_as_commands_take_them():
    for count in (1, 64 * MB, 64 * MB + 1, 300 * MB, GB, GB + 1, 7 * GB):
        text = megabytes(count)
        size = int(text[:-1]) * {"m": MB, "g": GB}[text[-1]]
        assert count <= size <= max(64 * MB, 2 * count)
    assert [amount(n) for n in (0, 999, 1000, 999_960, 25_300_000_000)] == [
        "0 bytes",
        "999 bytes",
        "1 kB",
        "1 MB",
        "25.3 GB",
    ]
    assert [memory(n) for n in (0, 1023, 64 * MB, 3 * GB // 2)] == ["0 bytes", "1023 bytes", "64 MiB", "1.5 GiB"]
    assert [plural(1, "batch"), plural(2, "batch"), plural(3, "entry")] == ["1 batch", "2 batches", "3 entries"]
    assert resource.RLIM_INFINITY == -1  # which stands for no limit here
