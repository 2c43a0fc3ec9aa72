"""Stars around the Sun that are stationary in the frame of a rotating bar.

Their phase-space density is a function of the Jacobi energy alone, so by Jeans' theorem it does
not change along the axes that rotate with the bar. Velocities are isotropic about the rotation
of the bar.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from mwatlas.config.sky_bar import Bar, JacobiComponent
from mwatlas.dynamics.bar import BarredPotential
from mwatlas.sky.galaxy import SKY_FRAME

Floats = NDArray[np.float64]


class JacobiPopulation:
    """A population inside a sphere around the Sun.

    With E = Phi_eff(x), the form ``exponential`` has density exp(-E / sigma**2) and Maxwellian
    velocities; ``power`` has density (E_0 - E)**(index + 3/2), squares of the speed that are
    2 (E_0 - E) times a Beta(3/2, index + 1) variable, and variance (E_0 - E) / (index + 5/2).

    Parameters
    ----------
    settings
        The population.
    bar
        The bar.
    """

    def __init__(self, settings: JacobiComponent, bar: Bar) -> None:
        self.potential = BarredPotential.of(bar)
        self._radius = settings.radius_kpc
        self._variance = settings.dispersion_kms**2
        self._index = settings.index
        self._sun = SKY_FRAME.affine()[1]
        self._at_sun = self.potential.effective_potential(self._sun[None])[0]

    def _local(self, position: Floats) -> tuple[Floats, Floats]:
        """Ln of the density relative to the Sun's, ignoring the sphere, and the variance."""
        above = self.potential.effective_potential(position) - self._at_sun
        if self._index is None:
            return -above / self._variance, np.full(len(above), self._variance)
        depth = np.maximum(1 - above / ((self._index + 2.5) * self._variance), 0.0)
        with np.errstate(divide="ignore"):
            return (self._index + 1.5) * np.log(depth), self._variance * depth

    def _inside(self, position: Floats) -> NDArray[np.bool_]:
        return ((position - self._sun) ** 2).sum(axis=1) <= self._radius**2

    def density(self, position_kpc: Floats) -> Floats:
        """Number density relative to that at the Sun; zero outside the sphere.

        Parameters
        ----------
        position_kpc
            Galactocentric; shape (N, 3).
        """
        return np.where(self._inside(position_kpc), np.exp(self._local(position_kpc)[0]), 0.0)

    def moments(self, position_kpc: Floats) -> tuple[Floats, Floats, Floats]:
        """Mean velocity and dispersions.

        Returns
        -------
        mean, axes, sigma
            Galactocentric mean velocity in km/s, (N, 3); unit vectors by rows, (N, 3, 3);
            dispersions along them in km/s, (N, 3).
        """
        sigma = np.sqrt(self._local(position_kpc)[1])
        axes = np.broadcast_to(np.eye(3), (len(sigma), 3, 3))
        return self.potential.rotation(position_kpc), axes, np.repeat(sigma[:, None], 3, axis=1)

    def log_phase_density(self, position_kpc: Floats, velocity_kms: Floats) -> Floats:
        """Ln of the phase-space density; -inf where there are no stars.

        Parameters
        ----------
        position_kpc, velocity_kms
            Galactocentric; shape (N, 3).

        Returns
        -------
        float64, shape (N,)
            Relative to the number density at the Sun, per (km/s)**3.
        """
        relative = velocity_kms - self.potential.rotation(position_kpc)
        square = (relative**2).sum(axis=1)
        log_density, variance = self._local(position_kpc)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self._index is None:
                log_f = log_density - 0.5 * square / variance - 1.5 * np.log(2 * np.pi * variance)
            else:
                highest = 2 * (self._index + 2.5) * variance
                # One over the integral of (1 - v**2)**index over the unit sphere.
                log_norm = (
                    gammaln(self._index + 2.5) - gammaln(self._index + 1) - 1.5 * np.log(np.pi)
                )
                share = np.where(square < highest, 1 - square / highest, 0.0)
                log_f = log_density + log_norm - 1.5 * np.log(highest)
                log_f = np.where(share > 0, log_f + self._index * np.log(share), -np.inf)
        return np.where(self._inside(position_kpc), log_f, -np.inf)

    def draw_velocities(self, position_kpc: Floats, rng: np.random.Generator) -> Floats:
        """Draw Galactocentric velocities of stars at given places; shape (N, 3), km/s."""
        _, variance = self._local(position_kpc)
        relative = rng.standard_normal((len(variance), 3)) * np.sqrt(variance)[:, None]
        if self._index is not None:
            highest = 2 * (self._index + 2.5) * variance
            speed = np.sqrt(highest * rng.beta(1.5, self._index + 1, len(variance)))
            length = np.linalg.norm(relative, axis=1)
            relative *= np.divide(speed, length, where=length > 0, out=np.zeros_like(speed))[
                :, None
            ]
        return self.potential.rotation(position_kpc) + relative
