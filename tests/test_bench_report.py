import io
import json
import re
from dataclasses import replace

import click
import numpy as np
import pytest
from PIL import Image

from datakit.bench import Fed, Machine, Measurement, Profile, Run, Stage, compare, read_run, recommend, write_run
from datakit.errors import CorruptDataError, MissingDataError
from datakit.report import bench_tables as tables
from datakit.report.plot import draw_bench


def measured(workers, *rates, batch_size=32, start_method=None, waiting=None, step=0.05):
    ordered = sorted(rates)
    fed = None if waiting is None else Fed(step, 100.0, waiting, 0.3)
    return Measurement(
        workers,
        batch_size,
        start_method,
        samples=69,
        batches=3,
        samples_per_second=float(np.median(rates)),
        slowest=ordered[0],
        fastest=ordered[-1],
        rates=tuple(map(float, rates)),
        first_batch=0.2,
        wait_p50=0.0123,
        wait_p95=0.456,
        private=400_000_000,
        shared=1_500_000_000,
        cpu_share=1.5,
        fed=fed,
    )


PROFILE = Profile(
    2,
    32,
    stages=(Stage("read", 0.0001), Stage("decode", 0.004), Stage("A" * 60, 0.001), Stage("collate", 0.0002)),
    idle=0.00005,
    waiting=0.002,
    overhead=0.004,
    noise=0.1,
    passes=3,
)
RUN = Run(
    "faces",
    dataset="FaceLandmarks('data'): 69 records",
    chain=("Rescale(256)", "ToTensor()"),
    repeats=3,
    seed=0,
    machine=Machine(2, "a processor", "Linux", "3.11.7", "2.11.0", "0.1.0"),
    measurements=(measured(0, 140.1, 151.26, 155.9), measured(1, 120, 162, 163), measured(2, 1270, 1283.4, 1310)),
    profile=PROFILE,
)


def plain(lines):
    return [click.unstyle(line) for line in lines]


# --- the recommendation


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([(100, 101, 102)], 0),
        ([(100, 101, 102), (190, 191, 189), (191, 192, 190)], 1),  # 2 give no more than 1
        ([(100, 101, 102), (90, 91, 92), (190, 191, 192)], 2),  # through a dip
        ([(100, 101, 102), (104, 105, 106)], 0),  # faster each time, but by less than 5 %
        ([(100, 100, 100, 100), (90, 120, 120, 120)], 1),  # in 3 of 4 rounds
        ([(100, 100, 100), (90, 120, 120)], 0),  # in 2 of 3
        ([(100, 130, 160), (110, 140, 170)], 1),  # a machine that speeds up: pairs tell what ranges cannot
    ],
)
def test_the_fewest_workers_that_help(rates, expected):
    advice = recommend([measured(workers, *each) for workers, each in enumerate(rates)])
    assert advice.best.workers == expected
    assert advice.line == f"Loader(dataset, batch_size=32, num_workers={expected})"


def test_the_reason_has_the_figures():
    advice = recommend([measured(0, 100, 101, 99), measured(2, 190, 191, 189), measured(4, 192, 193, 191)])
    assert advice.reason == "2 workers give 1.9 times the samples of none; 4 workers give no more (+1 %)."
    assert advice.caution == ""
    least = recommend([measured(0, 100, 101, 99), measured(1, 80, 81, 79)])
    assert least.reason == "1 worker gives no more than none (−20 %)."


def test_noise_is_called_noise():
    advice = recommend([measured(0, 100, 150, 90), measured(1, 120, 110, 140)])
    assert advice.best.workers == 0
    assert "in 2 of 3 rounds only" in advice.reason
    assert advice.caution == "The passes vary too much to tell 0 and 1 workers apart; try --repeats 7."
    assert "One pass cannot tell noise from gain" in recommend([measured(0, 100), measured(1, 200)]).caution


def test_with_a_step_the_fewest_that_keep_the_model_fed():
    fed = [measured(0, 99, 100, 101, waiting=0.4), measured(1, 199, 200, 201, waiting=0.04)]
    fed.append(measured(2, 399, 400, 401, waiting=0.001))
    advice = recommend(fed)
    assert advice.best.workers == 1
    assert advice.reason == "with 1 worker the model waits 4 % of the time at a step of 50 ms, with no workers 40 %."
    starved = recommend([measured(0, 99, 100, 101, waiting=0.4), measured(1, 199, 200, 201, waiting=0.2)])
    assert starved.best.workers == 1
    assert "none of these is enough for a step of 50 ms: with 1 worker the model still waits 20 %" in starved.reason
    assert "200.0 samples/s at most" in starved.reason


def test_batch_sizes_and_start_methods_compete_by_the_same_rule():
    none = measured(0, 50, 51, 49)
    advice = recommend(
        [none, measured(1, 100, 101, 99, start_method="fork"), measured(1, 102, 103, 101, start_method="spawn")]
    )
    assert (advice.best.workers, advice.best.start_method) == (1, "fork")
    assert advice.line == 'Loader(dataset, batch_size=32, num_workers=1, multiprocessing_context="fork")'
    sizes = [measured(0, 50, 51, 49, batch_size=16), measured(0, 100, 101, 99, batch_size=64)]
    assert recommend(sizes).best.batch_size == 64
    assert "0 workers, batch 16 gives 50.0 samples/s" in recommend(sizes).reason
    assert recommend([none], has_loader=True).line == "num_workers=0"


# --- comparing


def test_a_run_survives_json(tmp_path):
    for run in (RUN, replace(RUN, measurements=(measured(1, 2, 3, waiting=0.1, start_method="fork"),), profile=None)):
        (tmp_path / "a.json").write_text(json.dumps(tables.document(run, recommend(run.measurements))))
        assert read_run(tmp_path / "a.json") == run
    assert write_run(RUN)["version"] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<html>", "no result of `datakit bench --json`"),
        ("[]", "no version and measurements"),
        ('{"version": 1}', "no version and measurements"),
        ('{"version": 2, "measurements": []}', "has version 2 of the format; this datakit reads 1"),
        ('{"version": 1, "measurements": []}', "it has no 'target'"),
        (json.dumps({**write_run(RUN), "measurements": []}), "nothing measured"),
        (json.dumps({**write_run(RUN), "measurements": [7]}), "Measurement is an object in JSON, found int"),
        (json.dumps({**write_run(RUN), "repeats": "x"}), "repeats of Run is 'x'"),
        (json.dumps({**write_run(RUN), "measurements": 3}), "measurements of Run"),
        (json.dumps({**write_run(RUN), "chain": "abc"}), "chain of Run is 'abc'"),
        ("\udcff", "no result"),
        ("[" * 100_000, "no result"),
    ],
)
def test_what_is_no_result_is_said_so(tmp_path, content, message):
    path = tmp_path / "other.json"
    path.write_bytes(content.encode("utf8", "surrogateescape"))
    with pytest.raises(CorruptDataError, match=message) as found:
        read_run(path)
    assert str(path) in str(found.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(MissingDataError, match=r"b\.json: there is no such file"):
        read_run(tmp_path / "b.json")


def test_beyond_the_noise_is_apart_and_by_5_per_cent():
    before = replace(RUN, measurements=(measured(0, 100, 101, 102), measured(1, 100, 101, 102), measured(2, 90, 130)))
    now = replace(RUN, measurements=(measured(0, 103, 104, 104), measured(1, 110, 111, 112), measured(4, 5, 6)))
    found = compare(before, now)
    assert [(change.what, change.is_clear) for change in found.changes] == [
        ("0 workers, batch 32", False),
        ("1 worker, batch 32", True),
    ]
    assert found.changes[1].ratio == pytest.approx(111 / 101)
    assert found.only_before == ("2 workers, batch 32",)
    assert found.only_now == ("4 workers, batch 32",)
    assert found.obstacles == ()
    assert [stage.ratio for stage in found.stages] == [1.0] * 4
    few = [replace(RUN, measurements=(measured(0, rate, rate + 1),)) for rate in (100, 200)]
    assert not compare(*few).changes[0].is_clear  # two passes each: they lie apart by chance too often


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"machine": replace(RUN.machine, cores=8)}, "another number of cores: 8 before, 2 now"),
        ({"machine": replace(RUN.machine, torch="2.0")}, "another version of torch: 2.0 before"),
        ({"chain": ()}, "another chain: none before, Rescale(256) → ToTensor() now"),
        ({"dataset": "Other"}, "another dataset: Other before"),
        ({"measurements": (replace(measured(0, 1, 2), samples=7),)}, "another length: 7 samples before, 69 now"),
        ({"measurements": (measured(0, 1, 2, batch_size=8),)}, "not one configuration"),
        ({"repeats": 2}, "a run with --repeats 2: below 3 it cannot be told what is noise"),
    ],
)
def test_what_is_not_comparable_is_said_loudly(other, message):
    found = compare(replace(RUN, **other), RUN)
    assert any(message in obstacle for obstacle in found.obstacles)
    shown = tables.comparison_lines(found, "old.json")
    assert any("NOT COMPARABLE" in line and message in line for line in shown)


# --- tables


def test_the_table():
    lines = tables.speed_lines(RUN.measurements)
    assert re.split(r" {2,}", lines[1].strip()) == [
        "0", "151.3", "140.1 … 155.9", "12.3 ms", "456 ms", "200 ms", "400 MB", "1.50 GB", "1.50",
    ]  # fmt: skip
    assert len({len(line) for line in lines}) == 1
    assert len(lines[0]) <= 100
    assert "1,283" in lines[3]
    assert "batch" not in lines[0]
    swept = [measured(0, 1, batch_size=8), measured(1, 2, batch_size=8, start_method="fork")]
    swept += [measured(0, 1, batch_size=9), measured(1, 2, batch_size=9, start_method="spawn")]
    assert tables.speed_lines(swept)[0].split()[:3] == ["workers", "batch", "start"]


def test_the_verdicts():
    assert tables.step_lines(RUN.measurements) == []
    lines = plain(tables.step_lines([measured(0, 9, waiting=0.051), measured(1, 9, waiting=0.05)]))
    assert lines[3].endswith("5.1 %  200 ms  loader-bound".replace("200", "300"))
    assert lines[4].endswith("the loader keeps up")


def test_the_stages():
    lines = plain(tables.stage_lines(PROFILE))
    decode, long = lines[3], lines[4]
    assert re.match(r"  decode +4\.00  75 %  █{24}$", decode)
    assert "A…" in long
    assert max(map(len, lines)) < 100
    assert lines[-1].strip() == "passes with these clocks took 0.4 % longer than without"
    assert "more than 3.0 %, so take" in tables.cost(replace(PROFILE, overhead=0.2))
    assert "which is noise" in tables.cost(replace(PROFILE, overhead=0.05))
    assert "(−37.2 %), which is noise: the machine is too busy" in tables.cost(replace(PROFILE, overhead=-0.372))
    assert "not known; because" in tables.stage_lines(Profile(2, 32, missing="because"))[1]


@pytest.mark.parametrize(("share", "length"), [(1, 24), (0.5, 12), (0, 0), (0.25, 6), (0.26, 7)])
def test_bars_are_as_long_as_what_they_stand_for(share, length):
    assert len(tables.bar(share)) == length


# --- the picture


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_plot(ending):
    contents = draw_bench(RUN, f"x.{ending}", title="faces", subtitle="one\n" + "two " * 60)
    assert contents.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending])
    if ending == "png":
        pixels = np.asarray(Image.open(io.BytesIO(contents)).convert("RGB"))
        accent = np.abs(pixels.astype(int) - (0x0B, 0x6E, 0x69)).sum(2) < 30
        left, right = accent[:, : pixels.shape[1] // 2], accent[:, pixels.shape[1] // 2 :]
        assert left.sum() > 500  # points
        assert right.sum() > 5000  # bars
        for edge in (pixels[:, -3:], pixels[:, :3], pixels[:3], pixels[-3:]):
            assert (edge == 255).all()  # nothing runs out of the picture


def texts(svg):
    return re.findall(r"<!-- (.*?) -->", svg.decode())


def test_what_the_plot_says():
    shown = texts(draw_bench(RUN, "x.svg", title="faces"))
    assert {"faces", "decode", "collate", "workers idle", "loop waits", "worker processes"} <= set(shown)
    assert "A" * 29 + "…" in shown
    sizes = [measured(workers, 10 * size, 11 * size, batch_size=size) for size in (16, 32) for workers in (0, 1, 2)]
    shown = texts(draw_bench(replace(RUN, measurements=tuple(sizes), profile=None), "x.svg", title="faces"))
    assert {"batch 16", "batch 32", "ideal"} <= set(shown)
    assert "decode" not in shown


def test_crowded_counts_are_thinned():
    counts = (0, 1, 2, 4, 8, 16, 32, 64)
    run = replace(RUN, measurements=tuple(measured(count, 10 * count + 5) for count in counts), profile=None)
    shown = texts(draw_bench(run, "x.svg", title="faces"))
    assert "64" in shown
    assert "1" not in shown
    assert draw_bench(replace(run, measurements=(measured(0, 5),)), "x.svg", title="one")
