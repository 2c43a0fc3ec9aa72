"""Whether velocities tell the potential and a density of tracers, or a selection, apart.

Where p(v|x) is normal, its slope by velocity is proportional to the velocity itself, and the
equation is fulfilled by any potential with a density to match (Kalda & Green 2026, appendix C).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from mwatlas.errors import InputError
from mwatlas.potential.phase_samples import Floats, PhaseSamples
from mwatlas.random import block_generator

_PLACES = 256
_NEIGHBOURS = 256
# Slopes by networks in single precision (6e-8) lose two digits or so on the way.
_PRECISION = 1e-5
# The fields are not to be trusted if they may be off by this part of themselves.
_TOLERATED = 0.5


@dataclass(frozen=True)
class Degeneracy:
    """How well two gradients at one place are told apart.

    Changes d of the gradient of the potential and -d / sigma^2 of that of ln n alter the residual
    by d . (s + v / sigma^2), s the slope of ln p by velocity. With the best sigma, its mean square
    is a share of that of d . s: ``own_share``. It is zero for a normal distribution, and 1/7 for
    an isotropic Plummer sphere. A misfit of the equation of m times d . s then allows for an
    error of m / sqrt(own_share) times d.

    Parameters
    ----------
    own_share
        Median over places, for the worst direction.
    misfit
        Typical residual over the typical term of the acceleration in it.
    """

    own_share: float
    misfit: float

    @property
    def threshold(self) -> float:
        """The share at which the misfit, or rounding, allows for an error of one half."""
        return (max(self.misfit, _PRECISION) / _TOLERATED) ** 2

    @property
    def degenerate(self) -> bool:
        """Whether the fields must not be trusted."""
        return self.own_share <= self.threshold

    @property
    def possible_error(self) -> float:
        """Relative error of the gradients that the misfit allows for."""
        return max(self.misfit, _PRECISION) / max(self.own_share, np.finfo(float).tiny) ** 0.5

    def message(self) -> str:
        """The verdict in words."""
        numbers = (
            f"{self.own_share:.2g} of the slope by velocity is not proportional to velocity; "
            f"with a misfit of {self.misfit:.2g} more than {self.threshold:.2g} is needed"
        )
        if self.degenerate:
            return (
                "the velocities are too close to a normal distribution: potential and density of "
                f"tracers (or selection) are degenerate and must not be trusted ({numbers})"
            )
        return f"the velocities determine potential and density of tracers ({numbers})"


def own_share(samples: PhaseSamples) -> float:
    """Share of the slope by velocity that is not linear in velocity, for the worst direction.

    At some places, among the nearest samples: what a regression on velocity, on position and on
    their products leaves. Mean velocity and dispersion may thus change with position.

    Parameters
    ----------
    samples
        512 or more, so that places have neighbours.

    Returns
    -------
    float
        From 0 (a normal distribution) to 1; the median over the places.

    Raises
    ------
    InputError
        If there are too few samples.
    """
    if len(samples) < 2 * _NEIGHBOURS:
        raise InputError(
            "too few samples to tell whether velocities are normal",
            item="samples",
            found=len(samples),
            expected=f"{2 * _NEIGHBOURS} or more",
            remedy="draw more samples",
        )
    rng = block_generator(0, "potential/places", 0)
    places = rng.choice(len(samples), min(_PLACES, len(samples)), replace=False)
    _, near = cKDTree(samples.x).query(samples.x[places], _NEIGHBOURS)
    # In units of their spread, so that rounding does not depend on the units.
    x, v, slope = (
        (values[near] - values[near].mean(axis=1, keepdims=True)) / values.std()
        for values in (samples.x, samples.v, samples.score_v)
    )
    products = (x[..., :, None] * v[..., None, :]).reshape(*near.shape, 9)
    of_place = np.concatenate([np.ones((*near.shape, 1)), x], axis=-1)
    whole = _left(slope, of_place)
    own = _left(slope, np.concatenate([of_place, v, products], axis=-1))
    # The smallest eigenvalues of own in units of whole.
    shares = np.linalg.eigvals(np.linalg.solve(whole, own)).real.min(axis=1)
    return float(np.median(shares).clip(0.0))


def misfit(samples: PhaseSamples, residual: Floats, acceleration: Floats) -> float:
    """Typical residual over the typical term of the acceleration in it.

    Parameters
    ----------
    samples
        N of them.
    residual, acceleration
        Of a solution there; shapes (N,) and (N, 3).

    Returns
    -------
    float
    """
    term = np.abs((acceleration * samples.score_v).sum(axis=1))
    return float(np.median(np.abs(residual)) / np.median(term))


def _left(values: Floats, columns: Floats) -> Floats:
    """Covariance of what a regression leaves, for as many degrees of freedom; shape (P, 3, 3)."""
    basis = np.linalg.qr(columns).Q
    left = values - basis @ (basis.swapaxes(1, 2) @ values)
    return left.swapaxes(1, 2) @ left / (columns.shape[1] - columns.shape[2])
