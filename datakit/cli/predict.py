"""`datakit predict`: what a trained reference makes of a text."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

    Without INPUT the lines of stdin are asked, as they come. Exit code 1 says that one of them could not be answered.

    \b
      datakit predict char-rnn-classify Dovesky Jackson Satoshi
      datakit predict char-rnn-generate Russian:RUS German:GER
      datakit predict translate "je suis en retard"
    """
    from datakit.reference import find

    cls, folder = find(name), run or Path("runs", name)
    asked: Iterable[str] = inputs or _lines()
    reference = _recalled(cls, folder, root)
    answers, failed = [], False
    for text in asked:
        answer = _answer(reference, text)
        failed = failed or "error" in answer
        if as_json:
            answers.append(answer)
        else:
            _show(answer)
    if as_json:
        print_json(answers)
    click.get_current_context().exit(1 if failed else 0)


def _answer(reference: Reference, text: str) -> dict[str, Any]:
    """What the model makes of a text, or why it makes nothing of it: the others are asked all the same."""
    reference.notes.clear()
    try:
        text.encode()
        return {"input": text, "predictions": list(reference.predict(text)), "notes": list(reference.notes)}
    except UnicodeEncodeError:
        shown = text.encode(errors="surrogateescape").decode("latin-1")
        return {"input": shown, "error": f"{shown!r} is not UTF-8"}
    except DatakitError as error:
        return {"input": text, "error": str(error)}


def _show(answer: dict[str, Any]) -> None:
    if "error" in answer:
        click.echo(f"{click.style('error:', fg='red', bold=True)} {answer['error']}", err=True)
        return
    click.echo("\n".join(["", f"> {answer['input']}", *answer["predictions"]]))
    sys.stdout.flush()  # who feeds it line by line waits for it
    for note in answer["notes"]:
        click.echo(f"note: {note}", err=True)


def _lines() -> Iterator[str]:
    """What stands on stdin, a text a line, as it comes."""
    if sys.stdin.isatty():
        raise click.UsageError("nothing to predict from: give INPUT, or lines on stdin")
    lines = (line.decode(errors="surrogateescape").strip() for line in sys.stdin.buffer)
    return (line for line in lines if line)


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
