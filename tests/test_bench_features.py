"""Features in the workers beside features per batch: the same values, both measured whole."""

import json
import time

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from datakit import Loader
from datakit.audio import SpokenDigits
from datakit.audio.features import Cmvn, Fbank, OnSample
from datakit.bench import Configuration, Features, measure, profile, read_run, recommend
from datakit.bench.features import on_device
from datakit.bench.timing import timed
from datakit.cli import command
from datakit.errors import DatakitError
from datakit.transforms import Gain

FBANK = OnSample(Fbank(sample_frequency=8000.0, dither=0.0))


def digits(n=8):
    return SpokenDigits.synthetic(n=n)


def test_both_places_are_measured_with_all_their_work():
    per_batch = Features("slow", digits(), lambda batch: time.sleep(0.05), "cpu")
    measured = measure(digits(), workers=[0], batch_sizes=[4], repeats=2, features=per_batch)
    assert [one.features for one in measured] == ["in workers", "per batch on cpu"]
    assert measured[1].fastest < 4 / 0.05
    assert measured[0].slowest > 4 / 0.05
    assert str(measured[1].configuration) == "0 workers, batch 4, features per batch on cpu"
    assert recommend(measured).best.features == "in workers"


def test_the_loop_waits_for_its_work_and_says_how_long():
    loader = Loader(digits(), batch_size=4, verify=False)
    one = timed(loader, None, work=lambda batch: time.sleep(0.02))
    assert one.works >= 0.04
    assert one.seconds >= one.works + sum(one.waits)


def test_both_places_make_the_same_features():
    features = on_device(digits(), FBANK, "cpu")
    whole = next(iter(Loader(features.in_workers, batch_size=8)))
    plain = next(iter(Loader(digits(), batch_size=8)))
    seen = []
    features.per_batch.module.register_forward_hook(lambda module, given, made: seen.append(made))
    features.per_batch(plain)
    ((values, frames),) = seen
    assert features.per_batch.module is not FBANK.module  # which stays on the CPU, for the workers
    assert frames.tolist() == whole["length"].tolist()
    np.testing.assert_allclose(values, whole["features"], atol=1e-4)


def test_where_the_time_goes_has_the_features_in_their_place():
    features = on_device(digits(), FBANK, "cpu")
    names = {}
    for place in features.places:
        found = profile(digits(), Configuration(0, 4, features=place), repeats=1, features=features)
        names[place] = [stage.name for stage in found.stages]
    assert repr(FBANK) in names["in workers"]
    assert names["per batch on cpu"][-1] == f"{FBANK.module!r} per batch on cpu"
    assert repr(FBANK) not in names["per batch on cpu"]


@pytest.mark.parametrize("step", [Gain(3.0), OnSample(Cmvn())])
def test_what_makes_no_features_is_refused(step):
    with pytest.raises(DatakitError, match="takes Fbank, Mfcc or Plp"):
        on_device(digits(), step, "cpu")


def test_another_rate_and_a_device_that_is_not_there():
    features = on_device(digits(), OnSample(Fbank()), "cpu")
    with pytest.raises(DatakitError, match=r"needs one channel at 16000 Hz, got .* at 8000 Hz; .*Resample\(16000\)"):
        features.per_batch(next(iter(Loader(digits(), batch_size=2))))
    if not torch.cuda.is_available():
        with pytest.raises(DatakitError, match="--device cuda: "):
            on_device(digits(), FBANK, "cuda")


def test_the_command_and_its_document(tmp_path):
    typed = ["bench", "spoken-digits", "--synthetic", "--records", "8", "--workers", "0", "--repeats", "1", "--json"]
    typed += ["--features", "Fbank(sample_frequency=8000.0, dither=0.0)"]
    result = CliRunner().invoke(command, typed)
    assert result.exit_code == 0, result.output
    path = tmp_path / "run.json"
    path.write_text(result.stdout)
    run = read_run(path)
    assert [one.features for one in run.measurements] == ["in workers", "per batch on cpu"]
    document = json.loads(result.stdout)
    for one in (*document["measurements"], document["profile"]):
        del one["features"]  # as earlier versions wrote it
    path.write_text(json.dumps(document))
    assert {one.features for one in read_run(path).measurements} == {None}
