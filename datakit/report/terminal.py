"""What `inspect` and `bench` print: short tables, and the same as plain values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datakit.bench import Measurement, usable_cores
from datakit.report.inspection import Inspected, Inspection, chain_names
from datakit.report.output import number, shorten
from datakit.report.summary import Row, compare, summarise
from datakit.targets import Target


def inspection_lines(inspection: Inspection) -> list[str]:
    """The dataset, the keys of one sample before and after the chain, and those of the batch."""
    lines = [inspection.dataset, *_arrows(inspection.chain), ""]
    whole = [sample for sample in inspection.samples if sample.error is None]
    if whole:
        table = _sample_table(whole[0]) if inspection.chain else _table(summarise(whole[0].stages[0].sample))
        lines += [_title(whole[0]), *table, ""]
    if inspection.batch is not None:
        lines += [f"first batch of {inspection.loader}", *_table(summarise(inspection.batch)), ""]
    return lines


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
                "stages": [{"name": stage.name, "keys": _json(stage.sample)} for stage in sample.stages],
                "error": sample.error,
            }
            for sample in inspection.samples
        ],
        "loader": inspection.loader,
        "batch": None if inspection.batch is None else _json(inspection.batch),
        "errors": inspection.errors,
        "notes": inspection.notes,
        "page": page,
    }


def about_bench(target: Target, measurements: Sequence[Measurement], repeats: int) -> list[str]:
    """What was measured, and how."""
    first = measurements[0]
    passes = f"median of {repeats} passes, from slowest to fastest" if repeats > 1 else "one pass"
    return [
        _name(target),
        *_arrows(chain_names(target.dataset)),
        f"{first.samples:,} samples in {first.batches:,} batches a pass, {passes}, after a warm-up",
    ]


def bench_json(target: Target, measurements: Sequence[Measurement], repeats: int, plot: Path | None) -> dict[str, Any]:
    """The measurements and what they are of."""
    return {
        "target": target.name,
        "dataset": _name(target),
        "chain": chain_names(target.dataset),
        "repeats": repeats,
        "cores": usable_cores(),
        "measurements": [asdict(one) for one in measurements],
        "plot": None if plot is None else str(plot),
    }


def _arrows(chain: Sequence[str]) -> list[str]:
    return [" → ".join(chain)] if chain else []


def _name(target: Target) -> str:
    return repr(target.dataset if target.dataset is not None else target.loader)


def bench_lines(measurements: Sequence[Measurement]) -> list[str]:
    """A line for each number of workers."""
    head = ["workers", "samples/s", "slowest … fastest", "first batch after"]
    rows = [
        [
            str(one.workers),
            _rate(one.samples_per_second),
            f"{_rate(one.slowest)} … {_rate(one.fastest)}",
            f"{one.first_batch:.2f} s",
        ]
        for one in measurements
    ]
    return aligned([head, *rows], right=range(4))


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Lines with the cells of `rows` under each other; those of the columns `right` flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = (
        (cell.rjust(width) if place in right else cell.ljust(width) for place, (cell, width) in enumerate(pairs))
        for pairs in (zip(row, widths, strict=True) for row in rows)
    )
    return ["  " + "  ".join(cells).rstrip() for cells in padded]


def _title(sample: Inspected) -> str:
    return f"sample {sample.key.index}" + (f"  {sample.path}" if sample.path else "")


def _sample_table(sample: Inspected) -> list[str]:
    rows = [["key", "loaded", "after the chain", "min", "max", "mean", "unit"]]
    for change in compare(sample.stages[0].sample, sample.stages[-1].sample):
        row = change.after or change.before
        before, after = (_type(side) for side in (change.before, change.after))
        rows.append([change.key, before, "unchanged" if change.status == "same" else after, *_numbers(row)])
    return aligned(rows, right=(3, 4, 5))


def _table(rows: Sequence[Row]) -> list[str]:
    head = ["key", "type", "min", "max", "mean", "unit"]
    return aligned([head, *([row.key, _type(row), *_numbers(row)] for row in rows)], right=(2, 3, 4))


def _type(row: Row | None) -> str:
    if row is None:
        return "-"
    if row.count is not None and row.low is None:
        return f"{row.kind} of {row.count}"
    return f"{row.kind} {row.size or shorten(row.text)}".strip()


def _numbers(row: Row | None) -> list[str]:
    if row is None:
        return [""] * 4
    unit = f"{row.unit} ({row.not_finite} not finite)".strip() if row.not_finite else row.unit
    return [number(row.low), number(row.high), number(row.mean), unit]


def _json(sample: Any) -> list[dict[str, Any]]:
    return [row.as_dict() for row in summarise(sample)]


def _rate(rate: float) -> str:
    return f"{rate:,.1f}" if rate < 1000 else f"{rate:,.0f}"
