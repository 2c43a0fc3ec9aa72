"""Trials of a search: one flow, or one potential, with other hyper-parameters.

A flow is judged by the mean ln p of validation stars, the networks of a solver by their loss on
validation samples (Kalda & Green 2026, Appendix A). Training costs the same in all trials of a
flow, or larger networks and more steps would always win: its epochs follow from its weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.conditional_potential import Flows
from mwatlas.config.flows import Flow
from mwatlas.config.search import EPOCHS, Search, Searched, changed
from mwatlas.config.solvers import Solver
from mwatlas.flows.data import Standard
from mwatlas.flows.vector_field import VectorField
from mwatlas.learning.search import Outcome, Values
from mwatlas.progress import Progress
from mwatlas.random import keyed_uniform
from mwatlas.studies.conditional_potential.names import FlowKind
from mwatlas.studies.conditional_potential.solving import Draws, solve_draws
from mwatlas.studies.conditional_potential.training import (
    Stars,
    is_validation,
    make_flow,
    matching_settings,
)

KINDS: dict[str, FlowKind] = {"velocities": "velocities", "positions": "observed"}
"""What flows learn, by the name of their settings."""

COST_OF_A_ROW = 2**14
"""What a row costs beside the weights it meets, in weights: on one core 2.5 us and 0.17 ns each."""

MEMBER = 0
"""Trials are those of the first member."""


class FlowTrials:
    """Trials of a flow: training on a share of the stars, ln p of validation stars.

    Parameters
    ----------
    network
        Of velocities, or of the observed positions.
    flows, search
        Settings of the study's flows, and of the search.
    stars
        Observed stars.
    seed
        Seed of the run.
    progress
        Where to report epochs.
    """

    def __init__(
        self,
        network: Searched,
        flows: Flows,
        search: Search,
        stars: Stars,
        seed: int,
        progress: Progress,
    ) -> None:
        self._network, self._flows, self._seed, self._progress = network, flows, seed, progress
        judges = is_validation(stars.star_id, flows, seed)
        uniform = keyed_uniform(seed, "conditional_potential/search", stars.star_id)
        number = min(search.validation_stars, int(judges.sum()))
        # The same stars whatever the partitions.
        judges &= uniform <= np.sort(uniform[judges])[number - 1]
        learns = ~is_validation(stars.star_id, flows, seed) & (uniform < search.share)
        self._learned, self._judged = self._columns(stars[learns]), self._columns(stars[judges])
        self._own: Flow = getattr(flows, network)
        own = flow_weights(self._own, self._learned[1] is not None)
        self._cost = self._own.training.epochs * (own + COST_OF_A_ROW)

    @property
    def arrays(self) -> list[NDArray[Any]]:
        """What flows learn from and are judged by."""
        return [a for a in (*self._learned, *self._judged) if a is not None]

    @property
    def context(self) -> str:
        """Settings that decide the outcome."""
        return f"{self._own.model_dump_json()} {self._flows.device}"

    def __call__(self, values: Values) -> Outcome:
        """Train a flow and judge it.

        Raises
        ------
        TrainingError
            If the training diverges.
        """
        flow = changed(self._own, values)
        weights = flow_weights(flow, self._learned[1] is not None)
        epochs = max(round(self._cost / (weights + COST_OF_A_ROW)), 1)
        flow = changed(flow, {EPOCHS: epochs})
        # A trial has its own epochs, whatever a variant makes of them.
        flows = self._flows.model_copy(update={self._network: flow, "repeats": 1})
        model = make_flow(KINDS[self._network], flows, MEMBER, self._seed)
        model.fit(*self._learned, progress=self._progress)
        value = float(model.log_prob(*self._judged).mean())
        return Outcome(value, {"parameters": weights, "epochs": epochs})

    def _columns(self, stars: Stars) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        if self._network == "velocities":
            return stars.velocity, stars.position_kpc
        return stars.position_kpc, None


class SolverTrials:
    """Trials of a method's solver on the samples that the study's first member has.

    Parameters
    ----------
    draws
        Samples to solve with, and to validate.
    solver, device
        Settings of the study's solver, and where it computes.
    seed
        Seed of the run.
    progress
        Where to report rounds.
    """

    def __init__(
        self, draws: Draws, solver: Solver, device: str, seed: int, progress: Progress
    ) -> None:
        self._draws, self._solver, self._device = draws, solver, device
        self._seed, self._progress = seed, progress

    def __call__(self, values: Values) -> Outcome:
        """Solve, and take the loss on the validation.

        Raises
        ------
        TrainingError
            If the training diverges.
        """
        ensemble = solve_draws(
            self._draws,
            MEMBER,
            changed(self._solver, values),
            self._device,
            self._seed,
            progress=self._progress,
        )
        counts, verdict = ensemble.parameter_counts(), ensemble.degeneracy
        return Outcome(
            ensemble.validation_loss[0],
            {
                "parameters_potential": counts["potential"],
                "parameters_extra": counts["extra"],
                "degenerate": verdict is not None and verdict.degenerate,
            },
        )


def flow_weights(flow: Flow, conditional: bool) -> int:
    """Number of weights of a flow of three columns, conditional on three others or on none."""
    unit = Standard(np.zeros(3), np.ones(3))
    field = VectorField(matching_settings(flow).network, unit, 3 if conditional else 0, [0])
    return sum(parameter.numel() for parameter in field.network.parameters())
