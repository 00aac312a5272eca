"""idx files: what is right is read as NumPy reads it, what is wrong is named."""

import gzip
import os
import random
import struct
import time

import numpy as np
import pytest

from datakit.errors import CorruptDataError, MissingDataError
from datakit.vision.idx import MOST_UNPACKED, read_idx, write_idx

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28)).astype(np.uint8)


def idx(array, kind=8, dims=None, ndim=None):
    """The bytes of an idx file, by the description of the format; `dims` and `ndim` may lie."""
    dims = array.shape if dims is None else dims
    head = struct.pack(">BBBB", 0, 0, kind, len(dims) if ndim is None else ndim)
    return head + struct.pack(f">{len(dims)}I", *dims) + array.tobytes()


@pytest.mark.parametrize("shape", [(5, 28, 28), (7,), (2, 3)])
@pytest.mark.parametrize("packed", [False, True])
def test_the_array_is_the_bytes_after_the_header(tmp_path, shape, packed):
    array = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    path = tmp_path / ("x.gz" if packed else "x")
    path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    read = read_idx(path, len(shape))
    np.testing.assert_array_equal(read, array)
    assert read.dtype == np.uint8
    assert not read.flags.writeable


def test_what_is_written_follows_the_description_of_the_format(tmp_path):
    write_idx(tmp_path / "x", IMAGES)
    assert (tmp_path / "x").read_bytes() == idx(IMAGES)


BAD = {
    "dims above the file": (idx(IMAGES, dims=(6, 28, 28)), "6 x 28 x 28 = 4,704 bytes.* 3,920"),
    "dims below the file": (idx(IMAGES, dims=(4, 28, 28)), "4 x 28 x 28 = 3,136 bytes"),
    "dims of 2**32 - 1": (idx(IMAGES, dims=(2**32 - 1,) * 3), "4294967295 x"),
    "a dim of 0": (idx(IMAGES[:0]), "0 x 28 x 28, which is no data"),
    "0 dims": (idx(IMAGES, dims=()), "0 axes, expected 3"),
    "255 dims": (idx(IMAGES, ndim=255), "255 axes, expected 3"),
    "unknown type": (idx(IMAGES, kind=0x0F), "type 0x0f"),
    "another type": (idx(IMAGES, kind=0x0D), "type 0x0d"),
    "wrong magic": (b"<html>not found</html>", "not an idx file, it begins with b'<htm'"),
    "gz unopened": (gzip.compress(idx(IMAGES)), "is compressed with gzip"),
    "cut in the header": (idx(IMAGES)[:11], "truncated in its header"),
    "three bytes": (b"\0\0\10", "not an idx file"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_at_once(tmp_path, name, packed):
    data, said = BAD[name]
    path = tmp_path / ("some-images.gz" if packed else "some-images")
    path.write_bytes(gzip.compress(data) if packed else data)
    start = time.perf_counter()
    with pytest.raises(CorruptDataError, match=said) as caught:
        read_idx(path, 3)
    assert time.perf_counter() - start < 1
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(("change", "said"), [
    (lambda data: data[:-3], "damaged or truncated"),
    (lambda data: data[:40], "damaged or truncated"),
    (lambda data: data[:-8] + b"\0\0\0\0" + data[-4:], "damaged or truncated.*CRC"),
    (lambda data: data + b"junk", "damaged or truncated"),
    (lambda data: idx(IMAGES), "damaged or truncated"),
    (lambda data: b"", "truncated|not an idx file"),
])  # fmt: skip
def test_a_bad_gzip_file(tmp_path, change, said):
    path = tmp_path / "x.gz"
    path.write_bytes(change(gzip.compress(idx(IMAGES))))
    with pytest.raises(CorruptDataError, match=said):
        read_idx(path, 3)


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    """A gigabyte of zeros in a megabyte; of a header that promises little, no more than that is unpacked."""
    zeros = gzip.compress(bytes(2**26), 6) * 16
    (tmp_path / "large.gz").write_bytes(gzip.compress(idx(IMAGES[:0], dims=(MOST_UNPACKED, 2, 2))) + zeros)
    (tmp_path / "small.gz").write_bytes(gzip.compress(idx(IMAGES)) + zeros)
    start = time.perf_counter()
    with pytest.raises(CorruptDataError, match="unpack it"):
        read_idx(tmp_path / "large.gz", 3)
    with pytest.raises(CorruptDataError, match="the file has more after it"):
        read_idx(tmp_path / "small.gz", 3)
    assert time.perf_counter() - start < 1


def test_what_is_no_file(tmp_path):
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MissingDataError, match="nothing"):
        read_idx(tmp_path / "nothing", 3)
    with pytest.raises(CorruptDataError, match="empty"):
        read_idx(tmp_path / "empty", 3)
    with pytest.raises(CorruptDataError, match="a folder"):
        read_idx(tmp_path, 3)
    with pytest.raises(CorruptDataError, match="not a regular file"):
        read_idx(tmp_path / "pipe", 3)


@pytest.mark.parametrize("packed", [False, True])
def test_mutations(tmp_path, packed):
    chance = random.Random(0)
    good = gzip.compress(idx(IMAGES), mtime=0) if packed else idx(IMAGES)
    path = tmp_path / ("x.gz" if packed else "x")
    refused = 0
    for _ in range(1000):
        data = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(20) if chance.random() < 0.7 else chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data[: chance.randrange(len(data))] if chance.random() < 0.2 else data)
        try:
            assert read_idx(path, 3).ndim == 3
        except CorruptDataError:
            refused += 1
    assert refused > 300
