"""The looks of what a command prints; `click.echo` takes them out where no colour is wanted."""

from __future__ import annotations

from typing import Any

import click

_STYLES: dict[str, dict[str, Any]] = {
    "title": {"bold": True},
    "head": {"dim": True},
    "quiet": {"dim": True},
    "best": {"fg": "green", "bold": True},
    "better": {"fg": "green"},
    "worse": {"fg": "red"},
    "alarm": {"fg": "red", "bold": True},
    "look": {"fg": "yellow", "bold": True},
    "special": {"fg": "cyan"},
}


def styled(part: str, text: str) -> str:
    """`text` as that part looks: `title`, `head`, `quiet`, `best`, `better`, `worse`, `alarm`, `look`, `special`."""
    return click.style(text, **_STYLES[part])
