"""What a user sees of a download."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm


class Progress:
    """One download on stderr: a bar on a terminal, one line elsewhere.

    Args:
        name: the file's name.
        url: where it comes from.
        show: `True` for the bar wherever stderr goes, `False` for silence, `None` to look what stderr is.
    """

    def __init__(self, name: str, url: str, show: bool | None) -> None:
        self._name, self._url = name, url
        self._silent, self._draw = show is False, sys.stderr.isatty() if show is None else show
        self._bar: tqdm[Any] | None = None
        self._announced = False

    def update(self, done: int, total: int | None) -> None:
        """Shows that `done` bytes of `total` are there; `done` falls when a transfer starts anew."""
        if self._silent:
            return
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)
        elif self._draw:
            self._bar = _bar(self._name, done, total)
        elif not self._announced:
            self._announced = True
            size = f"{_rounded(total)}, " if total else ""
            print(f"downloading {self._name}, {size}from {self._url}", file=sys.stderr)

    def close(self) -> None:
        """Ends the bar's line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _rounded(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"


def _bar(name: str, done: int, total: int | None) -> tqdm[Any]:
    from tqdm import tqdm

    return tqdm(desc=name, initial=done, total=total, unit="B", unit_scale=True, file=sys.stderr)
