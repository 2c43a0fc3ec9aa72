"""What the potentials of the members say near the Sun: profiles and averages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import astropy.constants as const
import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from mwatlas.config.nearby import Nearby
from mwatlas.potential.ensemble import Ensemble
from mwatlas.random import block_generator, draw_directions
from mwatlas.studies.conditional_potential.plummer import VELOCITY_UNIT_KMS
from mwatlas.studies.conditional_potential.training import read_positions

Floats = NDArray[np.float64]

ACCELERATION = VELOCITY_UNIT_KMS**2 / 1000
"""The solver's unit of acceleration, (100 km/s)^2 / kpc, in km^2 s^-2 pc^-1."""

MASS_DENSITY = float((VELOCITY_UNIT_KMS * u.km / u.s / u.kpc) ** 2 / const.G / (u.Msun / u.pc**3))
"""The solver's unit of mass density in Msun pc^-3."""

# Places of the column at each height; fields are smooth over it.
_COLUMN = 256


@dataclass(frozen=True)
class NearbyFields:
    """Fields of the members of an ensemble, averaged.

    Parameters
    ----------
    settings
        Of the first look.
    members
        One solution each.
    seed
        Seed of the run, for the places of the averages.
    """

    settings: Nearby
    members: Sequence[Ensemble]
    seed: int

    @classmethod
    def load(cls, settings: Nearby, models: Sequence[Path], seed: int) -> NearbyFields:
        """Read the members; an :class:`~mwatlas.errors.InputError` says if one cannot be."""
        return cls(settings, [Ensemble.load(path) for path in models], seed)

    @cached_property
    def heights_kpc(self) -> Floats:
        """Heights of the profiles above the plane; shape (H,), symmetric about zero."""
        height = self.settings.averages.height_kpc
        return np.linspace(-height, height, self.settings.averages.steps)

    @cached_property
    def column_kpc(self) -> Floats:
        """Places of the column at each height, from the Sun; shape (H, P, 3)."""
        disc = self._disc(_COLUMN)
        z = np.broadcast_to(
            (self.heights_kpc - self._sun_kpc)[:, None, None], (self.heights_kpc.size, _COLUMN, 1)
        )
        return np.concatenate([np.broadcast_to(disc, (len(z), *disc.shape)), z], axis=2)

    def acceleration(self, x: Floats) -> Floats:
        """Acceleration in km^2 s^-2 pc^-1 at places (N, 3); shape (M, N, 3)."""
        return ACCELERATION * np.concatenate([m.acceleration(x) for m in self.members])

    def density(self, x: Floats) -> Floats:
        """Density of all matter in Msun pc^-3 at places (N, 3); shape (M, N)."""
        return MASS_DENSITY * np.concatenate([m.mass_density(x) for m in self.members])

    @cached_property
    def vertical_acceleration(self) -> Floats:
        """Mean over the column at each height; shape (M, H)."""
        return self._over_column(lambda x: self.acceleration(x)[..., 2])

    def above_and_below(self, height_pc: float) -> tuple[Floats, Floats]:
        """Vertical acceleration so far above and below the plane; shape (M,) each."""
        heights = np.array([height_pc, -height_pc]) / 1000
        profiles = self.vertical_acceleration
        up, down = np.array([np.interp(heights, self.heights_kpc, one) for one in profiles]).T
        return up, down

    def pull(self, height_pc: float) -> Floats:
        """Acceleration towards the plane, mean of both sides; shape (M,)."""
        up, down = self.above_and_below(height_pc)
        return 0.5 * (down - up)

    @cached_property
    def density_profile(self) -> Floats:
        """Mean over the column at each height; shape (M, H)."""
        return self._over_column(self.density)

    @cached_property
    def log_tracers(self) -> Floats:
        """Ln of the density of the stars over the column, less its mean over heights: (M, H)."""

        def tracers(x: Floats) -> Floats:
            return np.exp(np.concatenate([member.log_extra(x) for member in self.members]))

        profile = np.log(self._over_column(tracers))
        return profile - profile.mean(axis=1, keepdims=True)

    def slab(self) -> Floats:
        """Density of the slab that counts as the plane; shape (M,)."""
        averages = self.settings.averages
        rng = self._generator(1)
        z = averages.midplane_kpc * rng.uniform(-1, 1, averages.points) - self._sun_kpc
        return self.density(np.column_stack([self._disc(averages.points), z])).mean(axis=1)

    def sphere(self, radius_kpc: float) -> Floats:
        """Mean density within a distance of the Sun; shape (M,)."""
        rng = self._generator(2)
        points = self.settings.averages.points
        radius = radius_kpc * np.cbrt(rng.uniform(size=points))
        return self.density(radius[:, None] * draw_directions(points, rng)).mean(axis=1)

    def in_plane(self) -> tuple[Floats, Floats]:
        """Circular speed at the Sun in km/s, and acceleration towards l = 90 deg: (M,) each."""
        disc = self._disc(self.settings.averages.points)
        x = np.column_stack([disc, np.full(len(disc), -self._sun_kpc)])
        inward, forward, _ = np.moveaxis(self.acceleration(x).mean(axis=1), 1, 0)
        distance_pc = 1000 * self.settings.frame.galcen_distance_kpc
        return np.sqrt(np.maximum(inward * distance_pc, 0.0)), forward

    def _over_column(self, field: Callable[[Floats], Floats]) -> Floats:
        """Mean over the column at each height, (M, H), of a field, (M, N) at places (N, 3)."""
        x = self.column_kpc
        found = field(x.reshape(-1, 3))
        return found.reshape(len(found), *x.shape[:2]).mean(axis=2)

    @property
    def _sun_kpc(self) -> float:
        return self.settings.frame.z_sun_pc / 1000

    def _disc(self, points: int) -> Floats:
        rng = self._generator(0)
        radius = self.settings.averages.column_radius_kpc * np.sqrt(rng.uniform(size=points))
        angle = rng.uniform(0, 2 * np.pi, points)
        return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])

    def _generator(self, block: int) -> np.random.Generator:
        return block_generator(self.seed, "conditional_potential/nearby/places", block)


def observed_profile(settings: Nearby, stars: Path, heights_kpc: Floats) -> tuple[Floats, Floats]:
    """Ln of the number of stars of the column at each height, less its mean, and its error.

    Parameters
    ----------
    settings
        Of the first look.
    stars
        Table ``nearby_stars``.
    heights_kpc
        Middles of the bins, H of them.

    Returns
    -------
    log_counts, error
        Shape (H,); missing where there is no star.
    """
    x = read_positions([stars])
    inside = np.hypot(x[:, 0], x[:, 1]) < settings.averages.column_radius_kpc
    height = x[inside, 2] + settings.frame.z_sun_pc / 1000
    half = 0.5 * (heights_kpc[1] - heights_kpc[0])
    counts, _ = np.histogram(height, np.append(heights_kpc - half, heights_kpc[-1] + half))
    number = np.where(counts > 0, counts, np.nan)
    return np.log(number) - np.nanmean(np.log(number)), 1 / np.sqrt(number)
