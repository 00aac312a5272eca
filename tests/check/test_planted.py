"""Every defect that a record can have is found, alone and in company, and nothing else is."""

import copy

import pytest
import torch
from planted import COUNT, PLANTS, clean, dataset
from torch.utils.data import DataLoader

from datakit import Loader
from datakit.check.run import CODE_KINDS, check
from datakit.errors import DatakitError

WHERE = 17


def found(parts, ignore=(), **options):
    """The findings by kind, of the records as they are."""
    report = check(parts, cache=False, ignore=[*ignore, *CODE_KINDS], workers=0, **options)
    return {finding.kind: finding for finding in report.findings}


def indices(finding):
    return [offender.place.index for offender in finding.offenders]


@pytest.mark.parametrize("kind", ["masks", "objects", "points", "sounds", "texts"])
def test_nothing_is_found_where_nothing_is_wrong(kind):
    assert not found(dataset(clean(kind)))


@pytest.mark.parametrize(("base", "kind"), sorted(PLANTS), ids=lambda value: value)
def test_a_defect_is_found_alone(base, kind):
    samples = clean(base)
    PLANTS[base, kind](samples[WHERE])
    findings = found(dataset(samples))
    assert set(findings) == {kind}
    assert indices(findings[kind]) == [WHERE]
    assert (findings[kind].count, findings[kind].of) == (1, COUNT)


@pytest.mark.parametrize("base", ["masks", "objects", "points", "sounds", "texts"])
def test_defects_are_found_in_company(base):
    samples, planted = clean(base), [kind for one, kind in sorted(PLANTS) if one == base]
    for place, kind in enumerate(planted):
        PLANTS[base, kind](samples[10 + 2 * place])
    findings = found(dataset(samples))
    for place, kind in enumerate(planted):
        assert 10 + 2 * place in indices(findings[kind]), kind
    assert set(findings) <= {*planted, "drift"}


def test_a_copy_is_no_contradiction_and_a_contradiction_no_copy():
    samples = clean("points")
    samples[5] = copy.deepcopy(samples[30])
    samples[7] = {**copy.deepcopy(samples[20]), "label": (samples[20]["label"] + 1) % 3}
    findings = found(dataset(samples))
    assert set(findings) == {"duplicate", "contradiction"}
    (duplicate,) = findings["duplicate"].offenders
    assert (duplicate.place.index, [place.index for place in duplicate.related]) == (30, [5])
    (contradiction,) = findings["contradiction"].offenders
    assert (contradiction.place.index, [place.index for place in contradiction.related]) == (7, [20])
    labels = {samples[7]["label"], samples[20]["label"]}
    assert set(contradiction.detail.split(", ")) == {("background", "round", "square")[label] for label in labels}


def test_what_is_in_two_splits_is_a_leak_also_where_it_is_labelled_otherwise():
    train, test = clean("points", seed=1), clean("points", seed=2)
    test[3] = copy.deepcopy(train[9])
    test[4] = {**copy.deepcopy(train[10]), "label": (train[10]["label"] + 1) % 3}
    findings = found({"train": dataset(train), "test": dataset(test)})
    assert set(findings) == {"leak", "contradiction"}
    first, second = findings["leak"].offenders
    assert [str(first.place), str(first.related[0])] == ["test[3]", "train[9]"]
    assert [str(second.place), str(second.related[0])] == ["test[4]", "train[10]"]
    assert "2 of 40 records of test" in findings["leak"].text


def test_blank_records_are_no_copies_of_each_other():
    samples = clean("points")
    for place in (4, 8, 9):
        PLANTS["points", "constant"](samples[place])
    findings = found(dataset(samples))
    assert set(findings) == {"constant"}
    assert indices(findings["constant"]) == [4, 8, 9]


def test_a_class_without_records_and_classes_far_apart():
    samples = clean("points")
    for place, sample in enumerate(samples):
        sample["label"] = 0 if place else 1
    findings = found(dataset(samples))
    assert set(findings) == {"empty-class", "imbalance"}
    assert "square" in findings["empty-class"].text
    assert "39 times as many" in findings["imbalance"].text


def test_objects_have_classes_too_and_the_background_is_none():
    samples = clean("objects")
    for sample in samples:
        sample["labels"][:] = 1
    findings = found(dataset(samples))
    assert set(findings) == {"empty-class"}
    assert findings["empty-class"].text.endswith("no objects: square")


def test_a_record_that_cannot_be_read_is_named_with_the_reason():
    class Broken(list):
        def __getitem__(self, index):
            if index == 6:
                raise OSError("disk on fire")
            return super().__getitem__(index)

    made = dataset(Broken(clean("texts")))
    findings = found(made, only=["unreadable"])
    assert indices(findings["unreadable"]) == [6]
    assert findings["unreadable"].offenders[0].detail == "OSError: disk on fire"


def test_images_in_two_units():
    samples = clean("points")
    for place, sample in enumerate(samples):
        sample["image"] = sample["image"].astype("float32") / (1 if place in (3, 4) else 255)
    findings = found(dataset(samples))
    assert indices(findings["drift"]) == [3, 4]
    assert "0 … 1 or normalised in 38 samples, 0 … 255 in 2 samples" in findings["drift"].text


def test_several_sample_rates_are_worth_a_note():
    samples = clean("sounds")
    samples[11]["sample_rate"] = 16000
    finding = found(dataset(samples))["drift"]
    assert (finding.severity, indices(finding)) == ("note", [11])
    assert "Resample(8000)" in finding.hint


def test_only_what_is_asked_for():
    samples = clean("points")
    PLANTS["points", "constant"](samples[1])
    PLANTS["points", "unknown-label"](samples[2])
    assert set(found(dataset(samples), only=["constant"])) == {"constant"}
    assert set(found(dataset(samples), ignore=["constant"])) == {"unknown-label"}


def test_near_copies_are_told_with_how_they_differ():
    train, test = clean("texts", seed=1), clean("texts", seed=2)
    test[6] = {**train[3], "text": train[3]["text"].upper()}
    train[8] = {**train[7], "text": train[7]["text"].replace(" ", "  ")}
    findings = found({"train": dataset(train), "test": dataset(test)})
    assert set(findings) == {"near-leak", "near-duplicate"}
    (leak,), (duplicate,) = (findings[kind].offenders for kind in ("near-leak", "near-duplicate"))
    assert [str(leak.place), str(leak.related[0])] == ["test[6]", "train[3]"]
    assert "in another case" in leak.detail
    assert [str(duplicate.place), str(duplicate.related[0])] == ["train[8]", "train[7]"]


def test_near_copies_that_were_found_before_ctrl_c_are_told():
    samples = clean("texts")
    for place in (1, 3, 5):
        samples[place] = {**samples[place - 1], "text": samples[place - 1]["text"].upper()}

    def stop(what, done, total):
        if what.startswith("looking at pairs") and done == 2:
            raise KeyboardInterrupt

    report = check(dataset(samples), cache=False, only=["near-duplicate"], workers=0, progress=stop)
    assert report.interrupted.startswith("looking at pairs")
    assert [finding.count for finding in report.findings] == [2]


def test_splits_that_number_their_classes_otherwise():
    train, test = dataset(clean("points", seed=1)), dataset(clean("points", seed=2))
    test.classes = ("background", "oval", "round", "square")
    finding = found({"train": train, "test": test})["classes"]
    assert finding.severity == "error"
    assert finding.text.endswith("label 1 is round in one and oval in the other")
    test.classes = (*train.classes, "triangle")
    assert found({"train": train, "test": test})["classes"].severity == "warning"  # the numbers mean the same


def test_a_sample_that_is_none_is_named_and_blames_no_other():
    samples = clean("points")
    samples[8] = None
    findings = found(dataset(samples))
    assert set(findings) == {"unreadable"}
    assert indices(findings["unreadable"]) == [8]


def test_a_dataset_that_normalises_by_itself_is_worth_a_note():
    samples = clean("points")
    for sample in samples:
        sample["image"] = sample["image"].astype("float32") / 127.5 - 1
    (finding,) = found(dataset(samples)).values()
    assert (finding.kind, finding.severity) == ("range", "note")


def test_floating_point_tensors_in_tuples_are_images_in_0_to_1():
    pairs = [(torch.from_numpy(sample["image"]).permute(2, 0, 1) / 255, sample["label"]) for sample in clean("points")]
    assert not found(pairs)


def test_what_a_loader_cannot_stack_is_an_error_there():
    samples = clean("points")
    samples[37]["image"] = samples[37]["image"][:, :, :1]
    made = dataset(samples)
    assert found(made)["drift"].severity == "warning"
    for loader in (Loader(made, 8), DataLoader(made, 8)):
        assert found(made, loader=loader)["drift"].severity == "error"
    assert found(made, loader=DataLoader(made, 8, collate_fn=list))["drift"].severity == "warning"


def test_no_records_are_an_error():
    (finding,) = found([]).values()
    assert (finding.kind, finding.severity) == ("empty", "error")


def test_nothing_left_to_look_for_is_refused():
    with pytest.raises(DatakitError, match="nothing left to look for"):
        check([], only=["leak"], ignore=["leak"])
