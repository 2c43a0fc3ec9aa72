"""Distribution functions of the embedded sky: densities and velocity ellipsoids.

At each point the velocities of a component are normal. Means and dispersions obey the
Jeans equations in MWPotential2014: radial and vertical ones in cylindrical axes for the
discs (Binney & Tremaine 2008, eqs. 4.222a,b with an untilted ellipsoid), the spherical one
with constant anisotropy for the halo (eq. 4.215, spherically averaged force).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid
from scipy.interpolate import RectBivariateSpline

from mwatlas.astrometry.frames import GalactocentricFrame, spherical_basis
from mwatlas.config.release import Components, DiscComponent, HaloComponent
from mwatlas.dynamics.potential import circular_velocity, gradient

Floats = NDArray[np.float64]

# Frame the sky is observed in: parameter set v4.0 of astropy.
SKY_FRAME = GalactocentricFrame(8.122, 20.8, (12.9, 245.6, 7.78))

_LOWEST_RADIUS_KPC = 0.1


@dataclass(frozen=True)
class Ellipsoid:
    """Normal velocity distributions at N points, in Galactocentric axes.

    Parameters
    ----------
    mean
        Mean velocity in km/s; shape (N, 3).
    axes
        Unit vectors of the principal axes, by rows; shape (N, 3, 3).
    sigma
        Dispersions along them in km/s; shape (N, 3).
    """

    mean: Floats
    axes: Floats
    sigma: Floats

    @property
    def covariance(self) -> Floats:
        """Covariance in (km/s)**2; shape (N, 3, 3)."""
        scaled = self.axes * self.sigma[..., None]
        return np.einsum("nki,nkj->nij", scaled, scaled)


class Component(Protocol):
    """A population of stars."""

    @property
    def local_fraction(self) -> float:
        """Share of stars at the Sun."""
        ...

    @property
    def giant_share(self) -> float:
        """Share of giants by number in space."""
        ...

    def density(self, position_kpc: Floats) -> Floats:
        """Relative number density at (N, 3): ``local_fraction`` at the Sun."""
        ...

    def velocities(self, position_kpc: Floats) -> Ellipsoid:
        """Velocity distribution at (N, 3)."""
        ...


def _solar_cylindrical() -> tuple[float, float]:
    _, offset = SKY_FRAME.affine()
    return float(np.hypot(offset[0], offset[1])), float(offset[2])


@dataclass(frozen=True)
class Disc:
    """Exponential disc; see :class:`mwatlas.config.release.DiscComponent`."""

    settings: DiscComponent

    @property
    def local_fraction(self) -> float:
        """Share of stars at the Sun."""
        return self.settings.local_fraction

    @property
    def giant_share(self) -> float:
        """Share of giants."""
        return self.settings.giant_share

    def density(self, position_kpc: Floats) -> Floats:
        """Relative number density; shape (N,)."""
        radius = np.hypot(position_kpc[:, 0], position_kpc[:, 1])
        solar_radius, solar_height = _solar_cylindrical()
        exponent = (radius - solar_radius) / self.settings.scale_length_kpc + (
            np.abs(position_kpc[:, 2]) - abs(solar_height)
        ) / self.settings.scale_height_kpc
        return self.settings.local_fraction * np.exp(-exponent)

    def velocities(self, position_kpc: Floats) -> Ellipsoid:
        """Velocity distribution in cylindrical axes."""
        x, y, z = position_kpc.T
        radius = np.maximum(np.hypot(x, y), _LOWEST_RADIUS_KPC)
        sigma_r = self._sigma_r(radius)
        sigma_phi = sigma_r * self._phi_to_r(radius)
        rotation = np.sqrt(np.maximum(self._mean_square_phi(radius, np.abs(z)) - sigma_phi**2, 0.0))
        zero, one = np.zeros_like(x), np.ones_like(x)
        cos, sin = x / radius, y / radius
        outward = np.stack([cos, sin, zero], axis=-1)
        around = np.stack([-sin, cos, zero], axis=-1)
        upward = np.stack([zero, zero, one], axis=-1)
        sigma_z = np.sqrt(np.maximum(self._sigma_z_squared.ev(radius, np.abs(z)), 1.0))
        return Ellipsoid(
            # Galactic rotation is clockwise seen from the north pole: negative phi.
            mean=-rotation[:, None] * around,
            axes=np.stack([outward, around, upward], axis=1),
            sigma=np.stack([sigma_r, sigma_phi, sigma_z], axis=-1),
        )

    def _sigma_r(self, radius: Floats) -> Floats:
        solar_radius, _ = _solar_cylindrical()
        scale = self.settings.sigma_scale_length_kpc
        return self.settings.sigma_r_kms * np.exp(-(radius - solar_radius) / scale)

    @staticmethod
    def _phi_to_r(radius: Floats) -> Floats:
        """Epicyclic axis ratio sigma_phi / sigma_R = kappa / (2 Omega)."""
        step = 1e-3 * radius
        outer, inner = circular_velocity(radius + step), circular_velocity(radius - step)
        slope = (np.log(outer) - np.log(inner)) / (np.log(radius + step) - np.log(radius - step))
        return np.sqrt(0.5 * (1 + slope))

    def _mean_square_phi(self, radius: Floats, height: Floats) -> Floats:
        """Radial Jeans equation: mean of v_phi squared."""
        position = np.stack([radius, np.zeros_like(radius), height], axis=-1)
        pull = radius * gradient(position)[:, 0]
        falloff = 1 / self.settings.scale_length_kpc + 2 / self.settings.sigma_scale_length_kpc
        return pull + self._sigma_r(radius) ** 2 * (1 - radius * falloff)

    @cached_property
    def _sigma_z_squared(self) -> RectBivariateSpline:
        """Vertical Jeans equation on a grid of radius and height."""
        radius = np.concatenate(
            [np.linspace(_LOWEST_RADIUS_KPC, 3, 30)[:-1], np.arange(3, 20.1, 0.5)]
        )
        scale = self.settings.scale_height_kpc
        # Fine near the plane, and far enough out that exp(-z / scale) is negligible.
        height = np.concatenate([np.linspace(0, 1, 101)[:-1], np.linspace(1, 10 + 15 * scale, 400)])
        grid = np.stack(np.meshgrid(radius, height, indexing="ij"), axis=-1)
        force = gradient(
            np.stack([grid[..., 0], np.zeros(grid.shape[:2]), grid[..., 1]], axis=-1).reshape(-1, 3)
        )[:, 2].reshape(grid.shape[:2])
        weight = np.exp(-height / scale) * force
        inside = cumulative_trapezoid(weight, height, axis=1, initial=0)
        above = inside[:, -1:] - inside
        keep = height <= 10
        return RectBivariateSpline(
            radius, height[keep], above[:, keep] * np.exp(height[keep] / scale), kx=1, ky=1
        )


@dataclass(frozen=True)
class Halo:
    """Spherical power law; see :class:`mwatlas.config.release.HaloComponent`."""

    settings: HaloComponent

    @property
    def local_fraction(self) -> float:
        """Share of stars at the Sun."""
        return self.settings.local_fraction

    @property
    def giant_share(self) -> float:
        """Share of giants."""
        return self.settings.giant_share

    def density(self, position_kpc: Floats) -> Floats:
        """Relative number density; shape (N,). Constant inside 0.5 kpc."""
        radius = np.maximum(np.linalg.norm(position_kpc, axis=1), 0.5)
        solar = np.linalg.norm(SKY_FRAME.affine()[1])
        return self.settings.local_fraction * (radius / solar) ** -self.settings.density_slope

    def velocities(self, position_kpc: Floats) -> Ellipsoid:
        """Velocity distribution in spherical axes; no mean motion."""
        radius = np.linalg.norm(position_kpc, axis=1)
        log_radius, sigma = self._radial_dispersion
        sigma_r = np.interp(np.log(np.maximum(radius, _LOWEST_RADIUS_KPC)), log_radius, sigma)
        sigma_t = sigma_r * np.sqrt(1 - self.settings.anisotropy)
        return Ellipsoid(
            mean=np.zeros_like(position_kpc),
            axes=spherical_basis(position_kpc),
            sigma=np.stack([sigma_r, sigma_t, sigma_t], axis=-1),
        )

    @cached_property
    def _radial_dispersion(self) -> tuple[Floats, Floats]:
        """Spherical Jeans equation: sigma_r on a grid of ln r."""
        log_radius = np.linspace(np.log(_LOWEST_RADIUS_KPC), np.log(3000.0), 600)
        radius = np.exp(log_radius)
        cosine, weight = np.polynomial.legendre.leggauss(32)
        direction = np.stack([np.sqrt(1 - cosine**2), np.zeros(32), cosine], axis=-1)
        points = radius[:, None, None] * direction
        pull = (gradient(points.reshape(-1, 3)).reshape(points.shape) * direction).sum(axis=-1)
        mean_pull = pull @ weight / 2
        power = 2 * self.settings.anisotropy - self.settings.density_slope
        integrand = radius**power * mean_pull * radius
        inside = cumulative_trapezoid(integrand, log_radius, initial=0)
        return log_radius[:-60], np.sqrt((inside[-1] - inside) * radius**-power)[:-60]


def galaxy(components: Components) -> list[Component]:
    """The populations in the order of their codes in the truth table."""
    return [
        Disc(components.thin_disc),
        Disc(components.thick_disc),
        Halo(components.halo),
        Halo(components.gse),
    ]
