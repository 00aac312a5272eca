"""`datakit train`: a group whose commands are the references, made from their classes when one is asked for."""

from __future__ import annotations

import functools
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from datakit.cli.group import FAILURE, debug_option
from datakit.cli.options import FILE, json_option
from datakit.cli.output import check_place, check_writable, print_json, progress, say
from datakit.cli.train_all import SEED, group_options, run_group
from datakit.errors import CorruptDataError, MissingDataError
from datakit.reference.catalog import BUILT_IN, find

if TYPE_CHECKING:
    from datakit.reference import Reference, Result


class References(click.Group):
    """A command for each reference; to list them imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names."""
        return sorted(BUILT_IN)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a reference; nothing is imported before its options are needed."""
        return _Training(cmd_name) if cmd_name in BUILT_IN else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command, or a usage error that suggests the nearest name."""
        from datakit.errors import suggest

        if args and args[0] not in BUILT_IN and not args[0].startswith("-"):
            raise click.UsageError(f"unknown reference {args[0]!r}; {suggest(args[0], BUILT_IN)}", ctx)
        return super().resolve_command(ctx, args)


class _Training(click.Command):
    """The command of one reference. Its options come from the class, which imports torch: only when it is run."""

    def __init__(self, name: str) -> None:
        super().__init__(name, short_help=BUILT_IN[name][1], callback=functools.partial(_train, name))

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Those of every training, and the reference's own."""
        if not self.params:
            ctx.meta[FAILURE] = 3  # where torch does not import; 1 is a bar that was missed
            reference = find(self.name or "")
            self.help = _help(reference)
            self.params = [*_shared(reference), *map(_option, reference.options)]
        return super().get_params(ctx)


@click.group(
    "train",
    cls=References,
    subcommand_metavar="NAME [OPTIONS]",
    invoke_without_command=True,
    no_args_is_help=True,
    short_help="Prove a pipeline: train a tutorial's model, and say whether it works.",
)
@group_options
@debug_option
@click.pass_context
def train(context: click.Context, /, **options: Any) -> None:
    """Train the model of a tutorial on a datakit pipeline, and hold it against its bar.

    The last line says the figure, the bar, and whether it was passed; the exit code is 0 where it was, 1 where not, and
    3 where it could not be run.
    A bug in the pipeline makes a run miss its bar: --sabotage puts one in, to see it.

    \b
      datakit train faces --synthetic
      datakit train faces --root data --download
      datakit train faces --root data --sabotage points-not-rescaled
      datakit train mnist-stn --help

    All of them at once, on the synthetic copies, are a smoke test of an installation: a table at the end, and the worst
    of their exit codes.

    \b
      datakit train --list
      datakit train --list --root data
      datakit train --all --synthetic
    """
    run_group(context, options)


def _shared(reference: type[Reference]) -> list[click.Parameter]:
    """The options that every reference has."""

    @click.option("--root", metavar="DIR", help="Where the data lie.")
    @click.option("--synthetic", is_flag=True, help="Train on a small drawn copy of the data instead: seconds.")
    @click.option("--download", is_flag=True, help="Fetch data and pretrained weights that are missing.")
    @click.option("--epochs", type=click.IntRange(1), metavar="N", help=_epochs(reference))
    @click.option("--device", metavar="NAME", help="Such as cpu or cuda:0.  [default: a GPU where there is one]")
    @click.option(
        "--workers", type=click.IntRange(0), metavar="N", default=0, show_default=True, help="Processes that read."
    )
    @click.option("--seed", type=SEED, default=0, show_default=True, metavar="N", help="Of weights, order, transforms.")
    @click.option("--sabotage", type=click.Choice(sorted(reference.bugs())), help="Put a bug in, on purpose.")
    @click.option(
        "--out",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help=f"For curve, pictures and checkpoint.  [default: runs/{reference.name}]",
    )
    @click.option("--resume", is_flag=True, help="Go on with the run that lies there.")
    @click.option("--force", is_flag=True, help="Begin anew where an unfinished run lies there.")
    @click.option("--report", type=FILE, metavar="FILE.md", help="Put the result into the table of this page too.")
    @json_option
    @debug_option
    def options() -> None: ...

    return list(reversed(options.__click_params__))  # type: ignore[attr-defined]


def _option(option: Any) -> click.Parameter:
    kind = click.Choice(option.choices) if option.choices else click.Path(exists=True, dir_okay=False)
    default = {"default": option.default, "show_default": True} if option.default else {}
    return click.Option([f"--{option.name}"], type=kind, help=option.help, **default)


def _epochs(reference: type[Reference]) -> str:
    return f"[default: {reference.epochs}, or {reference.synthetic_epochs} with --synthetic]"


def _help(reference: type[Reference]) -> str:
    text = "\n".join(line.strip() for line in (reference.__doc__ or "").splitlines())
    first = {name: (bug.__doc__ or "").strip().splitlines()[0] for name, bug in sorted(reference.bugs().items())}
    bugs = [f"  {name}: {line}" for name, line in first.items()]
    listed = "\n".join(["\b", "Sabotages:", *bugs]) if bugs else ""
    return f"{text.strip()}\n\n{listed}\n\nSource: {reference.source}"


def _train(name: str, **options: Any) -> None:
    context, as_json = click.get_current_context(), options["as_json"]
    context.meta[FAILURE] = 3  # 1 is a bar that was missed
    told = sys.stderr if as_json else sys.stdout
    with redirect_stdout(sys.stderr):
        from datakit.reference.ledger import write_row

        out = _place(name, options)
        reference = _reference(name, options)
        result = _run(reference, out, options, told)
        if options["report"] is not None:
            write_row(options["report"], reference, result)
    if as_json:
        print_json(_document(result))
    else:
        click.echo("\n".join([*result.lines, *(f"picture: {path}" for path in result.pictures)]))
        colour = "green" if result.passed else "red"
        click.echo(click.style(str(result), fg=colour, bold=True))
    context.exit(0 if result.passed else 1)


def _place(name: str, options: dict[str, Any]) -> Path:
    from datakit.reference.ledger import find_table

    _check_root(find(name), options)
    if options["resume"] and options["force"]:
        raise click.UsageError("--resume goes on with a run, --force begins it anew: give one of them")
    if options["report"] is not None:
        check_place(options["report"], may_replace=True, endings=(".md",))
        find_table(options["report"])
    bug = options["sabotage"]
    out: Path = options["out"] or Path("runs", f"{name}-{bug}" if bug else name)
    check_writable(out)
    if not options["resume"] and not options["force"]:
        _check_free(out)
    return out


def _check_root(reference: type[Reference], options: dict[str, Any]) -> None:
    """Whether there is a folder of data, or none is needed."""
    files = [option.name for option in reference.options if not option.choices]
    if files and all(options[name] for name in files) and options["root"] is None and not options["synthetic"]:
        options["root"] = "."  # every file is named
    root = options["root"]
    if not reference.needs_data:
        if root is not None:
            raise click.UsageError(f"{reference.name} makes its data itself and takes no --root")
    elif options["synthetic"] == (root is not None):
        raise click.UsageError("give either --root DIR, the data, or --synthetic, a small drawn copy of them")
    elif root is not None and Path(root).exists() and not Path(root).is_dir():
        raise click.UsageError(f"--root {root} is a file, not the folder that the data lie in")
    elif root is not None and not Path(root).exists() and not options["download"]:
        raise click.UsageError(f"there is no folder {root}; with --download it is made, and filled where that can be")


def _check_free(out: Path) -> None:
    """Whether nothing that somebody may still want would be written over."""
    from datakit.reference import checkpoint

    try:
        kind = checkpoint.kind(out)
    except CorruptDataError as error:
        raise click.UsageError(f"{error}; --force begins anew") from error
    if kind == "unfinished":
        raise click.UsageError(f"an unfinished run lies in {out}: --resume goes on with it, --force begins anew")
    if kind == "real":
        raise click.UsageError(f"a run on real data lies in {out}: give another --out; --force writes over it")


def _reference(name: str, options: dict[str, Any]) -> Reference:
    cls = find(name)
    if options["sabotage"]:
        cls = cls.sabotaged(options["sabotage"])
    return cls(
        options["root"],
        device=_device(options["device"]),
        seed=options["seed"],
        num_workers=options["workers"],
        download=options["download"],
        options={option.name: options[option.name.replace("-", "_")] for option in cls.options},
    )


def _device(name: str | None) -> Any:
    import torch

    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except Exception as error:
        raise click.BadParameter(f"{name}: {str(error).splitlines()[0][:100]}", param_hint="--device") from None
    return device


def _run(reference: Reference, out: Path, options: dict[str, Any], told: TextIO) -> Result:
    from datakit.reference import train as train_
    from datakit.reference.checkpoint import NAME as CHECKPOINT

    what = {"epochs": options["epochs"], "resume": options["resume"]}
    try:
        with progress() as show:
            return train_(reference, out, **what, progress=show, tell=lambda line: say(line, told))
    except KeyboardInterrupt:
        how = f"the same command with --resume goes on from what is saved in {out}"
        click.echo(f"\nstopped; {how if (out / CHECKPOINT).is_file() else 'nothing was saved yet'}", err=True)
        raise
    except MissingDataError as error:
        if options["download"] or "download=True" not in str(error):
            raise
        raise MissingDataError(str(error).replace("pass download=True", "add --download")) from error


def _document(result: Result) -> dict[str, Any]:
    return {
        "name": result.name,
        "sabotage": result.sabotage,
        "data": result.data,
        "passed": result.passed,
        "checks": [
            {"what": check.what, "figure": _finite(check.figure), "bar": check.bar, "better": check.better,
             "unit": check.unit, "passed": check.passed}
            for check in result.checks
        ],
        "epochs": result.epochs,
        "seconds": result.seconds,
        "notes": list(result.notes),
        "pictures": [str(path) for path in result.pictures],
    }  # fmt: skip


def _finite(figure: float | None) -> float | None:
    """JSON knows no other numbers."""
    import math

    return figure if figure is not None and math.isfinite(figure) else None
