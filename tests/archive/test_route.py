"""The whole route by TAP on a real server: chunks, limits, and taking jobs up again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mwatlas.archive.adql import Query, load_query
from mwatlas.archive.manifest import Manifest
from mwatlas.archive.tap import fetch_by_tap
from mwatlas.archive.tap_chunks import equal_chunks
from mwatlas.archive.tap_client import JobGone, PyvoClient
from mwatlas.archive.tap_jobs import JOBS
from mwatlas.archive.tap_patience import TapSettings
from mwatlas.archive.transport import Transport
from mwatlas.archive.votable import read_votable
from mwatlas.errors import ArchiveError
from mwatlas.files import read_json
from mwatlas.progress import Progress
from mwatlas.tables.column import Column
from mwatlas.tables.table import TableSchema

from .dachs import HARD_LIMIT
from .routes import NAME, SETTINGS, Recorded, check
from .sky import Loaded


class RecordedClient(Recorded, PyvoClient):
    pass


class UntoldLimit(RecordedClient):
    """Of a server that cuts answers off without having said where."""

    def row_limit(self) -> None:
        return None


class Stopped(RecordedClient):
    """Stopped by the user at the first look at a job after two have started."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self.started: list[str] = []

    def start(self, job: str) -> None:
        super().start(job)
        self.started.append(job)

    def phase(self, job: str) -> str:
        if len(self.started) == 2:
            raise KeyboardInterrupt
        return super().phase(job)


@pytest.fixture
def fetch(
    load: Callable[[str], Query],
    contracts: dict[str, TableSchema],
    tmp_path: Path,
    progress: Progress,
) -> Callable[..., Manifest]:
    """Fetches the query by a client; a second call goes on where the first stopped."""

    def fetch(client: PyvoClient, settings: TapSettings = SETTINGS, chunks: int = 2) -> Manifest:
        manifest = Manifest(tmp_path / "table", {})
        query, table = load(NAME), contracts[NAME]
        fetch_by_tap(client, query, equal_chunks(chunks), table, manifest, settings, progress)
        return manifest

    return fetch


def test_long_chunks_are_split_and_all_rows_come(
    service: str,
    transport: Transport,
    tables: dict[str, Loaded],
    contracts: dict[str, TableSchema],
    fetch: Callable[..., Manifest],
) -> None:
    client = RecordedClient(service, transport.session)
    manifest = fetch(client)
    check(manifest, tables, contracts[NAME].names)
    assert max(piece.rows for piece in manifest.pieces) <= SETTINGS.rows_per_chunk
    asked_for = [piece for piece in manifest.pieces if piece.rows]
    assert len(asked_for) > 2
    assert len(client.created) == len(asked_for)
    for job in client.created:
        with pytest.raises(JobGone):
            client.phase(job)


def test_the_limit_of_the_server_is_known(client: PyvoClient) -> None:
    assert client.row_limit() == HARD_LIMIT


def test_a_cut_off_answer_is_noticed_and_split(
    service: str,
    transport: Transport,
    tables: dict[str, Loaded],
    contracts: dict[str, TableSchema],
    fetch: Callable[..., Manifest],
) -> None:
    client = UntoldLimit(service, transport.session)
    manifest = fetch(client, TapSettings(rows_per_chunk=10**6, poll_s=0.3), chunks=1)
    check(manifest, tables, contracts[NAME].names)
    asked_for = [piece for piece in manifest.pieces if piece.rows]
    assert len(asked_for) > 1
    # One job, the first, was for nothing.
    assert len(client.created) == len(asked_for) + 1


@pytest.mark.parametrize("serialization", ["BINARY2", "TABLEDATA"])
def test_the_mark_of_a_cut_off_answer_is_read(
    service: str,
    transport: Transport,
    tables: dict[str, Loaded],
    tmp_path: Path,
    serialization: str,
) -> None:
    path, ids = tmp_path / "answer.vot", tables["gaiadr3.gaia_source"].rows["source_id"].to_pylist()
    # With just as many rows as it may send, the server cannot tell.
    for rows, overflow in ((5, False), (7, True)):
        form = {
            "LANG": "ADQL",
            "MAXREC": 6,
            "RESPONSEFORMAT": f"application/x-votable+xml;serialization={serialization}",
            "QUERY": "SELECT source_id, bp_rp FROM gaiadr3.gaia_source "
            f"WHERE source_id <= {ids[rows - 1]}",
        }
        path.write_bytes(transport.session.post(f"{service}/sync", data=form).content)
        answer = read_votable(path)
        assert (answer.overflow, answer.rows) == (overflow, min(rows, 6))


def test_a_stopped_run_takes_its_jobs_up_again(
    service: str,
    transport: Transport,
    tables: dict[str, Loaded],
    contracts: dict[str, TableSchema],
    fetch: Callable[..., Manifest],
    tmp_path: Path,
) -> None:
    """But for one that the server has forgotten meanwhile, which is made again."""
    first = Stopped(service, transport.session)
    with pytest.raises(KeyboardInterrupt):
        fetch(first)
    work = read_json(tmp_path / "table" / JOBS)["work"]
    assert {w["job"] for w in work if w["job"]} == set(first.created)
    kept, forgotten = first.created
    first.delete(forgotten)
    second = RecordedClient(service, transport.session)
    manifest = fetch(second)
    check(manifest, tables, contracts[NAME].names)
    assert kept in second.looked_at
    asked_for = [piece for piece in manifest.pieces if piece.rows]
    assert len(second.created) == len(asked_for) - 1


def test_what_the_server_refuses_is_told(
    client: PyvoClient,
    contracts: dict[str, TableSchema],
    load: Callable[[str], Query],
    tmp_path: Path,
    progress: Progress,
) -> None:
    path = tmp_path / "wrong.adql"
    path.write_text(load(NAME).text.replace("gaiadr3.gaia_source", "gaiadr9.gaia_source"))
    manifest = Manifest(tmp_path / "table", {})
    with pytest.raises(ArchiveError, match="refuses") as caught:
        fetch_by_tap(
            client,
            load_query(path),
            equal_chunks(1),
            contracts[NAME],
            manifest,
            SETTINGS,
            progress,
        )
    assert "gaiadr9" in str(caught.value.found)


def test_a_failed_job_says_why(client: PyvoClient, tmp_path: Path, progress: Progress) -> None:
    path = tmp_path / "division.adql"
    path.write_text(
        "SELECT source_id, 1 / (source_id - source_id) AS nothing FROM gaiadr3.gaia_source\n"
        "WHERE source_id BETWEEN 0 AND 1 -- chunk\n"
    )
    columns = tuple(Column(name, "int64", "", "", "") for name in ("source_id", "nothing"))
    table, manifest = TableSchema("wrong", "Wrong", columns), Manifest(tmp_path / "table", {})
    once = replace(SETTINGS, attempts=1)
    with pytest.raises(ArchiveError, match="a job failed") as caught:
        fetch_by_tap(client, load_query(path), equal_chunks(1), table, manifest, once, progress)
    assert "division by zero" in str(caught.value.found)
