"""Options that several commands share, and what they ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from datakit.errors import MissingDataError, TargetError

if TYPE_CHECKING:
    from datakit.targets import Target

F = TypeVar("F", bound=Callable[..., Any])
FILE = click.Path(dir_okay=False, path_type=Path)


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers, with commas between them."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not of the form 0,1,2") from None


def counts(text: str) -> tuple[int, ...]:
    """Whole numbers from 0 on, with commas between them."""
    found = numbers(text)
    if min(found) < 0:
        raise click.BadParameter(f"{min(found)} is below 0")
    return found


def _with(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else.")
data_options = _with(
    click.option("--root", metavar="DIR", help="Where the data of a catalog name lie."),
    click.option("--synthetic", is_flag=True, help="Use a small drawn copy of the dataset instead."),
    click.option(
        "--records", type=click.IntRange(1), default=64, show_default=True, metavar="N", help="Size of that copy."
    ),
    click.option("--split", metavar="NAME", help="Split of a catalog name."),
)
transform_options = _with(
    click.option(
        "-t",
        "typed",
        multiple=True,
        metavar="TRANSFORM",
        help='A transform, such as "Rescale(256)"; repeat it for a chain.',
    ),
    click.option("--transform", metavar="MODULE:OBJECT", help="A transform or chain of your own, in place of -t."),
    click.option("--seed", type=int, metavar="N", help="Of the order and the random transforms.  [default: 0]"),
)
place_options = _with(click.argument("target"), data_options)
target_options = _with(place_options, transform_options)
optional_target_options = _with(click.argument("target", required=False), data_options, transform_options)


def _split(name: str, options: dict[str, Any]) -> str:
    """The split to fetch; where none was asked for, that it is the first one, and what others there are."""
    from datakit.catalog import find

    splits: tuple[str, ...] = tuple(getattr(find(name), "splits", ()))
    if options["split"] is not None or len(splits) < 2:
        return "" if options["split"] is None else f" --split {options['split']}"
    shown = ", ".join(splits[1:4]) + (", …" if len(splits) > 4 else "")
    return f" --split {splits[0]}\n{splits[0]} is the split by default; --split takes others: {shown}"


def open_(options: dict[str, Any]) -> Target:
    """The target of the shared options."""
    from datakit.targets import chain_of, open_target

    name, root = options["target"], options["root"]
    chain = chain_of(options.get("typed", ()), options.get("transform"))
    synthetic = options["records"] if options["synthetic"] else None
    try:
        target = open_target(name, root=root, split=options["split"], synthetic=synthetic, transform=chain)
    except MissingDataError as error:
        if root is None or ":" in name:
            raise
        raise MissingDataError(
            f"{error}\nto fetch it: datakit download {name} --root {root}{_split(name, options)}"
        ) from error
    own = [option for option in ("batch_size", "seed") if options.get(option) is not None]
    if target.loader is not None and own:
        raise TargetError(f"{name} is a loader and brings its own; --{own[0].replace('_', '-')} goes with a dataset")
    return target
