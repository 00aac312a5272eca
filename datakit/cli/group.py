"""The group of commands: what goes wrong in one of them becomes a message and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

import click

from datakit.cli.installation import broken_package
from datakit.errors import DatakitError, TargetError, UnknownNameError
from datakit.phrasing import describe

F = TypeVar("F", bound=Callable[..., Any])

_DEBUG = "datakit.debug"
FAILURE = "datakit.failure"
"""Where a command says by which exit code it fails, if not by 1."""


class Commands(click.Group):
    """The commands; what goes wrong in one becomes a message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("\ninterrupted", err=True)
            ctx.exit(130)
        except BrokenPipeError:  # whoever read our output, such as `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(ctx.meta.get(FAILURE, 0))
        except Exception as error:
            ctx.exit(_complain(ctx, error))


def _complain(ctx: click.Context, error: Exception) -> int:
    """Say what went wrong; the exit code."""
    if _debugging(ctx):
        traceback.print_exception(error)
    label = click.style("error:", fg="red", bold=True)
    if (package := broken_package(error)) is not None:
        click.echo(f"{label} {package}; to see what is wrong and how to mend it: datakit doctor", err=True)
        return int(ctx.meta.get(FAILURE, 1))
    click.echo(f"{label} {describe(error)}", err=True)
    if not isinstance(error, DatakitError | OSError) and not _debugging(ctx):
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.filename}, line {frame.lineno}"
        click.echo(f"       in {place}; DATAKIT_DEBUG=1 or --debug shows the whole traceback", err=True)
    return 2 if isinstance(error, TargetError | UnknownNameError) else ctx.meta.get(FAILURE, 1)


def _debugging(ctx: click.Context) -> bool:
    return ctx.meta.get(_DEBUG, False) or os.environ.get("DATAKIT_DEBUG", "") not in ("", "0")


def debug_option(command: F) -> F:
    """`--debug`."""

    def remember(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta[_DEBUG] = True

    text = "Show tracebacks."
    return click.option("--debug", is_flag=True, expose_value=False, callback=remember, help=text)(command)
