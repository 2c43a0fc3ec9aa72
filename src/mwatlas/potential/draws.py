"""Exact draws of positions and velocities that several steady systems share."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv
from torch import Tensor

from mwatlas.random import draw_directions

Floats = NDArray[np.float64]


def log_where_positive(value: Tensor) -> Tensor:
    """Natural logarithm; -inf, with a gradient of zero, where the value is not positive."""
    inside = value > 0
    # The logarithm never sees what it cannot take: its gradient there would be nan, not zero.
    return torch.where(inside, torch.log(torch.where(inside, value, 1.0)), -math.inf)


def log_power_law_velocity(square: Tensor, escape_square: Tensor, index: float) -> Tensor:
    """Ln of the density in velocity space that is proportional to (1 - v^2 / v_esc^2)^index.

    It belongs to f proportional to a power of energy. Its variance along each axis is
    v_esc^2 / (2 index + 5).

    Parameters
    ----------
    square
        v^2; shape (...,).
    escape_square
        Square of the speed where the density ends; shape (...,).
    index
        Greater than -1.

    Returns
    -------
    Tensor, shape (...,)
        Per unit of velocity cubed; -inf at v_esc and beyond.
    """
    log_norm = math.lgamma(index + 2.5) - math.lgamma(index + 1) - 1.5 * math.log(math.pi)
    share = log_where_positive(1 - square / escape_square)
    return log_norm + index * share - 1.5 * torch.log(escape_square)


def draw_power_law_velocities(
    escape_square: Floats, index: float, rng: np.random.Generator
) -> Floats:
    """Draw from :func:`log_power_law_velocity`: (v / v_esc)^2 follows Beta(3/2, index + 1).

    Parameters
    ----------
    escape_square
        Shape (N,).
    index
        Greater than -1.

    Returns
    -------
    float64, shape (N, 3)
    """
    speed = np.sqrt(escape_square * rng.beta(1.5, index + 1, escape_square.size))
    return speed[:, None] * draw_directions(escape_square.size, rng)


def draw_power_law_radii(
    n: int,
    core: float,
    inner: float,
    outer: float,
    r_max: float,
    rng: np.random.Generator,
) -> Floats:
    """Draw radii with density in space proportional to r^inner (r^2 + core^2)^(-outer/2).

    r^2 / (r^2 + core^2) follows Beta((3 + inner)/2, (outer - inner - 3)/2), cut at r_max.

    Parameters
    ----------
    core
        Core radius.
    inner, outer
        Exponents; outer > inner + 3, so that the number is finite.
    r_max
        Largest radius; may be infinite.

    Returns
    -------
    float64, shape (n,)
    """
    first, second = (3 + inner) / 2, (outer - inner - 3) / 2
    share = betainc(first, second, _share(core, r_max)) * rng.uniform(size=n)
    square = betaincinv(first, second, share)
    return core * np.sqrt(square / (1 - square))


def power_law_number(core: float, inner: float, outer: float, r_max: float) -> float:
    """Integral within r_max of the density of :func:`draw_power_law_radii`."""
    first, second = (3 + inner) / 2, (outer - inner - 3) / 2
    whole = 2 * math.pi * math.gamma(first) * math.gamma(second) / math.gamma(first + second)
    return whole * core ** (-2 * second) * float(betainc(first, second, _share(core, r_max)))


def _share(core: float, r_max: float) -> float:
    return 1.0 if math.isinf(r_max) else r_max**2 / (r_max**2 + core**2)


def gather(n: int, propose: Callable[[int], Floats]) -> Floats:
    """Collect the first n points that a rejection keeps.

    Parameters
    ----------
    n
        How many.
    propose
        Takes a number of trials and returns those kept, (K, 3) with K at most that number.

    Returns
    -------
    float64, shape (n, 3)
    """
    parts, found = [np.empty((0, 3))], 0
    while found < n:
        # A few more than needed, so that the last ones are not drawn one by one.
        kept = propose(2 * (n - found) + 64)
        parts.append(kept)
        found += len(kept)
    return np.concatenate(parts)[:n]
