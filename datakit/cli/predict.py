"""`datakit predict`: what a trained reference makes of a text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from datakit.cli.group import debug_option
from datakit.cli.options import json_option
from datakit.cli.output import print_json
from datakit.errors import DatakitError, MissingDataError

if TYPE_CHECKING:
    from datakit.reference import Reference


@click.command(short_help="Ask a model that `datakit train` has trained.")
@click.argument("name", metavar="REFERENCE")
@click.argument("inputs", nargs=-1, metavar="[INPUT]...")
@click.option(
    "--run",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the run lies.  [default: runs/REFERENCE]",
)
@click.option("--root", type=click.Path(path_type=Path), metavar="DIR", help="Where the data lie, if it needs them.")
@json_option
@debug_option
def predict(name: str, inputs: tuple[str, ...], run: Path | None, root: Path | None, as_json: bool) -> None:
    """Ask the model of REFERENCE, as its last training left it, what it makes of each INPUT.

    Without INPUT the lines of stdin are asked.

    \b
      datakit predict char-rnn-classify Dovesky Jackson Satoshi
      datakit predict char-rnn-generate Russian:RUS German:GER
      datakit predict translate "je suis en retard"
    """
    from datakit.reference import find

    cls, folder = find(name), run or Path("runs", name)
    asked = inputs or _lines()
    reference = _recalled(cls, folder, root)
    answers = []
    for text in asked:
        reference.notes.clear()
        lines = list(reference.predict(text))
        answers.append({"input": text, "predictions": lines, "notes": list(reference.notes)})
        if not as_json:
            click.echo("\n".join(["", f"> {text}", *lines]))
            for note in reference.notes:
                click.echo(f"note: {note}", err=True)
    if as_json:
        print_json(answers)


def _lines() -> Sequence[str]:
    """What stands on stdin, a text a line."""
    if sys.stdin.isatty():
        raise click.UsageError("nothing to predict from: give INPUT, or lines on stdin")
    return [line.strip() for line in sys.stdin if line.strip()]


def _recalled(cls: type[Reference], folder: Path, root: Path | None) -> Reference:
    from datakit.reference import Reference, checkpoint

    if cls.predict is Reference.predict:
        raise DatakitError(f"{cls.name} predicts nothing from text")
    if checkpoint.kind(folder) == "none":
        where = "--root DIR" if cls.needs_data else ""
        how = f"datakit train {cls.name} {where}".rstrip()
        raise MissingDataError(f"there is no run of {cls.name} in {folder}; to make one: {how} --out {folder}")
    if checkpoint.kind(folder) == "unfinished":
        click.echo(f"note: the run in {folder} has not come to its end", err=True)
    return checkpoint.recall(folder, cls, root)
