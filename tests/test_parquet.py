"""Parquet: lazy reading by row groups, whole files or none, and files that others made or that are broken."""

import os
import pickle
import random
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import datakit
from datakit import Loader, Mapped, Subset
from datakit.chain import same
from datakit.errors import CorruptDataError, DatakitError, MissingDataError, SampleError, UnknownNameError
from datakit.testing import assert_dataset
from datakit.vision import FaceLandmarks


def noise(number):
    """An image that does not compress, of 30 kB."""
    pixels = np.random.default_rng(number).integers(0, 256, (100, 100, 3), np.uint8)
    return {"image": pixels, "number": number, "text": f"picture {number}"}


@pytest.fixture(scope="module")
def pictures():
    return Mapped(range(120), noise)


@pytest.fixture(scope="module")
def one(pictures, tmp_path_factory):
    path = tmp_path_factory.mktemp("one") / "pictures.parquet"
    datakit.save(pictures, path)
    return path


@pytest.fixture(scope="module")
def shards(pictures, tmp_path_factory):
    path = tmp_path_factory.mktemp("many") / "pictures"
    datakit.save(pictures, path, max_shard_size=1_500_000)
    return path


def test_one_file_and_shards(pictures, one, shards):
    names = sorted(os.listdir(shards))
    assert names == [f"data-{n:05d}-of-{len(names):05d}.parquet" for n in range(len(names))]
    assert len(names) == 2 or len(names) == 3
    for path in (one, shards):
        loaded = datakit.load(path)
        assert len(loaded) == 120
        order = random.Random(0).sample(range(120), 40)
        assert all(same(loaded[n], pictures[n]) for n in [*order, *range(10)])
    assert_dataset(datakit.load(one), range(5))


def bytes_read():
    with open("/proc/self/io") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("rchar"))


def test_only_what_is_asked_for_is_read(one):
    whole = one.stat().st_size
    before = bytes_read()
    loaded = datakit.load(one)
    opened = bytes_read() - before
    assert opened < whole / 50
    loaded[77]
    after = bytes_read()
    loaded[78]
    assert after - before - opened < whole / 2
    assert bytes_read() - after < 4096  # of the row group that is held
    numbers = datakit.load(one, ["number"])
    before = bytes_read()
    assert [numbers[n]["number"] for n in (5, 118)] == [5, 118]
    assert bytes_read() - before < whole / 20


def test_what_others_read(pictures, one):
    frame = pd.read_parquet(one)
    assert frame["number"].tolist() == list(range(120))
    assert frame["image"][3]["bytes"][:4] == b"\x89PNG"
    about = pq.ParquetFile(one)
    assert b"huggingface" in about.schema_arrow.metadata
    assert about.num_row_groups > 3
    column = about.metadata.row_group(0).column(0)
    assert (column.path_in_schema, column.compression) == ("image.bytes", "UNCOMPRESSED")


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_open_their_own(shards, workers):
    loaded = datakit.load(shards)
    loaded[3]  # the files are open here before the processes are forked
    assert len(pickle.dumps(loaded)) < 6000
    loader = Loader(loaded, 7, shuffle=True, num_workers=workers, collate_fn=list)
    found = [sample for batch in loader for sample in batch]
    assert sorted(sample["number"] for sample in found) == list(range(120))
    assert all(same(sample["image"], noise(sample["number"])["image"]) for sample in found[::10])


def test_columns_and_names(one):
    loaded = datakit.load(one, {"picture": "image", "caption": "text"})
    assert list(loaded[1]) == ["index", "picture", "caption"]
    assert repr(loaded) == "ParquetFiles(picture, caption): 120 records"
    with pytest.raises(UnknownNameError, match="unknown column 'txt'; did you mean 'text'"):
        datakit.load(one, ["txt"])
    prints = {datakit.load(one, columns).fingerprint() for columns in (None, ["text"], ["number"])}
    assert len(prints) == 3
    assert next(loaded.records()) == {"caption": "picture 0"}


def test_files_of_others(tmp_path):
    frame = pd.DataFrame({"n": [1, 2, 3], "kind": pd.Categorical(["a", "b", "a"]), "v": [[1.0], [], [2.0, 3.0]]})
    frame.to_parquet(tmp_path / "theirs.parquet")
    loaded = datakit.load(tmp_path / "theirs.parquet")
    want = [(1, "a", np.array([1.0])), (2, "b", np.array([])), (3, "a", np.array([2.0, 3.0]))]
    assert same([loaded.as_tuple("n", "kind", "v")[index] for index in range(3)], want)
    (tmp_path / "empty").mkdir()
    pq.write_table(pa.table({"n": pa.array([], pa.int8())}), tmp_path / "empty" / "0.parquet")
    assert len(datakit.load(tmp_path / "empty")) == 0


def test_nothing_is_run_or_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "bombed"),)

    table = pa.table({"x": pa.array([pickle.dumps(Bomb())])})
    table = table.replace_schema_metadata({"huggingface": '{"info": {"features": {"x": {"_type": "os.system"}}}}'})
    pq.write_table(table, tmp_path / "bomb.parquet")
    with pytest.raises(CorruptDataError, match="no whole Parquet file"):
        datakit.load(tmp_path / "bomb.parquet")
    pq.write_table(table.replace_schema_metadata(None), tmp_path / "plain.parquet")
    assert isinstance(datakit.load(tmp_path / "plain.parquet")[0]["x"], bytes)
    assert not (tmp_path / "bombed").exists()


def test_wrong_paths(tmp_path, shards):
    with pytest.raises(MissingDataError, match="nowhere.parquet: there is no such file or folder"):
        datakit.load(tmp_path / "nowhere.parquet")
    with pytest.raises(MissingDataError, match="has no files that end in .parquet"):
        datakit.load(tmp_path)
    copy = shutil.copytree(shards, tmp_path / "copy")
    first = min(copy.iterdir())
    first.unlink()
    with pytest.raises(MissingDataError, match=f"1 of its files are missing, such as .*{first.name}"):
        datakit.load(copy)
    os.mkfifo(tmp_path / "pipe.parquet")
    with pytest.raises(CorruptDataError, match="not a regular file"):
        datakit.load(tmp_path / "pipe.parquet")


def test_shards_with_other_columns(tmp_path):
    for name, columns in (("a", {"n": [1]}), ("b", {"m": [1]})):
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    with pytest.raises(CorruptDataError, match=r"b.parquet: has the columns .*m.*a.parquet has .*n"):
        datakit.load(tmp_path)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99, 0.999])
def test_a_file_that_was_cut(one, tmp_path, share):
    data = one.read_bytes()
    (tmp_path / "cut.parquet").write_bytes(data[: int(share * len(data))])
    with pytest.raises(CorruptDataError, match=r"cut.parquet: no whole Parquet file"):
        datakit.load(tmp_path / "cut.parquet")


def test_damage_never_passes_and_never_crashes(one, tmp_path):
    """A byte flipped anywhere: one of our errors, or, in what only describes the file, the same samples."""
    data, rng, found = one.read_bytes(), random.Random(0), 0
    truth = datakit.load(one)
    for round in range(60):
        damaged, place = bytearray(data), rng.randrange(len(data) if round % 2 else 3000)
        if round % 3 == 0:
            place = len(data) - 1 - rng.randrange(3000)
        damaged[place] ^= 1 << rng.randrange(8)
        (tmp_path / "damaged.parquet").write_bytes(damaged)
        try:
            loaded = datakit.load(tmp_path / "damaged.parquet")
            assert len(loaded) == 120 or place > len(data) - 20_000
            for index in range(0, min(len(loaded), 120), 7):
                assert same(loaded[index], truth[index]) or place > len(data) - 20_000
        except DatakitError:
            found += 1
    assert found > 30


def test_a_broken_row_group_is_named(one, tmp_path):
    data = bytearray(one.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "rot.parquet").write_bytes(data)
    loaded, failures = datakit.load(tmp_path / "rot.parquet"), []
    for index in range(120):
        try:
            loaded[index]
        except SampleError as error:
            failures.append(str(error))
    assert 10 < len(failures) < 60
    assert "rot.parquet: row group" in failures[0]
    assert failures[0].startswith("ParquetFiles[")


def test_a_file_that_goes_away(one, tmp_path):
    path = shutil.copy(one, tmp_path / "gone.parquet")
    loaded = datakit.load(path)
    os.unlink(path)
    with pytest.raises(SampleError, match="gone.parquet: there is no such file any more"):
        loaded[0]


def failing(number):
    if number == 50:
        raise ValueError("cannot be drawn")
    return noise(number)


@pytest.mark.parametrize("name", ["it.parquet", "folder"])
def test_whole_or_not_at_all(tmp_path, name):
    good, bad = Subset(Mapped(range(3), noise), range(3)), Mapped(range(60), failing)
    with pytest.raises(SampleError, match=r"Mapped\[50\]: ValueError: cannot be drawn"):
        datakit.save(bad, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    datakit.save(good, tmp_path / name)
    with pytest.raises(DatakitError, match="is there already; overwrite=True takes its place"):
        datakit.save(good, tmp_path / name)
    with pytest.raises(SampleError, match="cannot be drawn"):
        datakit.save(bad, tmp_path / name, overwrite=True)
    assert len(datakit.load(tmp_path / name)) == 3
    datakit.save(Subset(good, range(2)), tmp_path / name, overwrite=True)
    assert len(datakit.load(tmp_path / name)) == 2
    assert os.listdir(tmp_path) == [name]


def test_options(tmp_path, pictures):
    with pytest.raises(ValueError, match="max_shard_size is a number of bytes"):
        datakit.save(pictures, tmp_path / "x", max_shard_size=0)
    faces = FaceLandmarks.synthetic(n=3)
    datakit.save(faces, tmp_path / "deep" / "faces.parquet")
    loaded = datakit.load(tmp_path / "deep" / "faces.parquet", transform=lambda sample: {"n": sample["index"]})
    assert [sample["n"] for sample in loaded] == [0, 1, 2]
