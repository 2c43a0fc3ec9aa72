"""Tracers around the Sun that are steady in a rotating frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mwatlas.potential.analytic import AnalyticPotential
from mwatlas.potential.draws import (
    Floats,
    draw_power_law_velocities,
    gather,
    log_power_law_velocity,
    log_where_positive,
)
from mwatlas.potential.parameters import require
from mwatlas.potential.rotating_frame import RotatingFrame
from mwatlas.potential.systems import SteadySystem
from mwatlas.random import draw_directions

# Nodes in radius, cosine and longitude that normalise the density in the sphere.
_NODES = (48, 48, 48)
# The density found to be highest at the nodes may be passed by so much between them.
_MARGIN = 1.05


@dataclass(frozen=True)
class JacobiTracers(SteadySystem):
    """Tracers whose density in phase space depends on the Jacobi energy alone.

    f is proportional to exp(-E_J / sigma^2), or to (E_0 - E_J)^index with E_0 such that the
    velocity dispersion at the Sun is sigma. With an m = 2 term in the potential the rotation of
    the frame can be measured from it. The first is Maxwellian, so its potential is lost to the
    conditional method. E_J has no bound at large radius; the density is normalised within a
    sphere around the Sun and is of use there.

    Parameters
    ----------
    galaxy
        The potential about the Galactic centre, along axes that turn with the frame; in kpc and
        km/s.
    rotation
        The rotating frame; its parameters are numbers.
    sigma_km_s
        Velocity dispersion along each axis at the Sun.
    radius_kpc
        Radius of the sphere.
    index
        Power of f; None for the Maxwellian.

    Raises
    ------
    ConfigError
        If a parameter is out of range, or the sphere reaches where no tracer can be.
    """

    galaxy: AnalyticPotential
    rotation: RotatingFrame
    sigma_km_s: float
    radius_kpc: float
    index: float | None = None

    def __post_init__(self) -> None:
        require(self.sigma_km_s > 0, "sigma_km_s", self.sigma_km_s, "a positive number")
        require(self.radius_kpc > 0, "radius_kpc", self.radius_kpc, "a positive number")
        require(self.index is None or self.index > 0, "index", self.index, "a positive number")
        require(
            math.isfinite(self._lowest_at_nodes),
            "radius_kpc",
            self.radius_kpc,
            "a sphere in which E_0 is above the effective potential everywhere",
        )

    @property
    def field(self) -> AnalyticPotential:
        """The potential."""
        return self.galaxy

    @property
    def frame(self) -> RotatingFrame:
        """The rotating frame."""
        return self.rotation

    def effective_potential(self, x: Tensor) -> Tensor:
        """Potential and centrifugal potential, zero at the Sun, in (km/s)**2; shape (...,)."""
        return self.potential(x) + self.rotation.centrifugal_potential(x) - self._at_sun

    @cached_property
    def _at_sun(self) -> float:
        sun = torch.zeros(3, dtype=torch.float64)
        return float(self.potential(sun) + self.rotation.centrifugal_potential(sun))

    def _escape_square(self, x: Tensor, index: float) -> Tensor:
        """Square of the highest speed in the frame, 2 (E_0 - effective potential)."""
        return 2 * ((index + 2.5) * self.sigma_km_s**2 - self.effective_potential(x))

    def _log_relative_density(self, x: Tensor) -> Tensor:
        """Ln n, zero at the Sun."""
        if self.index is None:
            return -self.effective_potential(x) / self.sigma_km_s**2
        at_sun = 2 * (self.index + 2.5) * self.sigma_km_s**2
        share = self._escape_square(x, self.index) / at_sun
        return (self.index + 1.5) * log_where_positive(share)

    @cached_property
    def _at_nodes(self) -> tuple[Tensor, Tensor]:
        """Ln n and the volume of each node of a product rule for the sphere."""
        in_radius, radius_weight = np.polynomial.legendre.leggauss(_NODES[0])
        cosine, cosine_weight = np.polynomial.legendre.leggauss(_NODES[1])
        radius = 0.5 * self.radius_kpc * (1 + in_radius)
        angle = 2 * np.pi * np.arange(_NODES[2]) / _NODES[2]
        r, c, phi = np.meshgrid(radius, cosine, angle, indexing="ij")
        across = r * np.sqrt(1 - c**2)
        nodes = np.stack([across * np.cos(phi), across * np.sin(phi), r * c], axis=-1)
        shells = 0.5 * self.radius_kpc * radius_weight * radius**2
        volume = shells[:, None, None] * cosine_weight[:, None] * (2 * np.pi / _NODES[2])
        log_density = self._log_relative_density(torch.from_numpy(nodes))
        return log_density, torch.from_numpy(np.broadcast_to(volume, r.shape).copy())

    @cached_property
    def _lowest_at_nodes(self) -> float:
        return float(self._at_nodes[0].min())

    @cached_property
    def _log_number(self) -> float:
        log_density, volume = self._at_nodes
        return float(torch.logsumexp((log_density + torch.log(volume)).flatten(), dim=0))

    def log_density(self, x: Tensor) -> Tensor:
        """Ln n per kpc^3; its integral over the sphere is one, and it goes on outside."""
        return self._log_relative_density(x) - self._log_number

    def log_velocity_density(self, x: Tensor, v: Tensor) -> Tensor:
        """Ln p(v|x) per (km/s)^3."""
        square = ((v - self.rotation.u(x)) ** 2).sum(dim=-1)
        variance = self.sigma_km_s**2
        if self.index is None:
            return -0.5 * square / variance - 1.5 * math.log(2 * math.pi * variance)
        return log_power_law_velocity(square, self._escape_square(x, self.index), self.index)

    def draw_positions(self, n: int, rng: np.random.Generator, r_max: float) -> Floats:
        """Draw uniformly in a sphere and reject; ``r_max`` is at most the radius of this one."""
        expected = f"at most {self.radius_kpc}"
        require(r_max <= self.radius_kpc, "r_max", r_max, expected)
        highest = float(self._at_nodes[0].max()) + math.log(_MARGIN)

        def propose(trials: int) -> Floats:
            radius = r_max * np.cbrt(rng.uniform(size=trials))
            position = radius[:, None] * draw_directions(trials, rng)
            wanted = self._log_relative_density(torch.from_numpy(position)).numpy() - highest
            steep = "a dispersion whose density the nodes of the sphere resolve"
            require(bool((wanted <= 0).all()), "sigma_km_s", self.sigma_km_s, steep)
            return position[np.log(rng.uniform(size=trials)) < wanted]

        return gather(n, propose)

    def draw_velocities(self, position: Floats, rng: np.random.Generator) -> Floats:
        """Draw from p(v|x) in km/s."""
        x = torch.from_numpy(position)
        mean = self.rotation.u(x).numpy()
        if self.index is None:
            return mean + rng.normal(0.0, self.sigma_km_s, position.shape)
        escape_square = self._escape_square(x, self.index).numpy()
        return mean + draw_power_law_velocities(escape_square, self.index, rng)
