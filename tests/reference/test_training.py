"""The loop around every reference, over a small one: what it keeps, what it refuses, and that it can be broken off."""

import io
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn

from datakit import Loader, Mapped
from datakit.cli import command
from datakit.errors import CorruptDataError, DatakitError, MissingDataError, StateError, UnknownNameError
from datakit.reference import BUILT_IN, Check, History, Option, Reference, find, train
from datakit.reference.checkpoint import NAME
from datakit.reference.split import held_out, leaked


def noisy(sample, rng):
    return {**sample, "x": sample["x"] + rng.normal(0, 0.1, 4).astype(np.float32)}


class Line(Reference):
    """Regression, with everything that draws numbers: transforms, order, dropout, weights."""

    name = "line"
    epochs = synthetic_epochs = 3
    options = (Option("kind", "Which.", "a", ("a", "b")), Option("file", "Any."))

    def build(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(50, 4)).astype(np.float32)
        records = [{"x": row, "y": row.sum()} for row in x]
        self.data = "50 numbers"
        self.loader = Loader(Mapped(records, transform=noisy), 8, seed=self.seed, shuffle=True)
        self.model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.2), nn.ReLU(), nn.Linear(16, 1))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-2)
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.99)

    def step(self, batch):
        loss = (self.model(batch["x"])[:, 0] - batch["y"]).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return {"loss": loss.item()}

    def evaluate(self):
        return {"weights": sum(float(p.detach().abs().sum()) for p in self.model.parameters())}

    def checks(self, history):
        return [Check("loss", history.mean("loss", len(history.epochs) - 1) if history.epochs else None, 2.0, "low")]


class Exploding(Line):
    """The loss becomes infinite."""

    bug = "exploding"

    def step(self, batch):
        return {"loss": float("inf")} if self.schedule.last_epoch == 9 else super().step(batch)


class Stop(Exception):
    pass


def stop_at(steps):
    """A `progress` that breaks the run off after so many steps."""
    seen = []

    def progress(what, done, total):
        if "evaluation" not in what:
            seen.append(what)
            if len(seen) == steps:
                raise Stop

    return progress


def outcome(history_file):
    """The history and the states of a run, without what depends on the machine."""
    document = torch.load(history_file, weights_only=True)
    history = {key: value for key, value in document["history"].items() if key != "seconds"}
    return history, document["states"]


def same(first, second):
    buffers = []
    for value in (first, second):
        buffer = io.BytesIO()
        torch.save(value, buffer)
        buffers.append(buffer.getvalue())
    return buffers[0] == buffers[1]


@pytest.mark.parametrize("steps", [1, 4, 7, 8, 14, 20, 21])
def test_a_run_that_was_broken_off_comes_to_the_same_end(tmp_path, steps):
    """Seven steps an epoch: in the middle, at the last step, before the next first one."""
    train(Line(), tmp_path / "whole")
    with pytest.raises(Stop):
        train(Line(), tmp_path / "broken", save_every=0, progress=stop_at(steps))
    if steps > 1:
        train(Line(), tmp_path / "broken", resume=True)
        whole, broken = (outcome(tmp_path / name / NAME) for name in ("whole", "broken"))
        assert len(whole[0]["losses"]["loss"]) == 21
        assert whole[0] == broken[0]
        assert same(whole[1], broken[1])
    else:
        with pytest.raises(MissingDataError, match="no run to go on with"):
            train(Line(), tmp_path / "broken", resume=True)


def test_another_seed_gives_other_weights_and_the_same_seed_the_same(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(Line(seed=seed), tmp_path / name, epochs=1)
    a, b, c = (outcome(tmp_path / name / NAME) for name in "abc")
    assert a[0] == b[0]
    assert same(a[1], b[1])
    assert a[0]["epochs"] != c[0]["epochs"]


def test_a_finished_run_can_be_trained_longer(tmp_path):
    train(Line(), tmp_path / "whole")
    train(Line(), tmp_path / "longer", epochs=1)
    result = train(Line(), tmp_path / "longer", epochs=3, resume=True)
    assert result.epochs == 3
    assert outcome(tmp_path / "whole" / NAME)[0] == outcome(tmp_path / "longer" / NAME)[0]
    with pytest.raises(StateError, match="3 epochs already"):
        train(Line(), tmp_path / "longer", epochs=2, resume=True)


@pytest.mark.parametrize(
    ("other", "field"), [(Line(seed=1), "seed"), (Line(options={"kind": "b"}), "options"), (Exploding(), "sabotage")]
)
def test_another_run_is_refused(tmp_path, other, field):
    train(Line(), tmp_path, epochs=1)
    with pytest.raises(StateError, match=f"its {field} is"):
        train(other, tmp_path, resume=True)


def test_a_run_of_another_version_is_refused(tmp_path):
    class Renamed(Line):
        def build(self):
            super().build()
            self.net = self.__dict__.pop("model")

    train(Line(), tmp_path, epochs=1)
    with pytest.raises(StateError, match="another version of line: model, net not on both sides"):
        train(Renamed(), tmp_path, resume=True)


def test_a_checkpoint_with_parts_left_out_is_told(tmp_path):
    train(Line(), tmp_path, epochs=1)
    document = torch.load(tmp_path / NAME)
    del document["done"]
    torch.save(document, tmp_path / NAME)
    with pytest.raises(CorruptDataError, match="no checkpoint of a reference"):
        train(Line(), tmp_path, resume=True)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 torn"])
def test_a_torn_checkpoint_is_told(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(CorruptDataError, match="no checkpoint"):
        train(Line(), tmp_path, resume=True)


def test_a_checkpoint_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    torch.save({"version": 1, "run": Evil()}, tmp_path / NAME)
    with pytest.raises(CorruptDataError):
        train(Line(), tmp_path, resume=True)
    assert not (tmp_path / "written").exists()


def test_an_infinite_loss_ends_the_run_which_has_not_passed(tmp_path):
    """Also where the bar was reached before."""

    class Reached(Exploding):
        def checks(self, history):
            return [Check("weights", history.last("weights"), 0.0)]

    result = train(Reached(), tmp_path)
    assert [check.passed for check in result.checks] == [True, False]
    assert not result.passed
    assert result.epochs == 1
    assert "stopped at step 10: loss inf" in result.notes[0]


def test_the_global_generator_is_left_alone(tmp_path):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    train(Line(), tmp_path, epochs=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_curve_shows_the_bar_and_is_no_blank(tmp_path):
    result = train(Line(), tmp_path)
    assert [path.name for path in result.pictures] == ["curve.png"]
    image = np.asarray(Image.open(result.pictures[0]).convert("RGB"))
    assert (image != 255).any(-1).mean() > 0.01
    assert image.shape[1] > 2 * 500  # losses, and the figure of the epochs


def test_unknown_options_are_told():
    with pytest.raises(UnknownNameError, match="did you mean 'kind'"):
        Line(options={"kid": "a"})
    with pytest.raises(UnknownNameError, match="known: a, b"):
        Line(options={"kind": "zebra"})
    with pytest.raises(UnknownNameError, match="exploding"):
        Line.sabotaged("explodin")


@pytest.mark.parametrize(
    ("figure", "better", "passed"),
    [(0.5, "high", True), (0.49, "high", False), (0.5, "low", True), (0.51, "low", False)]
    + [(figure, better, False) for figure in (None, float("nan")) for better in ("high", "low")],
)
def test_a_bar_is_reached_or_not(figure, better, passed):
    assert Check("share", figure, 0.5, better, "%").passed is passed


class NoLoader(Line):
    def build(self):
        super().build()
        del self.loader


class Empty(Line):
    def build(self):
        super().build()
        self.loader = self.learn_from(Mapped([]), 8)


class Nothing(Line):
    def step(self, batch):
        super().step(batch)


class Misspelled(Line):
    def checks(self, history):
        return [Check("weights", history.last("weight"), 0.0)]


@pytest.mark.parametrize(
    ("cls", "told"),
    [
        (NoLoader, "NoLoader.build must set self.loader"),
        (Empty, "line learns from batches of 8, and there are 0 records"),
        (Nothing, "step must return a dict of numbers by name, got None"),
        (Misspelled, "unknown figure of evaluate\\(\\) 'weight'; did you mean 'weights'?"),
    ],
)
def test_what_an_author_forgot_is_told(tmp_path, cls, told):
    with pytest.raises(DatakitError, match=told):
        train(cls(), tmp_path, epochs=1)


def test_losses_may_be_tensors(tmp_path):
    class Tensors(Line):
        def step(self, batch):
            loss = super().step(batch)["loss"]
            return {"loss": torch.tensor(loss, requires_grad=True)}

    assert len(train(Tensors(), tmp_path, epochs=1).checks) == 1


def test_a_run_without_a_bar_has_not_passed(tmp_path):
    class NoBar(Line):
        def checks(self, history):
            return []

    assert not train(NoBar(), tmp_path, epochs=1).passed


def test_the_history_knows_its_epochs():
    history = History()
    for value in (4.0, 2.0):
        history.add({"loss": value})
    history.end_epoch({"accuracy": 0.5})
    history.add({"loss": 1.0})
    history.end_epoch({"accuracy": 0.7})
    assert (history.mean("loss", 0), history.mean("loss", 1)) == (3.0, 1.0)
    assert (history.after(1, "accuracy"), history.last("accuracy"), history.after(3, "accuracy")) == (0.5, 0.7, None)


def test_held_out_records_stay_so_and_groups_stay_together():
    names = [f"{n // 3}.jpg" for n in range(90)]
    test, rest = held_out(names, 0.2)
    assert len(test) == 18
    assert sorted([*test, *rest]) == list(range(90))
    assert not {names[i] for i in test} & {names[i] for i in rest}
    more = held_out([*names, "new.jpg"], 0.2)[0]
    assert len(set(test) - set(more)) <= 3  # one group at most makes room for the new one


def test_a_leak_is_counted_by_pixels():
    rng = np.random.default_rng(0)
    images = [{"image": rng.integers(0, 255, (4, 5, 3), dtype=np.uint8)} for _ in range(6)]
    train_, test = Mapped(images[:4]), Mapped([images[4], {"image": images[1]["image"].copy()}])
    assert leaked(train_, test) == 1
    assert leaked(train_, Mapped([{"image": images[1]["image"].reshape(5, 4, 3)}])) == 0


def test_every_reference_says_what_it_is():
    for name in BUILT_IN:
        cls = find(name)
        assert cls.name == name
        assert cls.source.startswith("https://")
        assert cls.bugs(), f"{name} has no sabotage"
        for one in (cls, *cls.bugs().values()):
            assert one.__doc__


def test_listing_references_takes_no_torch():
    code = "import sys; import datakit.cli, datakit.reference; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_killed_and_taken_up_by_the_command(tmp_path, one_thread):
    """SIGKILL in the middle of an epoch; the end, in another process, is the same as that of a run nobody touched."""
    words = ["train", "fgsm", "--synthetic", "--device", "cpu", "--epochs", "1"]
    often = "from datakit.reference import training; training.train.__kwdefaults__['save_every'] = 0.0; "
    often += "import sys; sys.argv[0] = 'datakit'; from datakit.cli import main; main()"
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = [sys.executable, "-c", often, *words, "--out", str(tmp_path / "killed")]
    with subprocess.Popen(killed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=alone) as process:
        while not (tmp_path / "killed" / NAME).exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    steps = len(outcome(tmp_path / "killed" / NAME)[0]["losses"]["loss"])
    ends = {}
    for name, more in (("killed", ["--resume"]), ("whole", [])):
        done = CliRunner().invoke(command, [*words, "--out", str(tmp_path / name), *more])
        assert done.stdout.splitlines()[-1].startswith("fgsm: "), done.stderr
        ends[name] = outcome(tmp_path / name / NAME)
    assert steps < len(ends["whole"][0]["losses"]["loss"])
    assert ends["killed"][0] == ends["whole"][0]
    assert same(ends["killed"][1], ends["whole"][1])
