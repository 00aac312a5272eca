"""Bad archives, script files and data directories: our errors with a place, at once, in little memory; nothing runs."""

import json
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from datakit.audio import kaldi

CASES = {  # name: (how it is read, what is in `bad`, what the message says)
    "command before a space": ("scp", b"a touch hacked |\n", r"bad: line 1: 'touch hacked \|' is a command"),
    "command with an offset": ("scp", b"a u touch${IFS}hacked|:5\n", r"bad: line 1: .* a '\|' where no command"),
    "command with a range": ("scp", b"a touch hacked|[0:1]\n", "bad: line 1: .* is a command"),
    "command in second place": ("scp", b"a |touch hacked\n", r"bad: line 1: .* a '\|' where no command"),
    "command after a key of two words": ("scp", b"a u |touch hacked\n", r"bad: line 1: .* a '\|' where no command"),
    "command as a path": ("touch hacked |", b"", r"touch hacked \|: .* is a command"),
    "command behind a prefix": ("scp:touch hacked |", b"", "is a command"),
    "command as a path to write to": ("| touch hacked", b"", r"a '\|' where no command"),
    "command with line breaks": ("scp", b"a touch hacked\r|\r\n", "bad: line 1: control characters"),
    "backquotes": ("scp", b"a `touch hacked`\n", "bad: line 1: `touch hacked`: there is no such file"),
    "a variable": ("scp", b"a $(touch hacked).ark:2\n", r"bad: line 1: \$\(touch hacked\).ark: there is no such file"),
    "archive cut in a matrix": (
        "mat",
        b"a \0BFM \4\2\0\0\0\4\3\0\0\0" + bytes(20),
        "bad: byte 17: truncated: 24 bytes",
    ),
    "archive cut in a size": (
        "mat",
        b"a \0BFM \4\2\0\0",
        "bad: byte 7: truncated: 5 bytes are due",
    ),
    "archive cut in a key": ("mat", b"abc", "bad: byte 0: the file ends within or after the key b'abc'"),
    "negative rows": ("mat", b"a \0BFM \4\xff\xff\xff\xff\4\1\0\0\0" + bytes(99), "bad: byte 7: -1 rows"),
    "negative columns": ("mat", b"a \0BDM \4\1\0\0\0\4\0\0\0\x80" + bytes(99), "bad: byte 12: -2147483648 columns"),
    "negative vector": ("flt", b"a \0BFV \4\xff\xff\xff\xff" + bytes(99), "bad: byte 7: -1 elements"),
    "negative integers": ("int", b"a \0B\4\xff\xff\xff\xff" + bytes(99), "bad: byte 4: -1 elements"),
    "negative compressed": ("mat", b"a \0BCM " + bytes(8) + b"\xff\xff\xff\xff\1\0\0\0", "bad: byte 7: .* of -1 x 1"),
    "overflowing matrix": ("mat", b"a \0BFM " + b"\4\xff\xff\xff\x7f" * 2 + bytes(99), "bad: byte 17: truncated: 18,4"),
    "overflow to little": (
        "mat",
        b"a \0BFM \4\1\0\1\0\4\0\0\1\0" + bytes(99),
        "bad: byte 17: truncated: 17,180",
    ),
    "overflowing compressed": ("mat", b"a \0BCM " + bytes(8) + b"\xff\xff\xff\x7f" * 2, "bad: byte 23: truncated"),
    "overflowing vector": ("flt", b"a \0BDV \4\xff\xff\xff\x7f" + bytes(99), "bad: byte 12: truncated: 17,179,869,176"),
    "overflowing integers": ("int", b"a \0B\4\xff\xff\xff\x7f" + bytes(99), "bad: byte 9: truncated: 10,737,418,235"),
    "overflowing frames": ("post", b"a \0B\4\xff\xff\xff\x7f" + bytes(99), "bad: byte 9: truncated"),
    "text unclosed": (
        "mat",
        b"a  [\n  1 2\n  3 4\n",
        "bad: byte 17: truncated: the matrix that is opened",
    ),
    "text unclosed, and more": (
        "mat",
        b"a  [\n  1 2\nb  [\n  3 4 ]\n",
        "bad: byte 11: numbers are due here",
    ),
    "text vector unclosed": ("flt", b"a  [ 1 2\nb  [ 3 ]\n", "bad: byte 2: a vector is opened and not closed"),
    "ragged text": ("mat", b"a  [\n  1 2\n  3 4 5 ]\n", "bad: byte 11: ragged: a row of 3 numbers after rows of 2"),
    "no numbers": ("mat", b"a  [\n  1 two ]\n", "bad: byte 5: numbers are due here, and there is b'wo '"),
    "too large a number": ("flt", b"a  [ 1e99 ]\n", "bad: byte 2: a number is beyond float32"),
    "too large an integer": ("int", b"a 99999999999\n", "bad: byte 2: a number cannot be read"),
    "offset past the end": ("scp", b"a good.ark:99999\n", "bad: line 1: offset 99,999 is past the end of good.ark, 41"),
    "offset at the end": ("scp", b"a good.ark:41\n", "bad: line 1: offset 41 is past the end of good.ark"),
    "offset into the middle": ("scp", b"a good.ark:7\n", "bad: line 1: good.ark: byte 7: "),
    "bad range": (
        "scp",
        b"a good.ark:2[0:9,2:1]\n",
        r"bad: line 1: range \[0:9,2:1\] is not within",
    ),
    "range of letters": ("scp", b"a good.ark:2[a:b]\n", r"bad: line 1: .* no range such as"),
    "broken line": ("scp", b"a good.ark:2\nb\n", "bad: line 2: a key and the place of its object are due"),
    "script of NULs": ("scp", bytes(99), "bad: line 1: "),
    "script in UTF-16": ("scp", "a good.ark:2\n".encode("utf-16"), "bad: line 1: byte 0: not UTF-8"),
    "CM2 header before a CM body": ("cm2", b"", "feats_cm2.ark: byte 24: truncated: 520 bytes are due"),
    "CM9 header": ("mat", b"a \0BCM9 " + bytes(16), "bad: byte 2: the header of a matrix .* 'CM9 '"),
    "CM2 cut": ("mat", b"a \0BCM2 " + bytes(8) + b"\2\0\0\0\2\0\0\0" + bytes(7), "bad: byte 24: truncated: 8 bytes"),
    "CM of no number": (
        "mat",
        b"a \0BCM \0\0\xc0\x7f" + bytes(4) + b"\1\0\0\0" * 2 + bytes(9),
        "no finite number",
    ),
    "HTML": ("mat", b"<html><body>not found</body></html>", "bad: byte 16: a matrix as text begins with"),
    "pickle": ("mat", b"cos\nsystem\n(S'touch hacked'\ntR.", "bad: byte "),
    "key without end": ("mat", b"k" * 10**6, "bad: byte 0: a key is due here"),
    "gzip cut": ("gz", b"\x1f\x8b\x08\0\0\0\0\0\0\3abc", "bad.gz: broken gzip"),
    "gzip bomb": ("bomb", b"", "bomb.gz: byte 17: 1,600,000,000 bytes in one object, over the limit"),
    "text line without end": ("long", b"", "long.ark: byte 2: a line of more than 4,194,304 bytes"),
    "a folder": ("folder", b"", "folder: a folder, not an archive"),
    "a pipe of the file system": ("fifo", b"", "fifo: not a regular file"),
    "audio by a command": ("waveform", b"", r"KaldiData\[0\]: .*data/wav.scp: line 1: 'touch hacked \|' is a command"),
    "features by a command": ("features", b"", r"data/feats.scp: line 1: .* a '\|' where no command to read from ends"),
    "no file": ("nothing.ark", b"", "nothing.ark: there is no such file"),
}
SETUP = """
    import gzip, io, json, os, resource, sys, time, warnings
    import numpy as np
    from datakit.audio import kaldi
    from datakit.audio.kaldi import kaldi_package
    from datakit.errors import DatakitError
    warnings.simplefilter("error")
    READERS = {"mat": kaldi.read_mat_ark, "flt": kaldi.read_vec_flt_ark, "int": kaldi.read_vec_int_ark,
               "post": kaldi.read_post_ark, "time": kaldi.read_cntime_ark, "scp": kaldi.read_mat_scp}
    kaldi_package.kaldi_io()
    import soundfile
    list(kaldi.read_mat_scp("good.scp"))  # everything is imported now
    events = []
    def watch(event, given):
        writes = event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes or event.split(".")[0] in ("subprocess", "socket", "shutil", "ctypes", "pty") or event in (
                "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.remove", "os.rename", "os.mkdir"):
            events.append(f"{event} {given}"[:200])
    sys.addaudithook(watch)
    pages = int(open("/proc/self/statm").read().split()[0])
    most = pages * resource.getpagesize() + (512 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    def read(how, path):
        if how in ("waveform", "features"):
            return sum(1 for _ in kaldi.KaldiData("data", parts=[how]))
        if how in READERS:
            return sum(1 for _ in READERS[how](path))
        own = {"gz": "bad.gz", "cm2": "feats_cm2.ark", "bomb": "bomb.gz", "long": "long.ark"}.get(how, how)
        return sum(1 for _ in (kaldi.read_vec_flt_ark if how == "long" else kaldi.read_mat_ark)(own))
    def tried(*given):
        start = time.perf_counter()
        try:
            said = f"PASSED {read(*given)}"
        except DatakitError as error:
            said = str(error)
        except Exception as error:
            said = f"NOT OURS: {type(error).__name__}: {error}"
        return said, time.perf_counter() - start
"""
READ = (
    SETUP
    + """
    print(json.dumps([tried(how, path) for how, path in json.load(sys.stdin)]))
    during = list(events)
    os.system("true")  # the hook does see such a thing
    print(json.dumps([during, events[len(during):]]))
"""
)


def ran(folder, code, given=""):
    kaldi.write_mat_ark(folder / "good.ark", {"a": torch.arange(6.0).reshape(3, 2)}, scp=folder / "good.scp")
    (folder / "good.scp").write_text("a good.ark:2\n")
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, input=given, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not (folder / "hacked").exists()
    return list(map(json.loads, done.stdout.splitlines()))


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Case -> (what was said, seconds); and what else happened meanwhile."""
    import gzip
    import os

    folder = tmp_path_factory.mktemp("kaldi_damage")
    kaldi.write_mat_ark(folder / "feats_cm2.ark", {"a": torch.rand(20, 13)}, compressed=True)
    (folder / "feats_cm2.ark").write_bytes((folder / "feats_cm2.ark").read_bytes().replace(b"CM ", b"CM2 ", 1))
    with gzip.open(folder / "bomb.gz", "wb", 1) as file:
        file.write(b"a \0BFM \4" + (20000).to_bytes(4, "little") + b"\4" + (20000).to_bytes(4, "little"))
        for _ in range(20):
            file.write(bytes(2**20))
    (folder / "long.ark").write_bytes(b"a " + b"1 " * (5 << 20) + b"\n")
    (folder / "folder").mkdir()
    lists = {"utt2spk": {"a": "a"}, "wav.scp": {"a": "touch hacked |"}, "feats.scp": {"a": "|touch hacked"}}
    kaldi.write_data_dir(folder / "data", lists)
    os.mkfifo(folder / "fifo")
    given = []
    for number, (how, data, _) in enumerate(CASES.values()):
        name = "bad.gz" if how == "gz" else "bad"
        (folder / str(number)).mkdir()
        path = folder / (name if how == "gz" else f"{number}/bad")
        path.write_bytes(data)
        given.append((how, str(path)))
    said, events = ran(folder, READ, json.dumps(given))
    return dict(zip(CASES, said, strict=True)), events


@pytest.mark.parametrize("case", CASES)
def test_a_bad_file_is_an_error_with_its_place(told, case):
    said, seconds = told[0][case]
    assert re.search(CASES[case][2], said), said
    assert not said.startswith(("NOT OURS", "PASSED"))
    assert seconds < 5


def test_nothing_runs_and_nothing_is_written(told):
    during, after = told[1]
    assert during == []
    assert [event.split()[0] for event in after] == ["os.system"]


FUZZ = (
    SETUP
    + """
    def mutated(data, rng):
        data = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            at, kind = int(rng.integers(len(data))), rng.integers(6)
            if kind == 0: data[at] = rng.integers(256)
            elif kind == 1: data[at] ^= 1 << rng.integers(8)
            elif kind == 2: del data[at:at + (10 ** 6 if rng.random() < 0.5 else rng.integers(1, 9))]
            elif kind == 3: data[at:at] = rng.bytes(rng.integers(1, 9))
            elif kind == 4: data[at:at + 4] = [b"\\xff" * 4, b"\\xff\\xff\\xff\\x7f", bytes(4)][rng.integers(3)]
            else: data[at:at] = data[:rng.integers(1, 30)]
            if not data: data = bytearray(b"x")
        return bytes(data)
    class Stream(io.RawIOBase):  # of unknown length
        def __init__(self, data): self.rest = io.BytesIO(data)
        def readable(self): return True
        def readinto(self, buffer): return self.rest.readinto(buffer)
    seeds = [(how, open(path, "rb").read()) for how, path in json.load(sys.stdin)]
    rng, counts, worst = np.random.default_rng(0), {}, 0.0
    for number in range(6000):
        how, data = seeds[number % len(seeds)]
        data = mutated(data, rng)
        if how == "scp":
            open_ = io.BytesIO(data)
        else:
            open_ = io.BytesIO(data) if number % 3 else io.BufferedReader(Stream(data))
        said, seconds = tried(how, open_)
        kind = said.split()[0] if said.startswith(("NOT", "PASSED")) else "error"
        if said.startswith("NOT"):
            print(json.dumps([how, said, repr(data)]))
        counts[how + " " + kind] = counts.get(how + " " + kind, 0) + 1
        worst = max(worst, seconds)
    print(json.dumps([counts, worst, events]))
"""
)


def test_six_thousand_mutations(tmp_path):
    """Binary and text archives and a script file, from files and from streams."""
    rng = np.random.default_rng(1)
    matrix, vector, numbers = rng.normal(size=(9, 3)).astype(np.float32), rng.normal(size=5), rng.integers(0, 99, 6)
    keys = ("one", "two")
    for name, text in (("binary", False), ("text", True)):
        kaldi.write_mat_ark(tmp_path / f"mat.{name}", dict.fromkeys(keys, matrix), text=text)
        kaldi.write_vec_flt_ark(tmp_path / f"flt.{name}", dict.fromkeys(keys, vector), text=text)
        kaldi.write_vec_int_ark(tmp_path / f"int.{name}", dict.fromkeys(keys, numbers), text=text)
    kaldi.write_mat_ark(tmp_path / "mat.cm", dict.fromkeys(keys, matrix), compressed=True)
    kaldi.write_mat_ark(tmp_path / "mat.cm2", dict.fromkeys(keys, matrix[:4]), compressed=True)
    pairs = b"one \0B\4\2\0\0\0" + (b"\4\2\0\0\0" + b"\4\1\0\0\0\4\0\0\0\x3f" * 2) * 2
    (tmp_path / "post.binary").write_bytes(pairs)
    (tmp_path / "time.binary").write_bytes(b"one \0B\4\2\0\0\0" + b"\4\0\0\0\x3e\4\0\0\0\x3f" * 2)
    (tmp_path / "scp.text").write_text("a good.ark:2\nb good.ark:2[0:1]\nc good.ark:2[:,1:1]\nd cat good.ark |\n")
    files = sorted(path for path in tmp_path.iterdir() if path.suffix != ".ark")
    *wrong, (counts, worst, events) = ran(tmp_path, FUZZ, json.dumps([(path.stem, str(path)) for path in files]))
    assert wrong == []
    assert events == []
    assert worst < 5
    assert sum(counts.values()) == 6000
    for how in ("mat", "flt", "int", "post", "time", "scp"):
        assert counts[f"{how} error"] > 200, counts  # mutations are seen, and some leave a whole file
    assert sum(count for kind, count in counts.items() if kind.endswith("PASSED")) > 300, counts
