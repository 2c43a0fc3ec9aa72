"""The spectroscopic surveys of the embedded sky."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import healpy
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io.votable.ucd import parse_ucd
from astropy.table import Table
from pydantic import ValidationError

from mwatlas.config.sky_infrared import Infrared
from mwatlas.config.sky_spectroscopy import LabelError, Spectroscopy
from mwatlas.sky.galah import v_from_jks
from mwatlas.sky.infrared import observe_infrared
from mwatlas.sky.labels import FIELD_ORDER, label_error
from mwatlas.sky.positions import positions_at
from mwatlas.sky.spectroscopy import observe_spectroscopy
from mwatlas.tables.infrared import TMASS_BEST_NEIGHBOUR, TMASS_JOIN, TMASS_ORIGINAL_VALID, UNWISE
from mwatlas.tables.spectroscopy import APOGEE, GALAH, LAMOST
from mwatlas.tables.table import Columns, TableSchema
from tests.unit.sky_truth import as_measured, random_truth
from tests.unit.test_sky_infrared import SETTINGS as INFRARED
from tests.unit.test_sky_infrared import binomial

NUMBER = 30_000
CELL, ORDER = 3, 2
SCHEMAS = (TMASS_BEST_NEIGHBOUR, TMASS_JOIN, TMASS_ORIGINAL_VALID, UNWISE, APOGEE, LAMOST, GALAH)


def error(floor: float, at_snr_100: float, slope: float = 0.0) -> dict[str, float]:
    return {"floor": floor, "at_snr_100": at_snr_100, "metallicity_slope": slope}


SETTINGS: dict[str, Any] = {
    "mg_fe_minus_alpha_m": 0.004,
    "mg_fe_scatter": 0.02,
    "apogee": {
        "rate": 0.6,
        "field_share": 0.3,
        "plane_field_share": 0.6,
        "outlier_rate": 0.01,
        "outlier_scatter": 10.0,
        "h_limits": [7.0, 12.8],
        "red_limit": 0.5,
        "blue_rate": 0.15,
        "snr_at_h_12": 130.0,
        "duplicate_rate": 0.02,
        "failure_rate": 0.04,
        "warning_rate": 0.1,
        "starflag_rate": 0.35,
        "unmatched_rate": 0.01,
        "teff": error(8, 6, -0.03),
        "logg": error(0.025, 0.015, -0.12),
        "m_h": error(0.008, 0.006, -0.08),
        "alpha_m": error(0.008, 0.006, -0.2),
        "fe_h": error(0.009, 0.006, -0.04),
        "mg_fe": error(0.013, 0.01, -0.14),
        "radial_velocity": error(0.05, 0.1, -0.1),
    },
    "lamost": {
        "rate": 0.1,
        "field_share": 0.5,
        "outlier_rate": 0.01,
        "outlier_scatter": 10.0,
        "epoch": 2000.0,
        "g_limits": [9.0, 17.5],
        "teff_limits": [3900.0, 8500.0],
        "dec_min": -10.0,
        "snr_at_g_14": 70.0,
        "snr_min": 6.0,
        "revisits": 0.25,
        "teff": error(30, 20),
        "logg": error(0.05, 0.03),
        "fe_h": error(0.03, 0.02, -0.05),
        "radial_velocity": error(2.5, 0.5),
    },
    "galah": {
        "rate": 0.8,
        "field_share": 0.5,
        "outlier_rate": 0.01,
        "outlier_scatter": 10.0,
        "v_limits": [12.0, 14.0],
        "bright_limit": 9.0,
        "bright_rate": 0.2,
        "dec_max": 10.0,
        "latitude_min": 10.0,
        "snr_at_v_13": 50.0,
        "failure_rate": 0.02,
        "warning_rate": 0.15,
        "element_failure_rate": 0.05,
        "teff": error(65, 20),
        "logg": error(0.15, 0.03),
        "fe_h": error(0.055, 0.03, -0.05),
        "alpha_fe": error(0.03, 0.02, -0.1),
        "mg_fe": error(0.06, 0.03, -0.1),
        "radial_velocity": error(0.1, 0.08, -0.1),
    },
}


def wide() -> dict[str, Any]:
    """Settings that observe nearly every star, for statistics of the errors."""
    settings = copy.deepcopy(SETTINGS)
    settings["apogee"] |= {"rate": 1.0, "blue_rate": 1.0, "h_limits": [2.0, 17.0]}
    settings["apogee"] |= {"field_share": 1.0, "plane_field_share": 1.0}
    settings["lamost"] |= {"rate": 1.0, "field_share": 1.0, "g_limits": [2.0, 18.0]}
    settings["lamost"] |= {"snr_min": 0.0}
    settings["galah"] |= {"rate": 1.0, "field_share": 1.0, "bright_rate": 1.0}
    settings["galah"] |= {"v_limits": [5.0, 19.0], "bright_limit": 3.0}
    settings["galah"] |= {"dec_max": 90.0, "latitude_min": 0.0}
    return settings


@pytest.fixture(scope="module")
def truth() -> Columns:
    return random_truth(NUMBER, 2)


def observe(
    truth: Columns, settings: dict[str, Any], seed: int = 5
) -> tuple[dict[str, Columns], Columns]:
    infrared, known = observe_infrared(
        truth,
        as_measured(truth),
        Infrared.model_validate(INFRARED),
        seed=seed,
        cell=CELL,
        order=ORDER,
    )
    gaia = {
        "phot_g_mean_mag": truth["phot_g_mean_mag_true"],
        "phot_bp_mean_mag": truth["phot_bp_mean_mag_true"],
        "phot_rp_mean_mag": truth["phot_rp_mean_mag_true"],
        "parallax": 1 / truth["distance_kpc_true"],
        "parallax_error": np.full(NUMBER, 0.02),
    }
    tables, known = observe_spectroscopy(
        truth,
        gaia,
        infrared[TMASS_ORIGINAL_VALID.name],
        known,
        Spectroscopy.model_validate(settings),
        seed=seed,
        cell=CELL,
        order=ORDER,
    )
    return {s.name: s.conform(tables[s.name], "test") for s in (APOGEE, LAMOST, GALAH)}, known


@pytest.fixture(scope="module")
def observed(truth: Columns) -> tuple[dict[str, Columns], Columns]:
    return observe(truth, SETTINGS)


@pytest.fixture(scope="module")
def deep(truth: Columns) -> tuple[dict[str, Columns], Columns]:
    return observe(truth, wide())


def star_of(truth: Columns, source_id: Any) -> Any:
    return np.searchsorted(truth["source_id"], source_id)


def lamost_stars(truth: Columns, table: Columns) -> Any:
    """The star of each row, by position at the epoch of the input catalogue."""
    here = SkyCoord(*positions_at(truth, 2000.0), unit="deg")
    star, distance, _ = SkyCoord(table["ra"], table["dec"], unit="deg").match_to_catalog_sky(here)
    assert distance.arcsec.max() < 1
    return star


def check_pull(value: Any, error: Any, true: Any) -> None:
    assert value.size > 10_000
    pull = (value - true) / error
    # Standard error of the width of 10,000 normal numbers: 0.007; of the mean: 0.01.
    assert abs(pull.std() - 1) < 0.02
    assert abs(pull.mean()) < 0.04


def test_apogee_pulls(truth: Columns, deep: tuple[dict[str, Columns], Columns]) -> None:
    table, known = deep[0][APOGEE.name], deep[1]
    in_gaia = table["GAIAEDR3_SOURCE_ID"] > 0
    star = star_of(truth, table["GAIAEDR3_SOURCE_ID"])
    star = np.where(in_gaia, star, 0)
    good = in_gaia & ~known["apogee_outlier_true"][star] & np.isfinite(table["TEFF"])
    star = star[good]
    for name, label in (
        ("TEFF", "teff_true"),
        ("LOGG", "logg_true"),
        ("M_H", "fe_h_true"),
        ("ALPHA_M", "alpha_m_true"),
        ("FE_H", "fe_h_true"),
        ("MG_FE", "mg_fe_true"),
    ):
        true = known[label] if label == "mg_fe_true" else truth[label]
        check_pull(table[name][good], table[f"{name}_ERR"][good], true[star])
    check_pull(table["VHELIO_AVG"][good], table["VERR"][good], truth["radial_velocity_true"][star])


def test_lamost_pulls(truth: Columns, deep: tuple[dict[str, Columns], Columns]) -> None:
    table, known = deep[0][LAMOST.name], deep[1]
    star = lamost_stars(truth, table)
    np.testing.assert_array_equal(np.bincount(star, minlength=NUMBER), known["lamost_visits_true"])
    good = ~known["lamost_outlier_true"][star]
    for name, label in (
        ("teff", "teff_true"),
        ("logg", "logg_true"),
        ("feh", "fe_h_true"),
        ("rv", "radial_velocity_true"),
    ):
        check_pull(table[name][good], table[f"{name}_err"][good], truth[label][star][good])
    # Visits to a star have errors of their own, and one input position.
    first = np.flatnonzero(np.diff(star) == 0)
    assert (table["ra"][first] == table["ra"][first + 1]).all()
    assert (table["teff"][first] != table["teff"][first + 1]).all()
    off = known["lamost_outlier_true"][star]
    pull = ((table["teff"] - truth["teff_true"][star]) / table["teff_err"])[off]
    assert pull.std() > 5


def test_galah_pulls(truth: Columns, deep: tuple[dict[str, Columns], Columns]) -> None:
    table, known = deep[0][GALAH.name], deep[1]
    star = star_of(truth, table["dr3_source_id"])
    for name, label in (
        ("teff", "teff_true"),
        ("logg", "logg_true"),
        ("fe_h", "fe_h_true"),
        ("alpha_fe", "alpha_m_true"),
        ("Mg_fe", "mg_fe_true"),
        ("rv_galah", "radial_velocity_true"),
    ):
        true = known[label] if label == "mg_fe_true" else truth[label]
        good = ~known["galah_outlier_true"][star] & np.isfinite(table[name])
        check_pull(table[name][good], table[f"e_{name}"][good], true[star][good])


def test_magnesium_is_a_property_of_the_star(
    truth: Columns, deep: tuple[dict[str, Columns], Columns]
) -> None:
    offset = deep[1]["mg_fe_true"] - truth["alpha_m_true"]
    assert abs(offset.mean() - 0.004) < 4 * 0.02 / np.sqrt(NUMBER)
    assert abs(offset.std() / 0.02 - 1) < 0.02


def test_apogee_selection_and_flags(
    truth: Columns, observed: tuple[dict[str, Columns], Columns]
) -> None:
    table = observed[0][APOGEE.name]
    s = Spectroscopy.model_validate(SETTINGS).apogee
    assert table["H"].min() >= s.h_limits[0]
    assert table["H"].max() <= s.h_limits[1]
    duplicate = (table["EXTRATARG"] & 16) > 0
    names = table["APOGEE_ID"].astype(str)
    assert np.unique(names[~duplicate]).size == (~duplicate).sum()
    assert np.isin(names[duplicate], names[~duplicate]).all()
    binomial(duplicate.sum(), (~duplicate).sum(), s.duplicate_rate)

    in_gaia = table["GAIAEDR3_SOURCE_ID"] > 0
    binomial((~in_gaia).sum(), in_gaia.size, s.unmatched_rate)
    np.testing.assert_array_equal(np.isnan(table["GAIAEDR3_PHOT_G_MEAN_MAG"]), ~in_gaia)
    star = star_of(truth, table["GAIAEDR3_SOURCE_ID"][in_gaia])
    colour = (table["J"] - table["K"])[in_gaia] - 0.165 * truth["a_v_true"][star]
    main = (table["EXTRATARG"][in_gaia] & 1) == 0
    # Within single precision of the limit.
    assert colour[main].min() > s.red_limit - 1e-5
    assert colour[~main].max() < s.red_limit + 1e-5

    lost = np.isnan(table["TEFF"])
    bad = (table["ASPCAPFLAG"] & ((1 << 23) | (1 << 31))) > 0
    np.testing.assert_array_equal(lost, bad)
    for name in ("LOGG", "M_H", "ALPHA_M", "FE_H", "MG_FE"):
        np.testing.assert_array_equal(np.isnan(table[name]), lost)
        np.testing.assert_array_equal(np.isnan(table[f"{name}_ERR"]), lost)
    binomial(lost.sum(), lost.size, s.failure_rate)
    binomial((table["ASPCAPFLAG"][~lost] > 0).sum(), (~lost).sum(), s.warning_rate)
    star_warn = (table["ASPCAPFLAG"] & (1 << 7)) > 0
    one_of = (table["ASPCAPFLAG"] & 0b1100000011) > 0
    np.testing.assert_array_equal(star_warn, one_of)
    assert ((table["ASPCAPFLAG"] & 0b1100) > 0).any()
    binomial((table["STARFLAG"] > 0).sum(), lost.size, s.starflag_rate)
    assert ((table["SNR"] < 5) <= ((table["STARFLAG"] & 16) > 0)).all()


def test_lamost_selection(truth: Columns, observed: tuple[dict[str, Columns], Columns]) -> None:
    table, known = observed[0][LAMOST.name], observed[1]
    s = Spectroscopy.model_validate(SETTINGS).lamost
    star = lamost_stars(truth, table)
    assert truth["dec"][star].min() > s.dec_min
    g = truth["phot_g_mean_mag_true"][star]
    assert s.g_limits[0] <= g.min() < g.max() <= s.g_limits[1]
    assert table["snrg"].min() >= s.snr_min
    np.testing.assert_allclose(table["z"] * 299792.458, table["rv"], atol=1e-3)
    assert not {"source_id", "gaia_source_id"} & set(table)
    visits = known["lamost_visits_true"]
    binomial((visits > 1).sum(), (visits > 0).sum(), 1 - np.exp(-s.revisits))
    spectral = np.array([name[0] for name in table["subclass"]])
    hottest = np.array([truth["teff_true"][star][spectral == kind].max() for kind in "KGF"])
    assert (hottest <= [5350, 5850, 7300]).all()


def test_galah_selection_and_flags(
    truth: Columns, observed: tuple[dict[str, Columns], Columns]
) -> None:
    table = observed[0][GALAH.name]
    s = Spectroscopy.model_validate(SETTINGS).galah
    star = star_of(truth, table["dr3_source_id"])
    assert truth["dec"][star].max() < s.dec_max
    latitude = SkyCoord(truth["ra"], truth["dec"], unit="deg").galactic.b.deg
    assert np.abs(latitude[star]).min() > s.latitude_min
    main = table["survey_name"] == "galah_main"
    v = v_from_jks(table["j_m"], table["ks_m"])
    np.testing.assert_allclose(v, table["v_jk"], atol=1e-5)
    assert 12 - 1e-5 <= v[main].min() < v[main].max() <= 14 + 1e-5
    assert 9 - 1e-5 <= v[~main].min() < v[~main].max() < 12 + 1e-5
    lost = (table["flag_sp"] & 512) > 0
    for name in ("teff", "logg", "fe_h", "alpha_fe"):
        np.testing.assert_array_equal(np.isnan(table[name]), lost)
    np.testing.assert_array_equal(np.isnan(table["Mg_fe"]), table["flag_Mg_fe"] == 32)
    np.testing.assert_array_equal(np.isnan(table["fe_h"]), table["flag_fe_h"] == 32)
    binomial(lost.sum(), lost.size, s.failure_rate)
    rate = 1 - (1 - s.failure_rate) * (1 - s.element_failure_rate)
    binomial((table["flag_Mg_fe"] > 0).sum(), lost.size, rate)


def test_fields_are_fixed_and_cover_their_share(truth: Columns) -> None:
    settings = wide()
    settings["lamost"]["field_share"] = 0.5
    pixel = healpy.ang2pix(2**FIELD_ORDER, truth["ra"], truth["dec"], nest=True, lonlat=True)
    fields = []
    for seed in (5, 6):
        visits = observe(truth, settings, seed)[1]["lamost_visits_true"]
        fields.append(np.unique(pixel[visits > 0]))
    # Every star in a field is observed, so the fields of both seeds are the same.
    np.testing.assert_array_equal(*fields)
    north = (truth["dec"] > -10) & (truth["teff_true"] >= 3900)
    binomial(fields[0].size, np.unique(pixel[north]).size, 0.5)


def test_results_repeat(truth: Columns, observed: tuple[dict[str, Columns], Columns]) -> None:
    again, _ = observe(truth, SETTINGS)
    for name, table in again.items():
        for column, values in table.items():
            np.testing.assert_array_equal(values, observed[0][name][column])


@pytest.mark.parametrize("number", [0, 1])
def test_a_nearly_empty_cell_gives_valid_tables(truth: Columns, number: int) -> None:
    few = {name: values[:number] for name, values in truth.items()}
    infrared, known = observe_infrared(
        few,
        as_measured(few),
        Infrared.model_validate(INFRARED),
        seed=5,
        cell=CELL,
        order=ORDER,
    )
    names = ("phot_g_mean_mag", "phot_bp_mean_mag", "phot_rp_mean_mag", "parallax")
    tables, _ = observe_spectroscopy(
        few,
        {name: np.ones(number) for name in (*names, "parallax_error")},
        infrared[TMASS_ORIGINAL_VALID.name],
        known,
        Spectroscopy.model_validate(wide()),
        5,
        CELL,
        ORDER,
    )
    tables |= infrared
    for schema in SCHEMAS:
        table = schema.conform(tables[schema.name], "test")
        assert number or table[schema.names[0]].size == 0


@pytest.mark.parametrize("schema", SCHEMAS)
def test_columns_have_valid_units_and_ucds(schema: TableSchema) -> None:
    assert len(set(schema.names)) == len(schema.names)
    for column in schema.columns:
        parse_ucd(column.ucd, check_controlled_vocabulary=True)
        u.Unit(column.unit)


def test_label_errors_follow_their_formula() -> None:
    label = LabelError(floor=3.0, at_snr_100=4.0, metallicity_slope=-0.1)
    # At a ratio of 100 the two parts add in squares; a star at -1 has 10**0.1 as much.
    np.testing.assert_allclose(label_error(label, np.array([100.0]), np.array([0.0])), 5)
    np.testing.assert_allclose(label_error(label, np.array([100.0]), np.array([-1.0])), 5 * 10**0.1)


def test_apogee_errors_match_real_ones(survey_data: Path) -> None:
    real = Table.read(survey_data / "apogee_dr17_halo_giants.fits")
    apogee = Spectroscopy.model_validate(SETTINGS).apogee
    fe_h = np.asarray(real["fe_h"], dtype=float)
    for name in ("teff", "logg", "m_h", "alpha_m", "fe_h", "mg_fe"):
        # The file has no signal-to-noise ratios; such giants have about 100.
        ours = label_error(getattr(apogee, name), np.full(fe_h.size, 100.0), fe_h)
        ratio = np.asarray(real[f"{name}_err"], dtype=float) / ours
        assert 0.7 < np.nanmedian(ratio) < 1.4, name


def test_names_and_types_match_real_tables(survey_data: Path) -> None:
    real = Table.read(
        survey_data / "m_giants_lamost_gaia_2mass_wise.fits", unit_parse_strict="silent"
    )
    # Columns that the file renamed when it was joined to others.
    renamed = {"rv": "rv_1"}
    for column in LAMOST.columns:
        name = renamed.get(column.name, column.name)
        assert name in real.colnames
        kind = real[name].dtype
        if column.dtype == "string":
            assert kind.kind in "SU"
        elif column.dtype not in ("int16",):
            assert np.dtype(column.dtype) == kind.newbyteorder("=")
        else:
            # The file keeps small numbers in bytes.
            assert kind.kind in "iu"


@pytest.mark.parametrize(
    ("survey", "key", "value", "message"),
    [
        ("apogee", "outlier_rate", 1.5, "less than or equal to 1"),
        ("apogee", "h_limits", [12.8, 7.0], "must ascend"),
        ("apogee", "teff", {"floor": 0.0, "at_snr_100": 1.0}, "greater than 0"),
        ("lamost", "g_limits", [17.0, 9.0], "must ascend"),
        ("lamost", "revisits", -1, "greater than or equal to 0"),
        ("galah", "bright_limit", 13.0, "must not exceed"),
        ("galah", "ratio", 1.0, "Extra inputs"),
    ],
)
def test_bad_settings_are_refused(survey: str, key: str, value: Any, message: str) -> None:
    bad = {**SETTINGS, survey: {**SETTINGS[survey], key: value}}
    with pytest.raises(ValidationError, match=message):
        Spectroscopy.model_validate(bad)
