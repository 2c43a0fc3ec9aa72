"""How many stars of the mock are expected to be observed, before any is drawn."""

from __future__ import annotations

import healpy
import numpy as np

from mwatlas.studies.conditional_potential.plummer import Plummer
from mwatlas.studies.conditional_potential.selection import Selection


def expected_share(sphere: Plummer, selection: Selection, shells: int = 128) -> float:
    """Share of the volume's stars that is expected to be observed.

    The mean of S over the density: over shells that hold equal shares of the stars, at the
    radii of Gauss and Legendre, and over the pixels of the grid of extinctions on each.

    Parameters
    ----------
    sphere
        Density of the stars.
    selection
        Share observed at each place.
    shells
        Number of radii.

    Returns
    -------
    float
    """
    nside = selection.extinction.nside
    pixels = np.arange(healpy.nside2npix(nside))
    sight = np.stack(healpy.pix2vec(nside, pixels, nest=True), axis=-1)
    node, weight = np.polynomial.legendre.leggauss(shells)
    radii = sphere.radius_at(0.5 * (1 + node))
    means = [selection.probability(radius * sight).mean() for radius in radii]
    return float(0.5 * weight @ means)


def stars_at_equal_density(observed: int, share: float, other_share: float) -> int:
    """Stars to observe of another mock, for the same density of all stars as this one.

    Kalda & Green (2026), Appendix D, so set the size of their dust-free mock.

    Parameters
    ----------
    observed
        Observed stars of this mock.
    share, other_share
        Expected share of stars observed in this and in the other one.
    """
    return round(observed * other_share / share)
