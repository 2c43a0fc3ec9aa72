"""Exact derivatives of scalar fields and of phase-space densities, by automatic differentiation.

Results carry a graph only if the points or the field's parameters ask for gradients.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import grad, jvp

ScalarField = Callable[[Tensor], Tensor]
"""Takes points (..., 3) and gives values (...,), each from its own point alone."""

PhaseField = Callable[[Tensor, Tensor], Tensor]
"""Takes positions and velocities (..., 3) and gives values (...,)."""


def gradient(field: ScalarField, x: Tensor) -> Tensor:
    """Gradient of a field.

    Parameters
    ----------
    field
        Differentiable function of points.
    x
        Points; shape (..., 3).

    Returns
    -------
    Tensor, shape (..., 3)
        In units of the field per unit of ``x``.
    """
    return grad(lambda points: field(points).sum())(x)


def gradient_and_laplacian(field: ScalarField, x: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient and Laplacian of a field, for the price of three gradients.

    Each second derivative is the change of the gradient along one axis, carried forward with it.

    Parameters
    ----------
    field
        Twice differentiable function of points.
    x
        Points; shape (..., 3).

    Returns
    -------
    gradient, laplacian
        Shapes (..., 3) and (...,).
    """

    def slope(points: Tensor) -> Tensor:
        return gradient(field, points)

    # Members that share points have them expanded, and jvp refuses shared memory.
    x = x.contiguous()
    first, laplacian = torch.zeros_like(x), torch.zeros_like(x[..., 0])
    for axis in range(3):
        along = torch.zeros_like(x)
        along[..., axis] = 1.0
        both = jvp(slope, (x,), (along,))
        first, laplacian = both[0], laplacian + both[1][..., axis]
    return first, laplacian


def scores(log_density: PhaseField, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of the logarithm of a density by position and by velocity.

    Parameters
    ----------
    log_density
        ln f(x, v) or ln p(v|x).
    x, v
        Positions and velocities; shape (..., 3).

    Returns
    -------
    by_position, by_velocity
        Shape (..., 3), per unit of ``x`` and per unit of ``v``.
    """
    both = grad(lambda a, b: log_density(a, b).sum(), argnums=(0, 1))(x, v)
    return both[0], both[1]
