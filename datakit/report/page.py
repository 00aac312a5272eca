"""One self-contained HTML page of what `inspect` saw."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import datakit
from datakit.inspection.batch import padding_of
from datakit.inspection.look import Inspection
from datakit.inspection.summary import summarise
from datakit.report.figures import Record, draws_of, grid_of, record_of
from datakit.report.padding import packed_line, padding_hint, padding_line
from datakit.report.room import room_of
from datakit.report.survey_view import view_of
from datakit.report.templating import environment, script
from datakit.report.text.batch import written_batch

_GENERATOR = b'<meta name="generator" content="datakit'


def render(inspection: Inspection, *, live: str | None = None) -> str:
    """The page: HTML that loads nothing from anywhere.

    Args:
        inspection: what was seen.
        live: the path of a stream of events on the server that the page comes from; the page then loads itself again at
            the event `changed`, and shows the text of the event `broken`. Without it, no connection is allowed at all.
    """
    room, padding = room_of(inspection), padding_of(inspection.batch)
    grid, unseen = grid_of(inspection, room)
    records = [record_of(sample, inspection, room) for sample in inspection.samples]
    return (
        environment()
        .get_template("page.html")
        .render(
            page=inspection,
            records=records,
            anchors=_anchors(records),
            draws=draws_of(inspection, room),
            grid=grid,
            unseen=unseen,
            written=written_batch(inspection, has_pictures=bool(grid)),
            rows=[] if inspection.batch is None else summarise(inspection.batch),
            figures=view_of(inspection.survey),
            padding=packed_line(inspection.batch) if padding is None else padding_line(padding),
            padding_hint="" if padding is None else padding_hint(padding),
            script=script("page.js") if live is None else script("page.js", "live.js"),
            live=live,
            versions={"datakit": datakit.__version__, **_versions()},
        )
    )


def is_ours(path: Path) -> bool:
    """Whether a page may be written there without asking: nothing is there, or an earlier page."""
    if not path.exists():
        return True
    with path.open("rb") as file:
        return _GENERATOR in file.read(400)


def _anchors(records: list[Record]) -> dict[int, str]:
    """Where on the page each record is, by its index."""
    anchors: dict[int, str] = {}
    for place, record in enumerate(records, 1):
        if record.index is not None:
            anchors.setdefault(record.index, f"sample-{place}")
    return anchors


def _versions() -> dict[str, str]:
    return {"torch": version("torch"), "NumPy": version("numpy"), "Python": platform.python_version()}
