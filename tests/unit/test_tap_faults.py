"""Faults of a TAP server on the wire: through our own session, with finished chunks before them.

What the server itself gets wrong (jobs, counts, columns) is in `test_tap.py`.
"""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mwatlas.archive import tap_gaia
from mwatlas.archive.acquire import acquire
from mwatlas.archive.request import TableRequest
from mwatlas.archive.tap_client import PyvoClient, TapClient
from mwatlas.archive.tap_gaia import GaiaClient
from mwatlas.archive.tap_patience import TapSettings
from mwatlas.archive.transport import Politeness, Transport
from mwatlas.config.archives import Archives
from mwatlas.config.registry import Route
from mwatlas.errors import ArchiveError
from mwatlas.files import read_json
from mwatlas.progress import Progress
from tests.fake_clock import FakeClock

from .fake_tap import FakeTap, serving
from .test_tap import CHUNKS, SETTINGS, STARS, TABLE, _check, _fetch, _query

POLITE = Politeness(contact="me@example.org", retries=1, interval_s=0.0, read_timeout_s=30.0)
# A machine under load may be slow to answer, too: that only costs more tries.
HASTY = replace(POLITE, read_timeout_s=0.2, retries=20)
PATIENT = TapSettings(1000, 1, 1, 20, 30, 2)


@pytest.fixture
def server() -> Iterator[FakeTap]:
    with serving(STARS) as server:
        yield server


def _client(server: FakeTap, politeness: Politeness = POLITE) -> PyvoClient:
    clock = FakeClock()
    return PyvoClient(server.url, Transport(politeness, clock=clock, sleep=clock.sleep).session)


PASSING = [
    "500 at count",
    "500 at submit",
    "500 at start",
    "500 at poll",
    "500 at result",
    "202 at count",
    "202 at submit",
    "202 at result",
    "silence at count",
    "silence at poll",
    "silence at result",
    "broken body",
    "gzip damage",
]


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_on_the_wire_is_survived(
    server: FakeTap, tmp_path: Path, progress: Progress, fault: str
) -> None:
    server.faults.times[fault] = 1
    silent = "silence" in fault
    client = _client(server, HASTY if silent else POLITE)
    manifest, _ = _fetch(client, tmp_path, progress, PATIENT if silent else SETTINGS)
    _check(manifest)
    assert not +server.faults.times
    assert server.agents == {POLITE.user_agent}


LASTING = {
    "500 at count": ("no proper answer", "HTTP.*500"),
    "500 at poll": ("no proper answer", "HTTP 500, 2 times"),
    "202 at count": ("no proper answer", "syntax error"),
    "202 at result": ("no proper answer", "HTTP status 202 and no result"),
    "silence at count": ("no proper answer", "no answer within 0.2 s"),
    "broken body": ("no proper answer", "broken|incomplete|IncompleteRead"),
    "gzip damage": ("a job failed", "no complete VOTable"),
    "gone": ("no proper answer", "no connection"),
}


@pytest.mark.parametrize("fault", LASTING)
def test_what_lasts_on_the_wire_is_named_and_finished_chunks_stay(
    tmp_path: Path, progress: Progress, fault: str
) -> None:
    settings = replace(SETTINGS, jobs_at_once=1)
    politeness = replace(POLITE, read_timeout_s=0.2) if "silence" in fault else POLITE
    with serving(STARS) as server:
        port = server.server_address[1]
        _fetch(_client(server), tmp_path, progress, settings, CHUNKS[:1])
        done = read_json(tmp_path / "table" / "manifest.json")["pieces"]
        if fault != "gone":
            server.faults.times[fault] = 10**6
            with pytest.raises(ArchiveError) as caught:
                _fetch(_client(server, politeness), tmp_path, progress, settings)
    if fault == "gone":
        with pytest.raises(ArchiveError) as caught:
            _fetch(_client(server), tmp_path, progress, settings)
    problem, found = LASTING[fault]
    assert problem in caught.value.problem
    caught.match(found)
    assert str(caught.value.file).startswith(server.url)
    assert caught.value.item == str(CHUNKS[1])
    assert caught.value.expected
    assert read_json(tmp_path / "table" / "manifest.json")["pieces"] == done
    with serving(STARS, port) as again:
        manifest, _ = _fetch(_client(again), tmp_path, progress, settings)
        _check(manifest)
        assert CHUNKS[0].first not in again.counted + again.submitted


@pytest.mark.parametrize("fault", ["repeated", "foreign"])
def test_rows_of_other_chunks_leave_the_finished_ones(
    server: FakeTap, tmp_path: Path, progress: Progress, fault: str
) -> None:
    _fetch(_client(server), tmp_path, progress, SETTINGS, CHUNKS[:1])
    done = read_json(tmp_path / "table" / "manifest.json")["pieces"]
    setattr(server.faults, fault, True)
    with pytest.raises(ArchiveError) as caught:
        _fetch(_client(server), tmp_path, progress)
    assert (caught.value.file, caught.value.item) == (server.url, str(CHUNKS[1]))
    assert caught.value.found
    assert "once" in str(caught.value.expected)
    assert read_json(tmp_path / "table" / "manifest.json")["pieces"] == done
    setattr(server.faults, fault, False)
    manifest, _ = _fetch(_client(server), tmp_path, progress)
    _check(manifest)


def test_answers_left_unread_hold_no_connection(
    server: FakeTap, tmp_path: Path, progress: Progress
) -> None:
    """One connection is enough for all, also while no garbage is collected."""
    server.faults.times = Counter(
        {"202 at count": 2, "HTML at submit": 1, "job lost": 1, "ERROR": 1}
    )
    gc.disable()
    try:
        client = _client(server, replace(POLITE, connections_per_host=1))
        manifest, _ = _fetch(client, tmp_path, progress)
    finally:
        gc.enable()
    _check(manifest)


@pytest.mark.parametrize("kind", ["pyvo", "astroquery"])
def test_every_query_has_a_row_limit(
    server: FakeTap, tmp_path: Path, progress: Progress, kind: str
) -> None:
    """Of counts the server of the test asserts it."""
    client: TapClient = _client(server) if kind == "pyvo" else GaiaClient(server.root)
    limits: list[int] = []
    look = server.look

    def seen(name: str) -> object:
        limits.append(server.jobs[name].maxrec)
        return look(name)

    server.look = seen  # type: ignore[method-assign, assignment]
    manifest, _ = _fetch(client, tmp_path, progress)
    _check(manifest)
    assert limits
    assert max(limits) <= SETTINGS.rows_per_chunk + 1


def test_a_password_is_written_nowhere(
    server: FakeTap,
    tmp_path: Path,
    progress: Progress,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither in what is fetched, nor in lists and notes, nor in a log, with all it may say."""
    secret, sent = "hunter2-%41", []
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(tap_gaia.USER, "somebody")
    monkeypatch.setenv(tap_gaia.PASSWORD, secret)
    monkeypatch.setattr("mwatlas.archive.routes.GAIA_ARCHIVE", f"{server.root}/")
    monkeypatch.setattr("mwatlas.archive.routes._FEWEST_CHUNKS", 4)
    monkeypatch.setattr(
        tap_gaia.TapPlus, "login", lambda _, user, password: sent.append((user, password))
    )
    route = Route.model_validate(
        {
            "kind": "tap",
            "host": "Gaia archive",
            "url": server.url,
            "table": "gaiadr3.gaia_source",
            "verified": ["unverified"],
        }
    )
    request = TableRequest("gaia_source", "stars", (route,), _query(tmp_path), TABLE)
    clock = FakeClock()
    transport = Transport(POLITE, clock=clock, sleep=clock.sleep)
    settings = Archives(poll_s=0.01, attempts=1)
    server.faults.times = Counter({"500 at count": 1})
    with pytest.raises(ArchiveError) as caught:
        acquire(request, tmp_path / "table", settings, transport, progress)
    path = acquire(request, tmp_path / "table", settings, transport, progress)
    assert read_json(path)["rows"] == len(STARS["source_id"])
    assert sent == [("somebody", secret)] * 2
    written = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert len(written) > 5
    for text in (*written, caplog.text.encode(), str(caught.value).encode()):
        assert secret.encode() not in text


def test_settings_have_no_place_for_a_password() -> None:
    names = " ".join((*Archives.model_fields, *Route.model_fields)).lower()
    assert not any(word in names for word in ("password", "token", "secret", "credential", "user"))
