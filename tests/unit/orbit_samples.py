"""Stars and potentials with closed forms, for tests of orbits and actions."""

from dataclasses import dataclass

import astropy.units as u
import gala.dynamics as gd
import gala.integrate as gi
import gala.potential as gp
import numpy as np

from mwatlas.dynamics.potential import NO_DISC, Disc, mw_potential_2014

GM = 4e5
"""Of both potentials, in kpc (km/s)**2: a circular speed of about 220 km/s at 8 kpc."""


@dataclass(frozen=True)
class Kepler:
    def spherical_energy(self, radius_kpc: np.ndarray) -> np.ndarray:
        return -GM / radius_kpc

    def spherical_force(self, radius_kpc: np.ndarray) -> np.ndarray:
        return GM / radius_kpc**2

    def disc(self) -> Disc:
        return NO_DISC


@dataclass(frozen=True)
class Isochrone:
    b_kpc: float

    def spherical_energy(self, radius_kpc: np.ndarray) -> np.ndarray:
        return -GM / (self.b_kpc + np.hypot(self.b_kpc, radius_kpc))

    def spherical_force(self, radius_kpc: np.ndarray) -> np.ndarray:
        a = np.hypot(self.b_kpc, radius_kpc)
        return GM * radius_kpc / (a * (self.b_kpc + a) ** 2)

    def disc(self) -> Disc:
        return NO_DISC

    def turning_points(self, energy: np.ndarray, momentum: np.ndarray) -> np.ndarray:
        """Pericentre and apocentre: with a^2 = b^2 + r^2 the condition is quadratic in a."""
        b = self.b_kpc
        constant = 2 * energy * b**2 + 2 * GM * b + momentum**2
        root = np.sqrt(GM**2 + 2 * energy * constant)
        return np.array([np.sqrt(((GM - s * root) / (-2 * energy)) ** 2 - b**2) for s in (1, -1)])


def mixed(number: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Disc, thick-disc and halo stars near the Sun, and which is which."""
    rng = np.random.default_rng(seed)
    kind = np.arange(number) % 3
    position = rng.normal(size=(number, 3)) * [1.0, 1.0, 0.3] + [-8.1, 0, 0]
    spread = np.array([[35, 25, 18], [60, 45, 40], [150, 90, 90]])[kind]
    velocity = rng.normal(size=(number, 3)) * spread
    velocity[:, 1] += np.array([215, 180, 0])[kind]
    return position, velocity, kind


def gala_orbits(
    position: np.ndarray,
    velocity: np.ndarray,
    duration_gyr: float,
    step_myr: float,
    tolerance: float = 1e-8,
) -> tuple[np.ndarray, np.ndarray]:
    """Positions and velocities along orbits by an integrator of eighth order; (time, star, 3)."""
    orbits = gp.Hamiltonian(mw_potential_2014()).integrate_orbit(
        gd.PhaseSpacePosition(position.T * u.kpc, velocity.T * u.km / u.s),
        dt=step_myr * u.Myr,
        n_steps=round(duration_gyr * 1000 / step_myr),
        Integrator=gi.DOPRI853Integrator,
        Integrator_kwargs={"rtol": tolerance, "atol": tolerance},
    )
    return (
        np.moveaxis(orbits.xyz.to_value(u.kpc), 0, -1),
        np.moveaxis(orbits.v_xyz.to_value(u.km / u.s), 0, -1),
    )


def extremes(value: np.ndarray, slope: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value in time (first axis), refined by the cubic of each step."""
    first, last = value[:-1], value[1:]
    d_first, d_last = slope[:-1] * step, slope[1:] * step
    square = 3 * (last - first) - 2 * d_first - d_last
    cubic = 2 * (first - last) + d_first + d_last
    with np.errstate(all="ignore"):
        root = np.sqrt(square**2 - 3 * cubic * d_first)
        # The root of the derivative that does not cancel.
        t = -d_first / (square + np.where(square > 0, root, -root))
    turned = first + t * (d_first + t * (square + t * cubic))
    turned = np.where((d_first * d_last < 0) & (t > 0) & (t < 1), turned, last)
    every = np.concatenate([value, turned])
    return every.min(axis=0), every.max(axis=0)
