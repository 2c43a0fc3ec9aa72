"""The synthetic Gaia: photometry and radial velocities."""

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from scipy import stats

from mwatlas.sky.gaia_astrometry import (
    parallax_error_mas,
)
from mwatlas.sky.gaia_photometry import (
    ZERO_POINTS,
    flux_of_magnitude,
    magnitude_error,
    magnitude_of_flux,
)
from mwatlas.sky.gaia_spectrometer import (
    grvs_magnitude,
    radial_velocity_error,
    radial_velocity_probability,
)
from mwatlas.tables.table import Columns
from tests.unit.gaia_sample import (
    SETTINGS,
    Observed,
    archive_rows,
    excess_factor_mean,
    survey,
    values_of,
    width_is_one,
)


@pytest.mark.parametrize("band", ["g", "bp", "rp"])
def test_flux_pulls_are_normal(truth: Columns, dr3: Observed, band: str) -> None:
    served, known = dr3
    flux, error = served[f"phot_{band}_mean_flux"], served[f"phot_{band}_mean_flux_error"]
    good = np.isfinite(flux) & ~known["blended_true"]
    expected = flux_of_magnitude(band, truth[f"phot_{band}_mean_mag_true"])
    width_is_one(((flux - expected) / error)[good])


def test_magnitudes_are_those_of_the_fluxes(dr3: Observed) -> None:
    served, _ = dr3
    for band in ZERO_POINTS:
        # Magnitudes have the 24 bits of float32: 2**-24 of 17 mag.
        np.testing.assert_allclose(
            flux_of_magnitude(band, served[f"phot_{band}_mean_mag"]),
            served[f"phot_{band}_mean_flux"],
            rtol=17 * 2**-24,
        )
    bp, rp, g = (served[f"phot_{band}_mean_flux"] for band in ("bp", "rp", "g"))
    np.testing.assert_allclose(served["phot_bp_rp_excess_factor"], (bp + rp) / g, rtol=1e-6)


def test_fluxes_and_magnitudes_of_the_archive_agree(survey_data: Path) -> None:
    archive = archive_rows(survey_data, "gaiadr3")
    for band in ZERO_POINTS:
        flux = values_of(archive[f"phot_{band}_mean_flux"])
        theirs = values_of(archive[f"phot_{band}_mean_mag"])
        # float32 of magnitudes up to 22.
        np.testing.assert_allclose(magnitude_of_flux(band, flux), theirs, atol=1.5e-6)


def test_only_blended_sources_have_too_much_light(dr3: Observed) -> None:
    served, known = dr3
    corrected = served["phot_bp_rp_excess_factor"] - excess_factor_mean(served["bp_rp"])
    bright = (served["phot_g_mean_mag"] < 15) & np.isfinite(corrected)
    assert abs(np.median(corrected[bright & ~known["blended_true"]])) < 1e-3
    assert (corrected[bright & ~known["blended_true"]] < 0.05).all()
    blended = bright & known["blended_true"]
    light = (corrected / excess_factor_mean(served["bp_rp"]))[blended]
    # Exponentially distributed: its scatter is its mean.
    excess = SETTINGS["photometry"]["blended_excess"]
    assert light.mean() == pytest.approx(excess, rel=4 / np.sqrt(light.size))


def test_radial_velocity_pulls_are_normal(truth: Columns, dr3: Observed, edr3: Observed) -> None:
    for (served, known), prefix in ((dr3, ""), (edr3, "dr2_")):
        velocity = served[f"{prefix}radial_velocity"]
        good = np.isfinite(velocity) & ~known["rv_outlier_true"]
        pull = (velocity - truth["radial_velocity_true"]) / served[f"{prefix}radial_velocity_error"]
        width_is_one(pull[good])
    served = dr3[0]
    expected = grvs_magnitude(truth["phot_g_mean_mag_true"], truth["phot_rp_mean_mag_true"])
    pull = (served["grvs_mag"] - expected) / served["grvs_mag_error"]
    width_is_one(pull[np.isfinite(pull)])


def test_which_stars_have_a_velocity(truth: Columns, dr3: Observed) -> None:
    served, _ = dr3
    has = np.isfinite(served["radial_velocity"])
    grvs = grvs_magnitude(truth["phot_g_mean_mag_true"], truth["phot_rp_mean_mag_true"])
    teff = truth["teff_true"]
    error = radial_velocity_error(grvs, teff, truth["logg_true"])
    assert not has[(grvs > 14.5) | (teff < 3100)].any()
    assert not has[(grvs > 12) & (teff > 6750)].any()
    chance = radial_velocity_probability(grvs, teff, error, survey().spectrometer)
    # Sum of independent draws.
    assert has.sum() == pytest.approx(chance.sum(), abs=4 * np.sqrt((chance * (1 - chance)).sum()))
    assert served["has_rvs"][has].any()
    assert not served["has_rvs"][~has].any()


def test_velocity_errors_are_the_published_ones() -> None:
    """Katz et al. (2023): medians of 1.3 km/s at 12 and 6.4 km/s at 14; (2019): 1.4 at 11.75."""

    def typical(grvs: float, columns: str) -> float:
        teff, logg = np.meshgrid([4600.0, 5000, 5500, 6000], [2.5, 4.2, 4.6])
        return float(
            np.median(
                radial_velocity_error(np.full(teff.size, grvs), teff.ravel(), logg.ravel(), columns)
            )
        )

    assert typical(12, "gaiadr3") == pytest.approx(1.3, rel=0.25)
    assert typical(14, "gaiadr3") == pytest.approx(6.4, rel=0.25)
    one = radial_velocity_error([11.75], [5000.0], [4.2], "gaiaedr3")
    assert one[0] == pytest.approx(1.4, rel=0.1)
    # No gravity lies outside every group; hot stars this faint have no velocity.
    teff, logg = (
        x.ravel() for x in np.meshgrid(np.linspace(2000, 9900, 60), np.linspace(-1, 6, 57))
    )
    assert np.isfinite(radial_velocity_error(np.full(teff.size, 12.0), teff, logg)).all()


def test_grvs_of_the_archive_is_reproduced(survey_data: Path) -> None:
    cone = Table.read(survey_data / "gaia_dr3_cone_full_columns.parquet")
    theirs, error, rp, colour = (
        values_of(np.ma.filled(cone[name].astype(float), np.nan))
        for name in ("grvs_mag", "grvs_mag_error", "phot_rp_mean_mag", "g_rp")
    )
    good = np.isfinite(theirs) & (error < 0.05)
    residual = (theirs - grvs_magnitude(rp + colour, rp))[good]
    # Sartoretti et al. (2023): scatter below 0.04 mag for bright stars.
    assert abs(np.median(residual)) < 0.03
    assert stats.median_abs_deviation(residual, scale="normal") < 0.05


def test_errors_fall_with_the_number_of_observations() -> None:
    few, many = magnitude_error("bp", [15.0, 15.0], [10, 40])
    assert few == pytest.approx(2 * many)
    assert (np.diff(parallax_error_mas(np.linspace(13.1, 20, 50))) > 0).all()


def test_spectra_need_transits_and_light(dr3: Observed) -> None:
    served, _ = dr3
    has = served["has_xp_continuous"]
    assert served["phot_bp_n_obs"][has].min() > 15
    assert served["phot_g_mean_mag"][served["has_xp_sampled"]].max() < 15
    assert not (served["has_xp_sampled"] & ~has).any()
