"""Summaries of distributions: quantiles, containment, covariance ellipses, normal fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import curve_fit, minimize
from scipy.special import ndtr

from mwatlas.errors import InputError

Floats = NDArray[np.float64]


def histogram_quantile(edges: ArrayLike, counts: ArrayLike, levels: ArrayLike) -> Floats:
    """Quantiles of binned values, uniform within a bin; NaN for an empty histogram.

    Parameters
    ----------
    edges, counts
        Shapes (B + 1,) and (B,).
    levels
        Quantiles between 0 and 1; shape (Q,).
    """
    edges, counts = np.asarray(edges, dtype=float), np.asarray(counts, dtype=float)
    levels = np.asarray(levels, dtype=float)
    if counts.sum() == 0:
        return np.full(levels.shape, np.nan)
    cumulative = np.concatenate([[0.0], np.cumsum(counts)]) / counts.sum()
    # Empty bins make the cumulative flat; keep the first edge that reaches each level.
    keep = np.concatenate([[True], np.diff(cumulative) > 0])
    keep[np.argmax(counts > 0)] = True
    return np.interp(levels, cumulative[keep], edges[keep])


def containment_levels(
    counts: ArrayLike,
    shares: ArrayLike,
    *,
    density: ArrayLike | None = None,
    total: float | None = None,
) -> Floats:
    """Largest thresholds such that the bins at or above them hold shares of the entries.

    For equal bins these are the smallest regions that do so (Hyndman 1996).

    Parameters
    ----------
    counts
        Entries in bins of any number of dimensions.
    shares
        Shares between 0 and 1 that the regions must hold; shape (S,).
    density
        What orders the bins, of the shape of ``counts``, for instance a smoothed map of them;
        by default the counts themselves.
    total
        Entries of which the shares are, where some lie in no bin; by default the sum of
        ``counts``.

    Returns
    -------
    Floats
        Thresholds in ``density``, shape (S,); NaN where all bins together hold too little.
    """
    shares = np.asarray(shares, dtype=float)
    counts = np.ravel(counts).astype(float)
    density = counts if density is None else np.ravel(density).astype(float)
    order = np.argsort(-density, kind="stable")
    held = np.cumsum(counts[order])
    whole = held[-1] if total is None else total
    # Sums of averages over draws are off by rounding; a share of 1 must still be reached.
    place = np.searchsorted(held, shares * whole * (1 - 1e-12))
    reached = (place < held.size) & (whole > 0)
    return np.where(reached, density[order][np.minimum(place, held.size - 1)], np.nan)


def principal_axes(covariance: ArrayLike) -> tuple[Floats, Floats]:
    """Half-lengths and directions of the axes of covariance ellipses or ellipsoids.

    Parameters
    ----------
    covariance
        Shape (..., D, D).

    Returns
    -------
    tuple
        Square roots of the eigenvalues in decreasing order, shape (..., D), and the directions as
        the columns of matrices, shape (..., D, D). NaN where the covariance has missing values.
    """
    matrix = np.asarray(covariance, dtype=float)
    whole = np.isfinite(matrix).all(axis=(-2, -1))
    values, vectors = np.linalg.eigh(np.where(whole[..., None, None], matrix, 0.0))
    lengths = np.sqrt(np.clip(values[..., ::-1], 0, None))
    return (
        np.where(whole[..., None], lengths, np.nan),
        np.where(whole[..., None, None], vectors[..., ::-1], np.nan),
    )


def tilt_deg(covariance: ArrayLike) -> Floats:
    """Angle between the major axis of covariance ellipses and the first axis.

    Parameters
    ----------
    covariance
        Shape (..., 2, 2).

    Returns
    -------
    float64, shape (...)
        Degrees from the first axis towards the second, in (-90, 90]. Dropulic et al. (2022),
        Table 2.
    """
    _, directions = principal_axes(covariance)
    angle = np.degrees(np.arctan2(directions[..., 1, 0], directions[..., 0, 0]))
    return 90.0 - (90.0 - angle) % 180.0


@dataclass(frozen=True)
class NormalFit:
    """A normal distribution fitted to a histogram."""

    mean: float
    sigma: float
    mean_error: float
    sigma_error: float
    area: float
    """Area under the fitted curve over that of the histogram."""


def _check_histogram(counts: Floats) -> None:
    if (counts > 0).sum() < 3:
        raise InputError(
            "a normal distribution cannot be fitted",
            item="pull",
            found=f"{int((counts > 0).sum())} bins with entries",
            expected="at least 3",
            remedy="use more stars, or widen binning.pull in config/studies/line_of_sight.yaml",
        )


def fit_normal(edges: ArrayLike, counts: ArrayLike) -> NormalFit:
    """Maximum-likelihood fit of a normal distribution to counts, truncated to their range.

    Parameters
    ----------
    edges, counts
        Shapes (B + 1,) and (B,).

    Raises
    ------
    InputError
        If fewer than three bins have entries.
    """
    edges, counts = np.asarray(edges, dtype=float), np.asarray(counts, dtype=float)
    _check_histogram(counts)
    centres = 0.5 * (edges[1:] + edges[:-1])
    total = counts.sum()
    mean = float((counts * centres).sum() / total)
    sigma = float(np.sqrt((counts * (centres - mean) ** 2).sum() / total))

    def negative_log_likelihood(parameters: Floats) -> float:
        cumulative = ndtr((edges - parameters[0]) / np.exp(parameters[1]))
        share = np.clip(np.diff(cumulative), 1e-300, None) / (cumulative[-1] - cumulative[0])
        return float(-(counts * np.log(share)).sum() / total)

    best = minimize(
        negative_log_likelihood,
        [mean, np.log(sigma)],
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-12},
    ).x
    sigma = float(np.exp(best[1]))
    inside = float(np.diff(ndtr((edges[[0, -1]] - best[0]) / sigma))[0])
    return NormalFit(
        float(best[0]),
        sigma,
        sigma / float(np.sqrt(total)),
        sigma / float(np.sqrt(2 * total)),
        1 / inside,
    )


def fit_normal_least_squares(edges: ArrayLike, counts: ArrayLike) -> NormalFit:
    """Least-squares fit of a scaled normal curve to a histogram, as plotting tools do it.

    It follows the core of a heavy-tailed distribution, where the likelihood follows the
    variance. Same arguments and errors as :func:`fit_normal`.
    """
    edges, counts = np.asarray(edges, dtype=float), np.asarray(counts, dtype=float)
    _check_histogram(counts)
    centres = 0.5 * (edges[1:] + edges[:-1])
    start = fit_normal(edges, counts)
    best, covariance = curve_fit(
        lambda x, a, m, s: a * np.exp(-0.5 * ((x - m) / s) ** 2),
        centres,
        counts,
        p0=[counts.max(), start.mean, start.sigma],
    )
    errors = np.sqrt(np.diag(covariance))
    sigma = float(abs(best[2]))
    area = float(best[0]) * sigma * np.sqrt(2 * np.pi) / float((counts * np.diff(edges)).sum())
    return NormalFit(float(best[1]), sigma, float(errors[1]), float(errors[2]), float(area))
