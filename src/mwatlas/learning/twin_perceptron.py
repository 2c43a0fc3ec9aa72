"""Twin perceptrons in Keras: one predicts a velocity, the other its uncertainty.

Architecture of Dropulic et al. (2021), section 2: the twins see the same inputs, and differ
only in the activation of their output.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

from mwatlas.learning.stage import DensityNetwork

# isort: split
# After the settings of TensorFlow that importing the line above makes.
import keras
import numpy as np
import tensorflow as tf

from mwatlas.config.predictor import Network
from mwatlas.errors import TrainingError
from mwatlas.learning.loop import Arrays
from mwatlas.learning.losses import gaussian_nll

log = logging.getLogger("mwatlas")

# Added to |sigma|, in standardised units, so that it is never zero (D21).
SIGMA_OFFSET = 1e-6


class TwinPerceptron(DensityNetwork):
    """The two networks, in standardised units.

    Parameters
    ----------
    inputs
        Number of inputs.
    settings
        Layers, units, activation of the uncertainty, seed.
    stages
        Which twin learns in each stage. ``mean``: the velocity with sigma = 1; ``sigma``: the
        uncertainty with the velocity fixed; ``both``: both.
    """

    def __init__(self, inputs: int, settings: Network, stages: Sequence[str]) -> None:
        self.stages = tuple(stages)
        self.sigma_floor = 0.0
        self.velocity = _perceptron(inputs, settings, "velocity", None, None)
        self.uncertainty = _perceptron(
            inputs, settings, "uncertainty", settings.sigma_activation, settings.sigma_initial
        )

    def variables(self, stage: str) -> list[Any]:
        """What learns in a stage."""
        return [
            *(self.velocity.trainable_variables if stage != "sigma" else []),
            *(self.uncertainty.trainable_variables if stage != "mean" else []),
        ]

    def loss(self, stage: str, inputs: Any, target: Any, weight: Any) -> Any:
        """Negative log-likelihood, with sigma = 1 while the velocity learns alone."""
        sigma = tf.ones_like(target) if stage == "mean" else self.sigma(inputs)
        return gaussian_nll(target, self.velocity(inputs), sigma, weight)

    def sigma(self, inputs: Any) -> Any:
        """Uncertainty, positive; shape (N, 1)."""
        return keras.ops.absolute(self.uncertainty(inputs)) + SIGMA_OFFSET

    def density(self, inputs: Any) -> tuple[Any, Any, Any]:
        """One component: weight one, the velocity, and the uncertainty above its floor."""
        mean = self.velocity(inputs)
        return (
            keras.ops.ones_like(mean),
            mean,
            keras.ops.maximum(self.sigma(inputs), self.sigma_floor),
        )

    def set_floor(self, inputs: Any, quantile: float, largest_dead_fraction: float) -> None:
        """Let no prediction be more certain than a quantile of those for the given stars.

        A network has no grounds to be more certain of a new star than it was of any star it was
        validated on; without a floor one unlucky star with sigma near zero ruins every mean.

        Parameters
        ----------
        inputs
            Standardised inputs of the validation stars; shape (N, C).
        quantile
            Which quantile of their uncertainties; 0 is the smallest.
        largest_dead_fraction
            Share of them that may have sigma = 0.

        Raises
        ------
        TrainingError
            If units of the uncertainty are dead.
        """
        sigma = np.asarray(self.sigma(inputs))[:, 0]
        dead = sigma <= 2 * SIGMA_OFFSET
        fraction = float(dead.mean())
        log.info("share of validation stars with sigma = 0: %.2g", fraction)
        if fraction > largest_dead_fraction or dead.all():
            raise TrainingError(
                "units of the uncertainty network are dead: it returns sigma = 0 and has no "
                "gradient",
                item="network.sigma_activation",
                found=f"sigma = 0 for {fraction:.3%} of the validation stars",
                expected=f"at most {largest_dead_fraction:.3%}",
                remedy="set line_of_sight.network.sigma_activation to softplus, or "
                "network.sigma_initial to 1, which starts every star in the living range",
            )
        self.sigma_floor = float(np.quantile(sigma[~dead], quantile))

    def get_weights(self) -> Arrays:
        """Weights of both."""
        return [*self.velocity.get_weights(), *self.uncertainty.get_weights()]

    def set_weights(self, weights: Arrays) -> None:
        """Restore the weights of both."""
        split = len(self.velocity.get_weights())
        self.velocity.set_weights(weights[:split])
        self.uncertainty.set_weights(weights[split:])


def _perceptron(
    inputs: int, settings: Network, name: str, activation: str | None, start: float | None
) -> keras.Model:
    """Hidden layers and one output; ``start`` is what it returns before training."""
    entry = keras.Input((inputs,))
    hidden = entry
    for layer in range(settings.hidden_layers):
        # Keras draws the same numbers from one seed for equal shapes, so layers get their own.
        weights = keras.initializers.GlorotUniform(seed=settings.seed + layer)
        hidden = keras.layers.Dense(
            settings.units, settings.activation, kernel_initializer=weights
        )(hidden)
    if start is None:
        weights = keras.initializers.GlorotUniform(seed=settings.seed + settings.hidden_layers)
        bias = 0.0
    else:
        weights = keras.initializers.Zeros()
        bias = math.log(math.expm1(start)) if activation == "softplus" else start
    out = keras.layers.Dense(
        1,
        activation,
        kernel_initializer=weights,
        bias_initializer=keras.initializers.Constant(bias),
    )(hidden)
    return keras.Model(entry, out, name=name)
