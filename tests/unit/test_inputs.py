"""Inputs of all studies: each has a route that works, and every kind of route is looked at."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import astropy.units as u
import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from mwatlas.archive.acquire import acquire
from mwatlas.archive.adql import load_query, reads_table
from mwatlas.archive.release_check import check_release
from mwatlas.archive.request import TableRequest, listed_files, table_requests
from mwatlas.archive.routes import ROUTES
from mwatlas.archive.transport import Transport
from mwatlas.config import load_settings
from mwatlas.config.archives import Archives, Ids, RouteKind
from mwatlas.config.registry import Registry, Route, load_registry
from mwatlas.errors import ArchiveError, ConfigError, InputError
from mwatlas.files import read_json
from mwatlas.preflight import id_files
from mwatlas.progress import Progress
from mwatlas.readiness import preflight
from mwatlas.tables.column import Column
from mwatlas.tables.table import TableSchema
from mwatlas.tables.xp import XP_CONTINUOUS_MEAN_SPECTRUM as XP
from tests.faulty_answers import File, Reply, page
from tests.faulty_server import Exchange, FaultyServer

from .ecsv_files import md5, write_gzip
from .fake_tap import serving, stars
from .xp_rows import Rows, Service, archive_rows, as_table, assert_same

SETTINGS = Archives(retries=0, interval_s=0, attempts=2, ids_per_call=10)
FILES = TableSchema("files", "Files as they are", (), key="")
IDS = Ids(table="apogee.allstar", column="GAIAEDR3_SOURCE_ID")
SOME = 5


@pytest.fixture
def registry(root: Path) -> Registry:
    return load_registry(root)


def _route(kind: str, url: str, **more: Any) -> Route:
    return Route.model_validate(
        {"kind": kind, "host": f"Test {kind}", "url": url, "verified": ["unverified"], **more}
    )


@pytest.fixture
def get(transport: Transport, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Acquire something; what is said of it, with its files."""

    def run(
        *routes: Route,
        folder: str = "t",
        listed: tuple[Path, ...] = (),
        table: TableSchema = FILES,
        ids: Ids | None = None,
    ) -> dict[str, Any]:
        request = TableRequest("thing", "thing", routes, None, table, ids=ids)
        progress = Progress("test", logging.getLogger("mwatlas"))
        path = acquire(request, tmp_path / folder, SETTINGS, transport, progress, listed)
        return {**read_json(path), "paths": listed_files([path])}

    return run


def test_every_kind_of_route_is_implemented(registry: Registry) -> None:
    assert set(ROUTES) == set(get_args(RouteKind))
    for name, dataset in registry.datasets.items():
        assert all(route.kind in ROUTES for route in dataset.routes), name


def test_every_data_set_is_reached_from_its_releases_or_says_why_not(
    registry: Registry, root: Path
) -> None:
    reached: dict[str, set[str]] = {}
    for path in (root / "config/releases").glob("*.yaml"):
        settings = load_settings({"release": path.stem, "data_dir": "none"}, root)
        for request in table_requests(settings, registry, root).values():
            reached.setdefault(request.dataset, set()).add(path.stem)
    for name, dataset in registry.datasets.items():
        assert (name in reached) != bool(dataset.by_hand), name
        assert reached.get(name, set()) <= set(dataset.releases), name


@pytest.mark.parametrize("release", ["gaiadr3", "gaiaedr3", "gaiadr4"])
def test_only_places_that_a_query_can_be_asked_at_are_tried(
    registry: Registry, root: Path, release: str
) -> None:
    settings = load_settings({"release": release, "data_dir": "none"}, root)
    hosts = {}
    for name, request in table_requests(settings, registry, root).items():
        if request.query is not None:
            query = load_query(request.query)
            tap = [route for route in request.routes if route.kind == "tap"]
            assert all(reads_table(query, route.table) for route in tap), name
            hosts[name] = {route.host for route in tap}
    # These mirrors have the table by another name: the query would be refused there.
    gaia = {"ESA"} if release == "gaiadr4" else {"ESA", "AIP", "ARI"}
    expected = {
        "gaiadr3": {"deep_potential": gaia, "xp_sources": gaia, "fidelity": {"GAVO"}},
        "gaiaedr3": {"unwise": {"NOIRLab Astro Data Lab"}, "distances": {"ESA"}},
        "gaiadr4": {},
    }[release]
    assert hosts.items() >= {"gaia_source": gaia, **expected}.items()


@pytest.mark.parametrize("release", ["gaiadr3", "gaiaedr3", "gaiadr4"])
def test_no_release_tries_a_place_that_this_installation_cannot_reach(
    registry: Registry, root: Path, release: str
) -> None:
    """Addresses on the web need nothing more; others, such as s3, a package that is not ours."""
    settings = load_settings({"release": release, "data_dir": "none"}, root)
    for name, request in table_requests(settings, registry, root).items():
        assert all(r.url.startswith(("http://", "https://")) for r in request.routes), name


def test_a_query_that_no_place_serves_is_named(registry: Registry, root: Path) -> None:
    fetch = {"dataset": "gaia_dr3_source", "query": "gavo_fidelity.adql", "routes": ["tap"]}
    settings = load_settings(
        {"release": "gaiadr3", "data_dir": "none", "adapter": {"source": {"fetch": fetch}}}, root
    )
    with pytest.raises(ConfigError, match=r"gavo_fidelity\.adql") as caught:
        table_requests(settings, registry, root)
    assert caught.value.item == "source.fetch.query"
    assert "gaiadr3.gaia_source" in str(caught.value.expected)


def test_addresses_of_files() -> None:
    folder = _route("file", "https://a.org/b", files=["c.fits"])
    query = _route("file", "https://a.org/get?name=", files=["c.fits"])
    assert folder.address_of("c.fits") == "https://a.org/b/c.fits"
    assert query.address_of("c.fits") == "https://a.org/get?name=c.fits"


def _record(server: FaultyServer, files: dict[str, bytes]) -> str:
    """A Zenodo record."""
    listed = []
    for name, data in files.items():
        address = server.script(f"/api/records/5/files/{name}/content", File(data))
        checksum = f"md5:{hashlib.md5(data, usedforsecurity=False).hexdigest()}"
        listed.append(
            {"key": name, "size": len(data), "checksum": checksum, "links": {"self": address}}
        )
    body = json.dumps({"id": 5, "files": listed}).encode()
    server.script("/api/records/5", Reply(200, body, {"Content-Type": "application/json"}))
    return server.url("/records/5")


def test_files_of_a_record_are_those_that_match(
    server: FaultyServer, get: Callable[..., dict[str, Any]]
) -> None:
    url = _record(server, {"cat1.h5": b"one" * 50, "cat2.h5": b"two" * 50, "README": b"text"})
    said = get(_route("record", url, files=["cat*.h5"]))
    assert {p.name: p.read_bytes() for p in said["paths"]} == {
        "cat1.h5": b"one" * 50,
        "cat2.h5": b"two" * 50,
    }
    assert server.asked("/api/records/5/files/README/content") == []
    with pytest.raises(ArchiveError) as caught:
        get(_route("record", url, files=["cat*.h5", "model.tar"]), folder="other")
    assert "other files than the registry says" in str(caught.value.__cause__)
    assert "cat1.h5" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (page("Too busy"), "Too busy"),
        (Reply(200, b'{"files": [{"key": "a"}]}'), "cannot be read"),
        (
            Reply(
                200,
                b'{"files": [{"key": "../a", "size": 1, "checksum": "md5:0", "links": '
                b'{"self": "http://127.0.0.1/"}}]}',
            ),
            "other files than the registry says",
        ),
    ],
)
def test_a_record_that_is_none_is_named(
    server: FaultyServer, get: Callable[..., dict[str, Any]], answer: Reply, message: str
) -> None:
    server.script("/api/records/5", answer)
    with pytest.raises(ArchiveError, match="none of its routes") as caught:
        get(_route("record", server.url("/records/5"), files=["*"]))
    assert message in str(caught.value.__cause__)


def test_a_file_of_a_record_has_the_checksum_that_is_listed(
    server: FaultyServer, get: Callable[..., dict[str, Any]]
) -> None:
    url = _record(server, {"a.h5": b"right" * 50})
    server.script("/api/records/5/files/a.h5/content", File(b"wrong" * 50))
    with pytest.raises(ArchiveError, match="checksum"):
        get(_route("record", url, files=["*"]))


def _dust_map(density: np.ndarray) -> bytes:
    """A map in the format of the real one, with a density for each of its shells."""
    cube = np.repeat(density[:, None], 12, axis=1)
    edges = np.linspace(69, 1250, density.size + 1)
    parts: list[Any] = [fits.PrimaryHDU(cube), fits.ImageHDU(0.1 * cube, name="std.")]
    for part in parts:
        part.header["NSIDE"], part.header["ORDERING"] = 1, "NESTED"
    for name, values in (("centers", (edges[1:] + edges[:-1]) / 2), ("boundaries", edges)):
        column = fits.Column(f"radial pixel {name}", "D", array=values)
        parts.append(fits.BinTableHDU.from_columns([column]))
    out = io.BytesIO()
    fits.HDUList(parts).writeto(out)
    return out.getvalue()


def test_dustmaps_reads_the_dust_map_where_it_is_put(
    registry: Registry, server: FaultyServer, get: Callable[..., dict[str, Any]]
) -> None:
    (route,) = registry.datasets["dust_edenhofer"].routes
    (name,) = route.files
    url = _record(server, {name: _dust_map(np.full(6, 3e-4))})
    (file,) = get(route.model_copy(update={"url": url, "checksums": {}}))["paths"]

    from dustmaps.edenhofer2023 import Edenhofer2023Query

    dust = Edenhofer2023Query(map_fname=str(file))
    distance = [300.0, 600.0, 900.0] * u.pc
    where = SkyCoord(
        l=[40.0] * 3 * u.deg, b=[30.0] * 3 * u.deg, distance=distance, frame="galactic"
    )
    # Interpolated as logarithms of equal numbers, in double precision.
    np.testing.assert_allclose(dust.query(where), 3e-4, rtol=1e-12)


@pytest.fixture
def spectra(survey_data: Path) -> Rows:
    rows = archive_rows(survey_data)
    return {i: rows[i] for i in sorted(rows)}


@pytest.fixture
def allstar(spectra: Rows, tmp_path: Path) -> Path:
    """A survey's table that lists some of the sources, one without spectrum, and no source."""
    ids = [0, *list(spectra)[::SOME], 4295806721]
    columns = [fits.Column("GAIAEDR3_SOURCE_ID", "K", array=np.array(ids))]
    path = tmp_path / "allStar.fits"
    fits.BinTableHDU.from_columns(columns).writeto(path)
    return path


def _tree(server: FaultyServer, rows: Rows, folder: Path) -> Route:
    """The spectra as the archive's files, ECSV with arrays in brackets; missing ones null."""
    out = io.StringIO()
    complete = [row for row in rows.values() if row["bp_coefficients"]]
    as_table(complete[:1]).write(out, format="ascii.ecsv", delimiter=",")
    head = [line for line in out.getvalue().splitlines() if line.startswith("#")]
    listing = ""
    edges = ("000000-200000", "200001-600000", "600001-786431")
    for pixels in edges:
        first, last = (int(edge) << 43 for edge in pixels.split("-"))
        mine = [row for i, row in rows.items() if first <= i < last + (1 << 43)]
        lines = [*head, ",".join(XP.names)]
        for row in mine:
            cells = [row[name].replace("(", '"[').replace(")", ']"') for name in XP.names]
            lines.append(",".join(cell or "null" for cell in cells))
        name = f"XpContinuousMeanSpectrum_{pixels}.csv.gz"
        path = write_gzip(folder / name, "\n".join(lines) + "\n")
        listing += f"{md5(path)}  {name}\n"
        server.script(f"/tree/{name}", File(path.read_bytes()))
    server.script("/tree/_MD5SUM.txt", Reply(200, listing.encode()))
    return _route("bulk", server.url("/tree/"), files=["XpContinuousMeanSpectrum_*.csv.gz"])


def test_spectra_of_a_surveys_stars_come_by_datalink_or_from_the_tree(
    spectra: Rows,
    allstar: Path,
    server: FaultyServer,
    get: Callable[..., dict[str, Any]],
    tmp_path: Path,
) -> None:
    wanted = {i: spectra[i] for i in list(spectra)[::SOME]}
    server.script("/data", Service(spectra))
    url = server.url("/data")
    datalink = _route("datalink", url, table="XP_CONTINUOUS", data_release="Gaia DR3")
    said = get(datalink, table=XP, ids=IDS, listed=(allstar,))
    assert (said["route"], said["rows"]) == ("datalink", len(wanted))
    table = pq.read_table(said["paths"])
    assert_same(table, wanted)
    asked = len(server.requests)
    assert get(datalink, table=XP, ids=IDS, listed=(allstar,)) == said
    assert len(server.requests) == asked

    # The service is away: the files have the same rows, missing BP included.
    server.script("/data", page())
    tree = _tree(server, spectra, tmp_path)
    other = get(datalink, tree, folder="other", table=XP, ids=IDS, listed=(allstar,))
    assert (other["route"], other["rows"]) == ("bulk", len(wanted))
    assert_same(pq.read_table(other["paths"]).sort_by("source_id"), wanted)
    assert any(not row["bp_coefficients"] for row in wanted.values())

    # Files without any of the sources are not fetched.
    few = tmp_path / "few.fits"
    first = np.array(list(wanted)[:1])
    fits.BinTableHDU.from_columns([fits.Column("GAIAEDR3_SOURCE_ID", "K", array=first)]).writeto(
        few
    )
    get(tree, folder="few", table=XP, ids=IDS, listed=(few,))
    files = [r.path for r in server.requests if r.path.startswith("/tree/Xp")]
    assert len(files) == 3 + 1


def test_another_list_of_sources_is_another_request(
    spectra: Rows, allstar: Path, server: FaultyServer, get: Callable[..., dict[str, Any]]
) -> None:
    server.script("/data", Service(spectra))
    url = server.url("/data")
    datalink = _route("datalink", url, table="XP_CONTINUOUS", data_release="Gaia DR3")
    get(datalink, table=XP, ids=IDS, listed=(allstar,))
    ids = fits.getdata(allstar)["GAIAEDR3_SOURCE_ID"][:-2]
    column = fits.Column("GAIAEDR3_SOURCE_ID", "K", array=ids)
    fits.BinTableHDU.from_columns([column]).writeto(allstar, overwrite=True)
    with pytest.raises(InputError, match="what another request fetched") as caught:
        get(datalink, table=XP, ids=IDS, listed=(allstar,))
    assert "another ids" in str(caught.value)


def test_a_product_without_a_list_of_sources_is_refused(
    server: FaultyServer, get: Callable[..., dict[str, Any]]
) -> None:
    url = server.url("/data")
    datalink = _route("datalink", url, table="XP_CONTINUOUS", data_release="Gaia DR3")
    with pytest.raises(ConfigError, match="needs a list of sources"):
        get(datalink, table=XP)


def test_the_list_is_a_survey_of_the_release(registry: Registry, root: Path) -> None:
    settings = load_settings({"release": "gaiadr3", "data_dir": "none"}, root)
    request = table_requests(settings, registry, root)["xp_continuous"]
    assert request.ids == IDS
    assert request.table == XP
    assert TableRequest.of(request.as_dict()) == request
    (path,) = id_files(settings, request)
    assert path.endswith("gaiadr3/apogee.allstar/acquired.json")
    # Another input may list them, too; without the survey there is no list.
    other = replace(request, ids=Ids(table="xp_sources"))
    assert id_files(settings, other)[0].endswith("gaiadr3/xp_sources/acquired.json")
    left_out = {"surveys": {"apogee": {"left_out": "no files"}}}
    alone = load_settings({"release": "gaiadr3", "data_dir": "none", "adapter": left_out}, root)
    assert "xp_continuous" not in table_requests(alone, registry, root)
    wrong = {"inputs": {"xp_continuous": {"fetch": {"ids": {"table": "apogee.allstars"}}}}}
    adapter = load_settings({"release": "gaiadr3", "data_dir": "none", "adapter": wrong}, root)
    with pytest.raises(ConfigError, match="allstars") as caught:
        table_requests(adapter, registry, root)
    assert caught.value.item == "inputs.xp_continuous.fetch.ids"


def test_a_check_before_the_run_looks_at_every_kind_of_route(
    root: Path, server: FaultyServer, transport: Transport, tmp_path: Path
) -> None:
    settings = load_settings(
        {
            "release": "gaiadr3",
            "data_dir": str(tmp_path),
            "archives": {"folder": str(tmp_path)},
            "adapter": {"surveys": {"apogee": {"left_out": "no"}, "galah": {"left_out": "no"}}},
        },
        root,
    )
    server.script("/data", Reply(400, b"RETRIEVAL_TYPE is missing"))
    server.script("/get", File(b"x" * 100))
    url = _record(server, {"a.h5": b"a" * 50})
    routes = {
        "spectra": _route(
            "datalink", server.url("/data"), table="XP_CONTINUOUS", data_release="Gaia DR3"
        ),
        "survey": _route("file", server.url("/get?name="), files=["a.fits"]),
        "model": _route("record", url, files=["*"]),
    }
    tables = {"spectra": XP}
    requests = {
        name: TableRequest(name, name, (route,), None, tables.get(name, FILES))
        for name, route in routes.items()
    }
    findings = {f.what: f for f in preflight(settings, requests, transport, root)}
    for name, route in routes.items():
        assert findings[f"{name} by {route.kind} at {route.host}"].verdict == "go"
    server.script("/data", Reply(404))
    away = preflight(settings, {"spectra": requests["spectra"]}, transport, root)
    assert any(f.what == "spectra" and f.verdict == "stop" for f in away)
    # Only the release's own table, which is not there, is a fault.
    checked = {c.table: c for c in check_release(settings, requests, transport)}
    assert set(checked) == {"gaia_source"}


class _Tap:
    """A server that answers with the columns of its table, and knows no other."""

    def __init__(self, columns: dict[str, tuple[str, str]]) -> None:
        self.columns = columns
        self.asked: list[str] = []

    def __call__(self, exchange: Exchange) -> None:
        text = exchange.request_made.form["QUERY"]
        self.asked.append(text)
        select = text.partition("FROM")[0]
        names = self.columns if "*" in select else re.findall(r'"(\w[\w-]*)"', select)
        lost = [name for name in names if name not in self.columns]
        fields = [
            f'<FIELD name="{n}" datatype="{self.columns[n][0]}" unit="{self.columns[n][1]}"/>'
            for n in names
            if n not in lost
        ]
        status = f'<INFO name="QUERY_STATUS" value="{"ERROR" if lost else "OK"}">{lost}</INFO>'
        table = f"<TABLE>{''.join(fields)}<DATA><TABLEDATA/></DATA></TABLE>"
        body = (
            '<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
            f'<RESOURCE type="results">{status}{"" if lost else table}</RESOURCE></VOTABLE>'
        )
        xml = {"Content-Type": "application/x-votable+xml"}
        Reply(400 if lost else 200, body.encode(), xml)(exchange)


def test_a_query_is_compared_by_what_it_gives_else_by_its_table(
    registry: Registry, root: Path, server: FaultyServer, transport: Transport
) -> None:
    left_out = {name: {"left_out": "no"} for name in ("apogee", "galah")}
    settings = load_settings(
        {"release": "gaiadr3", "data_dir": "none", "adapter": {"surveys": left_out}}, root
    )
    request = table_requests(settings, registry, root)["open_clusters"]
    url = server.url("/tap")
    local = tuple(r.model_copy(update={"url": url}) for r in request.routes if r.kind == "tap")
    requests = {"open_clusters": replace(request, routes=local)}
    words = {"float64": "double", "int32": "int", "string": "char"}
    served = {c.name: (words[c.dtype], c.unit) for c in request.table.columns}

    tap = _Tap({**served, "recno": ("int", "")})
    server.script("/tap/sync", tap)
    (checked,) = [
        c for c in check_release(settings, requests, transport) if c.table != "gaia_source"
    ]
    assert checked.good, str(checked)
    assert len(tap.asked) == 1

    tap = _Tap({name: kind for name, kind in served.items() if name != "CST"})
    server.script("/tap/sync", tap)
    (checked,) = [
        c for c in check_release(settings, requests, transport) if c.table != "gaia_source"
    ]
    assert "CST: missing" in str(checked)
    assert tap.asked[1] == 'SELECT TOP 1 * FROM "J/A+A/673/A114/clusters"'


@pytest.mark.parametrize(
    ("key", "rows", "chunks", "end"),
    [("source_id", 400, 1, 2**63), ("source_id", None, 192, 2**63), ("nest4096", None, 192, 2**28)],
)
def test_a_query_is_cut_in_pieces_along_its_key(
    transport: Transport,
    tmp_path: Path,
    progress: Progress,
    key: str,
    rows: int | None,
    chunks: int,
    end: int,
) -> None:
    query = tmp_path / "rows.adql"
    query.write_text(f"SELECT {key}\nFROM a.b\nWHERE {key} BETWEEN 0 AND 1 -- chunk\n")
    table = TableSchema("b", "Rows", (Column(key, "int64", "", "meta.id", "Key"),), key)
    with serving(stars(0)) as tap:
        route = _route("tap", tap.url, table="a.b")
        request = TableRequest("b", "b", (route,), query, table, expected_rows=rows)
        acquire(request, tmp_path / "t", SETTINGS, transport, progress)
        assert len(tap.counted) == chunks + 2
        # The last but the rest begins in the last part of the sky, whatever it is counted by.
        *_, last, beyond = sorted(tap.counted)
        assert last == (chunks - 1) * 12 * 4**12 // chunks * (end // 2**28)
        assert beyond == 12 * 4**12 * (end // 2**28)
