"""A page of results: a row for each reference and each sabotage, put there by the run itself."""

from __future__ import annotations

import datetime
import platform
import re
import tempfile
from pathlib import Path

import torch
from filelock import FileLock

import datakit
from datakit.dataset import digest
from datakit.errors import MissingDataError
from datakit.files.writing import write_whole
from datakit.reference.base import Reference
from datakit.reference.checks import Result, placeless

_BEGIN, _END = "<!-- results -->", "<!-- end of results -->"
_HEAD = f"| reference | sabotage | figure and bar | | epochs | time | data | made |\n|{' --- |' * 8}"


def write_row(page: Path, reference: Reference, result: Result) -> None:
    """Put the result into the table of `page`, in place of an earlier one of the same reference, options and sabotage.

    Raises:
        MissingDataError: where the page has no table of results, which begins and ends with a comment.
    """
    row = _row(reference, result)
    lock = Path(tempfile.gettempdir(), f"datakit-{digest(str(page.resolve()))}.lock")
    with FileLock(lock):  # of two runs that end at once, none loses its row
        before, old, after = find_table(page)
        rows = {_key(line): line for line in old.splitlines() if line.startswith("| `")}
        rows[_key(row)] = row
        table = "\n".join([_HEAD, *(rows[key] for key in sorted(rows))])
        write_whole(page, f"{before}{_BEGIN}\n\n{table}\n\n{_END}{after}".encode())


def find_table(page: Path) -> tuple[str, str, str]:
    """What stands before the table of results, the table, and what stands behind it. A page that is not there has none.

    Raises:
        MissingDataError: where the page has no place for one.
    """
    text = page.read_text("utf-8") if page.is_file() else f"{_BEGIN}\n{_END}\n"
    found = re.search(f"{_BEGIN}\n(.*?){_END}", text, re.DOTALL)
    if found is None:
        raise MissingDataError(f"{page} has no place for results: {_BEGIN} and {_END}, each in a line of its own")
    return text[: found.start()], found[1], text[found.end() :]


def _row(reference: Reference, result: Result) -> str:
    options = "".join(f" `{f'--{name} {value}'.rstrip()}`" for name, value in _own(reference).items())
    data = f"{result.data}{''.join(f'; {note}' for note in result.notes)}"
    cells = [
        f"`{result.name}`{options}",
        f"`{result.sabotage}`" if result.sabotage else "",
        "<br>".join(map(str, result.checks)),
        "passed" if result.passed else "**not passed**",
        str(result.epochs),
        _time(result.seconds),
        placeless(data),
        f"{datetime.date.today()}, {_machine(reference.device)}",
    ]
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _own(reference: Reference) -> dict[str, str]:
    """Options that are not as they are by default; of a file its name."""
    defaults = {option.name: option.default for option in reference.options}
    own = {name: Path(value).name for name, value in reference.chosen.items() if value and value != defaults[name]}
    if reference.seed:
        own["seed"] = str(reference.seed)
    return {**own, "synthetic": ""} if reference.is_synthetic and reference.needs_data else own


def _key(row: str) -> tuple[str, str]:
    cells = [cell.strip() for cell in row.split("|")]
    return cells[1], cells[2]


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _machine(device: torch.device) -> str:
    threads = torch.get_num_threads()
    processor = f"{threads} thread" if threads == 1 else f"{threads} threads"
    place = torch.cuda.get_device_name(device) if device.type == "cuda" else processor
    return f"{place}, Python {platform.python_version()}, torch {torch.__version__}, datakit {datakit.__version__}"
