"""Samples that are no function of their key, planted and found."""

import numpy as np
import planted_code as planted
import pytest
import torch
from planted_code import Clean

from datakit import Subset
from datakit.check import code
from datakit.check.code import code_findings
from datakit.check.purity import kept_memory, makes_its_own, reseeded
from datakit.inspection.records import inspected
from datakit.inspection.spectrum import steps_by_name
from datakit.sampling import Key
from datakit.transforms import Compose, RandomHorizontalFlip, ToTensor


@pytest.fixture
def quick(monkeypatch):
    """Without the probes that this file is not about."""
    for name in ("_files", "_memory", "_batch"):
        monkeypatch.setattr(code._Check, name, lambda self: ())


@pytest.fixture
def here_only(quick, monkeypatch):
    monkeypatch.setattr(code._Check, "_elsewhere", lambda self: ())


def found(dataset, **options):
    return list(code_findings(dataset, **options))


def only(dataset, kind):
    (finding,) = found(dataset)
    assert finding.kind == kind, finding
    return finding


@pytest.mark.parametrize("chain", [None, ToTensor(), planted.draws_globally, planted.derives_from_rng])
def test_a_function_of_the_key_is_no_finding(chain, here_only):
    assert found(Clean(transform=chain)) == []


def test_loading_that_draws_from_the_system(here_only):
    finding = only(planted.Urandom(), "impure")
    assert finding.text == "two runs under the same key give different samples as loaded, in 40 of 40 samples"
    assert finding.severity == "error"
    assert (finding.count, finding.of) == (40, 40)
    assert finding.offenders[0].place.index in range(40)


def test_a_transform_that_looks_at_the_clock_is_named(here_only):
    assert "after by_time, in 40 of 40" in only(Clean(transform=Compose([ToTensor(), planted.by_time])), "impure").text


def test_a_count_of_reads(here_only):
    assert only(planted.Counting(), "impure").count == 40


def test_a_record_that_depends_on_the_one_before(here_only):
    finding = only(planted.AfterAnother(), "impure")
    assert finding.text.startswith("a record is another as loaded after other records were read")
    assert len(finding.offenders) == finding.count >= 3


def test_a_transform_that_changes_what_the_dataset_keeps_is_named(here_only):
    finding = only(planted.Caching(transform=Compose([planted.in_place, ToTensor()])), "impure")
    assert finding.text.startswith("in_place changes 40 of 40 samples in place")
    assert found(Clean(transform=Compose([planted.in_place, ToTensor()]))) == []  # that is its own


def test_a_cache_that_hands_out_what_it_keeps_is_worth_a_note(here_only):
    finding = only(planted.Caching(), "impure")
    assert finding.severity == "note"
    assert finding.text.startswith("two reads of a record give the same memory (image)")
    assert found(planted.Caching(transform=ToTensor())) == []


def test_memory_that_cannot_be_written_to_or_that_all_share_is_none():
    class ReadOnly(planted.Caching):
        def load(self, record):
            sample = super().load(record)
            sample["image"].flags.writeable = False
            return {**sample, "weights": WEIGHTS}

    assert kept_memory(ReadOnly(), Key(0, 0, 1), Key(0, 0, 2)) is None
    assert kept_memory(planted.Caching(), Key(0, 0, 1), Key(0, 0, 2)) == "image"
    assert kept_memory(Subset(planted.Caching(), [4, 5]), Key(0, 0, 0), Key(0, 0, 1)) == "image"


WEIGHTS = np.ones(3)


def test_a_sample_that_is_another_in_another_process(quick):
    findings = found(planted.ByProcess())
    texts = sorted(finding.text.split(", in")[0] for finding in findings)
    assert texts == [f"{key} is another in another process as loaded" for key in ("process", "word", "worker")]
    assert {(finding.kind, finding.count, finding.of) for finding in findings} == {("impure", 4, 4)}


def test_a_clean_one_is_the_same_in_another_process(quick):
    chain = Compose([RandomHorizontalFlip(), ToTensor(), planted.draws_globally])
    assert found(Clean(transform=chain)) == []


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (planted.reseeds_python, "random"),
        (planted.reseeds_numpy, "numpy.random"),
        (planted.reseeds_torch, "torch"),
    ],
)
def test_a_transform_that_seeds_a_global_generator(step, name, here_only):
    finding = only(Clean(transform=Compose([planted.draws_globally, step])), "ignores-key")
    assert finding.text.startswith(f"{step.__name__} seeds {name} with a constant")
    assert finding.severity == "error"


def test_loading_that_seeds_a_global_generator(here_only):
    assert only(planted.ReseedsInLoad(), "ignores-key").text.startswith("reading a record seeds random")


def test_reseeding_leaves_the_global_generators_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert reseeded(lambda: torch.manual_seed(0)) == ("torch",)
    assert torch.equal(before, torch.get_rng_state())


def test_a_transform_that_has_rng_and_makes_its_own(here_only):
    finding = only(Clean(transform=planted.ignores_rng), "ignores-key")
    assert finding.text.startswith("ignores_rng makes a generator of its own at every call (default_rng)")
    assert finding.severity == "warning"


def test_a_generator_made_of_the_samples_own_is_none():
    dataset = Clean(transform=Compose([planted.derives_from_rng, planted.ignores_rng]))
    seen = inspected(dataset, Key(0, 0, 3))
    assert list(makes_its_own(seen, steps_by_name(dataset))) == [("ignores_rng", "default_rng")]


def test_a_generator_of_its_own_is_named_and_what_it_does(here_only):
    kinds = {finding.kind: finding for finding in found(Clean(transform=Compose([planted.OwnGenerator()])))}
    assert kinds.keys() == {"generator", "impure"}
    assert kinds["generator"].text.startswith("dataset.transform.transforms[0].rng is a numpy.random.Generator")
    assert "OwnGenerator" in kinds["impure"].text


def test_one_that_is_not_drawn_from_is_named_alone(here_only):
    assert only(Clean(transform=planted.UnusedGenerator()), "generator").severity == "warning"
