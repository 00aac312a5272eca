"""torch, torchvision and torchaudio: whether they are there, belong together, and work."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from datakit.doctor.child import Outcome
from datakit.doctor.foreign import folder_of, foreign, in_the_way, removal
from datakit.doctor.installed import Installed, copies
from datakit.doctor.model import Check
from datakit.doctor.pip import pip_install
from datakit.doctor.together import PACKAGES, Trio, disagreement, mixture, wanted

NEEDS = {
    "torch": "nothing of datakit that reads, transforms or loads works without it",
    "torchvision": "images, boxes, masks and the models of the references need it",
    "torchaudio": "the transforms of sound need it",
}
_WORKS = {"torch": "", "torchvision": ", its operators work", "torchaudio": ", its filters work"}
_LIBRARY = "libraries of CUDA that it was built for are not found: its wheel was copied or cut short, or another build"


def torch_checks(
    found: Mapping[str, Installed | None], outcomes: Mapping[str, Outcome], least: Mapping[str, str]
) -> Iterator[Check]:
    """A check of each of the three, and one of their builds.

    Args:
        found: what is installed, by name.
        outcomes: of the stages of `torch_probe`.
        least: the least version that datakit takes, by name.
    """
    trio = wanted(found, least["torch"])
    for name in PACKAGES:
        yield _one(name, found, outcomes, least[name], trio)
    yield from _builds(found, outcomes, trio)


def _one(
    name: str, found: Mapping[str, Installed | None], outcomes: Mapping[str, Outcome], least: str, trio: Trio
) -> Check:
    here, torch, outcome = found[name], found["torch"], outcomes[name]
    fix = _first(name, trio.command(_build(found)))
    places = copies(name)
    if here is None and not outcome.is_good:
        if places and outcome.kind != "ModuleNotFoundError":
            return Check(name, "broken", f"{places[0]} has no metadata and {outcome.error}", NEEDS[name], fix)
        return Check(name, "broken", f"not installed: {outcome.error}", NEEDS[name], fix)
    if here is None:
        return Check(name, "note", f"{outcome.value['version']}, without metadata of its own", _unknown(places), "")
    said = _named(here)
    why = disagreement(name, torch, here) if torch is not None and name != "torch" else ""
    is_tried = name == "torch" or outcomes["torch"].is_good
    ended = "" if outcome.is_good or not is_tried else f" {outcome.error}"
    if _below(here, least):
        return Check(name, "broken", f"{said}{ended}", why or f"datakit needs {name} {least} or later", fix)
    if outcome.is_good and why:
        return Check(name, "warning", f"{said}: it imports", f"{why}: some of its compiled parts may not work", fix)
    if outcome.is_good:
        return Check(name, "ok", f"{said}{_WORKS[name]}")
    if not is_tried:
        return Check(
            name, "broken" if why else "note", f"{said}, not tried: torch does not import", why, fix if why else ""
        )
    cause = why or in_the_way(name) or _cause(outcome)
    return Check(name, "broken", f"{said}{ended}", cause, _remedy(name, outcome, why, trio, found))


def _named(here: Installed) -> str:
    """The version, and the file that is imported where that is not in `site-packages`."""
    version, file = here.build or here.version, foreign(here.name)
    if not file:
        return version
    is_own = any(folder_of(file) == str(Path(place).parent) for place in here.places[:1])
    return f"{version} ({file})" if is_own else f"{version} is installed, but {file} is imported:"


def _first(name: str, install: str) -> str:
    """What makes the import find a package, where another one is in the way; the installation where none is there."""
    out = removal(name) if foreign(name) else ""
    return "\n".join(filter(None, [out, "" if out and len(copies(name)) > 1 else install]))


def _unknown(places: list[str]) -> str:
    return (
        f"pip does not know it, so its version cannot be held against the others; it is {places[0]}" if places else ""
    )


def _below(here: Installed, least: str) -> bool:
    from datakit.doctor.requirement import numbers

    return numbers(here.public) < numbers(least)


def _cause(outcome: Outcome) -> str:
    """What an error of an import usually means."""
    if outcome.how == "hung":
        return "a lock, a file system or a driver does not answer; the command shows where it waits"
    if _is_numpys(outcome):
        return "NumPy, which it uses, does not import: mend that first"
    if outcome.how == "died":
        return "its compiled parts are damaged, or meant for another processor, Python or library"
    if "lib" in outcome.text and ("cannot open shared object" in outcome.text or "undefined symbol" in outcome.text):
        return f"{_LIBRARY} of a library comes first on LD_LIBRARY_PATH"
    return "its files are incomplete, or of several versions"


def _is_numpys(outcome: Outcome) -> bool:
    """Whether NumPy, which it imports, is what fails: another one is in the way, or the message names it."""
    return "numpy" in outcome.text.lower() or (outcome.how != "hung" and bool(foreign("numpy")))


def _remedy(name: str, outcome: Outcome, why: str, trio: Trio, found: Mapping[str, Installed | None]) -> str:
    if outcome.how == "hung" and not foreign(name):
        return f'{sys.executable} -c "import faulthandler as f; f.dump_traceback_later(30); import {name}"'
    if outcome.kind == "ModuleNotFoundError" and outcome.name.split(".")[0] not in PACKAGES and not why:
        return pip_install(outcome.name.split(".")[0])
    if foreign(name) and (fix := _first(name, "")):
        return fix
    if _is_numpys(outcome) and not why:
        return _first("numpy", pip_install("numpy", options="--force-reinstall"))
    install = trio.command(_build(found), force=not why)
    return f'{install}\n{sys.executable} -X faulthandler -c "import {name}"' if outcome.how == "died" else install


def _build(found: Mapping[str, Installed | None]) -> str:
    """The build that needs an index of its own; PyPI's need none."""
    torch = found.get("torch")
    return "" if torch is None else torch.index


def _builds(found: Mapping[str, Installed | None], outcomes: Mapping[str, Outcome], trio: Trio) -> Iterator[Check]:
    """Whether the builds are for the same CUDA; of versions that belong together, as others are told of already."""
    torch = found["torch"]
    if torch is None:
        return
    others = [one for name, one in found.items() if name != "torch" and one and not disagreement(name, torch, one)]
    mixed = list(filter(None, (mixture(torch, other) for other in others)))
    if mixed:
        works = all(outcomes[other.name].is_good for other in others)
        why = "compiled operators do not run on the GPU" if works else "compiled operators do not load"
        fix = trio.command(_build(found), force=True)
        yield Check("builds", "warning" if works else "broken", "; ".join(mixed), why, fix)
    else:
        named = f"CUDA {torch.cuda}" if torch.cuda else "CPU" if torch.local == "cpu" else "torch does not say which"
        yield Check("builds", "ok", named)
