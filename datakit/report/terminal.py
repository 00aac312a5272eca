"""What `inspect` prints: short tables, and the same as plain values for JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from datakit.inspection.batch import padding_of
from datakit.inspection.look import Inspected, Inspection
from datakit.inspection.summary import Row, compare, summarise
from datakit.inspection.survey import Sounds, Survey
from datakit.phrasing import number, shorten
from datakit.report.padding import packed_line, padding_hint, padding_json, padding_line
from datakit.report.styles import styled
from datakit.report.survey_view import view_of
from datakit.report.text.lines import lengths_json, survey_lines_of, texts_json, token_lines
from datakit.report.text.writing import readable

_CLASSES = 8  # that are listed
_RECORDS = 10
_RECORD = re.compile(r"^(\S+\[\d+\])(?: [^:]*)?: ")


def inspection_lines(inspection: Inspection) -> list[str]:
    """The dataset, the keys of a sample before and after the chain and of the batch, figures of the dataset."""
    lines = [styled("title", inspection.dataset), *_arrows(inspection.chain), ""]
    whole = [sample for sample in inspection.samples if sample.error is None]
    if whole:
        lines += [*_titled(_title(whole[0])), *_sample_table(whole[0], inspection.chain)]
        lines += [*_tokens(whole[0], inspection), ""]
    if inspection.batch is not None:
        title = f"first batch of {inspection.loader}" if inspection.loader else ""
        lines += [*_titled(title), *_table(summarise(inspection.batch)), *_padding(inspection.batch), ""]
    if inspection.survey is not None and inspection.survey.read:
        lines += [*survey_lines(inspection.survey), ""]
    return lines


def _tokens(sample: Inspected, inspection: Inspection) -> list[str]:
    coders = inspection.coders_after([stage.name for stage in sample.stages])
    lines = token_lines(sample.stages[-1].sample, coders)
    return ["", *lines] if lines else []


def _padding(batch: Any) -> list[str]:
    padding = padding_of(batch)
    if padding is None:
        packed = packed_line(batch)
        return aligned([("lengths", packed)]) if packed else []
    hint = padding_hint(padding)
    return aligned([("lengths", padding_line(padding) + (f"; {hint}" if hint else ""))])


def survey_lines(survey: Survey) -> list[str]:
    """The figures of a dataset, a line each."""
    view = view_of(survey)
    if view is None:
        return []
    found: list[tuple[str, str]] = []
    if (sizes := view.sizes) is not None:
        widths, heights = sizes.rows
        span = f"{number(widths[1])} × {number(heights[1])} to {number(widths[3])} × {number(heights[3])}"
        often = f", most often {sizes.common} ({sizes.share:.0%})" if sizes.kinds < sizes.count else ""
        found.append(("size", f"all {sizes.common}" if sizes.kinds == 1 else span + often))
    if (sounds := view.sounds) is not None:
        low, middle, high = (f"{value:.3g}" for value in sounds.seconds)
        found.append(("sounds", f"{low} … {high} s, median {middle}, {sounds.total} in all"))
        found.append(("", f"{sounds.rates}; {sounds.channels}"))
    if survey.texts is not None:
        found += survey_lines_of(survey.texts)
    if survey.channels is not None:
        found.append(("channels", survey.channels.line))
    if (classes := view.classes) is not None:
        shown = ", ".join(f"{row.name} {row.count:,}" for row in classes.first[:_CLASSES])
        more = f" and {classes.kinds - _CLASSES} more" if classes.kinds > _CLASSES else ""
        found.append(("classes", f"{shown}{more}" + (" of all records" if classes.of_all else "")))
    if survey.shape is not None:
        found.append(("landmarks", f"{len(survey.shape.points)} points; the page shows their mean shape"))
    part = "all" if survey.read == survey.total else f"{survey.read:,} of"
    return [styled("title", f"figures of {part} {survey.total:,} records"), *aligned(found)] if found else []


def brief(errors: Sequence[str]) -> list[str]:
    """The errors, those of one cause in one line: the first in full, of the others which records they are."""
    causes: dict[str, list[str]] = {}
    for error in errors:
        causes.setdefault(_RECORD.sub("", error), []).append(error)
    return [first + _alike(others) for first, *others in causes.values()]


def _alike(errors: Sequence[str]) -> str:
    if not errors:
        return ""
    records = [match[1] if (match := _RECORD.match(error)) else error for error in errors]
    more = f" and {len(records) - _RECORDS} more" if len(records) > _RECORDS else ""
    return f"; so does {', '.join(records[:_RECORDS])}{more}"


def inspection_json(inspection: Inspection, page: str) -> dict[str, Any]:
    """Everything but the values themselves."""
    return {
        "target": inspection.target,
        "dataset": inspection.dataset,
        "records": inspection.records,
        "chain": list(inspection.chain),
        "seed": inspection.seed,
        "samples": [
            {
                "index": sample.key.index,
                "path": sample.path,
                "stages": _stages_json(sample, inspection),
                "error": sample.error,
            }
            for sample in inspection.samples
        ],
        "loader": inspection.loader,
        "batch": None if inspection.batch is None else _json(inspection.batch),
        "padding": padding_json(padding_of(inspection.batch)),
        "survey": None if inspection.survey is None else _survey_json(inspection.survey),
        "findings": [asdict(finding) for finding in inspection.findings],
        "errors": inspection.errors,
        "notes": inspection.notes,
        "page": page,
    }


def _stages_json(sample: Inspected, inspection: Inspection) -> list[dict[str, Any]]:
    names = [stage.name for stage in sample.stages]
    coders = [inspection.coders_after(names[: place + 1]) for place in range(len(names))]
    return [
        {"name": stage.name, "keys": _json(stage.sample), **texts_json(stage.sample, known)}
        for stage, known in zip(sample.stages, coders, strict=True)
    ]


def _survey_json(survey: Survey) -> dict[str, Any]:
    view = view_of(survey)
    sizes = None if view is None or view.sizes is None else view.sizes
    shape = survey.shape
    return {
        "read": survey.read,
        "total": survey.total,
        "failures": list(survey.failures),
        "sizes": None if sizes is None else {name: values for name, *values in sizes.rows},
        "channels": None if survey.channels is None else asdict(survey.channels),
        "classes": None if survey.classes is None else asdict(survey.classes),
        "sounds": None if survey.sounds is None else _sounds_json(survey.sounds),
        "texts": None if survey.texts is None else lengths_json(survey.texts),
        "shape": None if shape is None else {"points": shape.points.tolist(), "spread": shape.spread.tolist()},
    }


def _sounds_json(sounds: Sounds) -> dict[str, Any]:
    low, middle, high = (float(value) for value in np.quantile(sounds.durations, (0, 0.5, 1)))
    durations = {"least": low, "median": middle, "greatest": high, "total": float(sounds.durations.sum())}
    return {"seconds": durations, "rates": dict(sounds.rates), "channels": dict(sounds.channels)}


def _arrows(chain: Sequence[str]) -> list[str]:
    return [" → ".join(chain)] if chain else []


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Lines with the cells of `rows` under each other; those of the columns `right` flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = (
        (cell.rjust(width) if place in right else cell.ljust(width) for place, (cell, width) in enumerate(pairs))
        for pairs in (zip(row, widths, strict=True) for row in rows)
    )
    return ["  " + "  ".join(cells).rstrip() for cells in padded]


def _titled(text: str) -> list[str]:
    return [styled("title", text)] if text else []


def _title(sample: Inspected) -> str:
    """Empty for a sample that was given as it is."""
    name = f"sample {sample.key.index}" if sample.key.index >= 0 else ""
    return "  ".join(part for part in (name, sample.path) if part)


def _sample_table(sample: Inspected, chain: Sequence[str]) -> list[str]:
    if not chain:
        return _table(summarise(sample.stages[0].sample))
    rows, changes = [], compare(sample.stages[0].sample, sample.stages[-1].sample)
    for change in changes:
        row = change.after or change.before
        before, after = (_type(side) for side in (change.before, change.after))
        rows.append([change.key, before, "unchanged" if change.status == "same" else after, *_numbers(row)])
    head, *lines = aligned([["key", "loaded", "after the chain", "min", "max", "mean", "unit"], *rows], (3, 4, 5))
    pairs = zip(lines, changes, strict=True)
    return [styled("head", head), *(styled("quiet", line) if one.status == "same" else line for line, one in pairs)]


def _table(rows: Sequence[Row]) -> list[str]:
    names = ["key", "type", "min", "max", "mean", "unit"]
    head, *lines = aligned([names, *([row.key, _type(row), *_numbers(row)] for row in rows)], right=(2, 3, 4))
    return [styled("head", head), *lines]


def _type(row: Row | None) -> str:
    if row is None:
        return "-"
    if row.count is not None and row.low is None:
        return f"{row.kind} of {row.count}"
    return f"{row.kind} {row.size or readable(shorten(row.text))}".strip()


def _numbers(row: Row | None) -> list[str]:
    if row is None:
        return [""] * 4
    unit = f"{row.unit} ({row.not_finite} not finite)".strip() if row.not_finite else row.unit
    return [number(row.low), number(row.high), number(row.mean), unit]


def _json(sample: Any) -> list[dict[str, Any]]:
    return [row.as_dict() for row in summarise(sample)]
