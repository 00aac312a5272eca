"""`datakit check`."""

from __future__ import annotations

import shlex
import shutil
import sys
import webbrowser
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from datakit.cli.group import debug_option
from datakit.cli.options import FILE, data_options, json_option, transform_options
from datakit.cli.output import check_place, print_json, progress

if TYPE_CHECKING:
    from datakit.check.findings import Report
    from datakit.check.parts import Opened

PAGE = Path("datakit-check.html")


def kinds(text: str) -> tuple[str, ...]:
    """Kinds of findings, with commas between them."""
    from datakit.check.kinds import KINDS
    from datakit.errors import suggest

    found = tuple(part.strip() for part in text.split(","))
    for name in found:
        if name not in KINDS:
            raise click.BadParameter(f"unknown kind of finding {name!r}; {suggest(name, KINDS)}")
    return found


@click.command(short_help="Look for what is wrong with a dataset, its splits, its transforms and its loader.")
@click.argument("targets", nargs=-1, required=True, metavar="TARGET…")
@data_options
@transform_options
@click.option("--only", type=kinds, metavar="KIND,KIND…", help="Look for these kinds of findings alone.")
@click.option("--ignore", type=kinds, metavar="KIND,KIND…", help="Leave these kinds of findings out.")
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "note", "never"]),
    default="error",
    show_default=True,
    help="What makes the exit code 1: a finding as bad as this, or worse.",
)
@click.option("--at-most", type=click.IntRange(1), metavar="N", help="Read N records of each split, chosen by chance.")
@click.option(
    "--looked",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    metavar="N",
    help="How many records to run through the transforms.",
)
@click.option(
    "--workers", type=click.IntRange(0), metavar="N", help="Processes that read; by default as many as cores."
)
@click.option("--cache/--no-cache", default=True, help="Use what is known of files that have not changed.")
@click.option(
    "--out", type=FILE, help=f"Where to write the page with pictures.  [default: {PAGE}, if anything is found]"
)
@click.option("--force", is_flag=True, help="Overwrite --out also where it is no page of datakit's.")
@click.option("--open", "open_browser", is_flag=True, help="Show the page in the browser.")
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda *given: _list(*given),
    help="List the kinds of findings, and what they mean.",
)
@json_option
@debug_option
def check(
    targets: tuple[str, ...], out: Path | None, force: bool, open_browser: bool, as_json: bool, **options: Any
) -> None:
    """Look for what is wrong with TARGET before training on it.

    TARGET is a name of the catalog with --root or --synthetic, a folder of images, sounds or texts, or of its splits, a
    text file, or package.module:object, where the object is a dataset, a mapping of datasets, a loader, or a function
    that makes one. All splits are checked, and compared with each other; so are several targets.

    All records are read, and what is known of them is kept by the time and the size of their files, so that the next
    time is fast. Ctrl-C ends it, and what was found so far is shown. Exit code 1 says that something was found, see
    --fail-on; 130 that it was stopped.

    \b
      datakit check data/pets
      datakit check faces --root data -t "Rescale(256)" -t "RandomCrop(224)" -t ToTensor
      datakit check data/train data/held-out --only leak,near-leak
      datakit check mycode.train:loader --fail-on warning --json
    """
    with redirect_stdout(sys.stderr):  # what the user's own code prints must not get into the result
        from datakit.report.check.page import is_ours

        page = out or PAGE
        is_page = out is not None or open_browser or not as_json
        if is_page:
            check_place(page, may_replace=force or is_ours(page))
        opened = _opened(targets, options)
        report = _report(opened, options)
        is_page = is_page and (out is not None or open_browser or bool(report.findings))
        if is_page:
            _write(report, opened, page, options)
    _say(report, page if is_page else None, as_json)
    if open_browser and not webbrowser.open(page.absolute().as_uri()):
        click.echo(f"note: no browser was found to open {page}", err=True)
    worst = options["fail_on"]
    click.get_current_context().exit(130 if report.interrupted else worst != "never" and report.fails(worst))


def _list(context: click.Context, option: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    from datakit.check.kinds import KINDS

    width = max(map(len, KINDS))
    for name, about in KINDS.items():
        click.echo(f"{name:{width}}  {about.severity:7}  {about.title}")
    context.exit()


def _opened(targets: tuple[str, ...], options: Mapping[str, Any]) -> Opened:
    from datakit.check.parts import open_parts
    from datakit.errors import TargetError
    from datakit.targets import chain_of

    chain = chain_of(options["typed"], options["transform"])
    synthetic = options["records"] if options["synthetic"] else None
    opened = open_parts(targets, root=options["root"], split=options["split"], synthetic=synthetic, transform=chain)
    if opened.loader is not None and options["seed"] is not None:
        raise TargetError(f"{opened.name} is a loader and brings its own; --seed goes with a dataset")
    if not opened.parts and opened.loader is None:
        raise TargetError(f"{opened.name} is empty: there are no datasets in the mapping")
    if not opened.parts:
        raise TargetError(f"{opened.name} is a loader over something without an index: there are no records to check")
    return opened


def _report(opened: Opened, options: Mapping[str, Any]) -> Report:
    from datakit.check.run import check as run

    names = ("at_most", "looked", "workers", "cache")
    with progress() as show:
        return run(
            opened.parts,
            target=opened.name,
            loader=opened.loader,
            only=options["only"] or (),
            ignore=options["ignore"] or (),
            seed=options["seed"] or 0,
            notes=opened.notes,
            unopened=opened.unopened,
            progress=show,
            **{name: options[name] for name in names},
        )


def _write(report: Report, opened: Opened, page: Path, options: Mapping[str, Any]) -> None:
    from datakit.files.writing import write_whole
    from datakit.report.check.page import render

    draw = partial(render, report, opened.parts, commands=_commands(opened, options), seed=options["seed"] or 0)
    with progress() as show:
        try:
            text = draw(progress=show)
        except KeyboardInterrupt:  # the pictures may take long; what was found is more than they are
            text = draw(patience=0)
    write_whole(page, text.encode())


def _commands(opened: Opened, options: Mapping[str, Any]) -> dict[str, str]:
    """How to inspect a record of each part."""
    root = ["--root", options["root"]] if options["root"] else []
    synthetic = ["--synthetic", "--records", str(options["records"])] if options["synthetic"] else []
    chain = [part for typed in options["typed"] for part in ("-t", typed)]
    own = ["--transform", options["transform"]] if options["transform"] else []
    return {
        part: shlex.join(["datakit", "inspect", *typed, *root, *synthetic, *chain, *own])
        for part, typed in opened.typed.items()
    }


def _say(report: Report, page: Path | None, as_json: bool) -> None:
    from datakit.report.check import document, terminal

    if as_json:
        print_json(document.document(report))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 100
    click.echo("\n".join(terminal.lines(report, width)))
    if page is not None:
        click.echo(f"pictures: {page}")
