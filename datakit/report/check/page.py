"""One self-contained HTML page of what `check` found, with pictures of the offenders."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version

import datakit
from datakit.check.findings import SEVERITIES, Finding, Offender, Place, Report
from datakit.check.kinds import KINDS
from datakit.dataset import Dataset
from datakit.report.check.evidence import SHOWN, studio_of
from datakit.report.check.exhibit import Exhibit
from datakit.report.check.wording import checked, clean, name_of, path_in, share, summary, unlisted
from datakit.report.page import is_ours
from datakit.report.templating import environment, script

__all__ = ["is_ours", "render"]

_LISTED = 100  # offenders by name, below those that are drawn
_INDICES = 24  # of a command


@dataclass(frozen=True)
class Section:
    """A finding on the page.

    Attributes:
        finding: what it is about.
        anchor: where it stands.
        title: in a few words.
        share: how many records show it.
        exhibits: its first offenders, drawn.
        listed: those after them, by name.
        unlisted: how many more there are.
        commands: that show the offenders as `inspect` does.
    """

    finding: Finding
    anchor: str
    title: str
    share: str
    exhibits: list[Exhibit]
    listed: list[str]
    unlisted: int
    commands: list[str]


def render(
    report: Report,
    datasets: Mapping[str, Dataset],
    *,
    commands: Mapping[str, str] | None = None,
    seed: int = 0,
    patience: float = 60.0,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> str:
    """The page: HTML that loads nothing from anywhere, and that can be written as UTF-8 whatever the data hold.

    The offenders are read again, under the keys of epoch 0. What cannot be read or drawn is text.

    Args:
        report: what was found.
        datasets: by the name of the part, with their transforms.
        commands: by the name of the part, what is typed to inspect it, such as `datakit inspect data/pets`.
        seed: of the keys, as the check had it.
        patience: seconds after which no more pictures are drawn; 0 for none at all.
        progress: called with what is drawn next, how much is done, and of how much.
    """
    studio, total = studio_of(report, datasets, patience, seed), len(report.findings)
    sections = []
    for place, finding in enumerate(report.findings):
        progress(f"drawing {finding.kind}", place, total)
        exhibits = studio.exhibits(finding)
        sections.append(_section(finding, f"finding-{place + 1}", exhibits, commands or {}))
    versions = {name: version(package) for name, package in (("torch", "torch"), ("NumPy", "numpy"))}
    text: str = (
        environment()
        .get_template("check.html")
        .render(
            report=report,
            sections=sections,
            severities=[(one, report.count(one)) for one in SEVERITIES],
            summary=summary(report),
            checked=checked(report),
            clean=clean,
            script=script("page.js"),
            versions={"datakit": datakit.__version__, **versions, "Python": platform.python_version()},
        )
    )
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _section(finding: Finding, anchor: str, exhibits: list[Exhibit], commands: Mapping[str, str]) -> Section:
    others = finding.offenders[SHOWN : SHOWN + _LISTED]
    return Section(
        finding,
        anchor,
        KINDS[finding.kind].title,
        share(finding),
        exhibits,
        [_in_words(offender) for offender in others],
        unlisted(finding, len(exhibits) + len(others)),
        list(_commands(finding, commands)),
    )


def _in_words(offender: Offender) -> str:
    parts = [_where(offender.place), clean(offender.detail)]
    parts += [f"with {_where(place)}" for place in offender.related[:1]]
    return " · ".join(part for part in parts if part)


def _where(place: Place) -> str:
    return f"{name_of(place)} {path_in(place.path or '')}".rstrip()


def _commands(finding: Finding, commands: Mapping[str, str]) -> Iterator[str]:
    """For each part, what shows the offenders that are drawn, and what they go with."""
    places = [place for one in finding.offenders[:SHOWN] for place in (one.place, *one.related[:1])]
    for part, command in commands.items():
        if indices := list(dict.fromkeys(place.index for place in places if place.part == part))[:_INDICES]:
            yield f"{command} --index {','.join(map(str, indices))}"
