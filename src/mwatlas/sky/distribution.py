"""Distribution functions of the embedded sky: functions of integrals of motion alone.

By Jeans' theorem such a population does not change with time (Binney & Tremaine 2008,
section 4.2), as far as the third integral is conserved. Cylindrical velocities are
(v_R, v_phi, v_z) with v_phi positive along Galactic rotation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mwatlas.dynamics.integrals import (
    PotentialTable,
    circular_orbit_at,
    circular_orbits,
    potential_at,
    potential_table,
    third_integral,
)

Floats = NDArray[np.float64]

SOLAR_RADIUS_KPC = 8.122


class DistributionFunction(Protocol):
    """Phase-space density of a population, up to a factor."""

    @property
    def spherical(self) -> bool:
        """Whether its velocity ellipsoid is aligned with spherical rather than cylindrical axes."""
        ...

    def log_density(self, radius: Floats, height: Floats, velocity: Floats) -> Floats:
        """Ln f at N points; -inf where there are no stars.

        Parameters
        ----------
        radius, height
            Cylindrical R and z in kpc; shape (N,).
        velocity
            (v_R, v_phi, v_z) in km/s; shape (N, 3).
        """
        ...

    def velocity_nodes(self, radius: float, height: float) -> tuple[Floats, Floats]:
        """Nodes and weights to integrate over velocities at one place.

        Returns
        -------
        velocity, weight
            Shapes (M, 3) in km/s and (M,) in (km/s)**3.
        """
        ...


@dataclass(frozen=True)
class DiscFunction:
    """A disc whose random energies follow exponentials (Shu 1969, with vertical motion).

    f = exp(-R_g / h) / (sigma_R**2 sigma_z) exp(-E_R / sigma_R**2 - E_z / sigma_z**2), where
    R_g(L_z) is the guiding radius, E_z the vertical energy from the third integral, E_R what
    remains of the energy above that of the circular orbit, and both dispersions fall
    exponentially with R_g outside ``inner_radius_kpc``. Prograde stars only.
    """

    scale_length_kpc: float
    sigma_r_kms: float
    sigma_z_kms: float
    sigma_scale_length_kpc: float
    inner_radius_kpc: float
    fit_height_kpc: float

    spherical = False

    def log_density(self, radius: Floats, height: Floats, velocity: Floats) -> Floats:
        """See :class:`DistributionFunction`."""
        return _disc(
            radius,
            height,
            np.ascontiguousarray(velocity),
            potential_table(),
            circular_orbits("angular_momentum", self.fit_height_kpc).arguments,
            self.scale_length_kpc,
            self.sigma_r_kms,
            self.sigma_z_kms,
            self.sigma_scale_length_kpc,
            self.inner_radius_kpc,
        )

    def velocity_nodes(self, radius: float, height: float) -> tuple[Floats, Floats]:
        """A box around the circular velocity; f is even in v_z for opposite v_R."""
        beyond = max(radius, self.inner_radius_kpc) - SOLAR_RADIUS_KPC
        wider = _REACH * np.exp(-beyond / self.sigma_scale_length_kpc)
        escape = _escape_speed(radius, height)
        rows = circular_orbits("angular_momentum", self.fit_height_kpc).rows
        circular = float(np.exp(np.interp(np.log(radius), rows[:, 0], rows[:, 2])))
        radial = min(wider * self.sigma_r_kms, escape)
        return _product(
            _interval(-radial, radial, 14),
            _interval(max(circular - 1.5 * radial, 0.0), min(circular + 0.8 * radial, escape), 18),
            _interval(0.0, min(wider * self.sigma_z_kms, escape), 8, 2.0),
        )


@dataclass(frozen=True)
class HaloFunction:
    """A power-law halo of nearly constant anisotropy.

    f = (L**2 + L_0**2)**-beta R_c(E)**-(gamma - 2 beta) v_c(E)**-(3 - 2 beta), with the radius
    and speed of the circular orbit of energy E. In a sphere with a flat rotation curve L is
    the angular momentum, the density falls as r**-gamma, and 1 - sigma_t**2 / sigma_r**2 is
    beta outside the core that ``core_angular_momentum`` (kpc km/s) makes. In the flattened
    potential orbits that reach the centre, the boxes, fill a range of the third integral at
    any latitude. L**2 is L_z**2 plus what the third integral has beyond the boxes, so radial
    orbits of all latitudes are equally populated.
    """

    density_slope: float
    anisotropy: float
    core_angular_momentum: float
    fit_height_kpc: float

    spherical = True

    def log_density(self, radius: Floats, height: Floats, velocity: Floats) -> Floats:
        """See :class:`DistributionFunction`."""
        return _halo(
            radius,
            height,
            np.ascontiguousarray(velocity),
            potential_table(),
            circular_orbits("energy", self.fit_height_kpc).arguments,
            self.density_slope,
            self.anisotropy,
            self.core_angular_momentum,
        )

    def velocity_nodes(self, radius: float, height: float) -> tuple[Floats, Floats]:
        """A box along spherical axes, dense where the angular momentum L_z vanishes."""
        escape = _escape_speed(radius, height)
        s, weight_s = _interval(0.0, 1.0, 18, 2.0)
        nodes, weight = _product(
            _interval(0.0, escape, 16, 2.0),
            (escape * s**3, weight_s * 3 * escape * s**2),
            _interval(-escape, escape, 28),
        )
        v_r, v_phi, v_theta = nodes.T
        distance = np.hypot(radius, height)
        sine, cosine = radius / distance, height / distance
        velocity = np.stack(
            [v_r * sine + v_theta * cosine, v_phi, v_r * cosine - v_theta * sine], axis=-1
        )
        return velocity, weight


@dataclass(frozen=True)
class BulgeFunction:
    """A rotating bulge: f = (E_0 - E_J)**index below E_0, nothing above.

    E_J = E - pattern_speed L_z is the Jacobi energy; E_0 that of the point at
    ``outer_radius_kpc`` at rest in the rotating frame. Only the region inside corotation is
    populated. Velocities are isotropic about solid rotation.
    """

    index: float
    pattern_speed_kms_kpc: float
    outer_radius_kpc: float

    spherical = False

    def log_density(self, radius: Floats, height: Floats, velocity: Floats) -> Floats:
        """See :class:`DistributionFunction`."""
        return _bulge(
            radius,
            height,
            np.ascontiguousarray(velocity),
            potential_table(),
            self.index,
            self.pattern_speed_kms_kpc,
            self.outer_radius_kpc,
        )

    def velocity_nodes(self, radius: float, height: float) -> tuple[Floats, Floats]:
        """A sphere about solid rotation: f depends on the speed in the rotating frame alone."""
        p = potential_table()
        turning = self.pattern_speed_kms_kpc

        def effective(r: float, z: float) -> float:
            return potential_at(r * r, z * z, p) - 0.5 * (turning * r) ** 2

        room = effective(self.outer_radius_kpc, 0.0) - effective(radius, height)
        inside = radius < self.outer_radius_kpc and room > 0
        speed, weight = _interval(0.0, np.sqrt(2 * room) if inside else 1.0, 24)
        # The third moment of the direction vanishes and the second is 1/3: six directions do.
        directions = np.concatenate([np.eye(3), -np.eye(3)])
        velocity = (speed[:, None, None] * directions).reshape(-1, 3)
        velocity[:, 1] += turning * radius
        return velocity, np.repeat(4 * np.pi / 6 * weight * speed**2, 6)


# Velocity boxes of discs reach this many local dispersions: stars from farther in are hotter.
_REACH = 7.0


def _escape_speed(radius: float, height: float) -> float:
    return float(np.sqrt(-2 * potential_at(radius**2, height**2, potential_table())))


@lru_cache
def _gauss_legendre(number: int) -> tuple[Floats, Floats]:
    return np.polynomial.legendre.leggauss(number)


def _interval(low: float, high: float, number: int, factor: float = 1.0) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes and weights; ``factor`` stands for a half that symmetry saves."""
    node, weight = _gauss_legendre(number)
    half = 0.5 * (high - low)
    return low + half * (node + 1), factor * half * weight


def _product(*axes: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    nodes = np.stack(np.meshgrid(*(a[0] for a in axes), indexing="ij"), axis=-1)
    weights = np.einsum("i,j,k->ijk", *(a[1] for a in axes))
    return nodes.reshape(-1, 3), weights.ravel()


@njit(cache=True)
def _disc(
    radius: Floats,
    height: Floats,
    velocity: Floats,
    p: PotentialTable,
    orbits: tuple[float, float, Floats],
    scale_length: float,
    sigma_r_sun: float,
    sigma_z_sun: float,
    sigma_scale_length: float,
    inner_radius: float,
) -> Floats:
    out = np.full(radius.size, -np.inf)
    for i in range(radius.size):
        angular_momentum = radius[i] * velocity[i, 1]
        potential = potential_at(radius[i] ** 2, height[i] ** 2, p)
        energy = potential + 0.5 * (velocity[i, 0] ** 2 + velocity[i, 1] ** 2 + velocity[i, 2] ** 2)
        if angular_momentum <= 1.0 or energy >= 0:
            continue
        guide, circular, _, focus = circular_orbit_at(np.log(angular_momentum), orbits)
        third = third_integral(
            radius[i],
            height[i],
            velocity[i, 0],
            velocity[i, 2],
            angular_momentum,
            energy,
            guide,
            focus,
            p,
        )
        vertical = third / (1 + guide * guide / focus)
        radial = energy - circular - vertical
        beyond = (max(guide, inner_radius) - SOLAR_RADIUS_KPC) / sigma_scale_length
        sigma_r = sigma_r_sun * np.exp(-beyond)
        sigma_z = sigma_z_sun * np.exp(-beyond)
        out[i] = (
            -(guide - SOLAR_RADIUS_KPC) / scale_length
            - np.log(sigma_r * sigma_r * sigma_z)
            - radial / sigma_r**2
            - vertical / sigma_z**2
        )
    return out


@njit(cache=True)
def _halo(
    radius: Floats,
    height: Floats,
    velocity: Floats,
    p: PotentialTable,
    orbits: tuple[float, float, Floats],
    slope: float,
    anisotropy: float,
    core: float,
) -> Floats:
    out = np.full(radius.size, -np.inf)
    for i in range(radius.size):
        potential = potential_at(radius[i] ** 2, height[i] ** 2, p)
        energy = potential + 0.5 * (velocity[i, 0] ** 2 + velocity[i, 1] ** 2 + velocity[i, 2] ** 2)
        if energy >= 0:
            continue
        angular_momentum = radius[i] * velocity[i, 1]
        circular, _, log_speed, focus = circular_orbit_at(-np.log(-energy), orbits)
        third = third_integral(
            radius[i],
            height[i],
            velocity[i, 0],
            velocity[i, 2],
            angular_momentum,
            energy,
            circular,
            focus,
            p,
        )
        # Boxes end where the motion in v just reaches the pole.
        reference = circular * circular / focus
        pole = (
            energy
            - (1 + reference) * potential_at(circular * circular, 0.0, p)
            + reference * potential_at(0.0, focus * (1 + reference), p)
        )
        square = angular_momentum**2 + 2 * focus * max(third - pole, 0.0)
        out[i] = (
            -anisotropy * np.log(square + core**2)
            - (slope - 2 * anisotropy) * np.log(circular)
            - (3 - 2 * anisotropy) * log_speed
        )
    return out


@njit(cache=True)
def _bulge(
    radius: Floats,
    height: Floats,
    velocity: Floats,
    p: PotentialTable,
    index: float,
    pattern_speed: float,
    outer_radius: float,
) -> Floats:
    out = np.full(radius.size, -np.inf)
    edge = potential_at(outer_radius**2, 0.0, p) - 0.5 * (pattern_speed * outer_radius) ** 2
    for i in range(radius.size):
        if radius[i] > outer_radius:
            continue
        potential = potential_at(radius[i] ** 2, height[i] ** 2, p)
        turning = velocity[i, 1] - pattern_speed * radius[i]
        jacobi = (
            potential
            - 0.5 * (pattern_speed * radius[i]) ** 2
            + 0.5 * (velocity[i, 0] ** 2 + turning**2 + velocity[i, 2] ** 2)
        )
        if jacobi < edge:
            out[i] = index * np.log(edge - jacobi)
    return out
