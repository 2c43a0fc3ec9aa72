"""Covariance ellipses."""

from __future__ import annotations

from matplotlib.patches import Ellipse
from numpy.typing import ArrayLike

from mwatlas.distributions import principal_axes, tilt_deg

N_SIGMA = 1.0
"""Size of the ellipses drawn, in standard deviations along each axis."""


def ellipse(
    mean: tuple[float, float], covariance: ArrayLike, n_sigma: float = N_SIGMA, **style: object
) -> Ellipse:
    """Outline of a covariance ellipse.

    Parameters
    ----------
    mean
        Its centre.
    covariance
        Shape (2, 2), in the squares of the centre's units.
    n_sigma
        Half-lengths of its axes over the standard deviations along them.
    style
        Colour, line style and the like, as for any patch.
    """
    lengths, _ = principal_axes(covariance)
    major, minor = 2 * n_sigma * lengths
    return Ellipse(mean, major, minor, angle=tilt_deg(covariance), fill=False, **style)
