"""Answers of the server that misbehaves: files, replies, and what goes wrong with them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from tests.faulty_server import LONGEST_WAIT_S, Exchange


@dataclass(frozen=True)
class Reply:
    """A status with a body."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, exchange: Exchange) -> None:
        exchange.reply(self.status, self.body, **self.headers)


def page(title: str = "Maintenance", status: int = 200) -> Reply:
    """A web page where there should be data."""
    html = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head></html>"
    return Reply(status, html.encode(), {"Content-Type": "text/html"})


def reset(exchange: Exchange) -> None:
    """Cut the connection without an answer."""
    exchange.hang_up(reset=True)


def stall(exchange: Exchange) -> None:
    """Never answer."""
    exchange.wait(threading.Event())
    exchange.hang_up()


@dataclass(frozen=True)
class File:
    """A file, served as servers do or with a fault.

    Parameters
    ----------
    data
        Its bytes.
    etag, last_modified
        What the server tells of its state.
    ranges, if_range
        Whether it obeys Range, and If-Range.
    stop_after
        Bytes of an answer after which the connection is closed.
    gate, gate_after
        Event to wait for, after that many bytes of an answer.
    step
        Bytes at a time.
    claimed
        Content-Length, if it is not the true one.
    chunked, sized
        Send chunks, or no length at all, in place of a Content-Length.
    headers
        More headers.
    """

    data: bytes
    etag: str | None = '"v1"'
    last_modified: str | None = None
    ranges: bool = True
    if_range: bool = True
    stop_after: int | None = None
    gate: threading.Event | None = None
    gate_after: int = 0
    step: int = 1 << 16
    claimed: int | None = None
    chunked: bool = False
    sized: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, exchange: Exchange) -> None:
        start = exchange.request_made.range_start if self.ranges else None
        condition = exchange.request_made.headers.get("If-Range")
        if self.if_range and condition not in (None, self.etag, self.last_modified):
            start = None
        if start is not None and start >= len(self.data):
            exchange.reply(416, Content_Range=f"bytes */{len(self.data)}")
            return
        body = self.data[start or 0 :]
        head = {"ETag": self.etag, "Last-Modified": self.last_modified, **self.headers}
        if start is not None:
            last = len(self.data) - 1
            head["Content-Range"] = f"bytes {start}-{last}/{len(self.data)}"
        if self.chunked:
            head["Transfer-Encoding"] = "chunked"
        elif self.sized:
            head["Content-Length"] = str(len(body) if self.claimed is None else self.claimed)
        exchange.send_head(
            200 if start is None else 206, {n: v for n, v in head.items() if v is not None}
        )
        self._send(exchange, body)
        if self.stop_after is not None or not self.sized or self.claimed is not None:
            exchange.hang_up()
        elif self.chunked:
            exchange.wfile.write(b"0\r\n\r\n")

    def _send(self, exchange: Exchange, body: bytes) -> None:
        stop = len(body) if self.stop_after is None else min(self.stop_after, len(body))
        cuts = sorted({*range(0, stop, self.step), *({self.gate_after} if self.gate else ()), stop})
        for begin, end in pairwise(cuts):
            if end > stop:
                break
            if self.gate and begin == self.gate_after:
                exchange.wait(self.gate)
            if self.chunked:
                exchange.wfile.write(f"{end - begin:x}\r\n".encode())
            exchange.send_body(body[begin:end])
            if self.chunked:
                exchange.wfile.write(b"\r\n")


class Crowd:
    """Answer that counts how many requests are being answered at the same time.

    Parameters
    ----------
    size
        Requests that wait for each other, so that they are seen together.
    """

    def __init__(self, size: int) -> None:
        self.most = 0
        self._size = size
        self._here = 0
        self._together = threading.Condition()

    def __call__(self, exchange: Exchange) -> None:
        with self._together:
            self._here += 1
            self.most = max(self.most, self._here)
            self._together.notify_all()
            self._together.wait_for(lambda: self.most >= self._size, LONGEST_WAIT_S)
            self._here -= 1
        exchange.reply(200, b"ok")
