"""MWPotential2014 (Bovy 2015, ApJS 216, 29) in plain arrays; gala holds the numbers."""

from __future__ import annotations

from functools import lru_cache

import astropy.units as u
import numpy as np
from gala.potential import BovyMWPotential2014, CompositePotential
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@lru_cache(maxsize=1)
def mw_potential_2014() -> CompositePotential:
    """The potential of the papers: bulge, Miyamoto-Nagai disc and NFW halo."""
    return BovyMWPotential2014()


def gradient(position_kpc: ArrayLike) -> Floats:
    """Gradient of the potential in (km/s)**2 / kpc.

    Parameters
    ----------
    position_kpc
        Galactocentric positions; shape (N, 3).

    Returns
    -------
    float64, shape (N, 3)
    """
    position = np.asarray(position_kpc, dtype=float)
    values = mw_potential_2014().gradient(position.T * u.kpc)
    out: Floats = values.to_value(u.km**2 / u.s**2 / u.kpc).T
    return out


def energy(position_kpc: ArrayLike) -> Floats:
    """Potential in (km/s)**2; shape (N,)."""
    position = np.asarray(position_kpc, dtype=float)
    values: Floats = mw_potential_2014().energy(position.T * u.kpc).to_value(u.km**2 / u.s**2)
    return values


def circular_velocity(radius_kpc: ArrayLike) -> Floats:
    """Speed of a circular orbit in the plane, in km/s; shape of ``radius_kpc``."""
    radius = np.asarray(radius_kpc, dtype=float)
    position = np.stack([radius, np.zeros_like(radius), np.zeros_like(radius)], axis=-1)
    return np.sqrt(radius * gradient(position.reshape(-1, 3))[:, 0].reshape(radius.shape))
