"""Training of a scalar network on values, and on slopes where there are any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mwatlas.flows.annealing import Annealing, anneal, epoch_generator, shuffled_parts
from mwatlas.flows.conditional_normal import NormalSettings
from mwatlas.flows.residual import ResidualNetwork
from mwatlas.learning.loop import Checkpoint
from mwatlas.progress import Advance

Batch = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class DistillingSettings:
    """Network and training.

    Parameters
    ----------
    training
        How long and how fast.
    width, depth
        Units of a layer and number of residual blocks.
    score_rows
        Number of points, the first ones, at which the plain scores of the original are learned
        as well; 0 for ln p alone. They are slow to make and worth more each.
    score_weight
        Weight of the scores in the loss, mean square per axis in standard units, against that of
        ln p.
    normal
        The normal distribution that is taken off ln p before.
    """

    training: Annealing
    width: int = 128
    depth: int = 3
    score_rows: int = 0
    score_weight: float = 1.0
    normal: NormalSettings = field(default_factory=lambda: NormalSettings(Annealing(20, 512, 5e-3)))


@dataclass(frozen=True)
class Lesson:
    """What a network is to give, in standard units and on its device.

    Parameters
    ----------
    points
        Its inputs; shape (N, K).
    values
        At the points; shape (N,).
    slopes
        Derivatives of the value at the first points; shape (n, K) with n from 0 to N.
    """

    points: Tensor
    values: Tensor
    slopes: Tensor


def train_scalar(
    network: ResidualNetwork,
    lesson: Lesson,
    settings: DistillingSettings,
    seed: int,
    advance: Advance,
    checkpoint: Checkpoint | None = None,
) -> list[float]:
    """Train a network of one output on mean squares of errors in values and slopes.

    Parameters
    ----------
    network
        What is trained, with one member.
    lesson
        What to learn.
    settings
        Training.
    seed
        Decides the order.
    advance, checkpoint
        As for :func:`mwatlas.flows.annealing.anneal`.

    Returns
    -------
    list of float
        Mean loss of each epoch.

    Raises
    ------
    TrainingError
        If the training diverges.
    """
    device = lesson.points.device
    rows, scored = len(lesson.points), len(lesson.slopes)
    steps = settings.training.steps(rows)

    def batches(epoch: int) -> Iterator[Batch]:
        """Points with values, and in proportion points with slopes."""
        rng = epoch_generator(seed, epoch, device)
        order = shuffled_parts(rows, settings.training, rng)
        some = torch.randperm(scored, generator=rng, device=device).tensor_split(steps)
        for valued, sloped in zip(order, some, strict=True):
            yield (
                lesson.points[valued],
                lesson.values[valued],
                lesson.points[sloped],
                lesson.slopes[sloped],
            )

    def loss(batch: Batch) -> Tensor:
        points, values, place, slopes = batch
        total = ((network(points[None])[0, :, 0] - values) ** 2).mean()
        if len(place):
            place.requires_grad_()
            found = torch.autograd.grad(network(place[None]).sum(), place, create_graph=True)[0]
            total = total + settings.score_weight * ((found - slopes) ** 2).mean()
        return total[None]

    history = anneal(network, rows, batches, loss, settings.training, advance, checkpoint)
    return [losses[0] for losses in history]
