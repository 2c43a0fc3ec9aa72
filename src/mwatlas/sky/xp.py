"""Gaia's continuous BP and RP spectra of the embedded sky's stars."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.sky_xp import XpSurvey
from mwatlas.sky.spectra import flux_density
from mwatlas.sky.xp_instrument import (
    N_BASES,
    PRISMS,
    amplitude_prior,
    instrument,
    match_photometry,
)
from mwatlas.sky.xp_noise import Measurement, measure, relevant_bases
from mwatlas.tables.table import Columns
from mwatlas.tables.xp import XP_CONTINUOUS_MEAN_SPECTRUM, XP_TRUTH

Floats = NDArray[np.float64]

_BLOCK = 1000
_MAGNITUDES = ("phot_g_mean_mag_true", "phot_bp_mean_mag_true", "phot_rp_mean_mag_true")
# Of the archive: with both prisms, and with RP alone.
_SOLUTION_ID, _SOLUTION_ID_ONE_PRISM = 4545469030156206080, 4545469030156206081
_BASIS_FUNCTION_ID = {"bp": 56, "rp": 57}
# The archive publishes no spectrum of fewer transits (De Angeli et al. 2023).
_FEWEST_TRANSITS, _MOST_TRANSITS = 15, 250
# RP keeps up to this share more transits than BP, whose samples are fainter.
_MORE_RP_TRANSITS = 0.3


def true_coefficients(truth: Columns, alpha_strength: float = 1.0) -> dict[str, Floats]:
    """Coefficients of the stars' spectra without noise and scatter.

    [M/H] of the model spectra is [Fe/H], as in APOGEE's calibrated labels, so that
    ``alpha_m_true`` enters by the alpha elements alone.

    Parameters
    ----------
    truth
        With teff_true, logg_true, fe_h_true, alpha_m_true, a_v_true and the true magnitudes
        in G, BP and RP.
    alpha_strength
        See :func:`mwatlas.sky.spectra.optical_depth`.

    Returns
    -------
    dict
        By prism, shape (N, 55), in electrons per second and pixel.

    Raises
    ------
    ValueError
        If a magnitude is missing.
    """
    gaia = instrument()
    names = ("teff_true", "logg_true", "fe_h_true", "alpha_m_true", "a_v_true")
    teff, logg, m_h, alpha_m, a_v = (np.asarray(truth[name], dtype=float) for name in names)
    magnitudes = np.stack([np.asarray(truth[name], dtype=float) for name in _MAGNITUDES], axis=1)
    model = flux_density(teff, logg, m_h, alpha_m, a_v, alpha_strength)
    flux = match_photometry(model, magnitudes, gaia)
    return {prism: flux @ gaia.prisms[prism].to_coefficients.T for prism in PRISMS}


def scatter_of_coefficients(coefficients: Floats, prism: str, share: Floats) -> Floats:
    """Standard deviation of the coefficients of stars of equal parameters.

    Parameters
    ----------
    coefficients
        Without noise; shape (N, 55).
    prism
        ``bp`` or ``rp``.
    share
        Scatter relative to typical coefficients (see ``XpSurvey``); shape (N,).

    Returns
    -------
    float64, shape (N, 55)
        Gaussian and independent from one coefficient to the next.
    """
    norm = np.linalg.norm(coefficients, axis=1)
    return (share * norm)[:, None] * amplitude_prior(prism)


def observe_xp(
    truth: Columns, survey: XpSurvey, rng: np.random.Generator
) -> tuple[Columns, Columns]:
    """Spectra of stars as the archive serves them.

    Parameters
    ----------
    truth
        The stars that have spectra, with what :func:`true_coefficients` needs.
    survey
        What the prisms record.
    rng
        Generator of all draws, for instance of one HEALPix cell.

    Returns
    -------
    spectra, truth
        Of :data:`~mwatlas.tables.xp.XP_CONTINUOUS_MEAN_SPECTRUM` and
        :data:`~mwatlas.tables.xp.XP_TRUTH`; where BP is missing its columns are NaN.

    Raises
    ------
    ValueError
        If a magnitude is missing.
    """
    size = len(truth["source_id"])
    blocks = [
        _observe_block({k: v[start : start + _BLOCK] for k, v in truth.items()}, survey, rng)
        for start in range(0, max(size, 1), _BLOCK)
    ]
    spectra, peculiar = zip(*blocks, strict=True)
    return (
        {name: np.concatenate([b[name] for b in spectra]) for name in spectra[0]},
        {name: np.concatenate([b[name] for b in peculiar]) for name in peculiar[0]},
    )


def _observe_block(
    truth: Columns, survey: XpSurvey, rng: np.random.Generator
) -> tuple[Columns, Columns]:
    gaia, source_id = instrument(), truth["source_id"]
    size = len(source_id)
    outlier = rng.random(size) < survey.outlier_share
    lost = rng.random(size) < survey.missing_bp_share
    transits = survey.median_transits * np.exp(survey.transit_scatter * rng.standard_normal(size))
    more = {"bp": np.ones(size), "rp": 1 + _MORE_RP_TRANSITS * rng.random(size)}
    share = np.where(outlier, survey.outlier_scatter, survey.intrinsic_scatter)
    out: Columns = {
        "source_id": source_id,
        "solution_id": np.where(lost, _SOLUTION_ID_ONE_PRISM, _SOLUTION_ID),
    }
    for prism, exact in true_coefficients(truth, survey.alpha_strength).items():
        scatter = scatter_of_coefficients(exact, prism, share)
        coefficients = exact + scatter * rng.standard_normal(exact.shape)
        n_transits = np.clip(transits * more[prism], _FEWEST_TRANSITS, _MOST_TRANSITS)
        measured = measure(
            coefficients,
            gaia.prisms[prism].internal_bases,
            prism,
            n_transits.astype(np.int64),
            rng,
        )
        columns = _archive_columns(measured, prism)
        if prism == "bp" and lost.any():
            columns = {name: _without(values, lost) for name, values in columns.items()}
        out |= columns
    where = "the embedded sky's spectra"
    return (
        XP_CONTINUOUS_MEAN_SPECTRUM.conform(out, where),
        XP_TRUTH.conform({"source_id": source_id, "xp_outlier_true": outlier}, where),
    )


def _archive_columns(measured: Measurement, prism: str) -> Columns:
    freedom = measured.n_measurements - N_BASES
    relevant = relevant_bases(measured.coefficients, measured.errors)
    kept = np.where(np.arange(N_BASES) < relevant[:, None], measured.coefficients, 0)
    norm = np.linalg.norm(measured.coefficients, axis=1)
    columns: Columns = {
        "basis_function_id": np.full(len(freedom), _BASIS_FUNCTION_ID[prism]),
        "degrees_of_freedom": freedom,
        "n_parameters": np.full(len(freedom), N_BASES),
        "n_measurements": measured.n_measurements,
        "n_rejected_measurements": measured.n_rejected,
        "standard_deviation": measured.standard_deviation,
        "chi_squared": measured.standard_deviation**2 * freedom,
        "coefficients": measured.coefficients,
        "coefficient_errors": measured.errors,
        "coefficient_correlations": measured.correlations,
        "n_relevant_bases": relevant,
        "relative_shrinking": np.minimum(np.linalg.norm(kept, axis=1) / norm, 1.0),
    }
    return {f"{prism}_{name}": values for name, values in columns.items()}


def _without(values: NDArray[np.generic], lost: NDArray[np.bool_]) -> Floats:
    out = np.asarray(values, dtype=float)
    out[lost] = np.nan
    return out
