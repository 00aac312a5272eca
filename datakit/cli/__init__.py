"""The `datakit` command: parses, calls, prints. Whatever is heavy is imported inside the commands.

Results go to stdout, progress and notes to stderr. Exit codes: 0, 1 where something is wrong with the data, 2 with the
command line, 130 after Ctrl-C. Files are written whole or not at all.
"""

from __future__ import annotations

import os
import sys

import click

from datakit import __version__
from datakit.cli.bench import bench
from datakit.cli.catalog import download, list_
from datakit.cli.check import check
from datakit.cli.doctor import doctor
from datakit.cli.group import Commands, debug_option
from datakit.cli.inspect import inspect_
from datakit.cli.interrupts import keep_interrupts
from datakit.cli.predict import predict
from datakit.cli.train import train
from datakit.cli.vocab import vocab


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="datakit")
@debug_option
@click.pass_context
def command(ctx: click.Context) -> None:
    """Look at what a model will really get, and measure how fast it comes."""
    if os.environ.get("NO_COLOR"):
        ctx.color = False


for _one in (list_, download, inspect_, check, bench, train, predict, vocab, doctor):
    command.add_command(_one)


def main() -> None:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # file names need not be text, nor terminals know all of it
    keep_interrupts()
    command()
