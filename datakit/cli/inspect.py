"""`datakit inspect`."""

from __future__ import annotations

import sys
import webbrowser
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from datakit.cli.group import debug_option
from datakit.cli.options import FILE, json_option, numbers, open_, target_options
from datakit.cli.output import check_place, print_json, progress

if TYPE_CHECKING:
    from datakit.inspection.look import Inspection


@click.command("inspect", short_help="Look at samples, stage by stage, and at a batch.")
@target_options
@click.option("--batch-size", type=click.IntRange(1), metavar="N", help="Samples of the batch.  [default: 16]")
@click.option("--index", "indices", type=numbers, metavar="N,N…", help="Records to look at, instead of --samples.")
@click.option(
    "--samples", type=click.IntRange(0), default=8, show_default=True, metavar="N", help="How many records to look at."
)
@click.option(
    "--survey",
    type=click.IntRange(0),
    default=256,
    show_default=True,
    metavar="N",
    help="How many records to read for the figures of the dataset; 0 for none.",
)
@click.option("--all", "all_", is_flag=True, help="Read all records for the figures.")
@click.option(
    "--workers", type=click.IntRange(0), metavar="N", help="Processes that read them; with --all as many as cores."
)
@click.option(
    "--undo", metavar="TRANSFORM", help='A normalisation to undo in pictures, such as "Normalize(mean=…, std=…)".'
)
@click.option("--out", type=FILE, default=Path("datakit-inspect.html"), show_default=True, help="Where to write it.")
@click.option("--png", type=FILE, help="Write the grid of the batch to this file, and no page.")
@click.option(
    "--tensorboard",
    "run",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write it as a run of TensorBoard too: pictures, figures, projector.",
)
@click.option("--force", is_flag=True, help="Overwrite --out also where it is no page of datakit's.")
@click.option("--open", "open_browser", is_flag=True, help="Show it in the browser.")
@click.option("--serve", "is_served", is_flag=True, help="Show it on a local address; draw it again when code changes.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of that address; by default a free one.")
@json_option
@debug_option
def inspect_(
    out: Path,
    png: Path | None,
    run: Path | None,
    force: bool,
    open_browser: bool,
    is_served: bool,
    port: int,
    as_json: bool,
    **what: Any,
) -> None:
    """Look at samples of TARGET after every transform, and at a batch; writes one page of HTML.

    TARGET is a name of the catalog with --root or --synthetic, a folder of images, sounds or texts, a text file, or
    package.module:object, where the object is a dataset, a loader, or a function without arguments that makes one.

    The samples are the first ones that a shuffled Loader with this seed delivers. Exit code 1 says that a record could
    not be read or the batch not be made; the page shows which and why.

    \b
      datakit inspect faces --synthetic -t "Rescale(256)" -t "RandomCrop(224)" -t ToTensor
      datakit inspect data/pets --index 3,65 --all --open
      datakit inspect data/pets --samples 100 --tensorboard runs/pets
      datakit inspect faces --root data --transform mycode:train_transforms --serve
      datakit inspect mycode.train:loader
    """
    if is_served:
        _refuse({"--png": png, "--json": as_json, "--tensorboard": run})
        _serve(what, port, open_browser)
        return
    with redirect_stdout(sys.stderr):  # what the user's own code prints must not get into the result
        from datakit.files.writing import write_whole
        from datakit.report.page import is_ours

        place = out if png is None else png
        check_place(
            place, may_replace=force or png is not None or is_ours(out), endings=() if png is None else (".png",)
        )
        _check_run(run)
        inspection, content = _drawn(what, None if png is None else "png", run)
        write_whole(place, content)
    _say(inspection, place, len(content), run, as_json)
    if open_browser and not webbrowser.open(place.absolute().as_uri()):
        click.echo(f"note: no browser was found to open {place}", err=True)
    if inspection.errors:
        click.get_current_context().exit(1)


def _refuse(options: dict[str, Any]) -> None:
    if given := [option for option, value in options.items() if value]:
        raise click.UsageError(f"--serve and {given[0]} do not go together")


def _check_run(folder: Path | None) -> None:
    """Find out before the work whether TensorBoard is there and the run can be written."""
    if folder is None:
        return
    from datakit.report.tensorboard import require

    require()
    if folder.is_dir() and any(folder.iterdir()):
        raise click.UsageError(f"{folder} is not empty; a run needs a folder of its own, such as {folder}-2")
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    check_place(folder, may_replace=True)


def _drawn(what: dict[str, Any], kind: str | None, run: Path | None) -> tuple[Inspection, bytes]:
    from datakit.report.contact_sheet import contact_sheet
    from datakit.report.page import render

    with progress() as show:
        inspection = _looked(what, show)
        show("drawing", 1, 1)
        if run is not None:
            from datakit.report.tensorboard.run import write_run

            write_run(run, inspection)
        if kind == "png":
            return inspection, contact_sheet(inspection)
        return inspection, render(inspection).encode("utf-8", "backslashreplace")


def _looked(what: dict[str, Any], show: Any) -> Inspection:
    from datakit.cores import usable_cores
    from datakit.errors import TargetError
    from datakit.inspection.look import look
    from datakit.inspection.normalize import with_normalize
    from datakit.targets import parse_transform
    from datakit.transforms import Normalize

    undo = parse_transform(what["undo"]) if what["undo"] else None
    if undo is not None and not isinstance(undo, Normalize):
        raise TargetError(f"--undo takes a Normalize(mean=…, std=…), got {what['undo']}")
    target = open_(what)
    workers = what["workers"] if what["workers"] is not None else usable_cores() if what["all_"] else 0
    inspection = look(
        target,
        indices=what["indices"],
        samples=what["samples"],
        survey_records=None if what["all_"] else what["survey"],
        survey_workers=workers,
        progress=show,
        **{name: what[name] for name in ("batch_size", "seed") if what[name] is not None},
    )
    return inspection if undo is None else with_normalize(inspection, undo)


def _say(inspection: Inspection, place: Path, size_of_it: int, run: Path | None, as_json: bool) -> None:
    from datakit.phrasing import size
    from datakit.report.styles import styled
    from datakit.report.terminal import brief, inspection_json, inspection_lines

    if as_json:
        print_json({**inspection_json(inspection, str(place)), "tensorboard": None if run is None else str(run)})
    else:
        click.echo("\n".join(inspection_lines(inspection)))
        click.echo(f"{'picture' if place.suffix.lower() == '.png' else 'page'}: {place} ({size(size_of_it)})")
        if run is not None:
            click.echo(f"run: {run} (tensorboard --logdir {run})")
    for note in inspection.notes:
        click.echo(f"note: {note}", err=True)
    for finding in inspection.findings:
        click.echo(f"{styled('look', 'look:')} {finding.text}", err=True)
        if finding.hint:
            click.echo(f"      {finding.hint}", err=True)
    for error in brief(inspection.errors):
        click.echo(f"{styled('alarm', 'error:')} {error}", err=True)


def _serve(what: dict[str, Any], port: int, open_browser: bool) -> None:
    from datakit.report.serve import serve

    def started(address: str, files: frozenset[str]) -> None:
        click.echo(f"page: {address}  (Ctrl-C ends it)")
        names = ", ".join(sorted(map(_short, files)))
        click.echo(
            f"watching {names}" if files else "note: none of your own code is in it; there is nothing to watch",
            err=True,
        )
        if open_browser:
            webbrowser.open(address)

    try:
        serve(partial(_page, what), port=port, started=started, tell=lambda line: click.echo(line, err=True))
    except KeyboardInterrupt:
        click.echo("\nended", err=True)


def _short(path: str) -> str:
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _page(what: dict[str, Any], events: str) -> str:
    """In a process of its own: the page over the user's code as it is now."""
    from datakit.report.page import render

    with redirect_stdout(sys.stderr):
        return render(_looked(what, lambda *_: None), live=events)
