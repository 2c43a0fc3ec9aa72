"""Training of ln p by telling samples from noise of known density.

Gutmann & Hyvarinen (2012, JMLR 13, 307): the logarithm of the ratio of both densities is what
separates them best. No normalisation is needed, and the closer the noise is to the samples, the
closer the result is to the most likely one. A flow's training has noise of its own, from random
times and deviates, and so has what is learned of it; this one has much less.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import softplus

from mwatlas.flows.annealing import Annealing, anneal, epoch_generator, shuffled_parts
from mwatlas.flows.conditional_normal import NormalSettings
from mwatlas.flows.residual import ResidualNetwork
from mwatlas.learning.loop import Checkpoint
from mwatlas.progress import Advance


@dataclass(frozen=True)
class ContrastingSettings:
    """Training against noise.

    Parameters
    ----------
    training
        How long and how fast.
    noise
        Deviates of noise for each sample: with k of them the variance is (1 + 1/k) times that of
        the most likely function where noise and samples are alike.
    """

    training: Annealing
    noise: int = 2

    @property
    def normal(self) -> NormalSettings:
        """How the moments of the noise are learned; they are few and simple."""
        return NormalSettings(replace(self.training, epochs=max(1, self.training.epochs // 2)))


@dataclass(frozen=True)
class Contrast:
    """Samples among which noise is put, on their device.

    Parameters
    ----------
    deviates
        Samples as deviates of the noise's normal distribution; shape (N, D).
    given
        Conditions in standard units; shape (N, C) or None.
    weights
        Of the samples, with a mean of one; shape (N,).
    """

    deviates: Tensor
    given: Tensor | None
    weights: Tensor


def contrast(
    network: ResidualNetwork,
    samples: Contrast,
    settings: ContrastingSettings,
    seed: int,
    advance: Advance,
    checkpoint: Checkpoint | None = None,
) -> list[float]:
    """Train a network to give ln of the ratio of densities of samples and normal deviates.

    Parameters
    ----------
    network
        What is trained; of deviates and conditions side by side.
    samples
        To be told from noise.
    settings
        How much noise, how long and how fast.
    seed
        Decides the order and the noise.
    advance, checkpoint
        As for :func:`mwatlas.flows.annealing.anneal`.

    Returns
    -------
    list of float
        Mean loss of each epoch in nats a sample; ln(1 + k) + k ln(1 + 1/k) with k deviates of
        noise if nothing separates them.

    Raises
    ------
    TrainingError
        If the training diverges.
    """
    rows, dimension = samples.deviates.shape
    device, number = samples.deviates.device, settings.noise
    offset = math.log(number)

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        rng = epoch_generator(seed, epoch, device)
        for part in shuffled_parts(rows, settings.training, rng):
            shape = (number * len(part), dimension)
            yield part, torch.randn(shape, generator=rng, device=device)

    def loss(batch: tuple[Tensor, Tensor]) -> Tensor:
        part, noise = batch
        seen, other = samples.deviates[part], noise
        if samples.given is not None:
            given = samples.given[part]
            seen = torch.cat([seen, given], dim=1)
            other = torch.cat([other, given.repeat(number, 1)], dim=1)
        ratio = network(torch.cat([seen, other])[None])[0, :, 0] - offset
        # The noise has the places of the samples, and so their weights.
        weights = samples.weights[part]
        missed = softplus(-ratio[: len(part)])
        mistaken = softplus(ratio[len(part) :]).reshape(number, -1).sum(dim=0)
        return (weights * (missed + mistaken)).mean()[None]

    history = anneal(network, rows, batches, loss, settings.training, advance, checkpoint)
    return [losses[0] for losses in history]
