"""The page on `datakit check`: every kind of finding is explained there, and what it shows of real data is so.

That its examples run and print what stands below them is tested with those of all pages, in test_documents.py.
"""

import json
import re
from pathlib import Path

import pytest

from datakit.check import KINDS, check
from datakit.check.parts import open_parts
from datakit.report.check.document import document
from datakit.report.check.terminal import lines

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "checking.md").read_text()
FINDINGS = PAGE.split("## Every finding\n")[1]
SECTIONS = {
    name: text for name, _, text in (part.partition("\n") for part in re.split(r"^### ", FINDINGS, flags=re.M)[1:])
}
BLOCK = re.compile(r"^```python\n(.*?)^```\n\n^```text\n(.*?)^```$", re.M | re.S)


def test_each_kind_has_a_section_in_their_order():
    assert list(SECTIONS) == list(KINDS)


def test_the_table_lists_them_with_their_severity():
    rows = re.findall(r"^\| \[`([\w-]+)`\]\(#([\w-]+)\) \| (\w+) \|", FINDINGS, re.M)
    assert rows == [(name, name, about.severity) for name, about in KINDS.items()]


@pytest.mark.parametrize("name", KINDS)
def test_the_example_of_a_kind_shows_a_finding_of_it(name):
    severity = KINDS[name].severity
    assert SECTIONS[name].lstrip().startswith(f"**{severity}.** ")
    ((code, shown),) = BLOCK.findall(SECTIONS[name])
    assert re.findall(r"^(error|warning|note) ([\w-]+)", shown, re.M) == [(severity, name)]
    assert f'only=["{name}"]' in code


@pytest.mark.parametrize("name", KINDS)
def test_a_section_says_more_than_the_terminal_does(name):
    about, text = KINDS[name], " ".join(SECTIONS[name].split())
    assert about.why not in text
    assert about.hint not in text
    assert len(BLOCK.sub("", SECTIONS[name]).split()) > 25


def test_the_json_document_is_as_shown():
    shown = json.loads(re.search(r"^```json\n(.*?)^```$", PAGE, re.M | re.S)[1])
    parts = {"train": [{"text": "to be"}, {"text": "or not"}], "test": [{"text": "to be"}]}
    made = document(check(parts, target="mycode.train:splits", only=["leak"]))
    assert list(made) == list(shown)
    assert {**made, "seconds": 0} == {**shown, "seconds": 0}


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("faces", "faces --root data"),
        pytest.param("data/hymenoptera_data", "data/hymenoptera_data", marks=pytest.mark.slow),
    ],
)
def test_the_output_on_real_data_is_as_shown(name, line, faces, hymenoptera, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    (Path("data") / "faces").symlink_to(faces.root / "faces")
    (Path("data") / "hymenoptera_data").symlink_to(hymenoptera)
    opened = open_parts([name], root="data" if "--root" in line else None)
    report = check(opened.parts, target=opened.name, notes=opened.notes)
    shown = PAGE.split(f"$ datakit check {line}\n```\n\n```text\n")[1].split("pictures: ")[0]
    assert without_time("\n".join(lines(report, 84, colour=False))) == without_time(shown.rstrip())


def without_time(text):
    return re.sub(r"^  time +[\d.]+ s$", "", text, flags=re.M)
