"""What all references promise: all records, whatever the environment says, bytes, sound or text in the batch, bars."""

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence

from datakit import Loader
from datakit.reference import BUILT_IN, History, find


def check_bars(reference):
    """What a run is held against are bars that can be told before it, each with its value where that is fixed."""
    checks = reference.checks(History())
    assert len(checks) >= 1
    for check in checks:
        assert any(
            check.what.startswith(bar.what.partition(" after ")[0])
            and (check.better, check.unit, check.key) == (bar.better, bar.unit, bar.key)
            and (isinstance(bar.bar, str) or check.bar == bar.bar)
            for bar in reference.bars
        ), check


@pytest.mark.parametrize("name", BUILT_IN)
def test_it_reads_all_records_as_they_are_and_tells_its_bars(name, few, one_thread, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    reference = find(name)()
    reference.build()
    loaders = [value for value in vars(reference).values() if isinstance(value, Loader)]
    assert loaders
    for loader in loaders:
        left_out = len(loader.records) % loader.batch_size if loader.drop_last else 0
        assert len(loader.keys) == len(loader.records) - left_out
    check_bars(reference)
    if name != "data-parallel":
        batch = next(iter(reference.loader))
        if isinstance(batch, dict) and "waveform" in batch:  # decoded by the dataset; features are made after the batch
            assert "features" not in batch
            return
        if isinstance(batch, dict) and "tokens" in batch:
            tokens = batch["tokens"].data if isinstance(batch["tokens"], PackedSequence) else batch["tokens"]
            assert tokens.dtype == torch.int64
            assert all(isinstance(text, str) for text in batch["text"])
            return
        images = batch["image"] if isinstance(batch, dict) else batch[0][0]
        assert images.dtype == torch.uint8
