"""Spectral energy distributions of stars, from atmospheric parameters.

No spectral library is at hand offline, so the spectrum is a formula: Planck's law times
exp(-optical depth), the depth a sum of features of fixed shape. A feature grows with the
abundance of what makes it as a power (the curve of growth: 1 where lines are weak, near 0
where they saturate), is deepest at some temperature, and may depend on gravity. What carries
[alpha/M] is thereby known: magnesium, calcium, MgH, CaH and TiO, and nothing else.

Wavelengths and behaviour of the features follow Gray & Corbally (2009, Stellar Spectral
Classification) and, for TiO heads, Valenti, Piskunov & Johns-Krull (1998, ApJ 498, 851).
Depths are set by eye to externally calibrated Gaia spectra of stars of 3300 to 10,000 K [chosen].
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from astropy import constants
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

WAVELENGTH_NM: Floats = np.arange(320.0, 1101.0, 2.0)
"""Wavelengths of every spectrum: beyond where Gaia's prisms let light through."""

_TEFF_RANGE = (2300.0, 40000.0)
_M_H_RANGE = (-4.0, 1.0)
_REFERENCE_LOGG = 4.0
# Fluxes are those of a star whose disc covers this solid angle; photometry sets the scale.
_SOLID_ANGLE = 1e-18
_HC_OVER_K_NM = 1e9 * (constants.h * constants.c / constants.k_B).value
_TWO_HC2 = 2 * (constants.h * constants.c**2).value


class Feature(NamedTuple):
    """One absorption feature.

    ``line``: a Gaussian about ``nm`` of standard deviation ``width``. ``band``: a head at ``nm``,
    fading redward over ``width``. ``edge``: continuous absorption blueward of ``nm``, falling
    as wavelength cubed, smooth over ``width``. ``veil``: lines too many to name, fading redward
    from 320 nm over ``width``. ``depth`` is the optical depth at temperature ``teff``, at
    log g = 4 and solar abundances; it falls off as Gaussians in ln Teff of standard
    deviations ``cool`` and ``hot``, changes by exp(``logg``) per dex of gravity and with the
    abundance to the power ``growth``.
    """

    kind: Literal["line", "band", "edge", "veil"]
    nm: float
    width: float
    depth: float
    teff: float
    cool: float
    hot: float
    logg: float = 0.0
    growth: float = 0.0
    alpha: bool = False


def _hydrogen(nm: float, width: float, depth: float) -> Feature:
    return Feature("line", nm, width, depth, 9300.0, 0.27, 0.5)


def _iron(nm: float, width: float, depth: float) -> Feature:
    return Feature("line", nm, width, depth, 4300.0, 0.4, 0.30, 0.0, 0.40)


def _calcium_triplet(nm: float, depth: float) -> Feature:
    return Feature("line", nm, 5.5, depth, 4600.0, 0.4, 0.35, -0.15, 0.30, alpha=True)


def _titanium_oxide(nm: float, width: float, depth: float) -> Feature:
    return Feature("band", nm, width, depth, 3000.0, 0.30, 0.125, -0.05, 0.40, alpha=True)


FEATURES: tuple[Feature, ...] = (
    # Hydrogen: Balmer lines and jump, Paschen jump and lines
    _hydrogen(656.3, 6.0, 0.20),
    _hydrogen(486.1, 6.0, 0.29),
    _hydrogen(434.1, 5.0, 0.28),
    _hydrogen(410.2, 4.0, 0.28),
    _hydrogen(395.0, 4.5, 0.24),
    _hydrogen(386.0, 4.5, 0.26),
    Feature("edge", 380.0, 2.5, 1.10, 9300.0, 0.30, 0.5, -0.12),
    Feature("edge", 826.0, 6.0, 0.08, 10000.0, 0.25, 0.5, -0.05),
    _hydrogen(866.0, 8.0, 0.04),
    # Metals
    Feature("veil", 320.0, 55.0, 0.85, 4300.0, 0.5, 0.32, 0.0, 0.35),
    _iron(358.0, 6.0, 0.12),
    _iron(373.0, 7.0, 0.14),
    _iron(382.5, 5.0, 0.18),
    _iron(404.5, 4.0, 0.05),
    _iron(438.5, 5.0, 0.06),
    _iron(495.0, 7.0, 0.03),
    _iron(527.0, 5.0, 0.06),
    Feature("line", 395.1, 4.5, 0.65, 4900.0, 0.40, 0.25, 0.0, 0.25, alpha=True),
    Feature("line", 422.7, 4.0, 0.20, 3800.0, 0.30, 0.18, 0.10, 0.40, alpha=True),
    Feature("line", 517.5, 6.0, 0.20, 4300.0, 0.25, 0.23, 0.15, 0.45, alpha=True),
    Feature("band", 478.0, 30.0, 0.08, 4000.0, 0.22, 0.13, 0.25, 0.60, alpha=True),
    Feature("line", 589.3, 5.5, 0.16, 3600.0, 0.30, 0.24, 0.15, 0.40),
    Feature("line", 616.0, 6.0, 0.03, 4200.0, 0.30, 0.20, 0.05, 0.50, alpha=True),
    _calcium_triplet(849.8, 0.012),
    _calcium_triplet(854.2, 0.030),
    _calcium_triplet(866.2, 0.025),
    # Molecules: CH, CN, CaH, a haze of bands, TiO, water, FeH
    Feature("line", 430.5, 4.8, 0.22, 5000.0, 0.22, 0.16, 0.0, 0.35),
    Feature("line", 387.5, 4.0, 0.22, 4700.0, 0.30, 0.18, -0.10, 0.60),
    Feature("line", 418.0, 5.0, 0.08, 4600.0, 0.30, 0.14, -0.25, 0.80),
    Feature("line", 638.5, 5.0, 0.10, 3200.0, 0.40, 0.12, 0.25, 0.40, alpha=True),
    Feature("line", 685.0, 9.0, 0.22, 3200.0, 0.40, 0.12, 0.25, 0.40, alpha=True),
    Feature("veil", 320.0, 250.0, 2.6, 2600.0, 0.30, 0.19, 0.0, 0.25),
    _titanium_oxide(475.5, 17.0, 0.35),
    _titanium_oxide(495.0, 17.0, 0.50),
    _titanium_oxide(516.5, 20.0, 0.60),
    _titanium_oxide(544.0, 25.0, 0.60),
    _titanium_oxide(584.5, 22.0, 0.65),
    _titanium_oxide(615.5, 25.0, 0.85),
    _titanium_oxide(665.0, 24.0, 1.20),
    _titanium_oxide(705.0, 22.0, 1.70),
    _titanium_oxide(758.5, 30.0, 0.85),
    _titanium_oxide(843.0, 20.0, 0.40),
    _titanium_oxide(886.0, 30.0, 0.20),
    Feature("line", 935.0, 16.0, 0.12, 2900.0, 0.30, 0.10),
    Feature("line", 992.0, 12.0, 0.14, 2900.0, 0.30, 0.10, 0.25, 0.40),
)
"""Every feature of the model spectra."""


def extinction_curve(wavelength_nm: Floats) -> Floats:
    """A(lambda) / A_V of Wang & Chen (2019, ApJ 877, 116), 300 nm to 2 micron."""
    micron = np.asarray(wavelength_nm, dtype=float) / 1000
    optical = np.polynomial.Polynomial(
        [1.0, 0.7499, -0.1086, -0.08909, 0.02905, 0.01069, 0.001707, -0.001002]
    )(1 / micron - 1.82)
    return np.where(micron < 1.0, optical, 0.3722 * micron**-2.07)


@lru_cache(maxsize=1)
def _shapes() -> Floats:
    """Shape of each feature on :data:`WAVELENGTH_NM`; shape (features, wavelengths)."""
    wl = WAVELENGTH_NM
    shapes = []
    for feature in FEATURES:
        offset = (wl - feature.nm) / feature.width
        if feature.kind == "line":
            shape = np.exp(-0.5 * offset**2)
        elif feature.kind == "band":
            head_nm = 2.5
            shape = expit((wl - feature.nm) / head_nm) * np.exp(-np.maximum(offset, 0))
        elif feature.kind == "edge":
            shape = expit(-offset) * (wl / feature.nm) ** 3
        else:
            shape = np.exp(-np.maximum(offset, 0))
        shapes.append(shape)
    return np.stack(shapes)


def optical_depth(
    teff: Floats, logg: Floats, m_h: Floats, alpha_m: Floats, alpha_strength: float = 1.0
) -> Floats:
    """Optical depth of all features.

    Parameters
    ----------
    teff, logg, m_h, alpha_m
        In K, log10(cm/s**2), dex, dex; shape (N,).
    alpha_strength
        Share of [alpha/M] that alpha elements show: 1 is nature, and with 0 the spectrum
        does not depend on ``alpha_m``.

    Returns
    -------
    float64, shape (N, wavelengths)
    """
    ln_teff = np.log(np.clip(teff, *_TEFF_RANGE))[:, None]
    column = {
        name: np.array([getattr(feature, name) for feature in FEATURES], dtype=float)
        for name in ("depth", "teff", "cool", "hot", "logg", "growth", "alpha")
    }
    distance = ln_teff - np.log(column["teff"])
    width = np.where(distance < 0, column["cool"], column["hot"])
    m_h = np.clip(m_h, *_M_H_RANGE)[:, None]
    abundance = m_h + alpha_strength * alpha_m[:, None] * column["alpha"]
    strength = column["depth"] * np.exp(
        -0.5 * (distance / width) ** 2
        + column["logg"] * (logg[:, None] - _REFERENCE_LOGG)
        + np.log(10) * column["growth"] * abundance
    )
    return strength @ _shapes()


def flux_density(
    teff: Floats,
    logg: Floats,
    m_h: Floats,
    alpha_m: Floats,
    a_v: Floats,
    alpha_strength: float = 1.0,
) -> Floats:
    """Spectra up to a factor for each star, which photometry sets.

    Parameters
    ----------
    teff, logg, m_h, alpha_m
        In K, log10(cm/s**2), dex, dex; shape (N,).
    a_v
        Extinction A_V in mag; shape (N,).
    alpha_strength
        See :func:`optical_depth`.

    Returns
    -------
    float64, shape (N, wavelengths)
        In W m**-2 nm**-1 for a star of solid angle 1e-18 sr, at :data:`WAVELENGTH_NM`.
    """
    metre = WAVELENGTH_NM * 1e-9
    planck = _TWO_HC2 / metre**5 / np.expm1(_HC_OVER_K_NM / (WAVELENGTH_NM * teff[:, None]))
    depth = optical_depth(teff, logg, m_h, alpha_m, alpha_strength)
    dust = 0.4 * np.log(10) * a_v[:, None] * extinction_curve(WAVELENGTH_NM)
    return _SOLID_ANGLE * 1e-9 * planck * np.exp(-depth - dust)
