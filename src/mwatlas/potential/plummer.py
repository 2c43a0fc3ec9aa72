"""Plummer spheres: isotropic, and with radial orbits after Osipkov and Merritt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mwatlas.potential.analytic import PlummerPotential
from mwatlas.potential.draws import (
    Floats,
    draw_power_law_velocities,
    log_power_law_velocity,
    log_where_positive,
)
from mwatlas.potential.parameters import require
from mwatlas.potential.systems import SteadySystem
from mwatlas.random import draw_directions


@dataclass(frozen=True)
class Plummer(SteadySystem):
    """Tracers that make their own potential, with f proportional to (-E)^(7/2).

    Binney & Tremaine (2008), section 4.3.3; draws after Aarseth, Henon & Wielen (1974).

    Parameters
    ----------
    gm
        G times the total mass.
    b
        Scale length.

    Raises
    ------
    ConfigError
        If a parameter is not positive.
    """

    gm: float = 1.0
    b: float = 1.0

    def __post_init__(self) -> None:
        _ = self.field

    @cached_property
    def field(self) -> PlummerPotential:
        """The potential."""
        return PlummerPotential(self.gm, self.b)

    def log_density(self, x: Tensor) -> Tensor:
        """Ln of 3 b^2 / (4 pi) (r^2 + b^2)^(-5/2)."""
        square = (x * x).sum(dim=-1) + self.b**2
        return math.log(3 * self.b**2 / (4 * math.pi)) - 2.5 * torch.log(square)

    def log_velocity_density(self, x: Tensor, v: Tensor) -> Tensor:
        """Ln p(v|x), proportional to (1 - v^2 / v_esc^2)^(7/2)."""
        return log_power_law_velocity((v * v).sum(dim=-1), -2 * self.potential(x), 3.5)

    def draw_positions(self, n: int, rng: np.random.Generator, r_max: float) -> Floats:
        """Draw radii from the inverse of the mass within them, (1 + b^2 / r^2)^(-3/2)."""
        share = (1 + (self.b / r_max) ** 2) ** -1.5 * rng.uniform(size=n)
        square = share ** (2 / 3)
        radius = self.b * np.sqrt(square / (1 - square))
        return radius[:, None] * draw_directions(n, rng)

    def draw_velocities(self, position: Floats, rng: np.random.Generator) -> Floats:
        """Draw from p(v|x)."""
        return draw_power_law_velocities(2 * self._depth(position), 3.5, rng)

    def _depth(self, position: Floats) -> Floats:
        """Minus the potential."""
        return self.gm / np.sqrt((position**2).sum(axis=1) + self.b**2)


@dataclass(frozen=True)
class OsipkovMerrittPlummer(Plummer):
    """A Plummer sphere isotropic at its centre with radial orbits outside.

    f depends on Q = -E - L^2 / (2 r_a^2) alone; the anisotropy is r^2 / (r^2 + r_a^2). In units
    of G M and b, f = 24 sqrt(2) / (7 pi^3) [(1 - k) Q^(7/2) + 7/16 k Q^(3/2)] with
    k = (b / r_a)^2 (Osipkov 1979; Merritt 1985, AJ 90, 1027).

    Parameters
    ----------
    gm, b
        As in :class:`Plummer`.
    anisotropy_radius
        r_a; at least 3/4 b, or f would be negative at the centre.

    Raises
    ------
    ConfigError
        If a parameter is out of range.
    """

    anisotropy_radius: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        found = self.anisotropy_radius
        require(found >= 0.75 * self.b, "anisotropy_radius", found, f"at least {0.75 * self.b}")

    def log_velocity_density(self, x: Tensor, v: Tensor) -> Tensor:
        """Ln p(v|x)."""
        r_square = (x * x).sum(dim=-1)
        # L^2 from the products, without the direction of x: it has none at the centre.
        momentum_square = r_square * (v * v).sum(dim=-1) - (x * v).sum(dim=-1) ** 2
        energy = -self.potential(x) - 0.5 * (v * v).sum(dim=-1)
        scale = self.gm / self.b
        q = (energy - momentum_square / (2 * self.anisotropy_radius**2)) / scale
        log_f = (
            math.log(24 * math.sqrt(2) / (7 * math.pi**3))
            + 1.5 * log_where_positive(q)
            + torch.log(self._bracket(q.clamp(min=0.0)))
        )
        # f is per unit of mass over b^3 and velocity (G M / b)^(1/2).
        return log_f - self.log_density(x) - math.log(self.b**3 * scale**1.5)

    def draw_velocities(self, position: Floats, rng: np.random.Generator) -> Floats:
        """Draw from p(v|x): stretched across the radius the velocities are isotropic."""
        depth = self._depth(position)
        scale = self.gm / self.b
        velocity = np.empty_like(position)
        left = np.arange(len(position))
        while left.size:
            # The factor Q^(3/2) is drawn directly, the bracket by rejection. The bracket is
            # monotonic in Q: its largest value is at an end.
            trial = draw_power_law_velocities(2 * depth[left], 1.5, rng)
            q = (depth[left] - 0.5 * (trial**2).sum(axis=1)) / scale
            highest = np.maximum(self._bracket(depth[left] / scale), self._bracket(0.0))
            kept = rng.uniform(size=left.size) * highest < self._bracket(q)
            velocity[left[kept]] = trial[kept]
            left = left[~kept]
        square = (position**2).sum(axis=1)
        squeeze = 1 / np.sqrt(1 + square / self.anisotropy_radius**2)
        # v_r e_r + squeeze (v - v_r e_r); at the centre nothing is squeezed.
        along = (velocity * position).sum(axis=1) / np.where(square > 0, square, 1.0)
        return squeeze[:, None] * velocity + ((1 - squeeze) * along)[:, None] * position

    def _bracket(self, q: Any) -> Any:
        """(1 - k) Q^2 + 7/16 k."""
        k = (self.b / self.anisotropy_radius) ** 2
        return (1 - k) * q * q + 7 / 16 * k
