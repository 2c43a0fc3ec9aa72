"""Signs that an FFJORD diverges, looked for while it trains.

Why it does: noise of Hutchinson's divergence, at a rate too high for it, makes the field stiff.
Measured on a Plummer sphere in six dimensions (one field of 3 x 64, 256 rows a step, rate 0.2,
which rectified Adam lets grow from 0.01 at step 10 to 0.05 at step 148, no penalties): a step took
84, 126, 270, 696 evaluations at steps 110, 120, 130, 140 and more than 900 at 148, while the loss
had risen by 0.7 nats and the gradient was 3.7, far from where it is clipped. The same run with
the exact divergence learned on for 310 steps, and one with penalties of 1e-2 for 260. The noise
was 0.7 to 1 times the gradient (256 rows); the solver's error is not the cause: with tolerances of
1e-5 it was 1e-5 to 1e-4 of the gradient and 1e-5 nats in ln p. With 1e-2 the run diverged too, the
loss first (11.5 nats at step 130, after 78 evaluations): such a solver does not see a field
become stiff. A rate of 0.05, 0.015 at the end, showed nothing in 200 steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mwatlas.errors import TrainingError
from mwatlas.flows.ffjord_chain import Chain, log_normal
from mwatlas.flows.ffjord_settings import Limits
from mwatlas.learning.loop import Arrays

Singles = NDArray[np.float32]

# Of the solver that judges another.
_FINER = 0.01


@dataclass(frozen=True)
class Health:
    """How well a chain is integrated.

    Parameters
    ----------
    gap_nats, gap_rms_nats
        Mean and root mean square over rows of ln p by the tolerances of the training minus ln p
        by finer ones in double precision.
    round_trip
        Root mean square distance of data and what becomes of them on the way to normal deviates
        and back, in standard units.
    """

    gap_nats: float
    gap_rms_nats: float
    round_trip: float


def examine(chain: Chain, weights: Arrays, z: Singles, given: Singles) -> Health:
    """Compare a chain with itself at finer tolerances.

    Parameters
    ----------
    chain
        As it trains.
    weights
        Of its networks.
    z, given
        Data (N, D) and conditions (N, C) in standard units.

    Raises
    ------
    tensorflow.errors.InvalidArgumentError
        If an integration takes too many steps.
    """
    gap, missed = _compiled(chain)(weights, z, given)
    return Health(float(np.mean(gap)), _rms(gap), _rms(missed))


@lru_cache(maxsize=8)
def _compiled(chain: Chain) -> Callable[..., Any]:
    """Differences of ln p, and distances of a round trip, both (N,)."""
    finer = replace(
        chain.solver,
        relative=_FINER * chain.solver.relative,
        absolute=_FINER * chain.solver.absolute,
        precision="float64",
    )
    exact = replace(chain, solver=finer)

    def differences(weights: Any, z: Any, given: Any) -> tuple[Any, Any]:
        z0, spread, _, _ = chain.to_normal(weights, z, given)
        coarse = tf.cast(log_normal(z0) - spread, exact.dtype)
        wide = tf.nest.map_structure(lambda v: tf.cast(v, exact.dtype), (weights, z, given))
        missed = tf.norm(chain.from_normal(weights, z0, given) - z, axis=1)
        return coarse - exact.log_density(*wide), missed

    return tf.function(differences, input_signature=chain.specs())


def check_health(health: Health, limits: Limits, item: str) -> None:
    """Raise if a chain is not what its integration says it is.

    Raises
    ------
    TrainingError
        If a limit is passed, or a number is not finite.
    """
    found = {
        "mean error of ln p, nats": (abs(health.gap_nats), limits.gap_nats),
        "error of ln p, root mean square, nats": (health.gap_rms_nats, 10 * limits.gap_nats),
        "miss of a round trip, standard units": (health.round_trip, limits.round_trip),
    }
    for name, (value, limit) in found.items():
        if not value <= limit:
            raise diverged(item, f"{name}: {value:.3g}", f"at most {limit:g}")


class Losses:
    """Smoothed validation loss, and what follows from it.

    Parameters
    ----------
    window
        Number of steps to average over.
    recent
        The last losses, of an earlier run.
    best
        The least smoothed loss of an earlier run.
    """

    def __init__(
        self, window: int, recent: list[float] | None = None, best: float = math.inf
    ) -> None:
        self.window, self.best = max(window, 1), best
        self.recent = list(recent or [])

    def add(self, loss: float) -> float:
        """Take a loss; return the smoothed one, infinite before there are enough."""
        self.recent = [*self.recent, loss][-self.window :]
        if len(self.recent) < self.window:
            return math.inf
        smooth = sum(self.recent) / self.window
        self.best = min(self.best, smooth)
        return smooth


def check_finite(values: dict[str, float], item: str) -> None:
    """Raise if a loss or a gradient is not finite.

    Raises
    ------
    TrainingError
        If so.
    """
    for name, value in values.items():
        if not math.isfinite(value):
            raise diverged(item, f"{name} {value}", "a finite number")


def check_growth(evaluations: int, first: int, limits: Limits, item: str) -> None:
    """Raise if the solver needs far more steps than at first: the fields have become stiff.

    Raises
    ------
    TrainingError
        If evaluations have grown by more than the limit.
    """
    if evaluations > limits.growth * first:
        raise diverged(
            item,
            f"{evaluations} evaluations of the networks after {first} in the first step",
            f"at most {limits.growth:g} times as many",
        )


def check_rise(smooth: float, best: float, limits: Limits, item: str) -> None:
    """Raise if the smoothed validation loss rises.

    Raises
    ------
    TrainingError
        If it is above its best by more than the limit.
    """
    if math.isfinite(smooth) and smooth > best + limits.rise_nats:
        raise diverged(
            item,
            f"a smoothed validation loss of {smooth:.3f} nats after {best:.3f}",
            f"a rise of at most {limits.rise_nats:g} nats",
        )


def diverged(item: str, found: str, expected: str) -> TrainingError:
    """What to say of a training that diverged."""
    return TrainingError(
        "training diverged",
        item=item,
        found=found,
        expected=expected,
        remedy="lower learning_rate, raise the penalties or the number of warm_up_steps; the "
        "checkpoint before is kept, and a flow may be continued from it at a lower rate",
    )


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
