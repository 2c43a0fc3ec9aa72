"""Fetching a table by the first of its routes that works."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from mwatlas.archive.adql import Query, load_query
from mwatlas.archive.bulk import Wanted, fetch_tree
from mwatlas.archive.checksums import parse_checksums
from mwatlas.archive.cuts import cuts_of
from mwatlas.archive.disk import disk_full, is_full, row_bytes
from mwatlas.archive.download import download
from mwatlas.archive.hats_route import fetch_hats
from mwatlas.archive.manifest import Manifest
from mwatlas.archive.ranges import check_ranges
from mwatlas.archive.request import ACQUIRED, TableRequest
from mwatlas.archive.tap import fetch_by_tap
from mwatlas.archive.tap_chunks import equal_chunks
from mwatlas.archive.tap_client import PyvoClient, TapClient
from mwatlas.archive.tap_gaia import GAIA_ARCHIVE, GaiaClient, gaia_credentials
from mwatlas.archive.tap_patience import TapSettings
from mwatlas.archive.transport import Politeness, Transport
from mwatlas.config.archives import Archives
from mwatlas.config.registry import Route
from mwatlas.errors import ArchiveError, ConfigError
from mwatlas.files import write_json
from mwatlas.progress import Progress

log = logging.getLogger("mwatlas")
_T = TypeVar("_T", Politeness, TapSettings)

# Counts are synchronous, and servers give those little time: chunks to begin with are small.
_FEWEST_CHUNKS = 192


@dataclass(frozen=True)
class _Fetched:
    """Files of a table, its rows where they were counted, and the day it was complete."""

    files: list[Path]
    rows: int | None
    day: str

    @classmethod
    def of(cls, manifest: Manifest) -> _Fetched:
        return cls(manifest.files, manifest.rows, manifest.finished)


@dataclass(frozen=True)
class _Job:
    """A table by one route."""

    request: TableRequest
    route: Route
    folder: Path
    settings: Archives
    transport: Transport
    progress: Progress

    def manifest(self, **asked: Any) -> Manifest:
        return Manifest(self.folder, {"url": self.route.url, "kind": self.route.kind, **asked})

    def query(self) -> Query:
        if self.request.query is None:
            raise ConfigError(
                f"the {self.route.kind} route of a table needs a query",
                item=self.request.name,
                remedy="name one under fetch.query of the release adapter",
            )
        return load_query(self.request.query)


def polite(settings: Archives, *, to_look: bool = False) -> Politeness:
    """How archives are asked, from the settings; with one more try at most only ``to_look``."""
    # The longest wait of the settings is for jobs; that of a request stays as it is.
    asked = _from(settings, Politeness, but="longest_wait_s")
    return replace(asked, retries=min(asked.retries, 1)) if to_look else asked


def _from(settings: Archives, kind: type[_T], but: str = "") -> _T:
    """Settings of one part, which bear the same names among all, but for one that differs."""
    names = kind.__dataclass_fields__.keys() & Archives.model_fields.keys() - {but}
    return kind(**{name: getattr(settings, name) for name in names})


def acquire(
    request: TableRequest,
    folder: Path,
    settings: Archives,
    transport: Transport,
    progress: Progress,
) -> Path:
    """Fetch a table by the first of its routes that works.

    What a route fetched stays in a folder of its own: a later run goes on from there.

    Parameters
    ----------
    request
        The table.
    folder
        Where it goes.
    settings
        How archives are asked.
    transport
        Carries requests.
    progress
        Where to report.

    Returns
    -------
    pathlib.Path
        File that lists the table's files, of the name :data:`ACQUIRED`.

    Raises
    ------
    ArchiveError
        If no route works, with what each said.
    DiskFull
        If the disk is full; what is done stays, and no further route is tried.
    """
    failures = []
    for route in request.routes:
        name = re.sub(r"[^a-z0-9]+", "_", f"{route.kind} {route.host}".lower()).strip("_")
        job = _Job(request, route, folder / name, settings, transport, progress)
        log.info("%s: %s at %s, %s", request.name, route.kind, route.host, route.url)
        try:
            fetched = _fetched(job)
        except ArchiveError as error:
            log.warning("%s at %s does not work:\n%s", route.kind, route.host, error)
            failures.append(f"{route.kind} at {route.host}: {error.problem} ({error.found})")
            last = error
            continue
        path = folder / ACQUIRED
        write_json(
            path,
            {
                "table": request.name,
                "dataset": request.dataset,
                "route": route.kind,
                "host": route.host,
                "url": route.url,
                "rows": fetched.rows,
                "files": [str(file.relative_to(folder)) for file in fetched.files],
                "fetched": fetched.day,
            },
        )
        return path
    raise ArchiveError(
        "a table cannot be fetched: none of its routes works",
        file=", ".join(route.url for route in request.routes),
        item=request.name,
        found="; ".join(failures),
        expected="one that answers",
        remedy="run again when the archive is back: what was fetched is kept; or put the files "
        "into data_dir yourself, where the release adapter looks for them first",
    ) from last


def _fetched(job: _Job) -> _Fetched:
    """Fetch by the route of a job; of a full disk, which fails it in many ways, make one error."""
    try:
        return _ROUTES[job.route.kind](job)
    except OSError as error:
        if not is_full(error):
            raise
        needed = None
        if job.request.expected_rows is not None:
            there = sum(path.stat().st_size for path in job.folder.glob("*.parquet"))
            needed = max(0, job.request.expected_rows * row_bytes(job.request.table) - there)
        raise disk_full(
            job.folder,
            f"{job.request.name} by {job.route.kind} at {job.route.host}",
            needed,
            "the rest of the table, as estimated",
            "what is done is kept",
        ) from error


def _by_tap(job: _Job) -> _Fetched:
    query = job.query()
    if job.route.table and job.route.table not in query.text:
        raise ArchiveError(
            "a mirror calls the table otherwise",
            file=job.route.url,
            item=job.request.name,
            found=f"table {job.route.table}",
            expected=f"one that {query.path.name} asks for",
            remedy="copy the query with this name of the table and give it in the release adapter",
        )
    manifest = job.manifest(query=query.text)
    if not manifest.complete:
        rows = job.request.expected_rows or 0
        settings = _from(job.settings, TapSettings)
        fetch_by_tap(
            _client(job.route, job.transport),
            query,
            equal_chunks(max(_FEWEST_CHUNKS, 2 * rows // settings.rows_per_chunk)),
            job.request.table,
            manifest,
            settings,
            job.progress,
        )
    return _Fetched.of(manifest)


def _client(route: Route, transport: Transport) -> TapClient:
    """Users of the Gaia archive with an account may have longer jobs and more rows."""
    credentials = gaia_credentials() if route.url.startswith(GAIA_ARCHIVE) else None
    if credentials is not None:
        return GaiaClient(GAIA_ARCHIVE, credentials)
    return PyvoClient(route.url, transport.session)


def _in_pieces(job: _Job, fetch: Callable[[Wanted, Manifest], None]) -> _Fetched:
    """Fetch by a route that reads files: the query's columns and conditions select from them."""
    query = job.query()
    wanted = Wanted(job.request.table, query.columns, cuts_of(query))
    manifest = job.manifest(columns=list(query.columns), cuts=[str(cut) for cut in wanted.cuts])
    if not manifest.complete:
        fetch(wanted, manifest)
        manifest.finish()
    return _Fetched.of(manifest)


def _by_tree(job: _Job) -> _Fetched:
    def fetch(wanted: Wanted, manifest: Manifest) -> None:
        fetch_tree(
            job.route.url,
            wanted,
            manifest,
            download=lambda url, path, checksum: download(
                job.transport, url, path, checksum=checksum
            ),
            parse_checksums=parse_checksums,
            progress=job.progress,
            workers=job.settings.files_at_once,
        )
        check_ranges(manifest, job.query().key)

    return _in_pieces(job, fetch)


def _by_hats(job: _Job) -> _Fetched:
    def fetch(wanted: Wanted, manifest: Manifest) -> None:
        fetch_hats(
            job.route.url,
            wanted,
            manifest,
            progress=job.progress,
            workers=job.settings.files_at_once,
            user_agent=job.transport.settings.user_agent,
        )

    return _in_pieces(job, fetch)


def _by_file(job: _Job) -> _Fetched:
    """Files that are kept as they are; readers know their formats."""
    route = job.route
    files = [job.folder / name for name in route.files]
    with job.progress.task("fetching", route.bytes or 0, "bytes") as advance:
        for path in files:
            url = f"{route.url.rstrip('/')}/{path.name}"
            checksum = route.checksums.get(path.name)
            download(job.transport, url, path, checksum=checksum, advance=advance)
    newest = max(path.stat().st_mtime for path in files)
    return _Fetched(files, None, datetime.fromtimestamp(newest, UTC).date().isoformat())


_ROUTES: dict[str, Callable[[_Job], _Fetched]] = {
    "tap": _by_tap,
    "bulk": _by_tree,
    "hats": _by_hats,
    "file": _by_file,
}
