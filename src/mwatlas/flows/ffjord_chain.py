"""Velocity fields in TensorFlow that act one after the other, and ln p along their paths.

Kalda & Green (2025); Grathwohl et al. 2019 (ICLR): dz/dt = u_k(t, z) from t = 0 to 1 in each field
k, and ln p changes by -div u dt. Gradients are by the adjoint method of TensorFlow Probability.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from mwatlas.learning.stage import make_reproducible

# TensorFlow Probability asks TensorFlow for Keras 2.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

# isort: split
# After the settings of TensorFlow that importing the lines above makes.
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.special import ndtr, ndtri

from mwatlas.errors import TrainingError
from mwatlas.flows.ffjord_settings import AdaptiveSolver, ChainSettings
from mwatlas.learning.loop import Arrays
from mwatlas.random import block_generator

Directions = Sequence[Any] | None


@dataclass(frozen=True)
class Chain:
    """Fields u_1 ... u_K of tanh networks with inputs (t, z, given), in standard units.

    The original's base distribution has the mean and deviation of the data; so have standard
    normal deviates in standard units. Weights are passed to each method: a list of matrices and
    biases, from :func:`start_weights` on.

    Parameters
    ----------
    dimension, given_dimension
        Columns of z and of the condition, from 0 on.
    settings
        Number and shape of the networks.
    solver
        Tolerances and precision.
    """

    dimension: int
    given_dimension: int
    settings: ChainSettings
    solver: AdaptiveSolver

    def __post_init__(self) -> None:
        make_reproducible()

    @property
    def dtype(self) -> Any:
        """Type of the numbers."""
        return tf.as_dtype(self.solver.precision)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of all weights."""
        hidden = [self.settings.width] * self.settings.depth
        sizes = [1 + self.dimension + self.given_dimension, *hidden, self.dimension]
        each: list[tuple[int, ...]] = [
            shape for pair in itertools.pairwise(sizes) for shape in (pair, pair[1:])
        ]
        return each * self.settings.fields

    def specs(self) -> tuple[Any, Any, Any]:
        """What is known of weights, z and given when they are compiled for any number of rows."""
        columns = (self.dimension, self.given_dimension)
        z, given = (tf.TensorSpec([None, n], self.dtype) for n in columns)
        return [tf.TensorSpec(shape, self.dtype) for shape in self.shapes], z, given

    def to_normal(
        self,
        weights: Sequence[Any],
        z: Any,
        given: Any,
        directions: Directions = None,
        penalties: tuple[float, float] = (0.0, 0.0),
        learning: bool = False,
    ) -> tuple[Any, Any, Any, Any]:
        """Follow data back to deviates.

        Parameters
        ----------
        weights
            Of the networks.
        z, given
            Data (N, D) and conditions (N, C) in standard units.
        directions
            For each field a direction (N, D) along which to estimate the divergence
            (Hutchinson 1989); None for the exact one.
        penalties
            Factors of |u|^2 and of the squared norm of its derivatives by z.
        learning
            Whether derivatives by the weights are wanted.

        Returns
        -------
        z0
            Deviates, (N, D).
        spread
            Integral of the divergence, (N,).
        penalty
            Integral of the penalties, (N,).
        evaluations
            Of the networks.
        """
        spread, penalty = tf.zeros_like(z[:, 0]), tf.zeros_like(z[:, 0])
        evaluations = 0
        identity = tf.eye(self.dimension, dtype=self.dtype)[:, None, :]
        for field in reversed(range(self.settings.fields)):
            along = (
                tf.tile(identity, [1, tf.shape(z)[0], 1])
                if directions is None
                else directions[field][None]
            )
            rates = self._backward(along, penalties)
            end, took = self._integrate(rates, self._of(weights, field), z, given, learning)
            z, spread = end[:, : self.dimension], spread + end[:, self.dimension]
            penalty, evaluations = penalty + end[:, self.dimension + 1], evaluations + took
        return z, spread, penalty, evaluations

    def deviates(self, weights: Sequence[Any], z: Any, given: Any) -> Any:
        """Deviates (N, D) of data (N, D), alone."""
        return self.to_normal(weights, z, given)[0]

    def from_normal(self, weights: Sequence[Any], z: Any, given: Any) -> Any:
        """Data (N, D) of deviates (N, D)."""

        def rates(t: Any, state: Any, given: Any, weights: list[Any]) -> Any:
            velocity = self._network(weights, t, state[:, : self.dimension], given, None)[0]
            return tf.pad(velocity, [[0, 0], [0, 2]])

        for field in range(self.settings.fields):
            end, _ = self._integrate(rates, self._of(weights, field), z, given)
            z = end[:, : self.dimension]
        return z

    def log_density(self, weights: Sequence[Any], z: Any, given: Any) -> Any:
        """Ln p of data in standard units, with the exact divergence; shape (N,)."""
        z0, spread, _, _ = self.to_normal(weights, z, given)
        return log_normal(z0) - spread

    def score(self, weights: Sequence[Any], z: Any, given: Any) -> tuple[Any, Any]:
        """Derivatives of ln p by z (N, D) and by the condition (N, C)."""
        with tf.GradientTape() as tape:
            tape.watch((z, given))
            total = tf.reduce_sum(self.log_density(weights, z, given))
        return tape.gradient(total, (z, given), unconnected_gradients="zero")

    def _of(self, weights: Sequence[Any], field: int) -> list[Any]:
        """Weights of one field."""
        each = len(weights) // self.settings.fields
        return list(weights[field * each : (field + 1) * each])

    def _backward(self, along: Any, penalties: tuple[float, float]) -> Callable[..., Any]:
        """Rates of (z, spread, penalty) in s = 1 - t."""
        kinetic, jacobian = penalties

        def rates(s: Any, state: Any, given: Any, weights: list[Any]) -> Any:
            z = state[:, : self.dimension]
            velocity, change = self._network(weights, 1.0 - s, z, given, along)
            spread = tf.reduce_sum(change * along, axis=(0, 2))
            # The mean of |J e|^2 over directions e is the squared norm of J.
            penalty = kinetic * tf.reduce_sum(velocity**2, axis=1)
            penalty += jacobian * tf.reduce_sum(change**2, axis=(0, 2))
            return tf.concat([-velocity, spread[:, None], penalty[:, None]], axis=1)

        return rates

    def _integrate(
        self,
        rates: Callable[..., Any],
        weights: list[Any],
        z: Any,
        given: Any,
        learning: bool = False,
    ) -> tuple[Any, Any]:
        """State (N, D + 2) at the end, and evaluations of the rates."""
        # As a function the rates are compiled once, not for each stage and again for gradients.
        # Derivatives are by constants, which have an order; variables would be found in the order
        # of their addresses, and errors of the solver summed in it.
        function, constants = tf.function(rates), {"given": given}
        if learning:
            constants["weights"] = weights
        else:
            function = partial(function, weights=weights)
        solver = tfp.math.ode.DormandPrince(
            rtol=self.solver.relative,
            atol=self.solver.absolute,
            max_num_steps=self.solver.most_steps,
        )
        result = solver.solve(
            function, 0.0, tf.pad(z, [[0, 0], [0, 2]]), [1.0], constants=constants
        )
        return result.states[0], result.diagnostics.num_ode_fn_evaluations

    def _network(
        self, weights: list[Any], t: Any, z: Any, given: Any, along: Any
    ) -> tuple[Any, Any]:
        """Velocity (N, D), and its changes (K, N, D) along K directions (K, N, D) of z."""
        time = tf.broadcast_to(tf.cast(t, self.dtype), [tf.shape(z)[0], 1])
        h = tf.concat([time, z, given], axis=1) @ weights[0] + weights[1]
        change = None
        if along is not None:
            change = along @ weights[0][1 : 1 + self.dimension]
        for matrix, bias in zip(weights[2::2], weights[3::2], strict=True):
            h = tf.tanh(h)
            if change is not None:
                change = (change * (1 - h**2)) @ matrix
            h = h @ matrix + bias
        return h, change


def log_normal(z: Any) -> Any:
    """Ln of the standard normal distribution at (N, D)."""
    return -0.5 * tf.reduce_sum(z**2 + np.log(2 * np.pi), axis=1)


def start_weights(chain: Chain, seed: int) -> Arrays:
    """Matrices and biases of all networks before training, float32.

    Normal deviates cut at two deviations, of variance one over the number of inputs; biases are
    zero. That is what the original's networks start from.
    """
    weights: Arrays = []
    for number, shape in enumerate(chain.shapes):
        if len(shape) == 1:
            weights.append(np.zeros(shape, dtype=np.float32))
            continue
        rng = block_generator(seed, "flows/ffjord/start", number)
        share = rng.uniform(ndtr(-2.0), ndtr(2.0), shape)
        weights.append((ndtri(share) / np.sqrt(shape[0])).astype(np.float32))
    return weights


@lru_cache(maxsize=32)
def compiled(chain: Chain, method: str) -> Callable[..., Any]:
    """A method of a chain of weights, z and given, compiled once for all flows of its shape."""
    return tf.function(getattr(chain, method), input_signature=chain.specs())


def stuck(solver: AdaptiveSolver, item: str) -> TrainingError:
    """What to say of an integration that was given up."""
    return TrainingError(
        "a flow cannot be integrated",
        item=item,
        found=f"a path longer than {solver.most_steps} steps, or one that is not finite",
        expected="a finite path from the data to the normal distribution",
        remedy="lower learning_rate or raise the penalties; look for samples far outside the "
        "training data",
    )
