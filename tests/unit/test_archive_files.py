"""The archive's own files through the `files` source: every value as it stands in the file.

Files are read a second time here by astropy, pandas or the standard library, not by our readers.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import astropy.units as u
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from mwatlas.archive.adapt import adapt
from mwatlas.archive.files import import_files
from mwatlas.archive.readers import column_names, read_batches
from mwatlas.config import load_settings
from mwatlas.config.column_map import ColumnMap
from mwatlas.config.release import FilesSource, ReleaseAdapter
from mwatlas.config.survey import Survey
from mwatlas.errors import ArchiveError, InputError
from mwatlas.progress import Progress
from mwatlas.surveys import import_survey
from mwatlas.tables.gaia import GAIA_SOURCE_FULL
from mwatlas.tables.metadata import arrow_schema
from mwatlas.tables.parquet import read_rows
from mwatlas.tables.schemas import GAIA_SOURCE, SURVEY_ROWS
from mwatlas.tables.table import TableSchema
from mwatlas.tables.xp import XP_CONTINUOUS_MEAN_SPECTRUM
from tests.unit.ecsv_files import STARS, archive_text, random_rows

Import = Callable[..., pa.Table]


class _EveryColumn(ColumnMap):
    """All columns of gaia_source that the sky serves, truth values and text among them."""

    table: ClassVar[TableSchema] = GAIA_SOURCE_FULL["gaiadr3"]


class _EveryColumnOfEdr3(ColumnMap):
    table: ClassVar[TableSchema] = GAIA_SOURCE_FULL["gaiaedr3"]


class _Spectra(ColumnMap):
    table: ClassVar[TableSchema] = XP_CONTINUOUS_MEAN_SPECTRUM


@pytest.fixture
def imported(tmp_path: Path, progress: Progress) -> Import:
    """Import files into three partitions and read these as Arrow does."""

    def run(source: ColumnMap, *paths: Path) -> pa.Table:
        parts = [tmp_path / f"part{i}.parquet" for i in range(3)]
        import_files(paths, source, parts, 4, progress)
        table = pa.concat_tables([pq.read_table(part) for part in parts])
        assert table.schema.equals(arrow_schema(source.served_table))
        return table

    return run


def _by_source(columns: dict[str, Any]) -> dict[str, Any]:
    """Masked arrays in the order of source_id; not a number is masked."""
    order = np.argsort(np.asarray(columns["source_id"]))
    out = {}
    for name, values in columns.items():
        column = np.ma.asarray(values)[order]
        if column.dtype.kind == "f":
            column = np.ma.masked_invalid(column)
        out[name] = column
    return out


def assert_same(table: pa.Table, truth: dict[str, Any]) -> None:
    """Every value of a raw table is that of the file, in the type of the contract."""
    truth = _by_source(truth)
    assert set(table.column_names) <= set(truth)
    for field in table.schema:
        wanted, found = truth[field.name], table.column(field.name)
        missing = np.ma.getmaskarray(wanted)
        np.testing.assert_array_equal(found.is_null().to_numpy(), missing, field.name)
        if pa.types.is_floating(field.type):
            # What the contract says of the precision: exact but where the file has more digits.
            wanted = wanted.astype(field.type.to_pandas_dtype())
        assert found.drop_null().to_pylist() == wanted.compressed().tolist(), field.name


def _fits(path: Path) -> dict[str, Any]:
    return dict(Table.read(path).columns.items())


def _parquet(path: Path) -> dict[str, Any]:
    frame = pd.read_parquet(path, dtype_backend="numpy_nullable")
    return {
        name: np.ma.array(
            column.to_numpy(dtype=column.dtype.type, na_value=0)
            if column.dtype.kind in "iufb"
            else column.to_numpy(dtype=object),
            mask=column.isna(),
        )
        for name, column in frame.items()
    }


@pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")
@pytest.mark.parametrize(
    ("release", "name"), [("gaiadr3", "gdr3_sm.fits"), ("gaiaedr3", "gedr3_sm.fits")]
)
def test_fits_tables_of_the_archive(
    survey_data: Path, root: Path, imported: Import, release: str, name: str
) -> None:
    source = load_settings({"release": release}, root).adapter.source
    path = survey_data / name
    truth = _fits(path)
    assert any(np.ma.is_masked(column) or column.dtype.kind == "f" for column in truth.values())
    assert_same(imported(source, path), truth)
    full = _EveryColumn() if release == "gaiadr3" else _EveryColumnOfEdr3()
    assert_same(imported(full, path), truth)
    for column in full.table.columns:
        unit = truth[column.name].unit
        # The archive writes the unit of gravity in a form that no standard knows.
        if unit is not None and column.unit != "dex":
            assert u.Unit(str(unit).replace("'", "")) == u.Unit(column.unit), column.name


def test_fits_table_of_dr2_with_renamed_columns(survey_data: Path, imported: Import) -> None:
    path = survey_data / "gdr2_rv_sm.fits"
    truth = _fits(path)
    there = {"bp_rp": ["phot_bp_mean_mag", "phot_rp_mean_mag"]}
    derive = {
        "l": {"method": "galactic_l", "inputs": ["ra", "dec"]},
        "b": {"method": "galactic_b", "inputs": ["ra", "dec"]},
        "bp_rp": {"method": "difference", "inputs": there["bp_rp"]},
    }
    renamed = {f"dr2_{n}": n for n in ("radial_velocity", "radial_velocity_error")}
    known = {*truth, *derive, *renamed} - set(renamed.values())
    source = FilesSource(
        kind="files",
        paths=["x"],
        columns=renamed,
        derive=derive,
        absent={name: "not in DR2" for name in GAIA_SOURCE.names if name not in known},
    )
    table = imported(source, path)
    truth |= {ours: truth[theirs] for ours, theirs in renamed.items()}
    truth["bp_rp"] = truth["phot_bp_mean_mag"] - truth["phot_rp_mean_mag"]
    assert_same(table.drop_columns(["l", "b"]), truth)
    assert table.num_rows == 100


def test_parquet_table_of_the_archive(survey_data: Path, root: Path, imported: Import) -> None:
    path = survey_data / "gaia_dr3_cone_full_columns.parquet"
    truth = _parquet(path)
    source = load_settings({"release": "gaiadr3"}, root).adapter.source
    assert_same(imported(source, path), truth)
    truth["designation"] = truth["DESIGNATION"]
    every = _EveryColumn(columns={"designation": "DESIGNATION"})
    table = imported(every, path)
    assert_same(table, truth)
    # Counts and codes of the stars without a velocity are missing, and still integers.
    assert table.column("rv_nb_transits").null_count > 1000


def test_parquet_table_of_bright_stars(survey_data: Path, root: Path, imported: Import) -> None:
    path = survey_data / "gaia_dr3_bright.parquet"
    source = load_settings({"release": "brightsky"}, root).adapter.source
    table = imported(source, path).drop_columns(["phot_g_mean_mag"])
    assert table.num_rows == 439_523
    truth = _parquet(path)
    order = np.argsort(truth["source_id"])
    for field in table.schema:
        wanted = truth[field.name][order].astype(field.type.to_pandas_dtype())
        if wanted.dtype.kind == "f":
            wanted = wanted.filled(np.nan)
        found = table.column(field.name).to_numpy()
        np.testing.assert_array_equal(found, wanted, field.name)


def _xp_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def _xp_parquet(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("XP_CONTINUOUS_RAW.csv", _xp_csv),
        ("XP_CONTINUOUS_RAW_with_missing_BP.csv", _xp_csv),
        ("xp_continuous_mean_spectrum_30.parquet", _xp_parquet),
    ],
)
def test_spectra_of_the_archive(
    survey_data: Path, imported: Import, name: str, read: Callable[[Path], list[dict[str, Any]]]
) -> None:
    path = survey_data / "xp_continuous" / name
    rows = sorted(read(path), key=lambda row: int(row["source_id"]))
    table = imported(_Spectra(), path)
    assert table.num_rows == len(rows)
    for column in XP_CONTINUOUS_MEAN_SPECTRUM.columns:
        convert = np.dtype(column.dtype).type
        for row, found in zip(rows, table.column(column.name).to_pylist(), strict=True):
            cell = row[column.name]
            if column.length == 1:
                assert found == (None if cell in ("", None) else convert(cell)), column.name
                continue
            assert len(found) == column.length
            if cell in ("", None):
                assert np.isnan(found).all()
            else:
                wanted = [convert(number) for number in cell.strip("()").split(",")]
                assert found == wanted, column.name
    without = sum(row["bp_coefficients"] == "" for row in rows)
    assert without == (1 if "missing_BP" in name else 0)
    assert table.column("bp_n_parameters").null_count == without


def test_arrays_of_every_kind_of_file_are_the_same(tmp_path: Path, survey_data: Path) -> None:
    """Text, lists of Parquet, arrays of FITS and of a VOTable hold the same spectra."""
    rows = _xp_parquet(survey_data / "xp_continuous" / "xp_continuous_mean_spectrum_30.parquet")
    wanted = np.array([row["rp_coefficients"].strip("()").split(",") for row in rows], float)
    kind = pa.list_(pa.float64(), 55)
    cells = [None if i == 3 else row for i, row in enumerate(wanted.tolist())]
    for i, arrow in enumerate((pa.list_(pa.float64()), kind)):
        pq.write_table(pa.table({"rp": pa.array(cells, arrow)}), tmp_path / f"{i}.parquet")
    gaps = np.zeros(wanted.shape, dtype=bool)
    gaps[3] = True
    table = Table({"rp": MaskedColumn(wanted, mask=gaps)})
    table.write(tmp_path / "rp.fits")
    table.write(tmp_path / "rp.vot", format="votable")
    table.write(tmp_path / "rp.ecsv")

    class Coefficients(ColumnMap):
        table: ClassVar[TableSchema] = TableSchema(
            "rp",
            "",
            tuple(c for c in XP_CONTINUOUS_MEAN_SPECTRUM.columns if c.name == "rp_coefficients"),
            key="",
        )

    expected = np.where(gaps, np.nan, wanted)
    for path in sorted(tmp_path.glob("*")):
        batches = read_batches(path, ["rp"])
        source = Coefficients(columns={"rp_coefficients": "rp"})
        parts = [adapt(batch, source, str(path))["rp_coefficients"] for batch in batches]
        np.testing.assert_array_equal(np.concatenate(parts), expected, path.name)


@pytest.mark.parametrize("suffix", [".fits", ".vot", ".ecsv", ".parquet", ".csv"])
def test_missing_integers_and_truth_values_stay_exact(tmp_path: Path, suffix: str) -> None:
    """Above 2^53 floating point would round; a missing value must not make it one."""
    wide = np.ma.array([2**62 + 1, 0, 2**53 + 1], mask=[False, True, False])
    narrow = np.ma.array([7, 0, 9], mask=[False, True, False], dtype=np.int16)
    flag = np.ma.array([True, False, False], mask=[False, True, False])
    path = tmp_path / f"x{suffix}"
    if suffix == ".fits":
        columns = [
            fits.Column("wide", "K", null=-(2**63), array=wide.filled(-(2**63))),
            fits.Column("narrow", "I", null=-32768, array=narrow.filled(-32768)),
            fits.Column("flag", "L", array=flag.filled(False)),
        ]
        fits.BinTableHDU.from_columns(columns).writeto(path)
        # Astropy writes no missing truth value: the archive's byte of zero, in the second row.
        data = bytearray(path.read_bytes())
        second = data.index(b"END" + b" " * 77, 2880)
        start = (second // 2880 + 1) * 2880
        assert data[start + 21] == ord("F")
        data[start + 21] = 0
        path.write_bytes(data)
    elif suffix in (".vot", ".ecsv"):
        table = Table({"wide": wide, "narrow": narrow, "flag": flag}, masked=True)
        table.write(path, **({"format": "votable"} if suffix == ".vot" else {}))
    else:
        table = pa.table(
            {"wide": pa.array(wide), "narrow": pa.array(narrow), "flag": pa.array(flag)}
        )
        if suffix == ".csv":
            pyarrow.csv.write_csv(table, path)
        else:
            pq.write_table(table, path)
    (batch,) = read_batches(path, ["wide", "narrow", "flag"])
    assert batch["wide"].dtype == np.int64
    assert batch["wide"].tolist() == [2**62 + 1, None, 2**53 + 1]
    narrow = np.ma.asarray(batch["narrow"]).astype(float)
    np.testing.assert_array_equal(narrow.filled(np.nan), [7, np.nan, 9])
    assert np.ma.asarray(batch["flag"]).tolist() == [True, None, False]


def test_types_of_a_csv_do_not_hang_on_its_first_rows(
    tmp_path: Path, gaia_rows: Callable, files_adapter: ReleaseAdapter, imported: Import
) -> None:
    """A velocity may be missing in the first thousand stars, a whole number, or both."""
    rows = gaia_rows(20_000)
    rows["radial_velocity"][:19_990] = np.nan
    rows["ruwe"][:19_000] = 1
    rows["ruwe"][19_000:] = 1.25
    path = tmp_path / "stars.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    assert path.stat().st_size > 2 << 20  # Arrow guesses from the first megabyte
    table = imported(files_adapter.source, path)
    assert table.column("radial_velocity").null_count == 19_990
    np.testing.assert_array_equal(table.column("ruwe").to_numpy(), rows["ruwe"])


def test_a_missing_identifier_is_refused_whatever_the_format(
    tmp_path: Path, gaia_rows: Callable, files_adapter: ReleaseAdapter, imported: Import
) -> None:
    rows = gaia_rows(50)
    rows["source_id"] = np.ma.array(rows["source_id"], mask=np.arange(50) == 3)
    path = tmp_path / "stars.vot"
    Table(rows).write(path, format="votable")
    with pytest.raises(InputError, match="with missing values"):
        imported(files_adapter.source, path)


def test_a_star_in_two_files_is_refused(
    tmp_path: Path, gaia_rows: Callable, files_adapter: ReleaseAdapter, imported: Import
) -> None:
    rows = gaia_rows(50)
    for i, part in enumerate((slice(0, 30), slice(29, 50))):
        pq.write_table(pa.table({n: v[part] for n, v in rows.items()}), tmp_path / f"{i}.parquet")
    with pytest.raises(InputError, match="more than once") as caught:
        imported(files_adapter.source, tmp_path / "0.parquet", tmp_path / "1.parquet")
    assert str(rows["source_id"][29]) in str(caught.value)


def test_survey_rows_may_lack_an_identifier(
    tmp_path: Path, gaia_rows: Callable, progress: Progress
) -> None:
    """Missing identifiers become 0, and do not round the others; a missing flag is no good sign."""
    rows = {
        name: values for name, values in gaia_rows(50).items() if name in ("source_id", "ra", "dec")
    }
    gaps = np.arange(50) % 10 == 3
    ids = rows["source_id"] + 1  # odd: no floating-point number above 2^53
    columns = {
        **rows,
        "source_id": np.ma.array(ids, mask=gaps),
        "fe_h": np.zeros(50),
        "flag": np.ma.array(np.zeros(50, np.int16), mask=np.arange(50) == 7),
    }
    path, out = tmp_path / "survey.vot", tmp_path / "rows.parquet"
    Table(columns, masked=True).write(path, format="votable")
    absent = ("mg_fe", "survey_radial_velocity", "survey_radial_velocity_error", "snr")
    table = {
        "paths": ["t"],
        "epoch": 2016.0,
        "absent": dict.fromkeys(absent, "not measured"),
        "flags": [{"column": "flag", "spoils": ["fe_h"]}],
    }
    survey = Survey.model_validate({"title": "test", "tables": {"t": table}})
    import_survey("s", survey, {"t": [path]}, out, progress)
    found = read_rows([out], SURVEY_ROWS.names)
    np.testing.assert_array_equal(found["source_id"], np.where(gaps, 0, ids))
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found["fe_h"])), [7])


def test_arrays_of_another_length_are_refused(tmp_path: Path, imported: Import) -> None:
    names = XP_CONTINUOUS_MEAN_SPECTRUM.names
    row = dict.fromkeys(names, 1)
    lists = [c.name for c in XP_CONTINUOUS_MEAN_SPECTRUM.columns if c.length != 1]
    for cell in ("(1.0, 2.0)", [1.0, 2.0]):
        pq.write_table(
            pa.Table.from_pylist([{**row, **dict.fromkeys(lists, cell)}]), tmp_path / "x.parquet"
        )
        with pytest.raises(ArchiveError, match="another length") as caught:
            imported(_Spectra(), tmp_path / "x.parquet")
        for part in ("bp_coefficients", "x.parquet", "55 numbers", "of 2"):
            assert part in str(caught.value)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_an_archives_ecsv_under_the_suffix_of_csv_is_streamed(tmp_path: Path, suffix: str) -> None:
    """The Gaia archive calls its ECSV `GaiaSource_000000-003111.csv.gz`, and writes null."""
    table = random_rows(50, first=2**62 + 1)
    text = archive_text(table, tmp_path)
    path = tmp_path / f"GaiaSource_000000-003111{suffix}"
    path.write_bytes(gzip.compress(text.encode()) if suffix == ".csv.gz" else text.encode())
    assert column_names(path) == table.colnames
    names = list(reversed(STARS.names))
    (batch,) = read_batches(path, names)
    assert list(batch) == names
    for name in names:
        wanted, found = table[name], batch[name]
        if name == "library":
            assert found.tolist() == wanted.tolist()
            continue
        gaps = np.ma.getmaskarray(wanted)
        np.testing.assert_array_equal(np.ma.getmaskarray(found) | (found != found), gaps)
        np.testing.assert_array_equal(np.asarray(found)[~gaps], np.asarray(wanted)[~gaps])
