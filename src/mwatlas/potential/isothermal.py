"""Tracers with a Maxwellian velocity distribution, for which the conditional method must fail."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from mwatlas.potential.analytic import LogarithmicPotential
from mwatlas.potential.draws import (
    Floats,
    draw_power_law_radii,
    gather,
    power_law_number,
)
from mwatlas.potential.parameters import require
from mwatlas.potential.systems import SteadySystem
from mwatlas.random import draw_directions


@dataclass(frozen=True)
class Isothermal(SteadySystem):
    """Tracers with f proportional to exp(-E / sigma^2) in a flattened logarithmic potential.

    p(v|x) is the same everywhere, so any potential fits it with n proportional to
    exp(-Phi / sigma^2): the negative control of the conditional method.

    Parameters
    ----------
    speed, core, z_ratio
        Circular speed at large radius, core radius and axis ratio of the potential.
    sigma
        Velocity dispersion; less than ``speed / sqrt(3)``, so that the number is finite.

    Raises
    ------
    ConfigError
        If a parameter is out of range.
    """

    speed: float = 1.0
    core: float = 1.0
    z_ratio: float = 0.9
    sigma: float = 0.4

    def __post_init__(self) -> None:
        _ = self.field
        highest = self.speed / math.sqrt(3)
        require(0 < self.sigma < highest, "sigma", self.sigma, f"between 0 and {highest:.6g}")

    @cached_property
    def field(self) -> LogarithmicPotential:
        """The potential."""
        return LogarithmicPotential(self.speed, self.core, z_ratio=self.z_ratio)

    @property
    def _outer(self) -> float:
        """Exponent of the density at large radius: n ~ m^-outer on ellipsoids m."""
        return (self.speed / self.sigma) ** 2

    def log_density(self, x: Tensor) -> Tensor:
        """Ln n, proportional to -Phi / sigma^2."""
        number = self.z_ratio * power_law_number(self.core, 0.0, self._outer, math.inf)
        return -self.potential(x) / self.sigma**2 - math.log(number)

    def log_velocity_density(self, x: Tensor, v: Tensor) -> Tensor:  # noqa: ARG002
        """Ln of a normal distribution, the same at every place."""
        square = (v * v).sum(dim=-1)
        return -0.5 * square / self.sigma**2 - 1.5 * math.log(2 * math.pi * self.sigma**2)

    def draw_positions(self, n: int, rng: np.random.Generator, r_max: float) -> Floats:
        """Draw ellipsoids, directions, and keep what is within r_max."""
        largest = r_max * max(1.0, 1 / self.z_ratio)

        def propose(trials: int) -> Floats:
            m = draw_power_law_radii(trials, self.core, 0.0, self._outer, largest, rng)
            position = m[:, None] * draw_directions(trials, rng) * [1.0, 1.0, self.z_ratio]
            return position[(position**2).sum(axis=1) <= r_max**2]

        return gather(n, propose)

    def draw_velocities(self, position: Floats, rng: np.random.Generator) -> Floats:
        """Draw from p(v|x)."""
        return rng.normal(0.0, self.sigma, position.shape)
