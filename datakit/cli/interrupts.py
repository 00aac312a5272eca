"""Ctrl-C that nothing swallows."""

from __future__ import annotations

import signal
import sys
from typing import Any


def keep_interrupts() -> None:
    """Python drops a Ctrl-C that arrives in a `__del__` or a weakref callback; have it raised again a moment later."""
    usual = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.02)
        else:
            usual(unraisable)

    signal.signal(signal.SIGALRM, signal.default_int_handler)
    sys.unraisablehook = hook
