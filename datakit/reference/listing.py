"""What there is to train: each reference with its data, its bars and its weights, and whether they are here."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datakit import catalog
from datakit.files import Remote
from datakit.reference.base import Reference
from datakit.reference.catalog import BUILT_IN, find
from datakit.reference.weights import place_of

_INDENT = 2
_WIDTH = 9  # of the names of the fields


@dataclass(frozen=True)
class Entry:
    """A reference, as it is listed.

    Attributes:
        reference: its class.
        about: what it learns, in a line.
        data: what it reads: a name of the catalog of datasets, or a few words; empty where it makes its own.
        here: whether all of that lies below the root that was asked about; None where none was.
        missing: what does not.
        archives: files that lie there and that `--download` unpacks.
        weights: for each file of pretrained weights, the option that asks for it, and whether it is here, likewise.
    """

    reference: type[Reference]
    about: str
    data: str
    here: bool | None
    missing: tuple[str, ...]
    archives: tuple[str, ...]
    weights: tuple[tuple[str, str, bool | None], ...]


def entries(root: Path | None = None) -> list[Entry]:
    """All references, sorted by name; of files below `root` the names are looked at, of others nothing.

    Examples:
        >>> from datakit.reference.listing import entries
        >>> faces = next(entry for entry in entries() if entry.reference.name == "faces")
        >>> faces.data, faces.here
        ('faces', None)
    """
    return [_entry(find(name), BUILT_IN[name][1], root) for name in sorted(BUILT_IN)]


def _entry(reference: type[Reference], about: str, root: Path | None) -> Entry:
    missing = () if root is None else _missing(reference, root)
    weights = tuple(
        (place_of(url).name, option, None if root is None else place_of(url).is_file())
        for option, url in reference.weights_of.items()
    )
    return Entry(
        reference,
        about,
        _data(reference),
        None if root is None and reference.needs_data else not missing,
        missing,
        _archives(reference, root) if missing and root is not None else (),
        weights,
    )


def _missing(reference: type[Reference], root: Path) -> tuple[str, ...]:
    try:
        return tuple(reference.missing(root))
    except OSError as error:  # a folder that may not be read
        return (str(error),)


def _data(reference: type[Reference]) -> str:
    if reference.dataset is None:
        return reference.reads
    target = f":{reference.dataset.__name__}"
    return next(name for name, found in sorted(catalog.BUILT_IN.items()) if found.endswith(target))


def _archives(reference: type[Reference], root: Path) -> tuple[str, ...]:
    remotes: Sequence[Remote] = reference.remotes()
    return tuple(remote.name for remote in remotes if remote.unpack and (root / remote.name).is_file())


def lines(found: Sequence[Entry], width: int = 80) -> list[str]:
    """A table for people: a few lines for each reference, none of them longer than `width`, where words allow it."""
    return [line for entry in found for line in _lines(entry, width)]


def _lines(entry: Entry, width: int) -> list[str]:
    fields = {"data": _data_told(entry), "bars": "; ".join(map(str, entry.reference.bars)), "weights": _weights(entry)}
    head = wrapped(f"{entry.reference.name}: {entry.about}", width, "", " " * _INDENT)
    for name, text in fields.items():
        begin = f"{'':{_INDENT}}{name:{_WIDTH}}"
        head += wrapped(text, width, begin, " " * len(begin))
    return head


def wrapped(text: str, width: int, first: str, others: str) -> list[str]:
    """The text in lines that begin as given; no number is parted from its unit, and no name in two."""
    whole = re.sub(r"(?<=\d) (?=%)", "\N{NO-BREAK SPACE}", text)
    found = textwrap.wrap(
        whole, width, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in found]


def _data_told(entry: Entry) -> str:
    if not entry.reference.needs_data:
        return "makes its own"
    if entry.here is None:
        return entry.data
    if entry.here:
        return f"here: {entry.data}"
    packed = f"; --download unpacks {', '.join(entry.archives)}" if entry.archives else ""
    return f"not here: {entry.data}, for want of {', '.join(entry.missing)}{packed}"


def _weights(entry: Entry) -> str:
    told = []
    for name, option, here in entry.weights:
        state = {True: " (here)", False: " (not here)", None: ""}[here]
        told.append(f"{name}{f' for {option}' if option else ''}{state}")
    return f"optional: {', '.join(told)}" if told else ""


def document(found: Sequence[Entry]) -> list[dict[str, Any]]:
    """All of it for programs; `null` is what was not looked for, or depends on the data."""
    return [
        {
            "name": entry.reference.name,
            "about": entry.about,
            "source": entry.reference.source,
            "data": {
                "needed": entry.reference.needs_data,
                "dataset": entry.data if entry.reference.dataset is not None else None,
                "reads": entry.data,
                "here": entry.here,
                "missing": list(entry.missing),
                "archives": list(entry.archives),
            },
            "bars": [
                {"what": bar.what, "bar": None if isinstance(bar.bar, str) else bar.bar, "better": bar.better,
                 "unit": bar.unit, "of": bar.of, "when": bar.when, "text": str(bar)}
                for bar in entry.reference.bars
            ],
            "weights": [{"file": name, "option": option, "here": here} for name, option, here in entry.weights],
            "epochs": entry.reference.epochs,
            "synthetic_epochs": entry.reference.synthetic_epochs,
            "sabotages": sorted(entry.reference.bugs()),
        }
        for entry in found
    ]  # fmt: skip
