"""Fetching a table by the first of its routes that works, and looking before that."""

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mwatlas.archive.acquire import acquire, polite
from mwatlas.archive.release_check import check_release
from mwatlas.archive.request import ACQUIRED, TableRequest, listed_files, table_requests
from mwatlas.archive.transport import Transport
from mwatlas.config import load_settings
from mwatlas.config.archives import Archives
from mwatlas.config.registry import Route, load_registry
from mwatlas.config.release import FilesSource
from mwatlas.errors import ArchiveError, ConfigError, InputError
from mwatlas.files import read_json
from mwatlas.preflight import source_files, survey_files
from mwatlas.progress import Progress
from mwatlas.readiness import check, preflight, verdict
from mwatlas.tables.column import Column
from mwatlas.tables.table import TableSchema
from tests.faulty_answers import File, Reply, page
from tests.faulty_server import FaultyServer
from tests.unit.ecsv_files import archive_text, random_rows, write_gzip
from tests.unit.fake_tap import serving, stars
from tests.unit.test_tap import TABLE as FAKE_TABLE

QUERY = """-- Stars.
SELECT g.source_id, g.parallax
FROM gaiadr3.gaia_source AS g
WHERE g.parallax IS NOT NULL
  AND g.source_id BETWEEN 0 AND 9223372036854775807  -- chunk
"""
TABLE = TableSchema(
    "gaia_source",
    "Stars",
    (
        Column("source_id", "int64", "", "meta.id", "Identifier"),
        Column("parallax", "float64", "mas", "pos.parallax", "Parallax", nullable=True),
    ),
)
# First identifier of the second file of the tree: HEALPix pixels of level 8 are in the names.
SECOND = 3112 << 43
SETTINGS = Archives(retries=0, interval_s=0, attempts=1)


def _route(kind: str, url: str, **more: object) -> Route:
    return Route.model_validate(
        {"kind": kind, "host": f"Test {kind}", "url": url, "verified": ["unverified"], **more}
    )


def _request(tmp_path: Path, *routes: Route) -> TableRequest:
    query = tmp_path / "stars.adql"
    query.write_text(QUERY)
    return TableRequest("gaia_source", "stars", routes, query, TABLE)


@pytest.fixture
def tree(server: FaultyServer, tmp_path: Path) -> Route:
    """A file tree of two files."""
    listing = ""
    for number, pixels in enumerate(("000000-003111", "003112-786431")):
        rows = random_rows(50, seed=number, first=number * SECOND)
        path = write_gzip(tmp_path / f"GaiaSource_{pixels}.csv.gz", archive_text(rows, tmp_path))
        data = path.read_bytes()
        listing += f"{hashlib.md5(data).hexdigest()}  {path.name}\n"
        server.script(f"/tree/{path.name}", File(data))
    server.script("/tree/_MD5SUM.txt", Reply(200, listing.encode()))
    return _route("bulk", server.url("/tree/"), files=["GaiaSource_*.csv.gz"])


def test_a_route_that_fails_hands_over_to_the_next(
    server: FaultyServer, tree: Route, transport: Transport, tmp_path: Path, progress: Progress
) -> None:
    server.script("/gone/_MD5SUM.txt", page())
    gone = _route("bulk", server.url("/gone/"), files=["GaiaSource_*.csv.gz"])
    request = _request(tmp_path, gone, tree)
    path = acquire(request, tmp_path / "table", SETTINGS, transport, progress)
    said = read_json(path)
    assert (path.name, said["route"], said["url"]) == (ACQUIRED, "bulk", tree.url)
    rows = [random_rows(50, seed=n, first=n * SECOND) for n in range(2)]
    kept = sum(int((~t["parallax"].mask).sum()) for t in rows)
    assert said["rows"] == kept
    found = np.concatenate([pq.read_table(f)["parallax"].to_numpy() for f in listed_files([path])])
    expected = np.concatenate([t["parallax"].compressed() for t in rows])
    np.testing.assert_array_equal(np.sort(found), np.sort(expected))
    # Again, nothing travels.
    asked = len(server.requests)
    first = path.read_bytes()
    path.unlink()
    again = _request(tmp_path, tree)
    assert acquire(again, tmp_path / "table", SETTINGS, transport, progress).read_bytes() == first
    assert len(server.requests) == asked


def test_a_piece_that_was_cut_is_not_read_but_fetched_again(
    server: FaultyServer, tree: Route, transport: Transport, tmp_path: Path, progress: Progress
) -> None:
    request = _request(tmp_path, tree)
    path = acquire(request, tmp_path / "table", SETTINGS, transport, progress)
    first, whole = listed_files([path])[0], listed_files([path])[0].read_bytes()
    first.write_bytes(whole[:100])
    with pytest.raises(InputError, match="is damaged") as caught:
        listed_files([path])
    assert (caught.value.file, caught.value.found) == (first, "100 bytes")
    assert f"remove {path}" in caught.value.remedy
    path.unlink()
    server.requests.clear()
    again = acquire(request, tmp_path / "table", SETTINGS, transport, progress)
    assert listed_files([again])[0].read_bytes() == whole
    assert [r.path for r in server.requests] == [
        "/tree/_MD5SUM.txt",
        "/tree/GaiaSource_000000-003111.csv.gz",
    ]


@pytest.mark.parametrize("change", [{"dtype": "float32"}, {"unit": "arcsec"}])
def test_pieces_of_another_type_or_unit_are_not_handed_on(
    tree: Route, transport: Transport, tmp_path: Path, progress: Progress, change: dict[str, str]
) -> None:
    request = _request(tmp_path, tree)
    acquire(request, tmp_path / "table", SETTINGS, transport, progress)
    columns = [replace(c, **change) if c.name == "parallax" else c for c in TABLE.columns]
    other = replace(request, table=replace(TABLE, columns=tuple(columns)))
    with pytest.raises(InputError, match="another types"):
        acquire(other, tmp_path / "table", SETTINGS, transport, progress)


def test_rows_that_two_files_hold_are_refused_before_they_count_twice(
    server: FaultyServer, tree: Route, transport: Transport, tmp_path: Path, progress: Progress
) -> None:
    good = tmp_path / "GaiaSource_003112-786431.csv.gz"
    rows, name = random_rows(50, seed=1, first=SECOND - 70), f"/tree/{good.name}"
    _serve_second(server, tmp_path, gzip.compress(archive_text(rows, tmp_path).encode()))
    request = _request(tmp_path, tree)
    with pytest.raises(ArchiveError) as caught:
        acquire(request, tmp_path / "table", SETTINGS, transport, progress)
    cause = caught.value.__cause__
    assert isinstance(cause, ArchiveError)
    assert cause.problem == "a part of a table holds rows of another part"
    assert cause.file == server.url(name)
    assert cause.item == "GaiaSource_003112-786431.parquet"
    assert str(cause.found).startswith(f"source_id {SECOND - 70} to ")
    assert str(cause.expected).startswith(f"{SECOND} to ")
    kept = [path.name for path in (tmp_path / "table").rglob("*.parquet")]
    assert kept == ["GaiaSource_000000-003111.parquet"]
    # Once the archive has mended its file, only that one travels.
    _serve_second(server, tmp_path, good.read_bytes())
    server.requests.clear()
    acquire(request, tmp_path / "table", SETTINGS, transport, progress)
    assert [r.path for r in server.requests] == ["/tree/_MD5SUM.txt", name]


def _with_other_words(request: TableRequest) -> None:
    """Edit the query file: a comment, and blanks in a cut."""
    assert request.query is not None
    text = request.query.read_text().replace("Stars", "All stars")
    request.query.write_text(text.replace("IS NOT", "IS  NOT"))


def test_a_query_in_other_words_keeps_the_files_of_a_tree(
    server: FaultyServer, tree: Route, transport: Transport, tmp_path: Path, progress: Progress
) -> None:
    request = _request(tmp_path, tree)
    first = acquire(request, tmp_path / "table", SETTINGS, transport, progress).read_bytes()
    asked = len(server.requests)
    _with_other_words(request)
    assert acquire(request, tmp_path / "table", SETTINGS, transport, progress).read_bytes() == first
    assert len(server.requests) == asked


@pytest.fixture
def by_tap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], TableRequest]:
    """Makes the request of all stars of a service, in few chunks."""
    monkeypatch.setattr("mwatlas.archive.routes._FEWEST_CHUNKS", 2)
    table = TableSchema("gaia_source", "Stars", FAKE_TABLE.columns)
    query = tmp_path / "stars.adql"
    query.write_text(QUERY.replace("g.source_id, g.parallax", ", ".join(table.names)))

    def request(url: str) -> TableRequest:
        route = _route("tap", url, table="gaiadr3.gaia_source")
        return TableRequest("gaia_source", "stars", (route,), query, table)

    return request


def test_a_query_in_other_words_keeps_the_chunks_of_a_service(
    transport: Transport, tmp_path: Path, progress: Progress, by_tap: Callable
) -> None:
    with serving(stars(50)) as tap:
        request = by_tap(tap.url)
        acquire(request, tmp_path / "table", SETTINGS, transport, progress)
        counted = len(tap.counted)
        assert counted
        _with_other_words(request)
        acquire(request, tmp_path / "table", SETTINGS, transport, progress)
        assert len(tap.counted) == counted


def test_rows_of_identifiers_beyond_the_sky_are_fetched_too(
    transport: Transport, tmp_path: Path, progress: Progress, by_tap: Callable
) -> None:
    rows = stars(20)
    ids = rows["source_id"].data
    ids[0], ids[-1] = -5, 12 * 4**12 << 35
    with serving(rows) as tap:
        request = by_tap(tap.url)
        path = acquire(request, tmp_path / "table", SETTINGS, transport, progress)
    found = [
        i for file in listed_files([path]) for i in pq.read_table(file)["source_id"].to_pylist()
    ]
    assert sorted(found) == ids.tolist()


def _serve_second(server: FaultyServer, folder: Path, data: bytes) -> None:
    """Another second file of the tree, and the list that goes with it."""
    first = folder / "GaiaSource_000000-003111.csv.gz"
    files = {first.name: first.read_bytes(), "GaiaSource_003112-786431.csv.gz": data}
    listing = "".join(f"{hashlib.md5(d).hexdigest()}  {name}\n" for name, d in files.items())
    server.script("/tree/_MD5SUM.txt", Reply(200, listing.encode()))
    server.script("/tree/GaiaSource_003112-786431.csv.gz", File(data))


def test_without_a_route_that_works_all_are_named(
    server: FaultyServer, transport: Transport, tmp_path: Path, progress: Progress
) -> None:
    server.script("/gone/_MD5SUM.txt", page())
    gone = _route("bulk", server.url("/gone/"), files=["GaiaSource_*.csv.gz"])
    other = _route("tap", server.url("/tap"), table="gaiadr3.gaia_source")
    with pytest.raises(ArchiveError) as caught:
        acquire(_request(tmp_path, gone, other), tmp_path / "t", SETTINGS, transport, progress)
    text = str(caught.value)
    assert gone.url in text
    assert "Test bulk" in text
    assert "tap at Test tap: the archive refuses a request (HTTP status 404" in text
    assert not (tmp_path / "t" / ACQUIRED).exists()


def test_single_files_stay_as_they_are(
    server: FaultyServer, transport: Transport, tmp_path: Path, progress: Progress
) -> None:
    data = b"SIMPLE  =                    T" * 100
    server.script("/a.fits", File(data))
    digest = hashlib.sha1(data).hexdigest()
    route = _route(
        "file", server.url("/"), files=["a.fits"], checksums={"a.fits": f"sha1:{digest}"}
    )
    path = acquire(_request(tmp_path, route), tmp_path / "t", SETTINGS, transport, progress)
    (file,) = listed_files([path])
    assert file.read_bytes() == data
    file.unlink()
    with pytest.raises(InputError, match="are gone"):
        listed_files([path])


def test_a_request_survives_the_way_to_a_job(tmp_path: Path) -> None:
    request = _request(tmp_path, _route("tap", "https://example.org/tap", table="a.b"))
    assert TableRequest.of(request.as_dict()) == request


@pytest.mark.parametrize("release", ["gaiaedr3", "gaiadr3", "gaiadr4"])
def test_every_table_of_a_gaia_release_can_be_fetched(root: Path, release: str) -> None:
    settings = load_settings({"release": release, "data_dir": "none"}, root)
    requests = table_requests(settings, load_registry(root), root)
    needed = {name for name, request in requests.items() if request.needed}
    assert needed == {"gaia_source", "apogee.allstar", "galah.main"}
    assert set(requests) - needed == set(settings.adapter.inputs)
    source = settings.adapter.source
    assert isinstance(source, FilesSource)
    # Without files of the user's, the graph begins with the lists of what is fetched.
    assert [Path(path).name for path in source_files(settings)] == [ACQUIRED]
    files = [path for tables in survey_files(settings).values() for path in tables.values()]
    assert all(Path(path).name == ACQUIRED for paths in files for path in paths)


def test_a_data_set_that_is_not_registered_is_named(root: Path) -> None:
    settings = load_settings(
        {"release": "gaiadr3", "adapter": {"source": {"fetch": {"dataset": "gaia_dr33"}}}}, root
    )
    with pytest.raises(ConfigError, match="gaia_dr33") as caught:
        table_requests(settings, load_registry(root), root)
    assert caught.value.item == "source.fetch.dataset"


def test_politeness_is_that_of_the_settings() -> None:
    asked = polite(Archives(contact="me@example.org", retries=2, longest_wait_s=9))
    assert (asked.contact, asked.retries) == ("me@example.org", 2)
    assert asked.longest_wait_s != 9


def test_a_release_is_checked_against_a_tree_and_files_before_anything_is_fetched(
    root: Path, server: FaultyServer, tree: Route, transport: Transport, survey_data: Path
) -> None:
    settings = load_settings(
        {
            "release": "gaiadr3",
            "data_dir": str(survey_data),
            "adapter": {
                "source": {"paths": ["gdr3_sm.fits"]},
                "surveys": {"apogee": {"left_out": "no"}, "galah": {"left_out": "no"}},
            },
        },
        root,
    )
    request = TableRequest("gaia_source", "stars", (tree,), None, TABLE)
    own, fetched = check_release(settings, {"gaia_source": request}, transport)
    assert own.good
    assert own.place.endswith("gdr3_sm.fits")
    # The little tree of the test lacks most columns of the adapter.
    assert not fetched.good
    assert "ruwe: missing" in str(fetched)
    assert not any(r.path.endswith("003112-786431.csv.gz") for r in server.requests)


def test_preflight_says_what_can_be_reached_and_stops_if_nothing_can(
    root: Path, server: FaultyServer, tree: Route, transport: Transport, tmp_path: Path
) -> None:
    settings = load_settings({"release": "gaiadr3", "archives": {"folder": str(tmp_path)}}, root)
    good = preflight(settings, {"gaia_source": _request(tmp_path, tree)}, transport, root)
    assert verdict(good) != "stop"
    assert any("HTTP 200" in finding.found for finding in good)
    check(good, tmp_path / "preflight.json")
    assert read_json(tmp_path / "preflight.json")["verdict"] == verdict(good)

    away = _route("bulk", server.url("/away/"), files=["GaiaSource_*.csv.gz"])
    bad = preflight(settings, {"gaia_source": _request(tmp_path, away)}, transport, root)
    assert verdict(bad) == "stop"
    with pytest.raises(InputError, match="cannot start"):
        check(bad, tmp_path / "other.json")
    assert not (tmp_path / "other.json").exists()


def test_preflight_counts_the_room_on_the_disk(
    root: Path, tree: Route, transport: Transport, tmp_path: Path
) -> None:
    settings = load_settings({"release": "gaiadr3", "archives": {"folder": str(tmp_path)}}, root)
    request = TableRequest.of({**_request(tmp_path, tree).as_dict(), "expected_rows": 10**13})
    findings = preflight(settings, {"gaia_source": request}, transport, root)
    room = next(f for f in findings if f.what.startswith("disk"))
    assert room.verdict == "stop"
    assert "160,001.0 GB needed" in room.found


@pytest.mark.parametrize("first", ["nobody", "no gzip file"])
def test_a_place_that_cannot_be_checked_is_one_line_and_the_next_is_checked(
    root: Path, server: FaultyServer, tree: Route, transport: Transport, tmp_path: Path, first: str
) -> None:
    left_out = {name: {"left_out": "no"} for name in ("apogee", "galah")}
    adapter = {"surveys": left_out, "source": {"paths": ["none.fits"]}}
    settings = load_settings({"release": "gaiadr3", "data_dir": "x", "adapter": adapter}, root)
    if first == "nobody":
        with FaultyServer() as gone:
            away = _route("tap", gone.url("/tap"), table="gaiadr3.gaia_source")
        said = "tap at Test tap: not checked: the server gives no proper answer (the archive does"
    else:
        listing = f"{'0' * 32}  GaiaSource_000000-003111.csv.gz\n"
        server.script("/text/_MD5SUM.txt", Reply(200, listing.encode()))
        server.script("/text/GaiaSource_000000-003111.csv.gz", Reply(200, b"source_id\n1\n"))
        away = _route("bulk", server.url("/text/"), files=["GaiaSource_*.csv.gz"])
        said = "bulk at Test bulk: not checked: the beginning of a file cannot be read"
    request = _request(tmp_path, away, tree)
    bad, compared = check_release(settings, {"gaia_source": request}, transport)
    assert f"gaia_source, {said}" in str(bad)
    assert "\n" not in str(bad)
    assert "ruwe: missing" in str(compared)
