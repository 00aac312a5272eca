"""NVIDIA GPUs: whether torch's build, the driver and the device fit together."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datakit.doctor.child import Outcome
from datakit.doctor.model import Check
from datakit.doctor.requirement import numbers
from datakit.doctor.together import Trio

LEAST_DRIVER = {13: 580, 12: 525, 11: 450}
"""Major version of CUDA -> the least driver of Linux, with which all its minor versions work.

Source: https://docs.nvidia.com/cuda/cuda-toolkit-release-notes, table of minimum driver versions.
"""
BUILDS = {13: "cu130", 12: "cu126"}
"""Major version of CUDA -> a build of torch for it."""


@dataclass(frozen=True)
class Gpu:
    """What the system says about NVIDIA GPUs.

    Attributes:
        driver: version of the kernel module; empty where none is loaded.
        nodes: device files, such as `/dev/nvidia0`.
        cards: graphics cards of NVIDIA on the PCI bus.
    """

    driver: str = ""
    nodes: tuple[str, ...] = ()
    cards: int = 0


def read_gpu(proc: Path = Path("/proc"), dev: Path = Path("/dev"), system: Path = Path("/sys")) -> Gpu:
    """What there is, from files of the kernel."""
    match = re.search(r"Kernel Module(?:\s+for\s+\S+)?\s+(\d[\d.]*)", _text(proc / "driver/nvidia/version"))
    nodes = sorted(str(path) for path in dev.glob("nvidia[0-9]*"))
    cards = [
        device
        for device in system.glob("bus/pci/devices/*")
        if _text(device / "vendor").strip() == "0x10de" and _text(device / "class").startswith("0x03")
    ]
    return Gpu(match[1] if match else "", tuple(nodes), len(cards))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def gpu_check(gpu: Gpu, torch_cuda: str, outcome: Outcome | None, trio: Trio) -> Check:
    """Whether torch can use the GPU that is there.

    Args:
        gpu: what the system says.
        torch_cuda: CUDA version of torch's build; empty for a CPU build.
        outcome: of the stage `cuda`; None where torch does not import.
        trio: the versions that a fix installs.
    """
    driver = int(gpu.driver.split(".")[0] or 0) if gpu.driver else 0
    build = next((name for cuda, name in BUILDS.items() if driver >= LEAST_DRIVER[cuda]), "")
    if outcome is not None and not outcome.is_good:
        why = "torch.cuda.is_available() must not fail, whatever the machine is"
        return Check("GPU", "broken", f"asking torch for GPUs {outcome.error}", why, "nvidia-smi")
    value = None if outcome is None else outcome.value
    if value is not None and value["available"]:
        return _devices(value, gpu, build, trio)
    if not gpu.nodes and not gpu.driver and not gpu.cards:
        return Check("GPU", "ok", "none of NVIDIA's" + (f"; {_built(torch_cuda)}" if torch_cuda or value else ""))
    if not gpu.nodes or not gpu.driver:
        return _not_given(gpu)
    if not torch_cuda and value is None:
        return Check("GPU", "note", f"driver {gpu.driver}; not tried: torch does not import")
    if not torch_cuda:
        why = "training runs on the CPU"
        return Check("GPU", "warning", f"driver {gpu.driver}, but {_built('')}", why, trio.command(build))
    return _unseen(gpu, torch_cuda, driver, build, value, trio)


def _built(cuda: str) -> str:
    return f"torch is built for CUDA {cuda}" if cuda else "torch is a build for the CPU"


def _not_given(gpu: Gpu) -> Check:
    found = f"{gpu.cards or 'a'} card(s) of NVIDIA's, " + (
        "no driver is loaded" if not gpu.driver else f"driver {gpu.driver}, no device in /dev"
    )
    why = "torch sees no GPU: a container must be given it, a machine needs the driver"
    return Check("GPU", "warning", found, why, "docker run --gpus all …\nnvidia-smi")


def _unseen(gpu: Gpu, torch_cuda: str, driver: int, build: str, value: Mapping[str, Any] | None, trio: Trio) -> Check:
    """Device and driver are there, and torch does not see them."""
    least = LEAST_DRIVER.get(numbers(torch_cuda)[0], 0)
    if driver < least:
        found = f"driver {gpu.driver} is too old: {_built(torch_cuda)}, which needs {least} or later"
        fix = trio.command(build, force=True) if build else "sudo apt-get install nvidia-driver-580"
        return Check("GPU", "broken", found, 'torch sees no GPU: .to("cuda") fails', fix)
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        shown = os.environ["CUDA_VISIBLE_DEVICES"]
        return Check("GPU", "note", f"hidden by CUDA_VISIBLE_DEVICES={shown!r}", "", "unset CUDA_VISIBLE_DEVICES")
    said = "; ".join(value["warnings"])[:300] if value and value["warnings"] else "torch does not say why"
    if value is None:
        return Check("GPU", "note", f"driver {gpu.driver}; not tried: torch does not import")
    return Check(
        "GPU", "broken", f"driver {gpu.driver}, but torch sees no GPU: {said}", '.to("cuda") fails', "nvidia-smi"
    )


def _devices(value: Mapping[str, Any], gpu: Gpu, build: str, trio: Trio) -> Check:
    devices = value["devices"]
    names = ", ".join(f"{device['name']} (sm_{device['capability'].replace('.', '')})" for device in devices)
    failed = [device for device in devices if device["error"]]
    if failed:
        error = failed[0]["error"]
        is_old = "no kernel image" in error or any("not compatible" in said for said in value["warnings"])
        why = f"torch is built for {' '.join(value['built_for'])}" if is_old else "nothing runs on it"
        fix = trio.command("cu126" if _is_older(failed[0], value) else build) if is_old else "nvidia-smi"
        return Check("GPU", "broken", f"{names}: {error}", why, fix)
    foreign = [said for said in value["warnings"] if "not compatible" in said]
    if foreign:
        return Check("GPU", "warning", f"{names}: {foreign[0][:200]}", "kernels may be missing", trio.command(build))
    return Check("GPU", "ok", f"{names}, driver {gpu.driver or 'unknown'}")


def _is_older(device: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    """Whether the device is older than all that torch was built for: builds for earlier CUDA know it longer."""
    own = int(device["capability"].replace(".", ""))
    known = [int(match[1]) for arch in value["built_for"] if (match := re.match(r"sm_(\d+)", arch))]
    return bool(known) and own < min(known)
