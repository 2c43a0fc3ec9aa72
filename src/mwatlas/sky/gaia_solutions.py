"""How well the synthetic Gaia's astrometric solutions went: their kind, fit and images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mwatlas.config.sky_gaia import GaiaAstrometry, MagnitudeShare
from mwatlas.sky.scanning import VISIBILITY_SHARE, Scans
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

TWO, FIVE, SIX = 3, 31, 95
"""Values of astrometric_params_solved."""

SINGLE_RUWE = 1.2
"""A ruwe above this is not explained by noise of a single star."""

# Measured in the archive's rows of a complete cone, G < 18 (Gaia DR3, 2390 sources).
_OBSERVATIONS_PER_TRANSIT = 8.74
_BAD_SHARE = 0.006
# Root of chi2 per degree of freedom over ruwe: bright stars are fitted worse.
_UNIT_WEIGHT_G, _UNIT_WEIGHT = (12.0, 13.5, 16.0), (1.25, 1.02, 1.02)
# Single-star noise of one observation over parallax error times the root of their number.
_EXCESS_NOISE_RATIO = 1.89
# Sources with secondary peaks and odd windows; median and scatter of the image's asymmetry.
_PEAK_SHARE, _ODD_SHARE = 0.12, 0.01
_HARMONIC_MEDIAN, _HARMONIC_SCATTER = 0.028, 0.8
# More transits than the astrometry used were matched to the source.
_UNUSED_SHARE = 0.045


@dataclass(frozen=True)
class Fits:
    """Kinds of solutions; shape (N,) each.

    Parameters
    ----------
    params
        astrometric_params_solved.
    spurious, binary
        Whether the solution is wrong, and whether the source is no single star.
    ruwe
        Renormalised unit weight error.
    published, pull
        Published error relative to a single star's, and true over published error.
    """

    params: NDArray[np.int64]
    spurious: Bools
    binary: Bools
    ruwe: Floats
    published: Floats
    pull: Floats


def magnitude_share(share: MagnitudeShare, g: ArrayLike) -> Floats:
    """Share of sources at magnitudes G."""
    return np.interp(np.asarray(g, dtype=float), share.g, share.share)


def draw_fits(g: Floats, colour: Bools, settings: GaiaAstrometry, rng: np.random.Generator) -> Fits:
    """Draw the kinds of solutions of stars of magnitude G; ``colour`` says who has BP - RP."""
    size = g.size
    six = (rng.random(size) < magnitude_share(settings.six_parameter_share, g)) | ~colour
    two = rng.random(size) < magnitude_share(settings.two_parameter_share, g)
    spurious = rng.random(size) < settings.spurious_share
    binary = (rng.random(size) < settings.binary_share) & ~spurious
    ruwe = np.exp(settings.ruwe_scatter * rng.standard_normal(size))
    double = SINGLE_RUWE + rng.exponential(settings.binary_ruwe_scale, size)
    ruwe = np.where(binary, double, ruwe)
    return Fits(
        params=np.where(two, TWO, np.where(six, SIX, FIVE)),
        spurious=spurious,
        binary=binary,
        ruwe=ruwe,
        published=np.select([spurious, binary], [settings.spurious_error_ratio, ruwe], 1.0),
        pull=np.select(
            [spurious, binary], [settings.spurious_pull, settings.binary_error_ratio], 1.0
        ),
    )


def quality_columns(
    g: Floats,
    fits: Fits,
    scans: Scans,
    transits: NDArray[np.int64],
    parallax_error: Floats,
    settings: GaiaAstrometry,
    rng: np.random.Generator,
) -> Columns:
    """Counts, goodness of fit and image parameters.

    Parameters
    ----------
    g
        Magnitudes G; shape (N,).
    fits
        Kinds of solutions.
    scans
        The scanning law at the stars.
    transits
        Transits used.
    parallax_error
        Sky-averaged parallax error of each star in mas.
    settings
        Kinds of solutions and their flaws.
    rng
        Random numbers.
    """
    size = g.size
    observations = np.rint(_OBSERVATIONS_PER_TRANSIT * transits).astype(np.int64)
    good = observations - rng.binomial(observations, _BAD_SHARE)
    freedom = good - np.where(fits.params == SIX, 6, 5)
    uwe = np.interp(g, _UNIT_WEIGHT_G, _UNIT_WEIGHT) * fits.ruwe
    # Wilson-Hilferty transformation of ruwe (Gaia EDR3 documentation, astrometric_gof_al).
    gof = np.sqrt(4.5 * freedom) * (np.cbrt(fits.ruwe**2) + 2 / (9 * freedom) - 1)
    extra = np.maximum(fits.ruwe**2 - 1, 0)
    noise = parallax_error * np.sqrt(good * extra) / fits.ruwe / _EXCESS_NOISE_RATIO
    odd_fit = fits.binary | fits.spurious
    multi = rng.random(size) < np.where(odd_fit, 0.5, _PEAK_SHARE)
    odd = rng.random(size) < np.where(odd_fit, 0.1, _ODD_SHARE)
    harmonic = np.exp(_HARMONIC_SCATTER * rng.standard_normal(size))
    primary = rng.random(size) < magnitude_share(settings.primary_share, g)
    return {
        "astrometric_n_obs_al": observations,
        "astrometric_n_good_obs_al": good,
        "astrometric_n_bad_obs_al": observations - good,
        "astrometric_gof_al": gof,
        "astrometric_chi2_al": uwe**2 * freedom,
        "astrometric_excess_noise": noise,
        "astrometric_excess_noise_sig": np.sqrt(freedom / 2) * extra,
        "astrometric_params_solved": fits.params,
        "astrometric_primary_flag": primary & (fits.params == FIVE) & ~odd_fit,
        "astrometric_matched_transits": transits,
        "visibility_periods_used": np.maximum(
            rng.binomial(scans.visibility_periods, VISIBILITY_SHARE), 5
        ),
        "astrometric_sigma5d_max": parallax_error * scans.sigma5d,
        "matched_transits": transits + rng.binomial(transits, _UNUSED_SHARE),
        "ipd_gof_harmonic_amplitude": _HARMONIC_MEDIAN * harmonic * np.where(odd_fit, 2, 1),
        "ipd_frac_multi_peak": np.where(multi, np.ceil(rng.exponential(8, size)).clip(1, 100), 0),
        "ipd_frac_odd_win": np.where(odd, np.ceil(rng.exponential(20, size)).clip(1, 100), 0),
        "ruwe": np.where(fits.params == TWO, np.nan, fits.ruwe),
        "duplicated_source": rng.random(size) < settings.duplicated_share,
    }
