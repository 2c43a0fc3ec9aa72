"""Levenberg-Marquardt for the Boltzmann equation: exact where gradient descent stays rough.

The residual is linear in the gradients of the fields, and small networks have few enough weights
for the normal equations. Each batch of samples is fitted for some steps, then a fresh one is
taken, so that what is learned holds between the samples. A fit to a small batch can be absurd
between its samples. So a batch is undone if the samples of the next one fit far better to where
it began; the last, which is the largest, is not judged.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mwatlas.errors import TrainingError
from mwatlas.learning.loop import Arrays, Checkpoint
from mwatlas.potential.batch_problem import BatchProblem
from mwatlas.potential.boltzmann_fields import BoltzmannFields
from mwatlas.potential.parameters import require
from mwatlas.potential.residuals import BoltzmannLoss
from mwatlas.progress import Advance
from mwatlas.random import block_generator

log = logging.getLogger("mwatlas")

# A batch is undone if it made the cost so many times larger. By chance, in noise, it becomes a
# little larger in every second batch; of a fit that is absurd it is larger by powers of ten.
_SPOILED = 4.0


@dataclass(frozen=True)
class LeastSquares:
    """How to solve by Levenberg-Marquardt, in double precision.

    The fit is of residuals in units of the local rate (:func:`local_rate`), so that all distances
    count alike. From the loss it takes the weight of negative densities, here the square of the
    density in units of the local rate squared.

    Parameters
    ----------
    batches, steps
        Number of batches, and of steps on each.
    batch_size, last_batch_size
        Rows of the first and of the last batch; sizes between grow by equal factors. Noise in the
        slopes averages out only over the rows of a batch, so let the last ones be large.
    robust
        Minimise the penalty of the loss instead of the square of the residual, by weights
        renewed with each batch. It withstands gross outliers, but where the slopes have ordinary
        noise it weighs down fast stars, which tell the fields apart, and is biased more.
    damping
        Of the first step, in units of the diagonal of the normal matrix.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    batches: int = 10
    steps: int = 10
    batch_size: int = 4096
    last_batch_size: int = 4096
    robust: bool = False
    damping: float = 1e-2

    def __post_init__(self) -> None:
        for item in ("batches", "steps", "batch_size", "last_batch_size", "damping"):
            require(getattr(self, item) > 0, item, getattr(self, item), "a number above zero")

    def rows(self, number: int, available: int) -> int:
        """Rows of a batch, at most those available."""
        share = number / max(self.batches - 1, 1)
        size = self.batch_size * (self.last_batch_size / self.batch_size) ** share
        return min(round(size), available)


def fit_least_squares(
    models: Sequence[BoltzmannFields],
    seeds: Sequence[int],
    samples: Sequence[Tensor],
    rate: Tensor,
    settings: LeastSquares,
    loss: BoltzmannLoss,
    weight_penalty: float,
    advance: Advance,
    checkpoint: Checkpoint | None = None,
) -> list[list[float]]:
    """Fit members one after the other.

    Parameters
    ----------
    models
        One of one member each, in double precision.
    seeds
        Of their batches.
    samples
        Positions, velocities and their slopes; shape (N, 3) each.
    rate
        Typical rate of change at each sample; shape (N,).
    settings, loss
        How, and what of.
    weight_penalty
        Times the mean square of the weights, it is added to the mean square of the residuals.
    advance
        Called with 1 after each batch and a note on the misfit.
    checkpoint
        Where to save, and continue from.

    Returns
    -------
    list of lists
        Root mean square of the scaled residuals of each batch, for each member.

    Raises
    ------
    TrainingError
        If the misfit is not finite.
    """
    history: list[list[float]] = [[] for _ in models]
    damping = settings.damping
    earlier: Arrays | None = None
    resumed = checkpoint.load() if checkpoint is not None else None
    if resumed is not None:
        state, arrays = resumed
        history, damping = state["history"], state["damping"]
        earlier = arrays["earlier"]
        for number, model in enumerate(models):
            model.set_arrays(arrays[f"weights {number}"])
        advance(sum(map(len, history)), "resumed")
    for member, (model, seed) in enumerate(zip(models, seeds, strict=True)):
        if not history[member]:
            damping, earlier = settings.damping, None
        for number in range(len(history[member]), settings.batches):
            generator = block_generator(seed, "potential/batch", number)
            size = settings.rows(number, len(rate))
            chosen = torch.from_numpy(generator.choice(len(rate), size, replace=False))
            rows = [tensor[chosen.to(rate.device)] for tensor in (*samples, rate)]
            if earlier is not None:
                fitted = model.get_arrays()
                model.set_arrays(earlier)
                # Weights of a robust fit are those where the batch began, which can be trusted.
                judge = BatchProblem(model, rows, loss, weight_penalty, settings.robust)
                before = judge.cost()
                model.set_arrays(fitted)
                # Also where the cost is not a number now.
                if not judge.cost() <= _SPOILED * before:
                    log.info("batch %d of member %d was fitted in vain", number - 1, member)
                    model.set_arrays(earlier)
                    damping = settings.damping
            earlier = model.get_arrays()
            problem = BatchProblem(model, rows, loss, weight_penalty, settings.robust)
            damping = problem.descend(settings.steps, damping)
            misfit = problem.misfit()
            if not math.isfinite(misfit):
                raise _diverged(member, number, misfit)
            history[member].append(misfit)
            if checkpoint is not None:
                checkpoint.save(
                    {"history": history, "damping": damping},
                    {f"weights {i}": m.get_arrays() for i, m in enumerate(models)}
                    | {"earlier": earlier},
                    force=number + 1 == settings.batches,
                )
            advance(1, f"member {member}, misfit {misfit:.3g}")
    return history


def _diverged(member: int, batch: int, misfit: float) -> TrainingError:
    return TrainingError(
        "the least squares diverged",
        item=f"batch {batch}, member {member}",
        found=f"misfit {misfit}",
        expected="a finite misfit",
        remedy="look for absurd values among the samples, and raise damping",
    )
