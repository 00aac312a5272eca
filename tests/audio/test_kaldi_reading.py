"""Archives and script files: Kaldi's own files, parsed here by NumPy, and what kaldi_io says of them."""

import gzip
import io
import os
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch

from datakit.audio import kaldi
from datakit.audio.kaldi.kaldi_package import kaldi_io
from datakit.errors import CorruptDataError, MissingDataError, UnknownNameError


@pytest.fixture(scope="module")
def files(shared):
    """Kaldi's files of the kaldi_io package."""
    if not (shared / "kaldi").is_dir():
        pytest.skip("kaldi is not among the real datasets")
    return shared / "kaldi" / "kaldi-io"


@pytest.fixture(scope="module")
def mini(files):
    return files.parent / "mini_librispeech2"


def parsed(path, shape_of):
    """An archive of binary objects, by a parser of its own: key -> (header, bytes of the body)."""
    data, at, objects = path.read_bytes(), 0, {}
    while at < len(data):
        space = data.index(b" ", at)
        key, at = data[at:space].decode(), space + 1
        assert data[at : at + 2] == b"\0B"
        head, body, at = shape_of(data, at + 2)
        objects[key] = (head, data[body:at])
    return objects


def of_matrix(data, at):
    rows, columns = struct.unpack_from("<xixi", data, at + 3)
    return (rows, columns), at + 13, at + 13 + 4 * rows * columns


def of_vector(data, at):
    (count,) = struct.unpack_from("<xi", data, at + 3)
    return count, at + 8, at + 8 + 4 * count


def of_integers(data, at):
    (count,) = struct.unpack_from("<xi", data, at)
    return count, at + 5, at + 5 + 5 * count


def test_float_matrices_are_those_in_the_file(files):
    want = parsed(files / "feats.ark", of_matrix)
    got = dict(kaldi.read_mat_ark(files / "feats.ark"))
    assert list(got) == list(want)
    assert len(got) == 10
    for key, (shape, body) in want.items():
        assert got[key].dtype == torch.float32
        assert np.array_equal(got[key].numpy(), np.frombuffer(body, "<f4").reshape(shape))


def test_float_vectors_are_those_in_the_file(files):
    want = parsed(files / "conf.ark", of_vector)
    got = dict(kaldi.read_vec_flt_ark(files / "conf.ark"))
    assert list(got) == list(want)
    for key, (count, body) in want.items():
        assert got[key].shape == (count,)
        assert np.array_equal(got[key].numpy(), np.frombuffer(body, "<f4"))


def test_integer_vectors_are_those_in_the_file(files):
    want = parsed(files / "ali.ark", of_integers)
    got = dict(kaldi.read_vec_int_ark(files / "ali.ark"))
    assert list(got) == list(want)
    for key, (_, body) in want.items():
        values = np.frombuffer(body, np.uint8).reshape(-1, 5)[:, 1:].copy().view("<i4")[:, 0]
        assert got[key].dtype == torch.int32
        assert np.array_equal(got[key].numpy(), values)


@pytest.mark.parametrize(
    ("name", "reader"),
    [("ali", "read_vec_int_ark"), ("conf", "read_vec_flt_ark"), ("feats", "read_mat_ark")],
)
def test_binary_and_text_are_equal(files, name, reader):
    binary = dict(getattr(kaldi, reader)(files / f"{name}.ark"))
    text = dict(getattr(kaldi, reader)(files / f"{name}_ascii.ark"))
    assert set(text) <= set(binary)
    assert len(text) >= 2
    for key, values in text.items():
        assert values.dtype == binary[key].dtype
        torch.testing.assert_close(values, binary[key], rtol=5e-6 if name != "ali" else 0, atol=0)  # 7 digits of text


@pytest.mark.parametrize(
    "name", ["ali.ark", "ali_ascii.ark", "conf.ark", "conf_ascii.ark", "feats.ark", "feats_ascii.ark"]
)
def test_kaldi_io_says_the_same(files, name):
    reader = {"a": "read_vec_int_ark", "c": "read_vec_flt_ark", "f": "read_mat_ark"}[name[0]]
    with open(files / name, "rb") as file:
        theirs = dict(getattr(kaldi_io(), reader)(file))
    ours = dict(getattr(kaldi, reader)(files / name))
    assert list(ours) == list(theirs)
    for key, values in theirs.items():
        assert np.array_equal(ours[key].numpy(), values.astype(ours[key].numpy().dtype))


def test_what_is_compressed_has_the_values_that_kaldi_gives_it(files):
    """`feats.ark` is what Kaldi made of these bytes; every bit of it."""
    ours, kaldis = (dict(kaldi.read_mat_ark(files / name)) for name in ("feats_compressed.ark", "feats.ark"))
    assert list(ours) == list(kaldis)
    assert all(torch.equal(ours[key], kaldis[key]) for key in kaldis)


def test_the_compressed_mfcc_that_kaldi_wrote(mini):
    archive = mini / "data" / "raw_mfcc_mini_librispeech2.1.ark"
    features = dict(kaldi.read_mat_ark(archive))
    frames = dict(line.split() for line in (mini / "utt2num_frames").read_text().splitlines())
    assert {key: str(len(value)) for key, value in features.items()} == frames
    assert {value.shape[1] for value in features.values()} == {13}
    listed = kaldi.Scp(mini / "feats.scp")
    assert list(listed) == list(features)
    data = archive.read_bytes()
    for key, value in features.items():
        assert torch.equal(listed[key], value)
        exact = decompressed(data, data.index(key.encode()) + len(key) + 6)
        torch.testing.assert_close(value.double(), torch.from_numpy(exact), rtol=1e-6, atol=1e-5)


def decompressed(data, at):
    """The `CM` matrix whose header is at a byte, in double; by interpolation, and not by Kaldi's three formulas."""
    least, span, rows, columns = struct.unpack_from("<ffii", data, at)
    marks = np.frombuffer(data, "<u2", 4 * columns, at + 16).reshape(columns, 4)
    codes = np.frombuffer(data, np.uint8, rows * columns, at + 16 + 8 * columns).reshape(columns, rows)
    levels = least + span * marks / 65535
    return np.stack([np.interp(code, (0, 64, 192, 255), level) for code, level in zip(codes, levels, strict=True)], 1)


def linear(kind, width, least, span, values):
    rows, columns = values.shape
    head = b"\0B" + kind + b" " + struct.pack("<ffii", least, span, rows, columns)
    return b"a " + head + values.astype(width).tobytes()


@pytest.mark.parametrize(("kind", "width", "most"), [(b"CM2", "<u2", 65535), (b"CM3", "u1", 255)])
def test_matrices_of_linear_codes(kind, width, most):
    codes = np.random.default_rng(0).integers(0, most + 1, (7, 5))
    ((_, got),) = kaldi.read_mat_ark(io.BytesIO(linear(kind, width, -3.0, 10.0, codes)))
    torch.testing.assert_close(got.double(), torch.from_numpy(-3.0 + 10.0 * codes / most), rtol=1e-6, atol=1e-6)


def test_confusion_networks(files):
    networks, times = dict(kaldi.read_post_ark(files / "1.cnet")), dict(kaldi.read_cntime_ark(files / "1.cntime"))
    assert list(networks) == list(times)[: len(networks)]  # there are more times than networks
    with open(files / "1.cnet", "rb") as file:
        assert networks == dict(kaldi_io().read_cnet_ark(file))
    with open(files / "1.cntime", "rb") as file:
        for key, pairs in kaldi_io().read_cntime_ark(file):
            assert torch.equal(times[key], torch.tensor(pairs))
            assert len(networks.get(key, pairs)) == len(pairs)


def test_a_frame_without_entries():
    frames = b"a \0B" + b"\4\2\0\0\0" + b"\4\0\0\0\0" + b"\4\1\0\0\0\4\7\0\0\0\4" + struct.pack("<f", 0.5)
    assert dict(kaldi.read_post_ark(io.BytesIO(frames))) == {"a": [[], [(7, 0.5)]]}


@pytest.fixture
def listed(files, tmp_path):
    """The folder that the script files of kaldi_io were made in."""
    (tmp_path / "tests").mkdir()
    shutil.copytree(files, tmp_path / "tests" / "data")
    return tmp_path


def test_script_files_by_root_and_from_their_folder(listed, monkeypatch):
    vectors = dict(kaldi.read_vec_flt_ark(listed / "tests/data/conf.ark"))
    by_root = dict(kaldi.read_vec_flt_scp(listed / "tests/data/conf.scp", root=listed))
    assert list(by_root) == list(vectors)
    assert all(torch.equal(by_root[key], vectors[key]) for key in vectors)
    with pytest.raises(MissingDataError, match=r"conf.scp: line 1: tests/data/conf.ark: there is no such file"):
        list(kaldi.read_vec_flt_scp(listed / "tests/data/conf.scp"))
    monkeypatch.chdir(listed)
    assert len(list(kaldi.read_vec_flt_scp("tests/data/conf.scp"))) == len(vectors)


def test_ranges_include_both_ends(listed):
    """`feats_ascii.scp` is made for kaldi_io, which leaves the ends out: column 13 is one too many."""
    script = listed / "tests/data/feats_ascii.scp"
    pairs = list(kaldi.read_mat_scp(script, root=listed, end_included=False))
    whole = pairs[1][1]
    assert [tuple(value.shape) for _, value in pairs] == [(285, 13), (199, 13), (199, 13), (5, 13), (199, 6), (10, 6)]
    for (_, value), part in zip(pairs[2:], (np.s_[:], np.s_[:5], np.s_[:, 7:13], np.s_[20:30, 7:13]), strict=True):
        assert torch.equal(value, whole[part])
    kaldis = kaldi.read_mat_scp(script, root=listed)
    assert [len(next(kaldis)[1]) for _ in range(4)] == [285, 199, 199, 6]
    with pytest.raises(CorruptDataError, match=r"line 5: range \[:,7:13\] is not within the object of 199 x 13"):
        next(kaldis)
    with pytest.raises(CorruptDataError, match=r"line 5: the key '.*slice2' is there twice, see line 4"):
        kaldi.Scp(listed / "tests/data/feats_ascii.scp", root=listed)


@pytest.fixture
def small(tmp_path):
    """An archive of a 10 x 4 matrix at byte 2."""
    matrix = torch.arange(40, dtype=torch.float32).reshape(10, 4)
    kaldi.write_mat_ark(tmp_path / "a.ark", {"a": matrix})
    return tmp_path / "a.ark", matrix


@pytest.mark.parametrize(
    ("part", "want"),
    [
        ("[0:0]", np.s_[:1]),
        ("[9:9]", np.s_[9:]),
        ("[2:5,1:2]", np.s_[2:6, 1:3]),
        ("[:,3:3]", np.s_[:, 3:]),
        ("[:,:]", np.s_[:]),
    ],
)
def test_a_range(small, tmp_path, part, want):
    path, matrix = small
    (tmp_path / "a.scp").write_text(f"a {path}:2{part}\n")
    assert torch.equal(kaldi.Scp(tmp_path / "a.scp")["a"], matrix[want])


def test_rows_just_behind_the_matrix_are_cut_with_a_warning(small, tmp_path):
    path, matrix = small
    (tmp_path / "a.scp").write_text(f"a {path}:2[8:11]\n")
    with pytest.warns(UserWarning, match=r"a.scp: line 1: range \[8:11\] is cut at the last row, 9"):
        assert torch.equal(kaldi.Scp(tmp_path / "a.scp")["a"], matrix[8:])


BAD_RANGES = ["8:12", "5:4", "10:11", "0:3,0:4", "0:3,2:1", "a:b", "-1:3", "1:2:3", "1", "0:1,", "0:1,0:1,0:1"]


@pytest.mark.parametrize("part", ["[]", *(f"[{part}]" for part in BAD_RANGES)])
def test_a_bad_range_names_the_line(small, tmp_path, part):
    path, _ = small
    (tmp_path / "a.scp").write_text(f"a {path}:2\nb {path}:2{part}\n")
    got = kaldi.read_mat_scp(tmp_path / "a.scp")
    next(got)
    with pytest.raises(CorruptDataError, match=r"a\.scp: line 2: .*range"):
        next(got)


def test_a_range_of_a_vector(tmp_path):
    kaldi.write_vec_flt_ark(tmp_path / "v.ark", {"a": torch.arange(5.0)})
    (tmp_path / "v.scp").write_text(
        f"a {tmp_path}/v.ark:2[1:3]\nb {tmp_path}/v.ark:2[1:3,0:1]\nc {tmp_path}/v.ark:2[3:5]\n"
    )
    vectors = kaldi.Scp(tmp_path / "v.scp", "vector")
    assert vectors["a"].tolist() == [1, 2, 3]
    for key in "bc":
        with pytest.raises(CorruptDataError, match="range"):
            vectors[key]


def test_names_beside_the_script_file_and_names_that_are_there_twice(small, tmp_path, monkeypatch):
    _, matrix = small
    (tmp_path / "a.scp").write_text("a a.ark:2\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert torch.equal(kaldi.Scp("../a.scp")["a"], matrix)
    kaldi.write_mat_ark("a.ark", {"a": matrix + 1})
    with pytest.raises(CorruptDataError, match=r"line 1: there is a.ark below the current folder, and \.\./a.ark"):
        kaldi.Scp("../a.scp")["a"]
    assert torch.equal(kaldi.Scp("../a.scp", root=".")["a"], matrix + 1)


def test_gzip_file_objects_prefixes_and_offsets(files, tmp_path):
    want = dict(kaldi.read_mat_ark(files / "feats.ark"))
    packed = tmp_path / "feats.ark.gz"
    packed.write_bytes(gzip.compress((files / "feats.ark").read_bytes()))
    key = list(want)[1]
    at = (files / "feats.ark").read_bytes().index(key.encode())
    with open(files / "feats.ark", "rb") as file:
        from_file = dict(kaldi.read_mat_ark(file))
        assert not file.closed
    for got in (dict(kaldi.read_mat_ark(packed)), from_file, dict(kaldi.read_mat_ark(f"ark:{files}/feats.ark"))):
        assert all(torch.equal(got[key], want[key]) for key in want)
    assert list(dict(kaldi.read_mat_ark(f"{files}/feats.ark:{at}"))) == list(want)[1:]
    (tmp_path / "z.scp").write_text(f"{key} {packed}:{at + len(key) + 1}\n")
    assert torch.equal(kaldi.Scp(tmp_path / "z.scp")[key], want[key])
    with pytest.raises(TypeError, match="binary mode"), open(files / "ali_ascii.ark") as text:
        kaldi.read_vec_int_ark(text)


def test_a_pipe_is_read_on(files):
    with subprocess.Popen(["cat", files / "feats.ark"], stdout=subprocess.PIPE) as process:
        assert len(list(kaldi.read_mat_ark(process.stdout))) == 10


@pytest.mark.parametrize(
    ("reader", "text", "want"),
    [
        ("read_vec_int_ark", "a 1 2 -3\nb [ 4 5 ]\nc \nd\ne [ ]\nf 7\n", [[1, 2, -3], [4, 5], [], [], [], [7]]),
        (
            "read_vec_flt_ark",
            "a  [ 1 2.5 ]\nb -1e-3 4\nc  [ ]\nd [ inf -inf ]",
            [[1, 2.5], [-1e-3, 4], [], [np.inf, -np.inf]],
        ),
        (
            "read_mat_ark",
            "a  [\n  1 2\n  3 4 ]\nb [ 1 2\n3 4\n]\nc [ ]\nd  [ 5 6 ]\n",
            [[[1, 2], [3, 4]]] * 2 + [[], [[5, 6]]],
        ),
    ],
)
def test_text_as_people_write_it(reader, text, want):
    """An empty vector made kaldi_io read on in the next line."""
    got = [values.tolist() for _, values in getattr(kaldi, reader)(io.BytesIO(text.encode()))]
    assert len(got) == len(want)
    for found, expected in zip(got, want, strict=True):
        assert np.array_equal(np.float32(found), np.float32(expected))


SILENT = {  # what kaldi_io takes for an archive that is whole
    "the key of a lost object": ("read_vec_int_ark", b"a 1 2\nb", "byte 6: the file ends within or after the key b'b'"),
    "numbers cut off": ("read_vec_flt_ark", b"a \0BFV \4\3\0\0\0" + bytes(8), "byte 12: truncated: 12 bytes are due"),
    "a line cut off": ("read_vec_int_ark", b"a 1 2 3\nb 4 5", "byte 13: truncated"),
    "an element of another size": (
        "read_vec_int_ark",
        b"a \0B\4\2\0\0\0\4\1\0\0\0\7\1\0\0\0",
        "byte 14: element 1 is not",
    ),
    "sizes of another size": (
        "read_mat_ark",
        b"a \0BFM \4\1\0\0\0\3\1\0\0\0" + bytes(4),
        "byte 12: .* size is given as 3",
    ),
}


@pytest.mark.parametrize("case", SILENT)
def test_what_kaldi_io_passes_over_is_an_error(case):
    reader, data, says = SILENT[case]
    source = io.BytesIO(data)
    source.mode = "rb"
    list(getattr(kaldi_io(), reader)(source))  # says nothing
    with pytest.raises(CorruptDataError, match=says):
        list(getattr(kaldi, reader)(io.BytesIO(data)))


BROKEN = {
    "a\n": "line 2: a key and the place of its object are due",
    "\n": "line 2: a key and the place",
    " a x.ark:1\n": "line 2: a key and the place",
    "a -\n": "line 2: '-' names no file",
    "a b,x.ark\n": "line 2: .* names no file",
    "a x\x01.ark\n": "line 2: control characters",
    "a x.ark:99999999999999999999999\n": "line 2: .*no file is that long",
}


@pytest.mark.parametrize("line", BROKEN)
def test_a_broken_line_is_named(small, tmp_path, line):
    (tmp_path / "a.scp").write_text(f"a {small[0]}:2\n{line}")
    got = kaldi.read_mat_scp(tmp_path / "a.scp")
    next(got)
    with pytest.raises(CorruptDataError, match=f"a.scp: {BROKEN[line]}"):
        list(got)


def test_random_access(small, tmp_path):
    kaldi.write_mat_ark(
        tmp_path / "b.ark", {f"u{i}": torch.full((i, 3), float(i)) for i in range(1, 50)}, scp=tmp_path / "b.scp"
    )
    listed = kaldi.Scp(tmp_path / "b.scp")
    assert len(listed) == 49
    assert list(listed) == [f"u{i}" for i in range(1, 50)]
    assert torch.equal(listed["u30"], torch.full((30, 3), 30.0))
    with pytest.raises(KeyError):
        listed["u50"]
    with pytest.raises(UnknownNameError, match="did you mean 'matrix'"):
        kaldi.Scp(tmp_path / "b.scp", "matrx")


def test_tensors_may_be_written_to(files):
    for reader, name in (
        ("read_mat_ark", "feats.ark"),
        ("read_vec_flt_ark", "conf.ark"),
        ("read_vec_int_ark", "ali.ark"),
    ):
        _, values = next(getattr(kaldi, reader)(files / name))
        values += 1


def test_commands_that_are_allowed(small, tmp_path):
    path, matrix = small
    (tmp_path / "a.scp").write_text(f"a tail -c +3 {path} |\nb tail -c +3 {path} |[1:2]\nc cat {path} && exit 3 |\n")
    with pytest.raises(CorruptDataError, match=r"a.scp: line 1: 'tail .* is a command, and data may not run any"):
        list(kaldi.read_mat_scp(tmp_path / "a.scp"))
    listed = kaldi.Scp(tmp_path / "a.scp", allow_commands=True)
    assert torch.equal(listed["a"], matrix)
    assert torch.equal(listed["b"], matrix[1:3])
    with pytest.raises(CorruptDataError, match="a.scp: line 3: the command ended with status 3"):
        listed["c"]
    assert [key for key, _ in kaldi.read_mat_ark(f"cat {path} |", allow_commands=True)] == ["a"]


FIRST_USE = """
import os, sys
events = []
started = ("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.putenv", "os.unsetenv")
def hook(event, given):
    if event in started or event.split(".")[0] in ("subprocess", "pty"):
        events.append(event)
sys.addaudithook(hook)
before = dict(os.environ)
import datakit.audio
late = {"soundfile", "kaldi_io", "torchaudio"} & set(sys.modules)
del events[:]
list(datakit.audio.kaldi.read_mat_ark(sys.argv[1]))
assert dict(os.environ) == before
assert not late, late
assert "kaldi_io" not in sys.modules
during = list(events)
os.system("true")
print(during, events)
"""


def test_the_first_use_changes_nothing_and_starts_nothing(small):
    """The import of kaldi_io starts a shell, prints, and changes PATH and KALDI_ROOT."""
    environment = {name: value for name, value in os.environ.items() if name != "KALDI_ROOT"}
    command = [sys.executable, "-W", "error", "-c", FIRST_USE, str(small[0])]
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (run.stdout, run.stderr) == ("[] ['os.system']\n", "")


def test_public_names_are_documented_with_examples():
    for name in kaldi.__all__:
        assert ">>>" in getattr(kaldi, name).__doc__, name
