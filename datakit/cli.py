"""The `datakit` command: parses, calls, prints. Whatever is heavy is imported inside the commands.

Results go to stdout, progress and notes to stderr. Exit codes: 0, 1 where something is wrong with the data, 2 with the
command line, 130 after Ctrl-C. Files are written whole or not at all.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from datakit import __version__
from datakit.errors import DatakitError, MissingDataError, UnknownNameError

if TYPE_CHECKING:
    from datakit.targets import Target

F = TypeVar("F", bound=Callable[..., Any])

_DEBUG = "datakit.debug"


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not of the form 0,1,2") from None


def _counts(text: str) -> tuple[int, ...]:
    numbers = _numbers(text)
    if min(numbers) < 0:
        raise click.BadParameter(f"{min(numbers)} is below 0")
    return numbers


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
            ctx.exit(0)
        except Exception as error:
            ctx.exit(_complain(ctx, error))


def _complain(ctx: click.Context, error: Exception) -> int:
    """Say what went wrong; the exit code."""
    from datakit.report.inspection import describe
    from datakit.targets import TargetError

    if _debugging(ctx):
        traceback.print_exception(error)
    label = click.style("error:", fg="red", bold=True)
    click.echo(f"{label} {describe(error)}", err=True)
    if not isinstance(error, DatakitError | OSError) and not _debugging(ctx):
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.filename}, line {frame.lineno}"
        click.echo(f"       in {place}; DATAKIT_DEBUG=1 or --debug shows the whole traceback", err=True)
    return 2 if isinstance(error, TargetError | UnknownNameError) else 1


def _debugging(ctx: click.Context) -> bool:
    return ctx.meta.get(_DEBUG, False) or os.environ.get("DATAKIT_DEBUG", "") not in ("", "0")


def _debug_option(command: F) -> F:
    def remember(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta[_DEBUG] = True

    text = "Show tracebacks."
    return click.option("--debug", is_flag=True, expose_value=False, callback=remember, help=text)(command)


def _with(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else.")
_target_options = _with(
    click.argument("target"),
    click.option("--root", metavar="DIR", help="Where the data of a catalog name lie."),
    click.option("--synthetic", is_flag=True, help="Use a small drawn copy of the dataset instead."),
    click.option(
        "--records", type=click.IntRange(1), default=64, show_default=True, metavar="N", help="Size of that copy."
    ),
    click.option("--split", metavar="NAME", help="Split of a catalog name."),
    click.option(
        "-t",
        "typed",
        multiple=True,
        metavar="TRANSFORM",
        help='A transform, such as "Rescale(256)"; repeat it for a chain.',
    ),
    click.option("--transform", metavar="MODULE:OBJECT", help="A transform or chain of your own, in place of -t."),
    click.option(
        "--batch-size", type=click.IntRange(1), metavar="N", help="Samples a batch; 16 to look at, 32 to measure."
    ),
    click.option("--seed", type=int, metavar="N", help="Of the order and the random transforms.  [default: 0]"),
)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="datakit")
@_debug_option
@click.pass_context
def command(ctx: click.Context) -> None:
    """Look at what a model will really get, and measure how fast it comes."""
    if os.environ.get("NO_COLOR"):
        ctx.color = False


@command.command("list")
@_json_option
@_debug_option
def list_(as_json: bool) -> None:
    """List the datasets of the catalog."""
    from datakit import catalog

    targets = catalog.targets()
    if as_json:
        _print_json([{"name": name, "target": targets[name]} for name in sorted(targets)])
        return
    width = max(map(len, targets), default=0)
    for name in sorted(targets):
        click.echo(f"{name:{width}}  {targets[name]}")


@command.command(short_help="Download a dataset, verify and unpack it.")
@click.argument("name")
@click.option("--root", required=True, metavar="DIR", help="Where to put it; made if it is not there.")
@_json_option
@_debug_option
def download(name: str, root: str, as_json: bool) -> None:
    """Download the dataset NAME, verify and unpack it; what is there already stays.

    Without a network: DATAKIT_MIRROR=file:///a/folder/with/the/archives.
    """
    from datakit.catalog import find
    from datakit.files import ensure
    from datakit.targets import TargetError

    remotes = find(name).remotes
    if not remotes:
        raise TargetError(f"{name} has nothing to download")
    with redirect_stdout(sys.stderr):
        ensure(remotes, root, download=True)
    paths = [str(Path(root, product)) for remote in remotes for product in remote.produces]
    if as_json:
        _print_json({"name": name, "root": root, "paths": paths})
    else:
        click.echo("\n".join(paths))


@command.command("inspect", short_help="Look at samples, stage by stage, and at a batch.")
@_target_options
@click.option("--index", "indices", type=_numbers, metavar="N,N…", help="Records to look at, instead of --samples.")
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
@_json_option
@_debug_option
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

        _check_place(out, may_replace=force or is_ours(out))
        target = _open(options)
        chosen = {name: options[name] for name in ("batch_size", "seed") if options[name] is not None}
        with _progress() as show:
            inspection = look(target, indices=indices, samples=samples, progress=show, **chosen)
            show("drawing the page", 1, 1)
            page = render(inspection).encode("utf-8", "backslashreplace")
        write_whole(out, page)
    if as_json:
        _print_json(inspection_json(inspection, str(out)))
    else:
        click.echo("\n".join(inspection_lines(inspection)))
        click.echo(f"page: {out} ({size(len(page))})")
    for note in inspection.notes:
        click.echo(f"note: {note}", err=True)
    for error in inspection.errors:
        click.echo(f"{click.style('error:', fg='red', bold=True)} {error}", err=True)
    if inspection.errors:
        click.get_current_context().exit(1)


@command.command(short_help="Measure how many samples a second a loader gives.")
@_target_options
@click.option(
    "--workers", type=_counts, metavar="N,N…", help="Numbers of worker processes to try; by default up to the cores."
)
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    metavar="N",
    help="Passes that count, for each number of workers.",
)
@click.option("--batches", type=click.IntRange(1), metavar="N", help="Length of a pass; by default the whole epoch.")
@click.option("--start-method", type=click.Choice(["fork", "spawn", "forkserver"]), help="How workers are started.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw it to this .png, .svg or .pdf.")
@_json_option
@_debug_option
def bench(
    workers: tuple[int, ...] | None,
    repeats: int,
    batches: int | None,
    start_method: Any,
    plot: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure how many samples a second a loader over TARGET gives, with different numbers of workers.

    TARGET is a name of the catalog with --root or --synthetic, a folder of images, or package.module:object, where the
    object is a dataset, a loader, or a function without arguments that makes one.

    A pass is a plain loop over the loader, timed from its start, workers included, to its end. The numbers of workers
    take turns, and a first round is not counted.

    \b
      datakit bench faces --root data -t "Rescale(256)" -t "RandomCrop(224)" -t ToTensor --workers 0,1,2
      datakit bench mycode.train:loader --plot bench.png
    """
    with redirect_stdout(sys.stderr):
        from datakit.bench import measure
        from datakit.report import terminal
        from datakit.report.output import write_whole
        from datakit.report.plot import draw_bench

        if plot is not None:
            _check_place(plot, may_replace=True, endings=(".png", ".svg", ".pdf"))
        target = _open(options)
        with _progress() as show:
            measurements = measure(
                target.source,
                workers=workers,
                batch_size=options["batch_size"] or 32,
                repeats=repeats,
                batches=batches,
                seed=options["seed"] or 0,
                start_method=start_method,
                progress=lambda count, done, total: show(f"{count} workers", done, total),
            )
        about = terminal.about_bench(target, measurements, repeats)
        if plot is not None:
            write_whole(plot, draw_bench(measurements, plot, title=target.name, subtitle="\n".join(about[1:])))
    if as_json:
        _print_json(terminal.bench_json(target, measurements, repeats, plot))
    else:
        click.echo("\n".join([*about, "", *terminal.bench_lines(measurements)]))
        if plot is not None:
            click.echo(f"\nplot: {plot}")


def _open(options: dict[str, Any]) -> Target:
    """The target of the shared options."""
    from datakit.targets import TargetError, chain_of, open_target

    name, root = options["target"], options["root"]
    chain = chain_of(options["typed"], options["transform"])
    synthetic = options["records"] if options["synthetic"] else None
    try:
        target = open_target(name, root=root, split=options["split"], synthetic=synthetic, transform=chain)
    except MissingDataError as error:
        if root is None or ":" in name:
            raise
        raise MissingDataError(f"{error}\nto fetch it: datakit download {name} --root {root}") from error
    own = [option for option in ("batch_size", "seed") if options[option] is not None]
    if target.loader is not None and own:
        raise TargetError(f"{name} is a loader and brings its own; --{own[0].replace('_', '-')} goes with a dataset")
    return target


def _check_place(path: Path, *, may_replace: bool, endings: tuple[str, ...] = ()) -> None:
    """Find out before the work whether its result can be written."""
    if endings and path.suffix.lower() not in endings:
        raise click.UsageError(f"{path} must end in {', '.join(endings)}")
    if not path.absolute().parent.is_dir():
        raise click.UsageError(f"there is no folder {path.absolute().parent} to write {path.name} to")
    if not os.access(path.absolute().parent, os.W_OK):
        raise click.UsageError(f"{path.absolute().parent} is not writable")
    if path.exists() and not may_replace:
        raise click.UsageError(f"{path} exists and is no page of datakit's; --force overwrites it")


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr where that is a terminal: called with what is done next, how much is done, and of how much."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    import threading

    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread and no process of its own: workers are forked beside it
    tqdm.set_lock(threading.RLock())
    with tqdm(total=1, file=sys.stderr, leave=False, bar_format="{n}/{total} {bar:24} {desc}") as bar:

        def show(what: str, done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.set_description_str(what)

        yield show


def _print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def _keep_interrupts() -> None:
    """Python drops a Ctrl-C that arrives in a `__del__` or a weakref callback; have it raised again a moment later."""
    usual = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.02)
        else:
            usual(unraisable)

    signal.signal(signal.SIGALRM, signal.default_int_handler)
    sys.unraisablehook = hook


def main() -> None:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # file names need not be text, nor terminals know all of it
    _keep_interrupts()
    command()
