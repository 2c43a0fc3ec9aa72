"""Mixture-density network in Keras: a full density of the velocity for each star.

One perceptron gives the weights, means and sigmas of a mixture of normal distributions
(Bishop 1994, Aston University NCRG/94/004). Several of them, trained one after the other from
different random weights, are averaged as densities: the result is a mixture again.
"""

from __future__ import annotations

import math
from typing import Any

from mwatlas.learning.stage import DensityNetwork

# isort: split
# After the settings of TensorFlow that importing the line above makes.
import keras
import numpy as np

from mwatlas.config.predictor import Network
from mwatlas.learning.loop import Arrays
from mwatlas.learning.losses import mixture_nll

# Before training, components stand at even steps between these, in standardised units: apart,
# or they would all learn the same.
_FIRST_MEANS = (-1.0, 1.0)
# What random weights of the last layer add to that at the start: little.
_FIRST_SCATTER = 0.01


class MixtureDensity(DensityNetwork):
    """Members of a mixture-density ensemble, in standardised units.

    Parameters
    ----------
    inputs
        Number of inputs.
    settings
        Members, components, layers, units, activation, smallest sigma, seed.
    """

    def __init__(self, inputs: int, settings: Network) -> None:
        self._components = settings.components
        self._smallest = settings.smallest_sigma
        self._members = {
            f"member {number + 1}": _perceptron(inputs, settings, number)
            for number in range(settings.members)
        }
        self.stages = tuple(self._members)

    def variables(self, stage: str) -> list[Any]:
        """Weights of the member that learns in this stage."""
        return self._members[stage].trainable_variables

    def loss(self, stage: str, inputs: Any, target: Any, weight: Any) -> Any:
        """Negative log-likelihood of the member that learns in this stage."""
        return mixture_nll(target, *self._mixture(self._members[stage](inputs)), weight)

    def density(self, inputs: Any) -> tuple[Any, Any, Any]:
        """Weights, means and sigmas of the components of all members."""
        parts = [self._mixture(member(inputs)) for member in self._members.values()]
        logits, means, sigmas = zip(*parts, strict=True)
        weights = [keras.ops.softmax(x) / len(parts) for x in logits]
        return tuple(keras.ops.concatenate(list(x), axis=1) for x in (weights, means, sigmas))

    def _mixture(self, output: Any) -> tuple[Any, Any, Any]:
        """Logits of the weights, means, sigmas from the last layer; shape (N, K) each.

        Softplus keeps sigmas positive and grows no faster than its argument, so one bad step
        does not throw them off; the smallest sigma bounds the density at a star that a
        component would otherwise close in on.
        """
        count = self._components
        raw = output[:, 2 * count :]
        return (
            output[:, :count],
            output[:, count : 2 * count],
            keras.ops.softplus(raw) + self._smallest,
        )

    def get_weights(self) -> Arrays:
        """Weights of all members."""
        return [array for member in self._members.values() for array in member.get_weights()]

    def set_weights(self, weights: Arrays) -> None:
        """Restore the weights of all members."""
        each = len(weights) // len(self._members)
        for number, member in enumerate(self._members.values()):
            member.set_weights(weights[number * each : (number + 1) * each])


def _perceptron(inputs: int, settings: Network, member: int) -> keras.Model:
    """Hidden layers, and three outputs for each component."""
    entry = keras.Input((inputs,))
    hidden = entry
    # Keras draws the same numbers from one seed for equal shapes, so layers get their own.
    seed = settings.seed + member * (settings.hidden_layers + 1)
    for layer in range(settings.hidden_layers):
        hidden = keras.layers.Dense(
            settings.units,
            settings.activation,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed + layer),
        )(hidden)
    count = settings.components
    means = np.linspace(*_FIRST_MEANS, count) if count > 1 else np.zeros(1)
    unit_sigma = math.log(math.expm1(1.0))
    bias = np.concatenate([np.zeros(count), means, np.full(count, unit_sigma)])
    out = keras.layers.Dense(
        3 * count,
        kernel_initializer=keras.initializers.RandomNormal(
            stddev=_FIRST_SCATTER, seed=seed + settings.hidden_layers
        ),
    )
    model = keras.Model(entry, out(hidden), name=f"member_{member + 1}")
    out.bias.assign(bias)
    return model
