"""Flattened tracers with tangential orbits in a Miyamoto-Nagai disc."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.integrate import quad
from torch import Tensor

from mwatlas.potential.analytic import MiyamotoNagaiPotential
from mwatlas.potential.draws import (
    Floats,
    draw_power_law_radii,
    draw_power_law_velocities,
    gather,
    log_power_law_velocity,
    power_law_number,
)
from mwatlas.potential.parameters import require
from mwatlas.potential.systems import SteadySystem
from mwatlas.random import draw_directions


@dataclass(frozen=True)
class FlattenedTracers(SteadySystem):
    """Tracers with f proportional to (-E)^index (1 + (L_z / L_0)^2).

    A sum of two components of Fricke (1952, AN 280, 193):
    steady in every axisymmetric potential, here that of a Miyamoto-Nagai disc. With L_z the
    tracers lie flatter than the potential makes those of E alone, and move more around the axis
    than across it.

    Parameters
    ----------
    gm, a, b
        G times the mass, scale length and height of the disc.
    momentum_scale
        L_0; infinite for f of the energy alone.
    index
        Greater than 5/2, so that the number is finite.

    Raises
    ------
    ConfigError
        If a parameter is out of range.
    """

    gm: float = 1.0
    a: float = 0.5
    b: float = 0.5
    momentum_scale: float = 0.3
    index: float = 3.5

    def __post_init__(self) -> None:
        _ = self.field
        require(self.momentum_scale > 0, "momentum_scale", self.momentum_scale, "a positive number")
        require(self.index > 2.5, "index", self.index, "more than 2.5")

    @cached_property
    def field(self) -> MiyamotoNagaiPotential:
        """The potential."""
        return MiyamotoNagaiPotential(self.gm, self.a, self.b)

    # With psi = -Phi / (G M), n is psi^s + h R^2 psi^(s+1) over the number of tracers.

    @property
    def _s(self) -> float:
        return self.index + 1.5

    @property
    def _h(self) -> float:
        """One component's variance of L_z over R^2 psi, in units of L_0^2."""
        return self.gm / ((self.index + 2.5) * self.momentum_scale**2)

    @cached_property
    def _log_number(self) -> float:
        """Ln of the integral of psi^s + h R^2 psi^(s+1); that over R is in closed form."""
        s, h = self._s, self._h

        def layer(z: float) -> float:
            height = self.a + math.sqrt(z * z + self.b**2)
            rising = 4 * math.pi * h / ((s - 1) * (s - 3)) * height ** (3 - s)
            return 2 * math.pi / (s - 2) * height ** (2 - s) + rising

        half, _ = quad(layer, 0, math.inf, epsabs=0, epsrel=1e-12, limit=200)
        return math.log(2 * half)

    def log_density(self, x: Tensor) -> Tensor:
        """Ln n."""
        psi = -self.potential(x) / self.gm
        rising = self._h * (x[..., 0] ** 2 + x[..., 1] ** 2) * psi
        return self._s * torch.log(psi) + torch.log1p(rising) - self._log_number

    def log_velocity_density(self, x: Tensor, v: Tensor) -> Tensor:
        """Ln p(v|x)."""
        escape_square = -2 * self.potential(x)
        planar = x[..., 0] ** 2 + x[..., 1] ** 2
        momentum = (x[..., 0] * v[..., 1] - x[..., 1] * v[..., 0]) / self.momentum_scale
        mean_square = self._h * planar * escape_square / (2 * self.gm)
        isotropic = log_power_law_velocity((v * v).sum(dim=-1), escape_square, self.index)
        return isotropic + torch.log1p(momentum**2) - torch.log1p(mean_square)

    def draw_positions(self, n: int, rng: np.random.Generator, r_max: float) -> Floats:
        """Draw from a mixture of two spheres that n is nowhere above, and reject."""
        # (a + sqrt(z^2 + b^2))^2 is at least z^2 + (a + b)^2, and R at most r: with psi replaced
        # by that of the Plummer sphere of scale a + b, and R by r, n is larger everywhere.
        core, s, h = self.a + self.b, self._s, self._h
        flat = power_law_number(core, 0.0, s, r_max)
        rising = h * power_law_number(core, 2.0, s + 1, r_max)

        def propose(trials: int) -> Floats:
            second = rng.binomial(trials, rising / (flat + rising))
            radius = np.concatenate(
                [
                    draw_power_law_radii(trials - second, core, 0.0, s, r_max, rng),
                    draw_power_law_radii(second, core, 2.0, s + 1, r_max, rng),
                ]
            )
            position = radius[:, None] * draw_directions(trials, rng)
            above = 1 / np.sqrt(radius**2 + core**2)
            envelope = above**s * (1 + h * radius**2 * above)
            psi = self._depth(position) / self.gm
            wanted = psi**s * (1 + h * (position[:, :2] ** 2).sum(axis=1) * psi)
            # Which component a point came from must not show in the order.
            return rng.permutation(position[rng.uniform(size=trials) * envelope < wanted])

        return gather(n, propose)

    def draw_velocities(self, position: Floats, rng: np.random.Generator) -> Floats:
        """Draw from p(v|x), a mixture of an isotropic part and one times v_phi^2."""
        depth = self._depth(position)
        planar = np.hypot(position[:, 0], position[:, 1])
        rising = self._h * planar**2 * depth / self.gm
        velocity = draw_power_law_velocities(2 * depth, self.index, rng)
        turned = np.flatnonzero(rng.uniform(size=len(position)) * (1 + rising) < rising)
        # There R > 0. The cosine c to the direction of phi has a density proportional to c^2,
        # and (v / v_esc)^2 follows Beta(5/2, index + 1).
        cosine = np.cbrt(rng.uniform(-1, 1, turned.size))
        speed = np.sqrt(2 * depth[turned] * rng.beta(2.5, self.index + 1, turned.size))
        across, angle = np.sqrt(1 - cosine**2), rng.uniform(0, 2 * np.pi, turned.size)
        cos_phi, sin_phi = (position[turned, :2] / planar[turned, None]).T
        radial = across * np.cos(angle)
        velocity[turned] = speed[:, None] * np.stack(
            [
                radial * cos_phi - cosine * sin_phi,
                radial * sin_phi + cosine * cos_phi,
                across * np.sin(angle),
            ],
            axis=1,
        )
        return velocity

    def _depth(self, position: Floats) -> Floats:
        """Minus the potential."""
        return -self.potential(torch.from_numpy(position)).numpy()
