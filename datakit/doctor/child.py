"""Code that may crash, hang or be missing, tried in a process of its own.

A probe is a function without side effects that returns plain values, in a module that imports what it tries inside the
function. The stages of one child run one after another. Where one of them ends the process, or hangs, the next child
goes on after it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, Literal, TypeAlias

How: TypeAlias = Literal["returned", "raised", "died", "hung"]
START = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from datakit.doctor.stages import serve; serve()"
"""What a child runs: its `sys.path` is that of this process, so that it imports what a training would."""
_POLL = 0.02  # seconds


@dataclass(frozen=True)
class Outcome:
    """How a stage ended.

    Attributes:
        how: it returned or raised, or its process died or hung.
        value: what it returned.
        error: in one line why it did not: `raises OSError: ...`, `dies with SIGSEGV`, `hangs: ...`.
        kind: type of the error that was raised, such as `ModuleNotFoundError`.
        name: of the module that was not found.
        text: the whole message of the error.
    """

    how: How
    value: Any = None
    error: str = ""
    kind: str = ""
    name: str = ""
    text: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it returned."""
        return self.how == "returned"


class Probe:
    """Stages that run beside this process, from now on.

    Args:
        module: where the functions are, such as `datakit.doctor.torch_probe`.
        stages: their names, with the arguments of each.
        limit: seconds after which a stage counts as hung.
        basis: the stage that the others build on: where that ends the process or hangs, they are not tried.

    Examples:
        >>> from datakit.doctor.child import Probe
        >>> Probe("datakit.doctor.workers_probe", {"semaphores": ()}, limit=30).outcomes()["semaphores"].how
        'returned'
    """

    def __init__(self, module: str, stages: Mapping[str, Sequence[Any]], limit: float, basis: str = "") -> None:
        self.module, self.limit, self.basis = module, limit, basis
        self.left = dict(stages)
        self.done: dict[str, Outcome] = {}
        self._start()

    def _start(self) -> None:
        self._is_over = False
        self._said: IO[bytes] = os.fdopen(os.memfd_create("said"), "w+b")  # a disk may be full, or read-only
        self._noise: IO[bytes] = os.fdopen(os.memfd_create("noise"), "w+b")
        self._since = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", START, json.dumps(sys.path), self.module, json.dumps(self.left)],
            stdin=subprocess.PIPE,  # nothing is written: it ends when this process does, however that ends
            stdout=self._said,
            stderr=self._noise,
            start_new_session=True,  # so that what it starts can be ended with it
        )

    def outcomes(self) -> dict[str, Outcome]:
        """How each stage ended; waits for all of them."""
        while self.left:
            status = self._wait()
            if self._collect(status) and self.left:
                self._start()
        return self.done

    def stop(self) -> None:
        """End the process, and what it has started; nothing is waited for."""
        self._end()
        self._said.close()
        self._noise.close()

    def _end(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _wait(self) -> int | None:
        """The exit status; None where a stage hangs."""
        try:
            begun, seen = self._since, -1
            while self._process.poll() is None:
                if (size := os.fstat(self._said.fileno()).st_size) != seen:
                    begun, seen = time.monotonic(), size
                if time.monotonic() - begun > self.limit:
                    return None
                time.sleep(_POLL)
            return self._process.returncode
        finally:
            self._end()

    def _collect(self, status: int | None) -> bool:
        """Take over what the child said; whether another one is to go on."""
        running = ""
        for line in _lines(self._said):
            said = json.loads(line)
            running = said.get("begin", "")
            if "end" in said:
                self.left.pop(said["end"], None)
                self.done[said["end"]] = Outcome(**said["outcome"])
        noise = _lines(self._noise)
        if self.left:
            ended = self._ended(status, noise)
            goes_on = running and running != self.basis  # where none has begun, the child itself does not start
            for name in [running] if goes_on else list(self.left):
                self.left.pop(name, None)
                self.done[name] = ended
        self._said.close()
        self._noise.close()
        return bool(running)

    def _ended(self, status: int | None, noise: list[str]) -> Outcome:
        if status is None:
            return Outcome("hung", error=f"hangs: nothing after {self.limit:g} s")
        last = next((line for line in reversed(noise) if line and not line.startswith(" ")), "")
        said = f" ({last[:200]})" if last and not last.startswith("Extension modules") else ""
        if status < 0:
            return Outcome("died", error=f"dies with {_signal(-status)}{said}")
        return Outcome("died", error=f"ends the process with status {status}{said}")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _lines(file: IO[bytes]) -> list[str]:
    """The whole lines of what a child wrote."""
    file.seek(0)
    text = file.read().decode("utf-8", "replace")
    return [line for line in text.splitlines() if line.strip()]
