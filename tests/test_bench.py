import multiprocessing
import time
from statistics import median

import measuring
import psutil
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset

from datakit import Loader, Mapped, collate
from datakit.bench import Configuration, default_workers, measure, remade
from datakit.bench.loaders import configurations, maker
from datakit.bench.timing import _length, timed
from datakit.bench.usage import MemoryWatch
from datakit.errors import DatakitError, SampleError, UnknownNameError


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
    (measured,) = measure(Mapped(Slow(n=20, seconds=0.005)), workers=[0], batch_sizes=[4], repeats=3)
    assert (measured.workers, measured.samples, measured.batches) == (0, 20, 5)
    assert measured.slowest <= measured.samples_per_second <= measured.fastest
    assert 20 < measured.fastest <= 200
    assert measured.first_batch >= 0.02


def test_the_figure_is_that_of_a_plain_loop():
    dataset = Mapped(Slow(n=40, seconds=0.005))
    (measured,) = measure(dataset, workers=[0], batch_sizes=[8], repeats=3)
    start = time.perf_counter()
    for _ in Loader(dataset, 8, verify=False):
        pass
    assert measured.fastest == pytest.approx(40 / (time.perf_counter() - start), rel=0.5)


def test_workers_take_turns_and_the_first_round_does_not_count():
    seen, made = [], []

    def make(wanted):
        made.append(wanted.workers)
        return Loader(Slow(n=4, seconds=0), 2)

    measured = measure(
        make, workers=[0, 1, 2], repeats=2, progress=lambda what, done, total: seen.append((what, done, total))
    )
    assert made == [2, 1, 0, 0, 1, 2, 2, 1, 0]
    assert [what for what, _, _ in seen][:3] == ["2 workers", "1 worker", "0 workers"]
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
    measured = measure(Mapped(Slow(n=64, seconds=0)), workers=[1, 0], batch_sizes=[2], repeats=1, batches=3)
    assert [(one.samples, one.batches) for one in measured] == [(6, 3), (6, 3)]
    assert multiprocessing.active_children() == []


def test_start_methods_take_effect():
    dataset = Mapped(Slow())
    measured = measure(dataset, workers=[0, 1], repeats=1, start_methods=["fork"])
    assert [(one.workers, one.start_method, one.samples) for one in measured] == [(0, None, 12), (1, "fork", 12)]
    for source in (dataset, Loader(dataset, 4), DataLoader(dataset, 4)):
        make = maker(source, 0)
        assert make(Configuration(2, 4, "spawn")).multiprocessing_context.get_start_method() == "spawn"
        assert make(Configuration(0, 4)).multiprocessing_context is None


def test_the_sweep_is_a_product_in_which_no_workers_come_once():
    wanted = configurations(Mapped(Slow()), [0, 2], [4, 8], ["fork", "spawn"])
    assert wanted == [
        Configuration(0, 4),
        Configuration(2, 4, "fork"),
        Configuration(2, 4, "spawn"),
        Configuration(0, 8),
        Configuration(2, 8, "fork"),
        Configuration(2, 8, "spawn"),
    ]
    measured = measure(Mapped(Slow()), workers=[0, 1], batch_sizes=[4, 6], repeats=1)
    assert [(one.workers, one.batch_size, one.batches) for one in measured] == [
        (0, 4, 3),
        (1, 4, 3),
        (0, 6, 2),
        (1, 6, 2),
    ]
    with pytest.raises(UnknownNameError, match="did you mean 'fork'"):
        configurations(Mapped(Slow()), [1], None, ["frok"])


def test_a_loader_keeps_its_batch_size():
    for loader in (Loader(Slow(), 4), DataLoader(Slow(), 4)):
        assert configurations(loader, [0], [4], None) == [Configuration(0, 4)]
        with pytest.raises(DatakitError, match=r"its own batch size, here 4; others, such as 8"):
            measure(loader, workers=[0], batch_sizes=[4, 8])


def test_waits_and_first_batch_are_told_apart():
    class First(Slow):
        def __getitem__(self, index):
            time.sleep(0.2 if index == 0 else 0.02)
            return {"x": index}

    (measured,) = measure(DataLoader(First(n=8), 2), workers=[0], repeats=2)
    assert 0.2 <= measured.first_batch < 0.3
    assert 0.04 <= measured.wait_p50 <= measured.wait_p95 < 0.15
    assert len(measured.rates) == 2
    assert (min(measured.rates), max(measured.rates)) == (measured.slowest, measured.fastest)


def test_a_step_is_slept_and_its_waiting_is_known():
    loader = DataLoader(Slow(n=6, seconds=0.03), 1)
    (measured,) = measure(loader, workers=[0], repeats=2, step=0.03)
    assert measured.fed.step == 0.03
    assert measured.fed.waiting == pytest.approx(0.5, abs=0.08)  # half of it in the dataset, half in the step
    assert 12 < measured.fed.samples_per_second < 1 / 0.06
    assert measured.samples_per_second > 1.5 * measured.fed.samples_per_second
    assert not measured.fed.is_enough
    (fast,) = measure(DataLoader(Slow(n=4, seconds=0), 1), workers=[0], repeats=2, step=0.3)
    assert fast.fed.is_enough
    with pytest.raises(ValueError, match="step above 0"):
        measure(loader, step=-1.0)


class Spins(Slow):
    def __getitem__(self, index):
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass
        return index


ANEW = [pytest.param(method, marks=pytest.mark.slow) for method in ("spawn", "forkserver")]  # import torch anew


@pytest.mark.parametrize("method", [None, *ANEW])
def test_cpu_of_workers_is_counted_until_they_end(method):
    loader = DataLoader(Spins(n=20), 2, num_workers=1, multiprocessing_context=method)
    before = time.perf_counter()
    one = timed(loader, None)
    assert one.cpu_share * (time.perf_counter() - before) >= 0.4 * 0.95  # 20 times 20 ms
    assert multiprocessing.active_children() == []


def test_memory_of_workers_is_counted_during_the_warm_up_only(monkeypatch):
    read = []

    class Watched(MemoryWatch):
        def __call__(self, iterator, batches):
            super().__call__(iterator, batches)
            read.append(batches)

    monkeypatch.setattr("datakit.bench.sweep.MemoryWatch", Watched)
    none, one = measure(Mapped(Hoards(n=8)), workers=[0, 1], batch_sizes=[1], repeats=2)
    assert read == [*range(1, 9), *range(1, 9)]
    assert one.private >= 60e6  # what a worker took for itself
    assert none.private >= psutil.Process().memory_full_info().uss * 0.5
    assert one.shared > 0


class Hoards(Slow):
    def __getitem__(self, index):
        self.hoard = b"x" * 60_000_000
        return {"x": index}


def test_readings_at_powers_of_two(monkeypatch):
    at = []
    monkeypatch.setattr("datakit.bench.usage._memory", lambda process: at.append(process) or (3, 2))
    watch = MemoryWatch()
    for batches in range(1, 20):
        watch(iter([]), batches)
    assert len(at) == 5
    assert (watch.private, watch.shared) == (3, 2)


def test_any_dataloader_can_be_measured():
    loader = DataLoader(list(range(10)), batch_size=4, shuffle=True, num_workers=1, persistent_workers=True)
    assert [(one.workers, one.samples, one.batches) for one in measure(loader, workers=[0, 1], repeats=1)] == [
        (0, 10, 3),
        (1, 10, 3),
    ]
    (stream,) = measure(DataLoader(Stream(), batch_size=4), workers=[0], repeats=1)
    assert (stream.samples, stream.batches) == (10, 3)
    (single,) = measure(DataLoader(Slow(n=7, seconds=0), None), workers=[0], repeats=1)
    assert (single.samples, single.batches) == (7, 7)
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
    assert _length([torch.zeros(4, 2), torch.zeros(4)]) == 4
    assert _length(([torch.zeros(3, 2, 2)] * 5, [{}] * 5)) == 5
    assert _length({"a": {"b": torch.zeros(6)}}) == 6


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


def test_a_loader_with_other_workers_goes_on_with_the_same_stream():
    loader = Loader(Slow(n=12, seconds=0), 2, seed=5, shuffle=True, collate_fn=list, num_workers=1, prefetch_factor=3)
    rest = iter(loader)
    next(rest)
    other = loader.with_workers(0, batch_size=4)
    assert other.state_dict() == loader.state_dict()
    assert (other.num_workers, other.batch_size, other.prefetch_factor) == (0, 4, None)
    assert [s["index"] for batch in other for s in batch] == [s["index"] for batch in rest for s in batch]
    again = other.with_workers(2, start_method="spawn")
    assert (again.prefetch_factor, again.multiprocessing_context.get_start_method()) == (3, "spawn")
    assert loader.multiprocessing_context is None


def test_a_subclass_is_made_anew_where_its_constructor_is_the_loaders():
    class Same(Loader):
        pass

    class Other(Loader):
        def __init__(self, n):
            super().__init__(Slow(n=n), 2)

    assert type(Same(Slow(), 2).with_workers(1)) is Same
    with pytest.raises(DatakitError, match="Other has a constructor of its own"):
        Other(3).with_workers(1)


@pytest.mark.benchmark
@pytest.mark.timeout(900)  # many pairs: a median of few says little
@pytest.mark.parametrize(("workers", "rounds"), [(0, 150), (1, 100)])
def test_the_figure_agrees_with_a_plain_loop_within_5_per_cent(faces, workers, rounds, one_thread):
    assert median(measuring.agreement(measuring.chained(faces), workers, rounds)) == pytest.approx(1, rel=0.05)
