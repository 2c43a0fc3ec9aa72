"""What archives and files serve now against what a release adapter expects of them."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import requests
from pyvo.dal import TAPService

from mwatlas.archive.adql import chunk_query, load_query, reads_table
from mwatlas.archive.answers import refuse_status
from mwatlas.archive.checksums import parse_checksums
from mwatlas.archive.described import described_columns
from mwatlas.archive.download import fetch_text
from mwatlas.archive.drift import Difference, Served, compare_columns
from mwatlas.archive.ecsv_header import read_header
from mwatlas.archive.hats_route import served_by_hats
from mwatlas.archive.request import (
    TableRequest,
    archive_table,
    column_maps,
    matching_files,
)
from mwatlas.archive.tap_client import Refused, Unavailable, WholeAnswers, answers
from mwatlas.archive.transport import Transport
from mwatlas.archive.tree import CHECKSUMS, tree_files
from mwatlas.config import Settings
from mwatlas.config.registry import Route
from mwatlas.errors import ArchiveError, MwatlasError
from mwatlas.tables.table import TableSchema

_PLAIN = re.compile(r"\w+(\.\w+)*")
# Bytes of a compressed file in which its header ends.
_HEADER_BYTES = 1 << 17


# Routes that describe nothing before they answer.
_SILENT = {
    "file": "the file says when it is there",
    "record": "the files say when they are there",
    "datalink": "the service describes its columns with each answer, which is held to the contract",
}


@dataclass(frozen=True)
class Checked:
    """Outcome for one table at one place.

    Parameters
    ----------
    table, place
        What was looked at, and where.
    differences
        What is not as expected.
    failure
        Why nothing could be compared; empty if it could.
    skipped
        Why nothing was to be compared here, which is no fault.
    """

    table: str
    place: str
    differences: tuple[Difference, ...] = ()
    failure: str = ""
    skipped: str = ""

    @property
    def good(self) -> bool:
        """Whether tables from here come out right."""
        return not self.failure and not any(d.fatal for d in self.differences)

    def __str__(self) -> str:
        """One line, and one for each difference."""
        if self.failure:
            verdict = f"not checked: {self.failure}"
        elif self.skipped:
            verdict = f"nothing to compare: {self.skipped}"
        else:
            verdict = f"{len(self.differences)} differences" if self.differences else "as expected"
        lines = [f"{self.table}, {self.place}: {verdict}"]
        return "\n".join(lines + [f"    {difference}" for difference in self.differences])


def check_release(
    settings: Settings, requests: dict[str, TableRequest], transport: Transport
) -> Iterator[Checked]:
    """Compare every table of a release with each place it is read or fetched from.

    Parameters
    ----------
    settings
        Configuration with the release.
    requests
        Its tables that can be fetched.
    transport
        Carries requests; no table is fetched, only descriptions of columns.
    """
    read = {
        name: (archive_table(source), paths) for name, source, _, paths in column_maps(settings)
    }
    for name, (table, patterns) in read.items():
        files = [path for pattern in patterns for path in matching_files(settings, pattern)]
        for path in files:
            yield _checked(name, str(path), table, partial(described_columns, path), own=True)
        request = requests.get(name)
        if request is not None:
            yield from _at_routes(request, table, transport)
        elif not files:
            places = ", ".join(patterns)
            yield Checked(name, places, failure="no such file, and no route to fetch it")
    for name, request in requests.items():
        # Tables that no study of this project reads yet.
        if name not in read and request.table.columns:
            checked = _at_routes(request, request.table, transport)
            yield from (c for c in checked if not c.skipped)


def _at_routes(
    request: TableRequest, table: TableSchema, transport: Transport
) -> Iterator[Checked]:
    for route in request.routes:
        place = f"{route.kind} at {route.host}"
        if route.kind in _SILENT:
            yield Checked(request.name, place, skipped=_SILENT[route.kind])
        else:
            served = partial(_served, route, request, transport)
            yield _checked(request.name, place, table, served)


def _checked(
    table: str,
    place: str,
    contract: TableSchema,
    served: Callable[[], Iterable[Served]],
    own: bool = False,
) -> Checked:
    """Compare a table; files of one's ``own`` may hold fewer digits than the archive."""
    try:
        columns = list(served())
    except MwatlasError as error:
        found = f" ({error.found})" if error.found else ""
        return Checked(table, place, failure=f"{error.problem}{found}")
    differences = compare_columns(contract.columns, columns)
    kept = [d for d in differences if not (own and d.what == "dtype" and "float" in d.expected)]
    return Checked(table, place, tuple(kept))


def _served(route: Route, request: TableRequest, transport: Transport) -> Iterable[Served]:
    if route.kind == "tap":
        return _by_tap(route, request, transport)
    if route.kind == "bulk":
        return _by_tree(route, transport)
    return served_by_hats(route.url)


def _by_tap(route: Route, request: TableRequest, transport: Transport) -> Iterator[Served]:
    """Columns of the query's result; where the server refuses that, those of its table."""
    service = TAPService(route.url, session=WholeAnswers(transport.session))
    query = load_query(request.query) if request.query else None
    fields, refusal = None, None
    try:
        if query is not None and reads_table(query, route.table):
            try:
                with answers():
                    fields = service.run_sync(chunk_query(query, 0, 0), maxrec=1).fielddescs
            except Refused as error:
                refusal = error
        if fields is None:
            name = route.table if _PLAIN.fullmatch(route.table) else f'"{route.table}"'
            with answers():
                fields = service.run_sync(f"SELECT TOP 1 * FROM {name}", maxrec=1).fielddescs
        if refusal and query and set(query.columns) <= {field.name for field in fields}:
            raise refusal
    except (Refused, Unavailable) as error:
        refused = isinstance(error, Refused)
        raise ArchiveError(
            "the server refuses the query" if refused else "the server gives no proper answer",
            file=route.url,
            item=request.name,
            found=" ".join(str(error).split())[:300],
            remedy="correct the query file, or the table of the route"
            if refused
            else "see whether the address can be reached from here, then check again",
        ) from error
    for field in fields:
        yield Served(field.name, str(field.datatype), str(field.unit or ""))


def _by_tree(route: Route, transport: Transport) -> Iterable[Served]:
    """Columns in the header of the first file, of which only the beginning travels."""
    base = route.url.rstrip("/")
    listing = f"{base}/{CHECKSUMS}"
    first = tree_files(parse_checksums(fetch_text(transport.session, listing), listing), listing)[0]
    url = f"{base}/{first.name}"
    try:
        answer = transport.session.get(url, headers={"Range": f"bytes=0-{_HEADER_BYTES - 1}"})
        refuse_status(answer, {200, 206})
        text = zlib.decompressobj(wbits=31).decompress(answer.content[:_HEADER_BYTES])
    except (requests.RequestException, zlib.error) as error:
        raise ArchiveError(
            "the beginning of a file cannot be read",
            file=url,
            found=f"{type(error).__name__}: {error}",
            expected="a gzip file",
            remedy="see whether the address is that of the tree, then check again",
        ) from error
    return read_header(io.BytesIO(text), Path(url)).columns
