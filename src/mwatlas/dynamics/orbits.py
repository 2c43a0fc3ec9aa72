"""Orbital eccentricities in MWPotential2014, by integration with gala."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import astropy.units as u
import gala.dynamics as gd
import gala.integrate as gi
import gala.potential as gp
import numpy as np
from numpy.typing import NDArray

from mwatlas.dynamics.potential import energy, mw_potential_2014
from mwatlas.errors import InputError

Floats = NDArray[np.float64]

RESOLVED, APOCENTRE_BEYOND, UNBOUND = 0, 1, 2


@dataclass(frozen=True)
class Integration:
    """How orbits are integrated.

    Parameters
    ----------
    duration_gyr, step_myr
        Length and step of the leapfrog integration.
    block_stars
        Orbits held in memory at once.
    """

    duration_gyr: float
    step_myr: float
    block_stars: int


@dataclass(frozen=True)
class Eccentricity:
    """Result of :func:`eccentricity`.

    Parameters
    ----------
    value
        ``(r_apo - r_peri) / (r_apo + r_peri)``, with the largest and smallest spherical radius
        of the integration; 1 for unbound orbits.
    flag
        ``RESOLVED``, ``APOCENTRE_BEYOND`` or ``UNBOUND``; see ``orbit_flag`` in the column
        registry.
    """

    value: Floats
    flag: NDArray[np.int8]


def eccentricity(
    position_kpc: Floats,
    velocity_kms: Floats,
    settings: Integration,
    advance: Callable[[int], None] | None = None,
) -> Eccentricity:
    """Orbital eccentricity of each star (section 2.2).

    Parameters
    ----------
    position_kpc, velocity_kms
        Galactocentric; shape (N, 3).
    settings
        Integration.
    advance
        Called with the number of orbits done after each block.

    Raises
    ------
    InputError
        If a position or velocity is not finite.
    """
    finite = np.isfinite(position_kpc).all(axis=1) & np.isfinite(velocity_kms).all(axis=1)
    if not finite.all():
        raise InputError(
            "orbits cannot be integrated",
            item="position, velocity",
            found=f"{int((~finite).sum())} stars with values that are not finite",
            expected="finite phase-space coordinates",
            remedy="check parallax_corr, proper motions and velocities of the sample",
        )
    value, flag = np.ones(len(position_kpc)), np.full(len(position_kpc), UNBOUND, dtype=np.int8)
    kinetic = 0.5 * (velocity_kms**2).sum(axis=1)
    bound = np.flatnonzero(kinetic + energy(position_kpc) < 0)
    for start in range(0, bound.size, settings.block_stars):
        stars = bound[start : start + settings.block_stars]
        value[stars], flag[stars] = _integrate(position_kpc[stars], velocity_kms[stars], settings)
        if advance is not None:
            advance(stars.size)
    if advance is not None:
        advance(len(position_kpc) - bound.size)
    return Eccentricity(value, flag)


def _integrate(
    position_kpc: Floats, velocity_kms: Floats, settings: Integration
) -> tuple[Floats, NDArray[np.int8]]:
    start = gd.PhaseSpacePosition(position_kpc.T * u.kpc, velocity_kms.T * u.km / u.s)
    orbit = gp.Hamiltonian(mw_potential_2014()).integrate_orbit(
        start,
        dt=settings.step_myr * u.Myr,
        n_steps=round(settings.duration_gyr * 1000 / settings.step_myr),
        Integrator=gi.LeapfrogIntegrator,
    )
    # (steps, stars); squared radii are smooth at the turning points, also near the centre.
    square = (orbit.xyz.to_value(u.kpc) ** 2).sum(axis=0).reshape(-1, len(position_kpc))
    apocentre, pericentre = _turning_point(square, np.argmax), _turning_point(square, np.argmin)
    outgoing = (np.argmax(square, axis=0) == len(square) - 1) & (square[-1] > square[0])
    value = (apocentre - pericentre) / (apocentre + pericentre)
    return value, np.where(outgoing, APOCENTRE_BEYOND, RESOLVED).astype(np.int8)


def _turning_point(square: Floats, which: Callable[..., NDArray[np.int64]]) -> Floats:
    """Extreme radius of each orbit, refined by a parabola through three steps."""
    step = which(square, axis=0)
    stars = np.arange(square.shape[1])
    middle = np.clip(step, 1, len(square) - 2)
    left, centre, right = (square[middle + i, stars] for i in (-1, 0, 1))
    curvature = left - 2 * centre + right
    inside = (step == middle) & (curvature != 0)
    refined = centre - np.where(
        inside, (right - left) ** 2 / (8 * np.where(inside, curvature, 1.0)), 0.0
    )
    # A pericentre passed in less than a step has no parabola: it is at most the smallest step.
    return np.sqrt(np.where(inside, np.maximum(refined, 0.0), square[step, stars]))
