"""Memory that grows, and files that processes share."""

import numpy as np
import planted_code as planted
import pytest
from planted_code import Clean

from datakit import Loader
from datakit.check import code, growth
from datakit.check.code import code_findings
from datakit.check.growth import growing, steady_growth
from datakit.check.handles import places, shared_handles
from datakit.check.objects import Held
from datakit.sampling import Key

KEYS = [Key(0, 0, index) for index in range(planted.N)]


def shared(dataset):
    return list(shared_handles(dataset, KEYS[:9], lambda: [Held("dataset", dataset)]))


@pytest.fixture
def records(tmp_path):
    path = tmp_path / "records.bin"
    path.write_bytes(np.random.default_rng(0).integers(0, 256, planted.N * 10_000, dtype=np.uint8).tobytes())
    return path


def found_growing(dataset, indices):
    """The finding of the first look that has one: on a busy machine a look of a second or two may see too little."""
    return next(finding for _ in range(4) for finding in growing(dataset, indices))


def test_a_list_that_keeps_images_grows(monkeypatch):
    monkeypatch.setattr(growth, "_SECONDS", 2.0)
    finding = found_growing(planted.Keeping(), range(planted.N))
    assert (finding.kind, finding.severity) == ("memory", "warning")
    amount = float(finding.text.split("grows by ")[1].split(" MB")[0])
    assert "; dataset.seen went from 0 to " in finding.text
    assert amount == pytest.approx(49.2, rel=0.15)  # 128 x 128 x 3 bytes of a sample


def test_a_cache_without_a_limit_grows(monkeypatch):
    monkeypatch.setattr(growth, "_SECONDS", 2.0)
    dataset = planted.Remembering(n=100_000)
    finding = found_growing(dataset, range(100_000))
    assert "planted_code.remembered went from 0 to " in finding.text
    assert finding.severity == "warning"
    assert float(finding.text.split("grows by ")[1].split(" MB")[0]) == pytest.approx(50, rel=0.15)


@pytest.mark.slow  # of a process that has much free memory, as one that ran many tests, the first MB do not show
def test_a_cache_with_a_limit_is_worth_a_note(monkeypatch):
    monkeypatch.setattr(growth, "_SECONDS", 2.0)
    finding = found_growing(planted.Bounding(n=100_000), range(100_000))
    assert finding.severity == "note"
    assert "planted_code.remembered_for_a_while went from 0 to " in finding.text
    assert "entries of 100,000, where it ends" in finding.text


@pytest.mark.parametrize("dataset", [Clean(), planted.Bounded()], ids=["clean", "bounded cache"])
def test_what_does_not_grow(dataset):
    assert list(growing(dataset, range(planted.N))) == []


def test_steady_is_told_from_noise_and_from_what_ends():
    rng, samples = np.random.default_rng(0), np.arange(100, 1700, 100.0)

    def growth(memory):
        return steady_growth(np.stack([samples, memory], 1))

    assert growth(5e7 + 5000 * samples) == 5000
    assert growth(5e7 + 5000 * samples + rng.normal(0, 2e5, 16)) == pytest.approx(5000, rel=0.1)
    for _ in range(200):
        assert growth(5e7 + rng.normal(0, 2e6, 16)) is None
    assert growth(5e7 + 3e7 * (samples > 900)) is None  # one step
    assert growth(5e7 + 5000 * np.minimum(samples, 800)) is None
    assert growth(5e7 + 5e7 * (1 - np.exp(-samples / 300))) is None  # a cache that fills
    assert growth(9e7 - 5000 * samples) is None
    assert growth(5e7 + 100 * samples) is None  # 0.1 MB for 1,000 samples
    assert steady_growth(np.zeros((0, 2))) is None


def test_an_open_file_is_named_and_the_harm_counted(records):
    dataset = planted.OpenFile(records)
    (finding,) = shared(dataset)
    dataset.file.close()
    assert (finding.kind, finding.severity) == ("handle", "error")
    assert finding.text.startswith(f"dataset.file (BufferedReader of {records}) is open, and another process")


def test_a_file_that_the_first_read_opens_is_shared_too(records):
    (finding,) = shared(planted.LazyFile(records))
    assert finding.text.startswith(f"dataset.file (BufferedReader of {records}) is open")


def test_one_that_is_opened_in_each_process_is_not(records):
    assert shared(planted.FileOfProcess(records)) == []
    assert shared(Clean()) == []


def test_one_whose_place_did_not_move_is_a_warning(records):
    dataset = Clean()
    with open(records, "rb") as dataset.file:
        (finding,) = shared(dataset)
    assert finding.severity == "warning"
    assert finding.text.startswith("dataset.file is an open BufferedReader of ")


def test_places_are_those_of_files_for_reading(records, tmp_path):
    with open(records, "rb", buffering=0) as file, open(tmp_path / "log", "w") as log:
        file.seek(1234)
        known = places()
        assert known[file.fileno()] == (str(records), 1234)
        assert log.fileno() not in known


def test_under_spawn_nothing_is_shared_but_must_be_pickled(records, monkeypatch):
    for name in ("_chain", "_memory", "_batch", "_elsewhere"):
        monkeypatch.setattr(code._Check, name, lambda self: ())
    dataset = planted.OpenFile(records)
    spawned = Loader(dataset, 4, num_workers=1, multiprocessing_context="spawn")
    assert [one.kind for one in code_findings(dataset)] == ["handle"]
    (finding,) = code_findings(dataset, spawned)
    dataset.file.close()
    assert (finding.kind, finding.severity) == ("unpicklable", "error")
    assert finding.text == "dataset.file is a BufferedReader, which cannot be pickled"
