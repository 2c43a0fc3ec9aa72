"""The ways to fetch a table, each of which fills a folder with files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mwatlas.archive.adql import Query, load_query, normal_form, same_rows
from mwatlas.archive.bulk import Wanted, fetch_tree
from mwatlas.archive.checksums import parse_checksums
from mwatlas.archive.cuts import Among, Cut, cuts_of
from mwatlas.archive.datalink import DataLink, digest_of, fetch_products, listed_ids
from mwatlas.archive.download import download
from mwatlas.archive.hats_route import fetch_hats
from mwatlas.archive.manifest import Manifest
from mwatlas.archive.ranges import check_ranges
from mwatlas.archive.remote_files import RemoteFile, fetch_files, named_files, record_files
from mwatlas.archive.request import TableRequest, listed_files
from mwatlas.archive.tap import fetch_by_tap
from mwatlas.archive.tap_chunks import equal_chunks, pixel_chunks, with_the_rest
from mwatlas.archive.tap_client import PyvoClient, TapClient
from mwatlas.archive.tap_gaia import GAIA_ARCHIVE, GaiaClient, gaia_credentials
from mwatlas.archive.tap_patience import TapSettings
from mwatlas.archive.transport import Politeness, Transport
from mwatlas.config.archives import Archives, RouteKind
from mwatlas.config.registry import Route
from mwatlas.errors import ConfigError
from mwatlas.progress import Progress
from mwatlas.tables.infrared import PIXEL

log = logging.getLogger("mwatlas")
_T = TypeVar("_T", Politeness, TapSettings)

# Counts are synchronous, and servers give those little time: chunks to begin with are small.
_FEWEST_CHUNKS = 192


@dataclass(frozen=True)
class Fetched:
    """Files of a table, its rows where they were counted, and the day it was complete."""

    files: list[Path]
    rows: int | None
    day: str

    @classmethod
    def of(cls, manifest: Manifest) -> Fetched:
        """What a complete manifest lists."""
        return cls(manifest.files, manifest.rows, manifest.finished)


@dataclass(frozen=True)
class Job:
    """A table by one route."""

    request: TableRequest
    route: Route
    folder: Path
    settings: Archives
    transport: Transport
    progress: Progress
    id_files: Sequence[Path] = ()

    def manifest(self, **asked: Any) -> Manifest:
        """Pieces in the folder, of what is asked for in the types and units of the contract."""
        request = self.request
        wanted = request.table.names if request.query is None else self.query().columns
        types = {
            c.name: f"{c.dtype}[{c.length}] {c.unit}".rstrip()
            for c in request.table.columns
            if c.name in wanted
        }
        place = {"url": self.route.url, "kind": self.route.kind}
        return Manifest(self.folder, {**place, "types": types, **asked})

    def query(self) -> Query:
        """Columns and rows wanted."""
        if self.request.query is None:
            raise ConfigError(
                f"the {self.route.kind} route of a table needs a query",
                item=self.request.name,
                remedy="name one under fetch.query of the release adapter",
            )
        return load_query(self.request.query)

    def ids(self) -> NDArray[np.int64]:
        """Sources whose products are wanted."""
        if self.request.ids is None:
            raise ConfigError(
                f"the {self.route.kind} route of a table needs a list of sources",
                item=self.request.name,
                remedy="name one under fetch.ids of the release adapter",
            )
        return listed_ids(listed_files(self.id_files), self.request.ids.column)


def part_of(settings: Archives, kind: type[_T], but: str = "") -> _T:
    """Settings of one part, which bear the same names among all, but for one that differs."""
    names = kind.__dataclass_fields__.keys() & Archives.model_fields.keys() - {but}
    return kind(**{name: getattr(settings, name) for name in names})


def _by_tap(job: Job) -> Fetched:
    query = job.query()
    manifest = job.manifest(query=same_rows(query))
    if not manifest.complete:
        chunks = pixel_chunks if query.key == PIXEL.name else equal_chunks
        settings = part_of(job.settings, TapSettings)
        number = _number_of_chunks(job.request.expected_rows, settings.rows_per_chunk)
        fetch_by_tap(
            _client(job.route, job.transport),
            query,
            with_the_rest(chunks(number)),
            job.request.table,
            manifest,
            settings,
            job.progress,
        )
    return Fetched.of(manifest)


def _number_of_chunks(rows: int | None, limit: int) -> int:
    return 1 if rows and rows <= limit else max(_FEWEST_CHUNKS, 2 * (rows or 0) // limit)


def _client(route: Route, transport: Transport) -> TapClient:
    """Users of the Gaia archive with an account may have longer jobs and more rows."""
    credentials = gaia_credentials() if route.url.startswith(GAIA_ARCHIVE) else None
    if credentials is not None:
        return GaiaClient(GAIA_ARCHIVE, credentials)
    return PyvoClient(route.url, transport.session)


def _in_pieces(job: Job, fetch: Callable[[Wanted, Manifest], None]) -> Fetched:
    """Fetch by a route that reads files: the query's columns and conditions select from them."""
    if job.request.ids is not None:
        ids, column = job.ids(), "source_id"
        text = f"{column} among {len(ids)} of digest {digest_of(ids)}"
        cuts: tuple[Cut, ...] = (Among(text, column, pa.array(ids)),)
        wanted = Wanted(job.request.table, job.request.table.names, cuts)
    else:
        query = job.query()
        table = job.request.table
        wanted = Wanted(table, query.columns, cuts_of(query, table))
    selected = [normal_form(str(cut)) for cut in wanted.cuts]
    manifest = job.manifest(columns=list(wanted.columns), cuts=selected)
    if not manifest.complete:
        fetch(wanted, manifest)
        manifest.finish()
    return Fetched.of(manifest)


def _by_tree(job: Job) -> Fetched:
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
            source_ids=_range(wanted),
        )
        check_ranges(manifest)

    return _in_pieces(job, fetch)


def _range(wanted: Wanted) -> tuple[int, int] | None:
    """Range of the listed sources, if there is a list: files outside of it are not fetched."""
    lists = [cut.ids for cut in wanted.cuts if isinstance(cut, Among)]
    return (lists[0][0].as_py(), lists[0][-1].as_py()) if lists else None


def _by_hats(job: Job) -> Fetched:
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


def _by_file(job: Job) -> Fetched:
    return _whole(job, named_files(job.route))


def _by_record(job: Job) -> Fetched:
    return _whole(job, record_files(job.route, job.transport))


def _whole(job: Job, wanted: list[RemoteFile]) -> Fetched:
    """Files that are kept as they are; readers know their formats."""
    files = fetch_files(wanted, job.folder, job.transport, job.progress, job.route.bytes)
    newest = max(path.stat().st_mtime for path in files)
    return Fetched(files, None, datetime.fromtimestamp(newest, UTC).date().isoformat())


def _by_datalink(job: Job) -> Fetched:
    settings, ids = job.settings, job.ids()
    manifest = job.manifest(
        product=job.route.table,
        release=job.route.data_release,
        ids=digest_of(ids),
        ids_per_call=settings.ids_per_call,
    )
    if not manifest.complete:
        service = DataLink(
            job.route.url,
            job.route.table,
            job.route.data_release,
            settings.datalink_format,
            settings.ids_per_call,
            settings.jobs_at_once,
            settings.attempts,
        )
        fetch_products(service, ids, job.request.table, manifest, job.transport, job.progress)
        manifest.finish()
    return Fetched.of(manifest)


ROUTES: dict[RouteKind, Callable[[Job], Fetched]] = {
    "tap": _by_tap,
    "bulk": _by_tree,
    "hats": _by_hats,
    "file": _by_file,
    "record": _by_record,
    "datalink": _by_datalink,
}
"""How each kind of route fetches."""
