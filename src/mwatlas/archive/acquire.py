"""Fetching a table by the first of its routes that works."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mwatlas.archive.disk import disk_full, is_full, row_bytes
from mwatlas.archive.lock import locked
from mwatlas.archive.request import ACQUIRED, TableRequest
from mwatlas.archive.routes import ROUTES, Fetched, Job, part_of
from mwatlas.archive.transport import Politeness, Transport
from mwatlas.config.archives import Archives
from mwatlas.errors import ArchiveError
from mwatlas.files import write_json
from mwatlas.progress import Progress

log = logging.getLogger("mwatlas")


def polite(settings: Archives, *, to_look: bool = False) -> Politeness:
    """How archives are asked, from the settings; with one more try at most only ``to_look``."""
    # The longest wait of the settings is for jobs; that of a request stays as it is.
    asked = part_of(settings, Politeness, but="longest_wait_s")
    return replace(asked, retries=min(asked.retries, 1)) if to_look else asked


def acquire(
    request: TableRequest,
    folder: Path,
    settings: Archives,
    transport: Transport,
    progress: Progress,
    id_files: Sequence[Path] = (),
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
    id_files
        Files of the table in which the request's sources are listed, or the list of them.

    Returns
    -------
    pathlib.Path
        File that lists the table's files, of the name :data:`ACQUIRED`.

    Raises
    ------
    ArchiveError
        If no route works, with what each said; or if another acquisition works in ``folder``.
    DiskFull
        If the disk is full; what is done stays, and no further route is tried.
    """
    with locked(folder):
        return _by_first(request, folder, settings, transport, progress, id_files)


def _by_first(
    request: TableRequest,
    folder: Path,
    settings: Archives,
    transport: Transport,
    progress: Progress,
    id_files: Sequence[Path],
) -> Path:
    failures = []
    for route in request.routes:
        name = re.sub(r"[^a-z0-9]+", "_", f"{route.kind} {route.host}".lower()).strip("_")
        job = Job(request, route, folder / name, settings, transport, progress, id_files)
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


def _fetched(job: Job) -> Fetched:
    """Fetch by the route of a job; of a full disk, which fails it in many ways, make one error."""
    try:
        return ROUTES[job.route.kind](job)
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
