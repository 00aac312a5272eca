"""What a chain brings about, and what keeps samples from a batch."""

import subprocess

import numpy as np
import planted_code as planted
import psutil
import pytest
import torch
from planted_code import Clean

from datakit import Loader, Mapped, collate
from datakit.check import children, code
from datakit.check.code import code_findings
from datakit.text import Vocab
from datakit.transforms import Compose, Encode, Normalize, RandomCrop, Rescale, ToTensor

IMAGENET = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(autouse=True)
def _only_the_chain(monkeypatch):
    for name in ("_files", "_memory", "_elsewhere"):
        monkeypatch.setattr(code._Check, name, lambda self: ())


def found(dataset, loader=None, **options):
    return [one for one in code_findings(dataset, loader, **options) if one.kind != "unpicklable"]


def only(dataset, kind, loader=None):
    (finding,) = found(dataset, loader)
    assert finding.kind == kind, finding
    return finding


def test_a_transform_that_fails_for_some_records():
    finding = only(Clean(transform=Compose([planted.fails_for_some, ToTensor()])), "chain")
    assert finding.text.startswith("fails_for_some fails for 4 of 40 samples: Clean[")
    assert {offender.place.index for offender in finding.offenders} == {3, 13, 23, 33}
    assert "no good" in finding.offenders[0].detail


def test_one_that_fails_by_chance_fails_in_another_epoch():
    findings = [one for one in found(Clean(transform=planted.fails_by_chance)) if one.kind == "chain"]
    assert any("and not in epoch 0" in finding.text for finding in findings)
    assert all("out of luck" in finding.text for finding in findings)


def test_a_record_that_cannot_be_loaded_is_for_another_check():
    class Broken(Clean):
        def load(self, record):
            if record.number == 5:
                raise OSError("cut off")
            return super().load(record)

    assert [one.kind for one in found(Broken(transform=ToTensor()))] == []


@pytest.mark.parametrize(
    ("chain", "kind", "text"),
    [
        ([planted.divides, planted.divides, ToTensor()], "normalized", "divided by 255 twice"),
        ([ToTensor(), IMAGENET, IMAGENET], "normalized", "normalised values lie within about -3 … 3"),
        ([ToTensor(), Normalize((123.7, 116.3, 103.5), (58.4, 57.1, 57.4))], "normalized", "as for 0 … 255"),
        ([planted.gives_nan], "not-finite", "image has"),
        ([ToTensor(), lambda sample: {**sample, "image": sample["image"] * 255}], "range", "still 0 … 255"),
        ([lambda sample: {**sample, "image": sample["image"] * 0}], "constant", "same value in every pixel"),
    ],
)
def test_values_that_the_chain_spoils(chain, kind, text):
    (finding,) = found(Clean(transform=Compose(chain)))
    assert (finding.kind, finding.count, finding.of) == (kind, 40, 40)
    assert text in finding.text


@pytest.mark.parametrize(
    ("chain", "kind", "text"),
    [
        (planted.some_grey, "drift", "the channels of image differ at the end of the chain: 3 channels in 32 samples"),
        (planted.some_half, "drift", "the type of value differs at the end of the chain: float32"),
        (planted.some_key, "missing-key", "10 of 40 samples have no extra at the end of the chain"),
    ],
)
def test_forms_that_differ_between_samples(chain, kind, text):
    findings = [one for one in found(Clean(transform=chain)) if one.kind != "batch"]
    (finding,) = findings
    assert finding.kind == kind
    assert finding.text.startswith(text)
    assert finding.offenders


def test_what_differs_as_loaded_is_for_another_check():
    class Grey(Clean):
        def load(self, record):
            return planted.some_grey({**super().load(record), "index": record.number})

    assert [one.kind for one in found(Grey(transform=planted.draws_globally))] == ["batch"]


def test_trouble_as_loaded_is_for_another_check():
    def made(index):
        points = np.full((5, 2), np.nan if index == 3 else 90.0, np.float32)
        return {"image": planted.picture(index), "landmarks": points}

    assert found(Mapped([made(index) for index in range(8)], transform=ToTensor())) == []


def test_coordinates_in_two_units():
    def made(index):
        boxes = np.array([[2, 3, 12, 13]], np.float32) / (1 if index % 4 else 24)
        return {"image": planted.picture(index), "boxes": boxes, "labels": np.ones(1, np.int64)}

    findings = found(Mapped([{"number": n} for n in range(20)], transform=lambda one: made(one["number"])))
    (finding,) = (one for one in findings if one.kind == "drift")
    assert finding.text.startswith("the units of boxes differ at the end of the chain: pixels in 15 samples, shares")


def test_samples_of_different_sizes_make_no_batch():
    class Sizes(Clean):
        def load(self, record):
            return {"image": planted.picture(record.number, 20 + record.number), "label": 0}

    finding = only(Sizes(transform=ToTensor()), "batch")
    assert "image keeps the batch from being made" in finding.text
    assert found(Sizes()) == []  # raw samples need not fit
    assert found(Sizes(transform=Compose([Rescale(24), RandomCrop(20), ToTensor()]))) == []
    assert only(Sizes(), "batch", Loader(Sizes(), 4)).severity == "error"  # but in a loader of one's own they must
    assert found(Sizes(), Loader(Sizes(), 4, collate_fn=list)) == []


def test_a_collate_function_that_fails():
    def collate_fn(samples):
        raise KeyError("points")

    dataset = Clean(transform=ToTensor())
    assert "KeyError" in only(dataset, "batch", Loader(dataset, 4, collate_fn=collate_fn)).text


def test_padding_with_a_token():
    vocab = Vocab("abc", "characters", specials={})
    texts = [{"text": "abc" * (1 + n % 3)} for n in range(12)]
    dataset = Mapped(texts, transform=Encode(vocab))
    findings = found(dataset, Loader(dataset, 4, collate_fn=collate.pad))
    assert [one.kind for one in findings] == ["padding"]
    assert findings[0].severity == "warning"


def test_text_that_a_vocabulary_does_not_know():
    vocab = Vocab.characters(["abc"])
    strange = Mapped([{"text": "xyzxyzab"} for _ in range(12)], transform=Encode(vocab))
    (finding,) = (one for one in found(strange) if one.kind == "unknown-text")
    assert finding.text.startswith("75% of tokens are unknown to the vocabulary: 72 of 96")
    assert (finding.count, finding.severity) == (12, "warning")
    texts = ["abcabcabca"] * 60 + ["vwxyzvw"]
    (finding,) = found(Mapped([{"text": text} for text in texts], transform=Encode(vocab)))
    assert (finding.kind, finding.count, finding.severity) == ("unknown-text", 1, "note")
    assert finding.offenders[0].place.index == 60


def test_splits_that_are_classes():
    dataset = Clean(transform=ToTensor())
    dataset.classes = ["train", "val", "test"]
    assert only(dataset, "split-folders").severity == "warning"


def test_a_chain_that_is_one_of_a_dataset_inside():
    inner = Clean(transform=ToTensor())
    outer = torch.utils.data.Subset(inner, range(10))
    assert found(Mapped(outer)) == []


def test_a_read_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(code, "_PATIENCE", 1.0)
    finding = only(planted.Hanging(), "chain")
    assert "did not come to its end: nothing came back for 1 seconds" in finding.text
    assert finding.offenders[0].place.index % 5 == 2


def test_a_read_that_ends_the_process_is_named():
    finding = only(planted.Dying(), "chain")
    assert "its process ended with signal 9 (SIGKILL)" in finding.text
    assert finding.offenders[0].place.index % 5 == 2


def test_ctrl_c_gives_what_was_found_so_far():
    def stop(what, done, total):
        if done == 30:
            raise KeyboardInterrupt

    texts, was_stopped = [], False
    try:
        for one in code_findings(Clean(transform=planted.fails_for_some), progress=stop):
            texts.append(one.text)
    except KeyboardInterrupt:
        was_stopped = True
    assert was_stopped
    assert texts[0].startswith("fails_for_some fails for")


def test_what_a_probe_started_is_killed_with_it():
    def work():
        yield subprocess.Popen(["sleep", "100"]).pid
        planted.time.sleep(100)

    probe = children.attended(work, 5)
    started = next(probe)
    assert psutil.pid_exists(started)
    probe.close()
    planted.time.sleep(0.1)
    assert not psutil.pid_exists(started) or psutil.Process(started).status() == psutil.STATUS_ZOMBIE


def test_no_process_is_left():
    before = set(psutil.Process().children(recursive=True))
    list(children.attended(lambda: range(3), 10))
    given_up = children.attended(lambda: iter([planted.time.sleep(100)]), 0.2)
    with pytest.raises(children.ProbeError, match=r"nothing came back for 0\.2 seconds"):
        next(given_up)

    def grandchild():
        yield from children.attended(lambda: iter([1, planted.time.sleep(100)]), 50)

    outer = children.attended(grandchild, 0.3)
    with pytest.raises(children.ProbeError):
        list(outer)
    with pytest.raises(children.ProbeError, match="ValueError: no good"):
        list(children.attended(lambda: map(planted.fails_for_some, [{"index": 3}]), 5))
    planted.time.sleep(0.05)
    left = set(psutil.Process().children(recursive=True)) - before
    assert not [one for one in left if "resource_tracker" not in str(one.cmdline())]
