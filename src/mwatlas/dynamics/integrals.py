"""Integrals of motion in MWPotential2014: energy, angular momentum and a third one.

The third is that of a Staeckel potential fitted to each orbit (Binney 2012, MNRAS 426, 1324,
section 2). Prolate spheroidal coordinates have R = D sinh u sin v, z = D cosh u cos v. Focal
distance D and reference coordinate u0 are read off the circular orbit of the same L_z (discs)
or of the same energy (halos), so the integral is a function of conserved quantities and of the
motion in v alone. It is conserved as well as the potential is of Staeckel form; the tests
integrate orbits and bound the change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import astropy.units as u
import numpy as np
from numba import njit
from numpy.typing import NDArray

from mwatlas.dynamics.potential import circular_velocity, energy, gradient, mw_potential_2014

Floats = NDArray[np.float64]

# The spherical part of the potential is tabulated in ln r between these radii.
_INNER_KPC, _OUTER_KPC, _ROWS = 1e-4, 3000.0, 2048
# Circular orbits are tabulated between these radii.
_FIRST_KPC, _LAST_KPC, _ORBITS = 0.01, 400.0, 2000
# A focal distance below this is a sphere for all purposes.
_SMALLEST_FOCUS_KPC = 0.2

PotentialTable = tuple[Floats, float, float, float, float, float]


@lru_cache(maxsize=1)
def potential_table() -> PotentialTable:
    """Potential for the kernels: values and slopes of the spherical part, and the disc.

    Returns
    -------
    table, first, step, disc_gm, disc_a, disc_b
        ``table`` has shape (rows, 2): potential in (km/s)**2 and its change per step of ln r;
        ``disc_gm`` in kpc (km/s)**2, lengths in kpc.
    """
    potential = mw_potential_2014()
    log_radius = np.linspace(np.log(_INNER_KPC), np.log(_OUTER_KPC), _ROWS)
    step = log_radius[1] - log_radius[0]
    position = np.zeros((3, _ROWS))
    position[0] = np.exp(log_radius)
    spherical = [potential[name] for name in ("bulge", "halo")]
    values = sum(p.energy(position * u.kpc).to_value(u.km**2 / u.s**2) for p in spherical)
    force = sum(
        p.gradient(position * u.kpc).to_value(u.km**2 / u.s**2 / u.kpc)[0] for p in spherical
    )
    disc = potential["disk"]
    gm = (disc.parameters["m"] * disc.G * u.kpc**3 / u.Msun / u.Myr**2).to_value(
        u.kpc * u.km**2 / u.s**2
    )
    return (
        np.stack([values, force * position[0] * step], axis=1),
        float(log_radius[0]),
        float(step),
        float(gm),
        float(disc.parameters["a"].to_value(u.kpc)),
        float(disc.parameters["b"].to_value(u.kpc)),
    )


@dataclass(frozen=True)
class CircularOrbits:
    """Circular orbits along a conserved quantity, with the focus of the Staeckel fit.

    Parameters
    ----------
    first, step
        Abscissae of the rows: ``ln L_z`` (kpc km/s) or ``-ln(-E)`` ((km/s)**2).
    rows
        Radius as ln(kpc), energy in (km/s)**2, speed as ln(km/s), and the square of the
        focal distance in kpc**2; shape (rows, 4).
    """

    first: float
    step: float
    rows: Floats

    @property
    def arguments(self) -> tuple[float, float, Floats]:
        """What the kernels take."""
        return self.first, self.step, self.rows


def focal_distance_squared(radius_kpc: Floats, height_kpc: Floats) -> Floats:
    """Square of the focal distance that fits the potential at a point, in kpc**2.

    Sanders (2012, MNRAS 426, 128), eq. 9, with second derivatives by central differences.
    """
    step = 1e-3 * radius_kpc

    def force(radius: Floats, height: Floats) -> tuple[Floats, Floats]:
        values = gradient(np.stack([radius, np.zeros_like(radius), height], axis=-1))
        return values[:, 0], values[:, 2]

    f_r, f_z = force(radius_kpc, height_kpc)
    outer, inner = force(radius_kpc + step, height_kpc), force(radius_kpc - step, height_kpc)
    upper, lower = force(radius_kpc, height_kpc + step), force(radius_kpc, height_kpc - step)
    f_rr = (outer[0] - inner[0]) / (2 * step)
    f_rz = (outer[1] - inner[1]) / (2 * step)
    f_zz = (upper[1] - lower[1]) / (2 * step)
    mixed = 3 * height_kpc * f_r - 3 * radius_kpc * f_z + radius_kpc * height_kpc * (f_rr - f_zz)
    return height_kpc**2 - radius_kpc**2 + mixed / f_rz


@lru_cache(maxsize=8)
def circular_orbits(along: str, height_kpc: float) -> CircularOrbits:
    """Tabulate circular orbits.

    Parameters
    ----------
    along
        ``"angular_momentum"`` or ``"energy"``.
    height_kpc
        Height above the plane at which the focal distance is fitted: about as far as the
        orbits in question go at the Sun's radius; it grows with radius beyond 8 kpc.
    """
    radius = np.geomspace(_FIRST_KPC, _LAST_KPC, 4 * _ORBITS)
    speed = circular_velocity(radius)
    zero = np.zeros_like(radius)
    energies = energy(np.stack([radius, zero, zero], axis=-1)) + 0.5 * speed**2
    # Farther out than the disc the same angle above the plane is meant.
    height = height_kpc * np.maximum(radius / 8.0, 1.0)
    focus = np.maximum(focal_distance_squared(radius, height), _SMALLEST_FOCUS_KPC**2)
    quantity = np.log(radius * speed) if along == "angular_momentum" else -np.log(-energies)
    grid = np.linspace(quantity[0], quantity[-1], _ORBITS)
    columns = (np.log(radius), energies, np.log(speed), focus)
    rows = np.stack([np.interp(grid, quantity, column) for column in columns], axis=1)
    return CircularOrbits(float(grid[0]), float(grid[1] - grid[0]), rows)


@njit(inline="always")
def potential_at(radius_square: float, height_square: float, p: PotentialTable) -> float:
    """Potential in (km/s)**2 at a point given by the squares of R and z in kpc."""
    table, first, step, disc_gm, disc_a, disc_b = p
    x = (0.5 * np.log(radius_square + height_square) - first) / step
    i = min(max(int(x), 0), table.shape[0] - 2)
    t = max(x - i, 0.0)
    low, high, d_low, d_high = table[i, 0], table[i + 1, 0], table[i, 1], table[i + 1, 1]
    cubic = 2 * (low - high) + d_low + d_high
    square = 3 * (high - low) - 2 * d_low - d_high
    s = disc_a + np.sqrt(height_square + disc_b * disc_b)
    return low + t * (d_low + t * (square + t * cubic)) - disc_gm / np.sqrt(radius_square + s * s)


@njit(inline="always")
def circular_orbit_at(
    quantity: float, orbits: tuple[float, float, Any]
) -> tuple[float, float, float, float]:
    """Radius (kpc), energy, ln of the speed and squared focal distance of a circular orbit."""
    first, step, rows = orbits
    x = (quantity - first) / step
    i = min(max(int(x), 0), rows.shape[0] - 2)
    t = min(max(x - i, 0.0), 1.0)
    return (
        np.exp(rows[i, 0] + t * (rows[i + 1, 0] - rows[i, 0])),
        rows[i, 1] + t * (rows[i + 1, 1] - rows[i, 1]),
        rows[i, 2] + t * (rows[i + 1, 2] - rows[i, 2]),
        rows[i, 3] + t * (rows[i + 1, 3] - rows[i, 3]),
    )


@njit(inline="always")
def third_integral(
    radius: float,
    height: float,
    v_radius: float,
    v_z: float,
    angular_momentum: float,
    total_energy: float,
    reference_radius: float,
    focus_square: float,
    p: PotentialTable,
) -> float:
    """Third integral, zero for motion in the plane, in (km/s)**2.

    Divided by cosh(u0)**2 = 1 + (reference radius / focal distance)**2 it is the energy of the
    vertical oscillation of a nearly circular orbit. Times twice the squared focal distance it
    is ``L**2 - L_z**2`` where the potential is spherical.
    """
    sum_ = radius * radius + height * height - focus_square
    root = np.sqrt(sum_ * sum_ + 4 * focus_square * radius * radius)
    # Of the two ways to solve the quadratic, the one without cancellation.
    if sum_ > 0:
        sinh_square = (sum_ + root) / (2 * focus_square)
    else:
        sinh_square = 2 * radius * radius / (root - sum_)
    cos_square = height * height / (focus_square * (1 + sinh_square))
    sin_square = max(1 - cos_square, 1e-12)
    sinh_cos = np.sqrt(sinh_square * cos_square)
    cosh_sin = np.sqrt((1 + sinh_square) * sin_square)
    if height < 0:
        sinh_cos = -sinh_cos
    p_square_half = 0.5 * (v_radius * sinh_cos - v_z * cosh_sin) ** 2
    reference = reference_radius * reference_radius / focus_square
    in_plane = potential_at(reference_radius * reference_radius, 0.0, p)
    above = potential_at(
        focus_square * reference * sin_square, focus_square * (1 + reference) * cos_square, p
    )
    return (
        p_square_half
        + total_energy * cos_square
        - (1 + reference) * in_plane
        + (reference + sin_square) * above
        + angular_momentum**2 / (2 * focus_square) * cos_square / sin_square
    )
