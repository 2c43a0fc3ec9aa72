"""Columns, contracts, Parquet and its metadata, HATS."""

import io
from pathlib import Path

import hats
import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.io.votable import parse_single_table
from astropy.io.votable.ucd import parse_ucd
from astropy.table import Table

from mwatlas.errors import InputError
from mwatlas.files import atomic_path
from mwatlas.tables.column import Column
from mwatlas.tables.columns import COLUMNS
from mwatlas.tables.hats import write_hats
from mwatlas.tables.metadata import votable_header
from mwatlas.tables.parquet import cell_writer, read_cells, read_columns, write_table
from mwatlas.tables.schemas import (
    LINE_OF_SIGHT_CATALOGUE,
    LINE_OF_SIGHT_PREDICTIONS,
    STARS,
    TABLES,
)
from mwatlas.tables.table import Columns, TableSchema


def _rows(table: TableSchema, number: int = 6) -> Columns:
    """Valid values for any table, two per cell of order 0."""
    out: Columns = {}
    for column in table.columns:
        if column.dtype == "string":
            out[column.name] = np.array(["x"] * number, dtype=object)
        elif column.name == "source_id":
            out[column.name] = (np.arange(number) // 2 << 59) + np.arange(number) % 2
        elif column.name == table.key:
            out[column.name] = np.arange(number) + int(column.low or 0)
        else:
            shape = (number,) if column.length == 1 else (number, column.length)
            out[column.name] = np.full(shape, max(column.low or 0.0, 0.0))
    return out


def _sized(table: TableSchema, length: int = 5) -> TableSchema:
    """The table with so many values in each row of its vectors of any length."""
    for column in table.columns:
        if column.length == 0:
            table = table.with_length(column.name, length)
    return table


@pytest.mark.parametrize("column", COLUMNS.values(), ids=lambda c: c.name)
def test_every_column_is_described(column) -> None:
    assert column.description
    parse_ucd(column.ucd, check_controlled_vocabulary=True)
    u.Unit(column.unit)
    if column.low is not None and column.high is not None:
        assert column.low < column.high


def test_archive_columns_have_the_archives_types_and_units(survey_data: Path) -> None:
    archive = Table.read(survey_data / "gdr3_sm.fits", unit_parse_strict="silent")
    older = Table.read(survey_data / "gedr3_sm.fits", unit_parse_strict="silent")
    from mwatlas.tables.schemas import GAIA_SOURCE

    for column in GAIA_SOURCE.columns:
        theirs = archive if column.name in archive.colnames else older
        stored = theirs[column.name]
        assert stored.dtype.newbyteorder("=") == np.dtype(column.dtype), column.name
        ours = u.Unit(column.unit or "")
        # The FITS file writes 1/um as a plain unit string.
        assert ours == (stored.unit or u.dimensionless_unscaled), column.name


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)
def test_astropy_reads_units_and_descriptions(tmp_path: Path, table: TableSchema) -> None:
    table = _sized(table)
    write_table(tmp_path / "t.parquet", table, _rows(table))
    read = Table.read(tmp_path / "t.parquet")
    for column in table.columns:
        assert (read[column.name].unit or u.dimensionless_unscaled) == u.Unit(column.unit)
        assert read[column.name].description == column.description
        assert read[column.name].info.meta["ucd"] == column.ucd


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)
def test_the_voparquet_header_is_a_votable(table: TableSchema) -> None:
    table = _sized(table)
    parsed = parse_single_table(io.BytesIO(votable_header(table).encode()), verify="exception")
    assert [f.name for f in parsed.fields] == list(table.names)
    for field, column in zip(parsed.fields, table.columns, strict=True):
        assert field.ucd == column.ucd
        assert field.description.strip() == column.description


def test_voparquet_is_what_astropy_calls_so(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", STARS, _rows(STARS))
    metadata = pq.read_metadata(tmp_path / "t.parquet").metadata
    assert metadata[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    read = Table.read(tmp_path / "t.parquet", format="parquet.votable")
    assert read["parallax"].unit == u.mas


def test_cells_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = _rows(STARS)
    rows["radial_velocity"] = np.array([1.0, np.nan, 3, 4, np.nan, 6])
    with cell_writer(tmp_path / "t.parquet", STARS, 0) as writer:
        for cell in range(3):
            writer.write(cell, {n: v[2 * cell : 2 * cell + 2] for n, v in rows.items()})
    read = dict(read_cells(tmp_path / "t.parquet"))
    assert list(read) == [0, 1, 2]
    for name in STARS.names:
        np.testing.assert_array_equal(
            np.concatenate([read[c][name] for c in read]).astype(float), rows[name].astype(float)
        )
    # Missing values are nulls on disk, not NaN.
    assert pq.read_table(tmp_path / "t.parquet")["radial_velocity"].null_count == 2


def test_vectors_come_back_as_they_were_written(tmp_path: Path) -> None:
    table = _sized(LINE_OF_SIGHT_PREDICTIONS, 3)
    rows = _rows(table)
    rows["mixture_weights"] = np.linspace(0, 1, 18).reshape(6, 3)
    with cell_writer(tmp_path / "t.parquet", table, 0) as writer:
        for cell in range(3):
            writer.write(cell, {n: v[2 * cell : 2 * cell + 2] for n, v in rows.items()})
    weights = read_columns([tmp_path / "t.parquet"], ["mixture_weights"])["mixture_weights"]
    np.testing.assert_array_equal(weights, rows["mixture_weights"].astype(np.float32))


def test_a_partition_without_stars_can_be_read(tmp_path: Path) -> None:
    with cell_writer(tmp_path / "t.parquet", STARS, 0) as writer:
        writer.write(4, {name: np.empty(0) for name in STARS.names})
    assert list(read_cells(tmp_path / "t.parquet")) == []


def test_cells_must_ascend_and_hold_their_stars(tmp_path: Path) -> None:
    rows = _rows(STARS, 2)
    with cell_writer(tmp_path / "t.parquet", STARS, 0) as writer:
        writer.write(0, rows)
        with pytest.raises(ValueError, match="after cell"):
            writer.write(0, rows)
        with pytest.raises(ValueError, match="outside cell 3"):
            writer.write(3, rows)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, STARS, _rows(STARS))
    before = path.read_bytes()

    def fail() -> None:
        with cell_writer(path, STARS, 0) as writer:
            writer.write(0, _rows(STARS, 2))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    left, other = tmp_path / ".x.partial-123.txt", tmp_path / ".xy.partial-123.txt"
    for path in (left, other):
        path.write_text("half")
    with atomic_path(tmp_path / "x.txt") as partial:
        partial.write_text("whole")
    assert not left.exists()
    assert other.exists()


def test_an_atomic_file_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    def fail() -> None:
        with atomic_path(tmp_path / "x.txt") as partial:
            partial.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_missing_columns_of_another_version_are_explained(tmp_path: Path) -> None:
    with cell_writer(tmp_path / "t.parquet", STARS, 0) as writer:
        writer.write(0, _rows(STARS, 2))
    with pytest.raises(InputError, match="nonsuch"):
        next(read_cells(tmp_path / "t.parquet", ["nonsuch"]))


def test_hats_reads_the_catalogue(tmp_path: Path) -> None:
    rows = _rows(LINE_OF_SIGHT_CATALOGUE)
    cells = [(cell, {n: v[2 * cell : 2 * cell + 2] for n, v in rows.items()}) for cell in range(3)]
    assert write_hats(tmp_path / "c", LINE_OF_SIGHT_CATALOGUE, iter(cells), 0) == 6
    catalogue = hats.read_hats(tmp_path / "c")
    assert [(p.order, p.pixel) for p in catalogue.get_healpix_pixels()] == [(0, 0), (0, 1), (0, 2)]
    assert catalogue.catalog_info.total_rows == 6
    one = Table.read(tmp_path / "c" / "dataset" / "Norder=0" / "Dir=0" / "Npix=1.parquet")
    assert one["vlos_pred"].unit == u.km / u.s


def test_hats_replaces_an_older_catalogue(tmp_path: Path) -> None:
    rows = _rows(LINE_OF_SIGHT_CATALOGUE, 2)
    for _ in range(2):
        write_hats(tmp_path / "c", LINE_OF_SIGHT_CATALOGUE, iter([(0, rows)]), 0)
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_an_empty_catalogue_is_readable(tmp_path: Path) -> None:
    assert write_hats(tmp_path / "c", LINE_OF_SIGHT_CATALOGUE, iter([]), 1) == 0
    assert hats.read_hats(tmp_path / "c").catalog_info.total_rows == 0


_WIDER = {
    "an integer": ("int16", np.array([70_000, 5]), "70000", "-32768 to 32767"),
    "a whole number as floating point": ("int8", np.array([5.0, 200.0, np.nan]), "200.0", "to 127"),
    "an unsigned integer": ("int64", np.array([2**63 + 5], "u8"), f"{2**63 + 5}", f"{2**63 - 1}"),
    "the first number too large for 64 bits": ("int64", np.array([2.0**63]), f"{2.0**63}", "e+18"),
    "the same of 32 bits in single precision": (
        "int32",
        np.array([2.0**31], "f4"),
        "2147483648.0",
        "2147483520.0",
    ),
    "a number too large for single precision": ("float32", np.array([1.0, 1e39]), "1e+39", "e+38"),
    "a truth value that is a number": ("bool", np.array([0, 1, 2]), "2", "0 to 1"),
}


@pytest.mark.parametrize("case", _WIDER)
def test_a_value_that_its_type_cannot_hold_is_refused(case: str) -> None:
    """Cast, it would wrap around or become infinite."""
    dtype, values, found, expected = _WIDER[case]
    column = Column("counts", dtype, "", "meta.number", "Counts", nullable=True)  # type: ignore[arg-type]
    table = TableSchema("stars", "Stars", (column,), key="")
    with pytest.raises(InputError, match="outside the allowed range") as caught:
        table.conform({"counts": values}, "stars.fits")
    error = caught.value
    assert (error.file, error.item) == ("stars.fits", "counts")
    assert found in str(error.found)
    assert expected in str(error.expected)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "float32"])
def test_the_largest_value_of_a_type_is_kept(dtype: str) -> None:
    limit = np.iinfo(dtype) if dtype.startswith("int") else np.finfo(dtype)
    column = Column("counts", dtype, "", "meta.number", "Counts", nullable=True)  # type: ignore[arg-type]
    table = TableSchema("stars", "Stars", (column,), key="")
    wide = np.array([limit.min, limit.max], "f8" if dtype == "float32" else "i8")
    out = table.conform({"counts": wide}, "stars.fits")["counts"]
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, wide)
    # What stands in a masked cell is no value.
    masked = np.ma.array([5, 2**62], mask=[False, True])
    if dtype != "float32":
        out = table.conform({"counts": masked}, "stars.fits")["counts"]
        assert out.tolist() == [5, None]
