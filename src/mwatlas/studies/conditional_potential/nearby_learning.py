"""The stage of the study that learns velocities, told to learn those of real stars."""

from __future__ import annotations

from mwatlas.config.conditional_potential import Flows
from mwatlas.config.flows import Distillation, Flow


def flows_of(device: str, **chosen: Flow | Distillation) -> Flows:
    """Settings of flows for the velocities of real stars, in bootstrapped members.

    Parameters
    ----------
    device
        Where networks train.
    chosen
        Those of the study's flows that a job uses: ``velocities`` or ``distillation``.
    """
    # Nothing is compared with stars kept for validation, so all of them teach.
    settings = {"bootstrap": True, "validation_share": 0.0, "device": device}
    return Flows.model_validate({**settings, **chosen})
