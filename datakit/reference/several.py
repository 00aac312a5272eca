"""Several trainings, each in a process of its own: one that crashes or is killed does not take the others along."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Verdict = Literal["passed", "missed", "failed", "stopped", "not begun"]

_LOOK = 0.05  # seconds between two looks at whether one has ended
_PATIENCE = 3.0  # seconds that one has to stop in
_SAID = 300  # characters of a log that are told

# the libraries below torch that have threads of their own
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Training:
    """One that is to be run.

    Attributes:
        name: of the reference.
        command: prints the document of `datakit train --json`, and exits with 0 where the bars were reached, with 1
            where not, and otherwise where it could not be run.
        log: where its other output goes.
        document: where that document goes.
    """

    name: str
    command: Sequence[str]
    log: Path
    document: Path


@dataclass(frozen=True)
class Outcome:
    """What became of one.

    Attributes:
        training: which.
        verdict: `failed` where it could not be run, `stopped` where it was not let run to its end.
        seconds: from its start to its end.
        cpu_seconds: of the processor, over all its threads and processes.
        exit_code: below 0 for the number of a signal; None where it was stopped or not begun.
        reason: why it failed, in a line.
        result: its document.
    """

    training: Training
    verdict: Verdict
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    exit_code: int | None = None
    reason: str = ""
    result: dict[str, Any] | None = None


def run_all(
    trainings: Sequence[Training],
    *,
    jobs: int = 1,
    tell: Callable[[Outcome], None] = lambda outcome: None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> tuple[list[Outcome], bool]:
    """Run them in their order, each to its end. Ctrl-C and SIGTERM stop those that run, and leave no process behind.

    Args:
        trainings: the folders of their logs are there.
        jobs: how many run at once, each on one thread: so their figures do not depend on how many cores there are, and
            small nets gain little by a second one.
        tell: called with each that has ended.
        progress: called with the names of those that run, how many have ended, and of how many.

    Returns:
        Outcomes in the order of the trainings, and whether they were stopped.

    Examples:
        >>> import sys
        >>> from pathlib import Path
        >>> from datakit.reference.several import Training, run_all
        >>> crash = Training("crash", [sys.executable, "-c", "1 / 0"], Path("crash.log"), Path("crash.json"))
        >>> (outcome,), stopped = run_all([crash])
        >>> outcome.verdict, outcome.exit_code, outcome.reason
        ('failed', 1, 'ZeroDivisionError: division by zero')
    """
    waiting, running = list(reversed(trainings)), list[_Running]()
    ended: dict[str, Outcome] = {}
    with _asked_to_stop() as asked:
        while (waiting or running) and not asked:
            while waiting and len(running) < jobs:
                running.append(_Running(waiting.pop()))
            progress(", ".join(one.training.name for one in running), len(ended), len(trainings))
            for one, outcome in _ended(running, asked):
                running.remove(one)
                ended[one.training.name] = outcome
                tell(outcome)
        _stop(running, asked)
        ended |= {one.training.name: Outcome(one.training, "stopped", one.seconds()) for one in running}
    return [ended.get(one.name, Outcome(one, "not begun")) for one in trainings], bool(asked)


class _Running:
    """A process in a group of its own: a Ctrl-C at the terminal does not reach it, what is sent to the group does."""

    def __init__(self, training: Training) -> None:
        self.training = training
        with training.log.open("wb") as log, training.document.open("wb") as document:
            self.process = subprocess.Popen(
                training.command, stdin=subprocess.DEVNULL, stdout=document, stderr=log,
                env={**os.environ, **_ONE_THREAD}, process_group=0,
            )  # fmt: skip
        self.began = time.monotonic()

    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    def outcome(self) -> Outcome | None:
        """What became of it, once it has ended."""
        pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
        if not pid:
            return None
        code = self.process.returncode = os.waitstatus_to_exitcode(status)
        self.signal(signal.SIGKILL)  # what it may have left behind
        result = _document(self.training.document)
        verdict, reason = _judged(code, result, self.training.log)
        return Outcome(self.training, verdict, self.seconds(), usage.ru_utime + usage.ru_stime, code, reason, result)

    def signal(self, number: signal.Signals) -> None:
        """To it and all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def _ended(running: Sequence[_Running], asked: Sequence[int]) -> Iterator[tuple[_Running, Outcome]]:
    """Those that have ended, once there is one, or when it is asked to stop."""
    while not (found := [(one, outcome) for one in running if (outcome := one.outcome()) is not None]) and not asked:
        time.sleep(_LOOK)
    yield from found


def _stop(running: Sequence[_Running], asked: Sequence[int]) -> None:
    """Ask them to stop as Ctrl-C does, then make them; who asks twice does not wait."""
    for one in running:
        one.signal(signal.SIGINT)
    deadline = time.monotonic() + _PATIENCE
    while any(one.process.poll() is None for one in running) and time.monotonic() < deadline and len(asked) < 2:
        time.sleep(_LOOK)
    for one in running:
        one.signal(signal.SIGKILL)
        one.process.wait()


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """The signals that came, as they come. None of them interrupts: no process is started that is not known of."""
    asked: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():  # elsewhere there are no handlers
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # by nohup
                before[number] = signal.signal(number, lambda number, frame: asked.append(number))
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _document(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "checks" in found else None


def _judged(code: int, result: dict[str, Any] | None, log: Path) -> tuple[Verdict, str]:
    if code in (0, 1) and result is not None:
        return ("passed" if code == 0 else "missed"), ""
    if code < 0:
        name = signal.Signals(-code).name
        return "failed", f"died with {name}{', as where memory runs out' if name == 'SIGKILL' else ''}"
    said = _last_words(log)
    return "failed", said or f"it gave no result, exit code {code}"


def _last_words(log: Path) -> str:
    """The error that a log ends with."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if line.lower().startswith("error:")), lines[-1] if lines else "")
    return said.removeprefix("error:").strip()[:_SAID]
