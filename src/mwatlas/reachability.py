"""Whether the places answer that a table can be had from."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import requests

from mwatlas.archive.remote_files import record_list
from mwatlas.archive.request import TableRequest
from mwatlas.archive.transport import Transport
from mwatlas.archive.tree import CHECKSUMS
from mwatlas.config.registry import Route, is_local
from mwatlas.errors import MwatlasError

Verdict = Literal["go", "mind", "stop"]

# Places that are asked at the same time.
_AT_ONCE = 16


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    what, found
        In words.
    verdict
        ``stop``: the run would fail; ``mind``: it can run.
    """

    what: str
    found: str
    verdict: Verdict = "go"

    def __str__(self) -> str:
        """One line."""
        return f"{self.verdict:<5}{self.what}: {self.found}"


Answers = list[tuple[str, Route, Finding]]
"""What each route of each table said."""


def answers_of(requests_: Mapping[str, TableRequest], transport: Transport) -> Answers:
    """Ask every place at once: one that is away is waited for long.

    Parameters
    ----------
    requests_
        Tables by name.
    transport
        Carries requests, one to each place.
    """
    asked = [(name, route) for name, request in requests_.items() for route in request.routes]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(lambda one: _asked(one[0], one[1], transport), asked))
    return [(name, route, one) for (name, route), one in zip(asked, found, strict=True)]


def _asked(table: str, route: Route, transport: Transport) -> Finding:
    what = f"{table} by {route.kind} at {route.host}"
    if is_local(route.url):
        there = Path(route.url.removeprefix("file://")).is_dir()
        found = f"a folder of this machine ({route.url})"
        return Finding(what, found if there else f"not {found}", "go" if there else "mind")
    url = _first_address(route)
    started = time.monotonic()
    try:
        # A body that is not read is not sent, but for its beginning.
        with transport.session.get(url, stream=True) as answer:
            status = answer.status_code
    except MwatlasError as error:
        return Finding(what, f"{error.problem}: {error.found} ({url})", "mind")
    except requests.RequestException as error:
        return Finding(what, f"{type(error).__name__} ({url})", "mind")
    found = f"HTTP {status} in {time.monotonic() - started:.1f} s ({url})"
    # A datalink service has no page of its own: without a question it answers that one is missing.
    good = {200, 206, 400} if route.kind == "datalink" else {200, 206}
    return Finding(what, found, "go" if status in good else "mind")


def _first_address(route: Route) -> str:
    """What a route would be asked for first, or a page of its host that says as much."""
    if route.url.startswith("s3://"):
        bucket, _, prefix = route.url.removeprefix("s3://").partition("/")
        return f"https://{bucket}.s3.amazonaws.com/?list-type=2&max-keys=1&prefix={prefix}/"
    if route.kind == "tap":
        return f"{route.url.rstrip('/')}/capabilities"
    if route.kind == "record":
        return record_list(route.url)
    if route.kind == "bulk":
        return route.address_of(CHECKSUMS)
    return route.address_of(route.files[0]) if route.kind == "file" else route.url
