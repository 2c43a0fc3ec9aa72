"""The synthetic Gaia: the served table, its nulls, rates and settings."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from pydantic import ValidationError

from mwatlas.sky.gaia import observe_gaia
from mwatlas.sky.gaia_solutions import FIVE, SIX, TWO
from mwatlas.tables.gaia import GAIA_SOURCE_FULL, GAIA_TRUTH
from mwatlas.tables.parquet import write_table
from mwatlas.tables.schemas import GAIA_SOURCE
from mwatlas.tables.table import Columns
from tests.unit.gaia_sample import (
    SETTINGS,
    Observed,
    archive_rows,
    observed,
    survey,
    values_of,
)


def _rate_is(found: np.ndarray, share: float | np.ndarray) -> None:
    share = np.broadcast_to(share, found.shape)
    assert found.sum() == pytest.approx(share.sum(), abs=4 * np.sqrt((share * (1 - share)).sum()))


@pytest.mark.parametrize("release", ["gaiadr3", "gaiaedr3"])
def test_columns_are_the_archives(survey_data: Path, release: str) -> None:
    archive = archive_rows(survey_data, release)
    table = GAIA_SOURCE_FULL[release]
    order = [archive.colnames.index(name) for name in table.names]
    # EDR3 has the excess factor after columns that are not served.
    assert order == sorted(order)
    for column in table.columns:
        theirs = archive[column.name]
        if column.dtype == "string":
            assert theirs.dtype.kind == "S"
            continue
        assert theirs.dtype.newbyteorder("=") == np.dtype(column.dtype), column.name
        if "logg" not in column.name:
            known = str(theirs.unit or "").replace("'", "")
            assert u.Unit(column.unit) == u.Unit(known), column.name


@pytest.mark.parametrize("release", ["gaiadr3", "gaiaedr3"])
def test_the_table_contains_what_studies_require(release: str) -> None:
    missing = set(GAIA_SOURCE.names) - set(GAIA_SOURCE_FULL[release].names)
    other = {"radial_velocity", "radial_velocity_error"}
    expected = other if release == "gaiaedr3" else {f"dr2_{name}" for name in other}
    assert missing == expected


@pytest.mark.parametrize("release", ["gaiadr3", "gaiaedr3"])
def test_nulls_follow_the_archives_rules(
    survey_data: Path, dr3: Observed, edr3: Observed, release: str
) -> None:
    """Columns that are null together in the archive are null together here."""
    served, _ = dr3 if release == "gaiadr3" else edr3
    archive = archive_rows(survey_data, release)
    names = [c.name for c in GAIA_SOURCE_FULL[release].columns if c.dtype != "string"]
    null = {name: ~np.isfinite(served[name].astype(float)) for name in names}
    theirs = {name: ~np.isfinite(values_of(archive[name])) for name in names}
    # grvs_mag is missing for some velocities, faint stars without G are not served.
    free = {"grvs_mag", "grvs_mag_error"} | {n for n in names if n.startswith("phot_g_mean")}
    free |= {"bp_g", "g_rp", "bp_rp", "phot_bp_rp_excess_factor"}
    names = [name for name in names if name not in free and theirs[name].any()]
    for one in names:
        assert null[one].any(), one
        for two in names:
            if (theirs[one] <= theirs[two]).all() and (theirs[two] <= theirs[one]).all():
                np.testing.assert_array_equal(null[one], null[two], f"{one}, {two}")
    always = [c.name for c in GAIA_SOURCE_FULL[release].columns if not c.nullable]
    for name in always:
        assert name == "designation" or not theirs[name].any(), name


def test_two_parameter_solutions_have_only_a_position(dr3: Observed) -> None:
    served, _ = dr3
    params = served["astrometric_params_solved"]
    assert set(np.unique(params)) == {TWO, FIVE, SIX}
    for name in ("parallax", "pmra_error", "pmra_pmdec_corr", "ruwe", "pm"):
        np.testing.assert_array_equal(np.isnan(served[name]), params == TWO)
    np.testing.assert_array_equal(np.isfinite(served["pseudocolour"]), params == SIX)
    np.testing.assert_array_equal(np.isfinite(served["nu_eff_used_in_astrometry"]), params == FIVE)
    assert np.isfinite(served["ra_dec_corr"]).all()


def test_random_shares_are_those_set(truth: Columns, dr3: Observed) -> None:
    served, known = dr3
    astrometry, photometry = SETTINGS["astrometry"], SETTINGS["photometry"]
    g, params = truth["phot_g_mean_mag_true"], served["astrometric_params_solved"]
    two = np.interp(g, *(astrometry["two_parameter_share"][k] for k in ("g", "share")))
    six = np.interp(g, *(astrometry["six_parameter_share"][k] for k in ("g", "share")))
    missing = np.isnan(served["phot_bp_mean_mag"])
    _rate_is(params == TWO, two)
    _rate_is((params == SIX)[~missing], ((1 - two) * six)[~missing])
    assert not (params == FIVE)[missing].any()
    _rate_is(missing, photometry["no_colour_share"])
    _rate_is(known["blended_true"], photometry["blended_share"])
    _rate_is(known["spurious_true"], astrometry["spurious_share"])
    _rate_is(known["binary_true"][~known["spurious_true"]], astrometry["binary_share"])
    _rate_is(served["duplicated_source"], astrometry["duplicated_share"])
    has = np.isfinite(served["radial_velocity"])
    _rate_is(known["rv_outlier_true"][has], SETTINGS["spectrometer"]["outlier_share"])
    assert {c.name for c in GAIA_TRUTH} == set(known)


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("ra_error", 1.25),
        ("dec_error", 1.25),
        ("parallax_error", 1.25),
        ("pmra_error", 1.25),
        ("pmdec_error", 1.25),
        ("phot_g_mean_flux_over_error", 1.6),
        ("phot_bp_mean_flux_over_error", 1.6),
        ("phot_rp_mean_flux_over_error", 1.6),
    ],
)
def test_errors_are_those_of_the_archive(
    survey_data: Path, dr3: Observed, name: str, factor: float
) -> None:
    """Medians in bins of magnitude agree within the factor.

    PyGaia's astrometric errors are rounded up, and real flux errors include variability.
    """
    served, _ = dr3
    parts = [archive_rows(survey_data, release) for release in ("gaiadr3", "gaiaedr3")]
    g = np.concatenate([values_of(part["phot_g_mean_mag"]) for part in parts])
    theirs = np.concatenate([values_of(part[name]) for part in parts])
    for low, high in ((13, 15), (15, 16), (16, 17)):
        one = np.nanmedian(theirs[(g >= low) & (g < high)])
        mine = (served["phot_g_mean_mag"] >= low) & (served["phot_g_mean_mag"] < high)
        assert 1 / factor < np.nanmedian(served[name][mine]) / one < factor, (low, high)


def test_edr3_carries_dr2_velocities(edr3: Observed) -> None:
    served, _ = edr3
    assert "radial_velocity" not in served
    assert "has_xp_continuous" not in served
    has = np.isfinite(served["dr2_radial_velocity"])
    np.testing.assert_array_equal(served["dr2_rv_nb_transits"] > 0, has)
    assert served["designation"][0] == f"Gaia EDR3 {served['source_id'][0]}"
    for name in ("teff", "logg", "fe_h"):
        np.testing.assert_array_equal(np.isfinite(served[f"dr2_rv_template_{name}"]), has)


def test_the_same_generator_gives_the_same_rows(truth: Columns) -> None:
    part = {name: values[:200] for name, values in truth.items()}
    one, two = (observe_gaia(part, survey(), np.random.default_rng(9)) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def test_a_cell_without_stars_is_observed(truth: Columns) -> None:
    none = {name: values[:0] for name, values in truth.items()}
    for release in ("gaiadr3", "gaiaedr3"):
        served, known = observe_gaia(none, survey(columns=release), np.random.default_rng(0))
        assert list(served) == list(GAIA_SOURCE_FULL[release].names)
        assert all(len(values) == 0 for values in (*served.values(), *known.values()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"astrometry": {"binary_share": 1.2}}, "less than or equal to 1"),
        ({"astrometry": {"spurious_pull": 0.5}}, "greater than or equal to 1"),
        ({"astrometry": {"primary_share": {"g": [15, 13], "share": [0, 1]}}}, "must ascend"),
        ({"astrometry": {"primary_share": {"g": [15], "share": [0, 1]}}}, "1 nodes but share"),
        ({"photometry": {"blended_excess": 0}}, "greater than 0"),
        ({"spectrometer": {"teff_range": [6900, 3550]}}, "must ascend"),
        ({"spectrometer": {"hot_grvs_limit": 15.0}}, "must not be fainter"),
        ({"columns": "gaiadr2"}, "gaiadr3"),
        ({"photometry": {"nonsuch": 1}}, "Extra inputs"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        survey(**changes)


@pytest.mark.parametrize("release", ["gaiadr3", "gaiaedr3"])
def test_the_table_is_stored_with_its_nulls(tmp_path: Path, release: str) -> None:
    served, _ = observed(release)
    write_table(tmp_path / "t.parquet", GAIA_SOURCE_FULL[release], served)
    stored = pq.read_table(tmp_path / "t.parquet")
    for column in GAIA_SOURCE_FULL[release].columns:
        if column.nullable:
            null = np.isnan(served[column.name].astype(float)).sum()
            assert stored[column.name].null_count == null, column.name
