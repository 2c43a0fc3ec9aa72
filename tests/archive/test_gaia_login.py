"""Astroquery's Gaia client, with and without an account, before the same server."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mwatlas.archive import routes
from mwatlas.archive.acquire import acquire
from mwatlas.archive.adql import Query, count_query, same_rows
from mwatlas.archive.manifest import Manifest
from mwatlas.archive.request import listed_files, table_requests
from mwatlas.archive.tap import fetch_by_tap
from mwatlas.archive.tap_chunks import equal_chunks
from mwatlas.archive.tap_client import PyvoClient
from mwatlas.archive.tap_gaia import PASSWORD as PASSWORD_VARIABLE
from mwatlas.archive.tap_gaia import USER as USER_VARIABLE
from mwatlas.archive.tap_gaia import GaiaClient
from mwatlas.archive.tap_patience import TapSettings
from mwatlas.archive.transport import Transport
from mwatlas.config import load_settings
from mwatlas.config.archives import Archives
from mwatlas.config.registry import load_registry
from mwatlas.errors import ArchiveError
from mwatlas.files import read_json
from mwatlas.progress import Progress
from mwatlas.tables.table import TableSchema

from .expected import expected_rows
from .front import PASSWORD, USER, GaiaFront
from .routes import NAME, Recorded, check
from .sky import Loaded


class RecordedClient(Recorded, GaiaClient):
    pass


def test_counts_are_those_of_pyvo(
    front: GaiaFront,
    client: PyvoClient,
    load: Callable[[str], Query],
    tables: dict[str, Loaded],
) -> None:
    text = count_query(load(NAME), 0, 2**63 - 1)
    assert GaiaClient(front.url).count(text) == client.count(text)
    assert client.count(text) == len(expected_rows(tables, NAME))


def test_jobs_give_the_same_rows_and_cut_off_answers_are_split(
    front: GaiaFront,
    tables: dict[str, Loaded],
    contracts: dict[str, TableSchema],
    load: Callable[[str], Query],
    tmp_path: Path,
    progress: Progress,
) -> None:
    """Astroquery does not tell the server's limit: the first answer is cut off."""
    client = RecordedClient(front.url)
    manifest = Manifest(tmp_path / "table", {})
    settings = TapSettings(poll_s=0.3, pause_s=0.1, attempts=2)
    query, table = load(NAME), contracts[NAME]
    fetch_by_tap(client, query, equal_chunks(1), table, manifest, settings, progress)
    check(manifest, tables, table.names)
    assert len(client.created) == len([piece for piece in manifest.pieces if piece.rows]) + 1
    assert not any(asked.known for asked in front.asked)


def test_a_user_with_an_account_is_logged_in_and_gets_the_table(
    root: Path,
    front: GaiaFront,
    tables: dict[str, Loaded],
    load: Callable[[str], Query],
    tmp_path: Path,
    transport: Transport,
    progress: Progress,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(USER_VARIABLE, USER)
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    monkeypatch.setattr(routes, "GAIA_ARCHIVE", front.url)
    release = load_settings({"release": "gaiadr3"}, root)
    request = table_requests(release, load_registry(root), root)["gaia_source"]
    here = next(r for r in request.routes if r.kind == "tap").model_copy(update={"url": front.tap})
    # Of the whole archive more are expected, and asked for in more chunks than this sky has stars.
    request = replace(request, routes=(here,), expected_rows=500)
    settings = Archives(rows_per_chunk=500, poll_s=0.3)
    path = acquire(request, tmp_path / "fetched", settings, transport, progress)
    (folder,) = {file.parent for file in listed_files([path])}
    noted = read_json(folder / "manifest.json")["request"]
    assert noted["query"] == same_rows(load(NAME))
    check(Manifest(folder, noted), tables, request.table.names)
    # The login itself, then everything with its cookie.
    assert [asked.known for asked in front.asked] == [False] + [True] * (len(front.asked) - 1)
    assert front.asked[0].path == "/tap-server/login"
    _check_secret(tmp_path, caplog, capfd)


def test_a_wrong_password_is_refused_and_not_repeated(
    front: GaiaFront,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ArchiveError, match="does not let the user in") as caught:
        GaiaClient(front.url, (USER, f"not {PASSWORD}"))
    assert PASSWORD not in str(caught.value)
    assert [asked.path for asked in front.asked] == ["/tap-server/login"]
    _check_secret(tmp_path, caplog, capfd)


def _check_secret(
    folder: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """The password is in no log, no output and no file."""
    assert PASSWORD not in caplog.text
    assert PASSWORD not in "".join(capfd.readouterr())
    for path in folder.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes()
