"""Velocity fields in TensorFlow that act one after the other, and ln p along their paths.

Kalda & Green (2025); Grathwohl et al. 2019 (ICLR): dz/dt = u_k(t, z) from t = 0 to 1 in each field
k, and ln p changes by -div u dt. Gradients are by the adjoint method of TensorFlow Probability.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any

from mwatlas.learning.stage import make_reproducible

# TensorFlow Probability asks TensorFlow for Keras 2.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

# isort: split
# After the settings of TensorFlow that importing the lines above makes.
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from mwatlas.errors import TrainingError
from mwatlas.flows.ffjord_settings import AdaptiveSolver, ChainSettings
from mwatlas.learning.loop import Arrays
from mwatlas.random import block_generator

Directions = Sequence[Any] | None


class Chain:
    """Fields u_1 ... u_K of tanh networks with inputs (t, z, given), in standard units.

    The original's base distribution has the mean and deviation of the data; so have standard
    normal deviates in standard units.

    Parameters
    ----------
    dimension, given_dimension
        Columns of z and of the condition.
    settings
        Number and shape of the networks.
    solver
        Tolerances and precision.
    weights
        From :func:`start_weights` or :meth:`get_arrays`.
    """

    def __init__(
        self,
        dimension: int,
        given_dimension: int,
        settings: ChainSettings,
        solver: AdaptiveSolver,
        weights: Arrays,
    ) -> None:
        make_reproducible()
        self.dimension, self.given_dimension = dimension, given_dimension
        self.settings, self.solver = settings, solver
        self.dtype = tf.as_dtype(solver.precision)
        self.variables = [tf.Variable(tf.cast(array, self.dtype)) for array in weights]
        self._solve = tfp.math.ode.DormandPrince(
            rtol=solver.relative, atol=solver.absolute, max_num_steps=solver.most_steps
        ).solve

    def to_normal(
        self,
        z: Any,
        given: Any,
        directions: Directions = None,
        penalties: tuple[float, float] = (0.0, 0.0),
    ) -> tuple[Any, Any, Any, Any]:
        """Follow data back to deviates.

        Parameters
        ----------
        z, given
            Data (N, D) and conditions (N, C) in standard units.
        directions
            For each field a direction (N, D) along which to estimate the divergence
            (Hutchinson 1989); None for the exact one.
        penalties
            Factors of |u|^2 and of the squared norm of its derivatives by z.

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
            end, took = self._integrate(self._backward(along, penalties), field, z, given)
            z, spread = end[:, : self.dimension], spread + end[:, self.dimension]
            penalty, evaluations = penalty + end[:, self.dimension + 1], evaluations + took
        return z, spread, penalty, evaluations

    def from_normal(self, z: Any, given: Any) -> Any:
        """Data (N, D) of deviates (N, D)."""

        def rates(t: Any, state: Any, given: Any, weights: list[Any]) -> Any:
            return self._network(weights, t, state, given, None)[0]

        for field in range(self.settings.fields):
            z, _ = self._integrate(rates, field, z, given, columns=0)
        return z

    def log_density(self, z: Any, given: Any) -> Any:
        """Ln p of data in standard units, with the exact divergence; shape (N,)."""
        z0, spread, _, _ = self.to_normal(z, given)
        return log_normal(z0) - spread

    def score(self, z: Any, given: Any) -> tuple[Any, Any]:
        """Derivatives of ln p by z (N, D) and by the condition (N, C)."""
        with tf.GradientTape() as tape:
            tape.watch((z, given))
            total = tf.reduce_sum(self.log_density(z, given))
        return tape.gradient(total, (z, given), unconnected_gradients="zero")

    def get_arrays(self) -> Arrays:
        """All weights."""
        return [variable.numpy() for variable in self.variables]

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
        self, rates: Callable[..., Any], field: int, z: Any, given: Any, columns: int = 2
    ) -> tuple[Any, Any]:
        """State (N, D + columns) at the end, and evaluations of the rates."""
        state = tf.concat([z, tf.zeros([tf.shape(z)[0], columns], self.dtype)], axis=1)
        each = len(self.variables) // self.settings.fields
        weights = [tf.identity(v) for v in self.variables[field * each : (field + 1) * each]]
        # Derivatives are by constants, which have an order; variables would be found in the order
        # of their addresses, and errors of the solver summed in it. As a function the rates are
        # compiled once, not for each stage and again for gradients.
        constants = {"given": given, "weights": weights}
        result = self._solve(tf.function(rates), 0.0, state, [1.0], constants=constants)
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


def start_weights(
    dimension: int, given_dimension: int, settings: ChainSettings, seed: int
) -> Arrays:
    """Matrices and biases of all networks before training, float32.

    Normal deviates cut at two deviations, of variance one over the number of inputs; biases are
    zero. That is what the original's networks start from.
    """
    hidden = [settings.width] * settings.depth
    sizes = [1 + dimension + given_dimension, *hidden, dimension]
    weights: list[NDArray[np.generic]] = []
    for field in range(settings.fields):
        rng = block_generator(seed, "flows/ffjord/start", field)
        for inputs, outputs in itertools.pairwise(sizes):
            share = rng.uniform(ndtr(-2.0), ndtr(2.0), (inputs, outputs))
            weights += [
                (ndtri(share) / np.sqrt(inputs)).astype(np.float32),
                np.zeros(outputs, dtype=np.float32),
            ]
    return weights


def stuck(error: Exception, item: str) -> TrainingError:
    """What to say of an integration that was given up."""
    return TrainingError(
        "a flow cannot be integrated",
        item=item,
        found=str(error).splitlines()[0][:200],
        expected="a path from the data to the normal distribution in most_steps steps",
        remedy="lower learning_rate or raise the penalties; look for samples far outside the "
        "training data",
    )
