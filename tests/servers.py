"""A web server on the loopback that misbehaves as it is told, and remembers what it was asked."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Serves `files` (path -> bytes) with ETags and ranges; `fault(request number, path)` names what goes wrong.

    Faults: `503`, `429`, `reset`, `truncate`, `stall`, `no-range` (200 whatever was asked), `wrong-range` (206 from
    another offset than asked), `ignores-if-range` (206 of a changed file), `416`, `no-length` (and closes in the
    middle), `gzip` (as Content-Encoding), `trickle` (a little at a time), or `>URL` for a redirect there.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.fault: Callable[[int, str], str] = lambda number, path: ""
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.sent_whole: list[str] = []
        self.stall_s, self.validators, self.lock = 1.0, True, threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def count(self, path: str) -> int:
        """How often `path` was asked for."""
        return sum(asked == path for asked, _ in self.asked)

    def handle_error(self, request, client_address) -> None:
        """Clients hang up on us; that is the point."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *args) -> None: ...

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.asked.append((self.path, {key.title(): value for key, value in self.headers.items()}))
            number = len(self.server.asked) - 1
        fault = self.server.fault(number, self.path)
        if fault == "reset":
            return self._reset()
        if fault.startswith(">"):
            return self._answer(302, b"", {"Location": fault[1:]})
        if fault in ("503", "429"):
            return self._answer(int(fault), b"later", {})
        body = self.server.files.get(self.path)
        if body is None:
            return self._answer(404, b"no", {})
        return self._send(body, fault)

    def _send(self, body: bytes, fault: str) -> None:
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        headers = {"ETag": tag} if self.server.validators else {}
        start, wanted = 0, self.headers.get("Range")
        current = (
            self.headers.get("If-Range") in (None, tag, self.server.headers.get("Last-Modified"))
            or fault == "ignores-if-range"
        )
        if wanted and fault == "416":
            return self._answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
        if wanted and current and fault != "no-range":
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) - (1 if fault == "wrong-range" else 0)
            headers |= {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
        if fault == "gzip":
            headers |= {"Content-Encoding": "gzip"}
        return self._answer(206 if "Content-Range" in headers else 200, body[start:], headers, fault)

    def _answer(self, status: int, body: bytes, headers: dict[str, str], fault: str = "") -> None:
        self.send_response(status)
        if fault == "no-length":
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body)))
        for key, value in (headers | self.server.headers).items():
            self.send_header(key, value)
        self.end_headers()
        if fault == "trickle":
            for at in range(0, len(body), 4096):
                self.wfile.write(body[at : at + 4096])
                time.sleep(0.01)
        elif fault in ("truncate", "stall", "no-length"):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            time.sleep(self.server.stall_s if fault == "stall" else 0)
            self.close_connection = True
        else:
            self.wfile.write(body)
            if status in (200, 206):
                self.server.sent_whole.append(self.path)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


@contextmanager
def serving() -> Iterator[Server]:
    """A running server."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
