"""Parallax zero point of Gaia EDR3 and DR3 (Lindegren et al. 2021, A&A 649, A4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from zero_point import zpt


def parallax_zero_point(
    phot_g_mean_mag: NDArray[np.floating],
    nu_eff_used_in_astrometry: NDArray[np.floating],
    pseudocolour: NDArray[np.floating],
    ecl_lat: NDArray[np.floating],
    astrometric_params_solved: NDArray[np.integer],
) -> NDArray[np.float64]:
    """Zero point in mas, to be subtracted from the parallax.

    The package ``gaiadr3-zeropoint`` by the authors of the recipe does the work.

    Parameters
    ----------
    phot_g_mean_mag, nu_eff_used_in_astrometry, pseudocolour, ecl_lat, \
astrometric_params_solved
        Columns of the Gaia source table; shape (N,) each, missing values NaN.

    Returns
    -------
    float64, shape (N,)
        NaN where the recipe does not apply: G outside 6 to 21, two-parameter solutions,
        colours outside 1.1 to 1.9 (five-parameter) or 1.24 to 1.72 (six-parameter) per um.
    """
    zpt.load_tables()
    params = np.asarray(astrometric_params_solved)
    nu_eff = np.asarray(nu_eff_used_in_astrometry, dtype=float)
    pseudo = np.asarray(pseudocolour, dtype=float)
    # The package refuses missing colours and unknown solutions; those stars are left out here.
    solved = np.where(params == 31, np.isfinite(nu_eff), (params == 95) & np.isfinite(pseudo))
    usable = solved.astype(bool) & np.isfinite(phot_g_mean_mag)
    out = np.full(params.shape, np.nan)
    if usable.any():
        out[usable] = zpt.get_zpt(
            np.asarray(phot_g_mean_mag, dtype=float)[usable],
            np.nan_to_num(nu_eff[usable], nan=-99.0),
            np.nan_to_num(pseudo[usable], nan=-99.0),
            np.asarray(ecl_lat, dtype=float)[usable],
            params[usable].astype(int),
            _warnings=False,
        )
    return out
