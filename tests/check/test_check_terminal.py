"""What `check` prints, and its JSON."""

import itertools
import json
import random
import unicodedata
from dataclasses import replace

import click
import numpy as np
import pytest

from datakit.check.findings import Finding, Offender, Part, Place, Report
from datakit.check.kinds import KINDS
from datakit.report.check.document import document
from datakit.report.check.terminal import lines
from datakit.report.check.wording import clean, summary
from datakit.report.text.writing import wide

PARTS = (
    Part("train", "ImageFolder('data/pets/train'): 12000 records, 2 classes: cat, dog", 12000, 12000, 11000),
    Part("test", "ImageFolder('data/pets/test'): 2000 records, 2 classes: cat, dog", 2000, 2000),
)


def offenders(count, part="train", **options):
    return tuple(Offender(Place(part, place, f"cat/{place:04}.jpg"), **options) for place in range(count))


def every_kind():
    """A report with a finding of each kind, the worst first."""
    order = ("error", "warning", "note")
    kinds = sorted(KINDS, key=lambda kind: order.index(KINDS[kind].severity))
    found = tuple(Finding(kind, f"5 records of train show {kind}", 5, 12000, offenders(5)) for kind in kinds)
    return Report("data/pets", PARTS, found, ("Rescale(256)", "ToTensor()"), 64, 3.21, ("memory: no workers",))


LEAK = Finding(
    "leak",
    "2 records of test are in train too",
    2,
    2000,
    (
        Offender(Place("test", 7, "dog/7.jpg"), "", (Place("train", 3, "dog/3.jpg"),)),
        Offender(Place("test", 9, "dog/9.jpg"), "mirrored", tuple(Place("train", place) for place in range(5))),
    ),
)


def plain(report, width=80):
    return lines(report, width, colour=False)


def test_a_finding_says_what_why_what_to_do_and_where():
    assert plain(Report("data/pets", PARTS, (LEAK,), seconds=2.0)) == [
        "data/pets",
        "  train  ImageFolder('data/pets/train'): 12000 records, 2 classes: cat, dog;",
        "         11,000 known from an earlier run",
        "  test   ImageFolder('data/pets/test'): 2000 records, 2 classes: cat, dog",
        "  time   2.0 s",
        "",
        "error leak: 2 records of test are in train too",
        "  why  the test is easier than it says: the model has seen these",
        "  do   take them out of the training split, or make the split by groups",
        "  ·    test[7] dog/7.jpg",
        "         with train[3] dog/3.jpg",
        "  ·    test[9] dog/9.jpg: mirrored",
        "         with train[0]",
        "         with train[1]",
        "         with train[2]",
        "         and 2 more",
        "",
        "1 error in 12,000 records of train and 2,000 of test",
    ]


@pytest.mark.parametrize("width", [1, 40, 60, 80, 120, 200])
def test_every_line_fits(width):
    found = every_kind()
    assert max(map(wide, plain(found, width))) <= max(width, 45)
    assert max(map(wide, plain(found, width))) > min(width, 110) * 0.8 - 10


def test_many_findings_end_in_a_table_of_all_in_their_order():
    report = every_kind()
    printed = plain(report, 100)
    start = next(place for place, line in enumerate(printed) if line.split() == ["finding", "records"])
    rows = [line.split(maxsplit=5) for line in printed[start + 1 : start + 1 + len(KINDS)]]
    assert [(row[0], row[1], " ".join(row[2:5])) for row in rows] == [
        (finding.severity, finding.kind, "5 of 12,000") for finding in report.findings
    ]
    assert all(row[5].rstrip("…") in KINDS[row[1]].title for row in rows)
    assert printed[-1] == summary(report)
    assert printed[start + len(KINDS) + 2] == "note: memory: no workers"
    details = [
        line.split()[1].rstrip(":") for line in printed[:start] if line.startswith(("error ", "warning ", "note "))
    ]
    assert details == [finding.kind for finding in report.findings]


def test_several_findings_of_a_kind_are_told_apart_and_explained_once():
    found = tuple(Finding("drift", f"the key {key} is float32 in 3 of 9 records", 3, 9) for key in ("a", "b", "c", "d"))
    printed = plain(Report("x", PARTS[:1], found))
    for text in (KINDS["drift"].why[:30], KINDS["drift"].hint[:30]):
        assert sum(text in line for line in printed) == 1
    assert [line.split("3 of 9  ")[1] for line in printed if "3 of 9  " in line] == [
        f"the key {one} is float32 in 3 of 9 records" for one in "abcd"
    ]
    other = replace(found[0], advice="do something else")
    assert sum("  why" in line for line in plain(Report("x", PARTS[:1], (*found, other)))) == 2


def test_severity_is_a_word_and_colour_only_adds_to_it():
    report = replace(every_kind(), interrupted="reading records of test")
    coloured = lines(report, 80, colour=True)
    assert [click.unstyle(line) for line in coloured] == plain(report)
    assert any("\x1b[31m" in line for line in coloured)
    assert not any("\x1b" in line for line in plain(report))


def test_what_is_not_listed_is_counted():
    five = Finding("constant", "5 are", 5, 9, offenders(5))
    assert "       and 2 more" in plain(Report("x", PARTS, (five,)))
    assert "       and 997 more" in plain(Report("x", PARTS, (replace(five, count=1000),)))
    assert not [
        line for line in plain(Report("x", PARTS, (replace(five, offenders=offenders(3), count=3),))) if "more" in line
    ]


def test_the_sum_names_what_was_looked_at():
    only = Part("", "Data: 9 records", 9, 9)
    note = Finding("imbalance", "x")
    assert summary(Report("x", (only,), ())) == "nothing found in 9 records"
    assert summary(Report("x", (replace(only, records=1, read=1),), ())) == "nothing found in 1 record"
    assert summary(Report("x", (replace(only, read=4),), (note, note, LEAK))) == "1 error, 2 notes in 4 of 9 records"
    stopped = Report("x", PARTS, (note,), interrupted="reading records of test")
    assert summary(stopped) == "1 note so far in 12,000 records of train and 2,000 of test"
    assert summary(replace(stopped, findings=())).startswith("nothing found so far in 12,000")
    assert summary(Report("x", (), ())) == "nothing found in no records"
    three = (*PARTS, replace(PARTS[0], name="val", records=5, read=5))
    assert summary(Report("x", three, ())).endswith("12,000 records of train, 2,000 of test and 5 of val")


def test_a_check_that_was_stopped_or_found_nothing_says_so():
    stopped = plain(replace(every_kind(), interrupted="reading records of test, 100 of 2,000"), 100)
    assert "stopped at reading records of test, 100 of 2,000: this is what was found so far, and not all" in stopped
    assert plain(Report("x", PARTS[1:], ()))[-3:] == [
        "  test  ImageFolder('data/pets/test'): 2000 records, 2 classes: cat, dog",
        "",
        "nothing found in 2,000 records of test",
    ]


NASTY = "".join(map(chr, [*range(32), *range(0x7F, 0xA0), 0x202A, 0x202E, 0x2066, 0x2069, 0xDC80, 0xDFFF])) + "ab 界é"


def noise(rng):
    return "".join(rng.choice(NASTY) for _ in range(rng.randrange(1, 30)))


def nasty_report(seed):
    rng = random.Random(seed)
    place = [Place(noise(rng), rng.randrange(9), noise(rng)) for _ in range(4)]
    found = tuple(
        Finding(kind, noise(rng), 3, 9, (Offender(place[0], noise(rng), tuple(place[1:])),), noise(rng))
        for kind in rng.sample(sorted(KINDS), 5)
    )
    parts = tuple(Part(noise(rng), noise(rng), 9, 3) for _ in range(2))
    return Report(noise(rng), parts, found, (noise(rng),), 3, 1.0, (noise(rng),), noise(rng))


@pytest.mark.parametrize("seed", range(40))
def test_nothing_of_the_data_reaches_the_terminal_raw(seed):
    for line in plain(nasty_report(seed), 70):
        assert not [char for char in line if unicodedata.category(char) in ("Cc", "Cs")]
        assert not [char for char in line if unicodedata.bidirectional(char) in ("LRE", "RLO", "LRI", "PDI")]


def test_a_text_in_one_line():
    assert clean("a\n\t b\x1b[2J\u202e") == "a bU+001B[2JU+202E"


# --- JSON


def test_the_document_has_everything_under_its_name():
    report = Report(
        "data/pets", PARTS, (LEAK, Finding("imbalance", "9 to 1", advice="weigh")), ("Rescale(9)",), 64, 1.23456
    )
    made = document(report)
    assert made.pop("datakit")
    assert made == {
        "schema": 1,
        "target": "data/pets",
        "counts": {"error": 1, "warning": 0, "note": 1},
        "parts": [
            {"name": "train", "dataset": PARTS[0].dataset, "records": 12000, "read": 12000, "cached": 11000},
            {"name": "test", "dataset": PARTS[1].dataset, "records": 2000, "read": 2000, "cached": 0},
        ],
        "chain": ["Rescale(9)"],
        "looked": 64,
        "findings": [
            {
                "kind": "leak",
                "severity": "error",
                "title": "the same content in two splits",
                "text": "2 records of test are in train too",
                "count": 2,
                "of": 2000,
                "why": KINDS["leak"].why,
                "hint": KINDS["leak"].hint,
                "offenders": [
                    {
                        "part": "test",
                        "index": 7,
                        "path": "dog/7.jpg",
                        "detail": "",
                        "related": [{"part": "train", "index": 3, "path": "dog/3.jpg"}],
                    },
                    {
                        "part": "test",
                        "index": 9,
                        "path": "dog/9.jpg",
                        "detail": "mirrored",
                        "related": [{"part": "train", "index": place, "path": None} for place in range(5)],
                    },
                ],
            },
            {
                "kind": "imbalance",
                "severity": "note",
                "title": "classes far apart in size",
                "text": "9 to 1",
                "count": 0,
                "of": 0,
                "why": KINDS["imbalance"].why,
                "hint": "weigh",
                "offenders": [],
            },
        ],
        "notes": [],
        "interrupted": "",
        "seconds": 1.235,
    }


@pytest.mark.parametrize("seed", range(10))
def test_the_document_survives_json(seed):
    made = document(nasty_report(seed))
    text = json.dumps(made, ensure_ascii=False, allow_nan=False)
    assert json.loads(text.encode("utf-8")) == made


def test_numbers_of_numpy_are_numbers():
    place = Place("", np.int64(3), None)
    report = Report(
        "x", (Part("", "d", np.int64(9), np.int32(9)),), (Finding("leak", "x", np.int64(1), 9, (Offender(place),)),)
    )
    made = json.loads(json.dumps(document(report), allow_nan=False))
    assert made["findings"][0]["offenders"][0]["index"] == 3
    assert list(itertools.chain(made["parts"][0].values())) == ["", "d", 9, 9, 0]
