"""How fast phase-space densities typically change at a place."""

from __future__ import annotations

import numpy as np

from mwatlas.potential.phase_samples import Floats, PhaseSamples

# Neighbours in distance whose medians are taken: 6 per cent each.
_GROUP = 256


def local_rate(samples: PhaseSamples) -> Floats:
    """Typical speed over the length on which the density changes, at each sample's distance.

    Both are medians over neighbours in distance from the origin. The length is at most the
    largest distance: densities that do not depend on place have no other.

    Parameters
    ----------
    samples
        N of them.

    Returns
    -------
    float64, shape (N,)
        In velocity over length; positive.
    """
    radius = np.linalg.norm(samples.x, axis=1)
    speed = np.linalg.norm(samples.v - np.median(samples.v, axis=0), axis=1)
    slope = np.linalg.norm(samples.score_x, axis=1)
    order = np.argsort(radius, kind="stable")
    groups = np.array_split(order, max(len(order) // _GROUP, 1))
    at, speeds, slopes = (
        np.array([np.median(values[group]) for group in groups])
        for values in (radius, speed, slope)
    )
    return np.interp(radius, at, speeds * np.hypot(slopes, 1 / radius.max()))
