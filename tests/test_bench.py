import io
import multiprocessing
import re
import time

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset

from datakit import Loader, Mapped, bench, collate
from datakit.bench import Measurement, default_workers, measure, remade, usable_cores
from datakit.errors import DatakitError, SampleError
from datakit.report.plot import draw_bench
from datakit.report.terminal import about_bench, bench_json, bench_lines
from datakit.targets import Target


class Slow:
    """Records that take their time."""

    def __init__(self, n=12, seconds=0.002, broken=None):
        self.n, self.seconds, self.broken = n, seconds, broken

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        if index == self.broken:
            raise ValueError("broken")
        time.sleep(self.seconds)
        return {"x": torch.zeros(3)}


class Stream(IterableDataset):
    def __iter__(self):
        yield from (torch.zeros(3) for _ in range(10))


class OwnLoader(DataLoader):
    def __init__(self, name):
        super().__init__(list(range(8)), batch_size=2)


def test_figures_of_a_known_loader():
    (measured,) = measure(Mapped(Slow(n=20, seconds=0.005)), workers=[0], batch_size=4, repeats=3)
    assert (measured.workers, measured.samples, measured.batches) == (0, 20, 5)
    assert measured.slowest <= measured.samples_per_second <= measured.fastest
    assert 20 < measured.fastest <= 200
    assert measured.first_batch >= 0.02


def test_the_figure_is_that_of_a_plain_loop():
    dataset = Mapped(Slow(n=40, seconds=0.005))
    (measured,) = measure(dataset, workers=[0], batch_size=8, repeats=3)
    start = time.perf_counter()
    for _ in Loader(dataset, 8, verify=False):
        pass
    assert measured.fastest == pytest.approx(40 / (time.perf_counter() - start), rel=0.5)


def test_workers_take_turns_and_the_first_round_does_not_count():
    seen, made = [], []

    def make(count):
        made.append(count)
        return Loader(Slow(n=4, seconds=0), 2)

    measured = measure(
        make, workers=[0, 1, 2], repeats=2, progress=lambda count, done, total: seen.append((count, done, total))
    )
    assert [count for count, _, _ in seen] == made == [2, 1, 0, 0, 1, 2, 2, 1, 0]
    assert [(done, total) for _, done, total in seen] == [(done, 9) for done in range(9)]
    assert [one.workers for one in measured] == [0, 1, 2]


def test_every_round_is_an_epoch_of_its_own_and_the_same_for_all():
    epochs = []

    class Watched(Loader):
        def __iter__(self):
            epochs.append((self.num_workers, self.epoch, self.verify))
            return super().__iter__()

    measure(lambda count: Watched(Slow(n=4, seconds=0), 2, num_workers=0), workers=[0, 1], repeats=2)
    assert epochs == [(0, epoch, False) for epoch in (0, 0, 1, 1, 2, 2)]


def test_a_slow_first_round_leaves_no_trace():
    class Cold(Slow):
        def __init__(self):
            super().__init__(n=4, seconds=0)
            self.warm = False

        def __getitem__(self, index):
            time.sleep(0 if self.warm else 0.05)
            return super().__getitem__(index)

    dataset = Cold()

    def make(count):
        loader = Loader(dataset, 4)
        dataset.warm = make.called
        make.called = True
        return loader

    make.called = False
    (measured,) = measure(make, workers=[0], repeats=2)
    assert measured.slowest > 25


def test_part_of_an_epoch_leaves_no_workers_behind():
    measured = measure(Mapped(Slow(n=64, seconds=0)), workers=[1, 0], batch_size=2, repeats=1, batches=3)
    assert [(one.samples, one.batches) for one in measured] == [(6, 3), (6, 3)]
    assert multiprocessing.active_children() == []


def test_start_methods():
    dataset = Mapped(Slow())
    measured = measure(dataset, workers=[0, 1], repeats=1, start_method="fork")
    assert [one.samples for one in measured] == [12, 12]
    for source in (dataset, Loader(dataset, 4), DataLoader(dataset, 4)):
        make = bench._maker(source, 4, 0, "spawn")
        assert make(2).multiprocessing_context.get_start_method() == "spawn"
        assert make(0).multiprocessing_context is None


def test_any_dataloader_can_be_measured():
    loader = DataLoader(list(range(10)), batch_size=4, shuffle=True, num_workers=1, persistent_workers=True)
    assert [(one.workers, one.samples, one.batches) for one in measure(loader, workers=[0, 1], repeats=1)] == [
        (0, 10, 3),
        (1, 10, 3),
    ]
    (stream,) = measure(DataLoader(Stream(), batch_size=4), workers=[0], repeats=1)
    assert (stream.samples, stream.batches) == (10, 3)
    (own,) = measure(OwnLoader("mine"), repeats=1)
    assert (own.workers, own.samples) == (0, 8)
    with pytest.raises(DatakitError, match="OwnLoader .* measure it with its own 0"):
        measure(OwnLoader("mine"), workers=[2], repeats=1)


def test_a_loader_is_made_anew_with_everything_but_its_workers():
    dataset = Mapped(Slow())
    options = {"seed": 3, "shuffle": True, "drop_last": True, "on_error": "skip", "max_bad": 5, "timeout": 17.0}
    loader = Loader(
        dataset, 5, num_workers=2, collate_fn=collate.pad, prefetch_factor=4, rank=1, world_size=2, **options
    )
    other = remade(loader, 1, "spawn")
    assert type(other) is Loader
    assert other.records is dataset
    assert (other.num_workers, other.prefetch_factor, other.multiprocessing_context.get_start_method()) == (
        1,
        4,
        "spawn",
    )
    assert other.state_dict() == loader.state_dict()
    assert (other.batch_size, other.drop_last, other.keys.rank, other.keys.world_size) == (5, True, 1, 2)
    assert (other.on_error, other.max_bad, other.patience) == ("skip", 5, 17.0)
    assert other.collate_fn.collate_fn is collate.pad
    assert remade(loader, 0).prefetch_factor is None


def test_a_plain_dataloader_is_made_anew():
    batches = [[0, 1], [2]]
    for loader in (
        DataLoader(list(range(3)), batch_sampler=batches),
        DataLoader(list(range(3)), batch_size=2, drop_last=True, sampler=[2, 1, 0]),
        DataLoader(list(range(3)), batch_size=None),
    ):
        other = remade(loader, 0)
        assert type(other) is DataLoader
        assert [batch.tolist() if torch.is_tensor(batch) else batch for batch in other] == [
            batch.tolist() if torch.is_tensor(batch) else batch for batch in loader
        ]
    assert bench._length([torch.zeros(4, 2), torch.zeros(4)]) == 4
    assert bench._length(([torch.zeros(3, 2, 2)] * 5, [{}] * 5)) == 5
    assert bench._length({"a": {"b": torch.zeros(6)}}) == 6


def test_bad_records_empty_loaders_and_bad_counts_are_errors():
    with pytest.raises(SampleError, match=r"Mapped\[3\]"):
        measure(Mapped(Slow(broken=3)), workers=[0])
    with pytest.raises(DatakitError, match="gave no batch"):
        measure(Mapped([]), workers=[0])
    with pytest.raises(ValueError, match="at least 1"):
        measure(Mapped(Slow()), repeats=0)


@pytest.mark.parametrize(
    ("cores", "expected"), [(1, [0, 1]), (2, [0, 1, 2]), (4, [0, 1, 2, 4]), (6, [0, 1, 2, 4, 6]), (8, [0, 1, 2, 4, 8])]
)
def test_default_workers(cores, expected):
    assert default_workers(cores) == expected


V1 = "cpu,cpuacct"


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000"}, 8),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3),
        ("0::/a/b\n", {"cpu.max": "150000 100000"}, 2),
        ("0::/not/here\n", {"cpu.max": "50000 100000"}, 1),
        ("4:cpu,cpuacct:/x\n0::/\n", {f"{V1}/x/cpu.cfs_quota_us": "400", f"{V1}/x/cpu.cfs_period_us": "100"}, 4),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ("", {}, 8),
    ],
)  # fmt: skip
def test_cores_follow_affinity_and_quota(tmp_path, monkeypatch, own, files, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)))
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(text + "\n")
    (tmp_path / "own").write_text(own)
    assert usable_cores(tmp_path / "groups", tmp_path / "own") == expected


MEASURED = [
    Measurement(0, 69, 3, 151.26, 140.1, 155.9, 0.2),
    Measurement(1, 69, 3, 162.0, 120.0, 163.0, 0.25),
    Measurement(2, 69, 3, 1283.4, 1270.0, 1310.0, 0.3),
]


def test_the_table_and_the_json():
    lines = bench_lines(MEASURED)
    assert re.split(r" {2,}", lines[1].strip()) == ["0", "151.3", "140.1 … 155.9", "0.20 s"]
    assert len({line.index(" s", 20) for line in lines[1:]}) == 1
    assert "1,283" in lines[3]
    target = Target("faces", Mapped(Slow()))
    assert "69 samples in 3 batches a pass, median of 3 passes" in about_bench(target, MEASURED, 3)[-1]
    document = bench_json(target, MEASURED, 3, None)
    assert document["measurements"][1]["samples_per_second"] == 162.0
    assert document["cores"] >= 1


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_plot(ending):
    contents = draw_bench(MEASURED, f"x.{ending}", title="faces", subtitle="one\n" + "two " * 60)
    assert contents.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending])
    if ending == "png":
        pixels = np.asarray(Image.open(io.BytesIO(contents)).convert("RGB"))
        assert pixels.shape == (720, 1152, 3)
        accent = (np.abs(pixels.astype(int) - (0x0B, 0x6E, 0x69)).sum(2) < 30).sum()
        assert accent > 500
        assert (pixels[:, -3:] == 255).all()  # nothing runs out of the picture
