"""What the methods and the networks of the study are called."""

from __future__ import annotations

from typing import Literal, get_args

METHODS = {
    "vanilla": "vanilla",
    "selection": "selection function",
    "conditional": "conditional",
}
"""Methods of Table 1 of Kalda & Green (2026) by the name they have in our tables."""

FIELDS = {
    "observed": "n_obs(x)",
    "weighted": "n(x) from weighted stars",
    "velocities": "p(v|x)",
    "scores": "scores of p(v|x)",
    "potential": "potential",
    "selection": "S(x)",
    "tracers": "n(x)",
}
"""What a network stands for, by the name it has in our tables; in the order of Table 2.

The paper takes scores from the flow itself."""

FlowKind = Literal["velocities", "observed", "weighted"]
"""Flows: p(v|x); n(x) of the observed stars; n(x) of all stars by weights."""

FLOWS: tuple[FlowKind, ...] = get_args(FlowKind)


def positions_of(method: str) -> str | None:
    """The flow of positions that a method needs, if any."""
    return {"vanilla": "weighted", "selection": "observed", "conditional": None}[method]
