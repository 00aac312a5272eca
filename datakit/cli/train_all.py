"""`datakit train --list` and `datakit train --all`."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from datakit.cli.group import FAILURE
from datakit.cli.options import F, json_option
from datakit.cli.output import check_writable, print_json, progress
from datakit.cores import usable_cores
from datakit.errors import suggest
from datakit.reference.catalog import BUILT_IN

if TYPE_CHECKING:
    from datakit.reference.several import Outcome, Training

SEED = click.IntRange(0, 2**63 - 1)  # what torch takes
RESULTS = "results.json"
_DEVICE_SECONDS = 120.0  # that torch may take to be imported and to try a device
_MOST = 4  # at once, by default: each takes up to a gigabyte
_TAKEN = {
    "list": {"root", "as_json"},
    "all": {"synthetic", "out", "seed", "workers", "device", "only", "skip", "jobs", "as_json"},
}


def names(context: click.Context, option: click.Parameter, text: str | None) -> tuple[str, ...]:
    """Names of references, with commas between them."""
    found = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    if text is not None and not found:
        raise click.BadParameter("give the names of references, with commas between them")
    for name in found:
        if name not in BUILT_IN:
            raise click.BadParameter(f"unknown reference {name!r}; {suggest(name, BUILT_IN)}")
    return found


_OPTIONS = (
    click.option("--list", "list", is_flag=True, help="List the references: data, bars, weights."),
    click.option("--root", metavar="DIR", help="With --list: say whose data lie there."),
    click.option("--all", "all", is_flag=True, help="Train all of them, each in a process of its own."),
    click.option("--synthetic", is_flag=True, help="With --all: on the drawn copies of the data."),
    click.option("--only", callback=names, metavar="NAME,NAME…", help="With --all: these."),
    click.option("--skip", callback=names, metavar="NAME,NAME…", help="With --all: not these."),
    click.option(
        "--jobs", "-j", type=click.IntRange(1), metavar="N",
        help=f"With --all: how many at once, a thread each.  [default: a core each, {_MOST} at most]",
    ),
    click.option(
        "--out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
        help="With --all: for logs, documents and runs.  [default: runs/all]",
    ),
    click.option("--seed", type=SEED, metavar="N", help="With --all: of each.  [default: 0]"),
    click.option("--workers", type=click.IntRange(0), metavar="N", help="With --all: of each.  [default: 0]"),
    click.option("--device", metavar="NAME", help="With --all: of each.  [default: a GPU where there is one]"),
    json_option,
)  # fmt: skip


def group_options(command: F) -> F:
    """The options of `datakit train` without the name of a reference."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def run_group(context: click.Context, options: dict[str, Any]) -> None:
    """What `datakit train` does without the name of a reference.

    Raises:
        click.UsageError: for options that do not go together.
    """
    given = [option.opts[0] for option in context.command.params if option.name in options
             and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE]  # fmt: skip
    name = context.invoked_subcommand
    if name is not None:
        if given:
            raise click.UsageError(f"{given[0]} goes {_behind(name, given[0])}", context)
        return
    modes = [mode for mode in _TAKEN if options[mode]]
    if len(modes) != 1:
        raise click.UsageError("give the name of a reference, --list, or --all; one of them", context)
    (mode,) = modes
    others = [option.opts[0] for option in context.command.params
              if option.opts[0] in given and option.name not in {mode, *_TAKEN[mode]}]  # fmt: skip
    if others:
        raise click.UsageError(_out_of_place(mode, others[0]), context)
    (_list if mode == "list" else _all)(context, options)


def _behind(name: str, option: str) -> str:
    if option in ("--all", "--list"):
        return f"without a name; datakit train {name} --synthetic trains that one"
    return f"behind the name: datakit train {name} {option}"


def _out_of_place(mode: str, option: str) -> str:
    if (mode, option) == ("all", "--root"):
        return (
            "--all trains on the synthetic copies; on real data each takes up to hours and is trained by its name: "
            "datakit train faces --root DIR (datakit train --list --root DIR says whose data lie there)"
        )
    return f"{option} does not go with --{mode}"


def _list(context: click.Context, options: dict[str, Any]) -> None:
    context.meta[FAILURE] = 3
    from datakit.reference import listing

    root = None if options["root"] is None else Path(options["root"])
    if root is not None and not root.is_dir():
        raise click.UsageError(f"there is no folder {root}", context)
    found = listing.entries(root)
    if options["as_json"]:
        print_json(listing.document(found))
        return
    width = _width()
    click.echo("\n".join(listing.lines(found, width)))
    if root is None:
        last = "--root DIR says whose data lie there. "
    else:
        last = f"{sum(bool(entry.here) for entry in found)} of {len(found)} can be trained on what lies in {root}. "
    last += "Each has a synthetic copy of its data: datakit train NAME --synthetic, or --all --synthetic."
    click.echo("\n".join(["", *listing.wrapped(last, width, "", "")]))


def _all(context: click.Context, options: dict[str, Any]) -> None:
    from datakit.reference import scores
    from datakit.reference.several import run_all

    context.meta[FAILURE] = 3
    if not options["synthetic"]:
        raise click.UsageError(
            "--all trains on the synthetic copies of the data, which must be said: datakit train --all --synthetic; on "
            "real data each is trained by its name: datakit train faces --root DIR",
            context,
        )
    chosen = [name for name in sorted(options["only"] or BUILT_IN) if name not in options["skip"]]
    if not chosen:
        raise click.UsageError("--skip leaves none of them", context)
    jobs = min(options["jobs"] or min(usable_cores(), _MOST), len(chosen))
    if options["device"] is not None:
        _check_device(options["device"])
    out = _prepared(options["out"] or Path("runs", "all"))
    how = {"jobs": jobs, "seed": options["seed"] or 0, "workers": options["workers"] or 0}
    began = time.monotonic()
    with progress() as show:
        tell = _told(len(chosen))
        outcomes, stopped = run_all(_trainings(chosen, out, options), jobs=jobs, tell=tell, progress=show)
    seconds = time.monotonic() - began
    document = scores.document(outcomes, seconds, how)
    _write(out, document)
    code = 130 if stopped else scores.exit_code(outcomes)
    context.meta[FAILURE] = code
    if options["as_json"]:
        print_json(document)
    else:
        last = click.style(scores.summary(outcomes, seconds, jobs), fg="red" if code else "green", bold=True)
        click.echo(
            "\n".join(
                [
                    *scores.table(outcomes, _width()),
                    *scores.remarks(outcomes),
                    f"logs, documents and pictures: {out}",
                    last,
                ]
            )
        )
    context.exit(code)


def _check_device(name: str) -> None:
    """Whether torch knows the device and can use it, tried in another process: this one does without torch.

    Raises:
        click.BadParameter: where it does not. Where torch itself does not import, each training says so.
    """
    from datakit.doctor.child import Probe

    outcome = Probe("datakit.doctor.torch_probe", {"device": (name,)}, _DEVICE_SECONDS).outcomes()["device"]
    if outcome.is_good and outcome.value:
        raise click.BadParameter(f"{name}: {outcome.value}", param_hint="--device")


def _prepared(out: Path) -> Path:
    """The folder of the runs, which holds nothing that somebody may still want.

    Raises:
        click.UsageError: where it cannot be written to, or holds other things than an earlier run like this.
    """
    check_writable(out)
    if out.is_dir() and any(out.iterdir()) and not (out / RESULTS).is_file():
        raise click.UsageError(f"{out} holds other things than an earlier --all: give another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write(out, {})
    except OSError as error:
        raise click.UsageError(f"--out {out}: {error}") from error
    return out


def _write(out: Path, document: dict[str, Any]) -> None:
    from datakit.files.writing import write_whole

    write_whole(out / RESULTS, json.dumps(document, indent=2).encode())


def _trainings(chosen: Sequence[str], out: Path, options: dict[str, Any]) -> list[Training]:
    from datakit.reference.several import Training

    own = [f"--{name}={options[name]}" for name in ("seed", "workers", "device") if options[name] is not None]
    return [
        Training(name, [*command(name), "--json", "--force", f"--out={out / name}", *own], out / f"{name}.log",
                 out / f"{name}.json")
        for name in chosen
    ]  # fmt: skip


def command(name: str) -> list[str]:
    """What trains one of them, by the datakit that runs here and not by another one in the current folder."""
    import datakit

    is_current = Path(datakit.__file__).resolve().parents[1] == Path.cwd().resolve()
    return [sys.executable, *([] if is_current else ["-P"]), "-m", "datakit", "train", name, "--synthetic"]


def _told(total: int) -> Callable[[Outcome], None]:
    """A line on stderr for each that has ended; on a terminal the bar tells."""
    ended: list[Outcome] = []

    def tell(outcome: Outcome) -> None:
        ended.append(outcome)
        if not sys.stderr.isatty():
            name, verdict = outcome.training.name, outcome.verdict
            click.echo(f"{len(ended)}/{total} {name} {verdict}, {outcome.seconds:.1f} s", err=True)

    return tell


def _width() -> int:
    """Characters of a line: those of the terminal, 80 where there is none."""
    return max(40, shutil.get_terminal_size((80, 24)).columns)
