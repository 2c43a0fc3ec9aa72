"""Continuous flows as differential equations: samples, ln p and scores.

A flow moves standard normal deviates z at t = 0 along dz/dt = u(t, z) to the data at t = 1. Along
the path ln p changes by -div u dt (Chen et al. 2018, NeurIPS 31, theorem 1). The divergence is
exact, and scores are the derivatives of the integrated ln p itself: the plain route.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mwatlas.errors import ConfigError, TrainingError

Field = Callable[[float, Tensor], Tensor]
"""Velocities (N, D) at a time and places (N, D)."""

Rates = Callable[[float, Tensor], Tensor]


@dataclass(frozen=True)
class Solver:
    """How to integrate.

    Parameters
    ----------
    method
        ``rk4``: classical Runge-Kutta in equal steps. ``dopri5``: Dormand & Prince (1980),
        5(4), with steps that adapt to the worst row.
    steps
        Steps of ``rk4``.
    tolerance
        Of ``dopri5``: error of a step in units of 1 + |state|.
    precision
        Of the evaluation, whatever the training used.
    rows, score_rows
        Rows integrated at a time, without and with derivatives, which keep every step in memory.
    """

    method: Literal["rk4", "dopri5"] = "rk4"
    steps: int = 16
    tolerance: float = 1e-5
    precision: Literal["float32", "float64"] = "float32"
    rows: int = 16384
    score_rows: int = 512

    def __post_init__(self) -> None:
        choices = {"method": ("rk4", "dopri5"), "precision": ("float32", "float64")}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    "the solver is not known",
                    item=name,
                    found=getattr(self, name),
                    expected=" or ".join(allowed),
                    remedy=f"set {name} to one of them",
                )

    @property
    def dtype(self) -> torch.dtype:
        """Type of the numbers."""
        return torch.float64 if self.precision == "float64" else torch.float32


def integrate(rates: Rates, state: Tensor, start: float, end: float, solver: Solver) -> Tensor:
    """Integrate ``dstate/dt = rates(t, state)``; differentiable by the state.

    Parameters
    ----------
    rates
        Function of the time and of the state (N, K).
    state
        Where to begin; shape (N, K).
    start, end
        Times; backwards if ``end`` is less.
    solver
        How.

    Raises
    ------
    TrainingError
        If the state does not stay finite, or if steps become too short.
    """
    if not len(state):
        return state
    run = _dormand_prince if solver.method == "dopri5" else _runge_kutta
    end_state = run(rates, state, start, end, solver)
    if not torch.isfinite(end_state).all():
        bad = int((~torch.isfinite(end_state).all(dim=1)).nonzero()[0])
        raise _stuck(f"a state that is not finite, in row {bad} of {len(state)}", solver)
    return end_state


def divergence(field: Field, t: float, z: Tensor) -> tuple[Tensor, Tensor]:
    """Velocity (N, D) and its exact divergence (N,), by forward derivatives along each axis."""
    columns = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)

    def along(column: Tensor) -> tuple[Tensor, Tensor]:
        tangent = column.expand_as(z)
        value, change = torch.func.jvp(lambda y: field(t, y), (z,), (tangent,))[:2]
        return value, (change * column).sum(dim=1)

    # The velocity is computed once, and only its derivatives along each axis.
    values, parts = torch.func.vmap(along)(columns)
    return values[0], parts.sum(dim=0)


def from_normal(field: Field, z0: Tensor, solver: Solver) -> Tensor:
    """Data z(1) of deviates z(0); shape (N, D)."""
    return integrate(field, z0, 0.0, 1.0, solver)


def to_normal(field: Field, z1: Tensor, solver: Solver) -> tuple[Tensor, Tensor]:
    """Deviates z(0) (N, D) of data z(1), and the integral of the divergence (N,)."""
    dimension = z1.shape[1]

    def rates(t: float, state: Tensor) -> Tensor:
        velocity, spread = divergence(field, t, state[:, :dimension])
        return torch.cat([velocity, spread[:, None]], dim=1)

    state = torch.cat([z1, torch.zeros_like(z1[:, :1])], dim=1)
    state = integrate(rates, state, 1.0, 0.0, solver)
    return state[:, :dimension], -state[:, dimension]


def log_density(field: Field, z1: Tensor, solver: Solver) -> Tensor:
    """Ln p of data in standard units; shape (N,)."""
    z0, spread = to_normal(field, z1, solver)
    return -0.5 * (z0**2).sum(dim=1) - 0.5 * z1.shape[1] * math.log(2 * math.pi) - spread


def _runge_kutta(rates: Rates, state: Tensor, start: float, end: float, solver: Solver) -> Tensor:
    h = (end - start) / solver.steps
    for i in range(solver.steps):
        t = start + i * h
        k1 = rates(t, state)
        k2 = rates(t + 0.5 * h, state + 0.5 * h * k1)
        k3 = rates(t + 0.5 * h, state + 0.5 * h * k2)
        k4 = rates(t + h, state + h * k3)
        state = state + h / 6 * (k1 + 2 * (k2 + k3) + k4)
    return state


# Dormand & Prince (1980), J. Comp. Appl. Math. 6, 19, table 2: times, stages, and the difference
# of the results of fifth and fourth order. The last stage is the result of fifth order.
_TIMES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_STAGES: tuple[tuple[float, ...], ...] = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
_SHORTEST_STEP = 1e-7


def _dormand_prince(
    rates: Rates, state: Tensor, start: float, end: float, solver: Solver
) -> Tensor:
    t, h = start, (end - start) / 16
    first = rates(t, state)
    while t != end:
        last = abs(h) >= abs(end - t)
        if last:
            h = end - t
        stages = [first]
        after = state
        for share, row in zip(_TIMES[1:], _STAGES[1:], strict=True):
            after = state + h * _sum(row, stages)
            stages.append(rates(t + share * h, after))
        with torch.no_grad():
            error = (h * _sum(_ERROR, stages)).abs() / (1 + state.abs())
            worst = float(error.square().mean(dim=1).sqrt().max()) / solver.tolerance
        if worst <= 1:
            t, state, first = end if last else t + h, after, stages[-1]
        # A state that is not finite gives a NaN here: try a shorter step.
        h *= min(5.0, max(0.2, 0.9 * max(worst, 1e-10) ** -0.2)) if worst == worst else 0.2
        if t != end and abs(h) < _SHORTEST_STEP:
            raise _stuck(f"steps shorter than {_SHORTEST_STEP:g} at t = {t:.6f}", solver)
    return state


def _sum(factors: tuple[float, ...], stages: list[Tensor]) -> Tensor:
    out = factors[0] * stages[0]
    for factor, stage in zip(factors[1:], stages[1:], strict=True):
        if factor:
            out = out + factor * stage
    return out


def _stuck(found: str, solver: Solver) -> TrainingError:
    return TrainingError(
        "a flow cannot be integrated",
        item=f"{solver.method}, {solver.precision}",
        found=found,
        expected="a finite path from the data to the normal distribution",
        remedy="look for samples far outside the training data; else train longer or at a lower "
        "rate, or raise tolerance",
    )
