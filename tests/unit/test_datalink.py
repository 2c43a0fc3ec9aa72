"""The `datalink` route: real spectra, value by value, and a service that misbehaves."""

import gzip
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from mwatlas.archive.datalink import DataLink, fetch_products, listed_ids
from mwatlas.archive.manifest import Manifest
from mwatlas.archive.transport import Transport
from mwatlas.errors import ArchiveError, InputError
from mwatlas.progress import Progress
from mwatlas.tables.xp import XP_CONTINUOUS_MEAN_SPECTRUM as XP
from tests.faulty_answers import File, Reply, page, reset
from tests.faulty_server import Exchange, FaultyServer

from .xp_rows import Rows, Service, archive_rows, as_table, assert_same, csv_text, votable, zipped

REQUEST = {"product": "XP_CONTINUOUS"}
NO_BP = 5405570973190252288


@pytest.fixture(scope="module")
def rows(survey_data: Path) -> Rows:
    return archive_rows(survey_data)


@pytest.fixture
def few(rows: Rows) -> Rows:
    """Five of them, with the one without BP."""
    return {i: rows[i] for i in [*sorted(set(rows) - {NO_BP})[:4], NO_BP]}


@pytest.fixture
def fetch(server: FaultyServer, transport: Transport, tmp_path: Path) -> Callable[..., Manifest]:
    def run(ids: Any, folder: str = "xp", **options: Any) -> Manifest:
        manifest = Manifest(tmp_path / folder, REQUEST)
        service = DataLink(server.url("/data"), "XP_CONTINUOUS", "Gaia DR3", **options)
        progress = Progress("test", logging.getLogger("mwatlas"))
        wanted = np.array(sorted(ids), dtype=np.int64)
        fetch_products(service, wanted, XP, manifest, transport, progress)
        return manifest

    return run


def _table(manifest: Manifest) -> pa.Table:
    return pa.concat_tables(pq.read_table(file) for file in manifest.files)


def _asked(server: FaultyServer) -> list[list[int]]:
    return [[int(i) for i in r.form["ID"].split(",")] for r in server.asked("/data")]


def test_real_spectra_arrive_value_by_value(
    rows: Rows, server: FaultyServer, fetch: Callable[..., Manifest]
) -> None:
    server.script("/data", Service(rows))
    absent = {12, 4295806721, max(rows) + 1}
    manifest = fetch([*rows, *absent], ids_per_call=10)
    table = _table(manifest)
    assert_same(table, rows)
    without = {i for piece in manifest.pieces for i in piece.detail["without"]}
    assert without == absent
    assert sum(piece.detail["asked"] for piece in manifest.pieces) == len(rows) + len(absent)
    # What is left out is asked for once more, beside one that came; no call is too long.
    asked = _asked(server)
    assert max(map(len, asked)) <= 10
    again = [call for call in asked if set(call[1:]) <= absent]
    assert [len(call) for call in again] == [3, 2]
    assert {call[0] for call in again} <= set(rows)
    assert len(asked) == len(manifest.pieces) + len(again)
    form = server.asked("/data")[0].form
    assert form["RETRIEVAL_TYPE"] == "XP_CONTINUOUS"
    assert (form["RELEASE"], form["DATA_STRUCTURE"]) == ("Gaia DR3", "RAW")
    no_bp = table.filter(pa.compute.equal(table["source_id"], NO_BP))
    assert no_bp["bp_n_measurements"].to_pylist() == [None]
    assert np.isnan(no_bp["bp_coefficients"].to_pylist()).all()
    assert np.isfinite(no_bp["rp_coefficient_correlations"].to_pylist()).all()


def _ecsv(rows: list[dict[str, str]]) -> bytes:
    """With the units and types in a header, and the rows as in CSV."""
    out = io.StringIO()
    as_table([row for row in rows if row["bp_coefficients"]]).write(
        out, format="ascii.ecsv", delimiter=","
    )
    head = [line for line in out.getvalue().splitlines() if line.startswith("#")]
    return "\n".join([*head, csv_text(rows).decode()]).encode()


@pytest.mark.parametrize(
    "pack",
    [
        csv_text,
        votable,
        lambda rows: zipped(raw_xml=votable(rows)),
        lambda rows: zipped(raw_ecsv=_ecsv(rows)),
        lambda rows: zipped(a_csv=csv_text(rows[:2]), b_csv=csv_text(rows[2:])),
    ],
    ids=["csv", "votable", "zipped votable", "zipped ecsv", "two files"],
)
def test_every_form_of_an_answer_gives_the_same_bytes(
    few: Rows, server: FaultyServer, fetch: Callable[..., Manifest], pack: Callable
) -> None:
    server.script("/data", Service(few))
    usual = fetch(few)
    assert_same(_table(usual), few)
    server.script("/data", Service(few, pack))
    other = fetch(few, "other")
    assert [f.read_bytes() for f in other.files] == [f.read_bytes() for f in usual.files]


def test_a_partial_answer_is_completed(
    few: Rows, server: FaultyServer, fetch: Callable[..., Manifest]
) -> None:
    service, lost = Service(few), sorted(few)[1:3]

    def partial(exchange: Exchange) -> None:
        body = service.body(exchange, **{f"s{i}": None for i in lost})
        Reply(200, body)(exchange)

    server.script("/data", partial, service)
    manifest = fetch(few)
    assert_same(_table(manifest), few)
    assert manifest.pieces[0].detail["without"] == []
    assert _asked(server)[1] == [sorted(few)[0], *lost]


def test_an_answer_that_loses_what_it_had_is_not_believed(
    few: Rows, server: FaultyServer, fetch: Callable[..., Manifest]
) -> None:
    service = Service(few)
    nothing = Service({})
    server.script("/data", service, nothing, service)
    manifest = fetch([*few, 7])
    assert manifest.pieces[0].detail["without"] == [7]
    server.script("/data", service, nothing)
    with pytest.raises(ArchiveError, match="no complete answer") as caught:
        fetch([*few, 7], "other", attempts=2)
    assert "is left out" in str(caught.value.found)


def test_a_service_without_any_of_the_products_is_an_error(
    few: Rows, server: FaultyServer, fetch: Callable[..., Manifest]
) -> None:
    server.script("/data", Service({}))
    with pytest.raises(ArchiveError, match="none of the products"):
        fetch(few)
    # A batch may have none, if another one had.
    server.script("/data", Service(few))
    manifest = fetch([*few, *(max(few) + 1 + n for n in range(5))], ids_per_call=5)
    assert [len(piece.detail["without"]) for piece in manifest.pieces] == [0, 5]
    assert_same(_table(manifest), few)


def _cut_off(service: Service) -> Callable[[Exchange], None]:
    def answer(exchange: Exchange) -> None:
        body = service.body(exchange)
        Reply(200, body[: len(body) // 2])(exchange)

    return answer


def _broken_off(service: Service) -> Callable[[Exchange], None]:
    def answer(exchange: Exchange) -> None:
        File(service.body(exchange), ranges=False, stop_after=5000)(exchange)

    return answer


def _flipped(service: Service) -> Callable[[Exchange], None]:
    def answer(exchange: Exchange) -> None:
        body = bytearray(service.body(exchange))
        body[len(body) // 2] ^= 255
        Reply(200, bytes(body))(exchange)

    return answer


@pytest.mark.parametrize("fault", ["cut off", "broken off", "flipped bit", "503", "reset"])
def test_a_fault_that_passes_is_survived(
    few: Rows, server: FaultyServer, fetch: Callable[..., Manifest], fault: str
) -> None:
    service = Service(few)
    first = {
        "cut off": _cut_off(service),
        "broken off": _broken_off(service),
        "flipped bit": _flipped(service),
        "503": Reply(503, b"busy"),
        "reset": reset,
    }[fault]
    server.script("/data", first, service)
    assert_same(_table(fetch(few)), few)
    assert len(server.asked("/data")) == 2


def _spoilt(body: bytes) -> dict[str, bytes]:
    packed = gzip.compress(body)
    return {
        "cut in the middle": body[: len(body) // 2],
        "empty": b"",
        "error text": b"Service busy, try later",
        "packed and cut off": zipped(raw_csv_gz=packed[: len(packed) // 2]),
    }


@pytest.mark.parametrize("fault", [*_spoilt(b"")])
def test_a_broken_text_is_asked_for_again_and_named_if_it_stays(
    few: Rows, server: FaultyServer, fetch: Callable[..., Manifest], fault: str
) -> None:
    bad = Reply(200, _spoilt(csv_text(few.values()))[fault])
    server.script("/data", bad, Service(few, csv_text))
    assert_same(_table(fetch(few)), few)
    server.script("/data", bad)
    with pytest.raises(ArchiveError, match="no complete answer") as caught:
        fetch(few, "other", attempts=2)
    assert caught.value.file == server.url("/data")
    assert f"source_id {min(few)} to {max(few)}" in str(caught.value.item)
    assert "2 times" in str(caught.value.found)
    assert ".answer-" not in str(caught.value)


def test_a_text_that_may_be_cut_off_unnoticed_is_no_answer(
    few: Rows, server: FaultyServer, fetch: Callable[..., Manifest]
) -> None:
    """Without a length, one that lacks its last digits looks like a whole one."""
    body = csv_text(few.values()).rstrip()
    server.script("/data", File(body[:-2], ranges=False, sized=False))
    with pytest.raises(ArchiveError, match="neither a length nor chunks"):
        fetch(few)
    # What shows its own end is taken, and so are chunks.
    for number, whole in enumerate(
        (
            File(zipped(raw_csv=body), ranges=False, sized=False),
            File(votable(few.values()), ranges=False, sized=False),
            File(body, ranges=False, chunked=True),
        )
    ):
        server.script("/data", whole)
        assert_same(_table(fetch(few, f"whole{number}")), few)


def _with(row: dict[str, str], **cells: str) -> dict[str, str]:
    return {**row, **cells}


@pytest.mark.parametrize("fault", ["page", "202", "404", "twice", "foreign", "column", "length"])
def test_a_wrong_answer_is_named_and_what_was_fetched_stays(
    few: Rows, server: FaultyServer, fetch: Callable[..., Manifest], tmp_path: Path, fault: str
) -> None:
    service, ids = Service(few), sorted(few)
    last = few[ids[-1]]
    foreign = _with(last, source_id="99")
    short = _with(last, rp_coefficients="(1.0, 2.0)")

    def packed(*rows: dict[str, str]) -> Reply:
        return Reply(200, zipped(raw_csv=csv_text(rows)))

    wrong, message = {
        "page": (page("Maintenance"), "Maintenance"),
        "202": (Reply(202), "HTTP 202"),
        "404": (Reply(404), "HTTP 404"),
        "twice": (packed(last, last), "a source twice"),
        "foreign": (packed(last, foreign), "not asked for"),
        "column": (Reply(200, zipped(raw_csv=b"source_id,flux\n1,2\n")), "rp_coefficients"),
        "length": (packed(short), "another length"),
    }[fault]
    server.script("/data", service, service, wrong)
    with pytest.raises(ArchiveError) as caught:
        fetch(few, ids_per_call=2)
    assert message in str(caught.value)
    kept = Manifest(tmp_path / "xp", REQUEST)
    assert [piece.detail["asked"] for piece in kept.pieces] == [2, 2]
    assert list(kept.folder.glob(".answer-*")) == []
    (kept.folder / ".answer-killed").mkdir()
    # The next run asks for the rest only, and gives what an undisturbed one gives.
    server.script("/data", service)
    before = len(server.asked("/data"))
    manifest = fetch(few, ids_per_call=2)
    assert _asked(server)[before:] == [ids[4:]]
    assert list(kept.folder.glob(".answer-*")) == []
    whole = fetch(few, "whole", ids_per_call=2)
    assert [f.read_bytes() for f in manifest.files] == [f.read_bytes() for f in whole.files]


def test_a_list_of_sources_is_read_from_tables(tmp_path: Path, few: Rows) -> None:
    ids = np.array([*few, 0, -1, sorted(few)[0]], dtype=np.int64)
    pq.write_table(pa.table({"GAIAEDR3_SOURCE_ID": ids}), tmp_path / "a.parquet")
    as_table(few.values())["source_id",].write(tmp_path / "b.fits")
    assert listed_ids([tmp_path / "a.parquet"], "GAIAEDR3_SOURCE_ID").tolist() == sorted(few)
    assert listed_ids([tmp_path / "b.fits"], "source_id").tolist() == sorted(few)
    pq.write_table(pa.table({"id": ids.astype(float)}), tmp_path / "c.parquet")
    with pytest.raises(InputError, match="not stored as integers"):
        listed_ids([tmp_path / "c.parquet"], "id")
    pq.write_table(pa.table({"id": ids[:0]}), tmp_path / "d.parquet")
    with pytest.raises(InputError, match="empty"):
        listed_ids([tmp_path / "d.parquet"], "id")


def test_a_missing_identifier_of_a_list_is_passed_over(tmp_path: Path) -> None:
    column = fits.Column("source_id", "K", null=7, array=np.array([5, 7, 6], dtype=np.int64))
    fits.BinTableHDU.from_columns([column]).writeto(tmp_path / "a.fits")
    (tmp_path / "b.csv").write_text("source_id,x\n8,1\n,2\n9,3\n")
    pq.write_table(
        pa.table({"source_id": pa.array([10, None], pa.int64())}), tmp_path / "c.parquet"
    )
    files = [tmp_path / name for name in ("a.fits", "b.csv", "c.parquet")]
    assert listed_ids(files, "source_id").tolist() == [5, 6, 8, 9, 10]


def test_batches_may_be_asked_for_at_a_time(
    few: Rows, server: FaultyServer, fetch: Callable[..., Manifest]
) -> None:
    server.script("/data", Service(few))
    one = fetch(few, ids_per_call=2)
    two = fetch(few, "two", ids_per_call=2, calls_at_once=2)
    assert one.pieces == two.pieces
    assert [f.read_bytes() for f in one.files] == [f.read_bytes() for f in two.files]
