"""Lines of text files of any size: what is in them, and what workers keep of them."""

import json
import subprocess
import sys

import numpy as np
import pytest

from datakit import Loader
from datakit.errors import CorruptDataError, MissingDataError, SampleError
from datakit.testing import assert_dataset
from datakit.text import TextLines


@pytest.fixture
def poems(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a.txt").write_bytes("\ufeffärger\r\n\r\n  two \nthree".encode())
    (tmp_path / "b" / "c.txt").write_bytes(b"\n\nfour\n")
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "note.md").write_bytes(b"no\n")
    return tmp_path


def test_lines_are_records_with_their_numbers(poems):
    lines = TextLines(poems)
    assert_dataset(lines)
    assert [(sample["text"], sample["line"]) for sample in lines] == [
        ("ärger", 1),
        ("  two ", 3),
        ("three", 4),
        ("four", 3),
    ]
    assert lines[3]["path"] == str(poems / "b" / "c.txt") == lines.path_of(3)
    assert list(lines.texts()) == [row["text"] for row in lines.records()]
    assert lines.lengths().tolist() == [6, 6, 5, 4]


def test_a_real_file_is_its_lines(tutorial):
    path = tutorial / "data" / "eng-fra.txt"
    assert list(TextLines(path).texts()) == path.read_text("utf-8").strip("\n").split("\n")


def test_lines_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("datakit.files.plain_text._BLOCK", 7)
    rng = np.random.default_rng(1)
    for _ in range(50):
        lines = ["x" * int(rng.integers(0, 9)) for _ in range(12)]
        ending = "\r\n" if rng.random() < 0.5 else "\n"
        (tmp_path / "x.txt").write_bytes((ending.join(lines) + "\nend").encode())
        assert list(TextLines(tmp_path / "x.txt").texts()) == [line for line in lines if line] + ["end"]


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(MissingDataError, match="there is no folder"):
        TextLines(tmp_path / "nothing")
    with pytest.raises(MissingDataError, match="has no lines of text"):
        TextLines(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"good\nb\xffd\ngood\n")
    lines = TextLines(tmp_path)
    with pytest.raises(SampleError, match=r"TextLines\[1\].*line 2, byte 6: 0xff is not UTF-8"):
        lines[1]
    loader = Loader(lines, 3, on_error="skip")
    assert [batch["text"] for batch in loader] == [["good", "good"]]
    assert [failure.index for failure in loader.failures] == [1]
    (tmp_path / "a.txt").write_bytes(b"x" * (2**20 + 1))
    with pytest.raises(CorruptDataError, match=r"a\.txt: line 1: longer than"):
        TextLines(tmp_path)


LINE = f"line {{}} {'x' * 400}\n"
MEASURE = """
import json, sys
import psutil
from datakit import Loader, Mapped, collate
from datakit.text import TextLines, Vocab
from datakit.transforms import Encode

lines, steps = TextLines(sys.argv[1]), int(sys.argv[3])
dataset = Mapped([{"text": text} for text in lines.texts()]) if sys.argv[2] == "list" else lines
vocab = Vocab.words(["line"])
loader = Loader(
    dataset.with_transform(Encode(vocab)), 64, num_workers=2, verify=False, shuffle=True, collate_fn=collate.pad
)
grown, tokens = {}, 0
for step, batch in enumerate(loader):
    tokens += int(batch["length"].sum())
    if step in (8, steps - 1):
        for child in psutil.Process().children():
            grown.setdefault(child.pid, []).append(child.memory_full_info().uss)
print(json.dumps({"tokens": tokens, "grown": [b - a for a, b in grown.values()]}))
"""


def grown(path, kind, steps):
    """How many bytes of private memory two workers have more at this step than at the ninth."""
    command = [sys.executable, "-c", MEASURE, str(path), kind, str(steps)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=250).stdout)
    assert len(found["grown"]) == 2
    return found["tokens"], max(found["grown"])


def test_lines_cost_a_worker_nothing(tmp_path):
    """A list of the same lines is copied by each worker, page by page, as it is read."""
    size = (tmp_path / "x.txt").write_text("".join(LINE.format(number) for number in range(20_000)))
    tokens, more = grown(tmp_path / "x.txt", "lines", 310)
    assert tokens == 3 * 20_000
    assert more < size / 4
    assert grown(tmp_path / "x.txt", "list", 310)[1] > size / 2


@pytest.mark.slow
def test_a_million_lines_cost_a_worker_nothing(tmp_path):
    (tmp_path / "x.txt").write_text("".join(LINE.format(number) for number in range(10**6)))
    assert grown(tmp_path / "x.txt", "lines", 15600)[1] < 20e6
