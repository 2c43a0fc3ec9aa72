"""A disk that fills up while a table is fetched: by every route one error, at once."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mwatlas.archive.acquire import acquire
from mwatlas.archive.convert import subset
from mwatlas.archive.disk import DiskFull
from mwatlas.archive.part import Part
from mwatlas.archive.request import ACQUIRED, TableRequest, listed_files
from mwatlas.archive.transport import Transport
from mwatlas.config.archives import Archives
from mwatlas.config.registry import Route
from mwatlas.errors import ArchiveError
from mwatlas.healpix import cell_of_source
from mwatlas.progress import Progress
from mwatlas.tables.hats import write_hats
from mwatlas.tables.schemas import GAIA_SOURCE
from mwatlas.tables.table import TableSchema
from tests.faulty_answers import File, Reply
from tests.faulty_server import FaultyServer

from .ecsv_files import archive_text, random_rows, write_gzip
from .fake_tap import serving
from .test_acquire import SECOND, TABLE
from .test_hats_route import served
from .test_tap import STARS
from .test_tap import TABLE as STARS_TABLE

# Less than the rows expected, so that a table comes in several chunks.
SETTINGS = Archives(
    retries=0, interval_s=0, attempts=1, poll_s=0.01, files_at_once=1, rows_per_chunk=5_000
)


@dataclass
class Case:
    """A table by one route, and the identifiers it should have."""

    route: Route
    request: TableRequest
    ids: np.ndarray


def _case(tmp_path: Path, kind: str, url: str, schema: TableSchema, ids: Any, **more: Any) -> Case:
    route = Route.model_validate(
        {"kind": kind, "host": "Test", "url": url, "verified": ["unverified"], **more}
    )
    # Another route, which would work too: it must not be tried.
    other = route.model_copy(update={"host": "Other"})
    query = tmp_path / "stars.adql"
    query.write_text(
        f"SELECT {', '.join(schema.names)}\nFROM gaiadr3.gaia_source\n"
        "WHERE source_id BETWEEN 0 AND 9223372036854775807  -- chunk\n"
    )
    wanted = TableRequest("gaia_source", "stars", (route, other), query, schema, True, 10_000)
    return Case(route, wanted, np.sort(np.asarray(ids)))


@pytest.fixture(params=["tap", "bulk", "hats", "file"])
def case(
    request: pytest.FixtureRequest, server: FaultyServer, tmp_path: Path, gaia_rows: Callable
) -> Iterator[Case]:
    if request.param == "tap":
        with serving(STARS) as tap:
            yield _case(
                tmp_path,
                "tap",
                tap.url,
                STARS_TABLE,
                STARS["source_id"],
                table="gaiadr3.gaia_source",
            )
        return
    if request.param == "hats":
        table = subset(GAIA_SOURCE, ["source_id", "ra", "dec"])
        rows = {name: gaia_rows(200)[name] for name in table.names}
        home = cell_of_source(rows["source_id"], 0)
        cells = [(int(c), {n: v[home == c] for n, v in rows.items()}) for c in np.unique(home)]
        write_hats(tmp_path / "hats", replace(table, key="source_id"), cells, 0)
        with served(tmp_path / "hats") as url:
            yield _case(tmp_path, "hats", url, table, rows["source_id"])
        return
    listing, ids, names = "", [], []
    for number, pixels in enumerate(("000000-003111", "003112-786431")):
        rows = random_rows(50, seed=number, first=number * SECOND)
        ids.append(np.asarray(rows["source_id"]))
        path = write_gzip(tmp_path / f"GaiaSource_{pixels}.csv.gz", archive_text(rows, tmp_path))
        data = path.read_bytes()
        listing += f"{hashlib.md5(data).hexdigest()}  {path.name}\n"
        names.append(path.name)
        server.script(f"/tree/{path.name}", File(data))
    server.script("/tree/_MD5SUM.txt", Reply(200, listing.encode()))
    yield _case(
        tmp_path,
        request.param,
        server.url("/tree/"),
        TABLE,
        np.concatenate(ids),
        files=names if request.param == "file" else ["GaiaSource_*.csv.gz"],
    )


def _fills_up(patch: pytest.MonkeyPatch, kind: str) -> None:
    """Let the first part of a table be written, and no more."""
    owner, name = {
        "tap": (pq, "write_table"),
        "file": (Part, "open_at"),
    }.get(kind, (pq, "ParquetWriter"))
    original, written = getattr(owner, name), []

    def write(*arguments: Any, **more: Any) -> Any:
        if written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(1)
        return original(*arguments, **more)

    patch.setattr(owner, name, write)


def test_a_full_disk_stops_a_table_at_once_and_keeps_what_is_done(
    case: Case,
    transport: Transport,
    tmp_path: Path,
    progress: Progress,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, kind = tmp_path / "table", case.route.kind
    # Few chunks are enough here.
    monkeypatch.setattr("mwatlas.archive.routes._FEWEST_CHUNKS", 4)
    with pytest.MonkeyPatch.context() as patch:
        _fills_up(patch, kind)
        with pytest.raises(DiskFull) as caught:
            acquire(case.request, folder, SETTINGS, transport, progress)
    error = caught.value
    assert not isinstance(error, ArchiveError)  # or the next route would be tried
    assert [path.name for path in folder.iterdir()] == [f"{kind}_test"]
    assert not (folder / ACQUIRED).exists()
    assert error.problem == "the disk is full"
    assert error.file == folder / f"{kind}_test"
    assert str(error.found).endswith("bytes free")
    assert "for the rest of the" in str(error.expected)
    assert "bytes" in str(error.expected)
    assert "free space" in error.remedy
    done = [p for p in (folder / f"{kind}_test").iterdir() if p.suffix in (".parquet", ".gz")]
    assert len(done) == 1
    stamp = done[0].stat().st_mtime_ns
    # With room again, the run goes on and does the first part no second time.
    files = listed_files([acquire(case.request, folder, SETTINGS, transport, progress)])
    assert done[0].stat().st_mtime_ns == stamp
    assert done[0] in files
    if kind == "file":
        assert [file.read_bytes() for file in files] == [
            (tmp_path / file.name).read_bytes() for file in files
        ]
        return
    found = np.concatenate([pq.read_table(file)["source_id"].to_numpy() for file in files])
    np.testing.assert_array_equal(np.sort(found), case.ids)
