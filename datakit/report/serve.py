"""The page on a local address, drawn again whenever the user's code changes. Only this machine can reach it."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

from datakit.errors import DatakitError
from datakit.report.rerun import Draw, Drawn, Run

Stamps: TypeAlias = "dict[str, tuple[int, int] | None]"

_HOST = "127.0.0.1"
_LOOK = 0.3  # seconds between two looks at the files
_ALIVE = 10.0  # seconds between two signs of life to a browser; one that has gone is noticed then
_FIRST = 600.0  # seconds that the first page may take
_EVENTS = "/events"
_NO_PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="refresh" content="1">
<title>datakit inspect: an error</title>
<body style="font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem">
<h1>Your code has an error</h1><p>This page comes back by itself when the file is changed.</p>
<pre style="white-space: pre-wrap">{}</pre>
</body></html>
"""


class State:
    """The page that is shown, its number, and what is wrong with the code since then. For several threads."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.page, self.error, self.number, self.turn = "", "", 0, 0

    def update(self, drawn: Drawn) -> None:
        """Take over a new page, or the reason why there is none."""
        with self.changed:
            self.turn += 1
            self.error = drawn.error
            if drawn.page is not None:
                self.page, self.number = drawn.page, self.number + 1
            self.changed.notify_all()

    def after(self, turn: int, timeout: float) -> tuple[int, int, str]:
        """(turn, number of the page, error), as soon as the turn is another one or the time is over."""
        with self.changed:
            self.changed.wait_for(lambda: self.turn != turn, timeout)
            return self.turn, self.number, self.error


class _Handler(BaseHTTPRequestHandler):
    state: State
    hosts: tuple[str, ...]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The page, or the stream of events."""
        if self.headers.get("Host") not in self.hosts:  # the name of another site may be made to lead here
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        elif urlsplit(self.path).path == "/":
            self._send_page()
        elif urlsplit(self.path).path == _EVENTS:
            with suppress(OSError):  # the browser has gone
                self._send_events()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _send_page(self) -> None:
        body = self.state.page.encode("utf-8", "backslashreplace")
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def _send_events(self) -> None:
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        seen, turn = parse_qs(urlsplit(self.path).query).get("seen", ["0"])[0], -1
        while True:
            before, (turn, number, error) = turn, self.state.after(turn, _ALIVE)
            if turn == before:
                self.wfile.write(b": alive\n\n")
            elif error:
                self.wfile.write(_event("broken", error))
            elif str(number) != seen:
                self.wfile.write(_event("changed", str(number)))
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing: stderr is for the user's code."""


def _event(kind: str, text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {kind}\n{lines}\n".encode("utf-8", "backslashreplace")


def serve(
    draw: Draw, *, port: int = 0, started: Callable[[str, frozenset[str]], None], tell: Callable[[str], None]
) -> None:
    """Show a page until Ctrl-C, and draw it again, in a fresh process, when one of the files behind it changes.

    Args:
        draw: makes the page; it runs in another process, where the user's code is read anew.
        port: on 127.0.0.1; 0 takes a free one.
        started: called once with the address and the files that are watched.
        tell: called after each further drawing with one line, what changed or what went wrong.

    Raises:
        DatakitError: where the first page cannot be drawn and no file of the user's could mend that.
        DatakitError: where the port is taken.
    """
    state = State()
    with _server(state, port) as address:
        drawn, begun = _first(draw)
        seen = _stamps(drawn.files, begun)  # before anybody hears of the page, and changes a file because of it
        state.update(drawn if drawn.page is not None else Drawn(_NO_PAGE.format(escape(drawn.error)), "", drawn.files))
        started(address, drawn.files)
        if drawn.error:
            tell(drawn.error)
        while True:
            seen = _wait_for_change(seen)
            drawn, begun, seen = _drawn_again(draw, state, seen)
            seen = {**_stamps(drawn.files, begun), **seen}
            state.update(drawn)
            tell(drawn.error or "drawn again")


def _first(draw: Draw) -> tuple[Drawn, float]:
    begun, run = time.time(), Run(draw, f"{_EVENTS}?seen=1")
    try:
        drawn = run.result(_FIRST)
    finally:
        run.end()
    if drawn is None:
        raise DatakitError(f"the page was not drawn after {_FIRST:g} seconds")
    if drawn.page is None and not drawn.files:
        raise drawn.cause or DatakitError(drawn.error)
    return drawn, begun


def _drawn_again(draw: Draw, state: State, seen: Stamps) -> tuple[Drawn, float, Stamps]:
    """A new drawing and when it began; one that a further change makes out of date is given up for the next."""
    while True:
        begun, now, run = time.time(), seen, Run(draw, f"{_EVENTS}?seen={state.number + 1}")
        try:
            while (drawn := run.result(_LOOK)) is None and (now := _now(seen)) == seen:
                pass
        finally:
            run.end()
        if drawn is not None:
            return drawn, begun, seen
        seen = now


def _wait_for_change(seen: Stamps) -> Stamps:
    pause = threading.Event()
    while (now := _now(seen)) == seen:
        pause.wait(_LOOK)
    return now


def _stamps(files: frozenset[str], begun: float) -> Stamps:
    """What tells that a file has changed; None for one that did so after `begun`, perhaps after it was read."""
    stamps: Stamps = {}
    for file in files:
        try:
            stamps[file] = None if os.stat(file).st_ctime > begun else _stamp(file)
        except OSError:
            stamps[file] = None
    return stamps


def _now(seen: Stamps) -> Stamps:
    """The stamps as they are now; a file that is not there, as while an editor replaces it, keeps what it had."""
    now: Stamps = {}
    for file, before in seen.items():
        try:
            now[file] = _stamp(file)
        except OSError:
            now[file] = before
    return now


def _stamp(file: str) -> tuple[int, int]:
    found = os.stat(file)
    return found.st_mtime_ns, found.st_ino


@contextmanager
def _server(state: State, port: int) -> Iterator[str]:
    class Handler(_Handler):
        pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A browser that leaves in the middle is no news."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)  # type: ignore[arg-type]

    Handler.state = state
    try:
        server = Server((_HOST, port), Handler)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise DatakitError(f"port {port} cannot be used ({why}); without --port a free one is taken") from error
    own_port = int(server.server_port)
    Handler.hosts = (f"{_HOST}:{own_port}", f"localhost:{own_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{_HOST}:{own_port}/"
    finally:
        server.shutdown()
        server.server_close()
