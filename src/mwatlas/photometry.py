"""Magnitudes and colours: published relations between photometric systems."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Range of B - V in which the relation holds: Riello et al. (2021), Table C.1.
JOHNSON_B_V_RANGE = (-0.4, 3.3)
_G_MINUS_V = (-0.04749, -0.0124, -0.2901, 0.02008)

# Wang & Chen (2019, ApJ 877, 116), Table 3: red clump stars, R_V = 3.16 +- 0.15.
EXTINCTION_RATIOS = {
    "bp": 1.002,
    "g": 0.789,
    "rp": 0.589,
    "j": 0.243,
    "h": 0.131,
    "ks": 0.078,
    "w1": 0.039,
    "w2": 0.026,
}
"""Extinction in Gaia's, 2MASS's and WISE's bands relative to A_V."""


def g_from_johnson(v_mag: ArrayLike, b_v: ArrayLike) -> NDArray[np.float64]:
    """Gaia G from Johnson V and B - V, to about 0.05 mag.

    Cubic relation of the Gaia EDR3 documentation, Table 5.9 (Riello et al. 2021, A&A 649,
    A3, appendix C). Outside its range of B - V the result is missing (NaN).

    Parameters
    ----------
    v_mag, b_v
        Magnitude V and colour B - V; broadcastable.
    """
    v_mag, b_v = np.asarray(v_mag, dtype=float), np.asarray(b_v, dtype=float)
    low, high = JOHNSON_B_V_RANGE
    g = v_mag + np.polynomial.polynomial.polyval(b_v, _G_MINUS_V)
    return np.where((b_v >= low) & (b_v <= high), g, np.nan)


def effective_wavenumber(bp_rp: ArrayLike) -> NDArray[np.float64]:
    """Effective wavenumber in 1/um of a source of colour BP - RP.

    Lindegren et al. (2021, A&A 649, A2), equation 3.
    """
    return 1.76 - 1.61 / np.pi * np.arctan(0.531 * np.asarray(bp_rp, dtype=float))
