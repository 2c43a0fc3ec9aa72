"""Sample weights of the loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from mwatlas.config.line_of_sight import Cuts

Floats = NDArray[np.float64]

_BINS = 50


def unit_weights(size: int) -> Floats:
    """Every star counts the same."""
    return np.ones(size)


def log2d_weights(longitude_deg: Floats, velocity_kms: Floats, cuts: Cuts) -> Floats:
    """Weights of D21's script, which favour rare combinations of l and v_los.

    Counts N(l, v) on 50 x 50 bins are interpolated linearly between bin centres;
    ``w = ln(1/N) - min + 1``. Where the interpolated count is below one star it is taken as
    one, since the logarithm has no value there.

    Parameters
    ----------
    longitude_deg, velocity_kms
        Shape (N,).
    cuts
        Gives the range of velocity.
    """
    limit = cuts.radial_velocity
    edges = [
        np.linspace(0, 360, _BINS + 1),
        np.linspace(float(limit.min or 0), float(limit.max or 0), _BINS + 1),
    ]
    counts, *_ = np.histogram2d(longitude_deg, velocity_kms, bins=edges)
    centres = [0.5 * (e[1:] + e[:-1]) for e in edges]
    points = np.stack(
        [
            np.clip(x, c[0], c[-1])
            for x, c in zip((longitude_deg, velocity_kms), centres, strict=True)
        ],
        axis=-1,
    )
    number = np.maximum(RegularGridInterpolator(centres, counts)(points), 1.0)
    weights = -np.log(number)
    return weights - weights.min() + 1
