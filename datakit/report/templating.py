"""The templates of the page, and the page's one script with the hash that lets it run."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from datakit.phrasing import number, shorten
from datakit.report.text.writing import visible

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Script:
    """An inline script.

    Attributes:
        text: between the tags.
        source: as a Content-Security-Policy names it: `'sha256-…'`.
    """

    text: Markup
    source: Markup


@cache
def environment() -> Environment:
    """Jinja2 over the folder of templates: everything is escaped, and a name that is not there is an error."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters.update(number=number, partition=str.partition, short=shorten, visible=visible)
    return made


@cache
def script(*names: str) -> Script:
    """The script made of these files, one after another."""
    text = "".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in names)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return Script(Markup(text), Markup(f"'sha256-{digest}'"))
