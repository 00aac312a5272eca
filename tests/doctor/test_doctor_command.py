"""The command as a person runs it, on installations that are whole and on ones that are broken on purpose."""

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import datakit
from datakit.cli import command
from datakit.cli.installation import broken_package
from datakit.doctor import GROUPS, Check, Load, Report
from datakit.doctor.child import Outcome
from datakit.doctor.limits import Memory
from datakit.doctor.stages import _outcome
from datakit.doctor.target_check import batch_check, load_of
from datakit.doctor.target_probe import batch, remotes
from datakit.doctor.view import last_line, lines_of
from datakit.errors import TargetError

REPOSITORY = Path(datakit.__file__).parents[1]
BROKEN = {
    "library": 'raise OSError("libcudart.so.13: cannot open shared object file: No such file or directory")',
    "crash": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
    "hang": "import time\ntime.sleep(60)",
    "half": "from torch._C import nothing",
}


def environment(*paths, **variables):
    path = os.pathsep.join(map(str, (*paths, REPOSITORY)))
    return {**os.environ, "PYTHONPATH": path, "DATAKIT_DEBUG": "", **variables}


def run(*arguments, paths=(), flags=(), **options):
    command_line = [sys.executable, *flags, "-m", "datakit", *map(str, arguments)]
    options["env"] = environment(*paths, **options.pop("variables", {}))
    return subprocess.run(command_line, capture_output=True, text=True, timeout=100, **options)


def diagnosed(*arguments, code, **options):
    """The checks, by name."""
    result = run("doctor", "--json", *arguments, **options)
    assert result.returncode == code, result.stdout + result.stderr
    found = json.loads(result.stdout)
    assert found["exit_code"] == code
    return {check["name"]: check for check in found["checks"]}


@pytest.fixture
def fake(tmp_path):
    """Makes a folder with a torch that is broken in some way."""

    def make(kind, name="torch"):
        package = tmp_path / "fake" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(BROKEN[kind])
        return tmp_path / "fake"

    return make


# --- installations that are broken


def test_a_torch_whose_library_is_missing(fake):
    folder = fake("library")
    found = diagnosed("--only", "python,torch", code=1, paths=[folder])
    assert found["torch"]["status"] == found["copies"]["status"] == "broken"
    file = folder / "torch" / "__init__.py"
    assert f" is installed, but {file} is imported: raises OSError: libcudart.so.13" in found["torch"]["found"]
    assert found["torch"]["fix"] == found["copies"]["fix"] == "unset PYTHONPATH"
    assert found["copies"]["found"].startswith(f"torch in {folder} and in ")
    assert found["torchvision"]["found"].endswith("not tried: torch does not import")
    assert str(folder) not in found["torchvision"]["found"]


@pytest.mark.parametrize(("name", "groups"), [("torch", "python,torch"), ("numpy", "python")])
def test_a_file_in_the_current_folder_that_is_imported(tmp_path, name, groups):
    (tmp_path / f"{name}.py").write_text("1 / 0")
    found = diagnosed("--only", groups, code=1, cwd=tmp_path)
    assert found["shadows"]["status"] == found["copies"]["status"] == found[name]["status"] == "broken"
    assert str(tmp_path / f"{name}.py") in found[name]["found"]
    for check in ("shadows", "copies", name):
        assert found[check]["fix"] == f"mv {name}.py my_{name}.py"
    assert all("reinstall" not in check["fix"] for check in found.values())


def test_a_torch_that_crashes(fake):
    found = diagnosed("--only", "torch,loader", code=1, paths=[fake("crash")])
    assert "dies with SIGSEGV" in found["torch"]["found"]
    assert found["/dev/shm"]["status"] in ("ok", "warning")


def test_a_torch_that_hangs(fake):
    begun = time.monotonic()
    found = diagnosed("faces", "--synthetic", "--only", "torch,loader", "--timeout", "1", code=1, paths=[fake("hang")])
    assert "hangs: nothing after 1 s" in found["torch"]["found"]
    assert found["batch"]["status"] == "note"
    assert time.monotonic() - begun < 8


def test_a_torchvision_that_does_not_import_beside_a_torch_that_does(fake):
    found = diagnosed("--only", "torch", code=1, paths=[fake("half", "torchvision")])
    assert [found[name]["status"] for name in ("torch", "torchvision", "torchaudio")] == ["ok", "broken", "ok"]
    assert "cannot import name 'nothing'" in found["torchvision"]["found"]


def test_a_numpy_that_crashes_is_blamed_once(fake):
    found = diagnosed("--only", "python,codecs", code=1, paths=[fake("crash", "numpy")])
    assert [name for name, check in found.items() if check["status"] == "broken"] == ["numpy", "copies"]
    assert "dies with SIGSEGV" in found["numpy"]["found"]
    assert found["sounds"]["found"] == "soundfile not tried: numpy does not import"
    assert found["pictures"]["status"] == "ok"  # Pillow does not need it


def test_an_environment_without_torch(tmp_path):
    """Links to everything that is installed, but torch and what belongs to it: what `pip uninstall` leaves."""
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(("torch", "functorch")) and entry.suffix != ".pth":
            (tmp_path / entry.name).symlink_to(entry)
    options = {"paths": [tmp_path], "flags": ["-S"]}
    found = diagnosed("--only", "torch", code=1, **options)
    assert found["torch"]["found"].startswith("not installed")
    assert re.search(r"install torch==2\.\d+\.0 torchvision==0\.\d+\.0 torchaudio==2\.\d+\.0$", found["torch"]["fix"])
    other = run("inspect", "faces", "--synthetic", **options)
    said = "torch cannot be imported: ModuleNotFoundError: No module named 'torch'"
    assert other.stderr == f"error: {said}; to see what is wrong and how to mend it: datakit doctor\n"
    assert run("list", **options).returncode == 0


def test_a_torch_of_another_version(tmp_path, fake):
    root = fake("library")
    info = root / "torch-2.9.1+cpu.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.9.1+cpu\n")
    (root / "torch" / "__init__.py").write_text("__version__ = '2.9.1+cpu'")
    found = diagnosed("--only", "torch", code=1, paths=[root])
    assert "2.9.1+cpu" in found["torch"]["found"]
    assert found["torch"]["why"].startswith("datakit needs torch 2.11.0 or later")
    assert str(root / "torch" / "__init__.py") in found["torch"]["found"]
    assert found["torch"]["fix"] == "unset PYTHONPATH"  # to install another one would not help


COMMANDS = [
    ["inspect", "faces", "--synthetic"],
    ["bench", "faces", "--synthetic"],
    ["train", "faces", "--synthetic"],
    ["download", "faces", "--root", "data"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda words: words[0])
def test_every_other_command_names_the_cause_in_one_line(fake, tmp_path, arguments):
    result = run(*arguments, paths=[fake("library")], cwd=tmp_path)
    assert result.returncode == (3 if arguments[0] == "train" else 1)  # 1 is a bar that was missed
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: torch cannot be imported: OSError: libcudart.so.13: cannot open")
    assert line.endswith("datakit doctor")


def test_debug_shows_the_traceback_too(fake, tmp_path):
    result = run("bench", "faces", "--synthetic", "--debug", paths=[fake("library")], cwd=tmp_path)
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.splitlines()[-1].endswith("datakit doctor")


def test_errors_of_a_users_own_module_are_not_the_installations(tmp_path, monkeypatch):
    (tmp_path / "mine_of_doctor.py").write_text("import no_such_module_of_mine\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, ["inspect", "mine_of_doctor:data"])
    assert result.exit_code == 2
    assert "doctor" not in result.output.replace("mine_of_doctor", "")
    assert broken_package(OSError("no space left on device")) is None
    assert broken_package(ModuleNotFoundError("No module named 'torch._x'", name="torch._x")) is not None


# --- an installation that is whole


@pytest.fixture(scope="module")
def whole():
    return run("doctor", "--json")


def test_the_document_holds_every_group_and_agrees_with_the_exit_code(whole):
    found = json.loads(whole.stdout)
    assert [group for group in GROUPS if any(check["group"] == group for check in found["checks"])] == list(GROUPS)
    assert whole.returncode == found["exit_code"] == int(found["summary"]["broken"] > 0)
    for check in found["checks"]:
        assert check["status"] == "ok" or check["why"] or check["found"]
        assert check["status"] not in ("broken", "warning") or check["fix"]


def test_this_installation_is_described_as_it_is(whole):
    import torch

    found = {check["name"]: check for check in json.loads(whole.stdout)["checks"]}
    assert found["torch"]["found"].startswith(torch.__version__)
    assert found["torchvision"]["status"] == found["torchaudio"]["status"] == "ok"
    assert found["requirements"]["status"] == "ok"
    assert found["pictures"]["status"] == found["sounds"]["status"] == "ok"
    assert found["start method"]["status"] in ("ok", "note")


# --- a target


def options(target, **what):
    usual = {"root": None, "synthetic": False, "records": 8, "split": None, "typed": (), "transform": None}
    return {"target": target, **usual, "seed": None, "batch_size": None, **what}


def test_a_batch_weighs_what_its_tensors_weigh():
    from datakit import Loader
    from datakit.transforms import Compose, Rescale, ToTensor
    from datakit.vision import FaceLandmarks

    chain = Compose([Rescale((64, 48)), ToTensor()])
    whole = next(iter(Loader(FaceLandmarks.synthetic(n=8, transform=chain), batch_size=8)))
    tensors = [value for value in whole.values() if hasattr(value, "nbytes")]
    asked = options("faces", synthetic=True, typed=("Rescale((64, 48))", "ToTensor"), batch_size=8)
    check, load = batch_check(Outcome("returned", batch(asked)), asked, load_of(3, 4, 8, 2), 3)
    assert check.status == "ok"
    assert load.batch_bytes == sum(tensor.nbytes for tensor in tensors)
    assert load.batch_tensors == len(tensors)
    assert (load.workers, load.in_flight) == (3, 3 * 4 + 2)
    assert "the largest float32 (8, 3, 64, 48)" in check.found


def test_a_loader_brings_its_own_workers_and_batch_size(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from datakit import Loader\nprint('noise')\n"
        "loader = Loader([{'n': n} for n in range(20)], 5, num_workers=3, prefetch_factor=7)\n"
    )
    document = json.loads(run("doctor", "mine:loader", "--json", "--only", "loader", cwd=tmp_path).stdout)
    assert {key: document["load"][key] for key in ("workers", "prefetch", "batch_size", "batch_bytes")} == {
        "workers": 3, "prefetch": 7, "batch_size": 5, "batch_bytes": 2 * 5 * 8,
    }  # fmt: skip


LOADERS = """
import os
import torch
from torch.utils.data import DataLoader, IterableDataset

class Own:
    def __len__(self):
        return 100

    def __getitem__(self, index):
        assert os.environ["DOCTOR"] == str(os.getppid())  # not in a worker
        return torch.zeros(10)

class Endless(IterableDataset):
    def __iter__(self):
        while True:
            yield Own()[0]

how = {"num_workers": 3, "prefetch_factor": 50, "persistent_workers": True, "timeout": 9}
many = DataLoader(Own(), 4, multiprocessing_context="spawn", **how)
endless = DataLoader(Endless(), 4, **how)
single = DataLoader(Own(), None, **how)
"""


@pytest.mark.parametrize(("name", "size"), [("many", 160), ("endless", 160), ("single", 40)])
def test_a_loader_of_torchs_makes_one_batch_and_starts_no_workers(tmp_path, monkeypatch, name, size):
    (tmp_path / "mine_of_torch.py").write_text(LOADERS)
    monkeypatch.setenv("DOCTOR", str(os.getppid()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    value = batch(options(f"mine_of_torch:{name}"))
    assert (value["bytes"], value["workers"], value["prefetch"]) == (size, 3, 50)


def test_data_that_are_missing(tmp_path):
    asked = options("faces", root=str(tmp_path / "data"))
    outcome = Outcome(**_outcome(batch, [asked]))
    check, load = batch_check(outcome, asked, load_of(None, None, None, 4), None)
    assert check.status == "warning"
    assert check.found.startswith(f"faces gave no batch: faces is missing under {tmp_path / 'data'}: ")
    assert check.fix == f"datakit download faces --root {tmp_path / 'data'}"
    assert load == load_of(4, 2, 32, 1)
    (needed,) = remotes("faces", None, str(tmp_path / "data"))
    assert (needed["name"], needed["is_there"]) == ("faces.zip", False)
    (tmp_path / "data" / "faces" / "faces").mkdir(parents=True)
    assert not remotes("faces", None, str(tmp_path / "data"))[0]["is_there"]  # one folder too deep
    (tmp_path / "data" / "faces" / "face_landmarks.csv").touch()
    assert remotes("faces", None, str(tmp_path / "data"))[0]["is_there"]


def test_a_dataset_without_records_is_broken(tmp_path, monkeypatch):
    (tmp_path / "empty_of_doctor.py").write_text(
        "from torch.utils.data import DataLoader\nnone = []\nfew = DataLoader([1, 2], 4, drop_last=True)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("none", "few"):
        asked = options(f"empty_of_doctor:{name}")
        check, _ = batch_check(Outcome(**_outcome(batch, [asked])), asked, load_of(None, None, None, 4), None)
        assert check.status == "broken"
        assert "gave no batch" in check.found


def test_samples_of_several_sizes_break_the_batch_and_say_how():
    asked = options("faces", synthetic=True, typed=("ToTensor",))
    check, _ = batch_check(Outcome(**_outcome(batch, [asked])), asked, load_of(None, None, None, 4), None)
    assert check.status == "broken"
    assert "key 'image' cannot be put into one batch" in check.found
    assert check.fix == "datakit inspect faces --synthetic -t ToTensor"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (options("face", synthetic=True), "did you mean 'faces'?"),
        (options("faces"), "--root DIR for the real ones"),
        (options("faces", synthetic=True, typed=("Rescal(3)",)), "did you mean 'Rescale'"),
    ],
)
def test_a_target_that_makes_no_sense(asked, message):
    outcome = Outcome("returned", batch(asked))
    with pytest.raises(TargetError, match=re.escape(message)):
        batch_check(outcome, asked, load_of(None, None, None, 4), None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "torhc"], "did you mean 'torch'?"),
        (["-t", "ToTensor"], "-t goes with a TARGET"),
        (["--batch-size", "0"], "--batch-size"),
        (["--timeout", "0"], "--timeout"),
        (["facse", "--synthetic"], "did you mean 'faces'?"),
        (["no/such/folder"], "there is no folder"),
    ],
)
def test_a_wrong_command_line(arguments, message):
    result = CliRunner().invoke(command, ["doctor", *arguments])
    assert result.exit_code == 2
    assert message in result.output


def test_a_wrong_target_has_the_exit_code_of_a_wrong_command_line(monkeypatch):
    class Refused:
        def __init__(self, module, stages, limit, basis):
            self.stages = stages

        def outcomes(self):
            values = {"batch": {"refused": "unknown dataset 'face'"}, "torch": {"version": "2.11.0"}}
            return {name: Outcome("returned", values.get(name)) for name in self.stages}

        def stop(self):
            pass

    monkeypatch.setattr("datakit.doctor.examine.Probe", Refused)
    result = CliRunner().invoke(command, ["doctor", "mine:face", "--only", "loader", "--json"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: unknown dataset 'face'\n"


# --- the terminal


def test_ctrl_c_gives_what_was_found(fake):
    words = [sys.executable, "-m", "datakit", "doctor", "--only", "python,torch"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment(fake("hang"))) as process:
        first = process.stdout.readline()
        while "requirements" not in process.stdout.readline():
            pass
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(20) == 130
    assert first.startswith("Python")
    assert "interrupted; so far" in rest


def test_a_reader_that_has_seen_enough(fake):
    words = f"{sys.executable} -m datakit doctor --only torch,machine | head -1"
    result = subprocess.run(words, shell=True, capture_output=True, text=True, env=environment(fake("library")))
    assert result.stdout == "torch, torchvision, torchaudio\n"
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr


def test_without_a_home_in_a_folder_that_is_read_only(tmp_path, fake):
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0o500)
    found = diagnosed("--only", "places", code=0, cwd=folder, variables={"HOME": "", "DATAKIT_CACHE": str(tmp_path)})
    assert found["cache"]["status"] == "ok"


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    found = diagnosed("--only", "places", code=1, variables={"DATAKIT_CACHE": str(tmp_path / "file" / "cache")})
    assert found["cache"]["status"] == "broken"
    found = diagnosed("--only", "places", code=1, variables={"DATAKIT_MIRROR": str(tmp_path)})
    assert found["mirror"]["fix"] == f"export DATAKIT_MIRROR=file://{tmp_path}"


LONG = Check(
    "copies", "broken", "torch in /a/very/long/folder/of/somebody/" * 3 + " and others", "why " * 40,
    "pip install --force-reinstall torch==2.11.0 torchvision==0.26.0 torchaudio==2.11.0\nLoader(…, num_workers=2)",
)  # fmt: skip


@pytest.mark.parametrize("width", [40, 60, 80, 110])
def test_lines_keep_to_the_terminal_and_commands_stay_whole(width):
    lines = [re.sub(r"\x1b\[\d*m", "", line) for line in lines_of(LONG, width)]
    commands = [line for line in lines if line.startswith("      $ ")]
    assert commands == [f"      $ {LONG.fix.splitlines()[0]}"]
    assert "      > Loader(…, num_workers=2)" in lines
    assert max(len(line) for line in lines if line not in commands) <= max(width, 46)


def test_what_is_ok_is_one_thing_said_and_no_colour_goes_to_a_file(fake):
    fine = Check("swap", "ok", "none", "never shown", "never shown")
    assert "never" not in "".join(lines_of(fine, 80))
    result = run("doctor", "--only", "machine", variables={"COLUMNS": "60"}, paths=[fake("library")])
    assert "\x1b" not in result.stdout + result.stderr
    assert all(len(line) <= 60 for line in result.stdout.splitlines()[:-2] if not line.startswith("      $"))
    assert result.stdout.splitlines()[-1].startswith("(held against")


def test_the_last_line_sums_up():
    report = Report(
        (Check("a", "ok", ""), Check("b", "warning", ""), Check("c", "broken", ""), Check("d", "warning", ""))
    )
    assert "1 broken, 2 warnings, 1 ok" in last_line(report, Load(2))
    assert (report.exit_code, Report(report.checks, True).exit_code, Report(()).exit_code) == (1, 130, 0)
    assert Report(()).summary() == "nothing was looked at"
    assert "2 warnings: nothing breaks for certain" in last_line(Report((report.checks[1],) * 2), Load(2))
    assert last_line(Report(report.checks, True), Load(2)).splitlines() == [
        click.style("interrupted; so far 1 broken, 2 warnings, 1 ok", fg="red", bold=True)
    ]


def test_memory_is_told_once_also_where_there_is_too_little(monkeypatch):
    class Ended:
        def __init__(self, module, stages, limit, basis):
            self.stages = stages

        def outcomes(self):
            spawned = {"exitcode": 0, "seconds": 0.1}
            torch = {"version": "2.11.0", "threads": 1, "strategy": "file_descriptor"}
            values = {"torch": torch, "started spawn": spawned}
            return {name: Outcome("returned", values.get(name)) for name in self.stages}

        def stop(self):
            pass

    monkeypatch.setattr("datakit.doctor.examine.Probe", Ended)
    monkeypatch.setattr("datakit.doctor.examine.read_memory", lambda: Memory(2**34, 2**34, 1000, 0, 0))
    words = ["doctor", "--only", "loader,machine", "--workers", "2", "--json"]
    checks = json.loads(CliRunner().invoke(command, words).stdout)["checks"]
    names = [check["name"] for check in checks]
    assert names.count("memory") == 1
    assert len(names) == len(set(names))
    assert {check["fix"] for check in checks if check["name"] == "memory"} == {"Loader(…, num_workers=0)"}


def test_nothing_that_may_be_broken_is_imported():
    code = "import datakit.doctor, datakit.doctor.view, datakit.cli, datakit.files.paths, sys; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment())
    loaded = {name.split(".")[0] for name in found.stdout.split()}
    foreign = {
        "torch",
        "torchvision",
        "torchaudio",
        "numpy",
        "pandas",
        "PIL",
        "soundfile",
        "requests",
        "tqdm",
        "psutil",
    }
    assert loaded & (foreign | {"packaging", "filelock", "jinja2", "matplotlib", "datasets"}) == set()
