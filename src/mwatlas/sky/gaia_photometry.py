"""Photometry of the synthetic Gaia: mean fluxes in G, BP and RP."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pygaia.errors.photometric import LogMagUncertainty

from mwatlas.config.sky_gaia import GaiaPhotometry
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

ZERO_POINTS = {"g": 25.6873668671, "bp": 25.3385422158, "rp": 24.7478955012}
"""Vega zero points of mean fluxes in electrons per second: Riello et al. (2021, A&A 649, A3)."""

# Observations that PyGaia's errors are for in DR3, and observations per transit of the archive's
# rows in a complete cone.
_REFERENCE_OBSERVATIONS = {"g": 351, "bp": 40, "rp": 40}
_PER_TRANSIT = {"g": (9, 0.95), "bp": (1, 0.92), "rp": (1, 0.89)}
# Range and step of the tabulated errors; the errors are constant beyond.
_BRIGHT, _FAINT, _STEP = 4.0, 21.0, 0.01


def flux_of_magnitude(band: str, magnitude: ArrayLike) -> Floats:
    """Mean flux in electrons per second of Vega magnitudes in ``band`` (g, bp or rp)."""
    return 10 ** (0.4 * (ZERO_POINTS[band] - np.asarray(magnitude, dtype=float)))


def magnitude_of_flux(band: str, flux: ArrayLike) -> Floats:
    """Vega magnitude of positive mean fluxes in electrons per second."""
    return ZERO_POINTS[band] - 2.5 * np.log10(np.asarray(flux, dtype=float))


def magnitude_error(band: str, magnitude: ArrayLike, observations: ArrayLike) -> Floats:
    """Error in magnitudes of a mean over ``observations`` (PyGaia, after Riello et al. 2021)."""
    grid, error = _error_table(band)
    missing = np.sqrt(_REFERENCE_OBSERVATIONS[band] / np.maximum(observations, 1))
    return np.interp(np.asarray(magnitude, dtype=float), grid, error) * missing


@lru_cache(maxsize=3)
def _error_table(band: str) -> tuple[Floats, Floats]:
    grid = np.arange(_BRIGHT, _FAINT, _STEP)
    table = LogMagUncertainty().estimate_for_maglist(band, grid, release="dr3")
    return grid, 10 ** table[f"logU_{_REFERENCE_OBSERVATIONS[band]}"].to_numpy()


def observe_photometry(
    truth: Columns,
    transits: NDArray[np.integer],
    settings: GaiaPhotometry,
    rng: np.random.Generator,
) -> tuple[Columns, Columns]:
    """Measure the three fluxes.

    Parameters
    ----------
    truth
        Columns of the truth table; shape (N,) each.
    transits
        Field transits of each star.
    settings
        What is missing and what is blended.
    rng
        Random numbers.

    Returns
    -------
    served, known
        Archive columns; and ``blended_true``.
    """
    size = transits.size
    colourless = rng.random(size) < settings.no_colour_share
    blended = rng.random(size) < settings.blended_share
    light = np.where(blended, 1 + rng.exponential(settings.blended_excess, size), 1.0)
    served: Columns = {}
    for band, (number, share) in _PER_TRANSIT.items():
        magnitude = truth[f"phot_{band}_mean_mag_true"]
        observations = rng.binomial(number * transits, share)
        missing = (colourless if band != "g" else np.zeros(size, dtype=bool)) | (observations == 0)
        true_flux = flux_of_magnitude(band, magnitude) * (1.0 if band == "g" else light)
        relative = magnitude_error(band, magnitude, observations) * np.log(10) / 2.5
        error = (true_flux * relative).astype(np.float32)
        flux = true_flux + error * rng.standard_normal(size)
        # A flux of no positive value has no magnitude; the source then counts as not measured.
        missing |= flux <= 0
        flux = np.where(missing, np.nan, flux)
        error = np.where(missing, np.nan, error)
        served[f"phot_{band}_n_obs"] = np.where(missing, 0, observations)
        served[f"phot_{band}_mean_flux"] = flux
        served[f"phot_{band}_mean_flux_error"] = error
        served[f"phot_{band}_mean_flux_over_error"] = flux / error
        served[f"phot_{band}_mean_mag"] = magnitude_of_flux(band, flux).astype(np.float32)
    fluxes = [served[f"phot_{band}_mean_flux"] for band in ("bp", "rp", "g")]
    served["phot_bp_rp_excess_factor"] = (fluxes[0] + fluxes[1]) / fluxes[2]
    g, bp, rp = (served[f"phot_{band}_mean_mag"] for band in ("g", "bp", "rp"))
    served |= {"bp_rp": bp - rp, "bp_g": bp - g, "g_rp": g - rp}
    return served, {"blended_true": blended}
