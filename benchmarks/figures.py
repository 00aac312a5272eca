"""The page of figures: each script writes a section of its own, with the machine that it ran on."""

import argparse
import datetime
import os
import platform
import re
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import datakit

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


def script(name: str, sections: Callable[[bool], str]) -> None:
    """The command of a script: `sections(quick)` are printed and, unless quick, put into the page.

    Args:
        name: the script's, without `.py`.
        sections: gives Markdown with headings of the second level.
    """
    parser = argparse.ArgumentParser(description=f"Measures, and writes its part of {PAGE.name}.")
    parser.add_argument("--quick", action="store_true", help="small and short, to see that it runs; prints only")
    quick = parser.parse_args().quick
    note = f"Written by `python benchmarks/{name}.py` on {datetime.date.today()}: {machine()}."
    text = f"{sections(quick).strip()}\n\n{note}\n"
    print(text)
    if not quick:
        PAGE.write_text(replaced(PAGE.read_text(), name, text))


def replaced(page: str, name: str, text: str) -> str:
    """`page` with this part in place of what the script wrote last, or at its end."""
    part = f"<!-- {name} -->\n\n{text}\n<!-- end of {name} -->\n"
    old = re.compile(rf"<!-- {name} -->\n.*?<!-- end of {name} -->\n", re.DOTALL)
    return old.sub(lambda _: part, page) if old.search(page) else f"{page.rstrip()}\n\n{part}"


def machine() -> str:
    """Processor and versions, in one line."""
    cpu = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in cpu if line.startswith("model name")), "unknown processor")
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, NumPy {np.__version__}"
    return f"{len(os.sched_getaffinity(0))} cores of {model}, Linux, {versions}, datakit {datakit.__version__}"


def spread(values: list[float], unit: str) -> str:
    """Median, with the least and the greatest."""
    return f"{statistics.median(values):.2f} {unit} ({min(values):.2f} – {max(values):.2f})"


def interval(ratios: list[float]) -> str:
    """Median of ratios, with the 95 % interval of that median (bootstrap)."""
    drawn = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
    return f"{statistics.median(ratios):.3f} ({low:.3f} – {high:.3f})"
