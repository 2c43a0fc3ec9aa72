"""A sample of stars observed by the synthetic Gaia, shared by its tests."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import healpy
import numpy as np
import pytest
from astropy.table import Table

from mwatlas.config.sky_gaia import GaiaSurvey
from mwatlas.sky.gaia import observe_gaia
from mwatlas.sky.gaia_photometry import (
    ZERO_POINTS,
    flux_of_magnitude,
    magnitude_of_flux,
)
from mwatlas.tables.table import Columns

NUMBER = 60_000

SETTINGS: dict[str, Any] = {
    "columns": "gaiadr3",
    "astrometry": {
        "two_parameter_share": {"g": [13, 15, 17], "share": [0.02, 0.007, 0.012]},
        "six_parameter_share": {"g": [13, 16, 17], "share": [0.02, 0.03, 0.07]},
        "primary_share": {"g": [13, 15, 16.5], "share": [0.6, 0.33, 0.06]},
        "ruwe_scatter": 0.055,
        "binary_share": 0.08,
        "binary_ruwe_scale": 1.5,
        "binary_error_ratio": 1.3,
        "spurious_share": 0.004,
        "spurious_error_ratio": 4.0,
        "spurious_pull": 8.0,
        "duplicated_share": 0.003,
        "correlation_scatter": 0.13,
    },
    "photometry": {"no_colour_share": 0.006, "blended_share": 0.04, "blended_excess": 0.15},
    "spectrometer": {
        "grvs_limit": 14.0,
        "grvs_width": 0.05,
        "completeness": 0.93,
        "teff_range": [3100, 14500],
        "hot_grvs_limit": 12.0,
        "teff_range_faint": [3100, 6750],
        "max_error_kms": 40.0,
        "outlier_share": 0.002,
        "outlier_scatter_kms": 200.0,
        "no_grvs_share": 0.05,
        "spectrum_share": 0.15,
    },
}


def excess_factor_mean(bp_rp: np.ndarray) -> np.ndarray:
    """Mean phot_bp_rp_excess_factor of isolated stars: Riello et al. (2021), Table 2."""
    return np.select(
        [bp_rp < 0.5, bp_rp < 4.0],
        [
            1.154360 + 0.033772 * bp_rp + 0.032277 * bp_rp**2,
            1.162004 + 0.011464 * bp_rp + 0.049255 * bp_rp**2 - 0.005879 * bp_rp**3,
        ],
        1.057572 + 0.140537 * bp_rp,
    )


def survey(**changes: Any) -> GaiaSurvey:
    """Settings with some changed."""
    merged = {
        key: {**value, **changes.get(key, {})} if isinstance(value, dict) else value
        for key, value in SETTINGS.items()
    }
    merged |= {key: value for key, value in changes.items() if not isinstance(value, dict)}
    return GaiaSurvey.model_validate(merged)


@lru_cache(maxsize=1)
def stars() -> Columns:
    """Truth of stars all over the sky, with colours that obey the mean excess factor."""
    rng = np.random.default_rng(5)
    index = np.sort(rng.choice(12 * 4**12, NUMBER, replace=False))
    ra, dec = healpy.pix2ang(2**12, index, nest=True, lonlat=True)
    g, bp_rp = rng.uniform(5, 17, NUMBER), rng.uniform(0.3, 2.0, NUMBER)
    # Fluxes in BP and RP that add up to the mean excess factor of their colour.
    total = excess_factor_mean(bp_rp) * flux_of_magnitude("g", g)
    ratio = 10 ** (0.4 * (ZERO_POINTS["bp"] - ZERO_POINTS["rp"] - bp_rp))
    return {
        "source_id": (index << 35) + 128,
        "ra": ra,
        "dec": dec,
        "distance_kpc_true": rng.uniform(0.2, 10, NUMBER),
        "pmra_true": rng.normal(0, 10, NUMBER),
        "pmdec_true": rng.normal(0, 10, NUMBER),
        "radial_velocity_true": rng.normal(0, 60, NUMBER),
        "teff_true": rng.uniform(2900, 9000, NUMBER),
        "logg_true": rng.uniform(0, 5, NUMBER),
        "fe_h_true": rng.normal(-0.3, 0.5, NUMBER),
        "phot_g_mean_mag_true": g,
        "phot_bp_mean_mag_true": magnitude_of_flux("bp", total * ratio / (1 + ratio)),
        "phot_rp_mean_mag_true": magnitude_of_flux("rp", total / (1 + ratio)),
    }


Observed = tuple[Columns, Columns]


@lru_cache(maxsize=2)
def observed(release: str) -> Observed:
    """Those stars, observed for a release."""
    dr2 = {
        "grvs_limit": 12.0,
        "completeness": 0.8,
        "teff_range": [3550, 6900],
        "teff_range_faint": [3550, 6900],
    }
    changes = dr2 if release == "gaiaedr3" else {}
    settings = survey(columns=release, spectrometer=changes)
    return observe_gaia(stars(), settings, np.random.default_rng(1))


def archive_rows(folder: Path, release: str) -> Table:
    """Random rows of the real table."""
    file = {"gaiadr3": "gdr3_sm.fits", "gaiaedr3": "gedr3_sm.fits"}[release]
    return Table.read(folder / file, unit_parse_strict="silent")


def values_of(column: Any) -> np.ndarray:
    """Values as floats, the archive's nulls as NaN."""
    values = np.asarray(column).astype(float)
    # FITS has no null integers; this is the smallest of 16 bits.
    return np.where(values == -32768, np.nan, values)


def width_is_one(pull: np.ndarray) -> None:
    """Assert that pulls have mean 0 and standard deviation 1."""
    # The standard deviation of N normal numbers has an error of 1 / sqrt(2 N): four of them.
    error = 4 / np.sqrt(2 * pull.size)
    assert error < 0.03
    assert pull.std() == pytest.approx(1, abs=error)
    assert abs(pull.mean()) < 4 / np.sqrt(pull.size)
