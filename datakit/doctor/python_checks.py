"""Python, and what datakit requires of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from datakit.doctor.child import Outcome
from datakit.doctor.foreign import folder_of, foreign, removal
from datakit.doctor.installed import Installed, copies, installed
from datakit.doctor.model import Check, Status
from datakit.doctor.pip import pip_install
from datakit.doctor.requirement import Requirement
from datakit.doctor.together import PACKAGES

EXTRAS = {
    "tensorboard": "inspect --tensorboard, datakit.report.tensorboard",
    "pycocotools": "COCO annotations and COCO's twelve numbers of a detector",
    "torchcodec": "sounds that only FFmpeg reads: M4A, AAC, WebM, WMA, AMR",
    "tokenizers": "vocabularies of Hugging Face's tokenizers",
}
"""What is optional and used by datakit itself, and for what."""
UNTRIED = "not tried: {} does not import"
"""Of a package that needs another, which is told of already."""


def python_checks(folder: Path, is_good: Callable[[str], bool] = lambda name: True) -> Iterator[Check]:
    """The interpreter, its environment, and files in the current folder that hide packages.

    Args:
        folder: the current one.
        is_good: whether the import of a package works; asked only of those that are hidden.
    """
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.prefix == sys.base_prefix and not os.environ.get("CONDA_PREFIX"):
        why = "what is installed here is shared with other programs of this machine"
        fix = f"{sys.executable} -m venv .venv && . .venv/bin/activate"
        yield Check("python", "note", f"{version}, {sys.executable}, not in an environment of its own", why, fix)
    else:
        yield Check("python", "ok", f"{version}, {sys.prefix}")
    hiding = [file for file in _hiding(folder) if not _is_datakits(file)]
    if hiding:
        names = ", ".join(file.name for file in hiding)
        why = "a program started in this folder imports it in place of the package of that name"
        fix = "\n".join(f"mv {file.name} my_{file.name}" for file in hiding)
        status: Status = "warning" if all(is_good(file.stem) for file in hiding) else "broken"
        yield Check("shadows", status, f"{names} in {folder}", why, fix)


def _hiding(folder: Path) -> Iterator[Path]:
    """Files and packages in a folder that have the name of something that datakit imports."""
    names = ("torch", "torchvision", "torchaudio", "numpy", "pandas", "PIL", "datasets", "soundfile", "tokenizers")
    for name in (*names, "random", "logging", "queue", "types", "copy", "select", "struct"):
        if (folder / f"{name}.py").is_file():
            yield folder / f"{name}.py"
        elif (folder / name / "__init__.py").is_file() and name in names:
            yield folder / name


def _is_datakits(file: Path) -> bool:
    """Whether it is no user's file but where packages are installed."""
    return file.parent.name in ("site-packages", "dist-packages")


def requirement_checks(requirements: Sequence[Requirement], outcomes: Mapping[str, Outcome]) -> Iterator[Check]:
    """Whether each requirement is installed, in range, and imports; torch and those beside it have checks of their own.

    Args:
        requirements: of datakit.
        outcomes: of the stages `load NAME` of `imports_probe`.
    """
    needed = [one for one in requirements if not one.extra and one.name not in PACKAGES]
    if not needed:
        why = "without its metadata nobody can say what it requires"
        yield Check(
            "requirements", "note", "datakit is not installed, and nothing says what it requires", why, "pip install ."
        )
        return
    absent = [one for one in needed if _absence(one, outcomes)]
    if len(absent) > 1:
        found = ", ".join(f"{one.name} {_absence(one, outcomes)}" for one in absent)
        why = "datakit requires them; one command installs all"
        yield Check("requirements", "broken", found, why, pip_install(*map(str, absent)))
    others = [one for one in needed if len(absent) < 2 or one not in absent]
    bad = [check for one in others if (check := _one(one, outcomes)) is not None]
    yield from bad
    if not bad and len(absent) < 2:
        how = "" if _has_packaging() else "; compared by their numbers alone, packaging is not installed"
        yield Check("requirements", "ok", f"{len(needed)} of {len(needed)} installed, in range, and they import{how}")


def _has_packaging() -> bool:
    return bool(copies("packaging"))


def _absence(one: Requirement, outcomes: Mapping[str, Outcome]) -> str:
    """Why a requirement must be installed: `not installed`, `1.0 is out of range`; empty where it need not."""
    here, outcome = installed(one.name), outcomes.get(f"load {one.module}")
    if here is None and (outcome is None or not outcome.is_good):
        return "not installed"
    return "" if here is None or one.fits(here.version) else f"{here.version} is out of range"


def _one(one: Requirement, outcomes: Mapping[str, Outcome]) -> Check | None:
    """What is wrong with a requirement; None where it is as it should be."""
    here, outcome = installed(one.name), outcomes.get(f"load {one.module}")
    why = f"datakit requires {one}"
    if absence := _absence(one, outcomes):
        return Check(one.name, "broken", absence, why, pip_install(str(one)))
    if outcome is None or outcome.is_good or outcome.error.startswith("not tried"):
        return None
    said = f"{here.version if here else 'installed'}, but its import {outcome.error}"
    missing = outcome.name.split(".")[0] if outcome.kind == "ModuleNotFoundError" else ""
    if missing and missing != one.module:
        return Check(one.name, "broken", said, f"{why}, which needs {missing}", pip_install(missing))
    if file := foreign(one.module):
        return Check(one.name, "broken", f"{file} is imported, and {outcome.error}", why, _first_of(one))
    exact = f"{one.name}=={here.version}" if here else str(one)
    return Check(one.name, "broken", said, why, pip_install(exact, options="--force-reinstall"))


def _first_of(one: Requirement) -> str:
    """What takes away the file that is in the way of a requirement, and installs that where it is not there."""
    there = len(copies(one.module)) > 1
    return "\n".join(filter(None, [removal(one.module), "" if there else pip_install(str(one))])) or _without(
        one.module
    )


def extra_checks(requirements: Sequence[Requirement], outcomes: Mapping[str, Outcome]) -> Iterator[Check]:
    """What is optional: that it works, or what it would be for and how it comes.

    Args:
        requirements: of datakit, with its extras.
        outcomes: of stages named as what they try.
    """
    for name, purpose in EXTRAS.items():
        one = next((one for one in requirements if one.name == name), Requirement(name, ""))
        here, outcome = installed(name), outcomes[name]
        fix = pip_install(str(one))
        if here is None:
            yield Check(name, "note", "not installed; optional", f"for {purpose}", fix)
        elif not one.fits(here.version):
            yield Check(
                name, "warning", f"{here.version} is out of range: {one}", f"for {purpose}", pip_install(str(one))
            )
        elif outcome.error.startswith("not tried"):
            yield Check(name, "note", f"{here.version}, {outcome.error}")
        elif outcome.is_good:
            yield Check(name, "ok", f"{here.version}{_about(outcome)}, works")
        else:
            yield _broken_extra(name, here, outcome, purpose)


def _about(outcome: Outcome) -> str:
    ffmpeg = outcome.value.get("ffmpeg") if isinstance(outcome.value, dict) else ""
    return f" with FFmpeg {ffmpeg}" if ffmpeg else ""


def _broken_extra(name: str, here: Installed, outcome: Outcome, purpose: str) -> Check:
    """An optional package that is there and does not work."""
    fix = pip_install(f"{name}=={here.version}", options="--force-reinstall")
    error = outcome.error
    if name == "torchcodec" and ("ffmpeg" in outcome.text.lower() or "libav" in outcome.text.lower()):
        fix, error = "sudo apt-get install ffmpeg", "does not find the libraries of an FFmpeg that it knows"
    return Check(name, "warning", f"{here.version} {error}", f"for {purpose}", fix)


def copy_checks(found: Mapping[str, Installed | None], is_good: Callable[[str], bool]) -> Iterator[Check]:
    """Several copies of a package on `sys.path`: which one counts.

    Args:
        found: what is installed, by name.
        is_good: whether the import of a package works; asked only of those with several copies.
    """
    for name, one in found.items():
        places = [folder_of(file) for file in copies(name)]
        why = "the first one is imported, and parts of the other may be found by what belongs to it"
        if len(places) > 1:
            status: Status = "warning" if is_good(name) else "broken"
            yield Check("copies", status, f"{name} in {' and in '.join(places)}", why, _without(name))
        elif one is not None and len(one.places) > 1:
            fix = f"{pip_install().partition(' install')[0]} uninstall -y {name}  # twice, then install it again"
            yield Check("copies", "warning", f"{name}: metadata in {' and in '.join(one.places)}", why, fix)


def _without(name: str) -> str:
    """How the first one of several copies comes off `sys.path`."""
    return removal(name) or f"{sys.executable} -c \"import sys; print(*sys.path, sep='\\n')\""
