"""Astrometry of the synthetic Gaia: errors, correlations and noise of the five parameters.

The errors are those of a single star of magnitude G times what the scanning law
gives at its place. Binaries and spurious solutions have larger errors, and larger deviations
still.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from pygaia.errors.astrometric import parallax_uncertainty

from mwatlas.astrometry.ecliptic import ecliptic
from mwatlas.astrometry.zero_point import parallax_zero_point
from mwatlas.config.sky_gaia import GaiaAstrometry
from mwatlas.photometry import effective_wavenumber
from mwatlas.sky.gaia_solutions import FIVE, SIX, TWO, draw_fits, quality_columns
from mwatlas.sky.scanning import OBSERVED_SHARE, Scans, scan_pixel, scans_at
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

PARAMETERS = ("ra", "dec", "parallax", "pmra", "pmdec")
PAIRS = tuple((a, b) for i, a in enumerate(PARAMETERS) for b in PARAMETERS[i + 1 :])
"""Pairs of parameters, in the order of the archive's correlation columns."""

# Errors of single stars in the archive over PyGaia's, which is a smooth fit above G = 13: from 1500
# rows of DR3 and EDR3 with ruwe < 1.2, and for G < 10.5 the errors of 20,000 bright stars, all
# divided by what the scanning law gives.
_ARCHIVE_G = (5.0, 6.5, 7.5, 8.5, 9.5, 12.0, 13.0, 14.0, 16.0, 18.5)
_ARCHIVE_RATIO = (5.0, 2.1, 2.0, 1.7, 1.38, 1.15, 1.0, 0.92, 0.875, 0.84)

# Measured in the archive's six-parameter solutions: error of the pseudocolour (1/um) per mas of
# parallax error, and scatter of its correlations with the other parameters.
_PSEUDOCOLOUR_ERROR_PER_MAS = 0.25
_PSEUDOCOLOUR_CORRELATION = 0.14
# Keeps the six-parameter correlation matrix positive definite.
_LARGEST_CORRELATION = 0.9
_MAS_PER_DEG = 3.6e6


def parallax_error_mas(g: ArrayLike) -> Floats:
    """Parallax error of a single star of magnitude G, averaged over the sky; shape (N,).

    PyGaia's, scaled to the archive's.
    """
    g = np.atleast_1d(np.asarray(g, dtype=float))
    ratio = np.interp(g, _ARCHIVE_G, _ARCHIVE_RATIO)
    return ratio * parallax_uncertainty(g, release="dr3") / 1000


def parallax_error_factor(ra: ArrayLike, dec: ArrayLike) -> Floats:
    """Parallax error at positions in degrees relative to the mean over the sky; shape (N,)."""
    return scans_at(scan_pixel(np.asarray(ra, float), np.asarray(dec, float))).sigma[:, 2]


def observe_astrometry(
    truth: Columns,
    g: NDArray[np.float32],
    bp_rp: Floats,
    scans: Scans,
    transits: NDArray[np.int64],
    settings: GaiaAstrometry,
    rng: np.random.Generator,
) -> tuple[Columns, Columns]:
    """Measure the five parameters, and the colour where photometry lacks it.

    Parameters
    ----------
    truth
        Columns of the truth table; shape (N,) each.
    g, bp_rp
        Served magnitude and colour, NaN where missing; in the archive's types, so that the zero
        point a study computes from them is exactly the one put in here.
    scans, transits
        The scanning law at the stars, and how many transits were observed.
    settings
        Kinds of solutions and their flaws.
    rng
        Random numbers.

    Returns
    -------
    served, known
        Archive columns; and ``binary_true`` and ``spurious_true``.
    """
    true_g = truth["phot_g_mean_mag_true"]
    size = true_g.size
    fits = draw_fits(true_g, np.isfinite(bp_rp), settings, rng)
    lost = np.sqrt(OBSERVED_SHARE * scans.transits / transits)
    base = parallax_error_mas(true_g) * lost * fits.published
    error = (scans.sigma * base[:, None]).astype(np.float32)
    white = rng.standard_normal((size, 6))
    lean = _PSEUDOCOLOUR_CORRELATION * rng.standard_normal((size, 5))
    lean *= np.minimum(1, _LARGEST_CORRELATION / np.linalg.norm(lean, axis=1))[:, None]
    perturbation = settings.correlation_scatter * rng.standard_normal((size, len(PAIRS)))
    unit, correlation, colour_correlation = _correlate(scans.cholesky, perturbation, white, lean)
    noise = unit * (np.column_stack([error, np.ones(size)]) * fits.pull[:, None])

    five, six = fits.params == FIVE, fits.params == SIX
    wavenumber = effective_wavenumber(
        truth["phot_bp_mean_mag_true"] - truth["phot_rp_mean_mag_true"]
    )
    colour_error = (_PSEUDOCOLOUR_ERROR_PER_MAS * error[:, 2]).astype(np.float32)
    colour: Columns = {
        "nu_eff_used_in_astrometry": np.where(five, effective_wavenumber(bp_rp), np.nan),
        "pseudocolour": np.where(six, wavenumber + colour_error * noise[:, 5], np.nan),
        "pseudocolour_error": np.where(six, colour_error, np.nan),
    }
    colour = {name: values.astype(np.float32) for name, values in colour.items()}
    shift = noise[:, 0] / _MAS_PER_DEG / np.cos(np.radians(truth["dec"]))
    ra = (truth["ra"] + shift) % 360
    dec = np.clip(truth["dec"] + noise[:, 1] / _MAS_PER_DEG, -90, 90)
    ecl_lon, ecl_lat = ecliptic(ra, dec)
    zero_point = parallax_zero_point(
        g,
        colour["nu_eff_used_in_astrometry"],
        colour["pseudocolour"],
        ecl_lat,
        fits.params,
    )
    parallax = 1 / truth["distance_kpc_true"] + np.nan_to_num(zero_point) + noise[:, 2]
    pmra, pmdec = truth["pmra_true"] + noise[:, 3], truth["pmdec_true"] + noise[:, 4]
    solved: Columns = {
        "parallax": parallax,
        "pmra": pmra,
        "pmdec": pmdec,
        "parallax_over_error": parallax / error[:, 2],
        "pm": np.hypot(pmra, pmdec),
        **{f"{name}_error": error[:, k] for k, name in enumerate(PARAMETERS) if k > 1},
        **{f"{a}_{b}_corr": correlation[:, k] for k, (a, b) in enumerate(PAIRS) if k > 0},
    }
    known = fits.params != TWO
    served: Columns = {
        "ra": ra,
        "dec": dec,
        "ecl_lon": ecl_lon,
        "ecl_lat": ecl_lat,
        "ra_error": error[:, 0],
        "dec_error": error[:, 1],
        "ra_dec_corr": correlation[:, 0],
        **{name: np.where(known, values, np.nan) for name, values in solved.items()},
        **colour,
        **{
            f"{name}_pseudocolour_corr": np.where(six, colour_correlation[:, k], np.nan)
            for k, name in enumerate(PARAMETERS)
        },
        **quality_columns(true_g, fits, scans, transits, base, settings, rng),
    }
    return served, {"binary_true": fits.binary, "spurious_true": fits.spurious}


@njit(cache=True)
def _correlate(
    cholesky: Floats, perturbation: Floats, white: Floats, lean: Floats
) -> tuple[Floats, Floats, Floats]:
    """Turn white noise into noise with the correlations of each star.

    The factor of the scanning law is perturbed below its diagonal and its rows are normalised
    again, which leaves a correlation matrix whatever the perturbation.

    Parameters
    ----------
    cholesky
        Factors of the correlation matrices; shape (N, 5, 5).
    perturbation
        Changes of their elements below the diagonal; shape (N, 10).
    white
        Independent standard normal numbers; shape (N, 6).
    lean
        The sixth parameter's coefficients of the first five white numbers; shape (N, 5).

    Returns
    -------
    noise, correlation, colour_correlation
        Unit noise (N, 6), the correlations above the diagonal (N, 10), and those of the sixth
        parameter with the others (N, 5).
    """
    size = len(cholesky)
    noise, correlation = np.zeros((size, 6)), np.zeros((size, 10))
    colour_correlation = np.zeros((size, 5))
    factor = np.zeros((5, 5))
    for n in range(size):
        k = 0
        for i in range(5):
            norm = 0.0
            for j in range(i + 1):
                factor[i, j] = cholesky[n, i, j]
                if j < i:
                    factor[i, j] += perturbation[n, k]
                    k += 1
                norm += factor[i, j] ** 2
            norm = np.sqrt(norm)
            for j in range(i + 1):
                factor[i, j] /= norm
                noise[n, i] += factor[i, j] * white[n, j]
                colour_correlation[n, i] += factor[i, j] * lean[n, j]
        k = 0
        for i in range(5):
            for j in range(i + 1, 5):
                for m in range(i + 1):
                    correlation[n, k] += factor[i, m] * factor[j, m]
                k += 1
        rest = 1.0
        for j in range(5):
            noise[n, 5] += lean[n, j] * white[n, j]
            rest -= lean[n, j] ** 2
        noise[n, 5] += np.sqrt(rest) * white[n, 5]
    return noise, correlation, colour_correlation
