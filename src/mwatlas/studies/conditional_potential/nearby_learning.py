"""The stage of the study that learns velocities, told to learn those of real stars."""

from __future__ import annotations

from mwatlas.config.conditional_potential import Flows
from mwatlas.config.flows import Flow

# Nothing is compared with stars kept for validation, so all of them teach.
_NONE_KEPT = 1e-12


def flows_of(velocities: Flow, device: str) -> Flows:
    """Settings of flows, of which only that of velocities is used, in bootstrapped members.

    Parameters
    ----------
    velocities
        The flow.
    device
        Where it trains.
    """
    return Flows(velocities=velocities, bootstrap=True, validation_share=_NONE_KEPT, device=device)
