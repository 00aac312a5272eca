"""`datakit inspect`."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from datakit.cli.group import debug_option
from datakit.cli.options import json_option, numbers, open_, target_options
from datakit.cli.output import check_place, print_json, progress


@click.command("inspect", short_help="Look at samples, stage by stage, and at a batch.")
@target_options
@click.option("--index", "indices", type=numbers, metavar="N,N…", help="Records to look at, instead of --samples.")
@click.option(
    "--samples", type=click.IntRange(0), default=8, show_default=True, metavar="N", help="How many records to look at."
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("datakit-inspect.html"),
    show_default=True,
    help="Where to write the page.",
)
@click.option("--force", is_flag=True, help="Overwrite --out also where it is no page of datakit's.")
@json_option
@debug_option
def inspect_(
    indices: tuple[int, ...] | None, samples: int, out: Path, force: bool, as_json: bool, **options: Any
) -> None:
    """Look at samples of TARGET after every transform, and at a batch; writes one page of HTML.

    TARGET is a name of the catalog with --root or --synthetic, a folder of images, or package.module:object, where the
    object is a dataset, a loader, or a function without arguments that makes one.

    The samples are the first ones that a shuffled Loader with this seed delivers. Exit code 1 says that a record could
    not be read or the batch not be made; the page shows which and why.

    \b
      datakit inspect faces --synthetic -t "Rescale(256)" -t "RandomCrop(224)" -t ToTensor
      datakit inspect data/pets --index 3,65
      datakit inspect mycode.train:loader
    """
    with redirect_stdout(sys.stderr):  # what the user's own code prints must not get into the result
        from datakit.report.inspection import look
        from datakit.report.output import size, write_whole
        from datakit.report.page import is_ours, render
        from datakit.report.terminal import inspection_json, inspection_lines

        check_place(out, may_replace=force or is_ours(out))
        target = open_(options)
        chosen = {name: options[name] for name in ("batch_size", "seed") if options[name] is not None}
        with progress() as show:
            inspection = look(target, indices=indices, samples=samples, progress=show, **chosen)
            show("drawing the page", 1, 1)
            page = render(inspection).encode("utf-8", "backslashreplace")
        write_whole(out, page)
    if as_json:
        print_json(inspection_json(inspection, str(out)))
    else:
        click.echo("\n".join(inspection_lines(inspection)))
        click.echo(f"page: {out} ({size(len(page))})")
    for note in inspection.notes:
        click.echo(f"note: {note}", err=True)
    for error in inspection.errors:
        click.echo(f"{click.style('error:', fg='red', bold=True)} {error}", err=True)
    if inspection.errors:
        click.get_current_context().exit(1)
