import multiprocessing
import time
from statistics import median

import measuring
import pytest
import torch
from material import Numbers, Sleeps
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, IterableDataset
from torch.utils.data import Subset as TorchSubset

from datakit import Concat, Loader, Mapped, Subset, probe
from datakit.bench import Configuration, profile
from datakit.bench.clocks import Timed, instrumented, with_clocks
from datakit.bench.stages import _clocked
from datakit.errors import CorruptDataError
from datakit.transforms import Compose
from datakit.vision import ImageFolder


class Items:
    """As a dataset of torchvision: loads with a function of its own, then transforms."""

    def __init__(self, n=8, transform=None):
        self.n, self.transform, self.loader = n, transform, Sleeps(0.004)

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        value = self.loader(torch.full((3,), float(index)))
        return self.transform(value) if self.transform else value


class Stream(IterableDataset):
    def __init__(self, n=8):
        self.n, self.start, self.transform = n, 0, Sleeps(0.03)

    def __iter__(self):
        for number in range(self.n):
            time.sleep(0.004)
            yield self.transform(torch.full((3,), float(self.start + number)))


def milliseconds(found):
    return {stage.name: stage.seconds * 1000 for stage in found.stages}


SPAWNED = pytest.param(1, "spawn", marks=pytest.mark.slow)  # imports torch anew


@pytest.mark.parametrize(("workers", "method"), [(0, None), (1, None), (2, None), SPAWNED])
def test_known_stages_of_a_dataset_of_ours(workers, method):
    dataset = Numbers(12, transform=Compose([Sleeps(0.03), Sleeps(0.004)]))
    found = profile(dataset, Configuration(workers, 4, method), repeats=1)
    took = milliseconds(found)
    assert {"load (read and decode)", "Sleeps(0.03)", "Sleeps(0.004)", "collate", "other"} <= took.keys()
    assert ("transfer" in took) == (workers > 0)
    assert 4 <= took["Sleeps(0.004)"] < 30 <= took["Sleeps(0.03)"]
    assert max(took["load (read and decode)"], took["collate"], took["other"]) < 30
    assert (found.workers, found.batch_size, found.start_method, found.missing) == (workers, 4, method, None)
    assert found.waiting >= 0
    assert probe.recorder is None
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "make",
    [
        lambda: DataLoader(Items(transform=Sleeps(0.03)), 2),
        lambda: DataLoader(TorchSubset(Items(transform=Sleeps(0.03)), range(6)), 2),
        lambda: DataLoader(ConcatDataset([Items(transform=Sleeps(0.03))] * 2), 2),
        lambda: DataLoader(Items(transform=Sleeps(0.03)), None),
        lambda: DataLoader(Stream(), 2),
        lambda: Mapped(Items(transform=Sleeps(0.03))),
        lambda: Subset(Mapped(Items(transform=Sleeps(0.03))), [3, 1, 2, 0]),
        lambda: Concat([Mapped(Items(transform=Sleeps(0.03)))] * 2),
        lambda: Loader(Items(transform=Sleeps(0.03)), 2, on_error="skip", num_workers=1, persistent_workers=True),
    ],
    ids=["stock", "subset", "concat", "single", "stream", "mapped", "our subset", "our concat", "loader"],
)
def test_known_stages_of_anything(make, workers):
    source = make()
    took = milliseconds(profile(source, Configuration(workers, getattr(source, "batch_size", 2)), repeats=1))
    assert 4 <= took["load (read and decode)"] < 30 <= took["Sleeps(0.03)"]  # the one is inside the other's call


def test_torchvision_step_by_step():
    from torchvision.datasets import FakeData
    from torchvision.transforms import v2

    for module_name in ("torchvision.transforms.transforms", "torchvision.transforms.v2"):
        module = __import__(module_name, fromlist=["Compose"])
        steps = [v2.ToImage()] if module is v2 else []
        chain = module.Compose([*steps, module.RandomHorizontalFlip(), module.RandomCrop(16)])
        ending = module.Compose([chain, Timed(torch.Tensor.float, "as float")]) if module is v2 else None
        data = FakeData(8, (3, 20, 20), transform=ending or module.Compose([chain, module.ToTensor()]))
        before = repr(data)
        took = milliseconds(profile(DataLoader(data, 4), Configuration(0, 4), repeats=1))
        assert {"RandomHorizontalFlip(p=0.5)"} < took.keys()
        assert any(name.startswith("RandomCrop(size=(16, 16)") for name in took)
        assert repr(data) == before


def test_torchvisions_chain_inside_ours_is_opened(tmp_path):
    from torchvision.transforms import transforms as v1

    (tmp_path / "cats").mkdir()
    Image.new("RGB", (40, 30), "red").save(tmp_path / "cats" / "1.png")
    chain = v1.Compose([v1.CenterCrop(20), v1.ToTensor()])
    dataset = ImageFolder(tmp_path, Compose([chain]))
    took = milliseconds(profile(dataset, Configuration(0, 1), repeats=1))
    assert list(took)[:2] == ["read", "decode"]
    assert {"CenterCrop(size=(20, 20))", "ToTensor()", "Compose (around its steps)"} < took.keys()


def test_batches_are_what_they_are_without_clocks():
    dataset = Numbers(10, broken=[3])

    def make(workers):
        return Loader(dataset, 4, num_workers=workers, on_error="skip", max_bad=3, shuffle=True, verify=False)

    for workers in (0, 1):
        loader = with_clocks(make(workers))
        plain = [batch["draw"].tolist() for batch in make(0)]
        assert [batch["draw"].tolist() for batch in loader] == plain
        assert [failure.index for failure in loader.failures] == [3]
    with pytest.raises(CorruptDataError):
        list(with_clocks(Loader(Numbers(10, broken=[1, 2, 3]), 4, num_workers=1, on_error="skip", max_bad=2)))


def test_nothing_of_the_users_changes():
    data = Items(transform=Sleeps(0.0))
    loader = DataLoader(data, 2, num_workers=1, persistent_workers=True)
    own = data.transform, data.loader, loader.collate_fn, loader.worker_init_fn
    profile(loader, Configuration(1, 2), repeats=1)
    assert (data.transform, data.loader, loader.collate_fn, loader.worker_init_fn) == own
    assert loader.dataset is data
    assert isinstance(instrumented(data).transform, Timed)


def give_part(worker_id):
    torch.utils.data.get_worker_info().dataset.start = 100 * worker_id


def test_a_worker_may_still_set_up_its_part_of_a_stream():
    loader = with_clocks(DataLoader(Stream(4), 2, num_workers=2, worker_init_fn=give_part))
    assert sorted(value for batch in loader for value in batch[:, 0].tolist()) == [0, 1, 2, 3, 100, 101, 102, 103]


def test_batches_fetched_ahead_do_not_count():
    loader = DataLoader(Items(n=40, transform=Sleeps(0.03)), 2, num_workers=1, prefetch_factor=8)
    one, total = _clocked(loader, 3)
    assert one.samples == 6
    assert 6 * 0.03 <= total["Sleeps(0.03)"] < 12 * 0.03


def test_a_loader_of_its_own_kind_has_no_stages():
    class Own(DataLoader):
        pass

    found = profile(Own(Items(), 2), Configuration(0, 2), repeats=1)
    assert found.stages == ()
    assert "Own cannot be made anew" in found.missing


@pytest.mark.benchmark
@pytest.mark.timeout(900)  # many pairs: a median of few says little
@pytest.mark.parametrize(("workers", "rounds"), [(0, 200), (1, 150)])
def test_clocks_cost_no_more_than_3_per_cent(faces, workers, rounds, one_thread):
    assert median(measuring.clocks(measuring.chained(faces), workers, rounds)) <= 1.03
