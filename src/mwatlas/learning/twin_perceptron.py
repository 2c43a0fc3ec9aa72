"""Twin perceptrons in Keras: one predicts a velocity, the other its uncertainty.

Architecture of Dropulic et al. (2021), section 2: the twins see the same inputs, and differ
only in the activation of their output.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# oneDNN orders sums by what the processor offers, gains nothing on networks this small, and
# writes a warning to every log.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mwatlas.config.line_of_sight import Network
from mwatlas.errors import InputError
from mwatlas.files import atomic_path
from mwatlas.learning.loop import Arrays
from mwatlas.learning.losses import gaussian_nll
from mwatlas.learning.scaling import Scaling

Singles = NDArray[np.float32]

# Added to |sigma|, in standardised units, so that it is never zero (D21).
SIGMA_OFFSET = 1e-6
_PREDICT_ROWS = 65_536


def make_reproducible() -> None:
    """Run every operation in one thread and in a fixed order: same input, same bytes."""
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()


class TwinPerceptron:
    """The two networks, in standardised units.

    Parameters
    ----------
    inputs
        Number of inputs.
    settings
        Layers, units, activation of the uncertainty, seed.
    """

    def __init__(self, inputs: int, settings: Network) -> None:
        self.velocity = _perceptron(inputs, settings, "velocity", None, None)
        self.uncertainty = _perceptron(
            inputs, settings, "uncertainty", settings.sigma_activation, settings.sigma_initial
        )

    def sigma(self, inputs: Any) -> Any:
        """Uncertainty, positive; shape (N, 1)."""
        return tf.abs(self.uncertainty(inputs)) + SIGMA_OFFSET

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
    """Hidden tanh layers and one output; ``start`` is what it returns before training."""
    entry = keras.Input((inputs,))
    hidden = entry
    for layer in range(settings.hidden_layers):
        # Keras draws the same numbers from one seed for equal shapes, so layers get their own.
        weights = keras.initializers.GlorotUniform(seed=settings.seed + layer)
        hidden = keras.layers.Dense(settings.units, "tanh", kernel_initializer=weights)(hidden)
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


class Stage:
    """One stage of training for :func:`mwatlas.learning.loop.train_stages`.

    Parameters
    ----------
    network
        The twins.
    learns
        ``mean``: the velocity with sigma = 1; ``sigma``: the uncertainty with the velocity
        fixed; ``both``: both.
    inputs, weights
        Standardised inputs (N, C) and sample weights (N,) of the training subset.
    targets
        Function of the epoch that gives the training targets (N,).
    order
        Function of the epoch that gives the order of the training stars (N,).
    validation
        Inputs (M, C), targets (M,) and weights (M,) of the validation subset.
    batch_size
        Stars per step.
    """

    def __init__(
        self,
        network: TwinPerceptron,
        learns: str,
        inputs: Singles,
        weights: Singles,
        targets: Callable[[int], Singles],
        order: Callable[[int], NDArray[np.int64]],
        validation: tuple[Singles, Singles, Singles],
        batch_size: int,
    ) -> None:
        self._network = network
        self._inputs, self._weights = inputs, weights
        self._targets, self._order = targets, order
        self._validation = tuple(tf.constant(v if v.ndim == 2 else v[:, None]) for v in validation)
        self._batch_size = batch_size
        self._variables = [
            *(network.velocity.trainable_variables if learns != "sigma" else []),
            *(network.uncertainty.trainable_variables if learns != "mean" else []),
        ]
        self._optimizer = keras.optimizers.Adam()
        self._optimizer.build(self._variables)

        def loss(x: Any, v: Any, w: Any) -> Any:
            sigma = tf.ones_like(v) if learns == "mean" else network.sigma(x)
            return gaussian_nll(v, network.velocity(x), sigma, w)

        def step(x: Any, v: Any, w: Any) -> Any:
            with tf.GradientTape() as tape:
                value = loss(x, v, w)
            gradients = tape.gradient(value, self._variables)
            self._optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
            return value

        self._loss = tf.function(loss, reduce_retracing=True)
        self._step = tf.function(step, reduce_retracing=True)

    @property
    def learning_rate(self) -> float:
        """Rate of the next epoch."""
        return float(self._optimizer.learning_rate)

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._optimizer.learning_rate = rate

    def train_epoch(self, epoch: int) -> float:
        """One pass over the training stars; returns their mean loss."""
        targets, order = self._targets(epoch)[:, None], self._order(epoch)
        total = 0.0
        for start in range(0, order.size, self._batch_size):
            rows = order[start : start + self._batch_size]
            value = self._step(self._inputs[rows], targets[rows], self._weights[rows, None])
            total += float(value) * rows.size
        return total / order.size

    def validate(self) -> float:
        """Mean loss over the validation stars."""
        return float(self._loss(*self._validation))

    def get_weights(self) -> Arrays:
        """Weights of both twins."""
        return self._network.get_weights()

    def set_weights(self, weights: Arrays) -> None:
        """Restore the weights of both twins."""
        self._network.set_weights(weights)

    def get_optimizer_state(self) -> Arrays:
        """Iterations and moments of Adam; the learning rate is kept by the loop."""
        return [
            variable.numpy()
            for variable in self._optimizer.variables
            if variable is not self._optimizer.learning_rate
        ]

    def set_optimizer_state(self, state: Arrays) -> None:
        """Restore :meth:`get_optimizer_state`."""
        variables = [v for v in self._optimizer.variables if v is not self._optimizer.learning_rate]
        for variable, value in zip(variables, state, strict=True):
            variable.assign(value)


def export(
    network: TwinPerceptron, inputs: Scaling, target: Scaling, sigma_floor: float
) -> keras.Model:
    """A self-contained model: physical inputs in, velocity and uncertainty in km/s out.

    Parameters
    ----------
    network
        The trained twins.
    inputs, target
        Their scalings.
    sigma_floor
        Smallest uncertainty it may return, in standardised units.
    """
    entry = keras.Input((inputs.mean.size,), name="features")
    scaled = keras.layers.Normalization(mean=inputs.mean, variance=inputs.std**2)(entry)
    scale, offset = float(target.std[0]), float(target.mean[0])
    velocity = keras.layers.Rescaling(scale, offset, name="vlos_pred")(network.velocity(scaled))
    sigma = keras.ops.maximum(
        keras.ops.absolute(network.uncertainty(scaled)) + SIGMA_OFFSET, sigma_floor
    )
    sigma = keras.layers.Rescaling(scale, name="sigma_los")(sigma)
    return keras.Model(entry, [velocity, sigma], name="line_of_sight")


def save_model(model: keras.Model, path: Path) -> None:
    """Write a ``.keras`` file whose bytes depend on the model alone.

    Keras puts the date and the memory addresses of shared objects into its files.
    """
    buffer = io.BytesIO()
    with atomic_path(path) as partial:
        model.save(partial)
        with zipfile.ZipFile(partial) as stored, zipfile.ZipFile(buffer, "w") as plain:
            for name in sorted(stored.namelist()):
                content = stored.read(name)
                if name == "metadata.json":
                    kept = {k: v for k, v in json.loads(content).items() if k != "date_saved"}
                    content = json.dumps(kept).encode()
                elif name == "config.json":
                    content = _number_shared_objects(content.decode()).encode()
                plain.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
        partial.write_bytes(buffer.getvalue())


def _number_shared_objects(config: str) -> str:
    """Replace addresses by numbers in the order of their appearance."""
    seen: dict[str, int] = {}
    return re.sub(
        r'("shared_object_id": )(\d+)',
        lambda match: match[1] + str(seen.setdefault(match[2], len(seen))),
        config,
    )


def load_model(path: Path) -> keras.Model:
    """Read a model written by :func:`save_model`.

    Raises
    ------
    InputError
        If the file is absent or broken.
    """
    make_reproducible()
    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            "a trained model cannot be read",
            file=path,
            found=str(error).splitlines()[0],
            expected="a .keras file of this workflow",
            remedy="delete the file and run again to train it anew",
        ) from error


def predict(model: keras.Model, features: NDArray[np.float64]) -> tuple[Singles, Singles]:
    """Velocity and uncertainty in km/s; shape (N,) each.

    Parameters
    ----------
    model
        From :func:`export` or :func:`load_model`.
    features
        Physical inputs; shape (N, C).
    """
    pieces = [
        [np.asarray(out)[:, 0] for out in model(features[i : i + _PREDICT_ROWS].astype(np.float32))]
        for i in range(0, len(features), _PREDICT_ROWS)
    ]
    velocity, sigma = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    return velocity, sigma
