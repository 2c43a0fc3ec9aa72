"""Steady systems of tracers in a known potential: the truth that solvers are tested on."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mwatlas.potential.analytic import AnalyticPotential
from mwatlas.potential.derivatives import gradient
from mwatlas.potential.parameters import require
from mwatlas.potential.rotating_frame import RotatingFrame

Floats = NDArray[np.float64]


class SteadySystem(ABC):
    """Tracers whose phase-space density f(x, v) = n(x) p(v|x) does not change.

    The tracers need not make the potential. To add a system write a class with the methods that
    are abstract here. Units are any consistent set with G = 1. Tensors keep their dtype; all of
    them can be differentiated, as often as needed, where the density is positive.
    """

    @property
    def frame(self) -> RotatingFrame | None:
        """The frame in which nothing changes; None for one at rest."""
        return None

    @property
    @abstractmethod
    def field(self) -> AnalyticPotential:
        """The potential, in coordinates of its own centre."""

    @abstractmethod
    def log_density(self, x: Tensor) -> Tensor:
        """Ln of the number density of tracers, whose integral over all space is one.

        Parameters
        ----------
        x
            Positions; shape (..., 3).

        Returns
        -------
        Tensor, shape (...,)
        """

    @abstractmethod
    def log_velocity_density(self, x: Tensor, v: Tensor) -> Tensor:
        """Ln p(v|x), whose integral over velocities is one; -inf where there are no tracers.

        Parameters
        ----------
        x, v
            Positions and velocities; shape (..., 3).

        Returns
        -------
        Tensor, shape (...,)
        """

    @abstractmethod
    def draw_positions(self, n: int, rng: np.random.Generator, r_max: float) -> Floats:
        """Draw from n(x) within a distance of the origin; shape (n, 3)."""

    @abstractmethod
    def draw_velocities(self, position: Floats, rng: np.random.Generator) -> Floats:
        """Draw from p(v|x) at given places (N, 3), which may follow any density; shape (N, 3)."""

    def potential(self, x: Tensor) -> Tensor:
        """Potential at points (..., 3); shape (...,)."""
        return self.field.potential(self._from_centre(x))

    def acceleration(self, x: Tensor) -> Tensor:
        """Minus the gradient of the potential at points (..., 3); same shape."""
        return -gradient(self.potential, x)

    def mass_density(self, x: Tensor) -> Tensor:
        """Density of the matter that makes the potential, Laplacian / 4 pi; shape (...,)."""
        return self.field.mass_density(self._from_centre(x))

    def density(self, x: Tensor) -> Tensor:
        """Number density of the tracers at points (..., 3); shape (...,)."""
        return torch.exp(self.log_density(x))

    def log_phase_density(self, x: Tensor, v: Tensor) -> Tensor:
        """Ln f(x, v) at points (..., 3); shape (...,)."""
        return self.log_density(x) + self.log_velocity_density(x, v)

    def sample(
        self, n: int, rng: np.random.Generator, r_max: float = np.inf
    ) -> tuple[Floats, Floats]:
        """Draw tracers within a distance of the origin.

        Parameters
        ----------
        n
            How many.
        rng
            Source of randomness.
        r_max
            Largest distance from the origin of coordinates.

        Returns
        -------
        x, v
            Positions and velocities; float64, shape (n, 3).

        Raises
        ------
        ConfigError
            If ``n`` is negative or ``r_max`` is not positive.
        """
        require(n >= 0, "n", n, "zero or a positive number of tracers")
        require(r_max > 0, "r_max", r_max, "a positive number")
        position = self.draw_positions(n, rng, r_max)
        return position, self.draw_velocities(position, rng)

    def _from_centre(self, x: Tensor) -> Tensor:
        return x if self.frame is None else self.frame.from_centre(x)
