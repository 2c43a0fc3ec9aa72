"""The archives' gzip ECSV: every value, and every kind of damage."""

import csv
import errno
import gzip
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from mwatlas.archive import ecsv
from mwatlas.archive.convert import convert, subset
from mwatlas.archive.csv_fields import PADDING, keep_fields
from mwatlas.archive.cuts import Cut, expression
from mwatlas.archive.ecsv import served_columns, stream_batches
from mwatlas.errors import ArchiveError
from mwatlas.tables.gaia import GAIA_SOURCE_FULL
from mwatlas.tables.parquet import from_arrow
from mwatlas.tables.table import TableSchema
from mwatlas.tables.xp import XP_CONTINUOUS_MEAN_SPECTRUM

from .ecsv_files import STARS, archive_text, random_rows, write_gzip


def read(path: Path, table: TableSchema = STARS) -> pa.Table:
    return pa.Table.from_batches(stream_batches(path, table))


def assert_same(found: pa.Table, expected: Table) -> None:
    """Every value, and where values are missing."""
    for name in found.column_names:
        theirs, ours = expected[name], found.column(name)
        gaps = np.ma.getmaskarray(np.ma.asarray(theirs))
        if pa.types.is_fixed_size_list(ours.type):
            np.testing.assert_array_equal(from_arrow(found.select([name]))[name], theirs)
            continue
        np.testing.assert_array_equal(ours.is_null().to_numpy(), gaps, name)
        kept = ours.drop_null().to_pylist()
        np.testing.assert_array_equal(kept, np.asarray(theirs)[~gaps].tolist(), name)


@pytest.fixture
def rows() -> Table:
    return random_rows(400)


@pytest.fixture
def stars(tmp_path: Path, rows: Table) -> Path:
    return write_gzip(tmp_path / "stars.csv.gz", archive_text(rows, tmp_path))


def test_every_value_is_astropys(tmp_path: Path, rows: Table, stars: Path) -> None:
    found = read(stars)
    assert found.schema.names == list(STARS.names)
    assert_same(found, Table.read(tmp_path / "astropy.ecsv", format="ascii.ecsv"))
    assert_same(found, rows)


def test_astropys_own_files_are_read_too(tmp_path: Path, rows: Table) -> None:
    archive_text(rows, tmp_path)
    packed = write_gzip(tmp_path / "a.ecsv.gz", (tmp_path / "astropy.ecsv").read_text())
    assert_same(read(packed), rows)
    assert_same(read(tmp_path / "astropy.ecsv"), rows)


@pytest.mark.parametrize("block", [1 << 10, 5_000, 1 << 16])
def test_blocks_change_nothing(
    stars: Path, rows: Table, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ecsv, "BLOCK_BYTES", block)
    monkeypatch.setattr(ecsv, "_AHEAD_BYTES", 1 << 9)
    batches = list(stream_batches(stars, STARS))
    assert len(batches) > 1
    assert_same(pa.Table.from_batches(batches), rows)


def test_the_header_is_known_without_reading_rows(stars: Path) -> None:
    header = served_columns(stars)
    described = {c.name: (c.dtype, c.unit) for c in header.columns}
    assert described["parallax_error"] == ("float32", "mas")
    assert described["flux"] == ("float32", "electron / s")
    assert header.lengths == {"flux": 3}


def test_several_gzip_members_are_one_file(tmp_path: Path, rows: Table, stars: Path) -> None:
    text = gzip.decompress(stars.read_bytes())
    half = len(text) // 2
    path = tmp_path / "members.csv.gz"
    path.write_bytes(gzip.compress(text[:half]) + gzip.compress(text[half:]))
    assert_same(read(path), rows)


def test_no_rows_and_no_last_newline(tmp_path: Path, stars: Path, rows: Table) -> None:
    text = gzip.decompress(stars.read_bytes()).decode()
    assert_same(read(write_gzip(tmp_path / "a.csv.gz", text.rstrip("\n"))), rows)
    head = [line for line in text.splitlines() if line.startswith(("#", "solution_id"))]
    none = convert(
        write_gzip(tmp_path / "none.csv.gz", "\n".join(head) + "\n"),
        STARS.names,
        STARS,
        [],
        tmp_path / "none.parquet",
    )
    assert (none.rows_read, none.rows_kept) == (0, 0)
    assert pq.read_schema(tmp_path / "none.parquet").names == list(STARS.names)


# Damage. Each message names the file; no piece is left.


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flip(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def _text(old: str, new: str, count: int = 1) -> Any:
    def change(data: bytes) -> bytes:
        text = gzip.decompress(data).decode()
        assert old in text
        return gzip.compress(text.replace(old, new, count).encode())

    return change


def _append(data: bytes, text: str) -> bytes:
    return gzip.compress(gzip.decompress(data).rstrip(b"\n") + text.encode())


def _row(change: Any) -> Any:
    """Change the fifth row."""

    def changed(data: bytes) -> bytes:
        lines = gzip.decompress(data).decode().splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("solution_id")) + 5
        lines[at] = change(lines[at])
        return gzip.compress(("\n".join(lines) + "\n").encode())

    return changed


DAMAGE = {
    "truncated": (_cut, "is cut off"),
    "wrong byte": (_flip, "is damaged"),
    "wrong checksum of gzip": (lambda data: data[:-8] + b"\0\0\0\0" + data[-4:], "is damaged"),
    "empty": (lambda _: b"", "the file is empty"),
    "a page": (lambda _: b"<html>not here</html>", "is damaged"),
    "a page, packed": (lambda _: gzip.compress(b"<html>not here</html>\n"), "have no names"),
    "lacks a column": (_text("parallax_error", "plx_error", 2), "parallax_error: missing"),
    "another unit": (_text("unit: mas", "unit: arcsec"), "parallax: unit; found arcsec"),
    "another type": (
        _text("name: n_obs, datatype: int16", "name: n_obs, datatype: string"),
        "n_obs: dtype; found string",
    ),
    "a length": (_text("float32[3]", "float32[4]"), "flux: length; found 4, expected 3"),
    "names unlike the header": (_text("\nsolution_id,", "\nid,"), "id, solution_id"),
    "another delimiter": (_text("delimiter: ','", "delimiter: ' '"), "not set off by commas"),
    "a broken header": (_text("datatype:", "data: ["), "header cannot be read"),
    "a short row": (_row(lambda line: line.rpartition(",")[0]), "row 5"),
    "a long row": (_row(lambda line: line + ",1"), "row 5"),
    "a yes for a name": (_text("name: designation", "name: yes"), "a column called True"),
    "a carriage return in the names": (_text("\nsolution_id,", "\nsolution_id,a\rb,"), "no names"),
    "packed twice": (gzip.compress, "is no table"),
    "an open quote": (_row(lambda line: line + '"'), "row 5"),
    "an open quote at the end": (lambda data: _append(data, '"'), "no end within"),
    "a word for a number": (_row(lambda line: line.replace(",", ",x", 2)), "source_id"),
    "an overflow": (_text("name: n_obs, datatype: int16", "name: n_obs, datatype: int32"), None),
    "a missing identifier": (
        _row(lambda line: line.replace(line.split(",")[1], "null")),
        "source_id",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(tmp_path: Path, stars: Path, name: str) -> None:
    change, message = DAMAGE[name]
    path, output = tmp_path / "damaged.csv.gz", tmp_path / "piece.parquet"
    path.write_bytes(change(stars.read_bytes()))
    if message is None:  # a wider type that holds every value is harmless
        convert(path, STARS.names, STARS, [], output)
        return
    with pytest.raises(ArchiveError) as raised:
        convert(path, STARS.names, STARS, [], output)
    assert message in str(raised.value)
    assert str(path) in str(raised.value)
    assert list(tmp_path.glob("*.parquet")) == list(tmp_path.glob(".*.parquet")) == []


def test_what_was_read_before_the_damage_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ecsv, "BLOCK_BYTES", 1 << 12)
    monkeypatch.setattr(ecsv, "_AHEAD_BYTES", 1 << 12)
    stars = write_gzip(tmp_path / "s.csv.gz", archive_text(random_rows(3000), tmp_path))
    stars.write_bytes(stars.read_bytes()[:-5000])
    seen = []
    with pytest.raises(ArchiveError, match="is cut off") as raised:
        seen.extend(batch.num_rows for batch in stream_batches(stars, STARS))
    assert f"{sum(seen):,} row(s) could be read" in str(raised.value)
    assert sum(seen) > 0


@pytest.mark.parametrize("cells", ['"[1,2]"', '"[1,2,x]"', '"[1,2,3,4]"'])
def test_arrays_must_fit(tmp_path: Path, cells: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f'source_id,flux\n1,"[1,null, 3.5]"\n2,\n3,{cells}\n')
    with pytest.raises(ArchiveError, match="column of arrays"):
        read(path, subset(STARS, ["source_id", "flux"]))
    path.write_text('source_id,flux\n1,"[1,null, 3.5]"\n2,\n3,"(1e3, nan, -2)"\n')
    found = from_arrow(read(path, subset(STARS, ["flux"])))["flux"]
    nan = np.nan
    np.testing.assert_array_equal(found, [[1, nan, 3.5], [nan] * 3, [1e3, nan, -2]])


# Converting


CUTS = {
    "none": ([], lambda t: np.ones(len(t), bool)),
    "one": ([Cut("n_obs >= 20000")], lambda t: t["n_obs"] >= 20000),
    "missing fails": ([Cut("parallax != 0.5")], lambda t: ~t["parallax"].mask),
    "flag": ([Cut("has_xp = 'true'")], lambda t: t["has_xp"]),
    "text": ([Cut("library = 'MARCS'")], lambda t: (t["library"] == "MARCS").filled(False)),
    "product": (
        [Cut("parallax_error < 0.25 * parallax"), Cut("ra > 90.0")],
        lambda t: (
            (t["parallax_error"].astype(float) < 0.25 * t["parallax"]).filled(False)
            & (t["ra"] > 90)
        ),
    ),
    "nothing passes": ([Cut("ra < -1.0")], lambda t: np.zeros(len(t), bool)),
}


@pytest.mark.parametrize("name", CUTS)
def test_rows_are_cut(tmp_path: Path, stars: Path, rows: Table, name: str) -> None:
    cuts, passes = CUTS[name]
    output = tmp_path / "piece.parquet"
    done = convert(stars, ["parallax", "source_id"], STARS, cuts, output)
    expected = rows[np.asarray(passes(rows))]
    assert (done.rows_read, done.rows_kept) == (len(rows), len(expected))
    found = pq.read_table(output)
    assert found.column_names == ["parallax", "source_id"]
    assert_same(found, expected)


def test_single_precision_is_compared_as_a_database_does() -> None:
    value = np.float32(1.4)  # a little less than 1.4
    table = pa.table({"ruwe": pa.array([value], pa.float32())})
    assert table.filter(expression([Cut("ruwe < 1.4")])).num_rows == 1
    assert table.filter(expression([Cut("ruwe = 1.4")])).num_rows == 0


def test_pieces_carry_units(tmp_path: Path, stars: Path) -> None:
    output = tmp_path / "piece.parquet"
    convert(stars, ["parallax", "flux"], STARS, [], output)
    table = Table.read(output)
    assert str(table["parallax"].unit) == "mas"
    assert table["flux"].shape[1] == 3


def test_a_full_disk_is_named(tmp_path: Path, stars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(OSError, match="No space left") as raised:
        convert(stars, STARS.names, STARS, [], tmp_path / "piece.parquet")
    assert raised.value.errno == errno.ENOSPC
    assert raised.value.filename == str(tmp_path / "piece.parquet")
    assert not list(tmp_path.glob("*piece*"))


# Fields


@pytest.mark.parametrize("width", [1, 3, 40, 200])
def test_fields_are_kept_wherever_they_fall(width: int) -> None:
    rng = np.random.default_rng(width)
    # Of one column, an empty line is no field.
    words = [""] * (width > 1) + ["1.5", '"a,b"', '"x\ny"', "-3e-9" * 30, '"say ""A"""']
    table = [[words[i] for i in rng.integers(0, len(words), width)] for _ in range(50)]
    text = "".join(",".join(row) + "\n" for row in table).encode()
    keep = rng.random(width) < 0.4
    keep[rng.integers(width)] = True
    buffer = np.frombuffer(text + b'"\n,' * PADDING, dtype=np.uint8)
    out = np.empty_like(buffer)
    rows, used, length = keep_fields(buffer, len(text), keep, out)
    assert (rows, used) == (50, len(text))
    kept = [",".join(w for w, k in zip(row, keep, strict=True) if k) for row in table]
    assert bytes(out[:length]).decode() == "".join(row + "\n" for row in kept)


@pytest.mark.parametrize("width", [2, 3, 40, 200])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_row_of_another_length_is_found(width: int, change: int) -> None:
    rng = np.random.default_rng(width)
    words = ["", "1.5", '"a,b"', "-3e-9" * 30]
    for broken in range(0, 50, 7):
        rows = [",".join(words[i] for i in rng.integers(0, 4, width)) + "\n" for _ in range(50)]
        rows[broken] = ",".join(["7.25"] * (width + change)) + "\n"
        text = "".join(rows).encode()
        keep = rng.random(width) < 0.4
        keep[rng.integers(width)] = True
        buffer = np.frombuffer(text + b'"\n,' * PADDING, dtype=np.uint8)
        found = keep_fields(buffer, len(text), keep, np.empty_like(buffer))
        # Counting ends when a field follows the last that a row may have.
        assert found == (-1 - broken, len("".join(rows[:broken])), width + change)


QUOTES = {
    "in a field nobody wants": ('1,1.0,5" tel\n2,2.0,abc\n3,3.0,6" tel\n4,4.0,d\n', 1),
    "after a closed one": ('1,1.0,a\n2,2.0,"a"b\n3,3.0,c\n', 2),
    "after a space": ('1,1.0,a\n2,2.0, "a,b"\n', 2),
    "in a wanted field": ('1,1.0,a\n2,2"0,b\n3,3.0,"c"\n', 2),
    "at the end of a field": ('1,1.0,a"\n2,2.0,"b"\n', 1),
}


@pytest.mark.parametrize("shift", [0, 1, 40, 61, 62, 63, 64])
@pytest.mark.parametrize("case", QUOTES)
def test_a_quote_inside_a_field_swallows_no_rows(tmp_path: Path, case: str, shift: int) -> None:
    rows, broken = QUOTES[case]
    path = tmp_path / "a.csv"
    path.write_text(f"source_id,parallax,desc\n7,0.5,{'x' * shift}\n{rows}")
    with pytest.raises(ArchiveError, match="a quote inside a field") as raised:
        read(path, subset(STARS, ["source_id", "parallax"]))
    assert raised.value.item == f"row {broken + 1}"


def test_what_is_accepted_is_what_the_csv_module_reads() -> None:
    rng = np.random.default_rng(5)
    letters = np.array(list('a"",,\n'))
    accepted = refused = 0
    for _ in range(20000):
        width = int(rng.integers(1, 4))
        text = "".join(rng.choice(letters, rng.integers(1, 90))) + "\n"
        keep = np.ones(width, dtype=np.bool_)
        buffer = np.frombuffer(text.encode() + b'"\n,' * PADDING, dtype=np.uint8)
        out = np.empty_like(buffer)
        rows, used, length = keep_fields(buffer, len(text), keep, out)
        whole = rows if rows >= 0 else -1 - rows
        expected = list(csv.reader(io.StringIO(text[:used], newline="")))
        assert len(expected) == whole
        assert all(len(row) == width for row in expected)
        if rows >= 0:
            accepted += 1
            assert bytes(out[:length]).decode() == text[:used]
            if used < len(text):  # a field that is still open
                assert text[used:].count('"') % 2
        else:
            refused += 1
    assert min(accepted, refused) > 200


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_empty_line_is_no_row(tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.csv"
    library = subset(STARS, ["library"])
    path.write_text(end.join(["library", "A", "", "B", ""]), newline="")
    with pytest.raises(ArchiveError, match="0 fields") as raised:
        read(path, library)
    assert raised.value.item == "row 2"
    path.write_text(end.join(["library", '"A"', '""', "null", "B", ""]), newline="")
    assert read(path, library).column("library").to_pylist() == ["A", None, None, "B"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("parallax", "1e400"),
        ("parallax", "-inf"),
        ("parallax_error", "1e39"),
        ("flux", '"[1,1e39,2]"'),
    ],
)
def test_numbers_beyond_their_column_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, value: str
) -> None:
    monkeypatch.setattr(ecsv, "BLOCK_BYTES", 64)
    path, good = tmp_path / "a.csv", '"[1,2,3]"' if column == "flux" else "1.5"
    path.write_text(f"{column}\n" + f"{good}\n" * 40 + f"{value}\n" + f"{good}\n" * 3)
    with pytest.raises(ArchiveError, match="beyond its column") as raised:
        read(path, subset(STARS, [column]))
    assert raised.value.item == f"{column}, row 41"


# Real files


def _gaia_rows(survey_data: Path, name: str) -> Table:
    table = Table.read(survey_data / name)
    for column in table.itercols():
        if column.dtype.kind == "S":
            table[column.name] = column.astype(str)
        elif column.dtype.kind == "f":
            gaps = np.isnan(np.ma.filled(column, np.nan))
            table[column.name] = np.ma.array(np.asarray(column), mask=gaps)
    return table


@pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")
@pytest.mark.parametrize(
    ("name", "release"), [("gdr3_sm.fits", "gaiadr3"), ("gedr3_sm.fits", "gaiaedr3")]
)
def test_rows_of_the_archive_come_out_equal(
    tmp_path: Path, survey_data: Path, name: str, release: str
) -> None:
    rows = _gaia_rows(survey_data, name)
    schema = GAIA_SOURCE_FULL[release]
    for column in schema.columns:
        rows[column.name].unit = column.unit or None
    bare = Table([rows[c] for c in rows.colnames])
    for c in set(bare.colnames) - set(schema.names):
        bare[c].unit = None
    path = write_gzip(tmp_path / "gaia.csv.gz", archive_text(bare, tmp_path))
    nullable = replace(schema, columns=tuple(replace(c, nullable=True) for c in schema.columns))
    assert_same(read(path, nullable), rows)


@pytest.mark.parametrize("name", ["XP_CONTINUOUS_RAW.csv", "XP_CONTINUOUS_RAW_with_missing_BP.csv"])
def test_spectra_of_the_archive_come_out_equal(
    tmp_path: Path, survey_data: Path, name: str
) -> None:
    import ast

    import pandas as pd

    text = (survey_data / "xp_continuous" / name).read_text()
    path = write_gzip(tmp_path / "xp.csv.gz", text)
    found = from_arrow(read(path, XP_CONTINUOUS_MEAN_SPECTRUM))
    expected = pd.read_csv(survey_data / "xp_continuous" / name, float_precision="round_trip")
    for column in XP_CONTINUOUS_MEAN_SPECTRUM.columns:
        values = expected[column.name]
        if column.length == 1:
            np.testing.assert_array_equal(
                found[column.name], values.to_numpy().astype(found[column.name].dtype)
            )
            continue
        for row, cell in zip(found[column.name], values, strict=True):
            wanted = ast.literal_eval(cell) if isinstance(cell, str) else [np.nan] * column.length
            np.testing.assert_array_equal(row, np.array(wanted, dtype=column.dtype))
