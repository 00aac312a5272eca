"""Versions against what the wheels themselves say, and against pip's own comparison."""

import importlib.metadata
import itertools
import shutil
import subprocess
import sys

import pytest

from datakit.doctor.child import Outcome
from datakit.doctor.gpu import Gpu, gpu_check, read_gpu
from datakit.doctor.installed import Installed, copies, installed, own_requirements
from datakit.doctor.pip import pip_install
from datakit.doctor.python_checks import copy_checks, extra_checks, python_checks, requirement_checks
from datakit.doctor.requirement import _fits, parsed
from datakit.doctor.together import Trio, disagreement, mixture, wanted
from datakit.doctor.torch_checks import torch_checks

PUBLISHED = """
2.11.0 0.26.0 2.11.0
2.10.0 0.25.0 2.10.0
2.9.1 0.24.1 2.9.1
2.9.0 0.24.0 2.9.0
2.8.0 0.23.0 2.8.0
2.7.1 0.22.1 2.7.1
2.7.0 0.22.0 2.7.0
2.6.0 0.21.0 2.6.0
2.5.1 0.20.1 2.5.1
2.4.1 0.19.1 2.4.1
2.3.1 0.18.1 2.3.1
2.2.2 0.17.2 2.2.2
2.1.0 0.16.0 2.1.0
"""  # of https://pytorch.org/get-started/previous-versions
NODES = ("/dev/nvidia0",)
LEAST = {"torch": "2.11.0", "torchvision": "0.26.0", "torchaudio": "2.11.0"}
GOOD = Outcome("returned", {"version": "as installed"})


def one(name, version, *requires, build="", cuda=""):
    return Installed(name, version, requires, (f"/site/{name}-{version}.dist-info",), build, cuda)


def checks(found, **outcomes):
    whole = {name: outcomes.get(name, GOOD) for name in LEAST}
    return {check.name: check for check in torch_checks({name: found.get(name) for name in LEAST}, whole, LEAST)}


GROUP = {
    "torch": one("torch", "2.11.0", build="2.11.0+cu130", cuda="13.0"),
    "torchvision": one("torchvision", "0.26.0", "numpy", "torch (==2.11.0)", build="0.26.0+cu130", cuda="13.0"),
    "torchaudio": one("torchaudio", "2.11.0", build="2.11.0+cu130", cuda="13.0"),
}


# --- what belongs together


@pytest.mark.parametrize("line", PUBLISHED.split("\n")[1:-1])
def test_the_rule_gives_the_published_versions(line):
    torch, torchvision, torchaudio = line.split()
    assert Trio.of(torch) == Trio(torch, torchvision, torchaudio)


def test_the_rule_agrees_with_what_the_installed_wheel_says():
    said = next(parsed(line) for line in importlib.metadata.requires("torchvision") if line.startswith("torch"))
    assert said.fits(importlib.metadata.version("torch"))
    assert Trio.of(said.bounds.removeprefix("==")).torchvision == importlib.metadata.version("torchvision")


def test_a_wheel_that_says_its_torch_is_believed():
    torch = GROUP["torch"]
    assert disagreement("torchvision", torch, GROUP["torchvision"]) == ""
    old = one("torchvision", "0.25.0", "torch (==2.10.0)")
    assert (
        disagreement("torchvision", torch, old) == "torchvision 0.25.0 says that it needs torch==2.10.0, found 2.11.0"
    )
    own_build = one("torchvision", "0.99.0", "torch>=2.5")  # of a distribution that has its own rules
    assert disagreement("torchvision", torch, own_build) == ""


@pytest.mark.parametrize(
    ("torch", "name", "version", "agrees"),
    [
        ("2.11.0", "torchaudio", "2.11.0", True),
        ("2.11.1", "torchaudio", "2.11.0", True),
        ("2.13.0", "torchaudio", "2.11.0", True),
        ("2.11.0", "torchaudio", "2.10.0", False),
        ("2.12.0", "torchaudio", "2.10.0", False),
        ("2.12.0", "torchvision", "0.27.1", True),
        ("2.12.0", "torchvision", "0.26.0", False),
    ],
)
def test_a_wheel_that_says_nothing_is_held_against_the_rule(torch, name, version, agrees):
    assert (disagreement(name, one("torch", torch), one(name, version)) == "") is agrees


def test_the_versions_to_install_are_those_of_the_torch_that_is_there_where_that_is_new_enough():
    assert wanted({"torch": one("torch", "2.12.1+cu126")}, "2.11.0") == Trio("2.12.1", "0.27.1", "2.11.0")
    assert wanted({"torch": one("torch", "2.9.1")}, "2.11.0") == Trio("2.11.0", "0.26.0", "2.11.0")
    assert wanted({}, "2.11.0") == Trio("2.11.0", "0.26.0", "2.11.0")


def test_builds_that_are_mixed():
    cpu = one("torch", "2.11.0+cpu", build="2.11.0+cpu")
    said = mixture(cpu, GROUP["torchvision"])
    assert said == "torchvision is a build for CUDA 13.0 (+cu130), torch one for the CPU (+cpu)"
    assert mixture(GROUP["torch"], GROUP["torchaudio"]) == ""
    assert mixture(GROUP["torch"], one("torchaudio", "2.11.0+cpu"))
    assert mixture(one("torch", "2.11.0+cu126", cuda="12.6"), GROUP["torchvision"])
    assert mixture(one("torch", "2.11.0"), one("torchvision", "0.26.0+cpu")) == ""  # nothing says what torch is


# --- the checks of the three


def test_three_that_belong_together_are_ok():
    assert {check.status for check in checks(GROUP).values()} == {"ok"}


def test_torch_that_is_missing():
    missing = Outcome(
        "raised", error="raises ModuleNotFoundError: No module named 'torch'", kind="ModuleNotFoundError", name="torch"
    )
    found = checks({**GROUP, "torch": None}, torch=missing, torchvision=missing, torchaudio=missing)
    assert found["torch"].status == "broken"
    assert found["torch"].fix.endswith("install torch==2.11.0 torchvision==0.26.0 torchaudio==2.11.0")
    assert found["torchvision"].status == found["torchaudio"].status == "note"


def test_torchvision_of_another_torch():
    error = Outcome(
        "raised", error="raises RuntimeError: operator torchvision::nms does not exist", kind="RuntimeError"
    )
    old = one("torchvision", "0.27.0", "torch (==2.12.0)", build="0.27.0+cu130", cuda="13.0")
    found = checks({**GROUP, "torchvision": old}, torchvision=error)
    assert found["torchvision"].status == "broken"
    assert "nms does not exist" in found["torchvision"].found
    assert "needs torch==2.12.0" in found["torchvision"].why
    assert found["torchvision"].fix.endswith(" torch==2.11.0 torchvision==0.26.0 torchaudio==2.11.0")
    assert "force" not in found["torchvision"].fix
    assert found["builds"].status == "ok"
    assert checks({**GROUP, "torchvision": old})["torchvision"].status == "warning"  # it imports all the same


def test_versions_that_are_too_old_for_datakit():
    group = {
        "torch": one("torch", "2.9.1"),
        "torchvision": one("torchvision", "0.24.1", "torch==2.9.1"),
        "torchaudio": one("torchaudio", "2.9.1"),
    }
    found = checks(group)
    assert [found[name].status for name in LEAST] == ["broken"] * 3
    assert found["torch"].why == "datakit needs torch 2.11.0 or later"


@pytest.mark.parametrize(
    ("outcome", "why", "fix"),
    [
        (Outcome("died", error="dies with SIGSEGV"), "damaged", "--force-reinstall torch==2.11.0"),
        (Outcome("hung", error="hangs"), "does not answer", "dump_traceback_later"),
        (Outcome("raised", error="raises", kind="OSError", text="libcudart.so.13: cannot open shared object file"),
         "libraries of CUDA", "--force-reinstall torch==2.11.0"),
        (Outcome("raised", error="raises", kind="ImportError", text="libtorch.so: undefined symbol: _ZN"),
         "LD_LIBRARY_PATH", "--force-reinstall"),
        (Outcome("raised", error="raises", kind="ModuleNotFoundError", name="sympy.x"), "incomplete", "install sympy"),
    ],
)  # fmt: skip
def test_torch_that_does_not_import(outcome, why, fix):
    found = checks(GROUP, torch=outcome, torchvision=outcome, torchaudio=outcome)
    assert found["torch"].status == "broken"
    assert why in found["torch"].why
    assert fix in found["torch"].fix
    assert found["torchvision"].found == "0.26.0+cu130, not tried: torch does not import"


def test_a_cpu_torch_with_a_torchvision_for_cuda():
    group = {
        **GROUP,
        "torch": one("torch", "2.11.0+cpu", build="2.11.0+cpu"),
        "torchaudio": one("torchaudio", "2.11.0+cpu"),
    }
    error = Outcome(
        "raised", error="raises RuntimeError: operator torchvision::nms does not exist", kind="RuntimeError"
    )
    found = checks(group, torchvision=error)
    assert found["builds"].status == "broken"
    assert "--index-url https://download.pytorch.org/whl/cpu" in found["builds"].fix
    assert "--index-url https://download.pytorch.org/whl/cpu" in found["torchvision"].fix
    assert checks(group)["builds"].status == "warning"


# --- the GPU


def given(tmp_path, driver="", nodes=0, cards=0):
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / "dev").mkdir()
    if driver:
        line = (
            f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {driver}  Sat Aug 19 01:15:15 UTC 2023\nGCC version: 12\n"
        )
        (tmp_path / "proc/driver/nvidia/version").write_text(line)
    for number in range(nodes):
        (tmp_path / f"dev/nvidia{number}").touch()
    (tmp_path / "dev/nvidiactl").touch()
    for number in range(cards + 1):
        folder = tmp_path / f"sys/bus/pci/devices/{number}"
        folder.mkdir(parents=True)
        (folder / "vendor").write_text("0x10de\n")
        (folder / "class").write_text("0x030200\n" if number else "0x040300\n")  # the first is its sound
    return read_gpu(tmp_path / "proc", tmp_path / "dev", tmp_path / "sys")


def asked(available=False, warnings=(), devices=()):
    value = {
        "available": available,
        "warnings": list(warnings),
        "devices": list(devices),
        "built_for": ["sm_75", "sm_90"],
    }
    return Outcome("returned", value)


def device(capability="9.0", error=""):
    return {"name": "H200", "capability": capability, "error": error}


def test_gpus_are_read_from_the_kernel(tmp_path):
    found = given(tmp_path, "535.104.05", nodes=2, cards=2)
    assert (found.driver, len(found.nodes), found.cards) == ("535.104.05", 2, 2)
    open_module = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs)"
    (tmp_path / "proc/driver/nvidia/version").write_text(open_module)
    assert read_gpu(tmp_path / "proc", tmp_path / "dev", tmp_path / "sys").driver == "580.65.06"
    assert read_gpu(tmp_path / "no", tmp_path / "no", tmp_path / "no") == Gpu()


@pytest.mark.parametrize(
    ("gpu", "cuda", "outcome", "status", "found", "fix"),
    [
        (Gpu(), "13.0", asked(), "ok", "none of NVIDIA's", ""),
        (Gpu(), "", asked(), "ok", "a build for the CPU", ""),
        (Gpu("580.65", NODES, 1), "13.0", asked(True, devices=[device()]), "ok", "H200 (sm_90)", ""),
        (Gpu("535.104", NODES, 1), "13.0", asked(warnings=["driver is too old"]), "broken",
         "which needs 580 or later", "--index-url https://download.pytorch.org/whl/cu126"),
        (Gpu("470.1", NODES, 1), "12.6", asked(), "broken", "needs 525", "nvidia-driver"),
        (Gpu("580.65", NODES, 1), "13.0", asked(warnings=["error 803"]), "broken", "error 803", "nvidia-smi"),
        (Gpu("580.65", NODES, 1), "", asked(), "warning", "a build for the CPU", "whl/cu130"),
        (Gpu("580.65", (), 1), "13.0", asked(), "warning", "no device in /dev", "--gpus all"),
        (Gpu("", (), 1), "13.0", asked(), "warning", "no driver is loaded", "nvidia-smi"),
        (Gpu("580.65", NODES, 1), "13.0", asked(True, ["is not compatible"],
         [device("6.1", "CUDA error: no kernel image is available")]), "broken", "no kernel image", "whl/cu126"),
        (Gpu("580.65", NODES, 1), "12.6", asked(True, ["sm_120 is not compatible"],
         [device("12.0", "CUDA error: no kernel image is available")]), "broken", "sm_120", "whl/cu130"),
        (Gpu("580.65", NODES, 1), "13.0", Outcome("died", error="dies with SIGSEGV"), "broken", "SIGSEGV", "smi"),
        (Gpu("580.65", NODES, 1), "13.0", None, "note", "torch does not import", ""),
        (Gpu("580.65", NODES, 1), "", None, "note", "torch does not import", ""),
    ],
)  # fmt: skip
def test_build_driver_and_device(monkeypatch, gpu, cuda, outcome, status, found, fix):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    check = gpu_check(gpu, cuda, outcome, Trio.of("2.11.0"))
    assert check.status == status
    assert found in check.found
    assert fix in check.fix


def test_a_hidden_gpu_is_no_fault(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    check = gpu_check(Gpu("580.65", ("/dev/nvidia0",), 1), "13.0", asked(), Trio.of("2.11.0"))
    assert (check.status, check.fix) == ("note", "unset CUDA_VISIBLE_DEVICES")


# --- requirements


VERSIONS = ["0.9", "1.0", "1.0.0", "1.1", "1.10.2", "2.0", "2.11.0", "3"]
BOUNDS = [">=1.0", ">1.0", "<=1.10.2", "<2", "==1.0", "==1.*", "!=1.1", "!=1.*", "~=1.0", "~=1.10.0", ">=1,<2", ""]


def test_versions_compare_as_pip_compares_them_where_packaging_is_missing():
    from packaging.specifiers import SpecifierSet

    for bounds, version in itertools.product(BOUNDS, VERSIONS):
        simple = all(_fits(bound, version) for bound in bounds.split(",") if bound)
        assert simple == SpecifierSet(bounds).contains(version), (bounds, version)
        assert parsed(f"x{bounds}").fits(version) == simple


def test_lines_of_metadata_are_understood_as_packaging_understands_them():
    from packaging.requirements import Requirement as Truth

    lines = [
        line
        for name in ("torch", "torchvision", "datakit", "pillow", "datasets")
        for line in importlib.metadata.requires(name)
    ]
    assert len(lines) > 50
    for line in lines:
        truth, own = Truth(line), parsed(line)
        assert own.name == truth.name
        assert set(own.bounds.split(",")) - {""} == {str(part) for part in truth.specifier}
        assert ('extra == "' in str(truth.marker)) == bool(own.extra)


def test_what_is_installed_is_read_without_importing_it(tmp_path):
    for version in ("9.9.0", "9.8.0"):
        info = tmp_path / version / f"torch-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\nRequires-Dist: numpy\n"
        )
    package = tmp_path / "9.9.0" / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit")
    (package / "version.py").write_text(
        "from typing import Optional\n__version__ = '9.9.0+cu126'\ncuda: Optional[str] = '12.6'\n"
    )
    (tmp_path / "9.9.0" / "torch-9.7.0.dist-info").mkdir()  # what an interrupted pip leaves
    paths = [str(tmp_path / "9.9.0"), str(tmp_path / "9.8.0")]
    found = installed("torch", paths)
    assert (found.version, found.build, found.cuda, found.local) == ("9.9.0", "9.9.0+cu126", "12.6", "cu126")
    assert found.requires == ("numpy",)
    assert len(found.places) == 2
    assert installed("torch", paths[1:]).version == "9.8.0"
    assert copies("torch", paths) == [str(package / "__init__.py")]


def test_requirements_of_datakit_are_known_and_parse():
    found = {line.name for line in map(parsed, own_requirements()) if not line.extra}
    assert {"torch", "torchvision", "torchaudio", "numpy", "pillow", "click"} <= found


@pytest.mark.parametrize(
    ("line", "outcome", "found", "fix"),
    [
        ("numpy>=2.0", GOOD, None, ""),
        ("numpy>=99", GOOD, "is out of range", "'numpy>=99'"),
        ("no-such-thing>=1", GOOD, "not installed", "'no-such-thing>=1'"),
        ("numpy>=2.0", Outcome("died", error="dies with SIGILL"), "dies with SIGILL", "--force-reinstall numpy=="),
        (
            "pandas>=2",
            Outcome("raised", error="raises", kind="ModuleNotFoundError", name="pytz"),
            "raises",
            "install pytz",
        ),
    ],
)
def test_requirements(line, outcome, found, fix):
    one = parsed(line)
    stage = {f"load {one.module}": outcome} if "no-such" not in line else {}
    (check,) = requirement_checks([one, parsed("torch>=99"), parsed("mypy>=99; extra == 'lint'")], stage)
    assert check.status == ("ok" if found is None else "broken")
    assert found is None or found in check.found
    assert fix in check.fix


def test_many_missing_packages_are_one_command():
    lines = ["no-such-thing>=1", "numpy>=99", "nor-this", "pillow"]
    (check,) = requirement_checks([parsed(line) for line in lines], {})
    assert check.status == "broken"
    assert check.found.startswith("no-such-thing not installed, numpy ")
    assert check.fix == pip_install("no-such-thing>=1", "numpy>=99", "nor-this")
    assert check.fix.count("install ") == 1


def test_where_torch_is_missing_nothing_is_said_of_its_build():
    assert gpu_check(Gpu(), "", None, Trio.of("2.11.0")).found == "none of NVIDIA's"


def test_nothing_known_of_requirements_is_said():
    (check,) = requirement_checks([], {})
    assert check.status == "note"


def test_extras_say_what_they_are_for(monkeypatch):
    requirements = [parsed(line) for line in own_requirements()]
    ffmpeg = Outcome("raised", error="raises RuntimeError: …", text="Could not load libtorchcodec. FFmpeg is not found")
    outcomes = {"tensorboard": GOOD, "pycocotools": GOOD, "tokenizers": GOOD, "torchcodec": ffmpeg}
    found = {check.name: check for check in extra_checks(requirements, outcomes)}
    assert found["tensorboard"].status == "ok"
    if installed("torchcodec") is None:
        assert found["torchcodec"].status == "note"
        assert found["torchcodec"].fix.endswith("install 'torchcodec>=0.7'")
    monkeypatch.setattr("datakit.doctor.python_checks.installed", lambda name: one(name, "99"))
    found = {check.name: check for check in extra_checks(requirements, outcomes)}
    assert (found["torchcodec"].status, found["torchcodec"].fix) == ("warning", "sudo apt-get install ffmpeg")


def test_two_copies_of_a_package(tmp_path, monkeypatch):
    for name in ("first", "second"):
        (tmp_path / name / "torch").mkdir(parents=True)
        (tmp_path / name / "torch" / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), str(tmp_path / "second")])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "first"))
    (check,) = copy_checks({"torch": None}, lambda name: True)
    assert check.status == "warning"
    assert [check.status for check in copy_checks({"torch": None}, lambda name: False)] == ["broken"]
    assert check.found == f"torch in {tmp_path / 'first'} and in {tmp_path / 'second'}"
    assert check.fix == "unset PYTHONPATH"
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first")])
    assert list(copy_checks({"torch": one("torch", "1")}, lambda name: True)) == []


def test_a_file_that_hides_a_package(tmp_path):
    (tmp_path / "torch.py").touch()
    (tmp_path / "datasets").mkdir()  # a folder of data hides nothing
    found = {check.name: check for check in python_checks(tmp_path)}
    assert found["shadows"].status == "warning"
    assert found["shadows"].fix == "mv torch.py my_torch.py"
    assert [check.status for check in python_checks(tmp_path, lambda name: False)][-1] == "broken"
    run = subprocess.run(
        [sys.executable, "-c", "import torch; print(torch.__file__)"], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.stdout.strip() == str(tmp_path / "torch.py")  # it does
    assert "shadows" not in {check.name for check in python_checks(tmp_path / "datasets")}


def test_the_command_to_install_is_one_of_this_python(monkeypatch):
    words = pip_install("a[b]>=3")
    assert words.endswith(" install 'a[b]>=3'")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert pip_install("x").startswith((f"{sys.executable} -m pip install", f"{sys.executable} -m ensurepip"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/uv" if name == "uv" else None)
    assert pip_install("x") == f"uv pip install --python {sys.executable} x"
