"""The tutorial's figures are exact ones, and so are the promises of the loader over real processes."""

import pytest
import torch
from click.testing import CliRunner

from datakit.reference.data_parallel import SPLITS, DataParallel
from datakit.reference.processes import read_together


def failed(result):
    return {check.what for check in result.checks if not check.passed}


def test_batches_and_records_are_shared_as_they_should_be(trained):
    result = trained("data-parallel")
    assert result.passed, str(result)
    text = "\n".join(result.lines)
    assert text.count("In Model: input size [15, 5] output size [15, 2]") == 2
    assert text.count("In Model: input size [10, 5] output size [10, 2]") == 4  # thirds of 30, and 10 by itself
    assert text.count("Outside: input size [30, 5] output size [30, 2]") == 4
    assert "8 processes: 13 + 13 + 13 + 13 + 12 + 12 + 12 + 12 records" in text


MISSED = {
    "everyone-reads-everything": {"records missing or too often", "records out of place"},
    "padded": {"records missing or too often", "records out of place"},
    "split-by-stride": {"splits unlike the tutorial's", "rows unlike those of the undivided batch"},
}


def test_there_is_a_test_for_each_bug():
    assert DataParallel.bugs().keys() == MISSED.keys()


@pytest.mark.parametrize("bug", MISSED)
def test_a_bug_misses_the_bar_that_is_there_for_it(trained, bug):
    result = trained("data-parallel", bug)
    assert not result.passed
    assert failed(result) == MISSED[bug]


def test_padding_is_found_where_100_does_not_divide_by_the_processes():
    """3 x 34 and 8 x 13 records: 2 and 4 too many."""
    reference = DataParallel.sabotaged("padded")()
    reference.build()
    assert reference.evaluate()["missing or too often"] == 6


def test_the_processes_read_the_order_of_a_single_one():
    order = [key.index for key in DataParallel.reader(seed=5).keys]
    assert read_together(DataParallel.reader, 3, seed=5) == [order[rank::3] for rank in range(3)]


def test_an_error_in_a_process_arrives(tmp_path):
    from torch.multiprocessing import ProcessRaisedException

    with pytest.raises(ProcessRaisedException, match="not able to read"):
        read_together(broken, 2, seed=0)


def broken(seed):
    raise OSError("not able to read")


@pytest.mark.parametrize(("size", "count"), SPLITS)
def test_scattering_cuts_by_the_rule_that_is_used_here(size, count):
    """`nn.DataParallel` scatters along the first axis in stretches of ceil(size / count) rows."""
    stretch = -(-size // count)
    rows = list(range(size))
    expected = [rows[start : start + stretch] for start in range(0, size, stretch)]
    parts = DataParallel().split(torch.arange(size), count)
    assert [part.tolist() for part in parts] == expected
    assert [len(part) for part in parts] == SPLITS[size, count]


def test_it_can_be_taken_up_in_the_middle(trained, tmp_path, monkeypatch):
    whole = trained("data-parallel")
    step, steps = DataParallel.step, []

    def stopped(self, batch):
        steps.append(batch)
        if len(steps) > 2:
            raise KeyboardInterrupt
        return step(self, batch)

    monkeypatch.setattr(DataParallel, "step", stopped)
    with pytest.raises(KeyboardInterrupt):
        trained("data-parallel", out=tmp_path / "stopped", save_every=0.0)
    monkeypatch.undo()
    resumed = trained("data-parallel", out=tmp_path / "stopped", resume=True)
    assert (resumed.checks, resumed.lines) == (whole.checks, whole.lines)


def test_the_command_needs_no_root_and_takes_none():
    from datakit.cli import command

    result = CliRunner().invoke(command, ["train", "data-parallel", "--root", "data"])
    assert result.exit_code == 2
    assert "makes its data itself" in result.output


@pytest.mark.gpu
def test_gpus_share_a_batch(trained):
    result = trained("data-parallel", device="cuda")
    assert result.passed, str(result)
