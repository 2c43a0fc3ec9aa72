"""Normal distributions, their exact flows, and small networks that learn in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mwatlas.flows import ode
from mwatlas.flows.annealing import Annealing
from mwatlas.flows.matching import MatchingSettings
from mwatlas.flows.matching_flow import MatchingFlow
from mwatlas.flows.pairing import OptimalTransport
from mwatlas.flows.vector_field import FieldSettings
from mwatlas.learning.loop import Checkpoint

Floats = NDArray[np.float64]

# Sums keep their order, and tests that run side by side do not wait for each other.

MEAN = np.array([1.0, -2.0, 5.0])
ROOT = np.array([[1.0, 0.0, 0.0], [0.5, 0.8, 0.0], [-0.3, 0.2, 2.0]])

# Steps of Runge-Kutta resolve frequencies below their number.
SMALL = FieldSettings(width=48, depth=2, time_features=8, highest_frequency=4.0)
PRECISE = ode.Solver(steps=12, precision="float64")


class Normal:
    """A normal distribution of ``dimension`` correlated columns."""

    given_dimension = 0

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.mean, root = MEAN[:dimension], ROOT[:dimension, :dimension]
        self.covariance = root @ root.T
        self._root, self._inverse = root, np.linalg.inv(self.covariance)

    def sample(self, n: int, seed: int) -> Floats:
        deviates = np.random.default_rng(seed).normal(size=(n, self.dimension))
        return self.mean + deviates @ self._root.T

    def log_prob(self, x: Floats, given: Floats | None = None) -> Floats:
        assert given is None
        square = np.einsum("ni,ij,nj->n", x - self.mean, self._inverse, x - self.mean)
        return -0.5 * square - 0.5 * np.linalg.slogdet(2 * np.pi * self.covariance)[1]

    def score(self, x: Floats, given: Floats | None = None) -> tuple[Floats, None]:
        assert given is None
        return -(x - self.mean) @ self._inverse, None

    def field(self, t: float, z: torch.Tensor) -> torch.Tensor:
        """The exact velocity of flow matching.

        z1 - z0 and z_t are jointly normal, so the velocity is the linear regression
        m + (t C - (1 - t) I) ((1 - t)^2 I + t^2 C)^-1 (z - t m).
        """
        covariance = torch.as_tensor(self.covariance, dtype=z.dtype)
        mean, one = torch.as_tensor(self.mean, dtype=z.dtype), torch.eye(z.shape[1], dtype=z.dtype)
        slope = t * covariance - (1 - t) * one
        spread = (1 - t) ** 2 * one + t**2 * covariance
        return mean + (z - t * mean) @ torch.linalg.solve(spread, slope)


class Heteroscedastic:
    """p(v | x): two columns v of mean (sin x, x / 2) and deviation exp(0.3 x), alike."""

    dimension, given_dimension = 2, 1

    def sample(self, n: int, seed: int) -> tuple[Floats, Floats]:
        rng = np.random.default_rng(seed)
        x = rng.normal(0, 1, (n, 1))
        mean, deviation = self._moments(x)
        return mean + deviation * rng.normal(size=(n, 2)), x

    def log_prob(self, v: Floats, x: Floats) -> Floats:
        mean, deviation = self._moments(x)
        return (
            -0.5 * ((v - mean) / deviation) ** 2 - np.log(deviation) - 0.5 * np.log(2 * np.pi)
        ).sum(axis=1)

    def score(self, v: Floats, x: Floats) -> tuple[Floats, Floats]:
        mean, deviation = self._moments(x)
        z = (v - mean) / deviation
        by_mean = z / deviation
        slope = np.concatenate([np.cos(x), np.full_like(x, 0.5)], axis=1)
        by_x = (by_mean * slope + 0.3 * (z**2 - 1)).sum(axis=1, keepdims=True)
        return -by_mean, by_x

    @staticmethod
    def _moments(x: Floats) -> tuple[Floats, Floats]:
        return np.concatenate([np.sin(x), 0.5 * x], axis=1), np.exp(0.3 * x)


def small_flow(
    dimension: int,
    given_dimension: int = 0,
    *,
    epochs: int = 2,
    seed: int = 0,
    transport: OptimalTransport | None = None,
    rate: float = 5e-3,
    batch_size: int = 512,
) -> MatchingFlow:
    training = Annealing(epochs=epochs, batch_size=batch_size, learning_rate=rate)
    settings = MatchingSettings(SMALL, training, transport)
    return MatchingFlow(dimension, given_dimension, settings=settings, solver=PRECISE, seed=seed)


class KilledError(Exception):
    """Stands for the end of a process."""


class Killing(Checkpoint):
    """A checkpoint after whose third save the process ends."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "same", 0.0)
        self._saves = 0

    def save(self, *args: object, **kwargs: object) -> None:
        super().save(*args, **kwargs)  # type: ignore[arg-type]
        self._saves += 1
        if self._saves == 3:
            raise KilledError
