"""Training of ln p by telling samples from noise of known density.

Gutmann & Hyvarinen (2012, JMLR 13, 307): the logarithm of the ratio of both densities is what
separates them best. No normalisation is needed, and the closer the noise is to the samples, the
closer the result is to the most likely one. A flow's training has noise of its own, from random
times and deviates, and so has what is learned of it; this one has much less.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus

from mwatlas.errors import ConfigError
from mwatlas.flows.annealing import Annealing, anneal, epoch_generator, shuffled_parts
from mwatlas.flows.conditional_normal import NormalSettings
from mwatlas.flows.residual import ResidualNetwork
from mwatlas.learning.loop import Checkpoint
from mwatlas.progress import Progress

log = logging.getLogger("mwatlas")

_ROWS = 1 << 15
# Number of the epoch whose random numbers judge: no training has so many.
_JUDGING = 1 << 40


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
    longest
        Few samples need more epochs, and are learned by heart in too many. Epochs are doubled up
        to this factor, each time from the start, until validation samples are told from noise
        worse than before, by more than the error of the difference.
    normal
        How the moments of the noise are learned. What is wrong with them stays wrong: per sample,
        little is gained by mending it, so that the network which tells samples from noise does
        not. Hence cells and many epochs.
    """

    training: Annealing
    noise: int = 2
    longest: int = 1
    normal: NormalSettings = field(
        default_factory=lambda: NormalSettings(
            Annealing(30, 1024, 2e-3, optimizer="muon"), depth=2, cell_rows=16
        )
    )

    def __post_init__(self) -> None:
        if self.longest < 1:
            raise ConfigError(
                "training cannot be shorter than its epochs",
                item="longest",
                found=self.longest,
                expected="1 or more",
                remedy="lower epochs instead",
            )

    @property
    def lengths(self) -> list[int]:
        """Epochs that may be tried, in order."""
        return [self.training.epochs << doublings for doublings in range(self.longest.bit_length())]


@dataclass(frozen=True)
class Contrast:
    """Samples among which noise is put, on their device.

    Parameters
    ----------
    deviates
        Samples as deviates of the noise's normal distribution; shape (N, D).
    given
        Conditions as the network sees them; shape (N, C) or None.
    weights
        Of the samples, with a mean of one; shape (N,).
    """

    deviates: Tensor
    given: Tensor | None
    weights: Tensor

    def nats(self, network: ResidualNetwork, rows: Tensor, noise: Tensor) -> Tensor:
        """Weighted costs of telling samples from noise, (k n, D) for n rows, in nats; (n,)."""
        number = len(noise) // len(rows)
        seen, other = self.deviates[rows], noise
        if self.given is not None:
            given = self.given[rows]
            seen = torch.cat([seen, given], dim=1)
            other = torch.cat([other, given.repeat(number, 1)], dim=1)
        ratio = network(torch.cat([seen, other])[None])[0, :, 0] - math.log(number)
        missed = softplus(-ratio[: len(rows)])
        mistaken = softplus(ratio[len(rows) :]).reshape(number, -1).sum(dim=0)
        # The noise has the places of the samples, and so their weights.
        return self.weights[rows] * (missed + mistaken)

    def noise(self, rows: Tensor, number: int, rng: torch.Generator) -> Tensor:
        """So many deviates of noise for each of some samples."""
        shape = (number * len(rows), self.deviates.shape[1])
        return torch.randn(shape, generator=rng, device=rng.device)


def contrast(
    make: Callable[[], ResidualNetwork],
    samples: Contrast,
    validation: Contrast | None,
    settings: ContrastingSettings,
    seed: int,
    progress: Progress,
    checkpoint: Checkpoint | None = None,
) -> tuple[ResidualNetwork, list[float]]:
    """Train a network to give ln of the ratio of densities of samples and normal deviates.

    Parameters
    ----------
    make
        Gives an untrained network of deviates and conditions side by side.
    samples
        To be told from noise.
    validation
        Samples that decide how long to train; None if there is but one length.
    settings
        How much noise, how long and how fast.
    seed
        Decides the order and the noise.
    progress
        Where to report epochs.
    checkpoint
        Where to save, and continue from. The caller removes it.

    Returns
    -------
    network
        The trained one.
    history
        Its mean loss of each epoch in nats a sample; ln(1 + k) + k ln(1 + 1/k) with k deviates of
        noise if nothing separates them.

    Raises
    ------
    TrainingError
        If the training diverges.
    """
    kept: tuple[ResidualNetwork, list[float]] | None = None
    least: NDArray[np.float64] | None = None
    for epochs in settings.lengths if validation is not None else settings.lengths[-1:]:
        network, training = make(), replace(settings.training, epochs=epochs)
        part = None if checkpoint is None else checkpoint.part(str(epochs))
        told = replace(settings, training=training)
        trained = network, _train(network, samples, told, seed, progress, part)
        if validation is None:
            return trained
        costs = _judged(network, validation, settings, seed)
        log.info("%d epochs: %.5f nats a validation sample", epochs, costs.mean())
        gain = math.inf if least is None else float((least - costs).mean())
        if gain > 0:
            kept, least = trained, costs
        # Short trainings may hardly differ, and a longer one be better.
        elif least is not None and -gain > (least - costs).std() / math.sqrt(costs.size):
            break
    assert kept is not None
    return kept


def _train(
    network: ResidualNetwork,
    samples: Contrast,
    settings: ContrastingSettings,
    seed: int,
    progress: Progress,
    checkpoint: Checkpoint | None,
) -> list[float]:
    """Train once, for the epochs of ``training``; the mean loss of each."""
    rows, device, training = len(samples.deviates), samples.deviates.device, settings.training

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        rng = epoch_generator(seed, epoch, device)
        for part in shuffled_parts(rows, training, rng):
            yield part, samples.noise(part, settings.noise, rng)

    def loss(batch: tuple[Tensor, Tensor]) -> Tensor:
        return samples.nats(network, *batch).mean()[None]

    with progress.task("epochs", training.epochs, "epochs") as advance:
        history = anneal(network, rows, batches, loss, training, advance, checkpoint)
    return [each[0] for each in history]


def _judged(
    network: ResidualNetwork, validation: Contrast, settings: ContrastingSettings, seed: int
) -> NDArray[np.float64]:
    """What telling each validation sample from noise costs, the same noise for all networks."""
    rng = epoch_generator(seed, _JUDGING, validation.deviates.device)
    rows = len(validation.deviates)
    parts = []
    with torch.no_grad():
        for start in range(0, rows, _ROWS):
            part = torch.arange(start, min(start + _ROWS, rows), device=rng.device)
            noise = validation.noise(part, settings.noise, rng)
            parts.append(validation.nats(network, part, noise).double().cpu().numpy())
    return np.concatenate(parts)
