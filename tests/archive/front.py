"""The door of the Gaia archive before another TAP service: its paths, its login, its deletejobs.

It speaks TLS, as astroquery logs in over nothing else.
"""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import requests

ROOT = "/tap-server"
USER, PASSWORD = "stargazer", "correct-horse-battery"
_SESSION = "JSESSIONID=0123456789"
_LONGEST_S = 60
# Of one connection, not of what is asked.
_HOP_BY_HOP = {"connection", "content-encoding", "content-length", "host", "transfer-encoding"}


@dataclass(frozen=True)
class Asked:
    """A request: what for, and whether with the cookie of a login."""

    method: str
    path: str
    known: bool


@dataclass
class GaiaFront:
    """A running front.

    Parameters
    ----------
    url
        Of the whole server, as astroquery takes it.
    certificate
        File with its certificate, which nobody but us vouches for.
    asked
        Requests so far.
    """

    url: str
    certificate: Path
    asked: list[Asked] = field(default_factory=list)

    @property
    def tap(self) -> str:
        """Address of the TAP service."""
        return f"{self.url.rstrip('/')}{ROOT}/tap"


@contextmanager
def gaia_front(service: str, folder: Path) -> Iterator[GaiaFront]:
    """Stand before a TAP service.

    Parameters
    ----------
    service
        Its address.
    folder
        Where to keep key and certificate.
    """
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    files = ["-keyout", key, "-out", certificate]
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=DNS:localhost", *files],
        check=True,
        capture_output=True,
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with _Server(service, tls) as server:
        server.front = GaiaFront(f"https://localhost:{server.server_address[1]}/", certificate)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.front
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    front: GaiaFront

    def __init__(self, service: str, tls: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = service
        self.socket = tls.wrap_socket(self.socket, server_side=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        known = _SESSION in self.headers.get("Cookie", "")
        self.server.front.asked.append(Asked(self.command, parts.path, known))
        form = {name: values[-1] for name, values in parse_qs(body.decode()).items()}
        if parts.path == f"{ROOT}/login":
            right = (form.get("username"), form.get("password")) == (USER, PASSWORD)
            cookie = {"Set-Cookie": f"{_SESSION}; Path=/; Secure; HttpOnly"}
            self._send(200 if right else 401, b"", cookie if right else {})
        elif parts.path == f"{ROOT}/tap/deletejobs":
            for job in form["JOB_IDS"].split(","):
                self._forward("DELETE", f"/async/{job}", b"")
            self._send(200, b"", {})
        elif parts.path.startswith(f"{ROOT}/tap/"):
            address = self.path.removeprefix(f"{ROOT}/tap")
            answer = self._forward(self.command, address, body)
            headers = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
            self._send(answer.status_code, answer.content, headers)
        else:
            self._send(404, b"", {})

    def _forward(self, method: str, address: str, body: bytes) -> requests.Response:
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
        return requests.request(
            method,
            f"{self.server.service}{address}",
            data=body,
            headers=headers,
            timeout=_LONGEST_S,
            allow_redirects=False,
        )

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
