"""Calibration of predicted uncertainties on stars that were not trained on.

A calibration replaces the standard deviation s of a prediction by g(s). The density is
stretched about its mean by g(s)/s, so the mean and the shape stay, and a normal stays normal.
g is made of straight pieces and starts at g(0) = 0:

* conformal: one factor for all stars, g(s) = f s, such that central 68 per cent intervals
  hold 68 per cent of the calibration stars (split conformal prediction with the distance from
  the mean, in units of the interval's reach on that side, as score; Lei et al. 2018, JASA 113,
  1094);
* isotonic: factors as for conformal in groups of stars of similar s, then a regression of the
  wanted on the predicted s that does not fall (Kuleshov, Fenner & Ermon 2018, ICML, do so for
  probabilities).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from mwatlas.predictive import CENTRAL, Predictive

Floats = NDArray[np.float64]

Method = Literal["conformal", "isotonic"]


@dataclass(frozen=True)
class SigmaMap:
    """The function g: ``slopes[k]`` holds above ``knots_kms[k]``; shape (B,) each.

    The first knot is zero, so no knot but the first is needed for a constant factor.
    """

    knots_kms: Floats
    slopes: Floats

    @property
    def bends(self) -> Floats:
        """Change of the slope at each knot; g is the sum of bend times distance above it."""
        return np.diff(self.slopes, prepend=0.0)

    def __call__(self, sigma_kms: Floats) -> Floats:
        """Values of g at standard deviations of shape (N,), in km/s."""
        return (np.maximum(sigma_kms[:, None] - self.knots_kms, 0.0) * self.bends).sum(axis=1)


def calibrated(predictive: Predictive, by: SigmaMap) -> Predictive:
    """Densities whose standard deviations are g of what they were."""
    sigma = predictive.std()
    return predictive.widened(by(sigma) / sigma)


def fit_calibration(
    predictive: Predictive, velocity_kms: Floats, method: Method, groups: int
) -> SigmaMap:
    """Calibration from predictions for stars with a known velocity.

    Parameters
    ----------
    predictive
        Predictions for N stars that were not trained on.
    velocity_kms
        Their velocities; shape (N,).
    method
        See the module.
    groups
        Number of groups of equally many stars of the isotonic method.
    """
    scores = _scores(predictive, velocity_kms)
    if method == "conformal":
        return SigmaMap(np.zeros(1), np.array([_factor(scores)]))
    sigma = predictive.std()
    members = [
        rows for rows in np.array_split(np.argsort(sigma, kind="stable"), groups) if rows.size
    ]
    medians = np.array([np.median(sigma[rows]) for rows in members])
    factors = np.array([_factor(scores[rows]) for rows in members])
    # Groups of one sigma, where many stars share it, count as one.
    centre, which, weight = np.unique(medians, return_inverse=True, return_counts=True)
    wanted = centre * np.bincount(which, factors) / weight
    return _through_origin(centre, isotonic_regression(wanted, weights=weight).x)


def _scores(predictive: Predictive, velocity_kms: Floats) -> Floats:
    """Least stretch about the mean that brings each velocity into the central 68 per cent."""
    mean = predictive.mean()
    ends = predictive.quantile(CENTRAL[68])
    off = velocity_kms - mean
    reach = np.where(off < 0, ends[:, 0], ends[:, 1]) - mean
    # Where the mean lies outside of the interval no stretch about it helps on one side.
    helps = reach * off > 0
    return np.where(helps, off / np.where(helps, reach, 1.0), np.where(off == 0, 0.0, np.inf))


def _factor(scores: Floats) -> float:
    """Split-conformal quantile: for a new star, the coverage is nominal on average."""
    low, high = CENTRAL[68]
    rank = int(np.ceil((high - low) * (scores.size + 1)))
    return float(np.sort(scores)[min(rank, scores.size) - 1])


def _through_origin(centre: Floats, level: Floats) -> SigmaMap:
    """Straight lines through the points, with constant factors below and above them."""
    knots = np.concatenate([[0.0], centre])
    slopes = np.diff(np.concatenate([[0.0], level])) / np.diff(knots)
    return SigmaMap(knots, np.append(slopes, level[-1] / centre[-1]))
