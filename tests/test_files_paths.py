"""`inside`, `cache_dir`, `Remote`: names and addresses."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.errors import CorruptDataError
from datakit.files import Remote, cache_dir, inside

OUTSIDE = ["", "/etc/passwd", "../x", "a/../../x", "a/..", "..", "a\\b", "..\\x", "C:\\x", "a\0b", "//x"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_leaves_the_root_is_refused_by_name(name):
    with pytest.raises(CorruptDataError) as caught:
        inside("data", name, "faces.csv row 3")
    assert str(caught.value) == f"faces.csv row 3: {name!r} leaves data"


@pytest.mark.parametrize("name", ["a.jpg", "a/b.jpg", "a..b/c...d", "..a", "a/..b", "./a", "ümlaut/…", "a b"])
def test_a_good_name_is_joined_as_it_is(name):
    assert inside("data", name) == Path("data", name)
    assert inside(Path("data"), name) == Path("data") / name


@given(st.text(alphabet="ab./\\\0", max_size=12))
def test_what_inside_lets_through_stays_inside(name):
    try:
        path = inside("/root/data", name)
    except CorruptDataError:
        return
    assert os.path.commonpath(["/root/data", os.path.normpath(path)]) == "/root/data"


def test_cache_dir_follows_the_environment(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.delenv("DATAKIT_CACHE", raising=False)
    assert cache_dir() == Path("/home/me/.cache/datakit")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_dir() == Path("/xdg/datakit")
    monkeypatch.setenv("DATAKIT_CACHE", "~/mine")
    assert cache_dir() == Path("/home/me/mine")


def test_a_remote_is_plain_data():
    remote = Remote("MNIST/raw/x.gz", urls=("https://a/x.gz",), md5="0" * 32)
    assert remote.produces == ("MNIST/raw/x.gz",)
    assert pickle.loads(pickle.dumps(remote)) == remote
    assert len({remote, Remote("MNIST/raw/x.gz", urls=("https://a/x.gz",), md5="0" * 32)}) == 1
    assert Remote("x.gz", unpack=True).produces == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "../x"}, "under the root"),
        ({"name": "x", "produces": ("/etc/passwd",)}, "under the root"),
        ({"name": ".datakit/x.json"}, "outside its .datakit"),
        ({"name": "x", "urls": ("ftp://a/x",)}, "no https, http or file address"),
        ({"name": "x", "sha256": "abc"}, "64 lower-case hex digits"),
        ({"name": "x", "md5": "A" * 32}, "32 lower-case hex digits"),
        ({"name": "x.rar", "unpack": True}, "cannot be unpacked; known endings: .zip"),
    ],
)
def test_a_wrong_remote_is_refused_where_it_is_written(arguments, message):
    with pytest.raises(ValueError, match=message):
        Remote(**arguments)


def test_importing_the_package_imports_nothing_slow():
    slow = ("requests", "tqdm", "torch", "numpy", "filelock")
    code = f"import sys, datakit.files; print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
