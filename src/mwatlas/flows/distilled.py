"""The quick route to scores: a scalar network that has learned ln p.

One backward pass through a scalar network gives a score, where the plain route differentiates
through every step of an integration. The plain route stays the reference:
:func:`mwatlas.flows.scores.compare_scores`. The network can also learn from the samples that a flow
learns from, which is more accurate than a flow and what was learned of it.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mwatlas.errors import InputError, TrainingError
from mwatlas.flows.annealing import Annealing
from mwatlas.flows.conditional_normal import (
    ConditionalNormal,
    NormalSettings,
    standard_log_prob,
)
from mwatlas.flows.contrasting import Contrast, ContrastingSettings, contrast
from mwatlas.flows.data import Samples, Standard, checked_pair, checked_samples
from mwatlas.flows.device import checked_device
from mwatlas.flows.distilling import DistillingSettings, Lesson, train_scalar
from mwatlas.flows.flow import Density
from mwatlas.flows.residual import ResidualNetwork
from mwatlas.flows.storage import opened_model, weights_by_name, weights_of, write_model
from mwatlas.learning.loop import Checkpoint
from mwatlas.progress import Progress

Floats = NDArray[np.float64]

_KIND = "distilled density of compressed conditions"
_ROWS = 1 << 16
# Where ln p differs less from that of a normal, what is left is rounding, not worth a network's
# full range.
_LEAST_SPREAD_NATS = 1e-3


class DistilledDensity:
    """ln p by one pass through a network, and its score by one pass back.

    It has learned the difference of ln p and of the ln of a normal distribution whose moments
    depend on the condition, so that far outside its points it falls off as the latter does. It
    is not exactly normalised.

    Parameters
    ----------
    dimension, given_dimension
        Columns of x and of the condition.
    settings
        Networks and training.
    seed
        Of the starting weights and of the order of training.
    device
        Where to train and evaluate.
    """

    def __init__(
        self,
        dimension: int,
        given_dimension: int = 0,
        *,
        settings: DistillingSettings,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.dimension, self.given_dimension = dimension, given_dimension
        self.settings, self.seed = settings, seed
        self._device = checked_device(device)
        self._network: ResidualNetwork | None = None
        self._normal: ConditionalNormal | None = None
        self._output = Standard(np.empty(0), np.empty(0))

    def learn(
        self,
        original: Density,
        x: Floats,
        given: Floats | None = None,
        *,
        progress: Progress,
        checkpoint: Checkpoint | None = None,
    ) -> list[float]:
        """Learn ln p of another density at some points.

        Parameters
        ----------
        original
            What to learn.
        x, given
            Points where scores will be wanted, for instance samples; shapes (N, D), (N, C). Their
            moments are those of the normal distribution.
        progress
            Where to report epochs.
        checkpoint
            Where to save, and continue from. The caller removes it.

        Returns
        -------
        list of float
            Mean loss of each epoch, in units of the variance of what is learned.

        Raises
        ------
        InputError
            If points are missing, not finite, or of another dimension, or if the original gives
            values that are not finite there.
        TrainingError
            If the training diverges.
        """
        samples = checked_samples(x, given, None, self.dimension, self.given_dimension)
        values = original.log_prob(samples.x, samples.given)
        _need_finite("log_prob", values[:, None])
        # It takes seconds, so it is made anew if the training goes on from a checkpoint.
        self._normal = ConditionalNormal.fit(
            samples, self.settings.normal, self.seed, self._device, progress
        )
        inputs, base = self._inputs(*self._tensors(samples.x, samples.given))
        rest = values - base.double().cpu().numpy()
        spread = max(float(rest.std()), _LEAST_SPREAD_NATS)
        self._output = Standard(np.array([rest.mean()]), np.array([spread]))
        target = torch.as_tensor(self._output.apply(rest[:, None])[:, 0], dtype=torch.float32)
        slopes = self._slopes(original, samples) / spread
        lesson = Lesson(inputs, target.to(self._device), slopes)
        network = self._new_network()
        with progress.task("epochs", self.settings.training.epochs, "epochs") as advance:
            history = train_scalar(network, lesson, self.settings, self.seed, advance, checkpoint)
        self._network = network.requires_grad_(False)
        return history

    def learn_from_samples(
        self,
        x: Floats,
        given: Floats | None = None,
        weights: Floats | None = None,
        *,
        validation: tuple[Floats, Floats | None, Floats | None] | None = None,
        settings: ContrastingSettings,
        progress: Progress,
        checkpoint: Checkpoint | None = None,
    ) -> list[float]:
        """Learn ln p of samples themselves, with no other density between.

        Parameters
        ----------
        x, given, weights
            Samples and how many stars each stands for, as for
            :meth:`mwatlas.flows.flow.Flow.fit`.
        validation
            The same of other samples, which decide how long to train; None trains for the
            longest time that the settings allow.
        settings
            Training against noise.
        progress, checkpoint
            As for :meth:`learn`.

        Returns
        -------
        list of float
            Mean loss of each epoch of the training that was kept; see
            :func:`mwatlas.flows.contrasting.contrast`.

        Raises
        ------
        InputError
            If rows are missing, not finite or of another dimension, or if no weight is above
            zero.
        TrainingError
            If the training diverges.
        """
        dimensions = self.dimension, self.given_dimension
        samples = checked_samples(x, given, weights, *dimensions)
        judging = None if validation is None else checked_samples(*validation, *dimensions)
        # A tenth of the work, so it is made anew if the training goes on from a checkpoint.
        self._normal = ConditionalNormal.fit(
            samples, settings.normal, self.seed, self._device, progress
        )
        self._output = Standard(np.zeros(1), np.ones(1))
        network, history = contrast(
            self._new_network,
            self._contrast(samples),
            None if judging is None else self._contrast(judging),
            settings,
            self.seed,
            progress,
            checkpoint,
        )
        self._network = network.requires_grad_(False)
        return history

    def log_prob(self, x: Floats, given: Floats | None = None) -> Floats:
        """Ln of the density; see :meth:`mwatlas.flows.flow.Density.log_prob`."""
        pair = checked_pair(x, given, self.dimension, self.given_dimension)
        with torch.no_grad():
            parts = [self._log_prob(*self._tensors(*part)) for part in _parts(*pair)]
        return torch.cat(parts).double().cpu().numpy()

    def score(self, x: Floats, given: Floats | None = None) -> tuple[Floats, Floats | None]:
        """Derivatives of ln p; see :meth:`mwatlas.flows.flow.Density.score`."""
        pair = checked_pair(x, given, self.dimension, self.given_dimension)
        slopes: list[list[Floats]] = []
        for part in _parts(*pair):
            place = [t.requires_grad_() for t in self._tensors(*part) if t is not None]
            value = self._log_prob(place[0], place[1] if len(place) > 1 else None).sum()
            found = torch.autograd.grad(value, place, materialize_grads=True)
            slopes.append([t.double().cpu().numpy() for t in found])
        each = [np.concatenate(columns) for columns in zip(*slopes, strict=True)]
        return each[0], each[1] if self.given_dimension else None

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(array.size for array in self._need().get_arrays())

    def save(self, path: str | Path) -> None:
        """Write an HDF5 file."""
        arrays = weights_by_name(self._need().get_arrays())
        arrays |= {"output_mean": self._output.mean, "output_std": self._output.std}
        normal, moments = self._needed_normal().to_file()
        arrays |= {f"normal_{name}": array for name, array in moments.items()}
        settings = {
            "dimension": self.dimension,
            "given_dimension": self.given_dimension,
            "seed": self.seed,
            "settings": asdict(self.settings),
            "normal": normal,
        }
        write_model(path, _KIND, settings, arrays)

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> DistilledDensity:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file is absent, broken, or of something else.
        """
        with opened_model(path, _KIND) as (stored, arrays):
            settings = dict(stored["settings"])
            normal = dict(settings.pop("normal"))
            normal["training"] = Annealing(**normal["training"])
            settings["training"] = Annealing(**settings["training"])
            density = cls(
                stored["dimension"],
                stored["given_dimension"],
                settings=DistillingSettings(**settings, normal=NormalSettings(**normal)),
                seed=stored["seed"],
                device=device,
            )
            prefix = "normal_"
            moments = {
                name.removeprefix(prefix): a
                for name, a in arrays.items()
                if name.startswith(prefix)
            }
            density._normal = ConditionalNormal.of_file(stored["normal"], moments, density._device)
            density._output = Standard(arrays["output_mean"], arrays["output_std"])
            network = density._new_network()
            network.set_arrays(weights_of(arrays))
            density._network = network.requires_grad_(False)
        return density

    def _new_network(self) -> ResidualNetwork:
        inputs, shape = self.dimension + self.given_dimension, self.settings
        return ResidualNetwork([self.seed], inputs, 1, shape.width, shape.depth).to(self._device)

    def _log_prob(self, x: Tensor, given: Tensor | None) -> Tensor:
        inputs, base = self._inputs(x, given)
        return base + self._log_ratio(inputs)

    def _log_ratio(self, inputs: Tensor) -> Tensor:
        """Ln of the density over the normal's, shape (N,), from the network's inputs."""
        mean, spread = float(self._output.mean[0]), float(self._output.std[0])
        return mean + spread * self._need()(inputs[None])[0, :, 0]

    def _inputs(self, x: Tensor, given: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the network is told (N, D + C), and ln of the normal's density (N,)."""
        normal = self._needed_normal()
        deviates, volume = normal.to_normal(x, given)
        base = standard_log_prob(deviates) + volume
        if given is None:
            return deviates, base
        return torch.cat([deviates, normal.compressed_given(given)], dim=1), base

    def _contrast(self, samples: Samples) -> Contrast:
        """Samples as deviates, and their conditions compressed."""
        with torch.no_grad():
            parts = [
                self._inputs(*self._tensors(*part))[0] for part in _parts(samples.x, samples.given)
            ]
        inputs = torch.cat(parts)
        conditions = inputs[:, self.dimension :] if self.given_dimension else None
        return Contrast(inputs[:, : self.dimension], conditions, self._tensor(samples.weights))

    def _slopes(self, original: Density, samples: Samples) -> Tensor:
        """Derivatives of the ln of the ratio by the network's inputs, at the first points."""
        rows, normal = min(self.settings.score_rows, len(samples.x)), self._needed_normal()
        if not rows:
            return self._tensor(np.empty((0, self.dimension + self.given_dimension)))
        few = samples.x[:rows], None if samples.given is None else samples.given[:rows]
        scores = original.score(*few)
        _need_finite("score", np.concatenate([s for s in scores if s is not None], axis=1))
        by_x, by_given = (None if s is None else self._tensor(s) for s in scores)
        assert by_x is not None
        x, given = self._tensors(*few)
        deviates = normal.to_normal(x, given)[0].detach().requires_grad_()
        condition = None
        place = [deviates]
        if given is not None:
            place.append(normal.compressed_given(given).requires_grad_())
            condition = normal.given_of(place[1])
        # Linear in x and given where the scores belong, so that its slopes are theirs.
        x_there = normal.from_normal(deviates, condition)
        value = (by_x * x_there).sum() - normal.log_prob(x_there, condition).sum()
        if by_given is not None and condition is not None:
            value = value + (by_given * condition).sum()
        return torch.cat(torch.autograd.grad(value, place), dim=1)

    def _tensors(self, x: Floats, given: Floats | None) -> tuple[Tensor, Tensor | None]:
        return self._tensor(x), None if given is None else self._tensor(given)

    def _tensor(self, values: Floats) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float32).to(self._device)

    def _need(self) -> ResidualNetwork:
        if self._network is None:
            raise _nothing_learned()
        return self._network

    def _needed_normal(self) -> ConditionalNormal:
        if self._normal is None:
            raise _nothing_learned()
        return self._normal


def _nothing_learned() -> TrainingError:
    return TrainingError(
        "a distilled density was asked before it learned anything",
        found="a density without weights",
        expected="a density that has learned, or a loaded one",
        remedy="call learn or learn_from_samples, or read a trained one with load",
    )


def _parts(x: Floats, given: Floats | None) -> list[tuple[Floats, Floats | None]]:
    """Rows that fit in memory together; one empty part for no rows."""
    return [
        (x[i : i + _ROWS], None if given is None else given[i : i + _ROWS])
        for i in range(0, max(len(x), 1), _ROWS)
    ]


def _need_finite(item: str, values: Floats) -> None:
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad.size:
        raise InputError(
            "a density to learn from gives values that are not finite",
            item=item,
            found=f"{bad.size} of {len(values)} rows, the first is row {bad[0]}",
            expected="finite values at every point",
            remedy="leave out points far from the data of the original",
        )
