"""Training of velocity fields by (conditional) flow matching, several side by side.

Lipman et al. 2023 (ICLR); Kalda & Green 2026: a network learns the velocity of
straight lines from normal deviates to the data, without integrating anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mwatlas.flows.annealing import Annealing, anneal, epoch_generator
from mwatlas.flows.data import Standard
from mwatlas.flows.pairing import OptimalTransport, Pairings
from mwatlas.flows.vector_field import FieldSettings, VectorField
from mwatlas.learning.loop import Checkpoint
from mwatlas.progress import Advance

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MatchingSettings:
    """Network and training of a flow.

    Parameters
    ----------
    network
        Its shape.
    training
        How long and how fast.
    transport
        Optimal transport, for an unconditional flow; None pairs at random.
    """

    network: FieldSettings
    training: Annealing
    transport: OptimalTransport | None = None


@dataclass(frozen=True)
class Targets:
    """What fields learn, in standard units and on their device.

    Parameters
    ----------
    z1, given
        Data (N, D) and conditions (N, C) or None.
    weights
        Of the rows, with a mean of one; shape (N,).
    """

    z1: Tensor
    given: Tensor | None
    weights: Tensor


@dataclass(frozen=True)
class Batch:
    """One step's data of M members: shapes (M, B, D), (M, B, C) or None, (M, B), (M, B, 1)."""

    z1: Tensor
    z0: Tensor
    given: Tensor | None
    weights: Tensor
    t: Tensor


def matching_loss(
    velocity: Callable[[Tensor, Tensor, Tensor | None], Tensor], batch: Batch
) -> Tensor:
    """Loss of flow matching, sum w |u(t, z_t) - (z1 - z0)|^2 / sum w, of each member.

    Here z_t = (1 - t) z0 + t z1 (Kalda & Green 2026).

    Parameters
    ----------
    velocity
        The fields u(t, z, given).
    batch
        Data, deviates and times.

    Returns
    -------
    Tensor, shape (M,)
    """
    z1, z0, t = batch.z1, batch.z0, batch.t
    error = velocity(t, (1 - t) * z0 + t * z1, batch.given) - (z1 - z0)
    weighted = batch.weights * (error**2).sum(dim=-1)
    return weighted.sum(dim=-1) / batch.weights.sum(dim=-1)


def train_fields(
    targets: Targets,
    standard: Standard,
    settings: MatchingSettings,
    seeds: Sequence[int],
    advance: Advance,
    checkpoint: Checkpoint | None = None,
) -> tuple[VectorField, list[list[float]]]:
    """Train one field for each seed, all at once; none influences another.

    Parameters
    ----------
    targets
        What to learn.
    standard
        Standard units of x.
    settings
        Network and training.
    seeds
        Each decides the start, the order, the deviates and the times of its member.
    advance, checkpoint
        As for :func:`mwatlas.flows.annealing.anneal`.

    Returns
    -------
    fields
        With ``len(seeds)`` members.
    history
        Mean loss of each member in each epoch.

    Raises
    ------
    TrainingError
        If the training diverges.
    """
    condition_columns = 0 if targets.given is None else targets.given.shape[1]
    field = VectorField(settings.network, standard, condition_columns, seeds)
    field.to(targets.z1.device)
    history = anneal(
        field.network,
        len(targets.z1),
        _batches(targets, settings, seeds),
        lambda batch: matching_loss(field, batch),
        settings.training,
        advance,
        checkpoint,
    )
    return field, history


def _batches(
    targets: Targets, settings: MatchingSettings, seeds: Sequence[int]
) -> Callable[[int], Iterator[Batch]]:
    """Batches of an epoch: each row once (or as often as its weight, if transported)."""
    device, transport = targets.z1.device, settings.transport
    rows, dimension = targets.z1.shape
    steps = settings.training.steps(rows)
    pairings: list[Pairings] = []
    if transport is not None:
        data, weights = targets.z1.cpu().numpy(), targets.weights.double().cpu().numpy()
        pairings = [Pairings(data, weights, transport, seed) for seed in seeds]

    def epoch(number: int) -> Iterator[Batch]:
        rngs = [epoch_generator(seed, number, device) for seed in seeds]
        # Equal parts, so that no step of an epoch is noisier than the others.
        orders = [
            torch.randperm(rows, generator=r, device=device).tensor_split(steps) for r in rngs
        ]
        paired = [
            tuple(torch.from_numpy(a).to(device) for a in pairing.of_epoch(number))
            for pairing in pairings
        ]
        for step in range(steps):
            order = torch.stack([each[step] for each in orders])
            size = order.shape[1]
            # t = sqrt(u): more of the time near the data.
            t = torch.stack([_uniform(r, size, device) for r in rngs]).sqrt()
            if paired:
                place = list(zip(paired, order, strict=True))
                z0 = torch.stack([deviates[part] for (_, deviates), part in place])
                order = torch.stack([row[part] for (row, _), part in place])
                weight = torch.ones_like(z0[..., 0])
            else:
                z0 = torch.stack(
                    [torch.randn(size, dimension, generator=r, device=device) for r in rngs]
                )
                weight = targets.weights[order]
            given = None if targets.given is None else targets.given[order]
            yield Batch(targets.z1[order], z0, given, weight, t)

    return epoch


def _uniform(rng: torch.Generator, size: int, device: torch.device) -> Tensor:
    return torch.rand(size, 1, generator=rng, device=device)
