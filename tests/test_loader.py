"""The stream: the same samples whatever the workers, ranks and batch sizes; nothing lost, also after a stop."""

import functools
import gc
import itertools
import multiprocessing
import time

import numpy as np
import pytest
import torch
from material import (
    ORDERS,
    Dies,
    Hangs,
    Leaves,
    Numbers,
    Stops,
    digests,
    draw,
    ordered,
    ours,
    plain,
    torchvision_v2,
)
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from datakit import Concat, Loader, Mapped, Subset
from datakit.errors import (
    CollateError,
    CorruptDataError,
    ReproducibilityError,
    SampleError,
    StateError,
    UnknownNameError,
    WorkerError,
)
from datakit.vision import FaceLandmarks, ImageFiles

SEED, EPOCHS = 5, 2
multiprocessing.set_forkserver_preload(["torchvision.transforms.v2", "datakit.loader", "datakit.vision"])


@pytest.fixture(scope="module")
def pictures():
    faces = FaceLandmarks.synthetic(n=9)
    return Concat([faces.with_transform(chain()) for chain in (ours, plain, torchvision_v2)])


def stream(dataset, epochs=EPOCHS, ranks=1, **options):
    """The digests of `epochs` epochs, in the order in which the ranks together consume them."""
    options = {"batch_size": 4, "shuffle": True, "seed": SEED, **options}
    loaders = [Loader(dataset, collate_fn=digests, rank=r, world_size=ranks, **options) for r in range(ranks)]
    epochs_seen = []
    for _ in range(epochs):
        parts = [[sample for batch in loader for sample in batch] for loader in loaders]
        epochs_seen.append([s for group in itertools.zip_longest(*parts) for s in group if s is not None])
    return epochs_seen


@pytest.fixture(scope="module")
def truth(pictures):
    return stream(pictures)


def test_epochs_and_seeds_differ(pictures, truth):
    assert len(truth[0]) == len(pictures)
    assert len({digest for _, digest in truth[0] + truth[1]}) == 2 * len(pictures)
    other = stream(pictures, epochs=1, seed=SEED + 1)[0]
    assert not {digest for _, digest in other} & {digest for _, digest in truth[0]}


MANY = Numbers(23)  # cheap to read: what an order decides has nothing to do with what the records are


@functools.cache
def truth_of(order, block):
    """The stream of `MANY` in an order: that of groups and lengths depends on the records of a global batch."""
    return stream(MANY, batch_size=block, **ordered(order, len(MANY)))


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("order", ORDERS[1:])
def test_in_an_order_of_groups_and_lengths_ranks_change_nothing(ranks, batch_size, order):
    expected = truth_of(order, ranks * batch_size)
    assert stream(MANY, ranks=ranks, batch_size=batch_size, **ordered(order, len(MANY))) == expected
    assert [sorted(epoch) for epoch in expected] == [sorted(epoch) for epoch in truth_of("plain", 4)]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("order", ORDERS[1:])
def test_in_an_order_of_groups_and_lengths_workers_change_nothing(workers, order):
    assert stream(MANY, num_workers=workers, **ordered(order, len(MANY))) == truth_of(order, 4)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("batch_size", [1, 5, 32])
def test_batch_size_and_ranks_change_nothing(pictures, truth, ranks, batch_size):
    assert stream(pictures, ranks=ranks, batch_size=batch_size) == truth


def starts():
    """Every start method, with 1 to 3 workers; those that import torch anew in each worker in a choice of the cases."""
    for method, workers, persistent in itertools.product(("fork", "spawn", "forkserver"), (1, 2, 3), (False, True)):
        is_chosen = method == "fork" or (method, workers, persistent) in (("spawn", 1, True), ("forkserver", 2, True))
        yield pytest.param(method, workers, persistent, marks=() if is_chosen else pytest.mark.slow)


@pytest.mark.parametrize(("method", "workers", "persistent"), list(starts()))
def test_workers_and_how_they_start_change_nothing(pictures, truth, method, workers, persistent):
    epochs = EPOCHS if persistent or method == "fork" else 1  # a fresh start imports torch anew: slow
    seen = stream(
        pictures, epochs=epochs, num_workers=workers, multiprocessing_context=method, persistent_workers=persistent
    )
    assert seen == truth[:epochs]


def test_workers_and_ranks_together_change_nothing(pictures, truth):
    assert stream(pictures, ranks=3, num_workers=2, batch_size=2) == truth


def test_a_foreign_dataset_that_augments_by_itself_is_one_stream_too():
    foreign = [{"index": i} for i in range(20)]
    noisy = Mapped(foreign, lambda item: {**item, "x": torch.rand(2), "y": np.random.rand()})
    assert stream(noisy) == stream(noisy, num_workers=2) == stream(noisy, ranks=2, batch_size=1)


def test_a_collate_function_that_mixes_is_one_stream_too():
    def mix(samples):
        return torch.stack([torch.tensor(s["number"]) for s in samples])[torch.randperm(len(samples))].tolist()

    runs = [list(Loader(Numbers(40), 8, collate_fn=mix, num_workers=workers)) for workers in (0, 2, 3)]
    assert runs[0] == runs[1] == runs[2]
    assert runs[0] != [list(range(i, i + 8)) for i in range(0, 40, 8)]


def test_it_is_a_dataloader_over_the_dataset_it_was_given():
    dataset = Numbers(10)
    loader = Loader(dataset, 4)
    assert isinstance(loader, DataLoader)
    assert loader.dataset is dataset
    assert (loader.batch_size, len(loader), len(iter(loader))) == (4, 3, 3)
    before = torch.get_rng_state()
    assert [batch["number"].tolist() for batch in loader] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert torch.equal(torch.get_rng_state(), before)
    pairs = Loader(TensorDataset(torch.arange(6), torch.arange(6) * 2), 3)
    assert [[part.tolist() for part in batch] for batch in pairs] == [[[0, 1, 2], [0, 2, 4]], [[3, 4, 5], [6, 8, 10]]]


def test_a_stock_dataloader_over_our_keys_gives_the_same_samples():
    dataset, loader = Numbers(10), Loader(Numbers(10), 3, shuffle=True, seed=1)
    stock = DataLoader(dataset, 3, sampler=loader.keys)
    assert [b["draw"].tolist() for b in stock] == [b["draw"].tolist() for b in loader]


@pytest.mark.parametrize("n", [1, 3, 10, 101, 503])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("order", ORDERS)
def test_each_sample_once(n, ranks, order):
    options = {"world_size": ranks, "verify": False, **ordered(order, n)}
    loaders = [Loader(Numbers(n), 4, shuffle=order != "plain", rank=rank, **options) for rank in range(ranks)]
    seen = [number for loader in loaders for batch in loader for number in batch["number"].tolist()]
    assert sorted(seen) == list(range(n))


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("order", ORDERS)
def test_drop_last_leaves_every_rank_the_same_full_batches(ranks, order):
    options = {"drop_last": True, "world_size": ranks, **ordered(order, 23)}
    loaders = [Loader(Numbers(23), 3, rank=r, **options) for r in range(ranks)]
    sizes = [[len(batch["number"]) for batch in loader] for loader in loaders]
    assert sizes == [[3] * (23 // (3 * ranks))] * ranks
    assert {len(loader) for loader in loaders} == {23 // (3 * ranks)}


def numbers_of(samples):
    return [sample["number"] for sample in samples]


def test_a_dataset_may_say_how_its_batches_are_made():
    class Own(Numbers):
        collate_fn = staticmethod(numbers_of)

    own, plain = Own(4), Numbers(4)
    for dataset in (own, own.with_transform(None), Subset(own, range(4)), Concat([own])):
        assert list(Loader(dataset, 2)) == [[0, 1], [2, 3]]
    for dataset in (plain, Concat([own, plain])):
        assert next(iter(Loader(dataset, 2)))["number"].tolist() == [0, 1]
    assert next(iter(Loader(own, 2, collate_fn=len))) == 2


# --- stop and go on ---------------------------------------------------------------------------------------------------


def tail(dataset, state, ranks, **options):
    """The rest of the state's epoch and the next one, under other circumstances."""
    loaders = [Loader(dataset, collate_fn=digests, rank=r, world_size=ranks, **options) for r in range(ranks)]
    seen = []
    for loader in loaders:
        loader.load_state_dict(state)
    for _ in range(EPOCHS - state["epoch"]):
        parts = [[sample for batch in loader for sample in batch] for loader in loaders]
        seen += [s for group in itertools.zip_longest(*parts) for s in group if s is not None]
    return seen


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("order", ["pictures", *ORDERS[1:]])
def test_after_any_step_the_rest_is_the_same_under_other_circumstances(pictures, truth, workers, order):
    """A begun epoch keeps its order; a further one is in that of the other circumstances."""
    data, options = (pictures, {}) if order == "pictures" else (MANY, ordered(order, len(MANY)))
    whole = truth if order == "pictures" else truth_of(order, 4)
    loader = Loader(data, 4, shuffle=True, seed=SEED, num_workers=workers, collate_fn=digests, **options)
    others = itertools.cycle(
        [
            {"ranks": 1, "batch_size": 4, "num_workers": 0},
            {"ranks": 3, "batch_size": 2, "num_workers": 0},
            {"ranks": 2, "batch_size": 5, "num_workers": 1},
            {"ranks": 1, "batch_size": 7, "num_workers": 3},
        ]
    )
    received = []
    for _ in range(EPOCHS):
        for batch in loader:
            received += batch
            state, other = loader.state_dict(), next(others)
            epoch, samples = state["epoch"], state["samples"]
            there = truth if order == "pictures" else truth_of(order, other["ranks"] * other["batch_size"])
            epochs = [*whole[: epoch + (samples > 0)], *there[epoch + (samples > 0) :]]
            received_and_rest = received + tail(data, state, shuffle=True, seed=99, **other, **options)
            assert received_and_rest == [sample for one in epochs for sample in one]


def test_the_state_counts_what_was_received_on_all_ranks_not_what_was_fetched():
    loader = Loader(Numbers(100), 5, num_workers=2, prefetch_factor=4, rank=1, world_size=2)
    batches = iter(loader)
    next(batches)
    next(batches)
    time.sleep(0.5)
    assert (loader.state_dict()["epoch"], loader.state_dict()["samples"]) == (0, 20)


def test_a_pass_that_was_left_is_over_and_the_next_one_is_the_next_epoch():
    loader = Loader(Numbers(10), 2, shuffle=True)
    epochs = [[n for b in Loader(Numbers(10), 2, shuffle=True) for n in b["number"].tolist()]]
    next(iter(loader))
    assert loader.state_dict()["samples"] == 2
    left = [n for b in loader for n in b["number"].tolist()]
    assert left != epochs[0]
    assert (loader.epoch, loader.state_dict()["samples"]) == (2, 0)


def test_a_pass_that_nobody_holds_lets_its_workers_go_at_once():
    loader = Loader(Numbers(100), 2, num_workers=2)
    batches = iter(loader)
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    gc.disable()
    try:
        del batches
        assert not multiprocessing.active_children()
    finally:
        gc.enable()


def test_an_old_pass_does_not_disturb_the_state_of_a_new_one():
    loader = Loader(Numbers(10), 2)
    old, new = iter(loader), iter(loader)
    next(new)
    for _ in range(3):
        next(old)
    assert (loader.state_dict()["epoch"], loader.state_dict()["samples"]) == (1, 2)


def test_drop_last_and_the_end_of_an_epoch():
    loader = Loader(Numbers(10), 4, drop_last=True)
    assert [loader.state_dict()["samples"] for _ in loader] == [4, 0]
    assert loader.epoch == 1


def test_the_state_is_small_and_plain(tmp_path):
    loader = Loader(Numbers(1000), 2, shuffle=True, num_workers=1)
    next(iter(loader))
    torch.save({"data": loader.state_dict()}, tmp_path / "last.pt")
    assert (tmp_path / "last.pt").stat().st_size < 3000
    other = Loader(Numbers(1000), 2, shuffle=True)
    other.load_state_dict(torch.load(tmp_path / "last.pt")["data"])
    assert len([None for _ in other]) == 499


@pytest.mark.parametrize(("other", "field"), [
    (lambda: Loader(Numbers(11)), "length is 10"),
    (lambda: Loader(Mapped([1] * 10)), "fingerprint"),
    (lambda: Loader(Numbers(10), shuffle=True), "shuffle"),
])  # fmt: skip
def test_a_state_of_another_stream_is_refused_by_name(other, field):
    with pytest.raises(StateError, match=field):
        other().load_state_dict(Loader(Numbers(10)).state_dict())


@pytest.mark.parametrize("change", [{"samples": 11}, {"samples": -1}, {"epoch": "1"}, {"version": 99}, {"seed": None}])
def test_a_damaged_state_is_refused(change):
    state = Loader(Numbers(10)).state_dict()
    with pytest.raises(StateError, match=next(iter(change))):
        Loader(Numbers(10)).load_state_dict({**state, **change})
    with pytest.raises(StateError, match="a dict, got NoneType"):
        Loader(Numbers(10)).load_state_dict(None)
    with pytest.raises(StateError, match="no block, epoch, fingerprint"):
        Loader(Numbers(10)).load_state_dict({"model": 3})


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ten_thousand(tmp_path_factory):
    """10,000 small images, 50 of them broken in different ways."""
    root = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(0)
    broken = sorted(rng.choice(10_000, 50, replace=False).tolist())
    for i in range(10_000):
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).save(root / f"{i:05d}.png", compress_level=0)
    for kind, i in enumerate(broken):
        path = root / f"{i:05d}.png"
        data = path.read_bytes()
        path.write_bytes(
            [b"", data[: len(data) // 2], b"<html>not here</html>", data[:60] + b"\0" + data[61:]][kind % 4]
        )
    return ImageFiles(root, transform=draw), broken


@pytest.mark.parametrize("workers", [0, 2])
def test_skipping_50_of_10000(ten_thousand, workers):
    dataset, broken = ten_thousand
    loader = Loader(dataset, 64, shuffle=True, seed=3, on_error="skip", num_workers=workers)
    delivered = {}
    for batch in loader:
        delivered.update(zip(batch["index"].tolist(), batch["draw"].tolist(), strict=True))
    assert sorted(failure.index for failure in loader.failures) == broken
    for failure in loader.failures:
        assert (failure.dataset, failure.stage) == ("ImageFiles", "loading")
        assert f"{failure.index:05d}.png" in failure.path
        assert failure.cause
        assert str(failure).count(".png") == 1
    assert sorted([*delivered, *broken]) == list(range(10_000))
    keys = {key.index: key for key in loader.keys}
    assert all(delivered[i] == keys[i].generator().integers(2**62) for i in delivered)


def test_raise_names_the_record(ten_thousand):
    dataset, broken = ten_thousand
    with pytest.raises(SampleError, match=rf"ImageFiles\[{broken[0]}\].*{broken[0]:05d}.png") as caught:
        for _ in Loader(dataset, 64, num_workers=2):
            pass
    assert caught.value.index == broken[0]


def test_replace_fills_the_batch_with_the_same_record_everywhere():
    runs = []
    for workers, size in ((0, 10), (2, 10), (0, 4)):
        loader = Loader(Numbers(200, broken={3, 77}), size, shuffle=True, on_error="replace", num_workers=workers)
        runs.append([n for batch in loader for n in batch["number"].tolist()])
        assert sorted(failure.index for failure in loader.failures) == [3, 77]
    assert len(runs[0]) == 200
    assert not {3, 77} & set(runs[0])
    assert runs[0] == runs[1] == runs[2]


def test_too_many_bad_records_raise_all_the_same():
    with pytest.raises(
        CorruptDataError,
        match=r"3 of 200 records .* more than the 2 that max_bad=0.01 .*\n.*Numbers\[1\] 1.bin: ValueError",
    ):
        list(Loader(Numbers(200, broken={1, 2, 3, 4}), 1, on_error="skip"))
    assert len(list(Loader(Numbers(200, broken={1, 2, 3, 4}), 1, on_error="skip", max_bad=4))) == 196


def test_a_whole_batch_of_bad_records_is_no_short_epoch():
    loader = Loader(Numbers(12, broken={4, 5, 6, 7}), 4, on_error="skip", max_bad=4)
    assert [(batch["number"][0].item(), loader.state_dict()["samples"]) for batch in loader] == [(0, 4), (8, 0)]


@pytest.mark.parametrize("workers", [0, 2])
def test_stop_iteration_is_an_error_like_any_other(workers):
    with pytest.raises(SampleError, match=r"Stops\[5\] 5.bin: StopIteration"):
        list(Loader(Stops(64, broken={5}), 4, num_workers=workers))
    loader = Loader(Stops(64, broken={5}), 4, num_workers=workers, on_error="skip")
    assert sum(len(batch["number"]) for batch in loader) == 63


@pytest.mark.parametrize(("kind", "said"), [
    (Dies, "exited unexpectedly|killed by signal"),
    (Leaves, "exited unexpectedly"),
    (Hangs, "sent nothing for 2 seconds"),
])  # fmt: skip
def test_a_lost_worker_is_reported_with_the_records_that_were_due(kind, said):
    start = time.perf_counter()
    batches = iter(Loader(kind(64, broken={5}), 4, num_workers=2, timeout=2, verify=False))
    with pytest.raises(WorkerError, match=f"(?s)({said}).*records (0, 1, 2, 3, )?4, 5, 6, 7, .* of {kind.__name__}"):
        list(batches)
    assert time.perf_counter() - start < 5
    assert not multiprocessing.active_children()
    with pytest.raises(WorkerError, match="this pass ended with an error"):
        next(batches)


def test_a_loader_can_be_used_again_after_an_error():
    loader = Loader(Stops(8, broken={5}), 2, num_workers=2, persistent_workers=True)
    for _ in range(2):
        with pytest.raises(SampleError):
            list(loader)
        assert not multiprocessing.active_children()


def test_a_batch_that_cannot_be_stacked_names_the_key_from_a_worker_too():
    ragged = Mapped([{"x": torch.zeros(1 + (i == 5)), "index": i} for i in range(8)])
    with pytest.raises(CollateError, match="key 'x'.*index 4 has .*index 5 has") as caught:
        list(Loader(ragged, 4, num_workers=1))
    assert "in stack" in "".join(caught.value.__notes__)


def test_an_error_in_a_collate_function_crosses_whole():
    with pytest.raises(CollateError, match="KeyError in the collate function: 'y'") as caught:
        list(Loader(Numbers(4), 2, collate_fn=lambda samples: samples[0]["y"], num_workers=1))
    assert "test_loader.py" in "".join(caught.value.__notes__)


class Counter:
    def __init__(self):
        self.calls = 0

    def __call__(self, sample):
        self.calls += 1
        return {**sample, "calls": self.calls}

    def __repr__(self):
        return "Counter()"


def test_a_transform_that_is_no_function_of_the_key_is_found_before_the_first_batch():
    with pytest.raises(ReproducibilityError, match=r"Counter\(\): two runs under the same key, Key\(seed=0"):
        list(Loader(Numbers(4, transform=Counter())))
    assert len(list(Loader(Numbers(4, transform=Counter()), verify=False))) == 4


class SometimesNoisy:
    """Acts on a third of the samples, by a generator of its own."""

    def __init__(self):
        self.rng = np.random.default_rng(1)

    def __call__(self, sample):
        return {**sample, "noise": self.rng.random() < 0.33}


def test_one_that_acts_by_chance_is_found_too():
    with pytest.raises(ReproducibilityError, match="test_loader.SometimesNoisy: two runs"):
        list(Loader(Numbers(40, transform=SometimesNoisy())))


def test_what_cannot_be_sent_to_a_spawned_worker_is_named():
    dataset = Mapped([1, 2], lambda item: {"x": item})
    with pytest.raises(WorkerError, match=r"Mapped.fn cannot be pickled"):
        list(Loader(dataset, num_workers=1, multiprocessing_context="spawn"))


@pytest.mark.parametrize(("options", "error"), [
    ({"sampler": [0]}, TypeError),
    ({"on_error": "skipp"}, UnknownNameError),
    ({"num_workers": 1, "timeout": 0}, ValueError),
    ({"rank": 2, "world_size": 2}, ValueError),
    ({"batch_size": 0}, ValueError),
    ({"seed": "a"}, ValueError),
    ({"max_bad": -1}, ValueError),
])  # fmt: skip
def test_impossible_options_are_refused(options, error):
    with pytest.raises(error):
        Loader(Numbers(3), **options)


def test_an_empty_dataset_is_an_empty_epoch():
    loader = Loader(Numbers(0), 4)
    assert list(loader) == []
    assert loader.epoch == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="pinning memory needs a CUDA device")
def test_pinning_passes_the_packet_through():
    assert [b["number"].is_pinned() for b in Loader(Numbers(4), 2, pin_memory=True)] == [True, True]
