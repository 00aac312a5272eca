"""Asking for some kinds finds them as a whole check does, and runs no more than they need."""

import numpy as np
import pytest
import torch
from planted import clean
from planted_code import Clean, Keeping

from datakit import Mapped
from datakit.check import check, code
from datakit.transforms import Compose, Normalize, ToTensor


def doubled(sample):
    return {**sample, "image": sample["image"] * 255}


def without(sample):
    return {key: value for key, value in sample.items() if key != "label" or sample["index"] % 2}


@pytest.mark.parametrize(
    ("chain", "kind"),
    [
        ([ToTensor(), doubled], "range"),
        ([ToTensor(), Normalize((123.7, 116.3, 103.5), (58.4, 57.1, 57.4))], "normalized"),
        ([without], "missing-key"),
    ],
)
def test_what_a_chain_does_to_the_samples_is_found_alone(chain, kind):
    (finding,) = check(Clean(transform=Compose(chain)), only=[kind], cache=False).findings
    assert finding.kind == kind


def test_tokens_are_looked_at_as_loaded_too():
    numbers = [{"tokens": torch.arange(3 + n, dtype=torch.int32)} for n in range(4)]
    (finding,) = check(Mapped(numbers), only=["tokens"], cache=False).findings
    assert (finding.kind, finding.count) == ("tokens", 4)


@pytest.fixture
def ran(monkeypatch):
    """The probes that ran, by name."""
    names = []
    for name in ("_chain", "_files", "_memory", "_batch", "_elsewhere"):
        monkeypatch.setattr(code._Check, name, lambda self, name=name: names.append(name) or ())
    return names


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (["generator"], []),
        (["split-folders", "generator"], []),
        (["duplicate"], []),
        (["chain"], ["_chain"]),
        (["handle"], ["_chain", "_files"]),
        (["memory"], ["_chain", "_memory"]),
        (["padding"], ["_chain", "_batch"]),
        (["impure"], ["_chain", "_elsewhere"]),
        ([], ["_chain", "_files", "_memory", "_batch", "_elsewhere"]),
    ],
)
def test_only_what_is_needed_runs(only, expected, ran):
    check(Clean(), only=only, cache=False)
    assert ran == expected


class Weighing:
    """A transform whose equality is an array."""

    def __init__(self):
        self.weights = np.ones(3)

    def __eq__(self, other):
        return self.weights == other.weights

    __hash__ = None

    def __call__(self, sample):
        return sample


def test_splits_of_one_class_share_the_probes_and_others_do_not(ran):
    chain = ToTensor()
    check({"train": Clean(transform=chain), "test": Clean(transform=chain)}, only=["handle"], cache=False)
    assert ran.count("_files") == 1
    check({"train": Clean(transform=Weighing()), "test": Clean(transform=Weighing())}, only=["handle"], cache=False)
    assert ran.count("_files") == 3


def test_datasets_of_other_libraries_have_code_of_their_own(tmp_path):
    (tmp_path / "records.bin").write_bytes(bytes(1000))

    class Records(list):
        def __init__(self, file):
            super().__init__([{"value": 1.5}] * 4)
            self.file = file

    with open(tmp_path / "records.bin", "rb") as file:
        (finding,) = check({"train": Records(None), "test": Records(file)}, only=["handle"], cache=False).findings
    assert finding.text.startswith("dataset.file is an open BufferedReader")


def test_code_is_not_run_for_records_without_a_chain(ran):
    check(Mapped(clean("points")), only=["range"], cache=False)
    assert ran == []


def test_so_many_as_there_are_were_looked_at(ran):
    parts = {"train": Clean(n=30), "test": Clean(n=9)}
    assert check(parts, looked=64, cache=False).looked == 30
    assert check(parts, looked=20, cache=False).looked == 20
    assert check(parts, only=["duplicate"], cache=False).looked == 0


@pytest.mark.slow
def test_memory_is_found_when_it_alone_is_asked_for():
    (finding,) = check(Keeping(), only=["memory"], cache=False).findings
    assert finding.text.startswith("a process that reads records grows by ")
    assert np.allclose(float(finding.text.split(" by ")[1].split()[0]), 49.2, rtol=0.3)
