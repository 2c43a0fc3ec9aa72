"""How far the scores of two densities are apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mwatlas.flows.data import checked_samples
from mwatlas.flows.flow import Density

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ScoreDifference:
    """Distribution over the rows of |s - s_reference| / |s_reference|.

    Parameters
    ----------
    rows
        Number of rows compared.
    by_x, by_given
        Quantiles 50, 90 and 99 % for the derivatives by x and by given (None without).
    whole
        The same for all derivatives together, each in units of its root mean square.
    """

    rows: int
    by_x: tuple[float, float, float]
    by_given: tuple[float, float, float] | None
    whole: tuple[float, float, float]


def compare_scores(
    density: Density, reference: Density, x: Floats, given: Floats | None = None
) -> ScoreDifference:
    """Compare the scores of a density, for instance a quick route, with those of a reference.

    Parameters
    ----------
    density, reference
        Of the same dimensions.
    x, given
        Where to compare; shapes (N, D) and (N, C).

    Raises
    ------
    InputError
        If there are no rows, or if they are not finite or of another dimension.
    """
    samples = checked_samples(x, given, None, density.dimension, density.given_dimension)
    ours, theirs = (each.score(samples.x, samples.given) for each in (density, reference))
    by_given = None
    if ours[1] is not None and theirs[1] is not None:
        by_given = relative_difference(ours[1], theirs[1])
    mine, other = (
        np.concatenate([part for part in pair if part is not None], axis=1)
        for pair in (ours, theirs)
    )
    scale = np.sqrt((other**2).mean(axis=0))
    return ScoreDifference(
        len(mine),
        relative_difference(ours[0], theirs[0]),
        by_given,
        relative_difference(mine / scale, other / scale),
    )


def relative_differences(values: Floats, reference: Floats) -> Floats:
    """|values - reference| / |reference| of each row, shape (N,); both (N, K)."""
    return np.linalg.norm(values - reference, axis=1) / np.linalg.norm(reference, axis=1)


def relative_difference(values: Floats, reference: Floats) -> tuple[float, float, float]:
    """Quantiles 50, 90 and 99 % of :func:`relative_differences`."""
    apart = relative_differences(values, reference)
    half, most, nearly_all = np.quantile(apart, [0.5, 0.9, 0.99])
    return float(half), float(most), float(nearly_all)
