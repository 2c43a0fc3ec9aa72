"""The route by TAP, against a server that misbehaves."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import requests

from mwatlas.archive import tap_gaia
from mwatlas.archive.adql import load_query, same_rows
from mwatlas.archive.manifest import Manifest
from mwatlas.archive.tap import fetch_by_tap
from mwatlas.archive.tap_chunks import Chunk, equal_chunks, uncovered
from mwatlas.archive.tap_client import PyvoClient, TapClient
from mwatlas.archive.tap_gaia import GaiaClient, gaia_credentials
from mwatlas.archive.tap_jobs import JOBS, JobFile, Work
from mwatlas.archive.tap_patience import TapSettings
from mwatlas.archive.votable import BrokenVOTable, read_votable
from mwatlas.errors import ArchiveError
from mwatlas.files import read_json
from mwatlas.progress import Progress
from mwatlas.tables.column import Column
from mwatlas.tables.table import TableSchema

from .fake_tap import FakeTap, Faults, serving, stars, votable

STARS = stars()
TABLE = TableSchema(
    "gaia_source",
    "Stars",
    (
        Column("source_id", "int64", "", "meta.id", "Identifier"),
        Column("ra", "float64", "deg", "pos.eq.ra", "Right ascension"),
        Column("parallax", "float64", "mas", "pos.parallax", "Parallax"),
        Column("radial_velocity", "float32", "km/s", "spect.dopplerVeloc", "Velocity"),
        Column("rv_nb_transits", "int16", "", "meta.number", "Transits"),
        Column("has_xp_continuous", "bool", "", "meta.code", "Whether there is a spectrum"),
    ),
)
CHUNKS = equal_chunks(4)
COUNTS = [
    int(((STARS["source_id"] >= c.first) & (STARS["source_id"] <= c.last)).sum()) for c in CHUNKS
]
SETTINGS = TapSettings(rows_per_chunk=1000, poll_s=1, longest_wait_s=20, attempts=3, pause_s=2)


@dataclass
class Clock:
    """Time that passes only in pauses."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


@pytest.fixture
def server() -> Iterator[FakeTap]:
    with serving(STARS) as server:
        yield server


def _query(folder: Path) -> Path:
    path = folder / "stars.adql"
    columns = ", ".join(TABLE.names)
    path.write_text(
        f"SELECT {columns}\nFROM gaiadr3.gaia_source\nWHERE source_id BETWEEN 0 AND 1 -- chunk\n"
    )
    return path


def _fetch(
    client: TapClient,
    folder: Path,
    progress: Progress,
    settings: TapSettings = SETTINGS,
    chunks: list[Chunk] = CHUNKS,
    **time: Callable[..., Any],
) -> tuple[Manifest, int]:
    manifest = Manifest(folder / "table", {"table": "stars"})
    clock = Clock()
    time = time or {"sleep": clock.sleep, "clock": lambda: clock.now}
    query = load_query(_query(folder))
    rows = fetch_by_tap(client, query, chunks, TABLE, manifest, settings, progress, **time)
    return manifest, rows


def _pyvo(server: FakeTap) -> PyvoClient:
    return PyvoClient(server.url, requests.Session())


def _check(manifest: Manifest) -> None:
    """The files hold the table of the server, value by value, and nothing is left behind."""
    assert manifest.complete
    pieces = [pq.read_table(path) for path in manifest.files]
    for name, expected in STARS.items():
        found = [v for piece in pieces for v in piece[name].to_pylist()]
        mask = np.ma.getmaskarray(expected)
        assert [v is None for v in found] == mask.tolist()
        assert [v for v in found if v is not None] == expected.data[~mask].tolist()
    types = pieces[0].schema
    assert [str(types.field(c.name).type) for c in TABLE.columns] == [
        {"float32": "float", "float64": "double"}.get(c.dtype, c.dtype) for c in TABLE.columns
    ]
    assert sorted(p.name for p in manifest.folder.iterdir()) == sorted(
        ["manifest.json", *(path.name for path in manifest.files)]
    )


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("kind", ["pyvo", "astroquery"])
def test_a_table_comes_as_it_is(
    server: FakeTap, tmp_path: Path, progress: Progress, kind: str, binary: bool
) -> None:
    server.faults.binary = binary
    client = _pyvo(server) if kind == "pyvo" else GaiaClient(server.root)
    manifest, rows = _fetch(client, tmp_path, progress)
    assert rows == len(STARS["source_id"])
    _check(manifest)
    assert [piece.detail["rows_counted"] for piece in manifest.pieces] == COUNTS
    assert manifest.pieces[0].origin == server.url
    assert server.jobs == {}
    assert server.most_at_once == SETTINGS.jobs_at_once


def test_long_chunks_are_split_before_they_are_asked_for(
    server: FakeTap, tmp_path: Path, progress: Progress
) -> None:
    settings = TapSettings(rows_per_chunk=70)
    manifest, _ = _fetch(_pyvo(server), tmp_path, progress, settings)
    _check(manifest)
    assert max(piece.rows for piece in manifest.pieces) <= 70
    assert len(server.submitted) == len(set(server.submitted))


def test_the_limit_of_the_server_holds(server: FakeTap, tmp_path: Path, progress: Progress) -> None:
    server.faults.told_limit = server.faults.row_limit = 60
    manifest, _ = _fetch(_pyvo(server), tmp_path, progress)
    _check(manifest)
    assert max(piece.rows for piece in manifest.pieces) <= 60
    assert len(server.submitted) == len(manifest.pieces)


@pytest.mark.parametrize("kind", ["pyvo", "astroquery"])
def test_a_cut_off_answer_is_split(
    server: FakeTap, tmp_path: Path, progress: Progress, kind: str
) -> None:
    """A limit nobody told of costs the jobs in flight, no more."""
    server.faults.row_limit = 60
    client = _pyvo(server) if kind == "pyvo" else GaiaClient(server.root)
    manifest, _ = _fetch(client, tmp_path, progress)
    _check(manifest)
    assert len(server.submitted) - len(manifest.pieces) <= SETTINGS.jobs_at_once


def test_a_single_identifier_cannot_be_split(
    server: FakeTap, tmp_path: Path, progress: Progress
) -> None:
    star = int(STARS["source_id"][5])
    server.faults.times["wrong count"] = 1
    with pytest.raises(ArchiveError, match="single identifier") as caught:
        _fetch(
            _pyvo(server), tmp_path, progress, TapSettings(rows_per_chunk=1), [Chunk(star, star)]
        )
    assert str(star) in str(caught.value)


def test_chunks_without_stars_are_pieces_without_rows(
    server: FakeTap, tmp_path: Path, progress: Progress
) -> None:
    chunks = [Chunk(0, 5), *uncovered(CHUNKS, [Chunk(0, 5)])]
    manifest, _ = _fetch(_pyvo(server), tmp_path, progress, chunks=chunks)
    _check(manifest)
    assert manifest.pieces[0].rows == 0
    assert len(server.submitted) == len(CHUNKS)


PASSING = [
    {"503 at count": 2},
    {"503 at submit": 1},
    {"503 at start": 1},
    {"503 at poll": 2},
    {"503 at result": 1},
    {"503 at delete": 1},
    {"503 at capabilities": 2},
    {"HTML at count": 1},
    {"HTML at submit": 1},
    {"HTML at poll": 1},
    {"HTML at result": 1},
    {"truncation": 1},
    {"truncation": 2},
    {"ERROR": 1},
    {"ABORTED": 1},
    {"job lost": 1},
    {"stuck in PENDING": 1},
    {"stuck in QUEUED": 1},
    {"stuck in EXECUTING": 2},
    {"wrong count": 1},
]


@pytest.mark.parametrize("times", PASSING, ids=str)
def test_what_passes_is_survived(
    server: FakeTap, tmp_path: Path, progress: Progress, times: dict[str, int]
) -> None:
    server.faults.times = Counter(times)
    manifest, _ = _fetch(_pyvo(server), tmp_path, progress)
    _check(manifest)
    assert not +server.faults.times


LASTING = {
    "503 at count": ("no proper answer, asked 3", "503"),
    "503 at submit": ("no proper answer, asked 3", "503"),
    "503 at result": ("no proper answer, asked 3", "503"),
    "HTML at count": ("no proper answer, asked 3", "not appear to be a VOTABLE"),
    "HTML at submit": ("no proper answer, asked 3", "no job behind"),
    "HTML at poll": ("no proper answer, asked 3", "no job behind"),
    "HTML at result": ("a job failed 3 time", "DOCTYPE html"),
    "truncation": ("a job failed 3 time", "bytes starting with"),
    "ERROR": ("a job failed 3 time", "phase ERROR: Query exceeded its time"),
    "ABORTED": ("a job failed 3 time", "phase ABORTED"),
    "job lost": ("a job failed 3 time", "the job is gone"),
    "stuck in PENDING": ("a job failed 3 time", "phase PENDING for 21 s"),
    "stuck in QUEUED": ("a job failed 3 time", "phase QUEUED for 21 s"),
    "stuck in EXECUTING": ("a job failed 3 time", "phase EXECUTING for 21 s"),
    "refusal": ("refuses", "Unknown table gaiadr9"),
}


@pytest.mark.parametrize("kind", ["pyvo", "astroquery"])
@pytest.mark.parametrize("fault", LASTING)
def test_what_lasts_is_named_and_nothing_finished_is_lost(
    server: FakeTap, tmp_path: Path, progress: Progress, fault: str, kind: str
) -> None:
    client = _pyvo(server) if kind == "pyvo" else GaiaClient(server.root)
    settings = TapSettings(1000, 1, 1, 20, 3, 2)
    _fetch(client, tmp_path, progress, settings, CHUNKS[:1])
    done = read_json(tmp_path / "table" / "manifest.json")["pieces"]
    server.faults.times[fault] = 10**6
    with pytest.raises(ArchiveError) as caught:
        _fetch(client, tmp_path, progress, settings)
    problem, found = LASTING[fault]
    assert problem in caught.value.problem
    if kind == "pyvo":
        assert re.search(found, str(caught.value.found))
    assert str(caught.value.file).startswith(server.url)
    assert caught.value.item == str(CHUNKS[1])
    assert caught.value.expected
    assert read_json(tmp_path / "table" / "manifest.json")["pieces"] == done
    server.faults.times.clear()
    server.counted.clear()
    server.submitted.clear()
    manifest, _ = _fetch(client, tmp_path, progress, settings)
    _check(manifest)
    assert CHUNKS[0].first not in server.counted + server.submitted


DRIFT = {
    "dropped": ({"ra": None}, "ra: missing"),
    "renamed": (
        {"parallax": ("parallax_value", "double", ">f8", "mas")},
        "parallax: missing.*renamed to parallax_value",
    ),
    "unit": (
        {"parallax": ("parallax", "double", ">f8", "arcsec")},
        "unit; found arcsec, expected mas",
    ),
    "dtype": (
        {"parallax": ("parallax", "float", ">f4", "mas")},
        "dtype; found float32, expected float64",
    ),
}


@pytest.mark.parametrize("change", DRIFT)
def test_other_columns_are_refused_before_they_are_written(
    server: FakeTap, tmp_path: Path, progress: Progress, change: str
) -> None:
    settings = TapSettings(jobs_at_once=1)
    _fetch(_pyvo(server), tmp_path, progress, settings, CHUNKS[:1])
    columns, found = DRIFT[change]
    for name, column in columns.items():
        server.faults.columns[name] = column
    with pytest.raises(ArchiveError, match=found) as caught:
        _fetch(_pyvo(server), tmp_path, progress, settings)
    assert caught.value.item == str(CHUNKS[1])
    assert "parallax float64 [mas]" in str(caught.value.expected)
    files = sorted(path.name for path in (tmp_path / "table").glob("*.parquet"))
    assert files == [CHUNKS[0].name]


def test_wider_types_are_taken_and_narrowed(
    server: FakeTap, tmp_path: Path, progress: Progress
) -> None:
    server.faults.columns |= {
        "radial_velocity": ("radial_velocity", "double", ">f8", "km.s**-1"),
        "rv_nb_transits": ("rv_nb_transits", "int", ">i4", ""),
    }
    _check(_fetch(_pyvo(server), tmp_path, progress)[0])


@pytest.mark.parametrize(
    ("fault", "problem"), [("repeated", "more than once"), ("foreign", "outside the chunk")]
)
def test_rows_that_do_not_belong_are_refused(
    server: FakeTap, tmp_path: Path, progress: Progress, fault: str, problem: str
) -> None:
    setattr(server.faults, fault, True)
    with pytest.raises(ArchiveError, match=problem) as caught:
        _fetch(_pyvo(server), tmp_path, progress)
    assert caught.value.item == str(CHUNKS[0])


def test_a_count_that_stays_wrong_is_an_error(
    server: FakeTap, tmp_path: Path, progress: Progress
) -> None:
    server.faults.times["wrong count"] = 10**6
    with pytest.raises(ArchiveError) as caught:
        _fetch(_pyvo(server), tmp_path, progress)
    assert caught.value.found == f"{COUNTS[0]} rows"
    assert str(COUNTS[0] + 1) in str(caught.value.expected)


def test_pauses_grow(server: FakeTap, tmp_path: Path, progress: Progress) -> None:
    server.faults.times["503 at count"] = 2
    clock = Clock()
    _fetch(_pyvo(server), tmp_path, progress, sleep=clock.sleep, clock=lambda: clock.now)
    assert clock.pauses[:2] == [2, 4]


def test_a_query_of_other_columns_is_refused(
    server: FakeTap, tmp_path: Path, progress: Progress
) -> None:
    path = _query(tmp_path)
    path.write_text(path.read_text().replace("ra, ", "", 1))
    manifest = Manifest(tmp_path / "table", {})
    with pytest.raises(ArchiveError, match="differ in columns"):
        fetch_by_tap(_pyvo(server), load_query(path), CHUNKS, TABLE, manifest, SETTINGS, progress)


def _fetch_as_a_process(url: str, folder: str) -> None:
    """Body of the process that gets killed."""
    import logging
    import time

    client = PyvoClient(url, requests.Session())
    settings = TapSettings(jobs_at_once=1, poll_s=0.01)
    progress = Progress("test", logging.getLogger("mwatlas"))
    _fetch(client, Path(folder), progress, settings, sleep=time.sleep, clock=time.monotonic)


def test_a_killed_run_goes_on_with_the_same_job(
    server: FakeTap, tmp_path: Path, progress: Progress
) -> None:
    server.hold = CHUNKS[1].first
    script = (
        "import sys; from tests.unit import test_tap; test_tap._fetch_as_a_process(*sys.argv[1:])"
    )
    process = subprocess.Popen([sys.executable, "-c", script, server.url, str(tmp_path)])
    try:
        assert server.held.wait(120)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    saved = {w["first"]: w for w in read_json(tmp_path / "table" / JOBS)["work"]}
    assert saved[CHUNKS[1].first]["job"] == f"{server.url}/async/job1"
    assert "BETWEEN" in saved[CHUNKS[1].first]["query"]
    server.hold = None
    before = server.polled["job1"]
    manifest, _ = _fetch(_pyvo(server), tmp_path, progress)
    _check(manifest)
    assert server.submitted == [chunk.first for chunk in CHUNKS]
    assert server.counted == [chunk.first for chunk in CHUNKS]
    assert server.polled["job1"] > before
    assert server.jobs == {}


def test_a_job_left_by_a_kill_before_it_was_deleted_is_deleted(
    server: FakeTap, tmp_path: Path, progress: Progress
) -> None:
    manifest, _ = _fetch(_pyvo(server), tmp_path, progress)
    url = _pyvo(server).create("SELECT * WHERE source_id BETWEEN 0 AND 1", 5)
    jobs = JobFile(manifest.folder, server.url, same_rows(load_query(_query(tmp_path))))
    jobs.set(CHUNKS[0], Work(COUNTS[0], url, ""))
    _fetch(_pyvo(server), tmp_path, progress)
    assert server.jobs == {}
    _check(manifest)


def test_jobs_of_another_query_are_forgotten(tmp_path: Path) -> None:
    JobFile(tmp_path, "https://archive", "SELECT a").set(CHUNKS[0], Work(3))
    assert JobFile(tmp_path, "https://archive", "SELECT a").work == {CHUNKS[0]: Work(3)}
    assert JobFile(tmp_path, "https://archive", "SELECT b").work == {}
    (tmp_path / JOBS).write_text("{")
    with pytest.raises(ArchiveError, match=JOBS):
        JobFile(tmp_path, "https://archive", "SELECT a")


@pytest.mark.parametrize("binary", [True, False])
def test_an_error_after_the_table_is_no_answer(tmp_path: Path, binary: bool) -> None:
    path = tmp_path / "answer.vot"
    document = votable(STARS, Faults(binary=binary), overflow=True)
    path.write_bytes(document)
    assert read_votable(path).overflow
    path.write_bytes(document.replace(b'"OVERFLOW"/>', b'"ERROR">out of memory</INFO>'))
    with pytest.raises(BrokenVOTable, match="out of memory"):
        read_votable(path)


def test_credentials_come_from_the_environment_or_the_keyring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tap_gaia.keyring, "get_password", lambda *_: None)
    monkeypatch.delenv(tap_gaia.USER, raising=False)
    monkeypatch.setenv(tap_gaia.PASSWORD, "from the environment")
    assert gaia_credentials() is None
    monkeypatch.setenv(tap_gaia.USER, "somebody")
    assert gaia_credentials() == ("somebody", "from the environment")
    monkeypatch.delenv(tap_gaia.PASSWORD)
    with pytest.raises(ArchiveError, match="no password"):
        gaia_credentials()
    monkeypatch.setattr(tap_gaia.keyring, "get_password", lambda *_: "from the keyring")
    assert gaia_credentials() == ("somebody", "from the keyring")


def test_a_refused_login_does_not_tell_the_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: object, user: str, password: str) -> None:
        print(user, password)  # noqa: T201
        raise requests.HTTPError(f"401 for {user} {password}")

    monkeypatch.setattr(tap_gaia.TapPlus, "login", refuse)
    with pytest.raises(ArchiveError, match="does not let the user in") as caught:
        GaiaClient("http://127.0.0.1:9/", ("somebody", "hunter2"))
    assert "hunter2" not in f"{caught.value!r}{caught.value}{capsys.readouterr()}"
    assert caught.value.__cause__ is None
