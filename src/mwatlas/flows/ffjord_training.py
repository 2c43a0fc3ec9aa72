"""Training of FFJORD: rectified Adam, a rate that falls on the validation loss, checkpoints.

Kalda & Green (2025); the loss is -sum w ln p / batch and the penalties along the path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
import torch
from numpy.typing import NDArray

from mwatlas.flows.annealing import get_moments, set_moments
from mwatlas.flows.ffjord_chain import Chain, log_normal, start_weights, stuck
from mwatlas.flows.ffjord_settings import FfjordSettings
from mwatlas.flows.ffjord_watch import (
    Losses,
    check_finite,
    check_growth,
    check_health,
    check_rise,
    examine,
)
from mwatlas.learning.loop import Arrays, Checkpoint
from mwatlas.progress import Advance
from mwatlas.random import block_generator

Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Rows:
    """Data (N, D), conditions (N, C), C from 0 on, and weights (N,), in standard units."""

    z: Singles
    given: Singles
    weights: Singles

    def __len__(self) -> int:
        return len(self.z)

    def at(self, rows: NDArray[np.int64]) -> Rows:
        """Some of them."""
        return Rows(self.z[rows], self.given[rows], self.weights[rows])


@dataclass
class Rate:
    """The learning rate, and how long the loss has not fallen."""

    value: float
    waited: int = 0
    lowest: float = float("inf")
    finished: bool = False


class Trainer:
    """Trains the weights of a chain, step by step.

    Parameters
    ----------
    chain
        What learns.
    settings
        How.
    seed
        Of the start, and of directions of the divergence.
    """

    def __init__(self, chain: Chain, settings: FfjordSettings, seed: int) -> None:
        self.chain, self.settings, self.seed = chain, settings, seed
        self.losses = Losses(settings.training.patience_steps // 8)
        self.rate = Rate(settings.training.learning_rate)
        self._first_evaluations = 0
        self._weights = [torch.from_numpy(a) for a in start_weights(chain, seed)]
        self._optimizer = torch.optim.RAdam(self._weights, lr=self.rate.value)
        training = settings.training
        self._loss, self._gradients = _compiled(
            chain, (training.kinetic, training.jacobian), training.trace
        )

    def step(self, number: int, batch: Rows, validation: Rows) -> tuple[float, int]:
        """One step; returns the training loss and the evaluations of the networks.

        Raises
        ------
        TrainingError
            If the training diverges.
        """
        training, item = self.settings.training, f"step {number}"
        rng = block_generator(self.seed, "flows/ffjord/directions", number)
        try:
            loss, evaluations, gradients = self._gradients(*self._tensors(batch, rng))
        except tf.errors.InvalidArgumentError as error:
            raise stuck(self.chain.solver, item) from error
        self._first_evaluations = self._first_evaluations or int(evaluations)
        check_growth(int(evaluations), self._first_evaluations, self.settings.limits, item)
        for weight, gradient in zip(self._weights, gradients, strict=True):
            weight.grad = torch.from_numpy(gradient.numpy())
        norm = torch.nn.utils.clip_grad_norm_(self._weights, training.largest_gradient)
        check_finite({"training loss": float(loss), "gradient": float(norm)}, item)
        warm = min(1.0, (number + 1) / max(training.warm_up_steps, 1))
        self._optimizer.param_groups[0]["lr"] = warm * self.rate.value
        self._optimizer.step()
        try:
            held_out = float(self._loss(*self._tensors(validation, rng))[0])
        except tf.errors.InvalidArgumentError as error:
            raise stuck(self.chain.solver, item) from error
        check_finite({"validation loss": held_out}, item)
        smooth = self.losses.add(held_out)
        check_rise(smooth, self.losses.best, self.settings.limits, item)
        self._adjust(smooth)
        return float(loss), int(evaluations)

    @property
    def weights(self) -> Arrays:
        """Of the networks; a copy."""
        return [weight.numpy().copy() for weight in self._weights]

    def get_state(self) -> tuple[dict[str, Any], dict[str, Arrays]]:
        """What a checkpoint keeps."""
        state = {
            "rate": vars(self.rate).copy(),
            "recent": self.losses.recent,
            "best": self.losses.best,
            "first_evaluations": self._first_evaluations,
        }
        arrays = {
            "weights": self.weights,
            "optimizer": get_moments(self._optimizer, self._weights),
        }
        return state, arrays

    def set_state(self, state: dict[str, Any], arrays: dict[str, Arrays]) -> None:
        """Restore :meth:`get_state`."""
        self.rate = Rate(**state["rate"])
        self.losses = Losses(self.losses.window, state["recent"], state["best"])
        for weight, array in zip(self._weights, arrays["weights"], strict=True):
            weight.copy_(torch.as_tensor(array))
        self._first_evaluations = state["first_evaluations"]
        set_moments(self._optimizer, self._weights, arrays["optimizer"])

    def _adjust(self, smooth: float) -> None:
        """Halve the rate where the smoothed validation loss has not fallen for long."""
        training, rate = self.settings.training, self.rate
        if smooth < rate.lowest - training.least_gain:
            rate.lowest, rate.waited = smooth, 0
        elif rate.waited < training.patience_steps:
            rate.waited += 1
        else:
            rate.value, rate.waited = 0.5 * rate.value, 0
            rate.finished = rate.value < training.final_rate

    def _tensors(self, rows: Rows, rng: np.random.Generator) -> tuple[Any, ...]:
        fields = self.settings.chain.fields if self.settings.training.trace == "hutchinson" else 0
        directions = [rng.standard_normal(rows.z.shape).astype(np.float32) for _ in range(fields)]
        return self.weights, rows.z, rows.given, rows.weights, directions


@lru_cache(maxsize=8)
def _compiled(
    chain: Chain, penalties: tuple[float, float], trace: str
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The loss, with evaluations; and with gradients too: compiled once for all flows alike."""
    weights, z, given = chain.specs()
    fields = chain.settings.fields if trace == "hutchinson" else 0
    signature = [weights, z, given, tf.TensorSpec([None], chain.dtype), [z] * fields]

    def loss(
        weights: Any, z: Any, given: Any, row_weights: Any, directions: list[Any]
    ) -> tuple[Any, Any]:
        z0, spread, penalty, evaluations = chain.to_normal(
            weights, z, given, directions or None, penalties, learning=True
        )
        return tf.reduce_mean(row_weights * (spread - log_normal(z0) + penalty)), evaluations

    def gradients(weights: Any, *rows: Any) -> tuple[Any, Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(weights)
            value, evaluations = loss(weights, *rows)
        return value, evaluations, tape.gradient(value, weights)

    return (
        tf.function(loss, input_signature=signature),
        tf.function(gradients, input_signature=signature),
    )


def train_chain(
    chain: Chain,
    rows: Rows,
    settings: FfjordSettings,
    seed: int,
    advance: Advance,
    checkpoint: Checkpoint | None = None,
) -> tuple[Arrays, list[float]]:
    """Train a chain.

    Parameters
    ----------
    chain
        What learns.
    rows
        Data; a share of them is set aside for validation.
    settings
        How.
    seed
        Of the start, the split, batches and directions.
    advance
        Called with 1 after each epoch and a note.
    checkpoint
        Where to save after each epoch that passed all checks, and continue from.

    Returns
    -------
    weights
        Of its networks.
    history
        Mean training loss of each epoch, in nats, with the penalties.

    Raises
    ------
    TrainingError
        If the training diverges; the checkpoint of the epoch before is kept.
    """
    training, limits = settings.training, settings.limits
    order = block_generator(seed, "flows/ffjord/split", 0).permutation(len(rows))
    share = round(training.validation_share * len(rows))
    # Without rows to spare the training rows have to serve.
    held_out, taught = (rows.at(order[:share]), rows.at(order[share:])) if share else (rows, rows)
    size = min(training.batch_size, len(taught))
    steps = len(taught) // size
    checked = held_out.at(np.arange(min(limits.rows, len(held_out))))
    few = max(1, min(len(held_out), round(training.validation_share * size)))
    trainer = Trainer(chain, settings, seed)
    history: list[float] = []
    resumed = checkpoint.load() if checkpoint is not None else None
    if resumed is not None:
        state, arrays = resumed
        history = state.pop("history")
        trainer.set_state(state, arrays)
        advance(len(history), "resumed")
    for epoch in range(len(history), training.epochs):
        if trainer.rate.finished:
            break
        rng = block_generator(seed, "flows/ffjord/epoch", epoch)
        total, most = 0.0, 0
        for number, part in enumerate(
            rng.permutation(len(taught))[: steps * size].reshape(steps, size)
        ):
            some = held_out.at(rng.choice(len(held_out), few, replace=False))
            loss, evaluations = trainer.step(epoch * steps + number, taught.at(part), some)
            total, most = total + loss, max(most, evaluations)
        item = f"epoch {epoch} of {training.epochs}"
        try:
            health = examine(chain, trainer.weights, checked.z, checked.given)
        except tf.errors.InvalidArgumentError as error:
            raise stuck(chain.solver, item) from error
        check_health(health, limits, item)
        history.append(total / steps)
        if checkpoint is not None:
            state, arrays = trainer.get_state()
            last = epoch + 1 == training.epochs or trainer.rate.finished
            checkpoint.save({"history": history, **state}, arrays, force=last)
        advance(
            1,
            f"loss {history[-1]:.4f}, rate {trainer.rate.value:g}, up to {most} evaluations, "
            f"ln p off by {health.gap_rms_nats:.1g} nats",
        )
    return trainer.weights, history
