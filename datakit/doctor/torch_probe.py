"""Stages of a child process that import torch, torchvision and torchaudio, and use them a little."""

from __future__ import annotations

import warnings
from typing import Any


def torch() -> dict[str, Any]:
    """Import torch: its version, build, threads, and how it shares memory between processes."""
    import torch

    return {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "hip": torch.version.hip,
        "file": torch.__file__,
        "threads": torch.get_num_threads(),
        "sum": float(torch.ones(3).sum()),
        "strategy": _strategy(),
    }


def _strategy() -> str:
    import torch.multiprocessing

    return str(torch.multiprocessing.get_sharing_strategy())


def cuda() -> dict[str, Any]:
    """Ask for the GPUs, and add one number to another on each."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        is_available = torch.cuda.is_available()
        count = torch.cuda.device_count() if is_available else 0
        devices = [_device(number) for number in range(count)]
    said = [" ".join(str(warning.message).split()) for warning in caught]
    return {"available": is_available, "devices": devices, "built_for": torch.cuda.get_arch_list(), "warnings": said}


def device(name: str) -> str:
    """Why a tensor cannot be put on a device; empty where it can."""
    import torch

    try:
        torch.zeros(1, device=torch.device(name)).item()
    except Exception as error:
        return str(error).splitlines()[0][:100]
    return ""


def _device(number: int) -> dict[str, Any]:
    import torch

    major, minor = torch.cuda.get_device_capability(number)
    found: dict[str, Any] = {"name": torch.cuda.get_device_name(number), "capability": f"{major}.{minor}", "error": ""}
    try:
        found["sum"] = float(torch.ones(3, device=f"cuda:{number}").sum())
    except Exception as error:  # "no kernel image is available", out of memory, a GPU in a bad state
        found["error"] = str(error).strip().splitlines()[0]
    return found


def torchvision() -> dict[str, Any]:
    """Import torchvision and run one of its compiled operators."""
    import torch
    import torchvision

    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9], [5.0, 5.0, 6.0, 6.0]])
    kept = torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist()
    number = int(torch.ops.torchvision._cuda_version())
    return {"version": torchvision.__version__, "kept": kept, "cuda": _dotted(number)}


def torchaudio() -> dict[str, Any]:
    """Import torchaudio and run a resampling and a compiled filter."""
    import torch
    import torchaudio

    sound = torch.ones(1, 160)
    frames = torchaudio.functional.resample(sound, 16000, 8000).shape[-1]
    torchaudio.functional.lfilter(sound, torch.tensor([1.0, 0.5]), torch.tensor([1.0, 0.2]))
    number = torch.ops._torchaudio.cuda_version() if hasattr(torch.ops._torchaudio, "cuda_version") else None
    return {"version": torchaudio.__version__, "frames": frames, "cuda": _dotted(number or -1)}


def _dotted(number: int) -> str | None:
    """13000 as 13.0, the CUDA version that an extension was compiled with; None for a build without."""
    return None if number < 0 else f"{number // 1000}.{number % 1000 // 10}"


def torchcodec() -> dict[str, Any]:
    """Import torchcodec, which loads the libraries of FFmpeg; decode a sound of a few bytes."""
    import torchcodec
    from torchcodec.decoders import AudioDecoder

    from datakit.doctor.material import wave

    frames = AudioDecoder(wave()).get_all_samples().data.shape[-1]
    return {"version": torchcodec.__version__, "frames": frames, "ffmpeg": _ffmpeg()}


def _ffmpeg() -> str:
    from torchcodec import _core

    try:
        versions = _core.get_ffmpeg_library_versions()
        return str(versions.get("ffmpeg_version") or versions.get("libavcodec", ""))
    except Exception:  # a private function: what it is for is one word in a line
        return ""


def tensorboard() -> dict[str, Any]:
    """Import the writer of torch for TensorBoard."""
    from importlib.metadata import version

    from torch.utils.tensorboard import SummaryWriter

    return {"version": version("tensorboard"), "writer": SummaryWriter.__name__}
