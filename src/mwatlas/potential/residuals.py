"""How far a distribution and a potential are from a steady state, and the loss made of it.

All three methods ask that the collisionless Boltzmann equation holds with no change in time, at
rest or in a rotating frame (Green et al. 2023, section 2; Kalda & Green 2026, section 2 and
table 1). They differ in what the density is made of. Residuals are the rate of change of ln f,
in velocity over length; times f they are the rate of change of f. Leading axes broadcast, so an
ensemble may share its points.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mwatlas.potential.parameters import require
from mwatlas.potential.rotating_frame import RotatingFrame


def vanilla_residual(
    x: Tensor,
    v: Tensor,
    score_x: Tensor,
    score_v: Tensor,
    potential_gradient: Tensor,
    frame: RotatingFrame | None = None,
) -> Tensor:
    """Rate of change of ln f that follows from the Boltzmann equation.

    ``-(v - u) . d ln f / dx + (grad Phi + w) . d ln f / dv``, with u and w of the frame.

    Parameters
    ----------
    x, v
        Positions and velocities; shape (..., 3). Kpc and km/s if there is a frame.
    score_x, score_v
        Derivatives of ln f by position and velocity; shape (..., 3).
    potential_gradient
        Gradient of the potential, minus the acceleration; shape (..., 3).
    frame
        The frame that should see a steady state; None for one at rest.

    Returns
    -------
    Tensor, shape (...,)
    """
    streaming, force = v, potential_gradient
    if frame is not None:
        streaming, force = v - frame.u(x), potential_gradient + frame.w(v)
    return (force * score_v - streaming * score_x).sum(dim=-1)


def selection_residual(
    x: Tensor,
    v: Tensor,
    observed_score_x: Tensor,
    observed_score_v: Tensor,
    potential_gradient: Tensor,
    log_selection_gradient: Tensor,
    frame: RotatingFrame | None = None,
) -> Tensor:
    """The residual if the observed density is the true one times a selection function S(x).

    Parameters
    ----------
    x, v, potential_gradient, frame
        As in :func:`vanilla_residual`.
    observed_score_x, observed_score_v
        Derivatives of the logarithm of the observed density; shape (..., 3).
    log_selection_gradient
        Gradient of ln S; shape (..., 3).

    Returns
    -------
    Tensor, shape (...,)
    """
    true_score_x = observed_score_x - log_selection_gradient
    return vanilla_residual(x, v, true_score_x, observed_score_v, potential_gradient, frame)


def conditional_residual(
    x: Tensor,
    v: Tensor,
    conditional_score_x: Tensor,
    conditional_score_v: Tensor,
    potential_gradient: Tensor,
    log_tracer_gradient: Tensor,
    frame: RotatingFrame | None = None,
) -> Tensor:
    """The residual if f = n(x) p(v|x), where only p is taken from the stars.

    Positions may follow any distribution; only the velocities must follow p.

    Parameters
    ----------
    x, v, potential_gradient, frame
        As in :func:`vanilla_residual`.
    conditional_score_x, conditional_score_v
        Derivatives of ln p(v|x) by position and velocity; shape (..., 3).
    log_tracer_gradient
        Gradient of ln n, the true density of the tracers; shape (..., 3).

    Returns
    -------
    Tensor, shape (...,)
    """
    score_x = conditional_score_x + log_tracer_gradient
    return vanilla_residual(x, v, score_x, conditional_score_v, potential_gradient, frame)


def penalty(values: Tensor, scale: float) -> Tensor:
    """``asinh(scale |values|) / scale``: |values| if small, its logarithm if large."""
    return torch.asinh(scale * values.abs()) / scale


@dataclass(frozen=True)
class BoltzmannLoss:
    """The loss of potentials (Green et al. 2023, equations 9 to 13).

    Parameters
    ----------
    alpha
        Scale of the penalty on the residual, in one over its units.
    beta
        Scale of the penalty on negative densities, in one over units of the Laplacian.
    density_weight
        Weight of the penalty on negative densities; lambda in the paper.

    Raises
    ------
    ConfigError
        If a scale is not positive or the weight is negative.
    """

    alpha: float = 1.0
    beta: float = 1.0
    density_weight: float = 1.0

    def __post_init__(self) -> None:
        for item in ("alpha", "beta"):
            value = getattr(self, item)
            require(value > 0, item, value, "a positive number")
        weight = self.density_weight
        require(weight >= 0, "density_weight", weight, "zero or a positive number")

    def per_sample(self, residual: Tensor, laplacian: Tensor) -> Tensor:
        """Penalties on the residual and on negative density, before the mean.

        Parameters
        ----------
        residual
            Shape (..., N).
        laplacian
            Laplacian of the potential; shape (..., N).

        Returns
        -------
        Tensor, shape (..., N)
        """
        negative = penalty(torch.clamp(-laplacian, min=0.0), self.beta)
        return penalty(residual, self.alpha) + self.density_weight * negative

    def __call__(
        self, residual: Tensor, laplacian: Tensor, weight_penalty: Tensor | float = 0.0
    ) -> Tensor:
        """Logarithm of the mean penalty, plus a penalty on the weights of networks.

        The samples must follow the density whose scores made the residual; the mean has no
        weights.

        Parameters
        ----------
        residual, laplacian
            Shape (..., N).
        weight_penalty
            Already times its strength; shape (...,) or a number.

        Returns
        -------
        Tensor, shape (...,)
            One loss for each member of an ensemble.
        """
        return torch.log(self.per_sample(residual, laplacian).mean(dim=-1)) + weight_penalty
