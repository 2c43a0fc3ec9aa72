"""Pericentre, apocentre, eccentricity and greatest height of orbits, by integration.

Every star has its own step, a fixed fraction of the shortest time scale of its orbit. The first
step comes from an estimate of the pericentre. If the orbit then turns out to be faster, it is
integrated again with a shorter step. Tests hold the result to gala, galpy and closed forms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mwatlas.dynamics.potential import (
    KPC_PER_MYR,
    MilkyWay2014,
    Potential,
    total_energy,
)
from mwatlas.dynamics.symplectic import LANES, ROWS_OUT, integrate_blocks
from mwatlas.dynamics.tabulated import (
    TabulatedPotential,
    potential_at,
    row_value,
    spherical_row,
    tabulate,
)
from mwatlas.errors import InputError

Floats = NDArray[np.float64]

RESOLVED, TURN_BEYOND, UNBOUND, PERICENTRE_UNRESOLVED = 0, 1, 2, 3

# The square of the rate of an orbit is that of its vertical motion and this much of that of its
# motion about the centre at pericentre. Errors of discs and halos are then alike.
_ANGULAR_WEIGHT = 4.0
# An orbit is good if its rate is at most this much above the one that set the step.
_MARGIN = 1.2
# Otherwise the next step is at most this much of the last.
_SHRINK = 0.7
# Pericentres closer than this (kpc) are not looked for.
_CLOSEST_KPC = 1e-5
_NEWTON_STEPS = 8
_FARTHEST_INVERSE_SQUARE = 1e-12
# Stars of a galaxy are nearer than this, and slower than light.
_FARTHEST_KPC, _FASTEST_KMS = 1e7, 299_792.458
# A few of the last places of a square of radii.
_ROUNDING = 1e-14


@dataclass(frozen=True)
class Integration:
    """How orbits are integrated.

    Parameters
    ----------
    duration_gyr
        Length of the integration.
    step_myr
        Longest step.
    shortest_step_myr
        Shortest step; orbits that need a shorter one are flagged.
    step_fraction
        Step in units of the shortest time scale of an orbit.
    """

    duration_gyr: float
    step_myr: float
    shortest_step_myr: float
    step_fraction: float

    def __post_init__(self) -> None:
        if not min(vars(self).values()) > 0:
            raise ValueError(f"every number of an integration is positive, found {self}")


@dataclass(frozen=True)
class Kernel:
    """What integrates.

    Parameters
    ----------
    integrate
        Takes positions (kpc) and velocities (kpc/Myr) of shape (3, N), the number of steps of
        each star in ascending order, the duration in Myr and the potential. Returns what
        :func:`mwatlas.dynamics.symplectic.integrate_blocks` writes.
    stars_at_once
        Stars in one call.
    """

    integrate: Callable[[Floats, Floats, NDArray[np.int64], float, TabulatedPotential], Floats]
    stars_at_once: int


@dataclass(frozen=True)
class Orbits:
    """Result of :func:`integrate_orbits`; every array has shape (N,) and is finite.

    Parameters
    ----------
    pericentre_kpc, apocentre_kpc
        Smallest and largest spherical radius of the integration; also of unbound orbits.
    eccentricity
        ``(r_apo - r_peri) / (r_apo + r_peri)`` of these two; 1 for unbound orbits. Other
        conventions average the turning points (gala), take cylindrical radii (guiding centres
        of discs), or the turning points of an approximate third integral (galpy's Staeckel
        estimate, the limit of an infinite integration).
    z_max_kpc
        Largest distance from the plane.
    flag
        ``RESOLVED``; ``TURN_BEYOND``: the smallest or largest radius is at an end of the
        integration, not at a turning point; ``UNBOUND``: positive energy;
        ``PERICENTRE_UNRESOLVED``: the shortest step was too long, as for orbits through the centre.
    """

    pericentre_kpc: Floats
    apocentre_kpc: Floats
    eccentricity: Floats
    z_max_kpc: Floats
    flag: NDArray[np.int8]


def integrate_orbits(
    position_kpc: Floats,
    velocity_kms: Floats,
    settings: Integration,
    advance: Callable[[int], None] | None = None,
    potential: Potential | None = None,
    kernel: Kernel | None = None,
) -> Orbits:
    """Integrate orbits (section 2.2 of Dropulic et al. 2022). The result of a star is its own.

    Parameters
    ----------
    position_kpc, velocity_kms
        Galactocentric; shape (N, 3).
    settings
        Integration.
    advance
        Called with the number of orbits done now and then.
    potential
        MWPotential2014 if None.
    kernel
        The compiled one if None; :func:`mwatlas.dynamics.orbits_torch.kernel_on` has others.

    Raises
    ------
    InputError
        If a position or velocity is not finite.
    """
    position_kpc, velocity_kms = np.asarray(position_kpc), np.asarray(velocity_kms)
    require_finite(position_kpc, velocity_kms)
    kernel = kernel or COMPILED
    potential = potential or MilkyWay2014()
    table = tabulate(potential)
    position = np.ascontiguousarray(position_kpc.T, dtype=float)
    velocity = np.ascontiguousarray(velocity_kms.T, dtype=float) * KPC_PER_MYR
    duration = settings.duration_gyr * 1000
    fewest = max(int(np.ceil(duration / settings.step_myr)), 1)
    most = max(int(np.ceil(duration / settings.shortest_step_myr)), fewest)

    def steps_for(rate: Floats) -> NDArray[np.int64]:
        return np.clip(np.ceil(duration * rate / settings.step_fraction), fewest, most).astype(int)

    number = position.shape[1]
    low, high, height, end = (np.empty(number) for _ in range(4))
    unresolved = np.zeros(number, dtype=bool)
    steps = steps_for(_expected_rate(position, velocity, table.force, table.energy, table.disc))
    waiting = np.argsort(steps, kind="stable")
    while waiting.size:
        again = []
        for start in range(0, waiting.size, kernel.stars_at_once):
            stars = waiting[start : start + kernel.stars_at_once]
            out = kernel.integrate(
                position[:, stars], velocity[:, stars], steps[stars], duration, table
            )
            low[stars], high[stars], height[stars], end[stars] = out[0], out[1], out[2], out[5]
            fastest = out[4] / np.maximum(out[0], _CLOSEST_KPC**2)
            rate = np.sqrt(out[3] + _ANGULAR_WEIGHT * fastest)
            good = duration * rate <= _MARGIN * settings.step_fraction * steps[stars]
            unresolved[stars] = ~good & (steps[stars] == most)
            redo = ~good & ~unresolved[stars]
            shrunk = np.minimum(np.ceil(steps[stars] / _SHRINK), most).astype(int)
            steps[stars] = np.where(redo, np.maximum(steps_for(rate), shrunk), steps[stars])
            again.append(stars[redo])
            if advance is not None:
                advance(int((~redo).sum()))
        rest = np.concatenate(again)
        waiting = rest[np.argsort(steps[rest], kind="stable")]

    pericentre, apocentre, z_max = np.sqrt(low), np.sqrt(high), np.sqrt(height)
    energy = total_energy(position_kpc, velocity_kms, potential)
    flung = np.flatnonzero(unresolved & (energy < 0))
    if flung.size:
        reach = _farthest(energy[flung], potential)
        apocentre[flung] = np.minimum(apocentre[flung], reach)
        z_max[flung] = np.minimum(z_max[flung], reach)
    total = np.maximum(apocentre + pericentre, np.finfo(float).tiny)
    eccentricity = (apocentre - pericentre) / total
    flag = np.full(number, RESOLVED, dtype=np.int8)
    flag[_still_moving(position, velocity, low, high, end)] = TURN_BEYOND
    flag[unresolved] = PERICENTRE_UNRESOLVED
    flag[energy >= 0], eccentricity[energy >= 0] = UNBOUND, 1.0
    return Orbits(pericentre, apocentre, eccentricity, z_max, flag)


def _farthest(energy: Floats, potential: Potential) -> Floats:
    """Radius in kpc that bound orbits of an energy cannot leave: where it is all potential.

    Steps too long for a pericentre may throw a star out. The potential is deepest in the plane.
    """
    low, high = np.zeros_like(energy), np.full_like(energy, _FARTHEST_KPC)
    rest = np.zeros((energy.size, 3))
    for _ in range(64):
        middle = 0.5 * (low + high)
        at = np.stack([middle, np.zeros_like(middle), np.zeros_like(middle)], axis=1)
        inside = total_energy(at, rest, potential) < energy
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return high


def require_finite(position_kpc: Floats, velocity_kms: Floats) -> None:
    """Refuse what is no phase-space coordinates.

    Raises
    ------
    InputError
        If the shapes are not (N, 3), or a value is not finite, farther than anything that is
        bound to a galaxy, or faster than light.
    """
    shapes = np.shape(position_kpc), np.shape(velocity_kms)
    if len(shapes[0]) != 2 or shapes[0][1] != 3 or shapes[0] != shapes[1]:
        raise InputError(
            "orbits cannot be integrated",
            item="position, velocity",
            found=f"arrays of shape {shapes[0]} and {shapes[1]}",
            expected="both of shape (N, 3)",
            remedy="pass one row for each star",
        )
    with np.errstate(invalid="ignore"):
        fine = (np.abs(position_kpc) < _FARTHEST_KPC).all(axis=1) & (
            np.abs(velocity_kms) < _FASTEST_KMS
        ).all(axis=1)
    if not fine.all():
        raise InputError(
            "orbits cannot be integrated",
            item="position, velocity",
            found=f"{int((~fine).sum())} stars with values that are not finite, or beyond "
            f"{_FARTHEST_KPC:g} kpc or the speed of light",
            expected="finite phase-space coordinates of stars",
            remedy="check parallax_corr, proper motions and velocities of the sample",
        )


def _still_moving(
    position: Floats, velocity: Floats, low: Floats, high: Floats, end: Floats
) -> NDArray[np.bool_]:
    """Whether an extreme radius is the last, or the first of a star that moves on from there."""
    start = (position**2).sum(axis=0)
    outward = (position * velocity).sum(axis=0)
    # Rounding must not make circular orbits move.
    least = 1e-9 * np.sqrt(start * (velocity**2).sum(axis=0))
    # Two ways to add up the same radius differ by rounding.
    high, low = high * (1 - _ROUNDING), low * (1 + _ROUNDING)
    far = (end >= high) | ((start >= high) & (outward < -least))
    near = (end <= low) | ((start <= low) & (outward > least))
    return far | near


def _integrate(
    position: Floats,
    velocity: Floats,
    steps: NDArray[np.int64],
    duration: float,
    table: TabulatedPotential,
) -> Floats:
    """Integrate stars in full blocks; the last block is filled up with copies."""
    number = steps.size
    filled = np.minimum(np.arange(-(-number // LANES) * LANES), number - 1)
    out = np.empty((ROWS_OUT, filled.size))
    integrate_blocks(
        np.ascontiguousarray(position[:, filled]),
        np.ascontiguousarray(velocity[:, filled]),
        steps[filled],
        duration,
        table.force,
        table.disc,
        LANES,
        out,
    )
    return out[:, :number]


COMPILED = Kernel(_integrate, 256 * LANES)
"""One core of the processor."""


@njit(cache=True, nogil=True, error_model="numpy")
def _expected_rate(
    position: Floats,
    velocity: Floats,
    force: Floats,
    energy: Floats,
    disc: tuple[float, float, float],
) -> Floats:
    """Rate in 1/Myr at pericentre, if the potential were spherical and as in the plane.

    The speed at right angles to the radius is that which the star has if it is moved to the
    plane on a sphere, at the same energy.
    """
    gm, a, b_square = disc
    b = np.sqrt(b_square)
    centre = potential_at(0.0, 0.0, energy, disc)
    out = np.empty(position.shape[1])
    for n in range(position.shape[1]):
        x, y, z = position[0, n], position[1, n], position[2, n]
        vx, vy, vz = velocity[0, n], velocity[1, n], velocity[2, n]
        square = x * x + y * y + z * z
        here = potential_at(x * x + y * y, z * z, energy, disc)
        total = 0.5 * (vx * vx + vy * vy + vz * vz) + here
        l_z = x * vy - y * vx
        momentum_square = (
            (y * vz - z * vy) ** 2
            + (z * vx - x * vz) ** 2
            + l_z * l_z
            + 2 * square * max(here - potential_at(square, 0.0, energy, disc), 0.0)
        )
        # Newton for the inverse pericentre, downward from a bound; the function is concave.
        inverse = 1 / _CLOSEST_KPC
        if momentum_square > 0.0:
            inverse = min(np.sqrt(2 * max(total - centre, 0.0) / momentum_square), inverse)
        for _ in range(_NEWTON_STEPS):
            radius_square = 1 / max(inverse * inverse, _FARTHEST_INVERSE_SQUARE)
            row, place, _ = spherical_row(radius_square)
            distance_square = radius_square + (a + b) ** 2
            pull = row_value(force, row, place)
            pull += gm / (distance_square * np.sqrt(distance_square))
            excess = 2 * (total - potential_at(radius_square, 0.0, energy, disc))
            excess -= momentum_square * inverse * inverse
            fall = 2 * pull * radius_square * np.sqrt(radius_square)
            fall -= 2 * momentum_square * inverse
            if fall >= 0.0 or excess >= 0.0:
                break
            inverse -= excess / fall
        radius_square = 1 / max(inverse * inverse, _FARTHEST_INVERSE_SQUARE)
        row, place, _ = spherical_row(radius_square)
        distance_square = radius_square + (a + b) ** 2
        vertical = row_value(force, row, place)
        vertical += gm * (a + b) / b / (distance_square * np.sqrt(distance_square))
        angular = momentum_square / radius_square
        crossing = max(angular - l_z * l_z / radius_square, 0.0) / b_square
        out[n] = np.sqrt(vertical + crossing + _ANGULAR_WEIGHT * angular / radius_square)
    return out
