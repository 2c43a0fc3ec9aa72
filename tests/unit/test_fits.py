"""Export of catalogues to FITS."""

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from mwatlas.errors import InputError
from mwatlas.healpix import cell_of_source
from mwatlas.tables.fits import export_fits
from mwatlas.tables.hats import write_hats
from mwatlas.tables.schemas import DENSITY_CATALOGUE, RV_CATALOGUE
from mwatlas.tables.table import Columns, TableSchema

ORDER = 1


def _rows(table: TableSchema, number: int) -> Columns:
    rng = np.random.default_rng(5)
    source_id = np.sort(rng.integers(0, 48, number)) * 2**57 + np.arange(number)
    out: Columns = {"source_id": source_id}
    for column in table.columns[1:]:
        shape = (number, column.length) if column.length > 1 else number
        out[column.name] = rng.uniform(0.1, 0.9, shape).astype(column.dtype)
    return out


def _write(path: Path, table: TableSchema, rows: Columns) -> None:
    cell = cell_of_source(rows["source_id"], ORDER)
    write_hats(
        path,
        table,
        ((int(c), {n: v[cell == c] for n, v in rows.items()}) for c in np.unique(cell)),
        ORDER,
    )


def test_every_value_unit_and_description_survives(tmp_path: Path) -> None:
    table = DENSITY_CATALOGUE
    for name in ("mixture_weights", "mixture_means", "mixture_sigmas"):
        table = table.with_length(name, 3)
    rows = _rows(table, 500)
    _write(tmp_path / "density", table, rows)
    assert export_fits(tmp_path / "density", tmp_path / "out.fits") == 500
    back = Table.read(tmp_path / "out.fits")
    assert tuple(back.colnames) == table.names
    for column in table.columns:
        np.testing.assert_array_equal(back[column.name], rows[column.name])
        unit = back[column.name].unit
        assert ("" if unit is None else unit.to_string("vounit")) == column.unit.replace(
            "km/s", "km.s**-1"
        )


def test_missing_values_are_nan(tmp_path: Path) -> None:
    rows = _rows(RV_CATALOGUE, 40)
    rows["eccentricity_rv"][::2] = np.nan
    _write(tmp_path / "rv", RV_CATALOGUE, rows)
    export_fits(tmp_path / "rv", tmp_path / "out.fits")
    back = Table.read(tmp_path / "out.fits")["eccentricity_rv"]
    np.testing.assert_array_equal(np.isnan(np.ma.filled(back, np.nan)), np.arange(40) % 2 == 0)


def test_a_folder_without_catalogue_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no catalogue to export"):
        export_fits(tmp_path, tmp_path / "out.fits")
    assert not (tmp_path / "out.fits").exists()


@pytest.mark.parametrize("name", ["taken.fits", "table.csv", "absent/table.fits"])
def test_nothing_is_overwritten_and_no_folder_made(tmp_path: Path, name: str) -> None:
    rows = _rows(RV_CATALOGUE, 5)
    _write(tmp_path / "rv", RV_CATALOGUE, rows)
    (tmp_path / "taken.fits").write_text("mine")
    with pytest.raises(InputError, match="cannot be exported"):
        export_fits(tmp_path / "rv", tmp_path / name)
    assert (tmp_path / "taken.fits").read_text() == "mine"
    assert not (tmp_path / "absent").exists()
