"""One self-contained HTML page of what `inspect` saw."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import datakit
from datakit.report.batch import split
from datakit.report.drawing import Drawing, draw
from datakit.report.inspection import Inspected, Inspection
from datakit.report.output import number
from datakit.report.summary import Change, compare, summarise
from datakit.sampling import Key

_GENERATOR = b'<meta name="generator" content="datakit'
_SIDE = 448  # pixels of a picture
_PIXELS = 24e6  # of all pictures together: about 6 MB as JPEG
_IN_GRID = 64  # samples of a batch that are shown


@dataclass(frozen=True)
class Figure:
    """A picture with its caption."""

    src: str
    alt: str
    name: str
    details: str
    width: int
    height: int
    pixelated: bool


@dataclass(frozen=True)
class Record:
    """A sample on the page."""

    key: Key
    label: str
    path: str | None
    figures: list[Figure]
    changes: list[Change]
    error: str | None


def render(inspection: Inspection) -> str:
    """The page: HTML that loads nothing from anywhere."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(number=number, partition=str.partition)
    batch, side = split(inspection.batch), _side(inspection)
    return environment.get_template("page.html").render(
        page=inspection,
        records=[_record(sample, inspection, side) for sample in inspection.samples],
        grid=[_cell(place, sample, inspection, side) for place, sample in enumerate(batch[:_IN_GRID])],
        unseen=max(0, len(batch) - _IN_GRID),
        rows=[] if inspection.batch is None else summarise(inspection.batch),
        versions={"datakit": datakit.__version__, **_versions()},
    )


def is_ours(path: Path) -> bool:
    """Whether a page may be written there without asking: nothing is there, or an earlier page."""
    if not path.exists():
        return True
    with path.open("rb") as file:
        return _GENERATOR in file.read(400)


def _side(inspection: Inspection) -> int:
    """Pixels of the longer side of a picture: fewer where there are very many pictures, for the size of the page."""
    pictures = sum(len(sample.stages) for sample in inspection.samples) + _IN_GRID
    return int(min(_SIDE, max(_SIDE / 4, (_PIXELS / pictures) ** 0.5)))


def _record(seen: Inspected, inspection: Inspection, side: int) -> Record:
    names = [stage.name for stage in seen.stages]
    figures = []
    for place, stage in enumerate(seen.stages):
        normalize = inspection.normalized_by(names[: place + 1])
        drawing = draw(stage.sample, classes=inspection.classes, normalize=normalize, side=side)
        if drawing is not None:
            where = f"sample {seen.key.index} {'as loaded' if place == 0 else f'after {stage.name}'}"
            figures.append(_figure(drawing, stage.sample, stage.name, where))
    changes = compare(seen.stages[0].sample, seen.stages[-1].sample) if seen.stages else []
    label = _label(seen.stages[-1].sample, inspection.classes) if seen.stages else ""
    return Record(seen.key, label, seen.path, figures, changes, seen.error)


def _cell(place: int, sample: dict[str, Any], inspection: Inspection, side: int) -> Figure:
    normalize = inspection.normalized_by(["loaded", *inspection.chain])
    drawing = draw(sample, classes=inspection.classes, normalize=normalize, side=min(side, _SIDE // 2))
    if drawing is None:
        raise ValueError(f"place {place} of the batch has no image")
    index = sample.get("index", place)
    name = _label(sample, inspection.classes) or str(index)
    return _figure(drawing, sample, name, f"sample {index} in the batch")


def _figure(drawing: Drawing, sample: Any, name: str, where: str) -> Figure:
    height, width = drawing.size
    keys = sample if isinstance(sample, dict) else {}
    drawn = [f"{len(keys[key])} {key}" for key in ("landmarks", "boxes", "masks") if key in keys]
    details = f"{width} × {height}" + (f" · {drawing.note}" if drawing.note else "")
    alt = f"{where}, {width} by {height} pixels" + (f", with {', '.join(drawn)}" if drawn else "")
    return Figure(drawing.data_uri(), alt, name, details, *drawing.image.size, drawing.pixelated)


def _label(sample: Any, classes: Sequence[str]) -> str:
    label: Any = sample.get("label") if isinstance(sample, dict) else None
    label = label.item() if getattr(label, "shape", None) == () else label
    if not isinstance(label, int):
        return ""
    return str(classes[label]) if 0 <= label < len(classes) else f"label {label}"


def _versions() -> dict[str, str]:
    return {"torch": version("torch"), "NumPy": version("numpy"), "Python": platform.python_version()}
