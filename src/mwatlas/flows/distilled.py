"""The quick route to scores: a scalar network that has learned ln p of another density.

One backward pass through a scalar network gives a score, where the plain route differentiates
through every step of an integration. The plain route stays the reference:
:func:`mwatlas.flows.scores.compare_scores`.
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
from mwatlas.flows.data import Standard, checked_pair, checked_samples
from mwatlas.flows.device import checked_device
from mwatlas.flows.distilling import DistillingSettings, Lesson, train_scalar
from mwatlas.flows.flow import Density
from mwatlas.flows.residual import ResidualNetwork
from mwatlas.flows.storage import read_model, weights_by_name, weights_of, write_model
from mwatlas.learning.loop import Checkpoint
from mwatlas.progress import Progress

Floats = NDArray[np.float64]

_KIND = "distilled density"
_ROWS = 1 << 16
# Where ln p differs less from that of a normal, what is left is rounding, not worth a network's
# full range.
_LEAST_SPREAD_NATS = 1e-3


class DistilledDensity:
    """ln p by one pass through a network, and its score by one pass back.

    It has learned the difference of ln p and of the ln of the normal distribution of x in
    standard units, so that far outside its points it falls off as the latter does. It is not
    exactly normalised.

    Parameters
    ----------
    dimension, given_dimension
        Columns of x and of the condition.
    settings
        Network and training.
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
        self._inputs = Standard(np.empty(0), np.empty(0))
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
            Points where scores will be wanted, for instance samples; shapes (N, D), (N, C).
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
        rows = min(self.settings.score_rows, len(samples.x))
        values = original.log_prob(samples.x, samples.given)
        _need_finite("log_prob", values[:, None])
        slopes = np.empty((0, self.dimension + self.given_dimension))
        if rows:
            few = None if samples.given is None else samples.given[:rows]
            slopes = _joined(*original.score(samples.x[:rows], few))
            _need_finite("score", slopes)
        self._inputs = Standard.of(_joined(samples.x, samples.given), samples.weights, "x, given")
        points = self._inputs.apply(_joined(samples.x, samples.given))
        rest = values + self._x_std_log() - self._normal(points)
        spread = max(float(rest.std()), _LEAST_SPREAD_NATS)
        self._output = Standard(np.array([rest.mean()]), np.array([spread]))
        slopes = slopes * self._inputs.std
        slopes[:, : self.dimension] += points[:rows, : self.dimension]
        lesson = Lesson(
            self._tensor(points),
            self._tensor(self._output.apply(rest[:, None])[:, 0]),
            self._tensor(slopes / self._output.std),
        )
        with progress.task("epochs", self.settings.training.epochs, "epochs") as advance:
            network, history = train_scalar(lesson, self.settings, self.seed, advance, checkpoint)
        self._network = network.requires_grad_(False)
        return history

    def log_prob(self, x: Floats, given: Floats | None = None) -> Floats:
        """Ln of the density; see :meth:`mwatlas.flows.flow.Density.log_prob`."""
        network, points = self._need(), self._points(x, given)
        with torch.no_grad():
            parts = [network(self._tensor(p)[None])[0, :, 0].cpu() for p in _parts(points)]
        learned = self._output.mean + self._output.std * torch.cat(parts).double().numpy()
        return learned + self._normal(points) - self._x_std_log()

    def score(self, x: Floats, given: Floats | None = None) -> tuple[Floats, Floats | None]:
        """Derivatives of ln p; see :meth:`mwatlas.flows.flow.Density.score`."""
        network, points = self._need(), self._points(x, given)
        parts = []
        for piece in _parts(points):
            place = self._tensor(piece).requires_grad_()
            parts.append(torch.autograd.grad(network(place[None]).sum(), place)[0].cpu())
        slopes = self._output.std * torch.cat(parts).double().numpy()
        slopes[:, : self.dimension] -= points[:, : self.dimension]
        slopes /= self._inputs.std
        by_given = slopes[:, self.dimension :] if self.given_dimension else None
        return slopes[:, : self.dimension], by_given

    def save(self, path: str | Path) -> None:
        """Write an HDF5 file."""
        arrays = weights_by_name(self._need().get_arrays())
        for name, standard in (("inputs", self._inputs), ("output", self._output)):
            arrays |= {f"{name}_mean": standard.mean, f"{name}_std": standard.std}
        settings = {
            "dimension": self.dimension,
            "given_dimension": self.given_dimension,
            "seed": self.seed,
            "settings": asdict(self.settings),
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
        stored, arrays = read_model(path, _KIND)
        settings = dict(stored["settings"])
        settings["training"] = Annealing(**settings["training"])
        density = cls(
            stored["dimension"],
            stored["given_dimension"],
            settings=DistillingSettings(**settings),
            seed=stored["seed"],
            device=device,
        )
        density._inputs = Standard(arrays["inputs_mean"], arrays["inputs_std"])
        density._output = Standard(arrays["output_mean"], arrays["output_std"])
        network = ResidualNetwork(
            [density.seed],
            density._inputs.mean.size,
            1,
            density.settings.width,
            density.settings.depth,
        )
        network.set_arrays(weights_of(arrays))
        density._network = network.requires_grad_(False).to(density._device)
        return density

    def _normal(self, points: Floats) -> Floats:
        """Ln of the normal distribution of x in standard units."""
        z = points[:, : self.dimension]
        return -0.5 * (z**2).sum(axis=1) - 0.5 * self.dimension * np.log(2 * np.pi)

    def _x_std_log(self) -> float:
        return float(np.log(self._inputs.std[: self.dimension]).sum())

    def _points(self, x: Floats, given: Floats | None) -> Floats:
        pair = checked_pair(x, given, self.dimension, self.given_dimension)
        return self._inputs.apply(_joined(*pair))

    def _tensor(self, values: Floats) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float32).to(self._device)

    def _need(self) -> ResidualNetwork:
        if self._network is None:
            raise TrainingError(
                "a distilled density was asked before it learned anything",
                found="a density without weights",
                expected="a density that has learned, or a loaded one",
                remedy="call learn, or read a trained one with load",
            )
        return self._network


def _joined(x: Floats, given: Floats | None) -> Floats:
    return x if given is None else np.concatenate([x, given], axis=1)


def _parts(points: Floats) -> list[Floats]:
    """Rows that fit in memory together; one empty part for no rows."""
    return [points[i : i + _ROWS] for i in range(0, max(len(points), 1), _ROWS)]


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
