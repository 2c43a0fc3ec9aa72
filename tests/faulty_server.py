"""A server on this machine that misbehaves on purpose, by a script for each path.

A script is a list of answers; each request takes the next, and the last one stays. An answer is
any callable that takes the `Exchange`: those of `tests.faulty_answers`, or a function of a test
that builds more on it (a TAP service, a tree of files).
"""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

# A test that hangs is worse than one that fails.
LONGEST_WAIT_S = 30.0


@dataclass
class Request:
    """What was asked, and how many bytes of a body were sent for it."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    time: float
    sent: int = 0

    @property
    def form(self) -> dict[str, str]:
        """Fields of the query and of a form, with names in upper case as TAP takes them."""
        fields = {**self.query, **parse_qs(self.body.decode())}
        return {name.upper(): values[-1] for name, values in fields.items()}

    @property
    def range_start(self) -> int | None:
        """First byte asked for; None if all are."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(match[1]) if match else None


class Exchange(BaseHTTPRequestHandler):
    """One request and the means to answer it."""

    protocol_version = "HTTP/1.1"
    server: _Listener
    request_made: Request

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer properly; underscores in names of headers stand for hyphens."""
        self.send_head(status, {"Content-Length": str(len(body)), **_named(headers)})
        self.send_body(body)

    def send_head(self, status: int, headers: Mapping[str, str]) -> None:
        """Send status and headers."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send_body(self, data: bytes) -> None:
        """Send bytes of the body, and count them before a client that has them can ask."""
        if self.command != "HEAD":
            self.request_made.sent += len(data)
            self.wfile.write(data)
            self.wfile.flush()

    def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection; with ``reset`` so that the other side sees it fail."""
        self.close_connection = True
        if reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
        self.connection.close()

    def wait(self, gate: threading.Event) -> None:
        """Wait for a test, but not for ever, and not once the server closes."""
        for _ in range(int(LONGEST_WAIT_S / 0.01)):
            if gate.wait(0.01) or self.server.closing.is_set():
                return

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def handle(self) -> None:
        # A client that goes away is part of the play.
        with suppress(OSError, ValueError):
            super().handle()

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        self.request_made = Request(
            self.command,
            parts.path,
            parse_qs(parts.query),
            dict(self.headers),
            self.rfile.read(length),
            self.server.owner.clock(),
        )
        self.server.owner.next_answer(self.request_made)(self)

    do_GET = do_HEAD = do_POST = do_DELETE = _answer  # noqa: N815 -- names of the library


Answer = Callable[[Exchange], None]


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    owner: FaultyServer
    closing: threading.Event


class FaultyServer:
    """The server; a context manager.

    Parameters
    ----------
    listening
        Whether it takes connections from the start. It has its port anyway, so that those made
        before `listen` are refused.
    clock
        Of which the times of requests are read.
    """

    def __init__(self, *, listening: bool = True, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.clock = clock
        self.requests: list[Request] = []
        self._scripts: dict[str, list[Answer]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._listener = _Listener(("127.0.0.1", 0), Exchange, bind_and_activate=False)
        self._listener.owner = self
        self._listener.closing = threading.Event()
        self._listener.server_bind()
        if listening:
            self.listen()

    def url(self, path: str = "/") -> str:
        """Address of a path."""
        return f"http://127.0.0.1:{self._listener.server_address[1]}{path}"

    def script(self, path: str, *answers: Answer) -> str:
        """Answer requests of ``path`` so, one after the other; return its address."""
        self._scripts[path] = list(answers)
        return self.url(path)

    def listen(self) -> None:
        """Take connections from now on."""
        self._listener.server_activate()
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    def next_answer(self, request: Request) -> Answer:
        """Record a request and say how it is answered."""
        with self._lock:
            self.requests.append(request)
            answers = self._scripts.get(request.path)
            if not answers:
                return lambda exchange: exchange.reply(404, b"no such path")
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def sent(self, path: str) -> int:
        """Bytes of bodies sent for a path."""
        with self._lock:
            return sum(request.sent for request in self.requests if request.path == path)

    def asked(self, path: str) -> list[Request]:
        """Requests of a path, in order."""
        with self._lock:
            return [request for request in self.requests if request.path == path]

    def close(self) -> None:
        """Stop, and let go those who wait."""
        self._listener.closing.set()
        if self._thread:
            self._listener.shutdown()
        self._listener.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
