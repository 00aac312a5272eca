"""All checks, group by group. What may crash or hang runs in children, which start together."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from datakit.cores import usable_cores
from datakit.doctor import shared_memory as shared
from datakit.doctor.child import Outcome, Probe
from datakit.doctor.codec_checks import codec_checks
from datakit.doctor.fitting import Room, as_arguments, fitting
from datakit.doctor.gpu import gpu_check, read_gpu
from datakit.doctor.installed import installed, own_requirements
from datakit.doctor.limits import read_memory, read_processes
from datakit.doctor.machine import cores_check, memory_check, processes_check, system_checks, threads_check
from datakit.doctor.model import Check
from datakit.doctor.places import disk_check, folder_check, mirror_checks, read_folder
from datakit.doctor.python_checks import EXTRAS, UNTRIED, copy_checks, extra_checks, python_checks, requirement_checks
from datakit.doctor.requirement import parsed
from datakit.doctor.start import start_checks
from datakit.doctor.target_check import batch_check, load_of
from datakit.doctor.together import PACKAGES, wanted
from datakit.doctor.torch_checks import torch_checks

GROUPS = ("python", "torch", "machine", "loader", "codecs", "places")
"""Names of the groups of checks, in their order."""
_LEAST = {"torch": "2.11.0", "torchvision": "0.26.0", "torchaudio": "2.11.0"}  # where no metadata says it
_MOST_WORKERS = 8  # that are taken for granted where nobody says how many


@dataclass(frozen=True)
class Asked:
    """What to examine.

    Attributes:
        target: the options of a target as the command line has them, with `target`, `root` and so on; None for none.
        root: folder for the data of a catalog name.
        workers: of the loader; None for one for each core, at most 8, or the loader's own.
        prefetch: batches ahead of each worker; None for torch's 2, or the loader's own.
        batch_size: samples a batch; None for 32, or the loader's own.
        groups: of checks.
        network: whether to ask addresses.
        limit: seconds after which what is tried counts as hung.
    """

    target: Mapping[str, Any] | None = None
    root: str | None = None
    workers: int | None = None
    prefetch: int | None = None
    batch_size: int | None = None
    groups: tuple[str, ...] = GROUPS
    network: bool = False
    limit: float = 60.0


class Examination:
    """The checks of one machine; a context manager that ends what it has started.

    Attributes:
        load: what the machine is held against; exact once `checks` came to the loader.

    Examples:
        >>> from datakit.doctor import Asked, Examination
        >>> with Examination(Asked(groups=("machine",))) as examination:
        ...     [check.name for check in examination.checks()][:3]
        ['cores', 'threads', 'memory']
    """

    def __init__(self, asked: Asked, progress: Callable[[str], None] = lambda what: None) -> None:
        self.asked, self.progress = asked, progress
        self.requirements = [parsed(line) for line in own_requirements()]
        self.found = {name: installed(name) for name in PACKAGES}
        self.cores = usable_cores()
        self.load = load_of(asked.workers, asked.prefetch, asked.batch_size, min(self.cores, _MOST_WORKERS))
        self._probes: dict[str, Probe] = {}
        self._made: Check | None = None

    def __enter__(self) -> Self:
        try:
            for name, (module, stages) in self._wanted().items():
                basis = "load numpy" if name == "imports" else "torch"
                self._probes[name] = Probe(f"datakit.doctor.{module}", stages, self.asked.limit, basis=basis)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for probe in self._probes.values():
            probe.stop()

    def checks(self) -> Iterator[Check]:
        """Every check of the groups asked for, in order.

        Raises:
            TargetError: the target makes no sense as it was typed.
        """
        for group in GROUPS:
            if group in self.asked.groups:
                self.progress(group)
                for check in getattr(self, f"_{group}")():
                    yield replace(check, group=group)

    def _wanted(self) -> dict[str, tuple[str, dict[str, tuple[Any, ...]]]]:
        """Children to start: module and stages, by name."""
        groups, target = set(self.asked.groups), self.asked.target
        torch: dict[str, tuple[Any, ...]] = dict.fromkeys(("torch", "cuda", "torchvision", "torchaudio"), ())
        torch = torch if "torch" in groups else {"torch": ()}
        if "codecs" in groups:
            torch |= {name: () for name in ("torchcodec", "tensorboard") if installed(name)}
        imports = self._imports(groups)
        found: dict[str, tuple[str, dict[str, tuple[Any, ...]]]] = {}
        if "loader" in groups and target is not None:
            found["target"] = ("target_probe", {"batch": (dict(target),)})
        if groups & {"torch", "machine", "loader", "codecs"}:
            found["torch"] = ("torch_probe", torch)
        if imports:
            found["imports"] = ("imports_probe", imports)
        if "loader" in groups:
            found["workers"] = ("workers_probe", {"semaphores": (), "started spawn": ("spawn",)})
        if "places" in groups and target is not None and self.asked.root and self._in_catalog(target["target"]):
            found["remotes"] = ("target_probe", {"remotes": (target["target"], target["split"], self.asked.root)})
        return found

    def _imports(self, groups: set[str]) -> dict[str, tuple[Any, ...]]:
        """Stages that import other packages than torch: first what does not need NumPy, then NumPy, then the rest."""
        codecs = "codecs" in groups
        first = ("pillow", "tokenizers") if codecs else ()
        last = ("soundfile", "pycocotools") if codecs else ()
        needed = [one for one in self.requirements if not one.extra and one.name not in PACKAGES]
        loaded = [one.module for one in needed if "python" in groups and installed(one.name)]
        modules = dict.fromkeys(["numpy", *loaded] if loaded or codecs else [])
        loads: dict[str, tuple[Any, ...]] = {f"load {module}": (module,) for module in modules}
        return {**dict.fromkeys(first, ()), **loads, **dict.fromkeys(last, ())}

    def _in_catalog(self, name: str) -> bool:
        from datakit import catalog

        return name in catalog.targets()

    def _of(self, probe: str) -> dict[str, Outcome]:
        """How the stages of a child ended, once it has."""
        return self._probes[probe].outcomes() if probe in self._probes else {}

    def _imported(self) -> dict[str, Outcome]:
        """How the imports ended; where NumPy's failed, others that did are not blamed for it."""
        outcomes = self._of("imports")
        numpy = outcomes.get("load numpy")
        if numpy is None or numpy.is_good:
            return outcomes
        rest = {name: one for name, one in outcomes.items() if name != "load numpy" and not one.is_good}
        return {**outcomes, **{name: replace(one, error=UNTRIED.format("numpy")) for name, one in rest.items()}}

    def _imports_well(self, module: str) -> bool:
        """Whether an import works, as far as it was tried."""
        tried = self._of("torch").get(module) if module in PACKAGES else self._of("imports").get(f"load {module}")
        return tried is None or tried.is_good

    def _torch_value(self, name: str) -> Any:
        outcome = self._of("torch").get("torch")
        return outcome.value[name] if outcome is not None and outcome.is_good else None

    def _python(self) -> Iterator[Check]:
        yield from python_checks(Path.cwd(), self._imports_well)
        yield from requirement_checks(self.requirements, self._imported())
        yield from copy_checks({**self.found, "numpy": installed("numpy")}, self._imports_well)

    def _torch(self) -> Iterator[Check]:
        bounds = {one.name: re.search(r">=(\d+\.\d+)", one.bounds) for one in self.requirements}
        least = {name: f"{bound[1]}.0" if (bound := bounds.get(name)) else version for name, version in _LEAST.items()}
        outcomes, torch = self._of("torch"), self.found["torch"]
        yield from torch_checks(self.found, outcomes, least)
        cuda = torch.cuda if torch is not None else ""
        works = outcomes["torch"].is_good
        trio = wanted(self.found, least["torch"])
        yield gpu_check(read_gpu(), cuda, outcomes["cuda"] if works else None, trio)

    def _machine(self) -> Iterator[Check]:
        if "loader" in self.asked.groups:
            self._batch()
        cores, smaller = os.cpu_count() or self.cores, self._smaller()
        yield cores_check(self.cores, cores, self.load, smaller)
        yield threads_check(self._torch_value("threads"), os.environ, self.cores, self.load)
        yield memory_check(read_memory(), self.load, smaller)
        yield from system_checks()

    def _batch(self) -> Check | None:
        """The batch of the target, once it is made; from then on the load is that of it."""
        if self._made is None and self.asked.target is not None and self._torch_value("version") is None:
            why = "shared memory is held against a typical batch instead"
            self._made = Check("batch", "note", "not made: torch does not import", why)
        elif self._made is None and self.asked.target is not None:
            outcome = self._of("target")["batch"]
            self._made, self.load = batch_check(outcome, self.asked.target, self.load, self.asked.workers)
        return self._made

    def _loader(self) -> Iterator[Check]:
        import resource

        if (batch := self._batch()) is not None:
            yield batch
        has, smaller, strategy = read_memory(), self._smaller(), self._torch_value("strategy")
        if "machine" not in self.asked.groups:
            yield memory_check(has, self.load, smaller)
        yield shared.share_check(shared.read_share(), self.load, has.limit, smaller)
        yield from shared.strategy_check(strategy)
        files = (*resource.getrlimit(resource.RLIMIT_NOFILE), _opened())
        yield shared.files_check(*files, self.load, strategy or "file_descriptor", smaller)
        yield processes_check(*read_processes(), self.load)
        cuda = self._of("torch").get("cuda")
        yield from start_checks(self._of("workers"), bool(cuda and cuda.is_good and cuda.value["available"]))

    def _smaller(self) -> str:
        """What to write for the largest load that this machine bears; the same in every check."""
        import resource

        room = Room(
            shared.read_share().free,
            read_memory().available,
            resource.getrlimit(resource.RLIMIT_NOFILE)[1],
            _opened(),
            self.cores,
            self._torch_value("strategy") or "file_descriptor",
        )
        return as_arguments(self.load, fitting(self.load, room))

    def _codecs(self) -> Iterator[Check]:
        outcomes = {**self._imported(), **self._of("torch")}
        missing = Outcome("raised", error="is not installed", kind="ModuleNotFoundError")
        yield from codec_checks(outcomes)
        if self._torch_value("version") is None:
            missing = Outcome("raised", error=UNTRIED.format("torch"))
            outcomes = {
                name: outcome for name, outcome in outcomes.items() if name not in ("torchcodec", "tensorboard")
            }
        yield from extra_checks(self.requirements, {name: outcomes.get(name, missing) for name in EXTRAS})

    def _places(self) -> Iterator[Check]:
        yield from _folders(os.environ)
        yield from mirror_checks(os.environ, self.asked.network, min(self.asked.limit, 5.0))
        if self.asked.root is None:
            return
        outcome = self._of("remotes").get("remotes")
        remotes = outcome.value if outcome is not None and outcome.is_good else []
        name = str(self.asked.target["target"]) if self.asked.target is not None else "data"
        yield disk_check(read_folder(Path(self.asked.root)), remotes, name)


def _opened() -> int:
    """Files that a process has open before it begins."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 8


def _folders(environment: Mapping[str, str]) -> Iterator[Check]:
    """The folders that are written to, wherever they are."""
    try:
        from datakit.files.paths import cache_dir

        cache = cache_dir()
    except Exception as error:  # no home, or files that need what is missing
        why = "synthetic copies and weights are kept there"
        yield Check("cache", "broken", f"no place for it: {error}", why, "export DATAKIT_CACHE=/a/folder/of/yours")
    else:
        purpose = "synthetic copies and weights of models are kept there"
        yield folder_check("cache", read_folder(cache), "DATAKIT_CACHE", purpose)
    home = os.path.expanduser("~/.cache")
    for name, variable, default, purpose in (
        ("HF_HOME", "HF_HOME", f"{home}/huggingface", "datasets of Hugging Face write their tables there"),
        ("TORCH_HOME", "TORCH_HOME", f"{home}/torch", "weights of torchvision's models are kept there"),
    ):
        yield folder_check(name, read_folder(Path(environment.get(variable) or default)), variable, purpose)
    try:
        place = Path(tempfile.gettempdir())
    except OSError as error:
        yield Check(
            "TMPDIR", "broken", str(error), "nothing can be unpacked or compiled", "export TMPDIR=/a/folder/of/yours"
        )
        return
    asked = environment.get("TMPDIR")
    if asked and os.path.realpath(asked) != os.path.realpath(place):
        why = f"{place} is taken in its place"
        folder = read_folder(Path(asked))
        can_be_made = not folder.exists and folder.is_writable
        fix = f"mkdir -p {shlex.quote(asked)}" if can_be_made else "export TMPDIR=/a/folder/of/yours"
        said = f"{asked} {'is not writable' if folder.exists else 'is not there'}"
        yield Check("TMPDIR", "warning", said, why, fix)
    yield folder_check("TMPDIR", read_folder(place), "TMPDIR", "what is temporary is written there")
