"""What `bench` prints: short tables, the recommendation, and the same as plain values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import wrap
from typing import Any

from datakit.bench import Advice, Comparison, Configuration, Measurement, Profile, Run, write_run
from datakit.phrasing import shorten
from datakit.report.styles import styled
from datakit.report.terminal import aligned

WORTH = 0.03
"""Clocks that cost more than this share of a pass are reported as too dear."""

_BAR, _NAME, _WIDTH = 24, 44, 100  # characters


def about(run: Run) -> list[str]:
    """What was measured, and how."""
    first = run.measurements[0]
    passes = f"median of {run.repeats} passes, from slowest to fastest" if run.repeats > 1 else "one pass"
    lengths = sorted({one.samples for one in run.measurements})
    length = " or ".join(f"{samples:,}" for samples in lengths) + " samples"
    if len({one.batches for one in run.measurements}) == 1:
        length += f" in {first.batches:,} batches"
    return [
        run.dataset,
        *([" → ".join(run.chain)] if run.chain else []),
        f"{length} a pass, {passes}, after a warm-up; {run.machine.cores} cores",
    ]


def speed_lines(measurements: Sequence[Measurement]) -> list[str]:
    """A line for each configuration."""
    swept = _swept(measurements)
    head = [
        "workers",
        *swept,
        "samples/s",
        "slowest … fastest",
        "wait p50",
        "p95",
        "first",
        "private",
        "shared",
        "cores",
    ]
    rows = [
        [
            *_configuration(one, swept),
            rate(one.samples_per_second),
            f"{rate(one.slowest)} … {rate(one.fastest)}",
            seconds(one.wait_p50),
            seconds(one.wait_p95),
            seconds(one.first_batch),
            megabytes(one.private),
            megabytes(one.shared),
            f"{one.cpu_share:.2f}",
        ]
        for one in measurements
    ]
    return _headed([head, *rows])


def step_lines(measurements: Sequence[Measurement]) -> list[str]:
    """What a model with a step sees, a line for each configuration; nothing where no step was given."""
    fed = [(one, one.fed) for one in measurements if one.fed is not None]
    if not fed:
        return []
    swept = _swept(measurements)
    head = ["workers", *swept, "samples/s", "waiting", "first", "verdict"]
    rows = [
        [
            *_configuration(one, swept),
            rate(seen.samples_per_second),
            f"{100 * seen.waiting:.1f} %",
            seconds(seen.first_batch),
            "the loader keeps up" if seen.is_enough else "loader-bound",
        ]
        for one, seen in fed
    ]
    title = f"a model whose step takes {seconds(fed[0][1].step)} (a sleeping loop: a GPU works, the CPU is free)"
    return ["", styled("title", title), *_headed([head, *rows], left=(len(head) - 1,))]


def stage_lines(profile: Profile | None) -> list[str]:
    """A bar for each stage; or why there are none."""
    if profile is None:
        return []
    if profile.missing is not None:
        return ["", f"where the time goes: not known; {profile.missing}"]
    total = sum(stage.seconds for stage in profile.stages)
    most = max(stage.seconds for stage in profile.stages)
    rows = [
        [
            shorten(stage.name, _NAME),
            f"{stage.seconds * 1000:.2f}",
            f"{100 * stage.seconds / total:.0f} %",
            bar(stage.seconds / most),
        ]
        for stage in profile.stages
    ]
    if profile.workers:
        rows.append(["workers idle", f"{profile.idle * 1000:.2f}", "", ""])
        rows.append(["loop waits", f"{profile.waiting * 1000:.2f}", "", ""])
    divided = f", divided among {profile.workers}" if profile.workers > 1 else ""
    title = f"where the time goes: ms a sample with {Configuration.__str__(profile)}{divided}"
    return [
        "",
        styled("title", title),
        *aligned(rows, right=(1, 2)),
        *(f"  {part}" for part in wrap(cost(profile), _WIDTH)),
    ]


def cost(profile: Profile) -> str:
    """What the clocks cost, in words."""
    said = f"passes with these clocks took {percent(profile.overhead)} longer than without"
    if profile.overhead <= 0:
        said = f"passes with these clocks took no longer than without ({percent(profile.overhead)})"
    if profile.overhead < -WORTH:
        return f"{said}, which is noise: the machine is too busy to say more, so take the stages with care"
    if profile.passes < 2 or profile.overhead <= WORTH:
        return said + ("; one pass of each tells little" if profile.passes < 2 else "")
    if profile.overhead <= profile.noise:
        return f"{said}, which is noise: those without differ by {percent(profile.noise)} among themselves"
    return f"{said}: more than {percent(WORTH)}, so take the stages with care"


def advice_lines(advice: Advice) -> list[str]:
    """One line to paste, one sentence why."""
    reason = advice.reason[0].upper() + advice.reason[1:]
    said = [part for text in (reason, advice.caution) for part in wrap(text, _WIDTH, break_long_words=False)]
    return ["", styled("best", advice.line), *(f"  {part}" for part in said)]


def comparison_lines(comparison: Comparison, path: str | Path) -> list[str]:
    """Before and now, and what stands in the way of comparing."""
    lines = ["", styled("title", f"compared with {path}")]
    lines += [styled("alarm", f"  NOT COMPARABLE: {text}") for text in comparison.obstacles]
    if comparison.changes:
        head = ["configuration", "before", "now", "ratio", ""]
        rows = [
            [one.what, rate(one.before), rate(one.now), f"{one.ratio:.2f}", _verdict(one.ratio, one.is_clear)]
            for one in comparison.changes
        ]
        lines += _headed([head, *rows], left=(0, 4))
    if comparison.stages:
        head = ["stage, ms a sample", "before", "now", "ratio"]
        rows = [
            [shorten(one.what, _NAME), f"{one.before * 1000:.2f}", f"{one.now * 1000:.2f}", f"{one.ratio:.2f}"]
            for one in comparison.stages
        ]
        lines += _headed([head, *rows], left=(0,))
    lines += [f"  only before: {name}" for name in comparison.only_before]
    return [*lines, *(f"  only now: {name}" for name in comparison.only_now)]


def document(
    run: Run, advice: Advice, plot: Path | None = None, comparison: Comparison | None = None
) -> dict[str, Any]:
    """Everything, as plain values; `datakit.bench.read_run` reads the run again."""
    best = advice.best.configuration
    compared = None if comparison is None else asdict(comparison)
    if comparison is not None and compared is not None:
        for kind in ("changes", "stages"):
            compared[kind] = [{**asdict(one), "ratio": one.ratio} for one in getattr(comparison, kind)]
    return {
        **write_run(run),
        "recommendation": {
            **asdict(best),
            "line": advice.line,
            "reason": advice.reason,
            "caution": advice.caution,
        },
        "comparison": compared,
        "plot": None if plot is None else str(plot),
    }


def bar(share: float) -> str:
    """A bar of text; the whole of it for 1."""
    eighths = round(share * _BAR * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + " ▏▎▍▌▋▊▉"[rest].strip()


def rate(value: float) -> str:
    """Samples a second."""
    return f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"


def seconds(value: float) -> str:
    """A time in the unit that fits it."""
    if value >= 1:
        return f"{value:.2f} s"
    milliseconds = value * 1000
    return f"{milliseconds:.{0 if milliseconds >= 100 else 1 if milliseconds >= 1 else 2}f} ms"


def megabytes(count: int) -> str:
    """Memory; GB from a thousand MB on."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def percent(share: float) -> str:
    """A share, with a sign where it is negative."""
    return f"{100 * share:.1f} %".replace("-", "−")


def _verdict(ratio: float, is_clear: bool) -> str:
    if not is_clear:
        return "within the noise"
    return styled("better", "faster") if ratio > 1 else styled("worse", "slower")


def _swept(measurements: Sequence[Measurement]) -> list[str]:
    names = []
    if len({one.batch_size for one in measurements}) > 1:
        names.append("batch")
    if len({one.start_method for one in measurements if one.workers}) > 1:
        names.append("start")
    if len({one.features for one in measurements}) > 1:
        names.append("features")
    return names


def _configuration(one: Measurement, swept: Sequence[str]) -> list[str]:
    values = {"batch": str(one.batch_size), "start": one.start_method or "-", "features": one.features or "-"}
    return [str(one.workers), *(values[name] for name in swept)]


def _headed(rows: Sequence[Sequence[str]], left: Sequence[int] = ()) -> list[str]:
    right = [place for place in range(len(rows[0])) if place not in left]
    return aligned(rows, right=right)
