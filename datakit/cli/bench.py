"""`datakit bench`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from datakit.cli.group import debug_option
from datakit.cli.options import FILE, counts, json_option, numbers, open_, target_options
from datakit.cli.output import check_place, print_json, progress

if TYPE_CHECKING:
    from datakit.bench import Advice, Features, Run
    from datakit.targets import Target

_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}


def sizes(text: str) -> tuple[int, ...]:
    """Whole numbers from 1 on, with commas between them."""
    found = numbers(text)
    if min(found) < 1:
        raise click.BadParameter(f"{min(found)} is below 1")
    return found


def methods(text: str) -> tuple[str, ...]:
    """Start methods of this system, with commas between them."""
    from multiprocessing import get_all_start_methods

    from datakit.errors import suggest

    found = tuple(part.strip() for part in text.split(","))
    known = get_all_start_methods()
    for name in found:
        if name not in known:
            raise click.BadParameter(f"unknown start method {name!r}; {suggest(name, known)}")
    return found


def duration(text: str) -> float:
    """Seconds, from a number with its unit."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(s|ms|us|µs)", text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is not a time with its unit, such as 12ms, 0.5s or 800us")
    seconds = float(match[1]) * _UNITS[match[2]]
    if not 0 < seconds < 3600:
        raise click.BadParameter(f"{text!r} is not between 0 and an hour")
    return seconds


@click.command(short_help="Measure how fast a loader is, where its time goes, and how many workers are enough.")
@target_options
@click.option("--batch-size", type=sizes, metavar="N,N…", help="Samples a batch, one number or more.  [default: 32]")
@click.option(
    "--workers", type=counts, metavar="N,N…", help="Numbers of worker processes to try; by default up to the cores."
)
@click.option(
    "--start-method", type=methods, metavar="NAME,NAME…", help="How workers are started: fork, spawn, forkserver."
)
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    metavar="N",
    help="Passes that count, of each combination.",
)
@click.option("--batches", type=click.IntRange(1), metavar="N", help="Length of a pass; by default the whole epoch.")
@click.option("--step", type=duration, metavar="TIME", help="What a model waits whose step takes that long, say 12ms.")
@click.option("--stages/--no-stages", default=True, help="Measure where the time goes, in passes of their own.")
@click.option(
    "--features",
    metavar="FEATURES",
    help='Compute these, such as "Fbank(num_mel_bins=80)", in the workers, and beside that per batch on --device.',
)
@click.option(
    "--device", default="cpu", show_default=True, metavar="NAME", help="Of --features per batch, such as cuda."
)
@click.option("--compare", "earlier", type=FILE, help="Compare with this file, which an earlier run with --json gave.")
@click.option("--plot", type=FILE, help="Draw it to this .png, .svg or .pdf.")
@json_option
@debug_option
def bench(earlier: Path | None, plot: Path | None, as_json: bool, stages: bool, **options: Any) -> None:
    """Measure how many samples a second a loader over TARGET gives, where the time goes, and what to use.

    TARGET is a name of the catalog with --root or --synthetic, a folder of images, sounds or texts, a text file, or
    package.module:object, where the object is a dataset, a loader, or a function without arguments that makes one.

    A pass is a plain loop over the loader, timed from its start, workers included, to its end. All combinations of
    --workers, --batch-size and --start-method take turns, and a first round is not counted. With --step there are
    passes in which the loop sleeps after each batch: a sleeping step stands for a GPU at work, while the CPU is free.
    With --features each combination comes twice: Kaldi's features of sounds in the workers, and per batch in the loop.

    \b
      datakit bench faces --root data -t "Rescale(256)" -t "RandomCrop(224)" -t ToTensor --workers 0,1,2
      datakit bench data/pets -t "RandomResizedCrop(224)" -t ToTensor --batch-size 16,32 --step 12ms
      datakit bench spoken-digits --root data --features "Fbank(sample_frequency=8000, num_mel_bins=40)" --device cuda
      datakit bench mycode.train:loader --plot bench.png
      datakit bench mycode.train:loader --json > before.json
      datakit bench mycode.train:loader --compare before.json
    """
    with redirect_stdout(sys.stderr):
        from datakit.bench import compare, read_run
        from datakit.files.writing import write_whole
        from datakit.report import bench_tables as tables
        from datakit.report.plot import draw_bench

        if plot is not None:
            check_place(plot, may_replace=True, endings=(".png", ".svg", ".pdf"))
        before = None if earlier is None else read_run(earlier)
        with progress() as show:
            run, advice = _run(_target(options), options, stages, show)
        comparison = None if before is None else compare(before, run)
        if plot is not None:
            write_whole(plot, draw_bench(run, plot, title=run.target, subtitle="\n".join(tables.about(run)[1:])))
    if as_json:
        print_json(tables.document(run, advice, plot, comparison))
        return
    lines = [*tables.about(run), "", *tables.speed_lines(run.measurements), *tables.step_lines(run.measurements)]
    lines += [*tables.stage_lines(run.profile), *tables.advice_lines(advice)]
    lines += [] if comparison is None or earlier is None else tables.comparison_lines(comparison, earlier)
    click.echo("\n".join([*lines, "", f"plot: {plot}"] if plot is not None else lines))


def _target(options: dict[str, Any]) -> Target:
    """The target; a loader may be given its own batch size again, and no other."""
    from datakit.errors import TargetError

    target = open_({**options, "batch_size": None})
    wanted, own = options["batch_size"], getattr(target.loader, "batch_size", None)
    if target.loader is not None and wanted and any(size != own for size in wanted):
        raise TargetError(
            f"{target.name} is a loader and brings its own batch size, {own}; another --batch-size goes with a dataset"
        )
    return target


def _features(target: Target, text: str | None, device: str) -> Features | None:
    """The features to compute in two places; None where none were asked for."""
    if text is None:
        return None
    from datakit.bench.features import on_device
    from datakit.errors import TargetError
    from datakit.targets import parse_transform

    if target.dataset is None or target.loader is not None:
        raise TargetError(f"{target.name} is a loader and brings its own chain; --features goes with a dataset")
    return on_device(target.dataset, parse_transform(text), device)


def _run(
    target: Target, options: dict[str, Any], stages: bool, show: Callable[[str, int, int], None]
) -> tuple[Run, Advice]:
    from datakit.bench import Machine, Run, measure, profile, recommend
    from datakit.inspection.look import chain_names

    what = {"repeats": options["repeats"], "batches": options["batches"], "seed": options["seed"] or 0}
    what["features"] = _features(target, options["features"], options["device"])
    measurements = measure(
        target.source,
        workers=options["workers"],
        batch_sizes=options["batch_size"],
        start_methods=options["start_method"],
        step=options["step"],
        progress=show,
        **what,
    )
    advice = recommend(measurements, has_loader=target.loader is not None)
    found = profile(target.source, advice.best.configuration, progress=show, **what) if stages else None
    return (
        Run(
            target.name,
            dataset=repr(target.dataset if target.dataset is not None else target.loader),
            chain=tuple(chain_names(target.dataset)),
            repeats=options["repeats"],
            seed=options["seed"] or 0,
            machine=Machine.this(),
            measurements=tuple(measurements),
            profile=found,
        ),
        advice,
    )
