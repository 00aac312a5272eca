"""`datakit bench`."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from datakit.cli.group import debug_option
from datakit.cli.options import counts, json_option, open_, target_options
from datakit.cli.output import check_place, print_json, progress


@click.command(short_help="Measure how many samples a second a loader gives.")
@target_options
@click.option(
    "--workers", type=counts, metavar="N,N…", help="Numbers of worker processes to try; by default up to the cores."
)
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    metavar="N",
    help="Passes that count, for each number of workers.",
)
@click.option("--batches", type=click.IntRange(1), metavar="N", help="Length of a pass; by default the whole epoch.")
@click.option("--start-method", type=click.Choice(["fork", "spawn", "forkserver"]), help="How workers are started.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw it to this .png, .svg or .pdf.")
@json_option
@debug_option
def bench(
    workers: tuple[int, ...] | None,
    repeats: int,
    batches: int | None,
    start_method: Any,
    plot: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure how many samples a second a loader over TARGET gives, with different numbers of workers.

    TARGET is a name of the catalog with --root or --synthetic, a folder of images, or package.module:object, where the
    object is a dataset, a loader, or a function without arguments that makes one.

    A pass is a plain loop over the loader, timed from its start, workers included, to its end. The numbers of workers
    take turns, and a first round is not counted.

    \b
      datakit bench faces --root data -t "Rescale(256)" -t "RandomCrop(224)" -t ToTensor --workers 0,1,2
      datakit bench mycode.train:loader --plot bench.png
    """
    with redirect_stdout(sys.stderr):
        from datakit.bench import measure
        from datakit.report import terminal
        from datakit.report.output import write_whole
        from datakit.report.plot import draw_bench

        if plot is not None:
            check_place(plot, may_replace=True, endings=(".png", ".svg", ".pdf"))
        target = open_(options)
        with progress() as show:
            measurements = measure(
                target.source,
                workers=workers,
                batch_size=options["batch_size"] or 32,
                repeats=repeats,
                batches=batches,
                seed=options["seed"] or 0,
                start_method=start_method,
                progress=lambda count, done, total: show(f"{count} workers", done, total),
            )
        about = terminal.about_bench(target, measurements, repeats)
        if plot is not None:
            write_whole(plot, draw_bench(measurements, plot, title=target.name, subtitle="\n".join(about[1:])))
    if as_json:
        print_json(terminal.bench_json(target, measurements, repeats, plot))
    else:
        click.echo("\n".join([*about, "", *terminal.bench_lines(measurements)]))
        if plot is not None:
            click.echo(f"\nplot: {plot}")
