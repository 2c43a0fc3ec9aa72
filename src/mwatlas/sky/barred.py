"""The barred sky: one population in a potential with a rotating bar, in place of a Galaxy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.sky import BarredComponents
from mwatlas.config.sky_chemistry import Chemistry
from mwatlas.sky.jacobi import JacobiPopulation

Floats = NDArray[np.float64]

COMPONENT = 6
"""Code of the population in the truth table."""


@dataclass(frozen=True)
class LocalPopulation:
    """What the generator needs to know of the population beside its distribution function."""

    age_gyr: tuple[float, float]
    chemistry: Chemistry
    component: int = COMPONENT

    @property
    def mean_age_gyr(self) -> float:
        """Middle of its range of ages."""
        return 0.5 * sum(self.age_gyr)


class BarredGalaxy:
    """One population with the interface of :class:`mwatlas.sky.galaxy.Galaxy`.

    Parameters
    ----------
    components
        Bar and stars.
    """

    def __init__(self, components: BarredComponents) -> None:
        stars = components.stars
        self.populations: Sequence[LocalPopulation] = [
            LocalPopulation(stars.age_range_gyr, stars.chemistry)
        ]
        self._members = [JacobiPopulation(stars, components.bar)]

    def density(self, number: int, position_kpc: Floats) -> Floats:
        """Number density relative to that at the Sun; positions (N, 3)."""
        return self._members[number].density(position_kpc)

    def moments(self, number: int, position_kpc: Floats) -> tuple[Floats, Floats, Floats]:
        """Mean velocity and dispersions; see :meth:`mwatlas.sky.galaxy.Galaxy.moments`."""
        return self._members[number].moments(position_kpc)

    def log_phase_density(self, number: int, position_kpc: Floats, velocity_kms: Floats) -> Floats:
        """Ln of the phase-space density, per (km/s)**3."""
        return self._members[number].log_phase_density(position_kpc, velocity_kms)

    def draw_velocities(
        self, number: int, position_kpc: Floats, rng: np.random.Generator
    ) -> Floats:
        """Draw Galactocentric velocities; shape (N, 3), km/s."""
        return self._members[number].draw_velocities(position_kpc, rng)
