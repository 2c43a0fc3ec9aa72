"""Radial velocities of the synthetic Gaia: which stars have one, and how good it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pygaia.errors.spectroscopic import radial_velocity_uncertainty
from scipy.special import expit

from mwatlas.config.sky_gaia import GaiaSpectrometer
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

# G_RVS - RP as a polynomial in G - RP, below and above G - RP = 1.2: Sartoretti et al. (2023,
# A&A 674, A6), equations 2 and 3; valid from -0.15 to 1.7.
_GRVS_BLUE = (-0.0397, -0.2852, -0.0330, -0.0867)
_GRVS_RED = (-4.0618, 10.0187, -9.0532, 2.6089)
_GRVS_RANGE, _GRVS_BREAK = (-0.15, 1.7), 1.2

# PyGaia's errors hold in groups of gravity: upper gravity and range of temperature of each.
_GIANTS = ((1.0, 3000.0, 4750.0), (2.0, 3500.0, 5250.0), (3.0, 4000.0, 5500.0))
_SUBGIANTS = (3.5, 4500.0, 5500.0)
_DWARF_LOGG, _WARM = 3.5, 4500.0
_LOGG_RANGE, _TEFF_RANGE = (-0.5, 5.0), (3000.0, 14500.0)

# PyGaia's errors end here; they grow by a factor e in 1.1 mag, as they do before.
_FAINTEST, _GROWTH = 14.0, 0.9

# DR2 rests on 22 of DR3's 34 months and an older pipeline: its errors are those of stars this
# much fainter, and 0.11 km/s are added in quadrature. Gives the 1.4 km/s of Katz et al. (2019,
# A&A 622, A205) at G_RVS = 11.75 and 5000 K.
_DR2_FAINTER, _DR2_FLOOR_KMS = 0.35, 0.11

# Velocities combined from transits one by one to this magnitude, from the mean of all beyond:
# Katz et al. (2023, A&A 674, A5), section 2.
_BRIGHT_METHOD = 12.0
# Four of seven rows of detectors have a spectrometer; some transits overlap.
_TRANSIT_SHARE, _FEWEST_TRANSITS = 0.5, 2

# Expected signal: Gaia science performance pages (zero point, exposure of three detectors,
# pixels per band, background and read-out noise per sample).
_ZERO_POINT, _EXPOSURE_S, _DETECTORS, _BAND_SHARE = 21.317, 4.4167, 3, 0.02453 / 24
_BACKGROUND, _READ_OUT = 4.7, 3.2
_BRIGHT_WINDOW, _BRIGHT_SAMPLES = 7.0, 10
# Error of grvs_mag: floor, and value at the limit 14; from 175 rows of the archive.
_GRVS_FLOOR, _GRVS_AT_14, _GRVS_SLOPE = 0.004, 0.16, 0.6
# Grid of synthetic spectra.
_TEMPLATE_TEFF, _TEMPLATE_LOGG = 250.0, 0.5
_TEMPLATE_FE_H = np.array([-1.5, -1.0, -0.5, -0.25, 0.0, 0.25, 0.5])


def grvs_magnitude(g: ArrayLike, rp: ArrayLike) -> Floats:
    """Magnitude in the band of the spectrometer, from magnitudes G and RP."""
    rp = np.asarray(rp, dtype=float)
    x = np.clip(np.asarray(g, dtype=float) - rp, *_GRVS_RANGE)
    blue = np.polynomial.polynomial.polyval(x, _GRVS_BLUE)
    red = np.polynomial.polynomial.polyval(x, _GRVS_RED)
    return rp + np.where(x < _GRVS_BREAK, blue, red)


def radial_velocity_error(
    grvs: ArrayLike, teff: ArrayLike, logg: ArrayLike, columns: str = "gaiadr3"
) -> Floats:
    """Standard error of the radial velocity in km/s (PyGaia; Katz et al. 2023, 2019).

    Parameters
    ----------
    grvs, teff, logg
        Magnitude, temperature in K and surface gravity; shape (N,) each. Outside PyGaia's
        groups the nearest group holds.
    columns
        ``gaiadr3``, or ``gaiaedr3`` for the velocities of DR2.

    Returns
    -------
    float64, shape (N,)
        NaN where PyGaia gives none: hot stars whose errors exceed 20 km/s.
    """
    grvs = np.asarray(grvs, dtype=float)
    kelvin: Floats = np.clip(np.asarray(teff, dtype=float), *_TEFF_RANGE)
    gravity: Floats = np.clip(np.asarray(logg, dtype=float), *_LOGG_RANGE)
    below = -np.inf
    for above, coolest, hottest in (*_GIANTS, _SUBGIANTS):
        inside = (gravity >= below) & (gravity < above)
        gravity = np.where(inside & (kelvin > hottest), _DWARF_LOGG, gravity)
        kelvin = np.where(inside & (kelvin < coolest), coolest, kelvin)
        below = above
    cool_subgiant = (gravity >= _DWARF_LOGG) & (gravity < 4) & (kelvin < _WARM)
    kelvin = np.where(cool_subgiant, _WARM, kelvin)
    if columns == "gaiaedr3":
        grvs = grvs + _DR2_FAINTER
    bright = np.minimum(grvs, _FAINTEST)
    error = radial_velocity_uncertainty(bright, kelvin, gravity, release="dr3")
    error = error * np.exp(_GROWTH * (grvs - bright))
    return np.hypot(error, _DR2_FLOOR_KMS) if columns == "gaiaedr3" else error


def radial_velocity_probability(
    grvs: ArrayLike, teff: ArrayLike, error: ArrayLike, settings: GaiaSpectrometer
) -> Floats:
    """Probability that a star has a published radial velocity.

    Parameters
    ----------
    grvs, teff
        Magnitude and temperature in K.
    error
        Its :func:`radial_velocity_error` in km/s; none is published without one.
    settings
        Limits and completeness.
    """
    grvs, teff = np.asarray(grvs, dtype=float), np.asarray(teff, dtype=float)
    faint = grvs > settings.hot_grvs_limit
    coolest = np.where(faint, settings.teff_range_faint[0], settings.teff_range[0])
    hottest = np.where(faint, settings.teff_range_faint[1], settings.teff_range[1])
    allowed = (teff >= coolest) & (teff <= hottest) & (np.asarray(error) <= settings.max_error_kms)
    depth = (settings.grvs_limit - grvs) / settings.grvs_width
    return settings.completeness * expit(depth) * allowed


def observe_velocities(
    truth: Columns,
    transits: NDArray[np.int64],
    settings: GaiaSpectrometer,
    columns: str,
    rng: np.random.Generator,
) -> tuple[Columns, Columns]:
    """Measure radial velocities.

    Parameters
    ----------
    truth
        Columns of the truth table; shape (N,) each.
    transits
        Field transits of each star.
    settings
        Limits and completeness.
    columns
        ``gaiadr3``, or ``gaiaedr3`` for the velocities of DR2 under their names there.
    rng
        Random numbers.

    Returns
    -------
    served, known
        Archive columns; and ``rv_outlier_true``.
    """
    size = transits.size
    teff, logg = truth["teff_true"], truth["logg_true"]
    grvs = grvs_magnitude(truth["phot_g_mean_mag_true"], truth["phot_rp_mean_mag_true"])
    error = radial_velocity_error(grvs, teff, logg, columns).astype(np.float32)
    chance = radial_velocity_probability(grvs, teff, error, settings)
    has = rng.random(size) < chance
    outlier = has & (rng.random(size) < settings.outlier_share)
    centre = np.where(
        outlier,
        settings.outlier_scatter_kms * rng.standard_normal(size),
        truth["radial_velocity_true"],
    )
    velocity = centre + error * rng.standard_normal(size)
    used = np.maximum(rng.binomial(transits, _TRANSIT_SHARE), _FEWEST_TRANSITS)
    template: Columns = {
        "rv_template_teff": np.rint(teff / _TEMPLATE_TEFF) * _TEMPLATE_TEFF,
        "rv_template_logg": np.rint(logg / _TEMPLATE_LOGG) * _TEMPLATE_LOGG,
        "rv_template_fe_h": _nearest(_TEMPLATE_FE_H, truth["fe_h_true"]),
    }
    known: Columns = {"rv_outlier_true": outlier}
    if columns == "gaiaedr3":
        measured: Columns = {
            "radial_velocity": velocity,
            "radial_velocity_error": error,
            **template,
        }
        served = {f"dr2_{k}": np.where(has, v, np.nan) for k, v in measured.items()}
        # The archive has zero transits, not null, for stars without a velocity.
        return served | {"dr2_rv_nb_transits": np.where(has, used, 0)}, known
    signal = _signal_to_noise(grvs, used)
    grvs_error = (_GRVS_FLOOR + _GRVS_AT_14 * 10 ** (_GRVS_SLOPE * (grvs - 14))).astype(np.float32)
    grvs_mag = grvs + grvs_error * rng.standard_normal(size)
    graded = has & (rng.random(size) >= settings.no_grvs_share)
    bright = has & (grvs <= _BRIGHT_METHOD)
    measured = {
        "radial_velocity": velocity,
        "radial_velocity_error": error,
        "rv_method_used": np.where(bright, 1.0, 2.0),
        "rv_nb_transits": used,
        "rv_expected_sig_to_noise": signal,
        **template,
    }
    served = {name: np.where(has, values, np.nan) for name, values in measured.items()}
    served["grvs_mag"] = np.where(graded, grvs_mag, np.nan)
    served["grvs_mag_error"] = np.where(graded, grvs_error, np.nan)
    served["has_rvs"] = bright & (rng.random(size) < settings.spectrum_share)
    return served, known


def _signal_to_noise(grvs: Floats, transits: NDArray[np.int64]) -> Floats:
    """Expected signal-to-noise ratio per pixel of the combined spectra."""
    spectra = _DETECTORS * transits
    signal = 10 ** (0.4 * (_ZERO_POINT - grvs)) * _EXPOSURE_S * _BAND_SHARE * spectra
    samples = np.where(grvs <= _BRIGHT_WINDOW, _BRIGHT_SAMPLES, 1)
    return signal / np.sqrt(signal + (_BACKGROUND + _READ_OUT**2) * samples * spectra)


def _nearest(grid: Floats, values: Floats) -> Floats:
    return grid[np.searchsorted(0.5 * (grid[1:] + grid[:-1]), values)]
