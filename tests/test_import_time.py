"""The command and the package are there at once: nothing heavy is imported before it is needed."""

import os
import resource
import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "numpy", "pandas", "matplotlib", "PIL", "jinja2", "skimage", "datasets", "requests"}
HEAVY |= {"torchaudio", "soundfile", "kaldi_io"}
LIMIT = 0.3  # seconds of a processor, which others that want it do not make more


def used():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def best(command, tries=5):
    times = []
    for _ in range(tries):
        start = used()
        subprocess.run(command, check=True, capture_output=True)
        times.append(used() - start)
        if times[-1] < LIMIT:
            break
    return min(times)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "import datakit"],
        *(["-m", "datakit", *rest] for rest in (["--help"], ["list"])),
        *(["-m", "datakit", name, "--help"] for name in ("inspect", "predict", "doctor")),
    ],
    ids=" ".join,
)
def test_light(arguments):
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-X", "importtime", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    imported = {line.rsplit("|", 1)[1].strip() for line in run.stderr.splitlines() if line.startswith("import time:")}
    assert "datakit" in imported
    assert imported & HEAVY == set()
    assert best([sys.executable, *arguments]) < LIMIT
