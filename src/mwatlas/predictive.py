"""Predictive densities of velocities: one mixture of normal distributions for each star.

A single normal distribution is the mixture with one component, so all code that uses a
prediction sees one kind of density. Plain arrays; importing this loads no network library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from mwatlas.random import keyed_normal, keyed_uniform
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

MIXTURE_COLUMNS = ("mixture_weights", "mixture_means", "mixture_sigmas")
"""Columns of a predictions table that hold a density of more than one component."""

CENTRAL = {68: (float(ndtr(-1)), float(ndtr(1))), 95: (float(ndtr(-2)), float(ndtr(2)))}
"""Levels between which central intervals lie: those of one and two sigma of a normal."""

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)
# Newton's method gains digits fast; halving the bracket alone needs as many steps as a double
# has bits.
_MOST_STEPS = 64
# Steps end when they move a quantile by less than this share of the bracket it started in.
_STEP_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Predictive:
    """Mixtures of K normal distributions for N stars.

    Parameters
    ----------
    weights, means, sigmas
        Shape (N, K); weights sum to one in each row, means and sigmas are in km/s.
    """

    weights: Floats
    means: Floats
    sigmas: Floats

    def __len__(self) -> int:
        return len(self.weights)

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Predictive:
        """Densities of some of the stars."""
        return Predictive(self.weights[rows], self.means[rows], self.sigmas[rows])

    def mean(self) -> Floats:
        """Mean of each density in km/s; shape (N,)."""
        return (self.weights * self.means).sum(axis=1)

    def std(self) -> Floats:
        """Standard deviation of each density in km/s; shape (N,)."""
        between = self.means - self.mean()[:, None]
        return np.sqrt((self.weights * (self.sigmas**2 + between**2)).sum(axis=1))

    def log_prob(self, velocity_kms: ArrayLike) -> Floats:
        """Logarithm of the density at one velocity of each star.

        Parameters
        ----------
        velocity_kms
            Shape (N,).

        Returns
        -------
        float64, shape (N,)
            In nats, of a density per km/s.
        """
        pull = (np.asarray(velocity_kms, dtype=float)[:, None] - self.means) / self.sigmas
        with np.errstate(divide="ignore"):  # a component of weight zero
            terms = np.log(self.weights) - np.log(self.sigmas) - 0.5 * pull**2 - _HALF_LOG_2PI
        highest = terms.max(axis=1)
        return highest + np.log(np.exp(terms - highest[:, None]).sum(axis=1))

    def cdf(self, velocity_kms: ArrayLike) -> Floats:
        """Probability that the velocity is lower.

        Parameters
        ----------
        velocity_kms
            Shape (N,) or (N, D).

        Returns
        -------
        float64, the shape of ``velocity_kms``
        """
        velocity = np.asarray(velocity_kms, dtype=float)
        return self._sum(ndtr, velocity) if velocity.ndim > 1 else self.cdf(velocity[:, None])[:, 0]

    def quantile(self, levels: ArrayLike) -> Floats:
        """Velocities below which given probabilities lie.

        Newton's method inside a bracket, with a halving wherever it would leave it. The bracket
        are the lowest and the highest quantile of the components.

        Parameters
        ----------
        levels
            Probabilities between 0 and 1, exclusive; shape (Q,).

        Returns
        -------
        float64, shape (N, Q)
            In km/s; not falling with the level.
        """
        level = np.atleast_1d(np.asarray(levels, dtype=float))
        if not ((level > 0) & (level < 1)).all():
            raise ValueError(f"levels must lie between 0 and 1: {level}")
        order = np.argsort(level, kind="stable")
        level = level[order]
        pull = ndtri(level)
        low = np.full((len(self), level.size), np.inf)
        high = -low
        for mean, sigma in zip(self.means.T, self.sigmas.T, strict=True):
            of_component = mean[:, None] + sigma[:, None] * pull
            low, high = np.minimum(low, of_component), np.maximum(high, of_component)
        smallest_step = _STEP_TOLERANCE * (high - low)
        value = 0.5 * (low + high)
        for _ in range(_MOST_STEPS):
            excess = self._sum(ndtr, value) - level
            low, high = np.where(excess < 0, value, low), np.where(excess > 0, value, high)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                newton = value - excess / self._density(value)
            inside = (newton >= low) & (newton <= high)
            after = np.where(inside, newton, 0.5 * (low + high))
            step, value = np.abs(after - value), after
            if (step <= smallest_step).all():
                break
        out = np.empty_like(value)
        # Rounding could let close levels change places.
        out[:, order] = np.maximum.accumulate(value, axis=1)
        return out

    def draw(self, seed: int, draws: int, source_id: ArrayLike) -> Floats:
        """Random velocities, keyed by star.

        Parameters
        ----------
        seed, draws
            Seed of the run, and number of draws per star.
        source_id
            Shape (N,).

        Returns
        -------
        float64, shape (N, draws)
            In km/s.
        """
        star, number = np.asarray(source_id)[:, None], np.arange(draws)
        noise = keyed_normal(seed, "line_of_sight/draw", star, number)
        if self.weights.shape[1] == 1:
            return self.means + self.sigmas * noise
        uniform = keyed_uniform(seed, "line_of_sight/component", star, number)
        below = np.cumsum(self.weights, axis=1)
        # The last sum may miss one by rounding: whatever lies above all sums is the last's.
        which = (uniform[:, :, None] >= below[:, None, :-1]).sum(axis=2)
        mean, sigma = (np.take_along_axis(x, which, axis=1) for x in (self.means, self.sigmas))
        return mean + sigma * noise

    def widened(self, factor: ArrayLike) -> Predictive:
        """Each density stretched about its mean.

        Parameters
        ----------
        factor
            Shape (N,), or one number.
        """
        by = np.broadcast_to(np.asarray(factor, dtype=float), (len(self),))[:, None]
        mean = self.mean()[:, None]
        return Predictive(self.weights, mean + by * (self.means - mean), by * self.sigmas)

    def _sum(self, function: np.ufunc, velocity: Floats) -> Floats:
        """Weighted sum over components of a function of their pulls; shape (N, D)."""
        total = np.zeros(velocity.shape)
        for weight, mean, sigma in zip(self.weights.T, self.means.T, self.sigmas.T, strict=True):
            total += weight[:, None] * function((velocity - mean[:, None]) / sigma[:, None])
        return total

    def _density(self, velocity: Floats) -> Floats:
        """Density at velocities of shape (N, D), per km/s."""
        total = np.zeros(velocity.shape)
        for weight, mean, sigma in zip(self.weights.T, self.means.T, self.sigmas.T, strict=True):
            pull = (velocity - mean[:, None]) / sigma[:, None]
            total += (weight / sigma)[:, None] * np.exp(-0.5 * pull**2 - _HALF_LOG_2PI)
        return total


def normal(mean_kms: ArrayLike, sigma_kms: ArrayLike) -> Predictive:
    """Normal distributions; both of shape (N,)."""
    mean, sigma = (np.asarray(x, dtype=float)[:, None] for x in (mean_kms, sigma_kms))
    return Predictive(np.ones_like(mean), mean, sigma)


def mixture(weights: ArrayLike, means_kms: ArrayLike, sigmas_kms: ArrayLike) -> Predictive:
    """Mixtures from arrays of any floating type; each of shape (N, K).

    Weights are made to sum to one, which those of single precision do not.
    """
    weight, mean, sigma = (np.asarray(x, dtype=float) for x in (weights, means_kms, sigmas_kms))
    return Predictive(weight / weight.sum(axis=1, keepdims=True), mean, sigma)


def predictive_of(predicted: Columns) -> Predictive:
    """Densities of the stars of a predictions table.

    Parameters
    ----------
    predicted
        Columns of :data:`MIXTURE_COLUMNS`, shape (N, K) each; or ``vlos_pred`` and
        ``sigma_los``, which say it all where the density is a single normal.
    """
    if MIXTURE_COLUMNS[0] in predicted:
        return mixture(*(predicted[name] for name in MIXTURE_COLUMNS))
    return normal(predicted["vlos_pred"], predicted["sigma_los"])


def in_interval(probability: ArrayLike, within: Sequence[float]) -> Floats:
    """One for stars in a central interval, else zero; shape (N,). Its mean is the coverage.

    Parameters
    ----------
    probability
        :meth:`Predictive.cdf` at the true velocities; shape (N,).
    within
        Levels of the interval's ends, for instance one of :data:`CENTRAL`.
    """
    value, (low, high) = np.asarray(probability), within
    return ((value >= low) & (value <= high)).astype(float)
