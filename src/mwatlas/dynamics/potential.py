"""MWPotential2014 (Bovy 2015, ApJS 216, 29) in plain arrays; gala holds the numbers.

:class:`Potential` says what orbits need, so that others can be used as well.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import astropy.units as u
import numpy as np
from gala.potential import BovyMWPotential2014, CompositePotential
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

KPC_PER_MYR = (1 * u.km / u.s).to_value(u.kpc / u.Myr)
"""One km/s in kpc/Myr."""


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
    return values.to_value(u.km**2 / u.s**2 / u.kpc).T


def energy(position_kpc: ArrayLike) -> Floats:
    """Potential in (km/s)**2, zero at infinity; shape (N,)."""
    position = np.asarray(position_kpc, dtype=float)
    return mw_potential_2014().energy(position.T * u.kpc).to_value(u.km**2 / u.s**2)


def circular_velocity(radius_kpc: ArrayLike) -> Floats:
    """Speed of a circular orbit in the plane, in km/s; shape of ``radius_kpc``."""
    radius = np.asarray(radius_kpc, dtype=float)
    position = np.stack([radius, np.zeros_like(radius), np.zeros_like(radius)], axis=-1)
    return np.sqrt(radius * gradient(position.reshape(-1, 3))[:, 0].reshape(radius.shape))


@dataclass(frozen=True)
class Disc:
    """A Miyamoto-Nagai disc, -G M / sqrt(R^2 + (a + sqrt(z^2 + b^2))^2).

    Parameters
    ----------
    gm
        G M in kpc (km/s)**2; zero for none.
    a_kpc, b_kpc
        Scale length and height.
    """

    gm: float
    a_kpc: float
    b_kpc: float


class Potential(Hashable, Protocol):
    """A spherical potential and a Miyamoto-Nagai disc, for orbits and integrals of motion.

    To add a potential write a class with these three methods; a frozen dataclass, because tables
    are kept for each set of parameters. Orbits use the spherical part from a table
    (:func:`mwatlas.dynamics.tabulated.tabulate`), which holds any that is smooth, and the disc
    in closed form. Several spherical components add up in the methods. Without a disc, return
    ``NO_DISC``.
    """

    def spherical_energy(self, radius_kpc: Floats) -> Floats:
        """Potential of the spherical part in (km/s)**2, zero at infinity; shape as the radius."""

    def spherical_force(self, radius_kpc: Floats) -> Floats:
        """Its derivative by radius in (km/s)**2 / kpc; shape as the radius."""

    def disc(self) -> Disc:
        """The disc."""


NO_DISC = Disc(gm=0.0, a_kpc=0.0, b_kpc=1e9)
"""No disc; so thick that no orbit resolves its height."""


@dataclass(frozen=True)
class MilkyWay2014:
    """MWPotential2014, with gala's numbers."""

    def spherical_energy(self, radius_kpc: Floats) -> Floats:
        """Potential of bulge and halo in (km/s)**2."""
        return _of_spheres("energy", radius_kpc).to_value(u.km**2 / u.s**2)

    def spherical_force(self, radius_kpc: Floats) -> Floats:
        """Derivative by radius of the potential of bulge and halo in (km/s)**2 / kpc."""
        return _of_spheres("gradient", radius_kpc)[0].to_value(u.km**2 / u.s**2 / u.kpc)

    def disc(self) -> Disc:
        """The disc."""
        disc = mw_potential_2014()["disk"]
        return Disc(
            float(disc.G * disc.parameters["m"].to_value(u.Msun) / KPC_PER_MYR**2),
            disc.parameters["a"].to_value(u.kpc),
            disc.parameters["b"].to_value(u.kpc),
        )


def _of_spheres(what: str, radius_kpc: Floats) -> u.Quantity:
    position = np.zeros((3, radius_kpc.size))
    position[0] = radius_kpc
    potential = mw_potential_2014()
    return sum(getattr(potential[name], what)(position * u.kpc) for name in ("bulge", "halo"))


# Energies closer to the centre are those of this radius; the tables of orbits begin there.
SMALLEST_RADIUS_KPC = 2.0**-20


def total_energy(
    position_kpc: Floats, velocity_kms: Floats, potential: Potential | None = None
) -> Floats:
    """Energy per mass in (km/s)**2, zero at rest at infinity.

    Parameters
    ----------
    position_kpc, velocity_kms
        Shape (N, 3).
    potential
        MWPotential2014 if None.
    """
    potential = potential or MilkyWay2014()
    disc = potential.disc()
    x, y, z = position_kpc.T
    across = disc.a_kpc + np.sqrt(z * z + disc.b_kpc**2)
    radius = np.maximum(np.sqrt(x * x + y * y + z * z), SMALLEST_RADIUS_KPC)
    spherical = potential.spherical_energy(radius)
    value = spherical - disc.gm / np.sqrt(x * x + y * y + across * across)
    return value + 0.5 * (velocity_kms**2).sum(axis=1)
