"""The Plummer sphere: places and velocities of the mock's stars (Plummer 1911, MNRAS 71, 460).

Its orbits may be radial outside: f then depends on Q = E + L^2 / (2 r_a^2) alone (Osipkov 1979;
Merritt 1985, AJ 90, 1027), with potential and density as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mwatlas.config.conditional_mock import Tracer
from mwatlas.random import draw_directions

Floats = NDArray[np.float64]

# The unit of velocity in which the settings have G = 1.
VELOCITY_UNIT_KMS = 100.0


@dataclass(frozen=True)
class Plummer:
    """A self-consistent sphere, of which the stars within a radius are drawn.

    Phi = -GM / sqrt(r^2 + b^2), and the distribution function goes with (-E)^(7/2), or with r_a as
    in :class:`mwatlas.potential.plummer.OsipkovMerrittPlummer`.

    Parameters
    ----------
    gm
        G M in kpc (km/s)**2.
    scale_kpc
        Scale radius b.
    radius_kpc
        Radius of the volume.
    anisotropy_radius_kpc
        r_a, at least b; none for an isotropic sphere.
    """

    gm: float
    scale_kpc: float
    radius_kpc: float
    anisotropy_radius_kpc: float | None = None

    @classmethod
    def of(cls, settings: Tracer) -> Plummer:
        """The sphere of the settings: 4 pi b^3 / 3 of the central density is its mass."""
        mass = 4 / 3 * np.pi * settings.scale_kpc**3 * settings.central_density
        gm = mass * VELOCITY_UNIT_KMS**2
        return cls(
            float(gm), settings.scale_kpc, settings.radius_kpc, settings.anisotropy_radius_kpc
        )

    @property
    def share_in_volume(self) -> float:
        """Share of all stars that is within the volume."""
        return float((1 + (self.scale_kpc / self.radius_kpc) ** 2) ** -1.5)

    def radius_at(self, share: ArrayLike) -> Floats:
        """Radius in kpc that encloses a share of the volume's stars, shares in (0, 1]."""
        of_all = np.asarray(share, dtype=float) * self.share_in_volume
        # No farther than the volume, where rounding would put it.
        return np.minimum(self.scale_kpc / np.sqrt(of_all ** (-2 / 3) - 1), self.radius_kpc)

    def number_density(self, radius_kpc: ArrayLike) -> Floats:
        """Stars per kpc^3 at radii within the volume, for one star in all of it."""
        ratio = np.asarray(radius_kpc, dtype=float) / self.scale_kpc
        central = 3 / (4 * np.pi * self.scale_kpc**3 * self.share_in_volume)
        return central * (1 + ratio**2) ** -2.5

    def escape_speed(self, radius_kpc: ArrayLike) -> Floats:
        """Speed of escape in km/s."""
        return np.sqrt(2 * self.gm / np.hypot(radius_kpc, self.scale_kpc))

    def draw_positions(self, number: int, rng: np.random.Generator) -> Floats:
        """Places of stars within the volume in kpc; shape (number, 3)."""
        # Uniform in (0, 1]: no star is at the centre, where it would have no direction.
        radius = self.radius_at(1 - rng.random(number))
        return radius[:, None] * draw_directions(number, rng)

    def draw_velocities(
        self, position_kpc: Floats, number: int, rng: np.random.Generator
    ) -> Floats:
        """Velocities of stars where they are.

        Parameters
        ----------
        position_kpc
            Shape (N, 3).
        number
            Stars that deviates are drawn for, at least N: a star's own do not depend on how many
            there are beside it.
        rng
            Source of randomness.

        Returns
        -------
        float64, shape (N, 3)
            In km/s.
        """
        rows = len(position_kpc)
        radius = np.linalg.norm(position_kpc, axis=1)
        velocity = draw_bound_velocities(number, rng)[:rows]
        if self.anisotropy_radius_kpc is not None:
            velocity = self._radial(position_kpc, radius, velocity, number, rng)
        return self.escape_speed(radius)[:, None] * velocity

    def _radial(
        self,
        position_kpc: Floats,
        radius: Floats,
        isotropic: Floats,
        number: int,
        rng: np.random.Generator,
    ) -> Floats:
        """Velocities of the anisotropic sphere in units of the speed of escape.

        u = (v_r, v_t sqrt(1 + r^2 / r_a^2)) has no preferred direction, and 2 Q = u^2 - v_esc^2.
        Of the two terms of f, (-Q)^(7/2) makes w = (u / v_esc)^2 a beta variate as in an isotropic
        sphere, (-Q)^(3/2) one of less slope. Integrated over velocities they are in proportion to
        1 - (b / r_a)^2 and (r^2 + b^2) / r_a^2.
        """
        assert self.anisotropy_radius_kpc is not None
        stretch = 1 + (radius / self.anisotropy_radius_kpc) ** 2
        steep = (1 - (self.scale_kpc / self.anisotropy_radius_kpc) ** 2) / stretch
        shallow = np.sqrt(rng.beta(1.5, 2.5, number))[:, None] * draw_directions(number, rng)
        is_steep = rng.random(number)[: radius.size] < steep
        u = np.where(is_steep[:, None], isotropic, shallow[: radius.size])
        # No star is at the centre, where it would have no direction.
        sight = position_kpc / radius[:, None]
        along = (u * sight).sum(axis=1, keepdims=True) * sight
        return along + (u - along) / np.sqrt(stretch)[:, None]


def draw_bound_velocities(number: int, rng: np.random.Generator) -> Floats:
    """Velocities of stars in units of the speed of escape where they are; shape (number, 3).

    With w = (v / v_esc)^2, v^2 (-E)^(7/2) dv goes with w^(1/2) (1 - w)^(7/2) dw, which is a
    beta distribution, the same everywhere.
    """
    return np.sqrt(rng.beta(1.5, 4.5, number))[:, None] * draw_directions(number, rng)
