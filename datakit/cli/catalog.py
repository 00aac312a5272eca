"""`datakit list` and `datakit download`."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from datakit.cli.group import debug_option
from datakit.cli.options import json_option
from datakit.cli.output import print_json


@click.command("list")
@json_option
@debug_option
def list_(as_json: bool) -> None:
    """List the datasets of the catalog."""
    from datakit import catalog

    targets = catalog.targets()
    if as_json:
        print_json([{"name": name, "target": targets[name]} for name in sorted(targets)])
        return
    width = max(map(len, targets), default=0)
    for name in sorted(targets):
        click.echo(f"{name:{width}}  {targets[name]}")


@click.command(short_help="Download a dataset, verify and unpack it.")
@click.argument("name")
@click.option("--root", required=True, metavar="DIR", help="Where to put it; made if it is not there.")
@click.option("--split", metavar="NAME", help="Only what this split needs.")
@json_option
@debug_option
def download(name: str, root: str, split: str | None, as_json: bool) -> None:
    """Download the dataset NAME, verify and unpack it; what is there already stays.

    Without a network: DATAKIT_MIRROR=file:///a/folder/with/the/archives.
    """
    from datakit.catalog import find
    from datakit.errors import TargetError, UnknownNameError
    from datakit.files import ensure

    cls = find(name)
    if split is not None and split not in cls.splits:
        raise UnknownNameError.of(f"split of {cls.__name__}", split, cls.splits)
    remotes = cls.remotes_of(split)
    if not remotes:
        raise TargetError(f"{name} has nothing to download")
    with redirect_stdout(sys.stderr):
        ensure(remotes, root, download=True)
    paths = [str(Path(root, product)) for remote in remotes for product in remote.produces]
    if as_json:
        print_json({"name": name, "root": root, "paths": paths})
    else:
        click.echo("\n".join(paths))
