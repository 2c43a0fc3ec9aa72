"""What the members of clusters look like, and which of them are bright enough to be seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mwatlas.astrometry.frames import galactic_angles
from mwatlas.config.sky import SkySurvey
from mwatlas.photometry import EXTINCTION_RATIOS
from mwatlas.random import block_generator
from mwatlas.sky.chemistry import nearest_track, overall_metallicity
from mwatlas.sky.clusters import Clusters
from mwatlas.sky.dust import SkyDust
from mwatlas.sky.stars import Library
from mwatlas.sky.visibility import distance_modulus
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

COMPONENT = 5
"""Code of cluster members in the truth table."""


def visible_members(
    clusters: Clusters,
    windows: list[tuple[float, float]],
    first: int,
    alpha_m: float,
    survey: SkySurvey,
    library: Library,
    dust: SkyDust,
) -> Columns:
    """Members of all clusters that are within the limits of the source table.

    Members of clusters so distant or dusty that none of their stars is bright enough are left
    out.

    Parameters
    ----------
    clusters
        The clusters.
    windows, first
        Ranges of ages of clusters, and the index of the first of them in the library.
    alpha_m
        Their [alpha/M].
    survey
        Limits.
    library, dust
        What stars look like, and what dims them.

    Returns
    -------
    Columns
        In order of their HEALPix index, as the generator of field stars makes them.
    """
    stars = clusters.stars
    size = stars["index"].size
    rng = block_generator(clusters.seed, "sky/cluster looks", 0)
    middle = np.array([0.5 * sum(limits) for limits in windows])
    nearest = np.abs(np.log(middle) - np.log(stars["age_gyr"])[:, None])
    member = first + np.argmin(nearest, axis=1)
    alpha = np.full(size, alpha_m)
    track = nearest_track(overall_metallicity(stars["fe_h"], alpha))
    a_v = dust.a_v(*galactic_angles(stars["ra"], stars["dec"]), stars["distance_kpc"])
    modulus = distance_modulus(stars["distance_kpc"]) + EXTINCTION_RATIOS["g"] * a_v
    uniform = rng.random(size)
    looks = np.full((size, library.properties.shape[-1]), np.nan)
    seen = np.zeros(size, dtype=bool)
    for number in np.unique(member):
        mine = np.flatnonzero(member == number)
        low, high = library.share_between(
            int(number),
            track[mine],
            survey.g_bright - modulus[mine],
            survey.g_faint - modulus[mine],
        )
        seen[mine] = high > low
        looks[mine] = library.pick(int(number), track[mine], low + (high - low) * uniform[mine])
    return {
        "index": stars["index"][seen],
        "distance": stars["distance_kpc"][seen],
        "fe_h": stars["fe_h"][seen],
        "alpha_m": alpha[seen],
        "a_v": a_v[seen],
        "looks": looks[seen],
        "velocity": stars["velocity_kms"][seen],
        "component": np.full(int(seen.sum()), COMPONENT),
        "cluster": stars["cluster"][seen],
    }
