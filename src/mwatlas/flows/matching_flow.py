"""A flow trained by matching, after the protocol :class:`mwatlas.flows.flow.Flow`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mwatlas.errors import ConfigError
from mwatlas.flows import ode
from mwatlas.flows.annealing import Annealing
from mwatlas.flows.data import Standard, checked_pair, checked_samples
from mwatlas.flows.device import checked_device
from mwatlas.flows.fitted import FittedField
from mwatlas.flows.flow import untrained_flow
from mwatlas.flows.matching import MatchingSettings, Targets, train_fields
from mwatlas.flows.pairing import OptimalTransport
from mwatlas.flows.storage import (
    opened_model,
    standards_by_name,
    standards_of,
    weights_by_name,
    weights_of,
    write_model,
)
from mwatlas.flows.vector_field import FieldSettings, VectorField
from mwatlas.learning.loop import Checkpoint
from mwatlas.progress import Progress

Floats = NDArray[np.float64]

_KIND = "flow trained by matching"


class MatchingFlow:
    """A density p(x) or p(x | given) by flow matching in torch.

    Results are the same for the same seed, device and number of threads.

    Parameters
    ----------
    dimension, given_dimension
        Columns of x and of the condition.
    settings
        Network and training.
    solver
        How samples, ln p and scores are integrated; it may be changed at any time.
    seed
        Of the starting weights and of the training's random numbers.
    device
        Where to train and evaluate.
    """

    def __init__(
        self,
        dimension: int,
        given_dimension: int = 0,
        *,
        settings: MatchingSettings,
        solver: ode.Solver | None = None,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        if settings.transport is not None and given_dimension:
            raise ConfigError(
                "optimal transport is for unconditional flows",
                item="transport",
                found=f"a flow with {given_dimension} conditions",
                expected="None: pairs chosen by x alone make deviates depend on the condition",
                remedy="set transport to None for this flow",
            )
        self.dimension, self.given_dimension = dimension, given_dimension
        self.settings, self.seed = settings, seed
        self.solver = solver or ode.Solver()
        self._device = checked_device(device)
        self._fitted: FittedField | None = None

    def fit(
        self,
        x: Floats,
        given: Floats | None = None,
        weights: Floats | None = None,
        *,
        progress: Progress,
        checkpoint: Checkpoint | None = None,
    ) -> list[float]:
        """Learn from samples; see :meth:`mwatlas.flows.flow.Flow.fit`."""
        return fit_together([self], x, given, weights, progress=progress, checkpoint=checkpoint)[0]

    def log_prob(self, x: Floats, given: Floats | None = None) -> Floats:
        """Ln of the density; see :meth:`mwatlas.flows.flow.Density.log_prob`."""
        return self._need().log_prob(*self._pair(x, given), self.solver)

    def score(self, x: Floats, given: Floats | None = None) -> tuple[Floats, Floats | None]:
        """Derivatives of ln p by the plain route; see :meth:`mwatlas.flows.flow.Density.score`."""
        return self._need().score(*self._pair(x, given), self.solver)

    def sample(self, n: int, rng: np.random.Generator, given: Floats | None = None) -> Floats:
        """Draw samples; see :meth:`mwatlas.flows.flow.Flow.sample`."""
        return self.from_normal(rng.standard_normal((n, self.dimension)), given)

    def from_normal(self, deviates: Floats, given: Floats | None = None) -> Floats:
        """Samples (N, D) that the flow makes of standard normal deviates (N, D)."""
        return self._need().from_normal(*self._pair(deviates, given), self.solver)

    def to_normal(self, x: Floats, given: Floats | None = None) -> Floats:
        """Deviates (N, D) that the flow makes samples (N, D) of."""
        return self._need().to_normal(*self._pair(x, given), self.solver)

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(array.size for array in self._need().field.network.get_arrays())

    def save(self, path: str | Path) -> None:
        """Write an HDF5 file."""
        fitted = self._need()
        arrays = standards_by_name(fitted.x, fitted.given)
        arrays |= weights_by_name(fitted.field.network.get_arrays())
        settings = {
            "seed": self.seed,
            "settings": asdict(self.settings),
            "solver": asdict(self.solver),
        }
        write_model(path, _KIND, settings, arrays)

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> MatchingFlow:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file is absent, broken, or of something else.
        """
        with opened_model(path, _KIND) as (stored, arrays):
            settings = stored["settings"]
            transport = settings["transport"]
            x, given = standards_of(arrays)
            flow = cls(
                x.mean.size,
                0 if given is None else given.mean.size,
                settings=MatchingSettings(
                    FieldSettings(**settings["network"]),
                    Annealing(**settings["training"]),
                    None if transport is None else OptimalTransport(**transport),
                ),
                solver=ode.Solver(**stored["solver"]),
                seed=stored["seed"],
                device=device,
            )
            flow._take(x, given, weights_of(arrays))
        return flow

    def _take(self, x: Standard, given: Standard | None, weights: Sequence[NDArray[Any]]) -> None:
        field = VectorField(self.settings.network, x, self.given_dimension, [self.seed])
        field.network.set_arrays(weights)
        field.requires_grad_(False)
        self._fitted = FittedField(x, given, field.to(self._device))

    def _need(self) -> FittedField:
        if self._fitted is None:
            raise untrained_flow()
        return self._fitted

    def _pair(self, x: Floats, given: Floats | None) -> tuple[Floats, Floats | None]:
        return checked_pair(x, given, self.dimension, self.given_dimension)


def fit_together(
    flows: Sequence[MatchingFlow],
    x: Floats,
    given: Floats | None = None,
    weights: Floats | None = None,
    *,
    progress: Progress,
    checkpoint: Checkpoint | None = None,
) -> list[list[float]]:
    """Fit an ensemble to the same samples at once.

    That is faster than one after the other where a network alone is too small for the device.

    Parameters
    ----------
    flows
        Of the same shape, settings and device; only their seeds differ.
    x, given, weights, progress, checkpoint
        As for :meth:`mwatlas.flows.flow.Flow.fit`.

    Returns
    -------
    list of lists
        The mean training loss of each flow in each epoch.

    Raises
    ------
    ConfigError
        If the flows differ in more than their seeds.
    InputError, TrainingError
        As for one flow.
    """
    first = flows[0]
    shapes = {(f.dimension, f.given_dimension, f.settings, f._device) for f in flows}
    if len(shapes) > 1:
        raise ConfigError(
            "only flows of one kind can be fitted together",
            item="flows",
            found=f"{len(shapes)} kinds of flow among {len(flows)}",
            expected="the same dimensions, settings and device",
            remedy="fit each kind on its own",
        )
    samples = checked_samples(x, given, weights, first.dimension, first.given_dimension)
    standard = Standard.of(samples.x, samples.weights, "x")
    condition = None
    if samples.given is not None:
        condition = Standard.of(samples.given, samples.weights, "given")

    def put(values: Floats) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float32).to(first._device)

    targets = Targets(
        put(standard.apply(samples.x)),
        None if condition is None or samples.given is None else put(condition.apply(samples.given)),
        put(samples.weights),
    )
    with progress.task("epochs", first.settings.training.epochs, "epochs") as advance:
        field, history = train_fields(
            targets, standard, first.settings, [f.seed for f in flows], advance, checkpoint
        )
    stacked = field.network.get_arrays()
    for member, flow in enumerate(flows):
        flow._take(standard, condition, [array[member : member + 1] for array in stacked])
    return [[epoch[member] for epoch in history] for member in range(len(flows))]
