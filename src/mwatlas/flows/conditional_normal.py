"""A normal distribution whose mean and covariance are functions of a condition.

Most of p(v|x) is its first two moments, and those are learned in a minute. What other networks
learn is the rest: in deviates of this normal distribution stars are alike at all places.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mwatlas.flows.annealing import Annealing, anneal, epoch_generator, shuffled_parts
from mwatlas.flows.cells import gather
from mwatlas.flows.data import Samples, Standard
from mwatlas.flows.residual import ResidualNetwork
from mwatlas.flows.storage import (
    standards_by_name,
    standards_of,
    weights_by_name,
    weights_of,
)
from mwatlas.learning.loop import Checkpoint
from mwatlas.progress import Progress

# Standard deviations that no compressed condition is away from the mean.
_LONGEST = 3.0
# Of few cells a batch is a part: with fewer steps an epoch the dispersion stays per cents off far
# from most samples. Of very few it is so many cells, but less than all.
_STEPS = 128
_FEWEST_CELLS = 32
_FEWEST_STEPS = 6


@dataclass(frozen=True)
class NormalSettings:
    """Network of the moments and its training.

    Parameters
    ----------
    training
        How long and how fast.
    width, depth
        Units of a layer and number of residual blocks.
    cell_rows
        Samples with similar conditions of which the moments alone are learned from: with many,
        training takes so many times fewer rows, and can be longer for it.
    """

    training: Annealing
    width: int = 32
    depth: int = 1
    cell_rows: int = 1


class ConditionalNormal:
    """x = mean(given) + triangle(given) u with standard normal deviates u.

    Without a condition the mean and the deviations of the columns are those of the samples, and
    columns do not depend on each other.

    Parameters
    ----------
    x, given
        Standard units of both; None for ``given`` without a condition.
    settings
        Network and training.
    seed
        Of the starting weights and of the order of training.
    device
        Where to train and evaluate.
    """

    def __init__(
        self,
        x: Standard,
        given: Standard | None,
        settings: NormalSettings,
        seed: int,
        device: torch.device,
    ) -> None:
        self.x, self.given, self.settings, self.seed = x, given, settings, seed
        self.dimension = x.mean.size
        self._device = device
        self._below = torch.tril_indices(self.dimension, self.dimension, -1, device=device)
        self._network: ResidualNetwork | None = None
        if given is not None:
            outputs = 2 * self.dimension + self._below.shape[1]
            self._network = ResidualNetwork(
                [seed], given.mean.size, outputs, settings.width, settings.depth
            ).to(device)

    @classmethod
    def fit(
        cls,
        samples: Samples,
        settings: NormalSettings,
        seed: int,
        device: torch.device,
        progress: Progress,
        checkpoint: Checkpoint | None = None,
    ) -> ConditionalNormal:
        """The most likely one for some samples.

        Parameters
        ----------
        samples
            To learn from.
        settings, seed, device
            As for the class.
        progress
            Where to report epochs.
        checkpoint
            Where to save, and continue from. The caller removes it.

        Raises
        ------
        InputError
            If a column is constant.
        TrainingError
            If the training diverges.
        """
        x = Standard.of(samples.x, samples.weights, "x")
        if samples.given is None:
            return cls(x, None, settings, seed, device)
        given = Standard.of(samples.given, samples.weights, "given")
        normal = cls(x, given, settings, seed, device)
        network = normal._network
        assert network is not None
        cells = gather(
            x.apply(samples.x), given.apply(samples.given), samples.weights, settings.cell_rows
        )
        places, mean, covariance, weights = (
            normal.tensor(values)
            for values in (cells.given, cells.mean, cells.covariance, cells.weights)
        )

        def loss(part: Tensor) -> Tensor:
            shift, log_scale, triangle = normal._standard_moments(places[part])
            root = triangle * torch.exp(-log_scale)[:, None, :]
            apart = (root @ (mean[part] - shift)[..., None]).square().sum(dim=(1, 2))
            within = ((root @ covariance[part]) * root).sum(dim=(1, 2))
            nats = 0.5 * (apart + within) + log_scale.sum(dim=1)
            return (weights[part] * nats).mean()[None]

        number = len(places)
        least = min(_FEWEST_CELLS, math.ceil(number / _FEWEST_STEPS))
        few = max(math.ceil(number / _STEPS), least)
        batch = min(settings.training.batch_size, few)
        training = replace(settings.training, batch_size=batch)
        with progress.task("moments", training.epochs, "epochs") as advance:
            anneal(
                network,
                number,
                lambda epoch: shuffled_parts(
                    number, training, epoch_generator(seed, epoch, device)
                ),
                loss,
                training,
                advance,
                checkpoint,
            )
        network.requires_grad_(False)
        return normal

    def tensor(self, values: NDArray[Any]) -> Tensor:
        """Values in the precision and on the device of the network."""
        return torch.as_tensor(values, dtype=torch.float32).to(self._device)

    def standard_given(self, given: Tensor) -> Tensor:
        """Conditions (N, C) in standard units."""
        assert self.given is not None
        return (given - self.tensor(self.given.mean)) / self.tensor(self.given.std)

    def compressed_given(self, given: Tensor) -> Tensor:
        """Conditions (N, C) in standard units and compressed: none is longer than 3.

        Far from most samples a function of them changes slowly, as it should where few have shown
        how it does.
        """
        standard = self.standard_given(given)
        return standard * _compression(standard, 1.0)

    def given_of(self, compressed: Tensor) -> Tensor:
        """Conditions (N, C) that were compressed."""
        assert self.given is not None
        standard = compressed * _compression(compressed, -1.0)
        return self.tensor(self.given.mean) + self.tensor(self.given.std) * standard

    def to_normal(self, x: Tensor, given: Tensor | None) -> tuple[Tensor, Tensor]:
        """Deviates u (N, D) of x (N, D), and ln |du / dx| (N,); differentiable."""
        scaled = (x - self.tensor(self.x.mean)) / self.tensor(self.x.std)
        volume = -float(np.log(self.x.std).sum())
        if given is None:
            return scaled, scaled.new_full((len(x),), volume)
        shift, log_scale, triangle = self._moments(given)
        deviates = triangle @ ((scaled - shift) * torch.exp(-log_scale))[..., None]
        return deviates[..., 0], volume - log_scale.sum(dim=1)

    def from_normal(self, deviates: Tensor, given: Tensor | None) -> Tensor:
        """Values x (N, D) of deviates (N, D)."""
        scaled = deviates
        if given is not None:
            shift, log_scale, triangle = self._moments(given)
            apart = torch.linalg.solve_triangular(
                triangle, deviates[..., None], upper=False, unitriangular=True
            )
            scaled = shift + apart[..., 0] * torch.exp(log_scale)
        return self.tensor(self.x.mean) + self.tensor(self.x.std) * scaled

    def log_prob(self, x: Tensor, given: Tensor | None) -> Tensor:
        """Ln of the density, shape (N,)."""
        deviates, volume = self.to_normal(x, given)
        return standard_log_prob(deviates) + volume

    def _moments(self, given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Shift (N, D) and ln scale (N, D) in standard units, and a unit triangle (N, D, D)."""
        return self._standard_moments(self.standard_given(given))

    def _standard_moments(self, given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same of conditions in standard units."""
        network, dimension = self._network, self.dimension
        assert network is not None
        out = network(given[None])[0]
        shift, log_scale, below = out.split([dimension, dimension, self._below.shape[1]], dim=1)
        triangle = torch.eye(dimension, device=out.device).repeat(len(out), 1, 1)
        triangle[:, self._below[0], self._below[1]] = below
        return shift, log_scale, triangle

    def to_file(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Settings and arrays for a model's file."""
        arrays = standards_by_name(self.x, self.given)
        if self._network is not None:
            arrays |= weights_by_name(self._network.get_arrays())
        return {"seed": self.seed, "settings": asdict(self.settings)}, arrays

    @classmethod
    def of_file(
        cls, stored: dict[str, Any], arrays: dict[str, NDArray[Any]], device: torch.device
    ) -> ConditionalNormal:
        """What :meth:`to_file` gave."""
        settings = dict(stored["settings"])
        settings["training"] = Annealing(**settings["training"])
        normal = cls(*standards_of(arrays), NormalSettings(**settings), stored["seed"], device)
        if normal._network is not None:
            normal._network.set_arrays(weights_of(arrays))
            normal._network.requires_grad_(False)
        return normal


def _compression(rows: Tensor, sign: float) -> Tensor:
    """Factor (N, 1) that compresses rows, or expands those that were with a negative sign."""
    square = rows.square().sum(dim=1, keepdim=True)
    return torch.rsqrt(1 + sign * square / _LONGEST**2)


def standard_log_prob(deviates: Tensor) -> Tensor:
    """Ln of the density of standard normal deviates (N, D); shape (N,)."""
    dimension = deviates.shape[1]
    return -0.5 * (deviates**2).sum(dim=1) - 0.5 * dimension * math.log(2 * math.pi)
