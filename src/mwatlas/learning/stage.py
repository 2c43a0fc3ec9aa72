"""Training of Keras networks that predict a density, one stage at a time."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# oneDNN orders sums by what the processor offers, gains nothing on networks this small, and
# writes a warning to every log.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# The user's shell may ask Keras for another backend; these networks use TensorFlow's functions.
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mwatlas.learning.loop import Arrays

Singles = NDArray[np.float32]


def make_reproducible() -> None:
    """Run every operation in one thread and in a fixed order: same input, same bytes."""
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()


class DensityNetwork(Protocol):
    """A network that predicts a mixture of normals, in standardised units.

    ``stages`` are the names of the stages of its training, in order.
    """

    stages: tuple[str, ...]

    def variables(self, stage: str) -> list[Any]:
        """What learns in a stage."""
        ...

    def loss(self, stage: str, inputs: Any, target: Any, weight: Any) -> Any:
        """Loss of a stage: inputs (N, C), target and weight (N, 1)."""
        ...

    def density(self, inputs: Any) -> tuple[Any, Any, Any]:
        """Weights, means and sigmas of the components; shape (N, K) each."""
        ...

    def get_weights(self) -> Arrays:
        """All weights."""
        ...

    def set_weights(self, weights: Arrays) -> None:
        """Restore :meth:`get_weights`."""
        ...


class Stage:
    """One stage of training for :func:`mwatlas.learning.loop.train_stages`.

    Parameters
    ----------
    network
        The network.
    name
        Which of its stages.
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
        network: DensityNetwork,
        name: str,
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
        self._variables = network.variables(name)
        self._optimizer = keras.optimizers.Adam()
        self._optimizer.build(self._variables)

        def loss(x: Any, v: Any, w: Any) -> Any:
            return network.loss(name, x, v, w)

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
        """All weights of the network."""
        return self._network.get_weights()

    def set_weights(self, weights: Arrays) -> None:
        """Restore :meth:`get_weights`."""
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
