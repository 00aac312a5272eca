"""A check as plain values, for JSON."""

from __future__ import annotations

from typing import Any

import datakit
from datakit.check.findings import SEVERITIES, Finding, Offender, Part, Place, Report
from datakit.check.kinds import KINDS

SCHEMA = 1
"""Grows where a name goes or changes its meaning; new names come without that."""


def document(report: Report) -> dict[str, Any]:
    """Everything that is known, under names that stay.

    Texts are whole, with their control characters; bytes of a file name that are no UTF-8 are written as `\\\\udcff`.

    Examples:
        >>> from datakit.check.findings import Finding, Offender, Part, Place, Report
        >>> found = Finding("leak", "1 record is in both", 1, 9, (Offender(Place("test", 3, "b.png")),))
        >>> made = document(Report("data", (Part("test", "Data(9)", 9, 9),), (found,)))
        >>> made["counts"]
        {'error': 1, 'warning': 0, 'note': 0}
        >>> made["findings"][0]["offenders"]
        [{'part': 'test', 'index': 3, 'path': 'b.png', 'detail': '', 'related': []}]
    """
    return {
        "schema": SCHEMA,
        "datakit": datakit.__version__,
        "target": _text(report.target),
        "counts": {severity: report.count(severity) for severity in SEVERITIES},
        "parts": [_part(part) for part in report.parts],
        "chain": [_text(name) for name in report.chain],
        "looked": int(report.looked),
        "findings": [_finding(finding) for finding in report.findings],
        "notes": [_text(note) for note in report.notes],
        "interrupted": _text(report.interrupted),
        "seconds": round(float(report.seconds), 3),
    }


def _part(part: Part) -> dict[str, Any]:
    counts = {"records": int(part.records), "read": int(part.read), "cached": int(part.cached)}
    return {"name": _text(part.name), "dataset": _text(part.dataset), **counts}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "severity": finding.severity,
        "title": KINDS[finding.kind].title,
        "text": _text(finding.text),
        "count": int(finding.count),
        "of": int(finding.of),
        "why": finding.why,
        "hint": _text(finding.hint),
        "offenders": [_offender(one) for one in finding.offenders],
    }


def _offender(offender: Offender) -> dict[str, Any]:
    related = [_place(place) for place in offender.related]
    return {**_place(offender.place), "detail": _text(offender.detail), "related": related}


def _place(place: Place) -> dict[str, Any]:
    return {
        "part": _text(place.part),
        "index": int(place.index),
        "path": None if place.path is None else _text(place.path),
    }


def _text(text: str) -> str:
    """Without halves of surrogate pairs, which no stream takes."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")
