"""Archives that are written: as Kaldi and kaldi_io write them, read again as they were, and whole or not at all."""

import io
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from datakit.audio import kaldi
from datakit.audio.kaldi.kaldi_package import kaldi_io


@pytest.fixture(scope="module")
def files(shared):
    if not (shared / "kaldi").is_dir():
        pytest.skip("kaldi is not among the real datasets")
    return shared / "kaldi" / "kaldi-io"


@pytest.mark.parametrize(("name", "kind"), [("ali", "vec_int"), ("conf", "vec_flt"), ("feats", "mat")])
def test_files_that_kaldi_wrote_are_written_the_same(files, tmp_path, name, kind):
    items = getattr(kaldi, f"read_{kind}_ark")(files / f"{name}.ark")
    getattr(kaldi, f"write_{kind}_ark")(tmp_path / "again.ark", items)
    assert (tmp_path / "again.ark").read_bytes() == (files / f"{name}.ark").read_bytes()


def test_text_of_integers_is_written_as_kaldi_does(files, tmp_path):
    kaldi.write_vec_int_ark(tmp_path / "ali.ark", kaldi.read_vec_int_ark(files / "ali_ascii.ark"), text=True)
    got, want = ((path).read_text().splitlines() for path in (tmp_path / "ali.ark", files / "ali_ascii.ark"))
    assert got == [line.rstrip() for line in want]


def test_compression_is_that_of_kaldi_byte_for_byte(files, tmp_path):
    kaldi.write_mat_ark(tmp_path / "small.ark", kaldi.read_mat_ark(files / "feats.ark"), compressed=True)
    assert (tmp_path / "small.ark").read_bytes() == (files / "feats_compressed.ark").read_bytes()


@pytest.mark.parametrize("rows", [0, 1, 4, 8, 9, 13, 200])
def test_compression_loses_little(tmp_path, rows):
    """A step is at most a 63rd of the spread between two percentiles; two bytes: a 65535th of the whole."""
    matrix = torch.from_numpy(np.random.default_rng(rows).normal(5, 20, (rows, 6 if rows else 0))).float()
    constant = torch.full((rows, 3), -2.5)
    kaldi.write_mat_ark(tmp_path / "a.ark", {"a": matrix, "b": constant}, compressed=True)
    got = dict(kaldi.read_mat_ark(tmp_path / "a.ark"))
    if not rows:
        assert got["a"].shape == (0, 0)
        return
    spread = matrix.max() - matrix.min()
    assert (got["a"] - matrix).abs().max() <= spread / (126 if rows > 8 else 65535)
    assert (got["b"] + 2.5).abs().max() < 1e-3


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_not_compressed(tmp_path, value):
    with pytest.raises(ValueError, match="utt: .*not finite"):
        kaldi.write_mat_ark(tmp_path / "a.ark", {"utt": torch.full((20, 3), value)}, compressed=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kaldi_io_writes_the_same(tmp_path, dtype):
    rng = np.random.default_rng(0)
    vector, matrix, numbers = rng.normal(size=7).astype(dtype), rng.normal(size=(3, 5)).astype(dtype), np.arange(-3, 5)
    with open(tmp_path / "theirs.ark", "wb") as file:
        kaldi_io().write_vec_flt(file, vector, "a")
        kaldi_io().write_mat(file, matrix, "b")
        kaldi_io().write_vec_int(file, numbers.astype(np.int32), "c")
    kaldi.write_vec_flt_ark(tmp_path / "1.ark", {"a": vector})
    kaldi.write_mat_ark(tmp_path / "2.ark", {"b": torch.from_numpy(matrix)})
    kaldi.write_vec_int_ark(tmp_path / "3.ark", [("c", numbers)])
    ours = b"".join((tmp_path / f"{i}.ark").read_bytes() for i in (1, 2, 3))
    assert ours == (tmp_path / "theirs.ark").read_bytes()


FLOATS = st.floats(width=32, allow_nan=False)


@settings(deadline=None, max_examples=50, derandomize=True)
@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=FLOATS), st.booleans())
def test_matrices_are_read_as_they_were_written(tmp_path_factory, matrix, text):
    path = tmp_path_factory.mktemp("ark") / "a.ark"
    kaldi.write_mat_ark(path, {"ä-1": matrix, "b": matrix[0:1]}, text=text, scp=path.with_suffix(".scp"))
    for got in (dict(kaldi.read_mat_ark(path)), kaldi.Scp(path.with_suffix(".scp"))):
        assert np.array_equal(got["ä-1"].numpy(), matrix)
        assert np.array_equal(got["b"].numpy(), matrix[0:1])


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=8), max_size=4), st.booleans())
def test_vectors_are_read_as_they_were_written(tmp_path_factory, vectors, text):
    path = tmp_path_factory.mktemp("ark") / "a.ark"
    kaldi.write_vec_int_ark(path, {f"u{i}": vector for i, vector in enumerate(vectors)}, text=text)
    assert [values.tolist() for _, values in kaldi.read_vec_int_ark(path)] == vectors
    floats = {f"u{i}": np.array(vector, np.float32) for i, vector in enumerate(vectors)}
    kaldi.write_vec_flt_ark(path, floats, text=text, scp=path.with_suffix(".scp"))
    assert all(
        np.array_equal(value.numpy(), floats[key]) for key, value in kaldi.read_vec_flt_scp(path.with_suffix(".scp"))
    )


BAD = [
    ("write_vec_int_ark", {"a b": [1]}, ValueError, "no white space"),
    ("write_vec_int_ark", {"": [1]}, ValueError, "at least one character"),
    ("write_vec_int_ark", {"a": [2**31]}, ValueError, "a: a value does not fit"),
    ("write_vec_int_ark", {"a": [1.5]}, TypeError, "a: integers are due, got float64"),
    ("write_vec_int_ark", {"a": [[1]]}, ValueError, "a: a vector is due"),
    ("write_vec_flt_ark", {"a": [1]}, TypeError, "a: float32 or float64 is due, got int64"),
    ("write_mat_ark", {"a": np.zeros(3)}, ValueError, "a: a matrix is due"),
]


@pytest.mark.parametrize(("writer", "items", "kind", "says"), BAD)
def test_after_an_error_everything_is_as_before(tmp_path, writer, items, kind, says):
    path = tmp_path / "a.ark"
    path.write_bytes(b"before")
    with pytest.raises(kind, match=says):
        getattr(kaldi, writer)(path, items, scp=tmp_path / "a.scp")
    assert os.listdir(tmp_path) == ["a.ark"]
    assert path.read_bytes() == b"before"


def test_a_name_that_cannot_stand_in_a_script_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="cannot stand in a script file"):
        kaldi.write_vec_int_ark("cat x |", {"a": [1]}, scp="a.scp")
    with pytest.raises(ValueError, match="choose one"):
        kaldi.write_mat_ark("a.ark", {}, text=True, compressed=True)
    assert os.listdir(tmp_path) == []


def test_an_empty_archive(tmp_path):
    kaldi.write_mat_ark(tmp_path / "a.ark", {})
    assert list(kaldi.read_mat_ark(tmp_path / "a.ark")) == []
    assert list(kaldi.read_vec_int_ark(io.BytesIO(b""))) == []
