"""Survey tables under standard names, and the stars they are matched with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import healpy
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord

from mwatlas.config import load_settings
from mwatlas.config.survey import Survey
from mwatlas.crossmatch import propagate
from mwatlas.healpix import cell_of_source
from mwatlas.progress import Progress
from mwatlas.surveys import import_survey, match_surveys
from mwatlas.tables.parquet import cell_writer, read_cells, read_columns, read_rows
from mwatlas.tables.schemas import STARS, SURVEY_MATCHES, SURVEY_ROWS
from mwatlas.tables.spectroscopy import APOGEE
from mwatlas.tables.table import Columns
from tests.unit.test_archive import write

ORDER = 2
_OF_STARS = ("source_id", "ra", "dec", "pmra", "pmdec")
_TABLE = STARS.without([c for c in STARS.names if c not in _OF_STARS])


def _survey(**table: Any) -> Survey:
    return Survey.model_validate(
        {"title": "test", "tables": {"t": {"paths": ["t"], "epoch": 2016.0, **table}}}
    )


def _import(
    folder: Path, rows: dict[str, Any], progress: Progress, **table: Any
) -> tuple[Path, Columns]:
    path = write(folder / "t.parquet", rows)
    out = folder / "survey.parquet"
    import_survey("s", _survey(**table), {"t": [path]}, out, progress)
    return out, read_rows([out], SURVEY_ROWS.names)


def _rows(number: int, **columns: Any) -> dict[str, Any]:
    """Rows of a survey in its own file, without Gaia identifiers, on the equator."""
    return {
        "source_id": np.zeros(number, np.int64),
        "ra": np.arange(number) * 1.0,
        "dec": np.zeros(number),
        "fe_h": np.linspace(-1, 0, number),
        "mg_fe": np.linspace(0.3, 0, number),
        "survey_radial_velocity": np.arange(number) * 10.0 % 2000,
        "survey_radial_velocity_error": np.ones(number),
        "snr": np.full(number, 100.0),
        **{name: np.asarray(values) for name, values in columns.items()},
    }


def _stars(ra: Any, dec: Any, **motion: Any) -> Columns:
    """Stars in the order of their identifiers, which are those of their positions."""
    ra, dec = np.atleast_1d(np.asarray(ra, float)), np.atleast_1d(np.asarray(dec, float))
    pixel = healpy.ang2pix(2**12, ra, dec, nest=True, lonlat=True)
    source_id = (pixel << 35) + np.arange(ra.size)
    data = {"source_id": source_id, "ra": ra, "dec": dec}
    data |= {n: np.broadcast_to(motion.get(n, 0.0), ra.shape) for n in ("pmra", "pmdec")}
    order = np.argsort(source_id)
    return {name: values[order] for name, values in data.items()}


def _match(
    folder: Path, stars: Columns, surveys: dict[str, Path], progress: Progress, parts: int = 1
) -> Columns:
    """Matches of the stars, in so many partitions of neighbouring cells."""
    cells = cell_of_source(stars["source_id"], ORDER)
    files = []
    for part, mine in enumerate(np.array_split(np.arange(12 * 4**ORDER), parts)):
        path, found = folder / f"stars{part}.parquet", folder / f"matches{parts}-{part}.parquet"
        with cell_writer(path, _TABLE, ORDER) as writer:
            for cell in mine:
                writer.write(int(cell), {n: v[cells == cell] for n, v in stars.items()})
        radius = dict.fromkeys(surveys, 1.0)
        match_surveys(path, surveys, radius, 2016.0, ORDER, found, progress)
        files.append(found)
    return read_columns(files, SURVEY_MATCHES.names)


@pytest.fixture
def apogee() -> Survey:
    """APOGEE as the default release matches it."""
    root = Path(__file__).resolve().parents[2]
    return load_settings({}, root).adapter.surveys["apogee"]


def test_columns_get_their_names_units_and_relations(tmp_path: Path, progress: Progress) -> None:
    rows = {
        "id": np.array([5 << 35, 0, -1]),
        "RA": np.radians([45.0, 10, 20]),
        "DE": np.radians([0.0, 1, 2]),
        "Fe_H": np.array([-0.5, -9999.0, np.nan]),
        "Mg_H": np.array([-0.2, 0.1, 0.1]),
        "v": np.array([10_000.0, 20_000.0, np.nan]),
    }
    rows["RA"][0], rows["DE"][0] = np.radians(healpy.pix2ang(2**12, 5, nest=True, lonlat=True))
    _, out = _import(
        tmp_path,
        rows,
        progress,
        columns={
            "source_id": "id",
            "ra": "RA",
            "dec": "DE",
            "fe_h": "Fe_H",
            "survey_radial_velocity": "v",
        },
        units={"ra": "rad", "dec": "rad", "survey_radial_velocity": "m/s"},
        derive={"mg_fe": {"method": "difference", "inputs": ["Mg_H", "Fe_H"]}},
        absent={"survey_radial_velocity_error": "no", "snr": "no"},
        missing=[-9999.0, 20_000.0],
    )
    np.testing.assert_array_equal(out["source_id"], [5 << 35, 0, 0])
    np.testing.assert_allclose(out["ra"][1:], [10, 20], rtol=1e-15)
    # float32 has a relative rounding of 6e-8.
    np.testing.assert_allclose(out["fe_h"], [-0.5, np.nan, np.nan])
    np.testing.assert_allclose(out["mg_fe"], [0.3, np.nan, np.nan], rtol=1e-6)
    np.testing.assert_allclose(out["survey_radial_velocity"], [10, np.nan, np.nan], rtol=1e-6)
    assert np.isnan(out["snr"]).all()
    np.testing.assert_array_equal(out["position_epoch"], 2016.0)


def test_flags_take_away_what_they_spoil(tmp_path: Path, progress: Progress) -> None:
    rows = _rows(4, A=[0, 1 << 23, 1 << 7, 3 << 22], B=[0, 0, 5, 0])
    _, out = _import(
        tmp_path,
        rows,
        progress,
        flags=[
            {"column": "A", "bits": [23], "spoils": ["fe_h", "mg_fe"]},
            {"column": "B", "spoils": ["mg_fe"]},
        ],
    )
    np.testing.assert_array_equal(np.isnan(out["fe_h"]), [False, True, False, True])
    np.testing.assert_array_equal(np.isnan(out["mg_fe"]), [False, True, True, True])
    assert np.isfinite(out["survey_radial_velocity"]).all()


def test_the_identifier_comes_before_the_position(tmp_path: Path, progress: Progress) -> None:
    stars = _stars([100.0, 100.0 + 0.4 / 3600], [0.0, 0.0])
    # The first row names a star although the other is nearer; the second has no name and
    # belongs to both, but one of them has its row by name.
    rows = _rows(2, ra=[stars["ra"][1]] * 2, source_id=[stars["source_id"][0], 0])
    path, _ = _import(tmp_path, rows, progress)
    found = _match(tmp_path, stars, {"s": path}, progress)
    np.testing.assert_array_equal(found["source_id"], stars["source_id"])
    np.testing.assert_array_equal(found["matched_by"], ["source_id", "position"])
    np.testing.assert_array_equal(found["survey_radial_velocity"], [0, 10])
    assert np.isnan(found["separation_arcsec"][0])
    assert found["separation_arcsec"][1] == 0


def test_a_row_that_names_a_star_is_no_other_stars(tmp_path: Path, progress: Progress) -> None:
    stars = _stars([100.0], [0.0])
    path, _ = _import(tmp_path, _rows(1, ra=[100.0], source_id=stars["source_id"] + 1), progress)
    assert _match(tmp_path, stars, {"s": path}, progress)["source_id"].size == 0


def test_of_several_rows_the_best_counts(tmp_path: Path, progress: Progress) -> None:
    """Highest ratio first, then the nearest, then the first; for names too."""
    star = _stars(50.0, 0.0)
    near, far = 50 + 0.1 / 3600, 50 + 0.5 / 3600
    for ra, snr, best in (
        ([near, far, far], [10, 30, 20], 1),
        ([far, near, far], [np.nan] * 3, 1),
        ([far, far, near], [10, 10, 10], 2),
        ([near, near, near], [np.nan, 10, 10], 1),
    ):
        path, _ = _import(tmp_path, _rows(3, ra=ra, snr=snr), progress)
        found = _match(tmp_path, star, {"s": path}, progress)
        assert found["survey_radial_velocity"].tolist() == [10 * best]
    named = _rows(3, ra=[50.0] * 3, snr=[10, 30, 20], source_id=np.repeat(star["source_id"], 3))
    path, _ = _import(tmp_path, named, progress)
    assert _match(tmp_path, star, {"s": path}, progress)["survey_radial_velocity"] == [10]


def test_stars_are_moved_to_the_epoch_of_the_survey(tmp_path: Path, progress: Progress) -> None:
    """A star of 1 arcsec/yr is found 16.7 years back, and not where it is now."""
    stars = _stars([0.001], [60.0], pmra=800.0, pmdec=600.0)
    then = propagate(stars["ra"], stars["dec"], 800.0, 600.0, 1999.3 - 2016.0)
    assert then[0] > 359
    rows = _rows(2, ra=[then[0][0], 0.001], dec=[then[1][0], 60.0])
    path, _ = _import(tmp_path, rows, progress, epoch=1999.3)
    found = _match(tmp_path, stars, {"s": path}, progress)
    assert found["survey_radial_velocity"].tolist() == [0]
    assert found["separation_arcsec"][0] < 1e-6


@pytest.fixture(scope="module")
def edge_stars() -> Columns:
    """Stars along HEALPix edges, at the poles and across ra = 0."""
    rng = np.random.default_rng(5)
    boundary = healpy.boundaries(2**ORDER, np.arange(12 * 4**ORDER), step=4, nest=True)
    ra, dec = healpy.vec2ang(np.moveaxis(boundary, 1, 2).reshape(-1, 3), lonlat=True)
    ra = np.concatenate([ra, rng.uniform(0, 360, 50), [0.0, 0.0, 359.99999]])
    dec = np.concatenate([dec, rng.choice([-1, 1], 50) * (90 - 1e-5), [90.0, -90.0, 0.0]])
    # Some corners are listed by several cells; a few 0.1 mas apart, they are different stars.
    dec = np.clip(dec + rng.normal(0, 1e-7, dec.size), -90, 90)
    return _stars(ra % 360, dec)


def test_matches_do_not_depend_on_partitions(
    tmp_path: Path, progress: Progress, edge_stars: Columns
) -> None:
    """Survey rows lie on the other side of cell edges as often as not."""
    rng = np.random.default_rng(6)
    number = edge_stars["ra"].size
    angle, offset = rng.uniform(0, 360, number), rng.uniform(0, 0.9, number)
    at = SkyCoord(edge_stars["ra"], edge_stars["dec"], unit="deg")
    rows = at.directional_offset_by(angle, np.radians(offset / 3600))
    other = cell_of_source(
        healpy.ang2pix(2**12, rows.ra.deg, rows.dec.deg, nest=True, lonlat=True) << 35, ORDER
    )
    assert (other != cell_of_source(edge_stars["source_id"], ORDER)).mean() > 0.2
    path, _ = _import(tmp_path, _rows(number, ra=rows.ra.deg, dec=rows.dec.deg), progress)
    whole = _match(tmp_path, edge_stars, {"s": path}, progress)
    np.testing.assert_array_equal(whole["source_id"], edge_stars["source_id"])
    for parts in (5, 32):
        split = _match(tmp_path, edge_stars, {"s": path}, progress, parts)
        for name in whole:
            np.testing.assert_array_equal(split[name], whole[name])


def test_two_surveys_have_a_row_each(tmp_path: Path, progress: Progress) -> None:
    stars = _stars([10.0, 20.0, 30.0], [0.0] * 3)
    for name, ra in (("b", [10.0, 20.0]), ("a", [20.0, 30.0])):
        (tmp_path / name).mkdir()
        _import(tmp_path / name, _rows(2, ra=ra, dec=[0.0, 0.0]), progress)
    paths = {name: tmp_path / name / "survey.parquet" for name in ("b", "a")}
    found = _match(tmp_path, stars, paths, progress)
    pairs = list(zip(found["source_id"], found["survey"], strict=True))
    assert pairs == sorted(pairs)
    assert len(pairs) == 4
    cells = [cell for cell, _ in read_cells(tmp_path / "matches1-0.parquet")]
    assert cells == sorted(set(cells))


def test_a_release_without_surveys_has_an_empty_table(tmp_path: Path, progress: Progress) -> None:
    found = _match(tmp_path, _stars([10.0], [0.0]), {}, progress)
    assert all(values.size == 0 for values in found.values())
    written = pq.read_schema(tmp_path / "matches1-0.parquet")
    assert written.names == list(SURVEY_MATCHES.names)
    assert list(read_cells(tmp_path / "matches1-0.parquet")) == []


def test_the_tables_of_the_sky_are_matched(
    tmp_path: Path, progress: Progress, apogee: Survey, gaia_rows: Callable
) -> None:
    """A star listed twice has the better spectrum; rows without a Gaia source are found."""
    rows = gaia_rows(6)
    table = {
        c.name: np.zeros(7, c.dtype if c.dtype != "string" else object) for c in APOGEE.columns
    }
    pick = np.array([0, 1, 1, 2, 3, 4, 5])
    table["APOGEE_ID"][:] = "2M"
    table["RA"], table["DEC"] = propagate(
        *(rows[name][pick] for name in ("ra", "dec", "pmra", "pmdec")), 1999.3 - 2016.0
    )
    table["GAIAEDR3_SOURCE_ID"] = np.where(pick < 3, rows["source_id"][pick], 0)
    table["SNR"] = np.array([100, 50, 80, 100, 100, 100, 100], np.float32)
    table["FE_H"] = np.arange(7, dtype=np.float32) / 10
    table["ASPCAPFLAG"][5] = 1 << 23
    paths = []
    for i, half in enumerate((slice(0, 3), slice(3, 7))):
        paths.append(tmp_path / f"{i}.parquet")
        pq.write_table(pa.table({k: v[half] for k, v in table.items()}), paths[-1])
    out = tmp_path / "apogee.parquet"
    assert import_survey("apogee", apogee, {"allstar": paths}, out, progress) == 7
    stars = {name: rows[name] for name in _TABLE.names}
    found = _match(tmp_path, stars, {"apogee": out}, progress)
    np.testing.assert_array_equal(found["source_id"], rows["source_id"])
    np.testing.assert_array_equal(found["matched_by"], ["source_id"] * 3 + ["position"] * 3)
    expected = np.array([0, 2, 3, 4, np.nan, 6], np.float32) / 10
    np.testing.assert_allclose(found["fe_h"], expected, rtol=1e-6)


def test_real_positions_lead_to_the_stars_their_identifiers_name(
    survey_data: Path, tmp_path: Path, progress: Progress
) -> None:
    """2MASS positions of APOGEE giants, rounded to 0.1 arcsec in their names, find Gaia's stars."""
    names = ["source_id", "ra", "dec", "pmra", "pmdec"]
    giants = pq.read_table(survey_data / "apogee_dr17_giants_x_gaia_dr3.parquet")
    rows = {
        "ra": giants["ra_2mass_id"].to_numpy(),
        "dec": giants["dec_2mass_id"].to_numpy(),
        "fe_h": giants["Fe_H"].to_numpy(),
        "row": np.arange(giants.num_rows) / 2,
    }
    path, _ = _import(
        tmp_path,
        rows,
        progress,
        columns={"survey_radial_velocity": "row"},
        absent=dict.fromkeys(("source_id", "mg_fe", "survey_radial_velocity_error", "snr"), "no"),
        epoch=1999.3,
    )
    bright = pq.read_table(survey_data / "gaia_dr3_bright.parquet", columns=names)
    stars = {name: np.asarray(bright[name].to_numpy(), float) for name in names[1:]}
    stars["source_id"] = bright["source_id"].to_numpy()
    order = np.argsort(stars["source_id"])
    found = _match(tmp_path, {n: stars[n][order] for n in _TABLE.names}, {"s": path}, progress)
    named = giants["source_id"].to_numpy()[(2 * found["survey_radial_velocity"]).astype(int)]
    present = np.isin(giants["source_id"].to_numpy(), stars["source_id"]).sum()
    assert (named == found["source_id"]).all()
    assert found["source_id"].size > 0.99 * present
