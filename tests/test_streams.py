"""Streams keep what an iterable can keep: the same samples at any workers, batch sizes, ranks and stops; each once."""

import functools
import itertools
import multiprocessing
import os
import random

import datasets
import numpy as np
import pytest
import torch
from material import digests, draw, plain
from torch.utils.data import DataLoader

import datakit
from datakit import Key, Loader, Mapped, Stream
from datakit.chain import same
from datakit.errors import (
    CorruptDataError,
    DatakitError,
    ReproducibilityError,
    SampleError,
    StateError,
    UnknownNameError,
    WorkerError,
)
from datakit.transforms import Compose, Rescale
from datakit.vision import FaceLandmarks

multiprocessing.set_forkserver_preload(["datakit.loader", "datakit.hugging_face.reading", "torchvision.transforms.v2"])
N, SEED = 23, 4


class Counted:
    """0 … n - 1, drawing from the global generators; `fails` ends it with an error."""

    def __init__(self, n=N, fails=None):
        self.n, self.fails, self.epoch = n, fails, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __iter__(self):
        for number in range(self.n):
            if number == self.fails:
                raise OSError("the connection was lost")
            yield number, random.random(), np.random.rand(), self.epoch


def sample_of(raw):
    return dict(zip(("number", "python", "numpy", "of"), raw, strict=True))


def counted(n=N, transform=draw, **options):
    return Stream(Counted(n, **options), sample_of, transform)


def broken(raw):
    if raw in (3, 17):
        raise ValueError("the checksum is wrong")
    return {"number": raw}


def doubled(row):
    return {"n": 2 * row["n"]}


def noisy(row):
    return {"noise": random.random(), "n": row["n"]}


def delivered(stream, ranks=1, epochs=2, **options):
    """Each sample of the epochs in the order in which the ranks together receive them."""
    options = {"batch_size": 4, "seed": SEED, **options}
    loaders = [Loader(stream, collate_fn=list, rank=rank, world_size=ranks, **options) for rank in range(ranks)]
    seen = []
    for _ in range(epochs):
        parts = [[sample for batch in loader for sample in batch] for loader in loaders]
        seen.append([sample for group in itertools.zip_longest(*parts) for sample in group if sample is not None])
        assert {loader.epoch for loader in loaders} == {len(seen)}
    return seen


@functools.cache
def truth():
    return delivered(counted())


def test_each_record_once_and_epochs_differ():
    for epoch, samples in enumerate(truth()):
        assert [sample["number"] for sample in samples] == list(range(N))
        assert [sample["index"] for sample in samples] == list(range(N))
        assert {sample["of"] for sample in samples} == {epoch}
    draws = [sample["draw"] for samples in truth() for sample in samples]
    assert len(set(draws)) == 2 * N
    assert not {s["draw"] for s in delivered(counted(), seed=9)[0]} & set(draws)


@pytest.mark.parametrize(
    ("ranks", "workers", "batch_size"),
    [
        *itertools.product((1, 2, 3, 8), (0,), (1, 4, 5, N, 30)),
        *itertools.product((1,), (1, 2), (1, 4, 5, 30)),
        (2, 2, 4),
        (3, 1, 2),
    ],
)
def test_the_stream_is_the_same_everywhere(ranks, workers, batch_size):
    assert same(delivered(counted(), ranks, num_workers=workers, batch_size=batch_size), truth())


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_at_other_start_methods(method):
    found = delivered(counted(), epochs=1, num_workers=1, multiprocessing_context=method)
    assert same(found[0], truth()[0])


def test_workers_that_stay_go_on_with_the_next_epoch():
    assert same(delivered(counted(), num_workers=2, persistent_workers=True), truth())


@pytest.mark.parametrize("n", [0, 1, 8, 9])
@pytest.mark.parametrize(("ranks", "batch_size"), [(1, 4), (2, 4), (3, 2), (8, 1)])
def test_ends_as_an_index_of_that_length_does(n, ranks, batch_size):
    """The same batches, also by size, as a dataset with n records gives; with drop_last too."""
    for drop_last in (False, True):
        for rank in range(ranks):
            options = {"batch_size": batch_size, "drop_last": drop_last, "rank": rank, "world_size": ranks}
            ours = [batch["number"].tolist() for batch in Loader(counted(n, None), **options)]
            assert ours == [batch["x"].tolist() for batch in Loader(Mapped([{"x": k} for k in range(n)]), **options)]


@pytest.mark.parametrize(("n", "size", "ranks"), [(8, 4, 1), (8, 2, 2), (7, 4, 1)])
def test_the_last_batch_is_known_to_be_the_last(n, size, ranks):
    for rank in range(ranks):
        loader, seen = Loader(counted(n), size, rank=rank, world_size=ranks), []
        for _ in loader:
            state = loader.state_dict()
            seen.append((loader.epoch, state["epoch"], state["samples"]))
        assert seen == [(0, 0, 4), (1, 1, 0)]


def test_going_back_begins_anew():
    """One process reads by one iterator: another pass over the same stream, or an earlier place, begins it again."""
    stream = counted()
    loader = Loader(stream, 4, seed=SEED, collate_fn=list)
    passing = iter(loader)
    next(passing)
    state = loader.state_dict()
    next(passing)
    other = Loader(stream, 4, seed=SEED, collate_fn=list)
    other.load_state_dict(state)
    found = [sample for pair in itertools.zip_longest(passing, other) for batch in pair for sample in batch or ()]
    assert same(
        sorted(found, key=lambda sample: sample["number"]),
        sorted(truth()[0][8:] + truth()[0][4:], key=lambda sample: sample["number"]),
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_resume_is_exact_at_every_step(workers):
    whole = truth()[0]
    loader = Loader(counted(), 4, seed=SEED, collate_fn=list, num_workers=workers)
    states = [loader.state_dict()] + [loader.state_dict() for _ in loader]
    for step, state in enumerate(states):
        done = min(4 * step, N)
        assert (state["epoch"], state["samples"]) == ((0, done) if done < N else (1, 0))
        for ranks, batch_size in ((1, 3), (2, 5), (3, 1)):
            parts = []
            for rank in range(ranks):
                other = Loader(counted(), batch_size, collate_fn=list, rank=rank, world_size=ranks, verify=False)
                other.load_state_dict(state)
                parts.append([sample for batch in other for sample in batch])
            rest = [sample for group in itertools.zip_longest(*parts) for sample in group if sample is not None]
            assert same(rest, whole[done:] if done < N else truth()[1])


def test_resume_under_workers():
    loader = Loader(counted(), 4, seed=SEED, collate_fn=list)
    next(iter(loader))
    other = Loader(counted(), 3, collate_fn=list, num_workers=2)
    other.load_state_dict(loader.state_dict())
    assert same([sample for batch in other for sample in batch], truth()[0][4:])
    assert same([sample for batch in other for sample in batch], truth()[1])


def test_a_state_of_a_longer_stream_is_found_out():
    loader = Loader(counted(), 4)
    passing = iter(loader)
    for _ in range(3):
        next(passing)
    other = Loader(counted(10), 4)
    other.load_state_dict(loader.state_dict())
    with pytest.raises(StateError, match="ended after 10 records of epoch 0, where the state that was loaded is at 12"):
        list(other)
    with pytest.raises(StateError, match="its length is None"):
        Loader(Mapped(range(5))).load_state_dict(loader.state_dict())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_record_is_named_or_skipped(workers):
    stream = Stream(range(N), broken)
    with pytest.raises(SampleError, match=r"Stream\[3\]: ValueError: the checksum is wrong \(loading\)"):
        list(Loader(stream, 4, num_workers=workers))
    for batch_size in (1, 4, 7):
        loader = Loader(stream, batch_size, num_workers=workers, on_error="skip")
        assert [n for batch in loader for n in batch["number"].tolist()] == [n for n in range(N) if n not in (3, 17)]
        assert [failure.index for failure in loader.failures] == [3, 17]
    with pytest.raises(CorruptDataError, match=r"2 of \d+ records could not be read, more than the 1"):
        list(Loader(stream, 4, on_error="skip", max_bad=1))


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_source_that_fails_is_no_short_epoch(workers, on_error):
    """All batches before come; then an error, also where bad records are skipped: nothing can come after it."""
    loader, seen = Loader(counted(fails=13), 4, num_workers=workers, on_error=on_error), []
    with pytest.raises(CorruptDataError, match="failed at record 13 of epoch 0.*OSError: the connection was lost"):
        seen.extend(batch["number"].tolist() for batch in loader)
    seen = [number for batch in seen for number in batch]
    assert seen == list(range(12))
    assert loader.state_dict()["samples"] == 12


def test_a_pass_that_ended_says_so():
    passing = iter(Loader(counted(fails=5), 4))
    next(passing)
    for error in (CorruptDataError, WorkerError):
        with pytest.raises(error):
            next(passing)
    passing = iter(Loader(counted(3), 4, num_workers=1))
    next(passing)
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(passing)


def dies(raw):
    if raw == 6:
        os._exit(3)
    return {"number": raw}


def test_a_worker_that_dies_is_reported_with_positions():
    with pytest.raises(WorkerError, match=r"from batch \d of epoch 0 on: records \d, .*6, 7.* of Stream\(range\)"):
        list(Loader(Stream(range(20), dies), 4, num_workers=1, verify=False))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shuffle": True}, r"from_hf\(stream.shuffle\(seed=0, buffer_size=1000\)\)"),
        ({"groups": [0]}, "order the records of an epoch"),
        ({"lengths": [1]}, "order the records of an epoch"),
        ({"on_error": "replace"}, 'take on_error="skip"'),
    ],
)
def test_what_a_stream_cannot_do_is_refused(options, message):
    with pytest.raises(DatakitError, match=message):
        Loader(counted(), 4, **options)


def test_lengths_and_indices_are_refused():
    stream = counted()
    for ask in (lambda: len(stream), lambda: len(Loader(stream, 2)), lambda: len(iter(Loader(stream, 2)))):
        with pytest.raises(TypeError, match="has no length"):
            ask()
    with pytest.raises(TypeError, match=r"no \[i\]"):
        stream[3]
    with pytest.raises(TypeError, match="has no length"):
        list(DataLoader(stream))
    with pytest.raises(TypeError, match="can be iterated over once"):
        Stream(iter([1]))
    with pytest.raises(TypeError, match="something to iterate over"):
        Stream(3)
    with pytest.raises(TypeError, match="make a datakit.Stream or, of Hugging Face, from_hf"):
        Loader(Counted())


def test_a_transform_that_draws_on_its_own_is_found():
    state = np.random.default_rng()
    with pytest.raises(ReproducibilityError):
        list(Loader(counted(transform=lambda sample: {**sample, "own": state.random()}), 2))


def test_iterating_and_taking():
    stream = counted(transform=None)
    assert [sample["number"] for sample in stream] == list(range(N))
    head = stream.take(5)
    assert len(head) == 5
    assert same(head[4], next(itertools.islice(stream, 4, None)))
    assert len(counted(3).take(10)) == 3
    assert repr(head) == "the first 5 records of Stream(Counted)"


@pytest.fixture(scope="module")
def faces():
    return FaceLandmarks.synthetic(n=14, transform=Compose([Rescale(40)]))


@pytest.fixture(scope="module")
def table(faces, tmp_path_factory):
    return datakit.to_hf(faces, cache_dir=tmp_path_factory.mktemp("table"))


def test_a_stream_of_hugging_face_gives_what_the_table_gives(faces, table):
    """In three shards, which Hugging Face would deal out among workers."""
    stream = datakit.from_hf(table.to_iterable_dataset(num_shards=3), transform=plain())
    rows = datakit.from_hf(table, transform=plain())
    for workers, batch_size in ((0, 4), (2, 3)):
        ours, theirs = (
            [s for batch in Loader(d, batch_size, collate_fn=digests, num_workers=workers) for s in batch]
            for d in (stream, rows)
        )
        assert ours == theirs
    assert len(ours) == 14


def test_shuffled_streams_and_epochs(table):
    """The order is the stream's own; the loader tells it the epoch. Resume reads forward through the same buffer."""
    theirs = table.add_column("n", list(range(14))).select_columns("n").to_iterable_dataset(num_shards=2)
    theirs = theirs.shuffle(seed=1, buffer_size=5)
    want = []
    for epoch in range(2):
        theirs.set_epoch(epoch)
        want.append([row["n"] for row in theirs])
    theirs.set_epoch(0)
    assert want[0] != want[1]
    assert sorted(want[0]) == sorted(want[1]) == list(range(14))
    for workers in (0, 2):
        loader = Loader(datakit.from_hf(theirs), 3, num_workers=workers)
        assert [[n for batch in loader for n in batch["n"].tolist()] for _ in range(2)] == want
        passing = iter(loader)
        next(passing)
        other = Loader(datakit.from_hf(theirs), 4, num_workers=1)
        other.load_state_dict({**loader.state_dict(), "epoch": 1})
        assert [n for batch in other for n in batch["n"].tolist()] == want[1][3:]
        list(passing)  # processes of a pass that is left are ended by the garbage collector, which takes seconds


def test_maps_of_hugging_face_that_draw():
    rows = datasets.Dataset.from_dict({"n": list(range(11))}).to_iterable_dataset(num_shards=2)
    for mapped in (
        rows.map(noisy),
        rows.map(noisy, features=datasets.Features(n=datasets.Value("int64"), noise=datasets.Value("float64"))),
    ):
        found = [delivered(datakit.from_hf(mapped), num_workers=w, batch_size=b) for w, b in ((0, 4), (0, 3), (2, 2))]
        assert same(found[0], found[1])
        assert same(found[0], found[2])
        assert len({sample["noise"] for sample in found[0][0] + found[0][1]}) == 22


def test_streams_from_generators_with_and_without_features():
    features = datasets.Features(
        image=datasets.Image(),
        clip=datasets.Audio(),
        n=datasets.Value("int32"),
        k=datasets.ClassLabel(names=["a", "b"]),
    )
    known = datakit.from_hf(datasets.IterableDataset.from_generator(generated, features=features))
    sample = next(iter(known))
    assert sample["image"].shape == (4, 6, 3)
    assert sample["waveform"].shape == (1, 100)
    assert (sample["n"], sample["label"], known.classes) == (0, 0, ("a", "b"))
    unknown = datakit.from_hf(datasets.IterableDataset.from_generator(generated), {"image": "image", "number": "n"})
    assert [sample["number"] for sample in unknown] == [0, 1, 2]
    assert next(iter(unknown))["image"].shape == (4, 6, 3)
    with pytest.raises(SampleError, match="unknown column 'm'; known: clip, image, k, n"):
        next(iter(datakit.from_hf(datasets.IterableDataset.from_generator(generated), ["m"])))
    with pytest.raises(UnknownNameError, match="unknown column"):
        datakit.from_hf(datasets.IterableDataset.from_generator(generated, features=features), ["m"])


def generated():
    import io

    import soundfile
    from PIL import Image

    for number in range(3):
        buffer = io.BytesIO()
        soundfile.write(buffer, np.zeros(100 + number), 8000, format="WAV")
        sound = {"bytes": buffer.getvalue(), "path": None}
        yield {"image": Image.new("RGB", (6, 4)), "clip": sound, "n": number, "k": number % 2}


def test_a_broken_image_in_a_stream_is_named_with_its_position(tmp_path):
    raw = [{"bytes": b"no image", "path": "bad.png"} if n == 2 else {"bytes": None, "path": "x"} for n in range(3)]
    data = datasets.Dataset.from_dict({"image": raw}, features=datasets.Features(image=datasets.Image()))
    stream = datakit.from_hf(data.to_iterable_dataset())
    with pytest.raises(SampleError, match=r"HuggingFaceStream\[2\]: column 'image', bad.png: not an image"):
        stream[Key(0, 0, 2)]


def test_a_part_of_a_stream_is_refused(table):
    from datasets.distributed import split_dataset_by_node

    part = split_dataset_by_node(table.to_iterable_dataset(num_shards=2), 0, 2)
    with pytest.raises(DatakitError, match="one node's part already"):
        datakit.from_hf(part)


def test_streamed_parquet(faces, tmp_path):
    datakit.save(faces, tmp_path / "faces", max_shard_size=20_000)
    files = sorted(map(str, (tmp_path / "faces").iterdir()))
    assert len(files) > 1
    theirs = datasets.load_dataset("parquet", data_files=files, streaming=True, split="train", cache_dir=tmp_path)
    stream = datakit.from_hf(theirs)
    assert all(same(one, other) for one, other in zip(stream, faces, strict=True))
    epochs = delivered(stream, num_workers=2, epochs=1)
    assert same(epochs[0], [faces[n] for n in range(14)])
    assert torch.is_tensor(next(iter(Loader(stream, 1)))["image"])
