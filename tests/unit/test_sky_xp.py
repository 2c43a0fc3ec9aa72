"""BP and RP spectra of the embedded sky, held to GaiaXPy."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from mwatlas.config.sky_xp import XpSurvey
from mwatlas.random import block_generator
from mwatlas.sky.colours import absolute_magnitudes
from mwatlas.sky.spectra import WAVELENGTH_NM, extinction_curve, flux_density, optical_depth
from mwatlas.sky.xp import observe_xp, scatter_of_coefficients, true_coefficients
from mwatlas.sky.xp_instrument import PRISMS, instrument, match_photometry
from mwatlas.tables.table import Columns
from mwatlas.tables.xp import XP_CONTINUOUS_MEAN_SPECTRUM, XP_TRUTH

SURVEY = XpSurvey(
    alpha_strength=1.0,
    median_transits=40,
    transit_scatter=0.4,
    intrinsic_scatter=0.0,
    outlier_share=0.0,
    outlier_scatter=0.05,
    missing_bp_share=0.0,
)
TRIANGLE = np.tril_indices(55, -1)
# Teff, log g, [Fe/H], A_V: A dwarf, Sun, reddened giant, M dwarf.
TYPES = np.array(
    [
        [9000.0, 4.1, 0.0, 0.0],
        [5772.0, 4.44, 0.0, 0.1],
        [4700.0, 2.5, -0.5, 0.6],
        [3600.0, 4.8, 0.0, 0.0],
    ]
)


def stars(labels: Any = TYPES, alpha: float = 0.0, g: float = 13.0, repeat: int = 1) -> Columns:
    """Truth of stars of magnitude ``g`` with the given Teff, log g, [Fe/H], A_V."""
    labels = np.repeat(np.atleast_2d(np.asarray(labels, dtype=float)), repeat, axis=0)
    teff, logg, fe_h, a_v = labels.T
    m_g, others = absolute_magnitudes(teff, logg, fe_h, np.zeros_like(teff))
    # Wang & Chen (2019).
    bp, rp = (others[i] - m_g + g + r * a_v for i, r in ((0, 1.002 - 0.789), (1, 0.589 - 0.789)))
    return {
        "source_id": (1 + np.arange(len(teff))) * 10**12,
        "teff_true": teff,
        "logg_true": logg,
        "fe_h_true": fe_h,
        "alpha_m_true": np.full_like(teff, alpha),
        "a_v_true": a_v,
        "phot_g_mean_mag_true": np.full_like(teff, g),
        "phot_bp_mean_mag_true": bp,
        "phot_rp_mean_mag_true": rp,
    }


def model_flux(truth: Columns) -> np.ndarray:
    """Flux of the model spectra with the catalogued magnitudes."""
    labels = [truth[f"{n}_true"] for n in ("teff", "logg", "fe_h", "alpha_m", "a_v")]
    magnitudes = np.stack([truth[f"phot_{b}_mean_mag_true"] for b in ("g", "bp", "rp")], axis=1)
    return match_photometry(flux_density(*labels), magnitudes, instrument())


def frame(spectra: Columns) -> pd.DataFrame:
    """The table as GaiaXPy wants it: one array in each cell."""
    return pd.DataFrame({k: list(v) if v.ndim > 1 else v for k, v in spectra.items()})


def quietly(function: Any, *args: Any, **options: Any) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*args, save_file=False, **options)


def exact(truth: Columns) -> pd.DataFrame:
    """Served table whose coefficients are the noiseless ones."""
    table = frame(observe_xp(truth, SURVEY, block_generator(1, "xp", 0))[0])
    for prism, values in true_coefficients(truth).items():
        table[f"{prism}_coefficients"] = list(values)
    return table


def correlation_matrices(spectra: Columns, prism: str) -> np.ndarray:
    lower = spectra[f"{prism}_coefficient_correlations"].astype(float)
    out = np.tile(np.eye(55), (len(lower), 1, 1))
    out[:, TRIANGLE[0], TRIANGLE[1]] = lower
    out[:, TRIANGLE[1], TRIANGLE[0]] = lower
    return out


@pytest.fixture(autouse=True)
def _gaiaxpy_leaves_matplotlib_alone() -> None:
    """The first import of GaiaXPy must be the one that restores matplotlib's settings."""
    instrument()


@pytest.fixture(scope="module")
def served() -> Columns:
    """1000 noisy spectra of four types at G = 11 and 16."""
    return {
        k: np.concatenate([a, b])
        for (k, a), b in zip(
            observe_xp(stars(g=11.0, repeat=125), SURVEY, block_generator(1, "xp", 1))[0].items(),
            observe_xp(stars(g=16.0, repeat=125), SURVEY, block_generator(1, "xp", 2))[0].values(),
            strict=True,
        )
    }


def test_gaiaxpy_calibrates_back_to_the_spectrum() -> None:
    from gaiaxpy import calibrate

    truth = stars()
    wanted = model_flux(truth)
    table, wavelength = quietly(calibrate, exact(truth))
    inside = (wavelength >= 400) & (wavelength <= 900)
    for star, flux in enumerate(table["flux"]):
        expected = np.interp(wavelength, WAVELENGTH_NM, wanted[star])
        miss = np.abs(flux - expected)[inside] / np.maximum(expected, 0.1 * expected.max())[inside]
        # BP resolves 15 nm at 600 nm: heads of TiO bands, sharp to 2.5 nm, are smeared.
        limit = 0.03 if truth["teff_true"][star] < 4000 else 0.01
        assert np.sqrt(np.mean(miss**2)) < limit
        assert miss.max() < 4 * limit


def test_gaiaxpy_converts_to_the_photons_of_the_spectrum() -> None:
    from gaiaxpy import convert
    from gaiaxpy.calibrator.external_instrument_model import ExternalInstrumentModel
    from gaiaxpy.config.paths import config_path
    from gaiaxpy.core import nature, satellite

    truth = stars(TYPES[:3])
    table, pixels = quietly(convert, exact(truth), sampling=np.linspace(0, 60, 601))
    flux = model_flux(truth)
    for prism, model in (("BP", "bpC03_v375wi"), ("RP", "rpC03_v142r")):
        files = [f"{config_path}/{model}_{k}.csv" for k in ("dispersion", "response", "bases")]
        with contextlib.redirect_stdout(io.StringIO()):
            response = ExternalInstrumentModel.from_config_csv(*files).get_response(WAVELENGTH_NM)
        photons = (
            satellite.TELESCOPE_PUPIL_AREA
            * np.trapezoid(flux * response * WAVELENGTH_NM, WAVELENGTH_NM)
            / (1e9 * nature.C * nature.PLANCK)
        )
        found = [np.trapezoid(f, pixels) for f in table.loc[table["xp"] == prism, "flux"]]
        # The window of 60 pixels holds all but a few per cent of the light.
        np.testing.assert_allclose(found, photons, rtol=0.05)


def test_gaiaxpy_generates_the_catalogued_magnitudes() -> None:
    from gaiaxpy import PhotometricSystem, generate

    truth = stars()
    table = quietly(generate, exact(truth), photometric_system=PhotometricSystem.Gaia_DR3_Vega)
    found = {b: table[f"GaiaDr3Vega_mag_{b.upper()}"].to_numpy() for b in ("g", "bp", "rp")}
    served = {b: truth[f"phot_{b}_mean_mag_true"] for b in ("g", "bp", "rp")}
    # G is imposed; BP - RP to 0.002; the mean of BP and RP as smooth spectra allow.
    np.testing.assert_allclose(found["g"], served["g"], atol=1e-3)
    np.testing.assert_allclose(found["bp"] - found["rp"], served["bp"] - served["rp"], atol=4e-3)
    np.testing.assert_allclose(found["bp"], served["bp"], atol=0.06)


def test_residuals_agree_with_the_served_covariance(served: Columns) -> None:
    for g, rows in ((11.0, slice(0, 500)), (16.0, slice(500, 1000))):
        for prism, truth in true_coefficients(stars(g=g, repeat=125)).items():
            residual = served[f"{prism}_coefficients"][rows] - truth
            pull = residual / served[f"{prism}_coefficient_errors"][rows]
            # Of 500 stars: the width of each coefficient's pull is known to 1/sqrt(1000).
            assert np.abs(pull.std(axis=0) - 1).max() < 4.5 / np.sqrt(1000)
            assert np.abs(pull.mean(axis=0)).max() < 4.5 / np.sqrt(500)
            matrices = correlation_matrices(served, prism)[rows]
            chi2 = np.einsum("ni,nij,nj->n", pull, np.linalg.inv(matrices), pull)
            assert chi2.mean() == pytest.approx(55, abs=4 * np.sqrt(110 / 500))
            assert chi2.var() == pytest.approx(110, rel=0.3)


def test_correlations_are_those_of_a_covariance(served: Columns) -> None:
    for prism in PRISMS:
        assert np.linalg.eigvalsh(correlation_matrices(served, prism)).min() > 1e-3
        spread = served[f"{prism}_coefficient_correlations"].std()
        # The archive's bright spectra have 0.13 (BP) and 0.09 (RP).
        assert 0.04 < spread < 0.2


def test_counts_are_consistent(served: Columns) -> None:
    for prism in PRISMS:
        freedom = served[f"{prism}_n_measurements"] - served[f"{prism}_n_parameters"]
        np.testing.assert_array_equal(freedom, served[f"{prism}_degrees_of_freedom"])
        np.testing.assert_allclose(
            served[f"{prism}_chi_squared"],
            served[f"{prism}_standard_deviation"] ** 2 * freedom,
            rtol=1e-5,
        )
        assert served[f"{prism}_n_measurements"].min() > 15 * 60 * 0.95
        bright, faint = np.split(served[f"{prism}_n_relevant_bases"], 2)
        assert np.median(bright) >= np.median(faint)


def test_alpha_is_visible_where_it_should_be() -> None:
    sun, giant = [5772.0, 4.44, 0.0, 0.0], [4600.0, 2.4, -0.3, 0.0]
    spectra = observe_xp(stars([sun, giant]), SURVEY, block_generator(1, "xp", 3))[0]
    poor, rich = (true_coefficients(stars([sun, giant], alpha)) for alpha in (0.0, 0.3))
    distance2 = np.zeros(2)
    for prism in PRISMS:
        step = (rich[prism] - poor[prism]) / spectra[f"{prism}_coefficient_errors"]
        inverse = np.linalg.inv(correlation_matrices(spectra, prism))
        distance2 += np.einsum("ni,nij,nj->n", step, inverse, step)
    # 0.3 dex deepens Mg b by 36 per cent: 7 per cent of the flux over 15 nm, while the
    # noise of G = 13 is 0.5 per cent in as much of the spectrum.
    assert (np.sqrt(distance2) > 10).all()
    assert (np.sqrt(distance2) < 500).all()


def test_the_null_sky_knows_no_alpha() -> None:
    null = SURVEY.model_copy(update={"alpha_strength": 0.0})
    poor, rich = (
        observe_xp(stars(alpha=alpha), null, block_generator(1, "xp", 4))[0]
        for alpha in (0.0, 0.35)
    )
    for name in XP_CONTINUOUS_MEAN_SPECTRUM.names:
        assert poor[name].tobytes() == rich[name].tobytes()


def test_features_go_where_they_belong() -> None:
    def depth(teff: float, logg: float, m_h: float = 0.0, alpha: float = 0.0) -> Any:
        values = optical_depth(*(np.array([v]) for v in (teff, logg, m_h, alpha)))[0]
        return lambda nm: np.interp(nm, WAVELENGTH_NM, values)

    a_star, sun, giant = depth(9300, 4.1), depth(5772, 4.44), depth(4600, 2.2)
    k_dwarf, m_dwarf, poor = depth(4600, 4.6), depth(3300, 4.9), depth(5772, 4.44, -2.0)
    assert a_star(486) > 3 * sun(486) > 0
    assert a_star(372) - a_star(420) > 2 * (sun(372) - sun(420)) > 0
    assert k_dwarf(517) > 1.2 * giant(517)
    assert giant(388) > k_dwarf(388)
    assert m_dwarf(712) > 10 * k_dwarf(712)
    assert poor(395) < 0.5 * sun(395)
    rich = depth(5772, 4.44, 0.0, 0.3)
    assert rich(517) > 1.2 * sun(517)
    assert rich(486) == pytest.approx(sun(486), rel=0.02)


def test_extinction_curve_has_published_values() -> None:
    # Wang & Chen (2019): 0.243 in J at 1.2345 micron, and 1 in V by definition.
    np.testing.assert_allclose(extinction_curve(np.array([1234.5, 549.5])), [0.243, 1.0], rtol=0.02)
    low, high = extinction_curve(np.array([999.9, 1000.1]))
    assert low == pytest.approx(high, rel=0.01)


def test_outliers_scatter_as_set() -> None:
    survey = SURVEY.model_copy(update={"outlier_share": 0.3, "outlier_scatter": 0.5})
    truth = stars(TYPES[1], g=8.0, repeat=800)
    spectra, flags = observe_xp(truth, survey, block_generator(1, "xp", 5))
    assert tuple(flags) == XP_TRUTH.names
    outlier = flags["xp_outlier_true"]
    assert outlier.mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 800))
    for prism, values in true_coefficients(truth).items():
        residual = (spectra[f"{prism}_coefficients"] - values)[:, :20]
        noise = spectra[f"{prism}_coefficient_errors"][:, :20]
        scatter = scatter_of_coefficients(values, prism, np.full(800, 0.5))[:, :20]
        # The noise follows the scattered spectrum, hence 20 instead of 12 per cent.
        width = residual[outlier].std(axis=0) / np.hypot(scatter, noise)[outlier].mean(axis=0)
        np.testing.assert_allclose(width, 1, atol=0.2)
        np.testing.assert_allclose((residual / noise)[~outlier].std(axis=0), 1, atol=0.15)


def test_missing_bp_and_gaiaxpy_reads_the_rest() -> None:
    from gaiaxpy import convert

    survey = SURVEY.model_copy(update={"missing_bp_share": 0.3})
    spectra, _ = observe_xp(stars(repeat=10), survey, block_generator(1, "xp", 6))
    lost = np.isnan(spectra["bp_standard_deviation"])
    assert 0 < lost.sum() < lost.size
    for name in XP_CONTINUOUS_MEAN_SPECTRUM.names:
        if name.startswith("bp_"):
            assert np.isnan(spectra[name][lost]).all()
        assert np.isfinite(spectra[name][~lost]).all()
    assert (spectra["solution_id"][lost] == 4545469030156206081).all()
    table, _ = quietly(convert, frame({k: v[~lost] for k, v in spectra.items()}))
    assert len(table) == 2 * (~lost).sum()


def test_draws_belong_to_the_generator_and_no_stars_are_no_error() -> None:
    first, again = (
        observe_xp(stars(), SURVEY, block_generator(1, "xp", 7))[0]["rp_coefficients"]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    nothing, _ = observe_xp(
        {k: v[:0] for k, v in stars().items()}, SURVEY, block_generator(1, "xp", 7)
    )
    assert nothing["bp_coefficients"].shape == (0, 55)


def test_the_instrument_leaves_matplotlib_alone() -> None:
    # In a process of its own: GaiaXPy changes matplotlib once, when it is first imported.
    script = (
        "import matplotlib; matplotlib.use('agg'); before = matplotlib.rcParams.copy();"
        "from mwatlas.sky.xp_instrument import instrument; instrument();"
        "assert matplotlib.rcParams == before"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_magnitudes_must_be_known() -> None:
    truth = stars()
    truth["phot_bp_mean_mag_true"][2] = np.nan
    with pytest.raises(ValueError, match="finite G, BP and RP"):
        true_coefficients(truth)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha_strength": -1}, "greater than or equal to 0"),
        ({"median_transits": 10}, "greater than or equal to 15"),
        ({"outlier_share": 0.02, "outlier_scatter": 0.0}, "must exceed intrinsic_scatter"),
        ({"missing_bp_share": 0.9}, "less than 0.5"),
        ({"alpha": 1}, "Extra inputs"),
    ],
)
def test_bad_settings_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        XpSurvey(**{**SURVEY.model_dump(), **change})
