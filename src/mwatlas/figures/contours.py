"""Containment contours of binned samples, of few stars as of millions."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from mwatlas.distributions import containment_levels, histogram_quantile
from mwatlas.figures.planes import Plane
from mwatlas.figures.style import LineStyle

Floats = NDArray[np.float64]

CONTAINMENT = (0.3, 0.6, 0.9)
"""Shares of the stars that contours hold: Dropulic et al. (2022), Figures 4, 6 and 7."""

FEWEST = 10
"""Fewer stars than this have no contours."""

# A normal distribution's interquartile range over its standard deviation.
_QUARTILES_OF_NORMAL = 1.349
# Bins of width 1 spread their entries by this variance already.
_VARIANCE_OF_BIN = 1 / 12
# Where the Gaussian ends, in its widths.
_TRUNCATE = 4.0


def scott_widths(counts: ArrayLike) -> tuple[float, float]:
    """Widths in bins, along both axes, of the Gaussian that smooths a two-dimensional histogram.

    Scott's rule (Scott 1992, section 6.3): a standard deviation over the sixth root of the
    number of stars, here the smaller of the sample's own and the one its quartiles give, so
    that wide tails do not blur a narrow core. What the bins blur already is taken off, so that
    nothing is smoothed once stars are so many that bins limit what is seen.

    Parameters
    ----------
    counts
        Stars in the bins, averaged over error draws: the draws of a star are no stars of their
        own. Shape (X, Y).
    """
    counts = np.asarray(counts, dtype=float)
    number = counts.sum()
    if number < 1:
        return 0.0, 0.0
    widths = []
    for axis in (0, 1):
        marginal = counts.sum(axis=1 - axis)
        edges = np.arange(marginal.size + 1.0)
        middle = 0.5 * (edges[1:] + edges[:-1])
        mean = (marginal * middle).sum() / number
        sigma = np.sqrt((marginal * (middle - mean) ** 2).sum() / number)
        low, high = histogram_quantile(edges, marginal, [0.25, 0.75])
        scott = min(sigma, (high - low) / _QUARTILES_OF_NORMAL) * number ** (-1 / 6)
        widths.append(float(np.sqrt(max(scott**2 - _VARIANCE_OF_BIN, 0.0))))
    return widths[0], widths[1]


def contour_levels(plane: Plane) -> tuple[Floats, Floats]:
    """Smoothed map of a sample, and levels whose contours hold shares of its parent population.

    The contour of a share passes through the quantile of the density at the stars (Hyndman
    1996), each star without what it adds to the map itself. Otherwise smoothing would make
    contours of few stars hold too many, or the stars' own peaks too few, of the population.

    Parameters
    ----------
    plane
        The sample.

    Returns
    -------
    tuple
        The map, shape (X, Y), and a level for each of :data:`CONTAINMENT`, NaN where too many
        stars lie alone or outside of the plane.
    """
    widths = scott_widths(plane.counts)
    density = gaussian_filter(plane.counts, widths, mode="constant", truncate=_TRUNCATE)
    own = _peak(widths[0]) * _peak(widths[1])
    levels = containment_levels(plane.counts, CONTAINMENT, density=density, total=plane.number)
    return density, np.where(levels > own, levels - own, np.nan)


def _peak(width: float) -> float:
    """Density that smoothing leaves of one star in its own bin, along one axis."""
    if not width:
        return 1.0
    reach = int(_TRUNCATE * width + 0.5)
    return float(1 / np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2).sum())


def draw_contours(axes: Axes, plane: Plane, colour: str, line: LineStyle) -> bool:
    """Draw the containment contours of a sample, legible on light and on dark.

    Parameters
    ----------
    axes
        Where to draw.
    plane
        The sample.
    colour, line
        Colour and style of the lines.

    Returns
    -------
    bool
        Whether there were stars enough for any.
    """
    if plane.counts.sum() < FEWEST:
        return False
    density, levels = contour_levels(plane)
    levels = np.unique(levels[np.isfinite(levels)])
    if not levels.size:
        return True
    x, y = plane.centres
    lines = axes.contour(
        x, y, density.T, levels=levels, colors=colour, linestyles=[line], linewidths=1.2
    )
    lines.set(path_effects=[withStroke(linewidth=2.2, foreground="white")])
    return True
