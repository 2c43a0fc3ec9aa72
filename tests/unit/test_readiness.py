"""What `mwatlas preflight` says before a long run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mwatlas.__main__ import main
from mwatlas.archive.disk import row_bytes
from mwatlas.archive.request import TableRequest
from mwatlas.archive.tap_gaia import PASSWORD, USER
from mwatlas.archive.transport import Transport
from mwatlas.config import load_settings
from mwatlas.reachability import answers_of
from mwatlas.readiness import Finding, finished_runs, preflight, summary, verdict
from tests.faulty_answers import Reply
from tests.faulty_server import FaultyServer

from . import finished_runs as known
from .test_acquire import TABLE, _request, _route

LONG = {"release": "gaiadr3", "data_dir": "nowhere"}


def _by_what(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings}


def test_tables_that_are_there_are_not_asked_for(
    root: Path, server: FaultyServer, transport: Transport, tmp_path: Path
) -> None:
    (tmp_path / "gaiadr3").mkdir()
    (tmp_path / "gaiadr3/stars.parquet").touch()
    acquired = tmp_path / "archive/gaiadr3/galah.main/acquired.json"
    acquired.parent.mkdir(parents=True)
    acquired.touch()
    settings = load_settings(
        {**LONG, "data_dir": str(tmp_path), "archives": {"folder": str(tmp_path / "archive")}}, root
    )
    route = _route("bulk", server.url("/tree/"), files=["GaiaSource_*.csv.gz"])
    wanted = _request(tmp_path, route)
    findings = preflight(settings, {"gaia_source": wanted, "galah.main": wanted}, transport, root)
    assert server.requests == []
    found = _by_what(findings)
    assert found["gaia_source"].found == "your own, 1 file(s)"
    assert found["galah.main"].found.startswith("fetched, ")
    assert verdict(findings) == "mind"  # of the time it is not known how long it takes


def test_each_mirror_is_told_what_came_of_it_and_one_is_enough(
    root: Path, server: FaultyServer, transport: Transport, tmp_path: Path
) -> None:
    settings = load_settings({**LONG, "archives": {"folder": str(tmp_path)}}, root)
    server.script("/tree/_MD5SUM.txt", Reply(200, b"a list"))
    server.script("/busy/capabilities", Reply(503, b"down for repair"))
    routes = (
        _route("tap", server.url("/busy/"), table="gaiadr3.gaia_source"),
        _route("bulk", server.url("/tree/"), files=["G_*.csv.gz"], bytes=9_000_000_000),
    )
    found = _by_what(
        preflight(settings, {"gaia_source": _request(tmp_path, *routes)}, transport, root)
    )
    busy, tree = (found[f"gaia_source by {r.kind} at {r.host}"] for r in routes)
    assert (busy.verdict, tree.verdict) == ("mind", "go")
    assert "HTTP 503, 3 times" in busy.found
    assert "down for repair" in busy.found
    assert "gaia_source" not in found  # which would be a stop
    # 9 GB are 72 Gbit.
    assert found["what is fetched"].found == "9.0 GB, at least 0.0 hours at 1,000 Mbit/s"


def test_bytes_and_hours_follow_from_rows_and_line(
    root: Path, server: FaultyServer, transport: Transport, tmp_path: Path
) -> None:
    """A row of an identifier and a parallax takes 16 bytes; what is there already counts."""
    settings = load_settings(
        {**LONG, "archives": {"folder": str(tmp_path), "megabit_per_s": 10}}, root
    )
    server.script("/tap/capabilities", Reply(200, b"<x/>"))
    route = _route("tap", server.url("/tap"), table="gaiadr3.gaia_source")
    request = TableRequest.of(
        {**_request(tmp_path, route).as_dict(), "expected_rows": 1_000_000_000}
    )
    assert row_bytes(TABLE) == 16
    found = _by_what(preflight(settings, {"gaia_source": request}, transport, root))
    # 16e9 bytes at 10 Mbit/s are 12,800 s.
    assert found["what is fetched"].found == "16.0 GB, at least 3.6 hours at 10 Mbit/s"
    ahead = "about 17.0 GB needed"  # with the files of a tree under way
    assert ahead in found[f"disk of {tmp_path}"].found
    folder = tmp_path / "gaiadr3/gaia_source"
    folder.mkdir(parents=True)
    with (folder / "piece.parquet").open("wb") as stream:
        stream.truncate(5_000_000_000)
    found = _by_what(preflight(settings, {"gaia_source": request}, transport, root))
    assert "about 12.0 GB needed" in found[f"disk of {tmp_path}"].found


def test_inputs_of_studies_to_come_are_looked_at_where_they_are_fetched(
    root: Path, server: FaultyServer, transport: Transport, tmp_path: Path
) -> None:
    """A size that nobody knows is said to be unknown, and is to be minded."""
    settings = load_settings({**LONG, "archives": {"folder": str(tmp_path)}}, root)
    server.script("/map.fits", Reply(200, b"SIMPLE"))
    server.script("/weights.pt", Reply(503, b"down"))
    acquired = tmp_path / "gaiadr3/zgr23/acquired.json"
    acquired.parent.mkdir(parents=True)
    acquired.touch()

    def wanted(name: str, **more: object) -> TableRequest:
        route = _route("file", server.url("/"), files=[name], **more)
        return TableRequest.of({**_request(tmp_path, route).as_dict(), "needed": False})

    requests = {
        "dust": wanted("map.fits"),
        "lb23_weights": wanted("weights.pt", bytes=3_000_000_000),
        "zgr23": wanted("gone.h5"),
    }
    asked = preflight(settings, requests, transport, root)
    assert server.requests == []
    assert not set(requests) & {finding.what for finding in asked}
    found = _by_what(preflight(settings, requests, transport, root, inputs=True))
    assert found["lb23_weights"].found == "none of its routes can be reached"
    assert found["lb23_weights"].verdict == "mind"
    assert found["zgr23"].found.startswith("fetched, ")
    assert found["what is fetched"].found.endswith("; without dust, of unknown size")
    disk = found[f"disk of {tmp_path}"]
    assert disk.found.endswith("about 3.0 GB needed; without dust, of unknown size")
    assert disk.verdict == "mind"


def test_time_memory_and_disk_come_from_finished_runs(
    root: Path, transport: Transport, tmp_path: Path
) -> None:
    run = known.finished_run(tmp_path / "results/small", 16_000, 4)
    assert finished_runs(tmp_path / "results") == []
    (run / "ledger.json").touch()
    assert finished_runs(tmp_path / "results") == [run]
    settings = known.release(root, 10**8, 32)
    found = _by_what(preflight(settings, {}, transport, root, [run], 16))
    assert "hours on 16 cores" in found["time"].found
    assert "GB for the largest job" in found["memory"].found
    assert "GB needed" in found["disk of results"].found
    unknown = _by_what(preflight(settings, {}, transport, root, [tmp_path / "no"], 16))
    assert "unknown: " in unknown["time, memory and disk of the run"].found


def test_credentials_are_told_without_the_password(
    root: Path, transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings({**LONG, "archives": {"folder": str(tmp_path)}}, root)
    transport.session.get = lambda *_, **__: pytest.fail("not asked in this test")  # type: ignore[method-assign]
    route = _route("tap", "https://gea.esac.esa.int/tap-server/tap", table="gaiadr3.gaia_source")
    request = {"gaia_source": _request(tmp_path, route)}
    monkeypatch.setattr("mwatlas.readiness.answers_of", lambda *_: [])
    monkeypatch.delenv(USER, raising=False)
    assert _by_what(preflight(settings, request, transport, root))["Gaia archive"].verdict == "mind"
    monkeypatch.setenv(USER, "somebody")
    monkeypatch.setenv(PASSWORD, "hunter2")
    findings = preflight(settings, request, transport, root)
    assert _by_what(findings)["Gaia archive"].found.startswith("as somebody")
    assert "hunter2" not in "".join(map(str, findings))


def test_the_last_line_decides() -> None:
    fine, odd, bad = (Finding(kind, "x", kind) for kind in ("go", "mind", "stop"))
    assert summary([fine]) == "GO"
    assert summary([fine, odd]) == "GO, but mind: mind"
    assert summary([fine, odd, bad]) == "NO GO, first mend: stop"


def test_the_command_says_go_or_no_go(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With files of the user's own for all there is nothing to ask."""
    (tmp_path / "gaiadr3").mkdir()
    for name in (
        "gaiadr3/stars.parquet",
        "allStar-dr17-synspec_rev1.fits",
        "GALAH_DR3_main_allstar_v2.fits",
    ):
        (tmp_path / name).touch()
    config = tmp_path / "mine.yaml"
    config.write_text(f"data_dir: {tmp_path}\n")
    command = ["mwatlas", "preflight", "gaiadr3", "--root", str(root), "--configfile", str(config)]
    monkeypatch.setattr(sys, "argv", command)
    assert main() == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1].startswith("GO")
    assert any(line.startswith("go   galah.main: your own, 1 file(s)") for line in out)
    assert any("mwatlas 0." in line for line in out)
    assert any(line.startswith("go   GPU: ") for line in out)


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_catalogue_in_a_folder_is_looked_for_there(
    transport: Transport, tmp_path: Path, scheme: str
) -> None:
    (tmp_path / "there").mkdir()
    routes = [_route("hats", f"{scheme}{tmp_path / name}") for name in ("there", "gone")]
    requests = {"gaia_source": _request(tmp_path, *routes)}
    assert [found.verdict for _, _, found in answers_of(requests, transport)] == ["go", "mind"]
