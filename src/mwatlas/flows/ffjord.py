"""FFJORD after the protocol :class:`mwatlas.flows.flow.Flow`: Kalda & Green (2025), section 2.

It learns by integrating its own paths in every step, and is here to compare with:
:class:`mwatlas.flows.matching_flow.MatchingFlow` learns the same densities without.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mwatlas.errors import ConfigError
from mwatlas.flows.data import Standard, checked_pair, checked_samples
from mwatlas.flows.ffjord_chain import Chain, compiled, stuck
from mwatlas.flows.ffjord_settings import (
    AdaptiveSolver,
    ChainSettings,
    FfjordSettings,
    FfjordTraining,
    Limits,
)
from mwatlas.flows.ffjord_training import Rows, train_chain
from mwatlas.flows.flow import untrained_flow
from mwatlas.flows.storage import (
    opened_model,
    standards_by_name,
    weights_by_name,
    weights_of,
    write_model,
)
from mwatlas.flows.weights import check_shapes
from mwatlas.learning.loop import Arrays, Checkpoint
from mwatlas.progress import Progress

Floats = NDArray[np.float64]

_KIND = "FFJORD"


class FfjordFlow:
    """A density p(x) or p(x | given) by a chain of FFJORDs in TensorFlow Probability.

    Results are the same for the same seed and machine: everything runs in one thread.

    Parameters
    ----------
    dimension, given_dimension
        Columns of x and of the condition.
    settings
        Shape, integration, training and checks.
    solver
        How samples, ln p and scores are integrated, with the exact divergence; as in the
        training if None. It may be changed at any time.
    seed
        Of the starting weights and of the training's random numbers.
    device
        ``cpu``.

    Raises
    ------
    ConfigError
        If the device is another.
    """

    def __init__(
        self,
        dimension: int,
        given_dimension: int = 0,
        *,
        settings: FfjordSettings,
        solver: AdaptiveSolver | None = None,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        if device != "cpu":
            raise ConfigError(
                "this engine runs on processors alone",
                item="device",
                found=device,
                expected="cpu: the environment's TensorFlow is built for it",
                remedy="set the device to cpu, or use flow matching",
            )
        self.dimension, self.given_dimension = dimension, given_dimension
        self.settings, self.seed = settings, seed
        self.solver = solver or settings.solver
        self._x, self._given = (
            Standard(np.empty(0), np.empty(0)),
            Standard(np.empty(0), np.empty(0)),
        )
        self._weights: Arrays | None = None

    def fit(
        self,
        x: Floats,
        given: Floats | None = None,
        weights: Floats | None = None,
        *,
        progress: Progress,
        checkpoint: Checkpoint | None = None,
    ) -> list[float]:
        """Learn from samples; see :meth:`mwatlas.flows.flow.Flow.fit`.

        The training ends before its last epoch if the rate falls below the final one.
        """
        samples = checked_samples(x, given, weights, self.dimension, self.given_dimension)
        self._x = Standard.of(samples.x, samples.weights, "x")
        if samples.given is not None:
            self._given = Standard.of(samples.given, samples.weights, "given")
        rows = Rows(
            self._x.apply(samples.x).astype(np.float32),
            self._condition(samples.given, len(samples.x)).astype(np.float32),
            samples.weights.astype(np.float32),
        )
        settings = self.settings
        chain = self._chain(settings.solver)
        with progress.task("epochs", settings.training.epochs, "epochs") as advance:
            self._weights, history = train_chain(
                chain, rows, settings, self.seed, advance, checkpoint
            )
        return history

    def log_prob(self, x: Floats, given: Floats | None = None) -> Floats:
        """Ln of the density; see :meth:`mwatlas.flows.flow.Density.log_prob`."""
        (value,) = self._evaluate("log_density", *self._standard(x, given))
        return value - np.log(self._x.std).sum()

    def score(self, x: Floats, given: Floats | None = None) -> tuple[Floats, Floats | None]:
        """Derivatives of ln p; see :meth:`mwatlas.flows.flow.Density.score`."""
        by_x, by_given = self._evaluate("score", *self._standard(x, given))
        return by_x / self._x.std, by_given / self._given.std if self.given_dimension else None

    def sample(self, n: int, rng: np.random.Generator, given: Floats | None = None) -> Floats:
        """Draw samples; see :meth:`mwatlas.flows.flow.Flow.sample`."""
        return self.from_normal(rng.standard_normal((n, self.dimension)), given)

    def from_normal(self, deviates: Floats, given: Floats | None = None) -> Floats:
        """Samples (N, D) that the flow makes of standard normal deviates (N, D)."""
        pair = checked_pair(deviates, given, self.dimension, self.given_dimension)
        (z,) = self._evaluate("from_normal", pair[0], self._condition(pair[1], len(pair[0])))
        return self._x.invert(z)

    def to_normal(self, x: Floats, given: Floats | None = None) -> Floats:
        """Deviates (N, D) that the flow makes samples (N, D) of."""
        (z,) = self._evaluate("deviates", *self._standard(x, given))
        return z

    def save(self, path: str | Path) -> None:
        """Write an HDF5 file."""
        arrays = weights_by_name(self._need()) | standards_by_name(self._x, self._given)
        settings = {
            "seed": self.seed,
            "settings": asdict(self.settings),
            "solver": asdict(self.solver),
        }
        write_model(path, _KIND, settings, arrays)

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> FfjordFlow:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file is absent, broken, or of something else.
        """
        with opened_model(path, _KIND) as (stored, arrays):
            settings = stored["settings"]
            flow = cls(
                arrays["x_mean"].size,
                arrays["given_mean"].size,
                settings=FfjordSettings(
                    FfjordTraining(**settings["training"]),
                    ChainSettings(**settings["chain"]),
                    AdaptiveSolver(**settings["solver"]),
                    Limits(**settings["limits"]),
                ),
                solver=AdaptiveSolver(**stored["solver"]),
                seed=stored["seed"],
                device=device,
            )
            flow._x = Standard(arrays["x_mean"], arrays["x_std"])
            flow._given = Standard(arrays["given_mean"], arrays["given_std"])
            flow._weights = weights_of(arrays)
            check_shapes(flow._weights, flow._chain(flow.solver).shapes)
        return flow

    def _chain(self, solver: AdaptiveSolver) -> Chain:
        return Chain(self.dimension, self.given_dimension, self.settings.chain, solver)

    def _condition(self, given: Floats | None, rows: int) -> Floats:
        """Conditions in standard units, (N, C), of no columns without any."""
        return np.empty((rows, 0)) if given is None else self._given.apply(given)

    def _standard(self, x: Floats, given: Floats | None) -> tuple[Floats, Floats]:
        self._need()
        rows, condition = checked_pair(x, given, self.dimension, self.given_dimension)
        return self._x.apply(rows), self._condition(condition, len(rows))

    def _evaluate(self, what: str, z: Floats, given: Floats) -> list[Floats]:
        """Results of a method of the chain, so many rows at a time."""
        chain, dtype = self._chain(self.solver), np.dtype(self.solver.precision)
        weights = [array.astype(dtype) for array in self._need()]
        # The solver's mean error is not defined without rows: one is added, and left out below.
        rows, filled = len(z), [np.zeros((1, a.shape[1])) if not len(z) else a for a in (z, given)]
        parts = []
        for start in range(0, len(filled[0]), self.solver.rows):
            piece = [a[start : start + self.solver.rows].astype(dtype) for a in filled]
            try:
                result = compiled(chain, what)(weights, *piece)
            except tf.errors.InvalidArgumentError as error:
                raise stuck(self.solver, what) from error
            parts.append(result if isinstance(result, tuple) else (result,))
        columns = [np.concatenate(c).astype(np.float64)[:rows] for c in zip(*parts, strict=True)]
        if not all(np.isfinite(column).all() for column in columns):
            raise stuck(self.solver, what)
        return columns

    def _need(self) -> Arrays:
        if self._weights is None:
            raise untrained_flow()
        return self._weights
